"""Payouts of a hundred deposits, from settled money to statements, by ``checkout worker`` and the operator's own verbs.

Two stretches are timed, each with the worker alone before the provider. Out: from the settled deposits the worker makes the
payouts that the store's policy asks for, quotes and approves them, creates their transfers and reads where they are to be
funded. Home: it follows the funded transfers to the bank, and judges what they credited. Between them nothing is timed: the
operator, in this process, reveals each address and simulates its deposit; after them it draws every statement, whose
arithmetic must be right.

A step is a stored move of a payout, and a stretch lasts from its first move to its last. Steps per second are divided by
those of the bare outbox (:mod:`benchmarks.outbox`), measured before and after on the same database and before the same
upstream. It answers at once, where all that counts is our own work; and then after the least that a provider takes, where
both mostly wait. The store has no endpoint that hears notifications: each would be a step of its own.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select, update

from benchmarks.outbox import KINDS
from benchmarks.seeding import Pattern, copy, pattern_of
from benchmarks.servers import cpu_s, outbox, resident_mb, upstream, worker
from benchmarks.stables import CUSTOMER
from checkout.paying_out.policies import PolicyRequest
from checkout.paying_out.price_guard import GuardRequest
from checkout.rules.payouts import PayoutState
from checkout.store.tables import deposit, move, payout, payout_policy
from tests.system import BANK, RealClock, System, environment, make_system

#: Deposits of one payout.
BATCH: Final = 100
#: Waits between two reads of a transfer on its way home are so much shorter; out, nothing waits.
SPEED: Final = 1000
LOOK_S: Final = 0.05
PATIENCE_S: Final = 300.0
#: What the upstream takes for an answer: nothing, and less than any provider over the network.
DELAYS_MS: Final = (0, 20)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a run is."""

    payouts: int
    floor_rounds: int  #: before the payouts, and again after them
    floor_steps: int  #: of one round


FULL: Final = Plan(payouts=100, floor_rounds=3, floor_steps=300)
QUICK: Final = Plan(payouts=10, floor_rounds=2, floor_steps=50)


@dataclass(frozen=True, slots=True)
class Result:
    """Steps per second of the worker and of both outboxes, the worker's CPU for a step, and its memory."""

    database: str
    delay_ms: int  #: that the upstream takes for each answer
    deposits: int
    payouts: int
    steps_s: float
    floor_s: float  #: of the outbox through the service's libraries: the median of the rounds
    ratio: float
    driver_s: float  #: of the outbox through the bare driver
    cpu_ms: float  #: for a step, everything the worker did beside included
    statement_ms: float  #: to draw a statement of a hundred deposits
    growth: float  #: the worker's memory when all were done over that when a tenth was, in the worse of the stretches

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def measure(database: str, database_url: str, plan: Plan, log: Path, *, delay_ms: int) -> Result:
    """Everything about one database and one delay."""
    with upstream(delay_ms, log) as url:
        changes = {
            "STABLE_MINT_API_URL": url, "STABLE_MINT_PAGE_DOMAINS": url, "STABLES_API_URL": url,
            "STABLES_FUNDING_WINDOW": "86400",
        }  # fmt: skip
        system = make_system(database_url, real_network=True, clock=RealClock(), settings=changes)
        try:
            operator = Operator(system, _settled_deposit(system))
            _policy(system)
            operator.warm_up()  # the first payout of an account is never the policy's to approve
            with outbox(database_url, url, log) as floor:
                before = _floors(floor, plan)
                operator.settle(plan.payouts)
                environ = environment(database_url, **changes)
                with worker(environ, log) as pid:
                    out = operator.watch(pid, PayoutState.AWAITING_FUNDING)
                operator.fund()
                with worker({**environ, "CHECKOUT_SPEED": str(SPEED)}, log) as pid:
                    home = operator.watch(pid, PayoutState.COMPLETED)
                statement_s = operator.draw_statements()
                after = _floors(floor, plan)
        finally:
            system.close()
    least, driver = (statistics.median(before[kind] + after[kind]) for kind in KINDS)
    steps_s = (out.steps + home.steps) / (out.seconds + home.seconds)
    return Result(
        database=database,
        delay_ms=delay_ms,
        deposits=plan.payouts * BATCH,
        payouts=plan.payouts,
        steps_s=steps_s,
        floor_s=least,
        ratio=steps_s / least,
        driver_s=driver,
        cpu_ms=(out.cpu_s + home.cpu_s) * 1000 / (out.steps + home.steps),
        statement_ms=statement_s * 1000,
        growth=max(out.growth, home.growth),
    )


def _floors(floor: Callable[[str, int], float], plan: Plan) -> dict[str, list[float]]:
    """Steps per second of each outbox, after a warm-up."""
    found = {}
    for kind in KINDS:
        floor(kind, plan.floor_steps // 4)
        found[kind] = [plan.floor_steps / floor(kind, plan.floor_steps) for _ in range(plan.floor_rounds)]
    return found


@dataclass(frozen=True, slots=True)
class Stretch:
    """What it took to bring payouts from one state to another."""

    steps: int
    seconds: float
    cpu_s: float
    growth: float


class Operator:
    """Brings settled deposits, does what only a person may, and reads what the worker did."""

    def __init__(self, system: System, pattern: Pattern) -> None:
        self._system = system
        self._pattern = pattern
        self._copied = 1
        self._payouts: set[str] = set()
        self._wanted = 0

    def warm_up(self) -> None:
        """One payout, approved by a person and followed home in this process."""
        system = self._system
        self.settle(1)
        system.work()
        (ident,) = self._states()
        system.services.payouts.approve(ident, min_credit=None, who="operator")
        self._until(ident, PayoutState.AWAITING_FUNDING)
        self._payouts = {ident}
        self.fund()
        self._until(ident, PayoutState.COMPLETED)

    def settle(self, payouts: int) -> None:
        """Enough settled deposits for so many payouts, and the policy's time of day."""
        system, wanted = self._system, payouts * BATCH
        self._payouts, self._wanted = set(), payouts
        numbers = range(self._copied, self._copied + wanted)
        copy(system.database, {self._pattern: (0,)}, numbers, first=system.clock() - timedelta(days=1))
        self._copied += wanted
        self._known = set(self._states())
        with system.database.write() as unit:
            unit.execute(update(payout_policy).values(due_at=system.clock()))

    def watch(self, pid: int, state: PayoutState) -> Stretch:
        """Wait until the worker has brought every payout to this state."""
        begun = time.monotonic()
        used, early = cpu_s(pid), 0.0
        positions = self._positions()
        while (there := self._count(state)) < self._wanted:
            if time.monotonic() - begun > PATIENCE_S:
                raise RuntimeError(f"not every payout became {state}: {sorted(self._states().values())}")
            if early == 0.0 and there * 10 >= self._wanted:
                early = resident_mb(pid)
            time.sleep(LOOK_S)
        late, used = resident_mb(pid), cpu_s(pid) - used
        self._payouts = set(self._states()) - self._known
        first, last, steps = self._moved(after=positions)
        return Stretch(steps, (last - first).total_seconds(), used, late / (early or late))

    def fund(self) -> None:
        """Reveal where each payout is to be funded, and have the sandbox fund it."""
        payouts = self._system.services.payouts
        for ident in sorted(self._payouts):
            payouts.reveal(ident, who="operator")
            payouts.simulate_deposit(ident, who="operator")

    def draw_statements(self) -> float:
        """Draw every statement; the seconds one took."""
        begun = time.perf_counter()
        for ident in self._payouts:
            statement = self._system.services.statements.payout(ident)
            if statement["differences"] or len(statement["lines"]) != BATCH:
                raise RuntimeError(f"the statement of {ident} is wrong: {statement['differences']}")
        return (time.perf_counter() - begun) / len(self._payouts)

    def _until(self, ident: str, state: PayoutState) -> None:
        end = time.monotonic() + PATIENCE_S
        while self._states()[ident] != state.value and time.monotonic() < end:
            with self._system.database.write() as unit:  # no wait between two reads
                unit.execute(update(payout).where(payout.c.id == ident).values(due_at=self._system.clock()))
            self._system.work()

    def _states(self) -> dict[str, str]:
        with self._system.database.read() as unit:
            return {row.id: row.state for row in unit.execute(select(payout.c.id, payout.c.state))}

    def _count(self, state: PayoutState) -> int:
        return sum(ident not in self._known and now == state.value for ident, now in self._states().items())

    def _positions(self) -> int:
        """The last move that the payouts have made, all alike; 1 before they are there: what proposes is the policy."""
        with self._system.database.read() as unit:
            last = select(func.max(move.c.position)).where(move.c.subject.in_(self._payouts))
            return int(unit.execute(last).scalar_one() or 1)

    def _moved(self, *, after: int) -> tuple[datetime, datetime, int]:
        """When the payouts first and last moved after that position, and how often."""
        asked = select(move.c.at).where(move.c.subject.in_(self._payouts), move.c.position > after)
        with self._system.database.read() as unit:
            moments = sorted(unit.execute(asked).scalars())
        return moments[0], moments[-1], len(moments)


def _settled_deposit(system: System) -> Pattern:
    """One payment, paid and settled as shoppers do, whose store declares what USD becomes."""
    services, store = system.services, system.store.id
    for endpoint in services.endpoints.all(store):
        services.endpoints.remove(endpoint["id"], who="operator")
    services.stores.rule(
        store, currency="USD", asset="USDC", network="polygon", evidence="declared", settles_gross=True, who="operator"
    )
    answer = system.pay("9.00", "USD")
    (session,) = system.sessions(answer.payment.id)
    system.hear(session, "created", "completed", amount=9.0, currency="USD")
    with system.database.read() as unit:
        settled = unit.execute(select(deposit.c.settlement_record_id)).scalar_one()
        assert settled is not None
        return pattern_of(unit, answer.payment.id)


def _policy(system: System) -> None:
    """A payout account that may be used, a price guard, and a policy that proposes and approves payouts of a batch."""
    services, store = system.services, system.store.id
    account = services.payout_accounts.add(store, {**BANK, "stables_customer_id": CUSTOMER}, who="one")
    services.payout_accounts.confirm(account["id"], who="another")
    services.price_guard.set(store, GuardRequest(currency="EUR", least_per_unit="0.5"), who="one")
    batch = str(9 * BATCH)
    wanted = PolicyRequest(
        kind="daily", time_zone="UTC", at="12:00", minimum=batch, maximum=batch, approve_below="1000000",
        mandate_hours="24",
    )  # fmt: skip
    services.policies.set(store, wanted, who="one")
