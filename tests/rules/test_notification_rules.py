"""What stores can be told, what a filter lets through, and how long an endpoint that fails is left alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.paying_out.payout_moves import ANNOUNCED
from checkout.rules.notifications import FAMILIES, KINDS, TEST, events_problem, wanted
from checkout.rules.payments import NOTIFIED_AT_ONCE, NOTIFIED_BY_CLOCK
from checkout.rules.refunds import RefundState
from checkout.rules.work import ENDPOINT_REFUSALS, ENDPOINT_REST_MAX, endpoint_rest


def test_the_types_are_those_that_the_code_announces() -> None:
    payments = {*NOTIFIED_AT_ONCE.values(), *NOTIFIED_BY_CLOCK.values(), "payment.anomaly"}
    announced = payments | {f"refund.{state}" for state in RefundState} | {f"payout.{state}" for state in ANNOUNCED}
    assert set(KINDS) == announced
    assert FAMILIES == ("payment.*", "refund.*", "payout.*")


@pytest.mark.parametrize(
    ("kind", "events", "expected"),
    [
        ("payment.settled", None, True),
        (TEST, None, True),
        ("payment.settled", ["payment.settled"], True),
        ("payment.accepted", ["payment.settled"], False),
        ("refund.sent", ["payment.settled", "refund.*"], True),
        ("payout.completed", ["payment.*", "refund.*"], False),
        ("payment.settled", [], False),
    ],
)
def test_a_filter_names_types_and_families(kind: str, events: list[str] | None, expected: bool) -> None:
    assert wanted(kind, events) is expected


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        (["payment.settled", "refund.*"], None),
        ([], "name at least one type"),
        (["payment.paid"], "there is no type 'payment.paid'"),
        (["*"], "there is no type '*'"),
        ([TEST], "there is no type"),
    ],
)
def test_a_filter_of_unknown_types_is_refused_with_what_there_is(events: list[str], problem: str | None) -> None:
    found = events_problem(events)
    assert (found is None) if problem is None else (found is not None and problem in found)


@pytest.mark.parametrize(
    ("failures", "answered", "seconds"),
    [
        (1, True, None), (ENDPOINT_REFUSALS - 1, True, None), (ENDPOINT_REFUSALS, True, 20),
        (1, False, 5), (2, False, 10), (3, False, 20), (50, False, 300),
    ],
)  # fmt: skip
def test_silence_counts_at_once_and_refusals_when_they_are_several(
    failures: int, answered: bool, seconds: int | None
) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert endpoint_rest(failures, answered=answered) == expected


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_no_endpoint_is_left_alone_for_longer_than_the_longest_rest(failures: int, jitter: float) -> None:
    rest = endpoint_rest(failures, answered=False, jitter=jitter)
    assert rest is not None
    assert timedelta(0) < rest <= ENDPOINT_REST_MAX
