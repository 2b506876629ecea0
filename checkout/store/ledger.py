"""Postings: appended, never changed. A posting key can post once; the second try is :class:`Taken`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import String, bindparam, case, cast, func, or_, select, union_all
from sqlalchemy.dialects import postgresql, sqlite

from checkout.rules.ledger import Account, Book, Posting
from checkout.store.engine import Unit, add_to, by_id
from checkout.store.tables import account, posting, refund

#: What moves a deposit's money before any settlement record: its own events, and the refunds that are paid from it.
_CAUSES = union_all(
    select(cast(bindparam("deposit"), String).label("cause")),
    select(refund.c.id).where(refund.c.deposit_id == bindparam("deposit"), refund.c.funded_at.is_(None)),
)
_PLACED = select(posting.c.debit, posting.c.credit, posting.c.amount_minor).where(
    posting.c.cause.in_(_CAUSES), posting.c.asset == bindparam("currency")
)

_POSTINGS_OF = select(posting).where(posting.c.cause == bindparam("cause")).order_by(posting.c.at, posting.c.key)
_HAS_POSTING = select(posting.c.key).where(posting.c.key == bindparam("key"))
_BALANCE = select(
    func.coalesce(
        func.sum(
            case((posting.c.debit == bindparam("account"), posting.c.amount_minor), else_=-posting.c.amount_minor)
        ),
        0,
    )
).where(or_(posting.c.debit == bindparam("account"), posting.c.credit == bindparam("account")))


def post(unit: Unit, postings: Iterable[Posting], *, at: datetime) -> None:
    """Append postings, opening accounts they need. Accounts are opened in one order, so that two cannot deadlock."""
    rows = list(postings)
    accounts = sorted({side for row in rows for side in (row.debit, row.credit)})
    for one in accounts:
        _open(unit, one)
    for row in rows:
        unit.execute(
            add_to(posting),
            {
                "key": row.key, "debit": row.debit.id, "credit": row.credit.id, "asset": row.debit.asset,
                "amount_minor": row.minor, "cause": row.cause, "at": at,
            },
        )  # fmt: skip


def _open(unit: Unit, one: Account) -> None:
    there = unit.execute(by_id(account), {"row": one.id}).first()
    if there is not None:
        return
    values = {"id": one.id, "store_id": one.store_id, "book": one.book.value, "asset": one.asset}
    dialect = sqlite.insert if unit.is_sqlite else postgresql.insert
    unit.execute(dialect(account).values(**values).on_conflict_do_nothing())


def balance(unit: Unit, one: Account) -> int:
    """Minor units received minus given, over every posting of the account."""
    return int(unit.execute(_BALANCE, {"account": one.id}).scalar_one())


def balances(unit: Unit, store_id: str | None = None) -> list[dict[str, Any]]:
    """Every account with what it received, gave and holds, in minor units."""
    received = dict(_sums(unit, posting.c.debit))
    given = dict(_sums(unit, posting.c.credit))
    query = select(account).order_by(account.c.id)
    if store_id is not None:
        query = query.where(account.c.store_id == store_id)
    return [
        {
            "account": row.id,
            "store": row.store_id,
            "book": row.book,
            "asset": row.asset,
            "received": received.get(row.id, 0),
            "given": given.get(row.id, 0),
            "balance": received.get(row.id, 0) - given.get(row.id, 0),
        }
        for row in unit.execute(query)
    ]


def _sums(unit: Unit, side: Any) -> list[tuple[str, int]]:
    rows = unit.execute(select(side.label("account"), func.sum(posting.c.amount_minor).label("minor")).group_by(side))
    return [(str(row.account), int(row.minor)) for row in rows]


def postings_of(unit: Unit, cause: str) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in unit.execute(_POSTINGS_OF, {"cause": cause})]


def postings_by(unit: Unit, cause: str) -> list[Posting]:
    """The postings of one cause, as they were made."""
    return [
        Posting(row["key"], _account(row["debit"]), _account(row["credit"]), row["amount_minor"], row["cause"])
        for row in postings_of(unit, cause)
    ]


def _account(ident: str) -> Account:
    store_id, book, asset = ident.split("/")
    return Account(store_id, Book(book), asset)


def placed(unit: Unit, deposit_id: str, currency: str) -> tuple[dict[Book, int], int]:
    """Where the postings caused by a deposit and its refunds have put its money, per book, and how many there are.

    What refunds have sent away is in no book any more.
    """
    rows = unit.execute(_PLACED, {"deposit": deposit_id, "currency": currency}).all()
    places: dict[Book, int] = {}
    for row in rows:
        for side, sign in ((row.debit, 1), (row.credit, -1)):
            book = Book(side.split("/")[1])
            if book is not Book.SHOPPER:
                places[book] = places.get(book, 0) + sign * row.amount_minor
    return {book: minor for book, minor in places.items() if minor}, len(rows)


def has_posting(unit: Unit, key: str) -> bool:
    """Whether a posting key has posted."""
    return unit.execute(_HAS_POSTING, {"key": key}).first() is not None


def unexplained(unit: Unit) -> list[str]:
    """Postings whose accounts are not there in their asset; by construction none."""
    debit, credit = account.alias("debit_account"), account.alias("credit_account")
    rows = unit.execute(
        select(posting.c.key)
        .outerjoin(debit, (debit.c.id == posting.c.debit) & (debit.c.asset == posting.c.asset))
        .outerjoin(credit, (credit.c.id == posting.c.credit) & (credit.c.asset == posting.c.asset))
        .where(or_(debit.c.id.is_(None), credit.c.id.is_(None)))
    )
    return [f"posting {row.key} has no account" for row in rows]
