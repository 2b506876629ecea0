"""Waits double, are capped and never negative; a step ends before its lease does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.rules.work import BACKOFF_FIRST, BACKOFF_MAX, STEP_DEADLINE, backoff, step_deadline


def test_the_first_waits_double_from_five_seconds() -> None:
    waits = [backoff(attempt).total_seconds() for attempt in range(6)]
    assert waits == [5, 5, 10, 20, 40, 80]


@given(st.integers(min_value=-5, max_value=10_000), st.floats(min_value=0, max_value=1))
def test_every_wait_is_within_its_bounds_whatever_the_attempt(attempt: int, jitter: float) -> None:
    wait = backoff(attempt, jitter=jitter)
    assert BACKOFF_FIRST / 2 <= wait <= BACKOFF_MAX
    assert backoff(attempt + 1, jitter=jitter) >= wait


@given(st.floats(min_value=0, max_value=1))
def test_jitter_shortens_by_at_most_half(jitter: float) -> None:
    full, half = backoff(4), backoff(4, jitter=1.0)
    assert half == full / 2
    assert half <= backoff(4, jitter=jitter) <= full


def test_first_and_longest_can_be_chosen() -> None:
    minute = timedelta(minutes=1)
    assert backoff(1, first=minute) == minute
    assert backoff(30, first=minute, longest=timedelta(hours=1)) == timedelta(hours=1)


@pytest.mark.parametrize(("lease_s", "deadline_s"), [(10, 5), (120, 60), (121, 60), (3600, 60)])
def test_a_step_ends_by_half_its_lease_and_never_later_than_a_minute(lease_s: int, deadline_s: int) -> None:
    assert step_deadline(timedelta(seconds=lease_s)) == timedelta(seconds=deadline_s)
    assert step_deadline(timedelta(seconds=lease_s)) <= STEP_DEADLINE
