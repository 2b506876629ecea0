"""Payouts of a hundred deposits, from settled money to statements, by ``checkout worker`` and the operator's own verbs.

The worker makes the payouts that the store's policy asks for, quotes and approves them, creates their transfers and follows
them home; the operator, in this process, reveals each address, simulates its deposit, and draws the statement of what has
completed. The clock runs from the settled deposits to the last statement, waits included. A step is a stored move of a
payout by the worker; steps per second are divided by those of the bare outbox (:mod:`benchmarks.outbox`), measured before
and after on the same database and before the same upstream. The provider answers at once.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select, update

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
#: Every wait of ours is so much shorter; the provider's answers are not.
SPEED: Final = 1000
LOOK_S: Final = 0.02
PATIENCE_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a run is."""

    payouts: int
    floor_rounds: int  #: before the payouts, and again after them
    floor_steps: int  #: of one round


FULL: Final = Plan(payouts=100, floor_rounds=3, floor_steps=200)
QUICK: Final = Plan(payouts=10, floor_rounds=2, floor_steps=50)


@dataclass(frozen=True, slots=True)
class Result:
    """Steps per second of the worker and of the outbox, the worker's CPU for a step, and its memory."""

    database: str
    deposits: int
    payouts: int
    steps_s: float
    floor_s: float  #: the median of the rounds
    ratio: float
    cpu_ms: float  #: for a step, everything the worker did beside included
    early_mb: float  #: when a tenth of the payouts had their statements
    late_mb: float  #: when all had

    @property
    def growth(self) -> float:
        return self.late_mb / self.early_mb

    def plain(self) -> dict[str, Any]:
        return {**asdict(self), "growth": self.growth}


def measure(database: str, database_url: str, plan: Plan, log: Path) -> Result:
    """Everything about one database."""
    with upstream(0, log) as url:
        changes = {
            "STABLE_MINT_API_URL": url, "STABLE_MINT_PAGE_DOMAINS": url, "STABLES_API_URL": url,
            "STABLES_FUNDING_WINDOW": "86400", "CHECKOUT_SPEED": str(SPEED),
        }  # fmt: skip
        system = make_system(database_url, real_network=True, clock=RealClock(), settings=changes)
        try:
            operator = Operator(system, _settled_deposit(system, url))
            _policy(system)
            with (
                outbox(database_url, url, log) as floor,
                worker(environment(database_url, **changes), log) as pid,
            ):
                return _measure(database, operator, plan, floor, pid)
        finally:
            system.close()


def _measure(database: str, operator: Operator, plan: Plan, floor: Callable[[int], float], pid: int) -> Result:
    operator.pay_out(
        1, pid
    )  # the first payout of an account is never the policy's to approve; it also warms everything

    def floors() -> list[float]:
        floor(plan.floor_steps // 4)
        return [plan.floor_steps / floor(plan.floor_steps) for _ in range(plan.floor_rounds)]

    before = floors()
    way = operator.pay_out(plan.payouts, pid)
    least = statistics.median(before + floors())
    return Result(
        database=database,
        deposits=plan.payouts * BATCH,
        payouts=plan.payouts,
        steps_s=way.steps / way.seconds,
        floor_s=least,
        ratio=way.steps / way.seconds / least,
        cpu_ms=way.cpu_s * 1000 / way.steps,
        early_mb=way.early_mb,
        late_mb=way.late_mb,
    )


@dataclass(frozen=True, slots=True)
class Way:
    """What it took to bring payouts home."""

    steps: int
    seconds: float
    cpu_s: float
    early_mb: float
    late_mb: float


class Operator:
    """Brings settled deposits, does what only a person may, and counts what the worker did."""

    def __init__(self, system: System, pattern: Pattern) -> None:
        self._system = system
        self._pattern = pattern
        self._copied = 1

    def pay_out(self, payouts: int, pid: int) -> Way:
        """Bring enough deposits for so many payouts and follow them to their statements."""
        system, wanted = self._system, payouts * BATCH
        numbers = range(self._copied, self._copied + wanted)
        copy(system.database, {self._pattern: (0,)}, numbers, first=system.clock() - timedelta(days=1))
        self._copied += wanted
        known = set(self._states())
        used, begun = cpu_s(pid), time.perf_counter()
        with system.database.write() as unit:  # its time of day has come
            unit.execute(update(payout_policy).values(due_at=system.clock()))
        done: set[str] = set()
        funded: set[str] = set()
        early = 0.0
        while len(done) < payouts:
            if time.perf_counter() - begun > PATIENCE_S:
                raise RuntimeError(f"the payouts did not complete: {sorted(self._states().values())}")
            for ident, state in self._states().items():
                if ident not in known and ident not in done:
                    self._attend(ident, PayoutState(state), funded, done)
            if early == 0.0 and len(done) * 10 >= payouts:
                early = resident_mb(pid)
            time.sleep(LOOK_S)
        seconds = time.perf_counter() - begun
        return Way(self._steps(done), seconds, cpu_s(pid) - used, early, resident_mb(pid))

    def _attend(self, ident: str, state: PayoutState, funded: set[str], done: set[str]) -> None:
        services = self._system.services
        if state is PayoutState.AWAITING_FUNDING and ident not in funded:
            services.payouts.reveal(ident, who="operator")
            services.payouts.simulate_deposit(ident, who="operator")
            funded.add(ident)
        elif state is PayoutState.COMPLETED:
            statement = services.statements.payout(ident)
            if statement["differences"] or len(statement["lines"]) != BATCH:
                raise RuntimeError(f"the statement of {ident} is wrong: {statement['differences']}")
            done.add(ident)
        elif state is PayoutState.QUOTED and not known_to_policy(services.payouts.show(ident)):
            services.payouts.approve(ident, min_credit=None, who="operator")

    def _states(self) -> dict[str, str]:
        with self._system.database.read() as unit:
            return {row.id: row.state for row in unit.execute(select(payout.c.id, payout.c.state))}

    def _steps(self, idents: set[str]) -> int:
        """Moves of these payouts after they were proposed."""
        which = (move.c.subject.in_(idents), move.c.position > 1)
        with self._system.database.read() as unit:
            return int(unit.execute(select(func.count()).select_from(move).where(*which)).scalar_one())


def known_to_policy(shown: dict[str, Any]) -> bool:
    """Whether the policy will approve a quoted payout by itself: one that it leaves to people says so."""
    return "waits for a person" not in str(shown["note"])


def _settled_deposit(system: System, url: str) -> Pattern:
    """One payment, paid and settled as shoppers do, whose store declares what USD becomes."""
    services, store = system.services, system.store.id
    services.stores.set(store, {"notify_url": f"{url}/shop"}, who="operator")
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
