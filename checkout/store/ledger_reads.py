"""What the ledger says about one cause, one deposit or one stretch of time: sums made by the database, for explanations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import func, or_, select

from checkout.rules.ledger import Book
from checkout.store.engine import Unit
from checkout.store.records import record
from checkout.store.tables import account, deposit, payment, payout, posting, refund

#: Parameters of one statement, well below what either database takes.
CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class OrderedDeposit:
    """A deposit with the order it was for."""

    id: str
    reference: str
    payment_id: str
    order_ref: str
    amount_minor: int | None
    currency: str | None
    settlement_record_id: str | None


@dataclass(frozen=True, slots=True)
class Turnover:
    """One account over a stretch of time, in minor units; ``closing`` is summed by itself."""

    account: str
    book: str
    asset: str
    opening: int
    received: int
    given: int
    closing: int


def chunks(idents: Iterable[str]) -> Iterator[list[str]]:
    """Lists short enough for one statement."""
    rest = list(idents)
    for start in range(0, len(rest), CHUNK):
        yield rest[start : start + CHUNK]


def ordered_deposits(unit: Unit, *, records: Sequence[str] = (), idents: Sequence[str] = ()) -> list[OrderedDeposit]:
    """The deposits of settlement records, or by id, with their orders; by id."""
    found: dict[str, OrderedDeposit] = {}
    for column, wanted in ((deposit.c.settlement_record_id, records), (deposit.c.id, idents)):
        for some in chunks(wanted):
            rows = unit.execute(
                select(
                    deposit.c.id, deposit.c.reference, deposit.c.payment_id, payment.c.order_ref, deposit.c.amount_minor,
                    deposit.c.currency, deposit.c.settlement_record_id,
                )
                .join(payment, payment.c.id == deposit.c.payment_id)
                .where(column.in_(some))
            )  # fmt: skip
            found |= {str(row.id): record(OrderedDeposit, row) for row in rows}
    return [found[ident] for ident in sorted(found)]


def net_by_cause(unit: Unit, causes: Sequence[str]) -> dict[str, dict[tuple[str, str], int]]:
    """What each cause has put into (positive) or taken from (negative) each book, per asset: by cause, then (book, asset)."""
    nets: dict[str, dict[tuple[str, str], int]] = {cause: {} for cause in causes}
    for some in chunks(causes):
        rows = unit.execute(
            select(
                posting.c.cause, posting.c.debit, posting.c.credit, posting.c.asset,
                func.sum(posting.c.amount_minor).label("minor"),
            )
            .where(posting.c.cause.in_(some))
            .group_by(posting.c.cause, posting.c.debit, posting.c.credit, posting.c.asset)
        )  # fmt: skip
        for row in rows:
            net = nets[row.cause]
            for side, sign in ((row.debit, 1), (row.credit, -1)):
                place = (side.split("/")[1], row.asset)
                net[place] = net.get(place, 0) + sign * int(row.minor)
    return nets


def net_by_deposit(unit: Unit, idents: Sequence[str]) -> dict[str, dict[tuple[str, str], int]]:
    """Where each deposit's money stands by its own news and by the refunds that were paid from it."""
    nets = net_by_cause(unit, idents)
    owners: dict[str, str] = {}
    for some in chunks(idents):
        rows = unit.execute(
            select(refund.c.id, refund.c.deposit_id).where(refund.c.deposit_id.in_(some), refund.c.funded_at.is_(None))
        )
        owners |= {str(row.id): str(row.deposit_id) for row in rows}
    for ident, net in net_by_cause(unit, list(owners)).items():
        mine = nets[owners[ident]]
        for place, minor in net.items():
            mine[place] = mine.get(place, 0) + minor
    return nets


def turnover(unit: Unit, store_id: str, start: datetime, end: datetime) -> list[Turnover]:
    """Every account of a store that moved before ``end``: what it held, received, gave and holds."""
    before, within, until = (
        _sums(unit, store_id, None, start), _sums(unit, store_id, start, end), _sums(unit, store_id, None, end),
    )  # fmt: skip
    rows = unit.execute(select(account).where(account.c.store_id == store_id).order_by(account.c.id))
    found = []
    for row in rows:
        received, given = within.get(row.id, (0, 0))
        opening, closing = (one.get(row.id, (0, 0)) for one in (before, until))
        if closing != (0, 0):
            found.append(
                Turnover(row.id, row.book, row.asset, opening[0] - opening[1], received, given, closing[0] - closing[1])
            )
    return found


def _sums(unit: Unit, store_id: str, start: datetime | None, end: datetime) -> dict[str, tuple[int, int]]:
    sums: dict[str, tuple[int, int]] = {}
    for side, place in ((posting.c.debit, 0), (posting.c.credit, 1)):
        query = (
            select(side.label("account"), func.sum(posting.c.amount_minor).label("minor"))
            .join(account, account.c.id == side)
            .where(account.c.store_id == store_id, posting.c.at < end)
            .group_by(side)
        )
        if start is not None:
            query = query.where(posting.c.at >= start)
        for row in unit.execute(query):
            known = list(sums.get(row.account, (0, 0)))
            known[place] = int(row.minor)
            sums[row.account] = (known[0], known[1])
    return sums


def payouts_sent_between(unit: Unit, store_id: str, start: datetime, end: datetime) -> list[str]:
    """Payouts whose asset was sent and credited in the period, in order of time."""
    rows = unit.execute(
        select(payout.c.id)
        .join(posting, posting.c.key == payout.c.id + "/sent")
        .where(payout.c.store_id == store_id, posting.c.at >= start, posting.c.at < end)
        .order_by(posting.c.at, payout.c.id)
    )
    return [str(row.id) for row in rows]


def held_in(unit: Unit, store_id: str, books: Sequence[Book]) -> dict[tuple[str, str], int]:
    """What a store's accounts of these books hold now: {(book, asset): minor}, zeros left out."""
    rows = unit.execute(
        select(account.c.id, account.c.book, account.c.asset).where(
            account.c.store_id == store_id, account.c.book.in_([book.value for book in books])
        )
    ).all()
    found: dict[tuple[str, str], int] = {}
    for row in rows:
        moved = unit.execute(
            select(posting.c.debit, func.sum(posting.c.amount_minor).label("minor"))
            .where(or_(posting.c.debit == row.id, posting.c.credit == row.id))
            .group_by(posting.c.debit)
        )
        minor = sum(int(one.minor) if one.debit == row.id else -int(one.minor) for one in moved)
        if minor:
            found[row.book, row.asset] = minor
    return found
