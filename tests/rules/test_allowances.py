"""Requests are handed out in chunks, and never more than the limit in a window, in whatever order processes ask."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.rules.allowances import CHUNKS, Tally, counted_in, hand_out, wait_s, window_of

MINUTE = timedelta(minutes=1)
AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_a_window_is_a_whole_minute_of_the_clock() -> None:
    assert window_of(AT + timedelta(seconds=59.999999), MINUTE) == AT
    assert window_of(AT + MINUTE, MINUTE) == AT + MINUTE


@pytest.mark.parametrize(
    ("limit", "chunk"), [(1, 1), (19, 1), (20, 1), (39, 1), (40, 2), (600, 30), (1_000_000, 50_000)]
)
def test_a_chunk_is_a_twentieth_and_at_least_one(limit: int, chunk: int) -> None:
    assert hand_out(None, AT, MINUTE, limit) == (Tally(AT, chunk), chunk)


def test_the_last_chunk_is_what_is_left_and_then_there_is_none() -> None:
    assert hand_out(Tally(AT, 590), AT, MINUTE, 600) == (Tally(AT, 600), 10)
    assert hand_out(Tally(AT, 600), AT, MINUTE, 600) == (Tally(AT, 600), 0)
    assert hand_out(Tally(AT, 700), AT, MINUTE, 600) == (Tally(AT, 700), 0)


def test_a_new_window_begins_at_nothing() -> None:
    assert hand_out(Tally(AT, 600), AT + MINUTE, MINUTE, 600) == (Tally(AT + MINUTE, 30), 30)


def test_a_slower_clock_counts_in_the_window_that_a_faster_one_has_begun() -> None:
    assert hand_out(Tally(AT + MINUTE, 600), AT, MINUTE, 600) == (Tally(AT + MINUTE, 600), 0)
    assert counted_in(AT, AT + MINUTE, MINUTE) == AT + MINUTE


def test_a_clock_that_was_hours_ahead_shuts_nobody_out() -> None:
    assert hand_out(Tally(AT + timedelta(hours=5), 600), AT, MINUTE, 600) == (Tally(AT, 30), 30)


@pytest.mark.parametrize(("seconds", "wait"), [(0, 60), (0.5, 60), (59, 1), (59.999, 1), (61, 1)])
def test_the_wait_is_whole_seconds_to_the_next_window_and_at_least_one(seconds: float, wait: int) -> None:
    assert wait_s(AT + timedelta(seconds=seconds), AT, MINUTE) == wait


@given(
    limit=st.integers(1, 300),
    asks=st.lists(st.tuples(st.integers(0, 240), st.integers(-20, 20)), max_size=200),
)
def test_no_window_hands_out_more_than_the_limit(limit: int, asks: list[tuple[int, int]]) -> None:
    """Processes ask as time goes on, each by its own clock, which is up to 20 s wrong."""
    tally: Tally | None = None
    handed_out: Counter[datetime] = Counter()
    for second, wrong_s in sorted(asks):
        mine = window_of(AT + timedelta(seconds=second + wrong_s), MINUTE)
        tally, granted = hand_out(tally, mine, MINUTE, limit)
        assert 0 <= granted <= max(1, limit // CHUNKS)
        handed_out[tally.window] += granted
        assert tally.taken == handed_out[tally.window]
    assert all(taken <= limit for taken in handed_out.values())
