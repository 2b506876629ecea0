"""A refund: money back to the shopper by one withdrawal. What it may take, its states, and what the provider's news does.

A refund's withdrawal is sent once. What nobody knows stays ``unknown`` and counts as spent, until news that names it, or a
person with evidence, says what became of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from checkout.errors import ForbiddenMove
from checkout.rules.ledger import Book
from checkout.rules.money import Money
from checkout.rules.payments import DepositFacts


class RefundState(StrEnum):
    """Where a refund stands."""

    REQUESTED = "requested"  #: asked for and covered; waits for approval, then for the worker
    NEEDS_DETAILS = "needs_details"  #: the provider requires fields that nobody has given yet
    NEEDS_FUNDING = "needs_funding"  #: the deposit's funds have left Stable Mint; somebody must bring others
    SENDING = "sending"  #: the one withdrawal is committed and may be at the provider, or is known to be there
    UNKNOWN = "unknown"  #: it was sent and nobody knows what came of it; never sent again
    ACCEPTED = "accepted"  #: the provider has accepted it for processing
    SENT = "sent"  #: sent to the beneficiary
    FAILED = "failed"  #: no money has left: refused, failed, or given up before it was sent


class News(StrEnum):
    """What a withdrawal event says (providers.md A7, CONFIRMED names and one-line meanings)."""

    REQUESTED = "requested"  #: created at the provider
    ACCEPTED = "accepted"
    SENT = "sent"
    FAILED = "failed"


S = RefundState

#: Before anything may have been sent: such a refund can still be stopped, and its details changed until it is approved.
UNSENT: Final = frozenset({S.REQUESTED, S.NEEDS_DETAILS, S.NEEDS_FUNDING})
#: Nothing more comes by itself; what is not ended locks its deposit against settlement records.
ENDED: Final = frozenset({S.SENT, S.FAILED})
#: A withdrawal may exist or does.
UNDER_WAY: Final = frozenset({S.SENDING, S.UNKNOWN, S.ACCEPTED})

#: Every permitted move. What is absent is refused.
MOVES: Final[Mapping[RefundState, frozenset[RefundState]]] = MappingProxyType(
    {
        S.REQUESTED: frozenset({S.NEEDS_DETAILS, S.NEEDS_FUNDING, S.SENDING, S.FAILED}),
        S.NEEDS_DETAILS: frozenset({S.REQUESTED, S.NEEDS_FUNDING, S.FAILED}),
        S.NEEDS_FUNDING: frozenset({S.REQUESTED, S.NEEDS_DETAILS, S.FAILED}),
        # back to requested: it was paused between the commit and the first byte, and not a byte was sent
        S.SENDING: frozenset({S.REQUESTED, S.UNKNOWN, S.ACCEPTED, S.SENT, S.FAILED}),
        S.UNKNOWN: frozenset({S.SENDING, S.ACCEPTED, S.SENT, S.FAILED}),
        S.ACCEPTED: frozenset({S.SENT, S.FAILED}),
        S.SENT: frozenset(),
        # later news that it exists after all; honoured while the money is still there to cover it
        S.FAILED: frozenset({S.SENDING, S.ACCEPTED, S.SENT}),
    }
)

#: Permitted besides, but only of a refund in doubt: what a restored database has forgotten may have sent it.
FORGOTTEN: Final = (S.REQUESTED, S.SENT)

_RANK: Final = MappingProxyType({S.UNKNOWN: 0, S.SENDING: 1, S.ACCEPTED: 2, S.SENT: 3})
_STANDS_FOR: Final = MappingProxyType({News.REQUESTED: S.SENDING, News.ACCEPTED: S.ACCEPTED, News.SENT: S.SENT})


def check_move(before: RefundState, after: RefundState, *, in_doubt: bool = False) -> None:
    """Raise :class:`ForbiddenMove` unless the table permits the move.

    ``in_doubt``: a backup was put back in which it was not sent, and nobody has approved it since.
    """
    if after not in MOVES[before] and not (in_doubt and (before, after) == FORGOTTEN):
        raise ForbiddenMove("refund", before, after)


@dataclass(frozen=True, slots=True)
class Follows:
    """What news leads to: a state (None: no move), and whether it contradicts what was known."""

    after: RefundState | None
    contradiction: bool = False


def follow(before: RefundState, news: News, *, failed_heard: bool) -> Follows:
    """What an event bound to the refund's withdrawal does; the same events in any order end the same.

    ``failed_heard``: the provider itself has said ``failed`` before. Without that, a failed refund was called so by a refusal
    or by a person, and news that the withdrawal exists contradicts them. ``failed`` after ``sent`` moves nothing.
    """
    if before in UNSENT:
        return Follows(None, contradiction=True)
    if news is News.FAILED:
        if before is S.SENT:
            return Follows(None, contradiction=not failed_heard)
        return Follows(None if before is S.FAILED else S.FAILED)
    target = _STANDS_FOR[news]
    if before is S.FAILED:
        if failed_heard and target is not S.SENT:
            return Follows(None)  # it was requested and accepted before it failed: late news
        return Follows(target, contradiction=True)
    return Follows(target if _RANK[target] > _RANK[before] else None)


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """What one refund takes of which deposit."""

    deposit_id: str
    amount: Money
    state: RefundState


def refundable(deposits: Sequence[DepositFacts], refunds: Sequence[RefundFacts]) -> dict[str, Money]:
    """What is left of each accepted or settled deposit, less every refund that has not failed. Unknown counts as spent."""
    left: dict[str, Money] = {}
    for deposit in deposits:
        if not deposit.has_money or deposit.money is None:
            continue
        taken = sum(
            one.amount.minor for one in refunds if one.deposit_id == deposit.id and one.state is not RefundState.FAILED
        )
        left[deposit.id] = Money(deposit.money.minor - taken, deposit.money.currency)
    return left


#: Where a refund's money is taken from first: what belongs to no order goes back before what pays one.
_TAKEN_FROM: Final = (Book.UNALLOCATED, Book.ACCEPTED, Book.SETTLED)


def less_refunds(places: Mapping[Book, int], *, held: int, sent: int) -> dict[Book, int]:
    """Where a deposit's money stands, in minor units per book, when refunds hold some of it and have sent some away."""
    after = dict(places)
    wanted = held + sent
    for book in _TAKEN_FROM:
        taken = min(wanted, after.get(book, 0))
        wanted -= taken
        if taken:
            after[book] -= taken
    if wanted:
        raise ValueError("refunds take more than the deposit has")
    if held:
        after[Book.REFUNDS_PAYABLE] = held
    return {book: minor for book, minor in after.items() if minor}
