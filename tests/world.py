"""The whole world in one process, over real HTTP: both simulators, our web door, our worker, on a fast clock.

Webhooks arrive at our own HTTP server; the worker runs in its own threads as in production.
"""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import httpx
from werkzeug.serving import make_server

from checkout.app import create_app
from checkout.simulator.options import Options
from checkout.simulator.server import Servers
from checkout.simulator.stables.codes import CUSTOMER_ID
from tests.contracts.openapi import check_exchanges
from tests.system import BANK, RealClock, System, environment, make_system, private_pem, public_pem

SPEED = 200.0


class World:
    """A running service and running simulators."""

    def __init__(self, system: System, servers: Servers, base: str) -> None:
        self.system = system
        self.servers = servers
        self.base = base
        self.store = system.store.id
        self._key = system.services.api_keys.create(self.store, who="tester").api_key
        self.http = httpx.Client(trust_env=False, timeout=20)

    def close(self) -> None:
        self.http.close()

    def new_store(self) -> None:
        """Go on as another store, with nothing of the last one's in its treasury."""
        stores = self.system.services.stores
        made = stores.create(f"Shop {uuid.uuid4().hex[:8]}", ["https://shop.example"], who="tester")
        stores.rule(
            made.id,
            currency="EUR",
            asset="USDC",
            network="polygon",
            evidence="recorded",
            settles_gross=False,
            who="tester",
        )
        self.store, self._key = made.id, made.api_key

    def mint(self, path: str, content: Any = None) -> Any:
        """Post to Stable Mint's control plane, or read it when there is no content."""
        return self._control(self.servers.stable_mint_url, path, content)

    def stables(self, path: str, content: Any = None) -> Any:
        """The same of Stables'."""
        return self._control(self.servers.stables_url, path, content)

    def _control(self, base: str, path: str, content: Any) -> Any:
        url = f"{base}/_control/{path}"
        answer = self.http.get(url) if content is None else self.http.post(url, json=content)
        assert answer.status_code < 300, f"{path}: {answer.text}"
        return answer.json()

    def open(self, amount: str = "9.00", **fields: Any) -> dict[str, Any]:
        """A payment, through the public API."""
        body = {"flow": "hosted", "amount": amount, "currency": "EUR", "country": "DE", "order": uuid.uuid4().hex[:8]}
        answer = self.http.post(
            f"{self.base}/v1/payments",
            json={**body, **fields},
            headers={"Authorization": f"Bearer {self._key}", "Idempotency-Key": uuid.uuid4().hex},
        )
        assert answer.status_code == 201, answer.text
        content: dict[str, Any] = answer.json()
        return content

    def read(self, ident: str) -> dict[str, Any]:
        answer = self.http.get(f"{self.base}/v1/payments/{ident}", headers={"Authorization": f"Bearer {self._key}"})
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    def paid(self, reference: str, outcome: str = "paid") -> None:
        """The shopper's choice at the simulated bank."""
        self.mint(f"sessions/{reference}/pay", {"outcome": outcome})

    def until(self, reached: Callable[[], bool], within: float = 15.0, saying: Callable[[], object] = str) -> None:
        end = time.monotonic() + within
        while not reached():
            assert time.monotonic() < end, f"it never came: {saying()}"
            time.sleep(0.02)

    def until_status(self, ident: str, *wanted: str, within: float = 15.0) -> str:
        self.until(lambda: self.read(ident)["status"] in wanted, within, lambda: self.read(ident))
        return str(self.read(ident)["status"])

    def payout(self, deposits: list[str]) -> str:
        """From settled deposits to the bank, through the operator's verbs."""
        services, store = self.system.services, self.store
        services.treasury.record(
            store,
            asset="USDC",
            network="polygon",
            amount="9.71",
            fee="0",
            deposits=deposits,
            evidence="advice",
            who="ann",
        )
        services.payout_accounts.add(store, {**BANK, "stables_customer_id": CUSTOMER_ID}, who="ann")
        out = services.payouts.propose(store, account_id=None, who="ann")
        self.until_payout(out, "quoted")
        services.payouts.approve(out, min_credit=None, who="ann")
        self.until_payout(out, "awaiting_funding")
        services.payouts.reveal(out, who="ann")
        services.payouts.simulate_deposit(out, who="ann")
        self.until_payout(out, "completed")
        return out

    def until_payout(self, ident: str, state: str) -> None:
        show = self.system.services.payouts.show
        self.until(lambda: show(ident)["state"] == state, 20, lambda: show(ident))

    def check_contract(self, known: int = 0) -> None:
        """Every pair that Stables recorded, but for the first ``known``, keeps its OpenAPI."""
        exchanges = [one for one in self.stables("requests")[known:] if not str(one["path"]).startswith("/_control")]
        check_exchanges(exchanges)


def _free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def world(
    database_url: str,
    *,
    speed: float = SPEED,
    mint_switches: dict[str, Any] | None = None,
    stables_switches: dict[str, Any] | None = None,
    changes: Mapping[str, str] | None = None,
) -> Iterator[World]:
    """Start everything; stop everything."""
    given = environment(database_url, **(changes or {}))
    base = f"http://127.0.0.1:{_free_port()}"
    options = Options(
        stable_mint=("127.0.0.1", 0),
        stables=("127.0.0.1", 0),
        speed=speed,
        service_url=base,
        stable_mint_api_key=given["STABLE_MINT_API_KEY"],
        stable_mint_api_secret=given["STABLE_MINT_API_SECRET"],
        partner_public_key_pem=public_pem("partner"),
        webhook_private_key_pem=private_pem("mint"),
        stable_mint_switches=mint_switches or {},
        stables_api_key=given["STABLES_API_KEY"],
        stables_webhook_scheme=given.get("STABLES_WEBHOOK_SCHEME", "svix"),
        stables_webhook_secret=given["STABLES_WEBHOOK_SECRET"],
        stables_switches=stables_switches or {},
    )
    with Servers(options) as servers:
        settings = {
            "CHECKOUT_PUBLIC_URL": base,
            "CHECKOUT_SPEED": str(speed),
            "STABLE_MINT_API_URL": servers.stable_mint_url,
            "STABLE_MINT_PAGE_DOMAINS": servers.stable_mint_url,
            "STABLES_API_URL": servers.stables_url,
            "CHECKOUT_PROVIDER_TIMEOUT": "2",
            **(changes or {}),
        }
        system = make_system(database_url, real_network=True, clock=RealClock(), settings=settings)
        app = create_app(system.services)
        web = make_server("127.0.0.1", int(base.rsplit(":", 1)[1]), app, threaded=True)
        worker = system.services.worker("world")
        threads = [threading.Thread(target=web.serve_forever), threading.Thread(target=worker.run)]
        for thread in threads:
            thread.start()
        made = World(system, servers, base)
        try:
            yield made
        finally:
            worker.stop()
            web.shutdown()
            for thread in threads:
                thread.join()
            web.server_close()
            made.close()
            system.close()
