"""What each thing a person may say about a payout's money comes to: postings, the payout's next state, the case it opens.

All of it inside one transaction, on rows that are locked; :mod:`checkout.paying_out.resolutions` stores what is decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from checkout.errors import AmountRefused, NotPossible, RequestRefused
from checkout.paying_out.proposing import sources_of
from checkout.rules import resolutions as rules
from checkout.rules.ledger import Book, Posting, move, on_network
from checkout.rules.money import Money, parse_amount
from checkout.rules.payouts import PayoutState
from checkout.rules.resolutions import Held, Shift, Where
from checkout.store import payouts, resolutions
from checkout.store.engine import Unit
from checkout.store.moves import reopen_case
from checkout.store.records import PayoutAccountRow, PayoutRow, TransferRow
from checkout.store.tables import payout_item
from checkout.treasury import free_balance

S = PayoutState


@dataclass(frozen=True, slots=True)
class Said:
    """What a person says: amounts as decimal text, None where the verb takes the whole."""

    where: Where
    evidence: str
    amount: str | None = None  #: in the payout's asset
    credit: str | None = None  #: in the currency of the bank account
    cost: str | None = None  #: in the payout's asset: kept on the way back
    tx_hash: str | None = None


@dataclass(slots=True)
class Resolving:
    """One resolution under way: the rows it is about, and what it comes to."""

    unit: Unit
    new_id: Callable[[str], str]
    ident: str
    who: str
    now: datetime
    row: PayoutRow
    account: PayoutAccountRow
    transfer: TransferRow | None
    held: Held
    written_off: int  #: of the asset, to Stables' cost
    said: Said
    after: PayoutState | None = None
    due_at: datetime | None = None
    amount: int = 0
    credit: Money | None = None
    freed: int = 0  #: a source of later payouts, unless the payout's own items are free again
    opens: Callable[[Resolving, str], None] | None = None  #: the case that waits from now on, with its detail
    postings: list[Posting] = field(default_factory=list)

    @property
    def asset(self) -> str:
        return on_network(self.row.asset, self.row.network)

    def post(self, asset: str, debit: Book, credit: Book, minor: int, key: str | None = None) -> None:
        """Add a posting under this resolution's next key, or under one of the payout's own that posts only once."""
        key = key or f"{self.ident}/{len(self.postings)}"
        self.postings.append(move(self.row.store_id, asset, debit, credit, minor, key=key, cause=self.row.id))

    def post_shift(self, shift: Shift) -> None:
        for to, giver, minor in shift.legs:
            crossing = (to, giver) == (Book.EXCHANGE, Book.IN_TRANSIT)
            self.post(self.asset, to, giver, minor, f"{self.row.id}/sent" if crossing else None)


def _arrived(about: Resolving) -> None:
    credit = _credit(about)
    if about.row.payout_state is S.RETURNED:
        left = fiat_returned(about)
        if credit.minor > left:
            raise NotPossible(f"{Money(left, credit.currency)} of this payout is with Stables, not {credit}")
        about.post(credit.currency, Book.BANK, Book.RETURNED, credit.minor)
    else:
        shift = rules.arrive(about.held, about.row.amount_minor)
        about.post_shift(shift)
        about.post(credit.currency, Book.BANK, Book.EXCHANGE, credit.minor, f"{about.row.id}/credit")
        about.amount, about.after = shift.sent, S.COMPLETED
    about.credit = credit


def _never_sent(about: Resolving) -> None:
    transfer = about.transfer
    if transfer is not None and transfer.collected_at is not None:
        raise NotPossible("Stables has collected funds for this transfer; say where they are instead")
    recorded = None if transfer is None else payouts.funding_of(about.unit, transfer.id)
    if recorded is not None and recorded["created_by"] == about.who:
        raise NotPossible(
            f"{about.who} recorded that the funds were sent; another person must confirm that they never were"
        )
    shift = rules.stay(about.held, about.row.amount_minor)
    about.post(about.asset, Book.FREE, Book.RESERVED, shift.freed, f"{about.row.id}/released")
    payouts.release_items(about.unit, about.row.id, at=about.now)
    about.amount, about.after = shift.freed, S.CANCELLED


def _back(about: Resolving) -> None:
    if about.row.payout_state is S.RETURNED and about.held.total == 0:
        _back_from_the_bank(about)
        return
    live = about.row.payout_state is S.NEEDS_DECISION
    within = about.held.total if live else about.held.unallocated
    if within == 0 and about.written_off:
        about.amount = about.freed = min(
            _minor(about, about.said.amount, "amount", about.written_off), about.written_off
        )
        about.post(about.asset, Book.FREE, Book.STABLES_COST, about.amount)
        return
    cost = _minor(about, about.said.cost, "cost", 0)
    back = _minor(about, about.said.amount, "amount", within - cost)
    if back <= 0:
        raise NotPossible("say how much is in the treasury again; the payout holds nothing that could have come back")
    whole = live and cost == 0 and back == about.row.amount_minor and back == within
    about.post_shift(rules.come_back(about.held, back, cost, only_unallocated=not live))
    if whole and not resolutions.has_drawn(about.unit, about.row.id):
        payouts.release_items(about.unit, about.row.id, at=about.now)
    else:
        about.freed = back
    about.amount = back
    if live and back + cost == within:
        about.after = S.CANCELLED


def _back_from_the_bank(about: Resolving) -> None:
    """Stables has turned what the bank returned into the asset again: out of ``returned`` and in, each as entered."""
    left = fiat_returned(about)
    if left == 0:
        raise NotPossible("nothing of this payout is with Stables any more")
    currency = _fiat(about)
    about.amount = about.freed = _minor(about, about.said.amount, "amount", 0)
    if about.amount == 0:
        raise RequestRefused({"amount": "say how much of the asset came back"})
    about.credit = Money(left, currency)
    about.post(currency, Book.EXCHANGE, Book.RETURNED, left)
    about.post(about.asset, Book.FREE, Book.EXCHANGE, about.amount)


def _at_provider(about: Resolving) -> None:
    _set_out(about)
    about.amount = about.held.total


def _lost(about: Resolving) -> None:
    if about.row.payout_state is S.RETURNED and about.held.total == 0:
        left = fiat_returned(about)
        if left == 0:
            raise NotPossible("nothing of this payout is with Stables any more")
        about.credit = Money(left, _fiat(about))
        about.post(about.credit.currency, Book.STABLES_COST, Book.RETURNED, left)
        return
    live = about.row.payout_state is S.NEEDS_DECISION
    within = about.held.total if live else about.held.unallocated
    about.amount = _minor(about, about.said.amount, "amount", within)
    if about.amount <= 0:
        raise NotPossible("the payout holds nothing that could be lost")
    about.post_shift(rules.come_back(about.held, 0, about.amount, only_unallocated=not live))
    if live and about.amount == within:
        about.after = S.FAILED


def _found(about: Resolving) -> None:
    about.amount = _minor(about, about.said.amount, "amount", about.held.own or about.row.amount_minor)
    shift = rules.find(about.held, about.amount)
    about.post_shift(shift)
    given_up = min(shift.drawn, about.written_off)
    if given_up:  # it had been called lost: no second loss leaves the treasury
        about.post(about.asset, Book.UNALLOCATED, Book.STABLES_COST, given_up)
    _draw(about, shift.drawn - given_up)
    about.opens = _open_found


def _under(about: Resolving) -> None:
    _once(about)
    about.amount = _minor(about, about.said.amount, "amount", 0)
    shift = rules.fall_short(about.held, about.amount)
    about.post_shift(shift)
    about.freed = shift.freed
    about.opens = _open_under
    about.after = S.NEEDS_DECISION


def _over(about: Resolving) -> None:
    _once(about)
    about.amount = _minor(about, about.said.amount, "amount", 0)
    shift = rules.exceed(about.amount, about.row.amount_minor)
    _draw(about, shift.drawn)
    about.opens = _open_over


def _once(about: Resolving) -> None:
    """How much was sent is entered once; what comes after says where it is."""
    if any(one.kind in (Where.UNDER, Where.OVER) for one in resolutions.resolutions_of(about.unit, about.row.id)):
        raise NotPossible("how much was sent for this payout has been entered already")


def _returned(about: Resolving) -> None:
    row = about.row
    if row.payout_state is S.COMPLETED:
        posted = row.credit_minor is not None and row.credit_currency is not None
        about.credit = Money(row.credit_minor or 0, row.credit_currency or "") if posted else _credit(about)
        about.post(
            about.credit.currency, Book.RETURNED, Book.BANK if posted else Book.EXCHANGE, about.credit.minor
        )  # fmt: skip
    else:
        about.credit = _credit(about)
        shift = rules.arrive(about.held, about.row.amount_minor)
        about.post_shift(shift)
        about.post(about.credit.currency, Book.RETURNED, Book.EXCHANGE, about.credit.minor)
        about.amount = shift.sent
    about.after, about.opens = S.RETURNED, _open_returned


def _resumed(about: Resolving) -> None:
    if about.held.own != about.row.amount_minor or about.held.unallocated:
        raise NotPossible("not the whole amount is on its way to Stables; say where the money is instead")
    _set_out(about)


def _set_out(about: Resolving) -> None:
    """What is reserved has left. The whole amount does so once, under the key the worker would use."""
    if about.held.reserved:
        whole = about.held.reserved == about.row.amount_minor
        key = f"{about.row.id}/in_transit" if whole else None
        about.post(about.asset, Book.IN_TRANSIT, Book.RESERVED, about.held.reserved, key)


def _open_found(about: Resolving, detail: str) -> None:
    ident = about.new_id("case")
    reopen_case(about.unit, ident, kind="found_at_old_address", subject=about.row.id, detail=detail, at=about.now)


def _open_under(about: Resolving, detail: str) -> None:
    reopen_case(
        about.unit, about.new_id("case"), kind="under_funded", subject=about.row.id, detail=detail, at=about.now
    )  # fmt: skip


def _open_over(about: Resolving, detail: str) -> None:
    reopen_case(
        about.unit, about.new_id("case"), kind="over_funded", subject=about.row.id, detail=detail, at=about.now
    )  # fmt: skip


def _open_returned(about: Resolving, detail: str) -> None:
    reopen_case(
        about.unit, about.new_id("case"), kind="payout_returned", subject=about.row.id, detail=detail, at=about.now
    )  # fmt: skip


VERBS: Final[dict[Where, Callable[[Resolving], None]]] = {
    Where.ARRIVED: _arrived, Where.NEVER_SENT: _never_sent, Where.BACK: _back, Where.AT_PROVIDER: _at_provider,
    Where.LOST: _lost, Where.FOUND: _found, Where.LATE: _found, Where.UNDER: _under, Where.OVER: _over,
    Where.RETURNED: _returned, Where.RESUMED: _resumed,
}  # fmt: skip
#: Cases that last until the money they speak of is somewhere final.
WAITING: Final = frozenset({"found_at_old_address", "under_funded", "over_funded", "payout_returned"})


def _draw(about: Resolving, minor: int) -> None:
    """Funds beyond the payout's own have left free treasury: out of the oldest sources, against this payout for good."""
    if minor == 0:
        return
    unit, row = about.unit, about.row
    if free_balance(unit, row.store_id, row.asset, row.network) < minor:
        raise NotPossible(
            f"free treasury holds less than the {Money(minor, row.asset).plain()} {row.asset} that left it; cancel a payout "
            "that has no transfer first, or record what else was received"
        )
    left = minor
    for source, available in sources_of(unit, row.store_id, row.asset, row.network):
        used = min(left, available)
        if used == 0:
            break
        payouts.insert_row(
            unit,
            payout_item,
            {"id": about.new_id("itm"), "payout_id": row.id, "source": source, "amount_minor": used,
             "drawn_by": about.ident},
        )  # fmt: skip
        left -= used
        about.freed = available - used  # the rest of the last source is free still, under this resolution's name
    about.post(about.asset, Book.UNALLOCATED, Book.FREE, minor)


def _fiat(about: Resolving) -> str:
    return about.row.credit_currency or about.account.currency


def fiat_returned(about: Resolving) -> int:
    """What the bank has returned and nobody has placed since, in minor units."""
    return resolutions.held_by(about.unit, about.row.id, _fiat(about)).get(Book.RETURNED, 0)


def _credit(about: Resolving) -> Money:
    text, currency = about.said.credit, _fiat(about)
    if text is None:
        raise RequestRefused({"credit": f"say how much the bank shows, in {currency}"})
    try:
        return parse_amount(text, currency)
    except AmountRefused as problem:
        raise RequestRefused({"credit": str(problem)}) from None


def _minor(about: Resolving, text: str | None, name: str, default: int) -> int:
    if text is None:
        return default
    try:
        return parse_amount(text, about.row.asset, positive=name == "amount").minor
    except AmountRefused as problem:
        raise RequestRefused({name: str(problem)}) from None
