"""Reading payments among very many: each question's p95 against its own among a thousand, in the same run.

Two databases of one kind are filled with copies of real payments (:mod:`benchmarks.seeding`): several stores, customers with
their own histories, two payments for an order, most settled, others failed, cancelled, expired or paid short, spread over
months. Before each stands the service under gunicorn. A client asks both the same questions in turn, over HTTP with a
store's key, so that what else the machine does reaches both alike.
"""

from __future__ import annotations

import http.client
import statistics
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, String, case, cast, insert, literal, null, select, text

from benchmarks.seeding import Changes, Copies, Pattern, copy, pattern_of
from benchmarks.servers import gunicorn
from checkout.store.engine import Database
from checkout.store.tables import act, customer, deposit, event, move, payment, posting, settlement_record
from tests.system import Clock, RealClock, System, environment, make_system

SMALL: Final = 1_000
STORES: Final = 4
#: Consecutive payments of one customer and store.
BLOCK: Final = 20
#: Each customer's payments, where it has any: every third of its blocks'.
BLOCKS_EACH: Final = 4
STEP_S: Final = 30
PAGE: Final = 10
#: How far down its list the deep page is.
DEPTH: Final = 0.8
#: What one payment of a block of twenty is.
KINDS: Final[Mapping[str, int]] = {"settled": 13, "failed": 3, "expired": 2, "underpaid": 1, "cancelled": 1}


@dataclass(frozen=True, slots=True)
class Plan:
    """How many payments the large database has, and how often each question is asked."""

    payments: int
    asked: int


FULL: Final = Plan(payments=1_000_000, asked=300)
USUAL: Final = Plan(payments=200_000, asked=200)
QUICK: Final = Plan(payments=5_000, asked=40)


@dataclass(frozen=True, slots=True)
class Question:
    """One kind of reading: p95 in milliseconds among a thousand payments and among all."""

    name: str
    small_ms: float
    large_ms: float

    @property
    def ratio(self) -> float:
        return self.large_ms / self.small_ms


@dataclass(frozen=True, slots=True)
class Result:
    database: str
    payments: int
    questions: tuple[Question, ...]
    metrics_ms: tuple[float, float]  #: the median scrape of ``/metrics``: among a thousand, among all

    def plain(self) -> dict[str, Any]:
        return {**asdict(self), "questions": [{**asdict(one), "ratio": one.ratio} for one in self.questions]}


def measure(database: str, urls: tuple[str, str], plan: Plan, log: Path) -> Result:
    """Everything about one kind of database: two fresh ones, the second for the many."""
    with filled(urls[0], SMALL, log) as small, filled(urls[1], plan.payments, log) as large:
        chance = Random(1)  # noqa: S311 - the same questions in every run
        taken: dict[str, tuple[list[float], list[float]]] = {}
        for number in range(plan.asked + plan.asked // 10):
            for name, ask in QUESTIONS.items():
                seconds = tuple(one.seconds(ask(one, chance)) for one in (small, large))
                if number >= plan.asked // 10:  # the first are to warm it up
                    for kept, one in zip(taken.setdefault(name, ([], [])), seconds, strict=True):
                        kept.append(one)
        scrapes = [[one.seconds("/metrics") for _ in range(5)] for one in (small, large)]
    questions = tuple(Question(name, _p95_ms(few), _p95_ms(many)) for name, (few, many) in taken.items())
    metrics = [statistics.median(one) * 1000 for one in scrapes]
    return Result(database, plan.payments, questions, (metrics[0], metrics[1]))


def _p95_ms(taken: Sequence[float]) -> float:
    return statistics.quantiles(taken, n=100, method="inclusive")[94] * 1000


# --- asking --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reader:
    """A store's client before one database, and what it needs to know to ask."""

    connection: http.client.HTTPConnection
    api_key: str
    ids: Sequence[str]  #: some of the store's payments
    deep: str  #: one that is far down its list
    orders: Sequence[str]
    customers: Sequence[str]
    hours: Sequence[tuple[str, str]]  #: stretches of time in which the store has a page of payments

    def seconds(self, path: str) -> float:
        """Ask, read the whole answer, and check that it is one."""
        begun = time.perf_counter()
        self.connection.request("GET", path, headers={"Authorization": f"Bearer {self.api_key}"})
        answer = self.connection.getresponse()
        content = answer.read()
        taken = time.perf_counter() - begun
        if answer.status != 200 or content.startswith(b'{"data":[]'):
            raise RuntimeError(f"{path} answered {answer.status}: {content[:300]!r}")
        return taken


def _listed(**conditions: str) -> str:
    return f"/v1/payments?{urlencode({'limit': str(PAGE), **conditions})}"


def _within(reader: Reader, chance: Random) -> str:
    since, until = chance.choice(reader.hours)
    return _listed(created_from=since, created_to=until)


QUESTIONS: Final[Mapping[str, Callable[[Reader, Random], str]]] = {
    "first page": lambda reader, chance: _listed(),
    "deep page": lambda reader, chance: _listed(starting_after=reader.deep),
    "search by order": lambda reader, chance: _listed(order=chance.choice(reader.orders)),
    "one payment": lambda reader, chance: f"/v1/payments/{chance.choice(reader.ids)}",
    "by status": lambda reader, chance: _listed(status="cancelled"),
    "by anomaly": lambda reader, chance: _listed(anomaly="underpaid"),
    "by customer": lambda reader, chance: _listed(customer=chance.choice(reader.customers)),
    "by time": _within,
    "by customer and status": lambda reader, chance: _listed(
        customer=chance.choice(reader.customers), status="settled"
    ),
}


# --- filling -------------------------------------------------------------------------------------------------------


@contextmanager
def filled(database_url: str, payments: int, log: Path) -> Iterator[Reader]:
    """A database of so many payments with the service before it."""
    system = make_system(database_url, clock=Clock(RealClock().now - timedelta(days=500)))
    try:
        stores = [system.store.id]
        for number in range(1, STORES):
            stores.append(system.services.stores.create(f"Shop {number}", ["https://shop.example"], who="bench").id)
        patterns = _patterns(system)
        _fill(system.database, patterns, stores, payments, first=system.clock() + timedelta(days=1))
        api_key = system.services.api_keys.create(stores[0], who="bench", per_minute=1_000_000).api_key
        with gunicorn("wsgi:app", environment(database_url), log) as server:
            reader = _reader(system.database, server.port, api_key, stores[0])
            yield reader
            reader.connection.close()
    finally:
        system.close()


def _patterns(system: System) -> dict[str, Pattern]:
    """One payment of each kind, as it comes about."""
    made = {kind: system.pay().payment.id for kind in KINDS}
    for kind, heard, amount in (
        ("settled", "completed", 9.0),
        ("underpaid", "completed", 5.0),
        ("failed", "failed", 9.0),
    ):
        (session,) = system.sessions(made[kind])
        system.hear(session, "created", "initiated", heard, amount=amount)
    system.services.payments.cancel(system.store.id, made["cancelled"], who="bench")
    system.clock.advance(days=30)
    system.work()
    for kind, ident in made.items():
        shown = system.payment(ident)
        if kind not in (shown.status, *shown.anomaly_list):
            raise RuntimeError(f"the {kind} payment is {shown.status} {shown.anomalies}")
    # what no list shows is left out, and with it the ledger: the copies' stores are others than the pattern's
    without = (settlement_record, posting, move, act, event)
    with system.database.read() as unit:
        return {kind: pattern_of(unit, ident, without=without) for kind, ident in made.items()}


def _fill(
    database: Database, patterns: Mapping[str, Pattern], stores: Sequence[str], payments: int, *, first: datetime
) -> None:
    """Copies in blocks: each of one customer and store, with its kinds mixed."""
    positions = iter(Random(1).sample(range(BLOCK), BLOCK))  # noqa: S311 - the same order in every run
    remainders = {patterns[kind]: [next(positions) for _ in range(many)] for kind, many in KINDS.items()}
    customers = max(payments // BLOCK // BLOCKS_EACH // STORES, 1) * STORES
    _customers(database, stores, customers, first)

    def owner(copies: Copies) -> ColumnElement[Any]:
        mine = literal("cus_") + cast(copies.number // BLOCK % customers, String)
        return case((copies.number % 3 == 0, mine), else_=null())

    changes: Changes = {
        payment: {
            "store_id": lambda copies: copies.every(stores, BLOCK),
            "customer_id": owner,
            "order_ref": lambda copies: literal("order-") + cast(copies.number // 2, String),
        },
        deposit: {"store_id": lambda copies: copies.every(stores, BLOCK)},
    }
    copy(database, remainders, range(payments), first=first, step_s=STEP_S, changes=changes)
    if not database.is_sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))  # as the server does by itself, later


def _customers(database: Database, stores: Sequence[str], many: int, at: datetime) -> None:
    rows = [
        {
            "id": f"cus_{number}", "store_id": stores[number % len(stores)], "external_id": f"customer-{number}",
            "provider_user_id": str(uuid.uuid4()), "country": "DE", "created_at": at, "updated_at": at,
        }
        for number in range(many)
    ]  # fmt: skip
    with database.write() as unit:
        unit.execute(insert(customer), rows)


def _reader(database: Database, port: int, api_key: str, store: str) -> Reader:
    """What the client of a store knows of it: some of its payments, picked evenly from the whole."""
    columns = payment.c
    with database.read() as unit:
        ids = [
            row.id
            for row in unit.execute(select(columns.id).where(columns.store_id == store).order_by(columns.id.desc()))
        ]
        found = unit.execute(
            select(columns.id, columns.order_ref, columns.created_at, customer.c.external_id)
            .outerjoin(customer, customer.c.id == columns.customer_id)
            .where(columns.id.in_(Random(1).sample(ids[BLOCK:], 100)))  # noqa: S311 - the same in every run
        ).all()
    moments = [row.created_at for row in found]
    stretch = timedelta(seconds=STEP_S * BLOCK * STORES)  # one block of each store
    return Reader(
        connection=http.client.HTTPConnection("127.0.0.1", port, timeout=60),
        api_key=api_key,
        ids=[row.id for row in found],
        deep=ids[int(len(ids) * DEPTH)],
        orders=[row.order_ref for row in found],
        customers=[row.external_id for row in found if row.external_id is not None],
        hours=[(one.isoformat(), (one + stretch).isoformat()) for one in moments],
    )
