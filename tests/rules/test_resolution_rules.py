"""What each word about a payout's money does to what it holds: nothing is made, nothing is forgotten, any history long."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.errors import NotPossible
from checkout.rules.ledger import Book
from checkout.rules.payouts import PayoutState
from checkout.rules.resolutions import (
    SAYABLE,
    Held,
    Shift,
    Where,
    arrive,
    check_sayable,
    come_back,
    exceed,
    fall_short,
    find,
    stay,
)

MINOR = st.integers(0, 10**12)
HELD = st.builds(Held, MINOR, MINOR, MINOR)


def after(held: Held, shift: Shift) -> dict[Book, int]:
    """Every book the shift touches, beginning with what is held."""
    books = {**held.books(), **dict.fromkeys((Book.FREE, Book.STABLES_COST, Book.EXCHANGE), 0)}
    for to, giver, minor in shift.legs:
        assert minor > 0
        assert to is not giver
        books[to] += minor
        books[giver] -= minor
        assert books[giver] >= 0 or giver is Book.EXCHANGE, "nothing gives what it does not have"
    return books


@given(HELD, st.integers(1, 10**12))
def test_what_arrives_is_the_payouts_own_amount_at_most_and_leaves_all_at_once(held: Held, amount: int) -> None:
    if held.total == 0:
        with pytest.raises(NotPossible, match="nothing"):
            arrive(held, amount)
        return
    shift = arrive(held, amount)
    books = after(held, shift)
    assert books[Book.EXCHANGE] == shift.sent == min(held.total, amount)
    assert books[Book.RESERVED] + books[Book.IN_TRANSIT] + books[Book.UNALLOCATED] == held.total - shift.sent


@given(HELD, st.integers(1, 10**12))
def test_only_a_payout_that_is_wholly_reserved_was_never_sent(held: Held, amount: int) -> None:
    with pytest.raises(NotPossible):
        stay(Held(held.reserved, held.in_transit + 1, held.unallocated), amount)
    with pytest.raises(NotPossible):
        stay(Held(amount, 0, 1), amount)
    assert after(Held(amount), stay(Held(amount), amount))[Book.FREE] == amount


@given(HELD, MINOR, MINOR, st.booleans())
def test_what_comes_back_and_what_it_cost_is_all_that_moves(held: Held, back: int, cost: int, only: bool) -> None:
    within = held.unallocated if only else held.total
    if back + cost > within:
        with pytest.raises(NotPossible, match="does not hold that much"):
            come_back(held, back, cost, only_unallocated=only)
        return
    shift = come_back(held, back, cost, only_unallocated=only)
    books = after(held, shift)
    assert (books[Book.FREE], books[Book.STABLES_COST], shift.freed) == (back, cost, back)
    if only:
        assert (books[Book.RESERVED], books[Book.IN_TRANSIT]) == (held.reserved, held.in_transit)


@given(HELD, MINOR)
def test_what_is_found_beyond_the_payouts_own_left_the_free_treasury(held: Held, found: int) -> None:
    shift = find(held, found)
    books = after(held, shift)
    assert books[Book.UNALLOCATED] + shift.drawn == held.unallocated + found
    assert shift.drawn == max(0, found - held.own)


@given(HELD, MINOR)
def test_what_was_not_sent_is_free_and_what_was_is_in_transit(held: Held, sent: int) -> None:
    if not 0 < sent < held.own:
        with pytest.raises(NotPossible, match="less than"):
            fall_short(held, sent)
        return
    shift = fall_short(held, sent)
    books = after(held, shift)
    assert (books[Book.IN_TRANSIT], books[Book.FREE], books[Book.RESERVED]) == (sent, held.own - sent, 0)
    assert books[Book.UNALLOCATED] == held.unallocated
    assert shift.freed == held.own - sent


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_only_more_than_was_asked_for_is_too_much(sent: int, amount: int) -> None:
    if sent > amount:
        assert exceed(sent, amount) == Shift(drawn=sent - amount)
        return
    with pytest.raises(NotPossible, match="more than"):
        exceed(sent, amount)


@pytest.mark.parametrize(("where", "state"), list(itertools.product(Where, PayoutState)))
def test_every_word_is_sayable_of_a_state_or_refused_with_the_states_it_is_for(
    where: Where, state: PayoutState
) -> None:
    if state in SAYABLE[where]:
        check_sayable(where, state)
        return
    with pytest.raises(NotPossible, match=str(where)):
        check_sayable(where, state)


def test_before_a_transfer_exists_nothing_can_be_said() -> None:
    for state in (PayoutState.PROPOSED, PayoutState.QUOTED, PayoutState.APPROVED, PayoutState.TRANSFER_CREATED):
        assert not [where for where in Where if state in SAYABLE[where]]
