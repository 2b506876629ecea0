"""What waits, stage by stage: the rows that say so, and what the ledger holds of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, func, or_, select

from checkout.rules.ledger import Book, on_network
from checkout.rules.payouts import FINAL
from checkout.rules.refunds import ENDED
from checkout.store.engine import Unit
from checkout.store.ledger_reads import net_by_cause, net_by_deposit
from checkout.store.tables import (
    deposit,
    move,
    payment,
    payout,
    payout_item,
    payout_resolution,
    posting,
    refund,
    settlement_record,
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing that has not reached its next stage, and how much of which asset it holds."""

    id: str
    about: str  #: the order, the provider's reference or the evidence
    state: str
    asset: str  #: as the ledger names it
    minor: int
    since: datetime


#: The books that each stage's money stands in, in the order of the money.
STAGES: Final[Mapping[str, tuple[Book, ...]]] = {
    "accepted_not_settled": (Book.ACCEPTED,),
    "settled_without_evidence": (Book.SETTLED,),
    "record_not_in_a_payout": (Book.FREE,),
    "payout_under_way": (Book.RESERVED, Book.IN_TRANSIT),
    "refund_under_way": (Book.REFUNDS_PAYABLE,),
    "returned_by_the_bank": (Book.RETURNED,),
    "nobodys_money": (Book.UNALLOCATED,),
}


def waiting(unit: Unit, store_id: str) -> dict[str, list[Waiting]]:
    """Everything that waits in a store, by stage, oldest first."""
    deposits = list(_deposits(unit, store_id))
    found = {
        "accepted_not_settled": _deposits_in(unit, deposits, "accepted", Book.ACCEPTED),
        "settled_without_evidence": _deposits_in(unit, deposits, "settled", Book.SETTLED),
        "record_not_in_a_payout": [*_records(unit, store_id), *_shares(unit, store_id), *_rests(unit, store_id)],
        "payout_under_way": _payouts(unit, store_id),
        "refund_under_way": _refunds(unit, store_id),
        "returned_by_the_bank": _astray(unit, store_id, Book.RETURNED),
        "nobodys_money": [
            *_deposits_in(unit, deposits, None, Book.UNALLOCATED), *_held_back(unit, store_id),
            *_astray(unit, store_id, Book.UNALLOCATED),
        ],
    }  # fmt: skip
    return {stage: sorted(rows, key=lambda one: (one.since, one.id)) for stage, rows in found.items()}


def _deposits(unit: Unit, store_id: str) -> Iterator[Any]:
    """Deposits with money that no settlement record covers, and since when they stand at their stage."""
    since = (
        select(func.max(move.c.at))
        .where(move.c.subject == deposit.c.id, move.c.after == deposit.c.stage)
        .scalar_subquery()
    )
    yield from unit.execute(
        select(deposit, payment.c.order_ref, since.label("since"))
        .join(payment, payment.c.id == deposit.c.payment_id)
        .where(
            deposit.c.store_id == store_id,
            deposit.c.stage.in_(("accepted", "settled")),
            deposit.c.settlement_record_id.is_(None),
        )
    )


def _deposits_in(unit: Unit, deposits: Sequence[Any], stage: str | None, book: Book) -> list[Waiting]:
    """What of these deposits, at this stage, stands in one book."""
    chosen = [row for row in deposits if stage in (None, row.stage)]
    nets = net_by_deposit(unit, [row.id for row in chosen])
    found = []
    for row in chosen:
        minor = nets[row.id].get((book.value, row.currency or ""), 0)
        if minor:
            about = f"order {row.order_ref}, reference {row.reference}"
            found.append(Waiting(row.id, about, row.stage, row.currency, minor, row.since or row.created_at))
    return found


def _live(source: Any) -> Any:
    return select(payout_item.c.id).where(payout_item.c.source == source, payout_item.c.released_at.is_(None)).exists()


def _records(unit: Unit, store_id: str) -> list[Waiting]:
    rows = unit.execute(
        select(settlement_record).where(
            settlement_record.c.store_id == store_id,
            settlement_record.c.free_minor > 0,
            settlement_record.c.withdrawn_at.is_(None),
            ~_live(settlement_record.c.id),
        )
    )
    return [
        Waiting(row.id, row.evidence, row.kind, on_network(row.asset, row.network), row.free_minor, row.created_at)
        for row in rows
    ]


def _shares(unit: Unit, store_id: str) -> list[Waiting]:
    """Shares that a person has allocated after their record was made, and that no live payout holds."""
    rows = unit.execute(
        select(deposit.c.id, deposit.c.reference, posting.c.asset, posting.c.amount_minor, posting.c.at)
        .join(posting, posting.c.key == deposit.c.id + "/allocated")
        .where(deposit.c.store_id == store_id, ~_live(deposit.c.id))
    )
    return [
        Waiting(row.id, f"reference {row.reference}", "allocated", row.asset, row.amount_minor, row.at) for row in rows
    ]


def _rests(unit: Unit, store_id: str) -> list[Waiting]:
    """What came back to the treasury from a payout, by a person's word, and that no live payout holds."""
    rows = unit.execute(
        select(payout_resolution).where(
            payout_resolution.c.store_id == store_id,
            payout_resolution.c.free_minor > 0,
            ~_live(payout_resolution.c.id),
        )
    )
    return [
        Waiting(
            row.id, f"of payout {row.payout_id}: {row.evidence}", row.kind, on_network(row.asset, row.network),
            row.free_minor, row.created_at,
        )
        for row in rows
    ]  # fmt: skip


def _astray(unit: Unit, store_id: str, book: Book) -> list[Waiting]:
    """What payouts have in a book where nothing stays: sent beyond what was asked, found elsewhere, returned by the bank."""
    touched = or_(*(side.like(f"{store_id}/{book.value}/%") for side in (posting.c.debit, posting.c.credit)))
    rows = unit.execute(
        select(payout).where(payout.c.store_id == store_id, payout.c.id.in_(select(posting.c.cause).where(touched)))
    ).all()
    nets = net_by_cause(unit, [row.id for row in rows])
    return [
        Waiting(row.id, row.note or "-", row.state, asset, minor, row.updated_at)
        for row in rows
        for (place, asset), minor in nets[row.id].items()
        if place == book.value and minor
    ]


def _payouts(unit: Unit, store_id: str) -> list[Waiting]:
    over = [state.value for state in FINAL]
    rows = unit.execute(select(payout).where(payout.c.store_id == store_id, payout.c.state.not_in(over))).all()
    nets = net_by_cause(unit, [row.id for row in rows])
    found = []
    for row in rows:
        asset = on_network(row.asset, row.network)
        held = sum(nets[row.id].get((book.value, asset), 0) for book in STAGES["payout_under_way"])
        found.append(Waiting(row.id, row.note or "-", row.state, asset, held, row.updated_at))
    return found


def _refunds(unit: Unit, store_id: str) -> list[Waiting]:
    over = [state.value for state in ENDED]
    rows = unit.execute(
        select(refund, payment.c.order_ref)
        .join(payment, payment.c.id == refund.c.payment_id)
        .where(payment.c.store_id == store_id, refund.c.state.not_in(over))
    ).all()
    nets = net_by_cause(unit, [row.id for row in rows])
    return [
        Waiting(
            row.id, f"order {row.order_ref}", row.state, row.currency,
            nets[row.id].get((Book.REFUNDS_PAYABLE.value, row.currency), 0), row.updated_at or row.created_at,
        )
        for row in rows
    ]  # fmt: skip


def _held_back(unit: Unit, store_id: str) -> list[Waiting]:
    """The part of each record that belongs to money of nobody, less what has been allocated since."""
    rows = unit.execute(
        select(settlement_record).where(
            settlement_record.c.store_id == store_id,
            settlement_record.c.received_minor > settlement_record.c.free_minor,
            settlement_record.c.withdrawn_at.is_(None),
        )
    ).all()
    allocated = unit.execute(
        select(deposit.c.settlement_record_id, func.sum(posting.c.amount_minor).label("minor"))
        .join(posting, posting.c.key == deposit.c.id + "/allocated")
        .where(and_(deposit.c.store_id == store_id, deposit.c.settlement_record_id.is_not(None)))
        .group_by(deposit.c.settlement_record_id)
    )
    gone = {row.settlement_record_id: int(row.minor) for row in allocated}
    found = []
    for row in rows:
        left = row.received_minor - row.free_minor - gone.get(row.id, 0)
        if left:
            asset = on_network(row.asset, row.network)
            found.append(Waiting(row.id, row.evidence, "held back", asset, left, row.created_at))
    return found
