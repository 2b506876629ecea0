"""A refund's states and arithmetic: what is permitted, what news does in any order, and that nothing is taken twice."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.errors import ForbiddenMove
from checkout.rules.deposits import Stage
from checkout.rules.ledger import Book
from checkout.rules.money import Money
from checkout.rules.payments import DepositFacts
from checkout.rules.refunds import (
    ENDED,
    MOVES,
    UNDER_WAY,
    UNSENT,
    News,
    RefundFacts,
    RefundState,
    check_move,
    follow,
    less_refunds,
    refundable,
)

S = RefundState

#: Written out by hand: a table compared only with itself proves nothing.
PERMITTED = {
    "requested": "needs_details needs_funding sending failed",
    "needs_details": "requested needs_funding failed",
    "needs_funding": "requested needs_details failed",
    "sending": "requested unknown accepted sent failed",
    "unknown": "sending accepted sent failed",
    "accepted": "sent failed",
    "sent": "",
    "failed": "sending accepted sent",
}


@pytest.mark.parametrize("in_doubt", [False, True])
@pytest.mark.parametrize(("before", "after"), list(itertools.product(S, S)))
def test_every_pair_either_moves_or_is_refused(before: RefundState, after: RefundState, in_doubt: bool) -> None:
    if after.value in PERMITTED[before].split() or (in_doubt and (before, after) == ("requested", "sent")):
        check_move(before, after, in_doubt=in_doubt)
    else:
        with pytest.raises(ForbiddenMove):
            check_move(before, after, in_doubt=in_doubt)


def test_a_refund_that_was_not_sent_from_here_was_sent_only_if_a_restore_put_it_in_doubt() -> None:
    for before in UNSENT:
        with pytest.raises(ForbiddenMove):
            check_move(before, S.SENT)


def test_every_state_is_unsent_under_way_or_ended() -> None:
    assert sorted([*UNSENT, *UNDER_WAY, *ENDED]) == sorted(S)
    assert set(MOVES) == set(S)


def end_of(start: RefundState, order: tuple[News, ...]) -> tuple[RefundState, bool]:
    """Where news in this order leads, and whether a person was asked."""
    state, contradiction, failed_heard = start, False, False
    for news in order:
        follows = follow(state, news, failed_heard=failed_heard)
        failed_heard = failed_heard or news is News.FAILED
        contradiction = contradiction or follows.contradiction
        if follows.after is not None:
            check_move(state, follows.after)
            state = follows.after
    return state, contradiction


@pytest.mark.parametrize("start", [S.SENDING, S.UNKNOWN])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_the_same_news_in_any_order_ends_the_same(start: RefundState, size: int) -> None:
    for heard in itertools.combinations(News, size):
        ends = {end_of(start, order) for order in itertools.permutations(heard)}
        assert len(ends) == 1, heard
        (end, contradiction) = ends.pop()
        if News.SENT in heard:
            assert end is S.SENT
        elif News.FAILED in heard:
            assert end is S.FAILED
        else:
            assert end is (S.ACCEPTED if News.ACCEPTED in heard else S.SENDING)
        assert contradiction == ({News.SENT, News.FAILED} <= set(heard))


@given(order=st.lists(st.sampled_from(News), max_size=8))
def test_repeats_change_nothing(order: list[News]) -> None:
    assert end_of(S.SENDING, tuple(order)) == end_of(S.SENDING, tuple(dict.fromkeys(order)))


@pytest.mark.parametrize("news", News)
@pytest.mark.parametrize("before", sorted(UNSENT))
def test_news_of_what_was_never_sent_moves_nothing_and_asks_a_person(before: RefundState, news: News) -> None:
    follows = follow(before, news, failed_heard=False)
    assert (follows.after, follows.contradiction) == (None, True)


def test_failed_after_sent_moves_nothing_and_opens_a_case_once() -> None:
    assert follow(S.SENT, News.FAILED, failed_heard=False).contradiction
    assert follow(S.SENT, News.FAILED, failed_heard=False).after is None
    assert not follow(S.SENT, News.FAILED, failed_heard=True).contradiction


def test_a_refund_a_person_called_failed_lives_again_when_news_says_so() -> None:
    for news, after in ((News.REQUESTED, S.SENDING), (News.ACCEPTED, S.ACCEPTED), (News.SENT, S.SENT)):
        follows = follow(S.FAILED, news, failed_heard=False)
        assert (follows.after, follows.contradiction) == (after, True)
    assert follow(S.FAILED, News.FAILED, failed_heard=False).after is None
    assert follow(S.FAILED, News.ACCEPTED, failed_heard=True).after is None


# --- what may be refunded ----------------------------------------------------------------------------------------


def euros(minor: int) -> Money:
    return Money(minor, "EUR")


def receipt(ident: str, minor: int | None, stage: Stage | None = Stage.SETTLED) -> DepositFacts:
    return DepositFacts(ident, "s", stage, money=None if minor is None else euros(minor))


@pytest.mark.parametrize("state", S)
def test_every_refund_but_a_failed_one_counts_as_spent(state: RefundState) -> None:
    left = refundable([receipt("a", 900)], [RefundFacts("a", euros(400), state)])
    assert left == {"a": euros(900 if state is S.FAILED else 500)}


def test_only_what_was_accepted_or_settled_can_be_refunded() -> None:
    deposits = [
        receipt("open", None, Stage.OPEN), receipt("submitted", None, Stage.SUBMITTED), receipt("none", None),
        receipt("accepted", 100, Stage.ACCEPTED), receipt("settled", 200),
    ]  # fmt: skip
    assert refundable(deposits, []) == {"accepted": euros(100), "settled": euros(200)}


def test_a_refund_takes_from_its_own_deposit_alone() -> None:
    left = refundable([receipt("a", 900), receipt("b", 900)], [RefundFacts("a", euros(900), S.UNKNOWN)])
    assert left == {"a": euros(0), "b": euros(900)}


# --- where it is taken from --------------------------------------------------------------------------------------


def test_what_belongs_to_no_order_goes_back_first() -> None:
    places = {Book.SETTLED: 900, Book.UNALLOCATED: 100}
    assert less_refunds(places, held=150, sent=0) == {Book.SETTLED: 850, Book.REFUNDS_PAYABLE: 150}
    assert less_refunds(places, held=0, sent=100) == {Book.SETTLED: 900}
    assert less_refunds({Book.ACCEPTED: 900}, held=900, sent=0) == {Book.REFUNDS_PAYABLE: 900}
    assert less_refunds(places, held=0, sent=0) == places


def test_refunds_never_take_more_than_there_is() -> None:
    with pytest.raises(ValueError, match="more than the deposit has"):
        less_refunds({Book.SETTLED: 900}, held=500, sent=401)


@given(
    settled=st.integers(0, 1000),
    unallocated=st.integers(0, 1000),
    held=st.integers(0, 1000),
    sent=st.integers(0, 1000),
)
def test_every_cent_is_somewhere(settled: int, unallocated: int, held: int, sent: int) -> None:
    places = {Book.SETTLED: settled, Book.UNALLOCATED: unallocated}
    if held + sent > settled + unallocated:
        with pytest.raises(ValueError, match="more than"):
            less_refunds(places, held=held, sent=sent)
        return
    after = less_refunds(places, held=held, sent=sent)
    assert sum(after.values()) == settled + unallocated - sent
    assert all(minor > 0 for minor in after.values())
    assert after.get(Book.REFUNDS_PAYABLE, 0) == held
