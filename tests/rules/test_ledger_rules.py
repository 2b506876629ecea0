"""Postings move money between accounts of one asset: nothing appears, nothing is lost, no row is empty."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from checkout.rules.deposits import Stage
from checkout.rules.ledger import (
    Account,
    Book,
    Crossing,
    Posting,
    cross,
    move,
    on_network,
    place,
    shift,
    totals,
)
from checkout.rules.money import Money
from checkout.rules.payments import DepositFacts

EUR = Account("sto_1", Book.SETTLED, "EUR")
ASKED = Money(900, "EUR")


def deposit(stage: Stage = Stage.SETTLED, minor: int = 900, **known: Any) -> DepositFacts:
    return DepositFacts(
        **{"id": "d1", "session_id": "s1", "stage": stage, "money": Money(minor, "EUR"), **known},
    )


def in_books(postings: list[Posting]) -> dict[str, int]:
    return {f"{account.book}/{account.asset}": minor for account, minor in totals(postings).items() if minor}


# --- one posting -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minor", [0, -1])
def test_a_posting_moves_more_than_zero(minor: int) -> None:
    with pytest.raises(ValueError, match="more than zero"):
        move("sto_1", "EUR", Book.SETTLED, Book.SHOPPER, minor, key="k", cause="c")


def test_no_posting_turns_one_asset_into_another() -> None:
    with pytest.raises(ValueError, match="cannot become"):
        Posting("k", EUR, Account("sto_1", Book.EXCHANGE, "USDC@polygon"), 1, "c")


def test_a_posting_needs_two_accounts() -> None:
    with pytest.raises(ValueError, match="two accounts"):
        Posting("k", EUR, EUR, 1, "c")


def test_an_asset_on_another_network_is_another_account() -> None:
    polygon = Account("sto_1", Book.FREE, on_network("USDC", "polygon"))
    assert polygon.id == "sto_1/treasury_free/USDC@polygon"
    assert polygon.id != Account("sto_1", Book.FREE, on_network("USDC", "ethereum")).id


def test_debit_receives_and_credit_gives() -> None:
    assert in_books([move("sto_1", "EUR", Book.SETTLED, Book.SHOPPER, 5, key="k", cause="c")]) == {
        "stable_mint_settled/EUR": 5, "shopper_receivable/EUR": -5,
    }  # fmt: skip


# --- where a deposit's money stands ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_deposit", "counted", "asked", "books"),
    [
        (deposit(Stage.SUBMITTED), True, ASKED, {}),
        (deposit(money=None), True, ASKED, {}),
        (deposit(minor=0), True, ASKED, {}),
        (deposit(Stage.ACCEPTED), True, ASKED, {Book.ACCEPTED: 900}),
        (deposit(), True, ASKED, {Book.SETTLED: 900}),
        (deposit(minor=1000), True, ASKED, {Book.SETTLED: 900, Book.UNALLOCATED: 100}),
        (deposit(Stage.ACCEPTED, 1000), True, ASKED, {Book.ACCEPTED: 900, Book.UNALLOCATED: 100}),
        (deposit(minor=1000), True, None, {Book.SETTLED: 1000}),
        (deposit(minor=850), False, ASKED, {Book.UNALLOCATED: 850}),
        (deposit(Stage.ACCEPTED), False, ASKED, {Book.UNALLOCATED: 900}),
        (deposit(foreign=True), True, ASKED, {Book.UNALLOCATED: 900}),
        (deposit(minor=1000, foreign=True), True, ASKED, {Book.UNALLOCATED: 1000}),
        (deposit(minor=1000, allocated=True), True, ASKED, {Book.SETTLED: 1000}),
        (deposit(minor=850, allocated=True), False, ASKED, {Book.SETTLED: 850}),
        (deposit(foreign=True, allocated=True), True, ASKED, {Book.SETTLED: 900}),
    ],
)
def test_a_deposits_money_stands_where_its_role_says(
    given_deposit: DepositFacts, counted: bool, asked: Money | None, books: dict[Book, int]
) -> None:
    assert place(given_deposit, counted=counted, asked=asked) == books


# --- from one place to another -----------------------------------------------------------------------------------

PLACES = st.dictionaries(
    st.sampled_from([Book.ACCEPTED, Book.SETTLED, Book.UNALLOCATED]), st.integers(min_value=1, max_value=10**9)
)


@given(PLACES, PLACES)
def test_a_shift_takes_money_exactly_from_one_place_to_the_other(
    before: dict[Book, int], after: dict[Book, int]
) -> None:
    assume(sum(after.values()) >= sum(before.values()))
    postings = shift("sto_1", "EUR", before, after, key="d1/settled", cause="d1")
    moved = {account.book: minor for account, minor in totals(postings).items()}
    fresh = sum(after.values()) - sum(before.values())
    for book in Book:
        expected = -fresh if book is Book.SHOPPER else after.get(book, 0) - before.get(book, 0)
        assert moved.get(book, 0) == expected
    assert all(one.minor > 0 for one in postings)
    assert [one.key for one in postings] == [f"d1/settled/{number}" for number in range(len(postings))]
    assert {one.cause for one in postings} <= {"d1"}


@given(PLACES, PLACES)
def test_money_that_arrived_never_leaves_by_itself(before: dict[Book, int], after: dict[Book, int]) -> None:
    assume(sum(after.values()) < sum(before.values()))
    with pytest.raises(ValueError, match="cannot leave by itself"):
        shift("sto_1", "EUR", before, after, key="k", cause="d1")


def test_nothing_to_move_makes_no_posting() -> None:
    assert shift("sto_1", "EUR", {Book.SETTLED: 5}, {Book.SETTLED: 5}, key="k", cause="d1") == []


# --- across assets -----------------------------------------------------------------------------------------------


@st.composite
def crossings(draw: st.DrawFn) -> Crossing:
    ours, unallocated = draw(st.integers(0, 10**9)), draw(st.integers(0, 10**9))
    received = draw(st.integers(1, 10**12))
    return Crossing(
        "EUR", ours, unallocated, draw(st.integers(0, ours)), "USDC@polygon", received, draw(st.integers(0, received))
    )


@given(crossings())
def test_a_crossing_goes_through_exchange_and_keeps_every_asset_whole(crossing: Crossing) -> None:
    postings = cross("sto_1", crossing, key="set_1", cause="set_1")
    books = in_books(postings)
    assert sum(minor for name, minor in books.items() if name.endswith("/EUR")) == 0
    assert sum(minor for name, minor in books.items() if name.endswith("/USDC@polygon")) == 0
    assert books.get("stable_mint_settled/EUR", 0) == -crossing.ours
    assert books.get("unallocated/EUR", 0) == -crossing.unallocated
    assert books.get("stable_mint_fee/EUR", 0) == crossing.fee
    assert books.get("exchange/EUR", 0) == crossing.ours + crossing.unallocated - crossing.fee
    assert books.get("treasury_free/USDC@polygon", 0) == crossing.received - crossing.received_unallocated
    assert books.get("unallocated/USDC@polygon", 0) == crossing.received_unallocated
    assert books["exchange/USDC@polygon"] == -crossing.received
    assert all(one.minor > 0 for one in postings)
    assert len({one.key for one in postings}) == len(postings)
