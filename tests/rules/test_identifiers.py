"""Identifiers sort by time, keep the order they were made in, and do not repeat."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.identifiers import earliest, maker

MOMENT = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def test_ids_of_one_millisecond_keep_their_order_and_differ() -> None:
    new_id = maker(lambda: MOMENT)
    made = [new_id("msg") for _ in range(1000)]
    assert made == sorted(set(made))


def test_a_later_id_sorts_after_an_earlier_one() -> None:
    now = [MOMENT]
    new_id = maker(lambda: now[0])
    first = new_id("pay")
    now[0] += timedelta(milliseconds=1)
    assert first < new_id("pay")
    assert len(first) == len("pay_") + 26


def test_two_processes_do_not_make_the_same_id() -> None:
    assert maker(lambda: MOMENT)("pay") != maker(lambda: MOMENT)("pay")


@given(st.timedeltas(-30_000 * DAY // 2, 30_000 * DAY).map(lambda span: MOMENT + span), st.timedeltas(timedelta(), DAY))
def test_what_is_made_at_a_moment_or_later_never_sorts_before_its_earliest(moment: datetime, later: timedelta) -> None:
    bound = earliest("pay", moment)
    assert len(bound) == len(maker(lambda: moment)("pay"))
    assert maker(lambda: moment + later)("pay") >= bound
    assert maker(lambda: moment - timedelta(milliseconds=2))("pay") < bound
    assert maker(lambda: moment + later)("pay") >= earliest("pay", moment + later + DAY, apart=-DAY)


@pytest.mark.parametrize("moment", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
def test_a_time_beyond_all_identifiers_is_before_or_behind_them(moment: datetime) -> None:
    made = maker(lambda: MOMENT)("pay")
    for apart in (-DAY, DAY):
        assert (earliest("pay", moment, apart=apart) < made) == (moment.year == 1)
