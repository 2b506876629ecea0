"""For one set of events, every order and any duplicates end the same.

A state machine tells two payments of one plan the same news, each in an order of its own, with identical repeats, the
sender's retries, worker turns and the clock ticking between them; at the end both must stand alike. The set itself is
drawn too, so every omission is compared with the same omission.

Two exceptions are by design and tested at the end, both wait for a person. Two money events of one deposit that state
different amounts: the first is applied, the second quarantined. An event without a reference on a session that has several
deposits: applied while there was only one, quarantined once there is doubt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.system import System
from tests.twins import (
    ANSWERED,
    NO_URL,
    OURS,
    REFUSED,
    REPLAYED,
    THEIRS,
    Deposit,
    News,
    Plan,
    Twin,
    finish,
    play,
    standing,
    world,
)

V2_WORDS = ("created", "initiated", "submitted", "accepted", "completed", "failed")
V1_WORDS = ("created", "submitted", "reconciled", "accepted", "failed")
#: Exact in three spellings, under, over; the asked amount is 9.00 EUR.
AMOUNTS = ("9", "9.00", "0.9e1", "8.5", "10", "9.01")
#: The steps of one example together stay far from the two minutes after which a failure is told.
TICKS_MAX_S = 60
STEPS_MIN, STEPS_MAX = 32, 60
#: A new database after so many examples, so that old unmatched news does not pile up.
EXAMPLES_PER_DATABASE = 8

NAMES = st.sets(st.sampled_from(["reference", "session", "ours"]), min_size=1).map(frozenset)


@st.composite
def news(draw: st.DrawFn) -> News:
    version = draw(st.sampled_from(["v2", "v1"]))
    word = draw(st.sampled_from(V2_WORDS if version == "v2" else V1_WORDS))
    names = draw(NAMES)
    destination = None
    if version == "v1" and word == "created":
        destination = draw(st.sampled_from([None, OURS, OURS.upper().replace("X", "x"), THEIRS, "Customer"]))
    return News(word, version, names, destination)


@st.composite
def deposits(draw: st.DrawFn, *, sessions: int) -> Deposit:
    return Deposit(
        session=draw(st.integers(0, sessions - 1)),
        reference=draw(st.integers(0, 2)),
        amount=draw(st.sampled_from(AMOUNTS)),
        currency=draw(st.sampled_from(["EUR", "EUR", "EUR", "USD"])),
        news=tuple(draw(st.lists(news(), min_size=1, max_size=5, unique=True))),
    )


def without_doubt(deposit: Deposit, *, alone: bool) -> Deposit:
    """Every event names its reference, unless it is about its session's own and only deposit."""
    if alone and deposit.reference == 0:
        return deposit
    news = dict.fromkeys(replace(one, names=one.names | {"reference"}) for one in deposit.news)
    return replace(deposit, news=tuple(news))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    openings = draw(
        st.sampled_from(
            [
                (ANSWERED, ANSWERED), (ANSWERED, REPLAYED), (ANSWERED, REFUSED), (ANSWERED, NO_URL),
                (REFUSED, ANSWERED), (NO_URL, ANSWERED), (ANSWERED,), (REPLAYED,), (REFUSED,),
            ]
        )
    )  # fmt: skip
    found = draw(
        st.lists(
            deposits(sessions=len(openings)), min_size=1, max_size=4, unique_by=lambda one: (one.session, one.reference)
        )
    )
    shared = Counter(one.session for one in found)
    told = tuple(without_doubt(one, alone=shared[one.session] == 1) for one in found)
    return Plan(openings, draw(st.sampled_from([False, False, False, True])), told)


class Worlds:
    """Databases made on demand, a fresh one every few examples; counts what was run."""

    def __init__(self, new_url: Callable[[], str]) -> None:
        self._new_url = new_url
        self._system: System | None = None
        self._left = 0
        self.steps: list[int] = []

    def next(self) -> System:
        if self._system is None or self._left == 0:
            self.close()
            self._system, self._left = world(self._new_url()), EXAMPLES_PER_DATABASE
        self._left -= 1
        return self._system

    def close(self) -> None:
        if self._system is not None:
            assert self._system.services.report.balance()["balanced"]
            self._system.close()
        self._system = None


class OneSetOfNews(RuleBasedStateMachine):
    """Two twins hear one set of news, each in its own order."""

    def __init__(self, worlds: Worlds) -> None:
        super().__init__()
        self._worlds = worlds
        self._twins: list[Twin] = []
        self._ticked_s = 0
        self._steps = 0

    @initialize(plan=plans())
    def open_both(self, plan: Plan) -> None:
        self._system = self._worlds.next()
        self._twins = [play(self._system, plan), play(self._system, plan)]

    @precondition(lambda self: any(twin.waiting for twin in self._twins))
    @rule(which=st.integers(0, 1), pick=st.integers(0, 19))
    def deliver(self, which: int, pick: int) -> None:
        twin = self._twins[which] if self._twins[which].waiting else self._twins[1 - which]
        twin.deliver(pick)

    @precondition(lambda self: any(twin.told for twin in self._twins))
    @rule(which=st.integers(0, 1), pick=st.integers(0, 19))
    def repeat(self, which: int, pick: int) -> None:
        twin = self._twins[which] if self._twins[which].told else self._twins[1 - which]
        twin.repeat(pick)

    @precondition(lambda self: any(twin.told for twin in self._twins))
    @rule(which=st.integers(0, 1), pick=st.integers(0, 19))
    def retry(self, which: int, pick: int) -> None:
        twin = self._twins[which] if self._twins[which].told else self._twins[1 - which]
        twin.retry(pick)

    @rule()
    def turn(self) -> None:
        self._system.services.worker("steps").turn()

    @precondition(lambda self: self._ticked_s < TICKS_MAX_S)
    @rule(seconds=st.integers(1, 4))
    def tick(self, seconds: int) -> None:
        self._ticked_s += seconds
        self._system.clock.advance(seconds=seconds)

    @invariant()
    def count(self) -> None:
        self._steps += 1

    def teardown(self) -> None:
        if not self._twins:
            return
        first, second = self._twins
        while first.waiting:
            first.deliver(0)
        while second.waiting:
            second.deliver(-1)
        finish(self._system)
        self._worlds.steps.append(self._steps)
        one, other = standing(first), standing(second)
        assert one == other
        assert one["sequences"]


def prove(worlds: Worlds, *, examples: int) -> None:
    run_state_machine_as_test(
        lambda: OneSetOfNews(worlds),  # type: ignore[arg-type]  # any maker will do, its documentation says
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS_MAX,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
        _min_steps=STEPS_MIN,
    )
    worlds.close()


@pytest.mark.slow
def test_one_set_of_news_ends_the_same_in_every_order_on_sqlite(fast_folder: Path) -> None:
    numbers = iter(range(10_000))
    worlds = Worlds(lambda: f"sqlite:///{fast_folder / f'{next(numbers)}.db'}")
    prove(worlds, examples=205)
    assert sum(steps >= 30 for steps in worlds.steps) >= 200


@pytest.mark.slow
@pytest.mark.postgresql
def test_one_set_of_news_ends_the_same_in_every_order_on_postgresql(postgresql_server: Callable[[], str]) -> None:
    worlds = Worlds(postgresql_server)
    prove(worlds, examples=15)
    assert sum(steps >= 30 for steps in worlds.steps) >= 10


def test_two_amounts_for_one_deposit_are_the_exception_the_later_one_waits_for_a_person(system: System) -> None:
    seen = []
    for accepted, completed in ((9, 10), (10, 9)):
        answer = system.pay()
        session = system.sessions(answer.payment.id)[0]
        system.hear(session, "accepted", amount=accepted)
        system.hear(session, "completed", amount=completed)
        payment = system.payment(answer.payment.id)
        seen.append((payment.status, payment.anomalies))
    assert seen == [("accepted", ""), ("accepted", "overpaid")]
    assert system.cases() == ["event_quarantined", "event_quarantined", "overpaid"]


def test_an_event_without_a_reference_waits_for_a_person_once_its_session_has_two_deposits(system: System) -> None:
    seen = []
    for order in (("own", "none", "second"), ("own", "second", "none")):
        session = system.sessions(system.pay().payment.id)[0]
        references = {"own": session.reference, "second": f"{session.reference}-2", "none": ...}
        for which in order:
            system.hear(session, "initiated" if which == "none" else "created", reference=references[which])
        seen.append(system.payment(session.payment_id).status)
    assert seen == ["initiated", "open"]
    assert system.cases() == ["event_quarantined"]
