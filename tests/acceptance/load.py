"""A busy day in a minute: shops that open thousands of payments at once, shoppers who pay them, operators who pay out.

The installation is the one that the kill tests use (:mod:`tests.acceptance.world`): two web processes, three workers, both
providers and the shop, each a real process. Here nobody is killed; everything happens at the same time instead.
"""

from __future__ import annotations

import http.client
import itertools
import json
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from sqlalchemy import func, select

from checkout.errors import LostRace, NotPossible, StoreUnavailable
from checkout.rules.payouts import FINAL, PayoutState
from checkout.store import payouts, tables
from tests.acceptance.storefront import Order
from tests.acceptance.world import World

T = TypeVar("T")

#: Shops' requests at once: as many as two web processes let into provider calls.
CLIENTS: Final = 6
#: Every so manieth order is sent by this many clients at the same moment, under one Idempotency-Key.
TWIN_EVERY: Final = 20
TWINS: Final = 4
OPERATORS: Final = 6
#: Deposits in one settlement record, and so in one payout.
BATCH: Final = 10
WHO: Final = "demo"
PATIENCE_S: Final = 60.0
#: What Stable Mint does to its webhooks, for so many orders each, over and over.
MOOD_ORDERS: Final = 50
CALM: Final = {"webhook_duplicates": 1, "webhook_order": "normal"}
MOODS: Final = (
    CALM, CALM | {"webhook_duplicates": 2}, CALM, CALM | {"webhook_order": "shuffled"}, CALM,
    CALM | {"webhook_order": "reversed"},
)  # fmt: skip


class LoadWorld(World):
    """The same installation with time enough for a machine that is full: nothing here is about dead processes."""

    def _environment(self, database_url: str) -> dict[str, str]:
        environ = super()._environment(database_url)
        unwatched = {name: value for name, value in environ.items() if not name.startswith("TEST_COMMITS_")}
        longer = {"CHECKOUT_LEASE": "30", "CHECKOUT_PROVIDER_TIMEOUT": "10", "STABLES_FUNDING_WINDOW": "30000"}
        self.tell("stables", "switches", {"funding_window_s": 30_000.0, "quote_life_s": 9_000.0})
        return unwatched | longer


@dataclass(frozen=True, slots=True)
class Rates:
    """What a run achieved."""

    payments: int
    events: int
    payouts: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.payments} payments, {self.events} webhooks, {self.payouts} payouts in {self.seconds:.0f} s: "
            f"{self.payments / self.seconds:.0f}/s, {self.events / self.seconds:.0f}/s, {self.payouts / self.seconds:.1f}/s"
        )


class Day:
    """Runs the shops and the operators side by side until every order is sold and every payout is on its way."""

    def __init__(self, world: World, *, orders: int, seed: int) -> None:
        self._world = world
        self._wanted = orders
        self._seed = seed
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.orders: list[Order] = []
        self.payouts: list[str] = []

    def run(self) -> None:
        """Everything; raises the first thing that went wrong."""
        with ThreadPoolExecutor(CLIENTS + OPERATORS + 1) as pool:
            shops = [pool.submit(self._shop, number) for number in range(CLIENTS)]
            _all_done([*shops, pool.submit(self._pay_out, pool, shops)])

    # --- shops and shoppers --------------------------------------------------------------------------------------------

    def _shop(self, number: int) -> None:
        """One client thread: order after order."""
        chance = random.Random(f"{self._seed}/{number}")  # noqa: S311 - repeatable by design
        service, mint = Connection(self._world.url), Connection(self._world.addresses["stable_mint"])
        twins = [Connection(self._world.url) for _ in range(TWINS - 1)]
        try:
            while (order := next(self._numbers)) <= self._wanted:
                if order % MOOD_ORDERS == 1:
                    mint.post("/_control/switches", MOODS[order // MOOD_ORDERS % len(MOODS)])
                self._sell(order, chance, service, mint, twins if order % TWIN_EVERY == 0 else [])
        finally:
            for one in (service, mint, *twins):
                one.close()

    def _sell(
        self, number: int, chance: random.Random, service: Connection, mint: Connection, twins: list[Connection]
    ) -> None:
        key, cents = f"order-{number}", chance.randrange(100, 1000)
        content = {
            "flow": "hosted", "amount": f"{cents // 100}.{cents % 100:02}", "currency": "EUR", "country": "DE",
            "order": key, "metadata": {"number": str(number)},
        }  # fmt: skip
        answers = list(self._open([service, *twins], content, key))
        assert len({one["id"] for one in answers}) == 1, f"one key, several payments: {answers}"
        shown = next((one for one in answers if one["provider"]["reference"]), None)
        shown = shown or self._until_open(service, answers[0]["id"])
        reference = str(shown["provider"]["reference"])
        version = chance.choice(("v1", "v1", "v2"))
        mint.post(f"/_control/sessions/{reference}/pay", {"outcome": "paid", "version": version})
        with self._lock:
            self.orders.append(Order(key, shown["id"], "paid", reference, cents))

    def _open(self, connections: list[Connection], content: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
        """The same request on every connection at the same moment; every answer."""
        headers = {"Authorization": f"Bearer {self._world.api_key}", "Idempotency-Key": key}
        answers: queue.SimpleQueue[dict[str, Any] | BaseException] = queue.SimpleQueue()

        def post(connection: Connection) -> None:
            try:
                answers.put(connection.patiently("POST", "/v1/payments", content, headers))
            except BaseException as error:  # raised again below, in the thread that asked
                answers.put(error)

        threads = [threading.Thread(target=post, args=(one,)) for one in connections[1:]]
        for thread in threads:
            thread.start()
        post(connections[0])
        for thread in threads:
            thread.join()
        for _ in connections:
            answer = answers.get()
            if isinstance(answer, BaseException):
                raise answer
            yield answer

    def _until_open(self, service: Connection, payment_id: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._world.api_key}"}
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            shown = service.patiently("GET", f"/v1/payments/{payment_id}", None, headers)
            if shown["provider"]["reference"]:
                return shown
            time.sleep(0.1)
        raise AssertionError(f"{payment_id} never opened: {shown}")

    # --- operators -----------------------------------------------------------------------------------------------------

    def _pay_out(self, pool: ThreadPoolExecutor, shops: list[Future[None]]) -> None:
        """Record what has settled, batch by batch, and propose each batch; operators carry the payouts on."""
        treasury, verbs = self._world.services.treasury, self._world.services.payouts
        carried: list[Future[None]] = []
        end = time.monotonic() + PATIENCE_S
        recorded = 0
        while recorded < self._wanted:
            waiting = self._settled_here()
            advice = self._advice() if len(waiting) >= BATCH else {}
            sold_out = all(shop.done() for shop in shops)
            batches = [waiting[at : at + BATCH] for at in range(0, len(waiting), BATCH)]
            for batch in batches:
                if len(batch) < BATCH and not (sold_out and recorded + len(batch) == self._wanted):
                    continue
                amount = str(sum((advice[reference] for reference in batch), Decimal(0)))
                _insist(
                    lambda batch=batch, amount=amount: treasury.record(  # type: ignore[misc]
                        self._world.store_id, asset="USDC", network="polygon", amount=amount, fee="0", deposits=batch,
                        evidence="Stable Mint's advice", who=WHO,
                    )
                )  # fmt: skip
                recorded += len(batch)
                ident = _insist(lambda: verbs.propose(self._world.store_id, account_id=None, who=WHO))
                self.payouts.append(ident)
                carried.append(pool.submit(self._carry, ident))
                end = time.monotonic() + PATIENCE_S
            for shop in shops:
                if shop.done():
                    shop.result()
            assert time.monotonic() < end, f"only {recorded} of {self._wanted} deposits have settled"
            time.sleep(0.3)
        _all_done(carried)

    def _settled_here(self) -> list[str]:
        """References of settled deposits without a settlement record, oldest first."""
        deposit = tables.deposit
        query = (
            select(deposit.c.reference)
            .where(deposit.c.stage == "settled", deposit.c.settlement_record_id.is_(None))
            .order_by(deposit.c.settled_at, deposit.c.id)
        )
        with self._world.services.context.database.read() as unit:
            return [str(row.reference) for row in unit.execute(query)]

    def _advice(self) -> dict[str, Decimal]:
        """What Stable Mint says it delivered, by reference."""
        found = self._world.ask("stable_mint", "settlements")
        return {one["reference"]: Decimal(one["delivered"]["amount"]) for one in found}

    def _carry(self, ident: str) -> None:
        """Approve, reveal and fund one payout, each when its state has come."""
        verbs, database = self._world.services.payouts, self._world.services.context.database
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with database.read() as unit:
                row, transfer = payouts.payout_by_id(unit, ident), payouts.transfer_of(unit, ident)
            assert row is not None
            state = row.payout_state
            assert state not in FINAL, f"{ident} ended as {state} before it was funded: {row.note}"
            assert state not in (PayoutState.NEEDS_DECISION, PayoutState.ON_HOLD), f"{ident} is {state}: {row.note}"
            if state is PayoutState.QUOTED:
                _insist(lambda: verbs.approve(ident, min_credit=None, who=WHO))
            elif state is PayoutState.AWAITING_FUNDING and transfer is not None and transfer.checked_at is not None:
                _insist(lambda: verbs.reveal(ident, who=WHO))
                verbs.simulate_deposit(ident, who=WHO)
                return
            time.sleep(0.1)
        raise AssertionError(f"{ident} is still {state}: {row.note if row is not None else None}")


class Connection:
    """One kept connection of a client that does as it is told: 503 means the same request again."""

    def __init__(self, url: str) -> None:
        self._place = urlsplit(url).netloc
        self._http = http.client.HTTPConnection(self._place, timeout=30)

    def post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        return self.patiently("POST", path, content, {})

    def patiently(
        self, method: str, path: str, content: dict[str, Any] | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        body = None if content is None else json.dumps(content).encode()
        end = time.monotonic() + PATIENCE_S
        status, answer = 0, b""
        while time.monotonic() < end:
            try:
                self._http.request(method, path, body, {"Content-Type": "application/json", **headers})
                got = self._http.getresponse()
                status, answer = got.status, got.read()
            except (OSError, http.client.HTTPException):
                self._http.close()
                continue
            if status != 503:
                break
            time.sleep(0.1)
        assert status in (200, 201), f"{method} {path} answered {status}: {answer[:500]!r}"
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        self._http.close()


def _insist(act: Callable[[], T]) -> T:
    """An operator's command, typed again while the database is busy or somebody else was faster."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except (StoreUnavailable, LostRace) as again:
            if time.monotonic() > end:
                raise
            time.sleep(0.05 if isinstance(again, LostRace) else 0.2)
        except NotPossible as refused:
            if "could not be asked" not in str(refused) or time.monotonic() > end:
                raise
            time.sleep(0.2)


def _all_done(tasks: list[Future[None]]) -> None:
    for task in tasks:
        task.result()


def completed(world: World) -> int:
    """How many payouts have reached the bank."""
    payout = tables.payout
    query = select(func.count()).select_from(payout).where(payout.c.state == PayoutState.COMPLETED.value)
    with world.services.context.database.read() as unit:
        return int(unit.execute(query).scalar_one())


def open_cases(world: World) -> list[str]:
    with world.services.context.database.read() as unit:
        rows = unit.execute(select(tables.case).where(tables.case.c.closed_at.is_(None)))
        return [f"{row.kind} on {row.subject}: {row.detail}" for row in rows]
