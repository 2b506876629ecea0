"""Which free funds become payouts together, and at which moment of the local day, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.rules.policies import Kind, choose, next_run

SOURCES = st.lists(st.integers(1, 1000), max_size=12).map(
    lambda ones: [(f"set_{i}", one) for i, one in enumerate(ones)]
)
LIMIT = st.none() | st.integers(1, 2000)
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Kolkata",
    "UTC",
    "America/Sao_Paulo",
]


@given(st.sampled_from(Kind), SOURCES, LIMIT, LIMIT, LIMIT)
def test_no_source_is_divided_doubled_or_put_where_the_limits_forbid(
    kind: Kind, sources: list[tuple[str, int]], threshold: int | None, minimum: int | None, maximum: int | None
) -> None:
    choice = choose(kind, sources, threshold=threshold, minimum=minimum, maximum=maximum)
    chosen = [one for batch in choice.batches for one in batch]
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= set(sources)
    assert chosen == [one for one in sources if one in chosen], "oldest first"
    for batch in choice.batches:
        total = sum(minor for _, minor in batch)
        assert total >= (minimum or 1)
        assert maximum is None or total <= maximum
    assert not set(chosen) & set(choice.too_large)
    if kind is Kind.MANUAL:
        assert choice.batches == ()


@given(SOURCES)
def test_without_limits_everything_goes_at_once_and_per_payment_each_goes_alone(sources: list[tuple[str, int]]) -> None:
    nothing: dict[str, int | None] = {"threshold": None, "minimum": None, "maximum": None}
    whole = (tuple(sources),) if sources else ()
    assert choose(Kind.DAILY, sources, **nothing).batches == whole
    assert choose(Kind.WEEKLY, sources, **nothing).batches == whole
    assert choose(Kind.PER_PAYMENT, sources, **nothing).batches == tuple((one,) for one in sources)


def test_a_threshold_counts_what_can_be_paid_out() -> None:
    sources = [("a", 60), ("b", 500), ("c", 30)]
    assert choose(Kind.THRESHOLD, sources, threshold=91, minimum=None, maximum=100).batches == ()
    assert choose(Kind.THRESHOLD, sources, threshold=90, minimum=None, maximum=100).batches == (
        (sources[0], sources[2]),
    )
    assert choose(Kind.THRESHOLD, sources, threshold=90, minimum=None, maximum=100).too_large == (sources[1],)


def test_a_minimum_gathers_small_ones() -> None:
    sources = [("a", 4), ("b", 3), ("c", 9), ("d", 2)]
    choice = choose(Kind.PER_PAYMENT, sources, threshold=None, minimum=6, maximum=None)
    assert choice.batches == ((sources[0], sources[1]), (sources[2],))


@given(
    st.sampled_from(ZONES), st.integers(0, 1439), st.none() | st.integers(0, 6),
    st.integers(0, 20 * 365 * 86_400).map(lambda s: datetime(2010, 1, 1, tzinfo=UTC) + timedelta(seconds=s)),
)  # fmt: skip
def test_a_run_is_after_now_on_the_right_day_and_none_is_left_out(
    zone: str, minute: int, weekday: int | None, now: datetime
) -> None:
    there = ZoneInfo(zone)
    first = next_run(there, minute, weekday, after=now)
    second = next_run(there, minute, weekday, after=first)
    assert now < first < second
    days = 1 if weekday is None else 7
    # a clock may be changed by some hours, and one zone has left out a whole day
    assert first - now <= timedelta(days=days + 1, hours=2)
    assert timedelta(days=days, hours=-25) <= second - first <= timedelta(days=days + 1, hours=2)
    local = first.astimezone(there)
    if (local.hour * 60 + local.minute) != minute:
        skipped = datetime(local.year, local.month, local.day, minute // 60, minute % 60, tzinfo=there)
        assert skipped.astimezone(UTC).astimezone(there).replace(tzinfo=None) != skipped.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("zone", "minute", "after", "expected"),
    [
        # spring, Berlin: 02:30 is left out on 29 March 2026, so it is 03:30 by the new clocks
        ("Europe/Berlin", 150, "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"),
        ("Europe/Berlin", 150, "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"),
        # autumn: 02:30 comes twice on 25 October 2026; the first counts, and it counts once
        ("Europe/Berlin", 150, "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
        ("Europe/Berlin", 150, "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ("Europe/Berlin", 1080, "2026-07-01T16:00:00Z", "2026-07-02T16:00:00Z"),
        ("America/New_York", 0, "2026-11-01T03:59:59Z", "2026-11-01T04:00:00Z"),
        # the day that Samoa left out: one run for it and the next together
        ("Pacific/Apia", 1080, "2011-12-30T05:00:00Z", "2011-12-31T04:00:00Z"),
        ("Pacific/Apia", 1080, "2011-12-31T04:00:00Z", "2012-01-01T04:00:00Z"),
    ],
)
def test_clock_changes_by_hand(zone: str, minute: int, after: str, expected: str) -> None:
    assert next_run(ZoneInfo(zone), minute, None, after=datetime.fromisoformat(after)) == datetime.fromisoformat(
        expected
    )
