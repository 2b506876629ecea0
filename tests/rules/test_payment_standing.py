"""A payment's standing follows from facts alone: examples for every status and anomaly, then any facts in any order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.rules.deposits import Stage
from checkout.rules.money import Money
from checkout.rules.payments import (
    NOTIFIED_AT_ONCE,
    NOTIFIED_BY_CLOCK,
    PAID,
    Anomaly,
    DepositFacts,
    PaymentFacts,
    PaymentView,
    SessionState,
    Status,
    choose_counted,
    covers,
    derive,
)

ASKED = Money(900, "EUR")
OPEN, SENDING, LOST, DECLINED = SessionState.OPEN, SessionState.SENDING, SessionState.LOST, SessionState.DECLINED


def deposit(stage: Stage | None, minor: int = 900, currency: str = "EUR", **known: Any) -> DepositFacts:
    """A deposit ``d1`` of session ``s1``; it has money from ``accepted`` on."""
    money = Money(minor, currency) if stage in (Stage.ACCEPTED, Stage.SETTLED) else None
    return DepositFacts(**{"id": "d1", "session_id": "s1", "stage": stage, "money": money, **known})


def view(
    *deposits: DepositFacts, asked: Money | None = ASKED, sessions: Sequence[SessionState] = (OPEN,), **known: Any
) -> PaymentView:
    states = [(f"s{number}", state) for number, state in enumerate(sessions, 1)]
    return derive(PaymentFacts(asked=asked, deposits=deposits, sessions=states, **known))


@pytest.mark.parametrize(
    ("sessions", "status"),
    [
        ([], "created"),
        ([SENDING], "created"),
        ([LOST], "created"),
        ([DECLINED], "failed"),
        ([OPEN], "open"),
        ([LOST, OPEN], "open"),
        ([DECLINED, OPEN], "open"),
        ([DECLINED, SENDING], "created"),
        ([OPEN, DECLINED], "open"),
        ([LOST, DECLINED], "failed"),
    ],
)
def test_without_deposits_the_sessions_speak(sessions: list[SessionState], status: str) -> None:
    assert view(sessions=sessions).status == status


@pytest.mark.parametrize(
    ("stage", "status"),
    [
        ("open", "open"),
        ("initiated", "initiated"),
        ("submitted", "submitted"),
        ("accepted", "accepted"),
        ("settled", "settled"),
    ],
)
def test_one_good_deposit_takes_the_payment_with_it(stage: str, status: str) -> None:
    seen = view(deposit(Stage(stage)))
    assert (seen.status, seen.anomalies) == (status, ())
    assert (seen.counted == "d1") == (status in PAID)


@pytest.mark.parametrize("sessions", [[LOST], [SENDING], [DECLINED], [OPEN]])
def test_an_open_deposit_opens_the_payment_whatever_became_of_the_session(sessions: list[SessionState]) -> None:
    assert view(deposit(Stage.OPEN), sessions=sessions).status == "open"


@pytest.mark.parametrize("stage", [None, Stage.OPEN, Stage.INITIATED, Stage.SUBMITTED])
def test_a_failed_deposit_fails_the_payment_when_nothing_else_can_come(stage: Stage | None) -> None:
    failed = deposit(stage, failed=True)
    assert view(failed).status == "failed"
    assert view(failed, sessions=[OPEN, OPEN]).status == "open"
    assert view(failed, sessions=[OPEN, SENDING]).status == "created"
    assert view(failed, sessions=[OPEN, DECLINED]).status == "failed"
    assert view(failed, deposit(Stage.SUBMITTED, id="d2")).status == "submitted"
    assert view(failed, deposit(Stage.OPEN, id="d2")).status == "open"


@pytest.mark.parametrize("stage", [Stage.ACCEPTED, Stage.SETTLED])
def test_money_after_a_failure_is_honoured_and_contradicts_it(stage: Stage) -> None:
    seen = view(deposit(stage, failed=True))
    assert (seen.status.value, seen.anomalies) == (stage.value, (Anomaly.CONTRADICTION,))


@pytest.mark.parametrize(
    ("known", "expired", "cancelled"),
    [
        ((), "expired", "cancelled"),
        ((deposit(Stage.OPEN),), "expired", "cancelled"),
        ((deposit(Stage.OPEN, failed=True),), "expired", "cancelled"),
        ((deposit(Stage.INITIATED),), "initiated", "initiated"),
        ((deposit(Stage.SUBMITTED),), "submitted", "submitted"),
        ((deposit(Stage.ACCEPTED, late=True),), "accepted", "accepted"),
        ((deposit(Stage.SETTLED, late=True),), "settled", "settled"),
    ],
)
def test_an_ended_payment_still_honours_what_comes(
    known: tuple[DepositFacts, ...], expired: str, cancelled: str
) -> None:
    assert view(*known, expired=True).status == expired
    assert view(*known, cancelled=True).status == cancelled
    assert view(*known, expired=True, cancelled=True).status == cancelled
    paid = any(one.has_money for one in known)
    assert view(*known, expired=True).anomalies == ((Anomaly.LATE,) if paid else ())


@pytest.mark.parametrize("stage", [Stage.ACCEPTED, Stage.SETTLED])
@pytest.mark.parametrize(
    ("minor", "currency", "status", "anomaly"),
    [
        (899, "EUR", "submitted", "underpaid"),
        (1, "EUR", "submitted", "underpaid"),
        (901, "EUR", None, "overpaid"),
        (900, "USD", "submitted", "currency_mismatch"),
        (5_000, "USD", "submitted", "currency_mismatch"),
    ],
)
def test_money_that_is_not_what_was_asked(
    stage: Stage, minor: int, currency: str, status: str | None, anomaly: str
) -> None:
    seen = view(deposit(stage, minor, currency))
    assert seen.status == (status or stage)
    assert seen.anomalies == (anomaly,)


def test_two_deposits_that_only_cover_together_pay_nothing() -> None:
    seen = view(deposit(Stage.SETTLED, 450), deposit(Stage.SETTLED, 450, id="d2"))
    assert (seen.status, seen.anomalies, seen.counted) == ("submitted", (Anomaly.UNDERPAID,), None)


def test_a_second_deposit_that_covers_is_a_duplicate() -> None:
    seen = view(deposit(Stage.SETTLED), deposit(Stage.ACCEPTED, id="d2"))
    assert (seen.status, seen.anomalies, seen.counted) == ("settled", (Anomaly.DUPLICATE,), "d1")


def test_a_session_without_an_amount_is_paid_by_whatever_comes() -> None:
    seen = view(deposit(Stage.SETTLED, 123, "USD"), asked=None)
    assert (seen.status, seen.anomalies) == ("settled", ())


def test_money_elsewhere_pays_the_order_and_says_so() -> None:
    seen = view(deposit(Stage.SETTLED, foreign=True))
    assert (seen.status, seen.anomalies) == ("settled", (Anomaly.FOREIGN_DESTINATION,))


def test_anomalies_are_told_gravest_first() -> None:
    seen = view(
        deposit(Stage.SETTLED, 901, failed=True, foreign=True, late=True),
        deposit(Stage.SETTLED, id="d2"),
        deposit(Stage.ACCEPTED, 1, id="d3"),
        deposit(Stage.ACCEPTED, 1, "USD", id="d4"),
    )
    assert [one.value for one in seen.anomalies] == [
        "contradiction", "foreign_destination", "currency_mismatch", "underpaid", "duplicate", "overpaid", "late",
    ]  # fmt: skip


def test_no_deposit_covers_before_its_money_has_arrived() -> None:
    assert not covers(deposit(Stage.SUBMITTED), ASKED)
    assert not covers(replace(deposit(Stage.ACCEPTED), money=None), ASKED)
    assert view(replace(deposit(Stage.ACCEPTED), money=None)).anomalies == ()


# --- which deposit counts ----------------------------------------------------------------------------------------


def counted(*deposits: DepositFacts, before: str | None = None) -> str | None:
    return choose_counted(PaymentFacts(asked=ASKED, deposits=deposits, sessions=[], counted=before))


def test_the_furthest_counts_then_the_one_at_home_then_the_one_counted_already_then_the_first() -> None:
    first, second = deposit(Stage.ACCEPTED, id="a"), deposit(Stage.ACCEPTED, id="b")
    assert counted(first, second) == "a"
    assert counted(first, second, before="b") == "b"
    assert counted(replace(first, foreign=True), second, before="a") == "b"
    assert counted(replace(first, foreign=True), replace(second, foreign=True), before="b") == "b"
    assert counted(first, replace(second, stage=Stage.SETTLED), before="a") == "b"
    assert counted(first, replace(second, stage=Stage.SETTLED, foreign=True), before="a") == "b"


def test_what_a_record_refund_or_person_stands_on_keeps_its_role() -> None:
    fixed, better = deposit(Stage.ACCEPTED, id="a", fixed=True), deposit(Stage.SETTLED, id="b")
    assert counted(fixed, better, before="a") == "a"
    # one that was put aside and allocated is not taken back to pay the order
    assert counted(fixed, deposit(Stage.SUBMITTED, id="b")) is None
    assert counted(fixed, better) == "b"


def test_nothing_counts_when_nothing_covers() -> None:
    assert counted() is None
    assert counted(deposit(Stage.SETTLED, 899), deposit(Stage.SETTLED, 900, "USD", id="b")) is None


# --- any facts, any order ----------------------------------------------------------------------------------------

DEPOSITS = st.builds(
    lambda ident, session, stage, failed, money, foreign, late: DepositFacts(
        id=ident, session_id=session, stage=stage, failed=failed or stage is None, foreign=foreign, late=late,
        money=money if stage in (Stage.ACCEPTED, Stage.SETTLED) else None,
    ),
    st.uuids().map(str),
    st.sampled_from(["s1", "s2"]),
    st.sampled_from([None, *Stage]),
    st.booleans(),
    st.sampled_from([Money(900, "EUR"), Money(850, "EUR"), Money(1000, "EUR"), Money(900, "USD")]),
    st.booleans(),
    st.booleans(),
)  # fmt: skip
FACTS = st.builds(
    PaymentFacts,
    asked=st.just(ASKED),
    deposits=st.lists(DEPOSITS, max_size=4, unique_by=lambda one: one.id),
    sessions=st.lists(st.sampled_from(SessionState), max_size=2).map(
        lambda states: [(f"s{number}", state) for number, state in enumerate(states, 1)]
    ),
    expired=st.booleans(),
    cancelled=st.booleans(),
)


@given(FACTS)
def test_the_same_facts_in_any_order_give_the_same_standing(facts: PaymentFacts) -> None:
    seen = {
        (view.status, view.anomalies, view.counted is None)
        for order in itertools.permutations(facts.deposits)
        for view in [derive(replace(facts, deposits=order, sessions=facts.sessions[::-1]))]
    }
    assert len(seen) == 1


@given(FACTS)
def test_what_was_counted_before_changes_only_which_of_two_equals_counts(facts: PaymentFacts) -> None:
    """Deposits become known one after the other, each time remembering the one counted so far."""
    seen = set()
    for order in itertools.permutations(facts.deposits):
        remembered: str | None = None
        for known in range(1, len(order) + 1):
            remembered = derive(replace(facts, deposits=order[:known], counted=remembered)).counted
        last = derive(replace(facts, deposits=order, counted=remembered))
        winner = next((one for one in order if one.id == last.counted), None)
        seen.add((last.status, last.anomalies, winner and (winner.stage, winner.foreign)))
    assert len(seen) == 1


@given(FACTS)
def test_a_payment_is_paid_exactly_when_one_deposit_covers_it(facts: PaymentFacts) -> None:
    seen = derive(facts)
    covering = [one for one in facts.deposits if covers(one, facts.asked)]
    assert (seen.status in PAID) == bool(covering)
    if covering:
        assert seen.counted in {one.id for one in covering}
        assert seen.status == max((one.stage for one in covering), key=list(Stage).index)  # type: ignore[arg-type]
    else:
        assert seen.counted is None
        money = any(one.has_money for one in facts.deposits)
        assert not money or seen.status is Status.SUBMITTED


@given(FACTS, DEPOSITS)
def test_no_anomaly_goes_away_by_more_news(facts: PaymentFacts, more: DepositFacts) -> None:
    later = replace(facts, deposits=[*facts.deposits, more])
    assert set(derive(facts).anomalies) <= set(derive(later).anomalies)


def test_each_status_is_told_at_once_by_the_clock_or_not_at_all() -> None:
    assert dict(NOTIFIED_AT_ONCE) == {"accepted": "payment.accepted", "settled": "payment.settled"}
    assert dict(NOTIFIED_BY_CLOCK) == {"failed": "payment.failed", "expired": "payment.expired"}
