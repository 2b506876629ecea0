"""One database measured: interleaved rounds of floor and service, then the latency behind a slow provider."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.servers import Server, gunicorn, upstream
from benchmarks.traffic import Request, Traffic, send_all, send_at_once
from checkout.app import build
from checkout.config import Settings
from checkout.sealing import generate_data_key
from checkout.signing import generate_key_pair, generate_webhook_secret
from checkout.store.schema import migrate

#: Delay of the slow provider.
SLOW_MS: Final = 50
#: Clients at once against it: as many as may be inside provider calls (half the threads).
SLOW_CLIENTS: Final = 4


#: What the store's key allows: the most one may, since a benchmark is more than a shop.
PER_MINUTE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a run is."""

    rounds: int
    requests: int  #: per round, path and server
    warm_up: int
    slow_requests: int  #: per client, behind the slow provider


FULL: Final = Plan(rounds=7, requests=200, warm_up=60, slow_requests=60)
QUICK: Final = Plan(rounds=3, requests=80, warm_up=30, slow_requests=20)


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU of one kind of request, milliseconds; ``ratio`` is the median of the rounds' own ratios."""

    name: str
    floor_ms: float
    service_ms: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Latency:
    name: str
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Result:
    database: str
    costs: tuple[Cost, ...]
    latencies: tuple[Latency, ...]

    def plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Installation:
    """A migrated database with one store, and the settings that every process of the run gets."""

    environ: Mapping[str, str]
    traffic: Traffic


def install(database_url: str) -> Installation:
    """Fresh keys as ``checkout init`` makes them, a schema, a store."""
    partner_private, _ = generate_key_pair()
    mint_private, mint_public = generate_key_pair()
    environ = {
        "CHECKOUT_MODE": "sandbox",
        "CHECKOUT_PUBLIC_URL": "http://127.0.0.1:8000",
        "CHECKOUT_DATABASE_URL": database_url,
        "CHECKOUT_SECRET_KEY": uuid.uuid4().hex * 2,
        "CHECKOUT_DATA_KEY": generate_data_key(),
        "STABLE_MINT_API_URL": "http://127.0.0.1:9",
        "STABLE_MINT_API_KEY": "benchmark-key",
        "STABLE_MINT_API_SECRET": "benchmark-secret",
        "STABLE_MINT_PRIVATE_KEY": partner_private,
        "STABLE_MINT_WEBHOOK_PUBLIC_KEY": mint_public,
        "STABLES_API_KEY": "sti_test_benchmark",
        "STABLES_WEBHOOK_SECRET": generate_webhook_secret(),
    }
    services = build(Settings.from_env(environ))
    try:
        migrate(services.context.database, installation_id="ins_benchmark", now=datetime.now(UTC))
        store = services.stores.create("Benchmark", ["https://shop.example"], who="benchmark")
        key = services.api_keys.create(store.id, who="benchmark", per_minute=60_000)  # more than it can ask
    finally:
        services.close()
    return Installation(environ, Traffic(key.api_key, mint_private))


@contextmanager
def servers(installation: Installation, delay_ms: int, log: Path) -> Iterator[tuple[Server, Server]]:
    """The floor and the service, on the same database and before the same upstream."""
    with upstream(delay_ms, log) as url:
        environ = {**installation.environ, "STABLE_MINT_API_URL": url, "STABLE_MINT_PAGE_DOMAINS": url}
        with (
            gunicorn("benchmarks.floor:create()", environ, log) as floor,
            gunicorn("wsgi:app", environ, log) as service,
        ):
            yield floor, service


def measure(database: str, database_url: str, plan: Plan, log: Path) -> Result:
    """Everything about one database."""
    installation = install(database_url)
    traffic = installation.traffic
    paths = (("create-session", traffic.session), ("webhook-intake", traffic.webhook))
    with servers(installation, 0, log) as (floor, service):
        costs = tuple(_cost(name, make, floor, service, plan) for name, make in paths)
    with servers(installation, SLOW_MS, log) as (_, service):
        latencies = _latencies(traffic, service, plan)
    return Result(database, costs, latencies)


def _cost(name: str, make: Callable[[], Request], floor: Server, service: Server, plan: Plan) -> Cost:
    for server in (floor, service):
        send_all(server.port, [make() for _ in range(plan.warm_up)])
    rounds = [(_cpu_ms(floor, make, plan.requests), _cpu_ms(service, make, plan.requests)) for _ in range(plan.rounds)]
    return Cost(
        name,
        statistics.median(one for one, _ in rounds),
        statistics.median(one for _, one in rounds),
        statistics.median(ours / least for least, ours in rounds),
    )


def _cpu_ms(server: Server, make: Callable[[], Request], count: int) -> float:
    """CPU milliseconds per request of one round. The requests are made, and signed, before the clock is read."""
    requests = [make() for _ in range(count)]
    before = server.cpu_s()
    send_all(server.port, requests)
    return (server.cpu_s() - before) * 1000 / count


def _latencies(traffic: Traffic, service: Server, plan: Plan) -> tuple[Latency, ...]:
    send_all(service.port, [traffic.session() for _ in range(plan.warm_up // 4)])
    sessions = send_at_once(service.port, traffic.session, clients=SLOW_CLIENTS, each=plan.slow_requests)
    time.sleep(0.1)
    webhooks = send_all(service.port, [traffic.webhook() for _ in range(plan.slow_requests * SLOW_CLIENTS)])
    return (
        _latency(f"create-session, {SLOW_CLIENTS} at once", sessions),
        _latency("webhook-intake, one at a time", webhooks),
    )


def _latency(name: str, taken: list[float]) -> Latency:
    marks = statistics.quantiles(taken, n=100, method="inclusive")
    return Latency(name, marks[49] * 1000, marks[98] * 1000)
