"""Identifiers sort by time, keep the order they were made in, and do not repeat."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from checkout.identifiers import maker

MOMENT = datetime(2026, 11, 21, 12, tzinfo=UTC)


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
