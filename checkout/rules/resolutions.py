"""Where a payout's money is, as a named person says with evidence, and the movements that follow. Pure.

What a payout still holds is in three books: reserved (nobody has sent it), in transit (somebody has), and unallocated
(seen where it should not be, against this payout). A resolution moves it on; money is never made and never forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from checkout.errors import NotPossible
from checkout.rules.ledger import Book
from checkout.rules.payouts import PayoutState as S


class Where(StrEnum):
    """What a person may say about a payout's money."""

    ARRIVED = "arrived"  #: the bank account was credited after all
    NEVER_SENT = "never_sent"  #: it never left the treasury
    BACK = "back"  #: so much of it is in the treasury again
    AT_PROVIDER = "at_provider"  #: Stables has it and says so
    LOST = "lost"  #: nobody will give it back
    FOUND = "found"  #: it was seen at the address of a transfer that no longer takes it
    LATE = "late_funded"  #: it was sent after the funding window
    UNDER = "under_funded"  #: less was sent than the transfer asked for
    OVER = "over_funded"  #: more was sent than the transfer asked for
    RETURNED = "returned"  #: the bank sent it back to Stables
    RESUMED = "resumed"  #: the provider goes on with the transfer


_UNDERWAY: Final = frozenset({S.AWAITING_FUNDING, S.FUNDED, S.SUBMITTED, S.PROCESSED, S.ON_HOLD, S.NEEDS_DECISION})
_ENDED: Final = frozenset({S.COMPLETED, S.FAILED, S.EXPIRED, S.CANCELLED})

#: In which states each may be said. What is absent is refused.
SAYABLE: Final = MappingProxyType(
    {
        Where.ARRIVED: frozenset({S.NEEDS_DECISION, S.RETURNED}),
        Where.NEVER_SENT: frozenset({S.NEEDS_DECISION}),
        Where.BACK: frozenset({S.RETURNED, *_UNDERWAY, *_ENDED}),
        Where.AT_PROVIDER: frozenset({S.NEEDS_DECISION}),
        Where.LOST: frozenset({S.RETURNED, *_UNDERWAY, *_ENDED}),
        Where.FOUND: frozenset({S.NEEDS_DECISION, S.RETURNED, *_ENDED}),
        Where.LATE: frozenset({S.NEEDS_DECISION, S.FAILED, S.EXPIRED, S.CANCELLED}),
        Where.UNDER: _UNDERWAY,
        Where.OVER: frozenset({S.COMPLETED, *_UNDERWAY}),
        Where.RETURNED: frozenset({S.NEEDS_DECISION, S.COMPLETED}),
        Where.RESUMED: frozenset({S.NEEDS_DECISION}),
    }
)
#: Said of an address that somebody was shown: these need a transfer, and most of them one that was revealed.
NEED_REVEAL: Final = frozenset({Where.LATE, Where.UNDER, Where.OVER})
NEED_TRANSFER: Final = NEED_REVEAL | {Where.FOUND, Where.AT_PROVIDER, Where.RESUMED, Where.ARRIVED, Where.RETURNED}

#: A movement inside the payout's asset: (to, from, minor units).
Leg = tuple[Book, Book, int]
_HELD: Final = (Book.RESERVED, Book.IN_TRANSIT, Book.UNALLOCATED)


@dataclass(frozen=True, slots=True)
class Held:
    """What a payout still holds of its asset, in minor units."""

    reserved: int = 0
    in_transit: int = 0
    unallocated: int = 0

    @property
    def own(self) -> int:
        """What is still on the way it was meant to go."""
        return self.reserved + self.in_transit

    @property
    def total(self) -> int:
        return self.own + self.unallocated

    @classmethod
    def of(cls, books: Mapping[Book, int]) -> Held:
        """From the balance that the payout's own postings leave in each book."""
        return cls(*(books.get(book, 0) for book in _HELD))

    def books(self) -> dict[Book, int]:
        return dict(zip(_HELD, (self.reserved, self.in_transit, self.unallocated), strict=True))


@dataclass(frozen=True, slots=True)
class Shift:
    """What a resolution does to what is held."""

    legs: tuple[Leg, ...] = ()
    freed: int = 0  #: in the treasury again
    drawn: int = 0  #: taken from free treasury, because it had left beyond what the payout reserved
    sent: int = 0  #: crosses to the bank's currency


def check_sayable(where: Where, state: S) -> None:
    """NotPossible unless this may be said of a payout in this state."""
    if state in SAYABLE[where]:
        return
    allowed = ", ".join(sorted(SAYABLE[where]))
    raise NotPossible(f"the payout is {state}; {where} can be said of one that is {allowed}")


def gather(held: Held, to: Book, minor: int, order: tuple[Book, ...]) -> tuple[Leg, ...]:
    """Move ``minor`` to ``to`` from the books in this order. What already stands there stays."""
    legs: list[Leg] = []
    left = minor
    books = held.books()
    for book in order:
        part = min(left, books[book])
        left -= part
        if part and book is not to:
            legs.append((to, book, part))
    if left:
        raise NotPossible(f"the payout does not hold that much: {left} smallest units are missing")
    return tuple(legs)


def arrive(held: Held, amount: int) -> Shift:
    """Everything of the payout's own amount went to the bank; what was sent beyond it stays unallocated."""
    whole = min(held.total, amount)
    if whole == 0:
        raise NotPossible("the payout holds nothing that could have arrived")
    legs = gather(held, Book.IN_TRANSIT, whole, (Book.IN_TRANSIT, Book.RESERVED, Book.UNALLOCATED))
    return Shift((*legs, (Book.EXCHANGE, Book.IN_TRANSIT, whole)), sent=whole)


def stay(held: Held, amount: int) -> Shift:
    """Nothing left the treasury. Only for a payout that holds its whole amount, reserved."""
    if held != Held(reserved=amount):
        raise NotPossible("part of the payout's money is known to have left the treasury; say where that part is")
    return Shift(((Book.FREE, Book.RESERVED, amount),), freed=amount)


def come_back(held: Held, back: int, cost: int, *, only_unallocated: bool) -> Shift:
    """``back`` is in the treasury again, ``cost`` was kept on the way. What was seen astray comes back first."""
    order = (Book.UNALLOCATED,) if only_unallocated else (Book.UNALLOCATED, Book.IN_TRANSIT, Book.RESERVED)
    returning = gather(held, Book.FREE, back, order) if back else ()
    kept = gather(_without(held, returning), Book.STABLES_COST, cost, order) if cost else ()
    return Shift((*returning, *kept), freed=back)


def find(held: Held, found: int) -> Shift:
    """``found`` was seen at the address: unallocated, against this payout. What it does not hold left the free treasury."""
    own = min(found, held.own)
    legs = gather(held, Book.UNALLOCATED, own, (Book.RESERVED, Book.IN_TRANSIT))
    return Shift(legs, drawn=found - own)


def fall_short(held: Held, sent: int) -> Shift:
    """Only ``sent`` of the payout's own amount was sent; the rest never left."""
    if not 0 < sent < held.own:
        raise NotPossible("say how much was sent: more than nothing, and less than the payout still holds")
    legs = gather(held, Book.IN_TRANSIT, sent, (Book.IN_TRANSIT, Book.RESERVED))
    moved = _without(held, legs)
    rest = held.own - sent
    left = Held(moved.reserved, held.in_transit - min(sent, held.in_transit), 0)
    return Shift((*legs, *gather(left, Book.FREE, rest, (Book.RESERVED, Book.IN_TRANSIT))), freed=rest)


def exceed(sent: int, amount: int) -> Shift:
    """``sent`` went out where ``amount`` was asked for: the difference left the free treasury and belongs to no transfer."""
    if sent <= amount:
        raise NotPossible("say the whole amount that was sent; it must be more than the transfer asked for")
    return Shift(drawn=sent - amount)


def _without(held: Held, legs: tuple[Leg, ...]) -> Held:
    books = held.books()
    for _, giver, minor in legs:
        books[giver] -= minor
    return Held(*(books[book] for book in _HELD))
