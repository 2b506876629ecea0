"""What people have entered about where a payout's money is, and the free funds that came back by it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, or_, select

from checkout.rules.ledger import Book
from checkout.store.engine import Unit
from checkout.store.records import ResolutionRow, record
from checkout.store.tables import funding, payout_item, payout_resolution, posting, transfer


def insert_resolution(unit: Unit, values: dict[str, Any]) -> None:
    unit.execute(insert(payout_resolution).values(**values))


def resolution_by_id(unit: Unit, ident: str) -> ResolutionRow | None:
    row = unit.execute(select(payout_resolution).where(payout_resolution.c.id == ident)).first()
    return None if row is None else record(ResolutionRow, row)


def resolutions_of(unit: Unit, payout_id: str) -> list[ResolutionRow]:
    """What was entered about a payout, in that order."""
    rows = unit.execute(
        select(payout_resolution)
        .where(payout_resolution.c.payout_id == payout_id)
        .order_by(payout_resolution.c.created_at, payout_resolution.c.id)
    )
    return [record(ResolutionRow, row) for row in rows]


def free_rests(unit: Unit, store_id: str, asset: str, network: str) -> list[tuple[str, int]]:
    """Resolutions by which funds came back to free treasury, and that no live payout holds: (id, minor), oldest first."""
    held = select(payout_item.c.source).where(
        payout_item.c.source == payout_resolution.c.id, payout_item.c.released_at.is_(None)
    )
    rows = unit.execute(
        select(payout_resolution.c.id, payout_resolution.c.free_minor)
        .where(
            payout_resolution.c.store_id == store_id,
            payout_resolution.c.asset == asset,
            payout_resolution.c.network == network,
            payout_resolution.c.free_minor > 0,
            ~held.exists(),
        )
        .order_by(payout_resolution.c.id)
    )
    return [(str(row.id), int(row.free_minor)) for row in rows]


def has_drawn(unit: Unit, payout_id: str) -> bool:
    """Whether funds beyond the payout's own amount are known to have left for it."""
    drawn = select(payout_item.c.id).where(payout_item.c.payout_id == payout_id, payout_item.c.drawn_by.is_not(None))
    return unit.execute(drawn.limit(1)).first() is not None


def held_by(unit: Unit, payout_id: str, asset: str) -> dict[Book, int]:
    """What the postings caused by a payout leave in each book of an asset: received less given."""
    rows = unit.execute(
        select(posting.c.debit, posting.c.credit, posting.c.amount_minor).where(
            posting.c.cause == payout_id, posting.c.asset == asset
        )
    )
    books: dict[Book, int] = {}
    for row in rows:
        for side, sign in ((row.debit, 1), (row.credit, -1)):
            book = Book(side.split("/")[1])
            books[book] = books.get(book, 0) + sign * row.amount_minor
    return books


def payout_of_hash(unit: Unit, tx_hash: str) -> str | None:
    """The payout for which a transaction's hash has been entered, as its funding or in a resolution."""
    row = unit.execute(
        select(transfer.c.payout_id)
        .join(funding, funding.c.transfer_id == transfer.c.id)
        .where(funding.c.tx_hash == tx_hash)
    ).first()
    if row is None:
        row = unit.execute(
            select(payout_resolution.c.payout_id).where(payout_resolution.c.tx_hash == tx_hash).limit(1)
        ).first()
    return None if row is None else str(row.payout_id)


def origins_of(unit: Unit, source: str) -> list[str]:
    """The settlement records and deposits behind an item's source: itself, or those of the payout its funds came back from."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = {source}
    while waiting:
        one = waiting.pop()
        seen.add(one)
        back = resolution_by_id(unit, one)
        if back is None:
            found.add(one)
            continue
        own = or_(payout_item.c.drawn_by.is_(None), payout_item.c.drawn_by == back.id)
        rows = unit.execute(select(payout_item.c.source).where(payout_item.c.payout_id == back.payout_id, own))
        waiting |= {str(row.source) for row in rows} - seen
    return sorted(found)
