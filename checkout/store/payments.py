"""Payments, their sessions and deposits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, insert, literal_column, or_, select, update

from checkout.store.engine import Unit, by_id, change_by_id
from checkout.store.pages import Page, aside, turn
from checkout.store.records import DepositRow, PaymentRow, SessionRow, record
from checkout.store.tables import deposit, payment, session


def insert_payment(unit: Unit, values: Mapping[str, Any]) -> None:
    """Add a payment; :class:`Taken` when the store's Idempotency-Key has one already."""
    unit.execute(insert(payment), dict(values))


_BY_KEY = select(payment).where(payment.c.store_id == bindparam("store"), payment.c.idempotency_key == bindparam("key"))
_SESSIONS_OF = select(session).where(session.c.payment_id == bindparam("payment")).order_by(session.c.number)
_DEPOSITS_OF = (
    select(deposit).where(deposit.c.payment_id == bindparam("payment")).order_by(deposit.c.created_at, deposit.c.id)
)
#: A null parameter equals no row, so that an identifier which is not given names nothing.
_NAMED = (
    select(session)
    .where(
        or_(
            session.c.reference == bindparam("reference"),
            session.c.provider_session_id == bindparam("session"),
            and_(session.c.website_reference == bindparam("website"), session.c.provider_key == bindparam("key")),
        )
    )
    .limit(4)
)
_DEPOSIT_BY_REFERENCE = select(deposit).where(deposit.c.reference == bindparam("reference"))


def payment_by_key(unit: Unit, store_id: str, idempotency_key: str) -> PaymentRow | None:
    row = unit.execute(_BY_KEY, {"store": store_id, "key": idempotency_key}).first()
    return None if row is None else record(PaymentRow, row)


def payment_by_id(unit: Unit, ident: str, *, lock: bool = False) -> PaymentRow | None:
    """A payment; with ``lock`` its row stays ours until the transaction ends (the lock of everything about it)."""
    row = unit.execute(by_id(payment, lock=lock and not unit.is_sqlite), {"row": ident}).first()
    return None if row is None else record(PaymentRow, row)


def payment_by_pay_token(unit: Unit, token_hash: str) -> PaymentRow | None:
    row = unit.execute(select(payment).where(payment.c.pay_token_hash == token_hash)).first()
    return None if row is None else record(PaymentRow, row)


def page_of_payments(
    unit: Unit, store_id: str | None, *, limit: int, after: str | None, filters: Mapping[str, str | None]
) -> list[PaymentRow]:
    """An operator's list, of one store or all: newest first, those before ``after`` in that order."""
    query = select(payment).order_by(payment.c.id.desc()).limit(limit)
    if store_id is not None:
        query = query.where(payment.c.store_id == store_id)
    if after is not None:
        query = query.where(payment.c.id < after)
    for column, wanted in filters.items():
        if wanted is not None:
            query = query.where(payment.c[column] == wanted)
    return [record(PaymentRow, row) for row in unit.execute(query)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which payments of a store; what is None does not matter. ``anomaly``: one of those a payment has."""

    status: str | None = None
    anomaly: str | None = None
    order_ref: str | None = None
    customer_id: str | None = None


def payments_on_page(unit: Unit, store_id: str, page: Page, wanted: Wanted) -> tuple[list[PaymentRow], bool]:
    """A page of a store's payments, and whether there are more; read by the index of the narrowest condition."""
    query, columns = select(payment), payment.c
    by_customer = wanted.customer_id is not None
    by_order = wanted.order_ref is not None and not by_customer
    query = query.where((aside(unit, columns.store_id) if by_customer else columns.store_id) == store_id)
    if wanted.customer_id is not None:
        query = query.where(columns.customer_id == wanted.customer_id)
    if wanted.order_ref is not None:
        query = query.where((columns.order_ref if by_order else aside(unit, columns.order_ref)) == wanted.order_ref)
    if wanted.anomaly is not None:
        listed: ColumnElement[str] = literal_column("','") + columns.anomalies + literal_column("','")
        # written out, not a parameter: the condition of the index of payments with an anomaly
        query = query.where(columns.anomalies != literal_column("''"))
        # said twice for PostgreSQL, which knows how many have this anomaly alone and nothing of the other: few enough to be
        # worth sorting, it would think, where thousands are
        query = query.where(or_(columns.anomalies == wanted.anomaly, listed.contains(f",{wanted.anomaly},")))
    if wanted.status is not None:
        alone = not (by_customer or by_order or wanted.anomaly)
        query = query.where((columns.status if alone else aside(unit, columns.status)) == wanted.status)
    found, more = turn(unit, query, payment, "pay", page)
    return [record(PaymentRow, row) for row in found], more


def update_payment(unit: Unit, ident: str, **values: Any) -> None:
    unit.execute(change_by_id(payment), {"row": ident, **values})


def insert_session(unit: Unit, values: Mapping[str, Any]) -> None:
    unit.execute(insert(session), dict(values))


def update_session(unit: Unit, ident: str, **values: Any) -> None:
    """:class:`Taken` when a reference or session id already belongs to another session."""
    unit.execute(change_by_id(session), {"row": ident, **values})


def end_sessions(unit: Unit, payment_id: str, *, at: datetime) -> None:
    """The payment had expired at ``at`` and goes on with a later session: what these bring is late."""
    which = (session.c.payment_id == payment_id, session.c.ended_at.is_(None))
    unit.execute(update(session).where(*which).values(ended_at=at))


def session_by_id(unit: Unit, ident: str) -> SessionRow | None:
    row = unit.execute(by_id(session), {"row": ident}).first()
    return None if row is None else record(SessionRow, row)


def session_by_return_token(unit: Unit, token_hash: str) -> SessionRow | None:
    row = unit.execute(select(session).where(session.c.return_token_hash == token_hash)).first()
    return None if row is None else record(SessionRow, row)


def sessions_of(unit: Unit, payment_id: str) -> list[SessionRow]:
    return [record(SessionRow, row) for row in unit.execute(_SESSIONS_OF, {"payment": payment_id})]


def sessions_of_each(unit: Unit, payment_ids: Sequence[str]) -> dict[str, list[SessionRow]]:
    """The sessions of several payments, by payment."""
    query = select(session).where(session.c.payment_id.in_(payment_ids)).order_by(session.c.number)
    found: dict[str, list[SessionRow]] = {}
    for row in unit.execute(query) if payment_ids else ():
        found.setdefault(row.payment_id, []).append(record(SessionRow, row))
    return found


def sessions_named(
    unit: Unit, *, reference: str | None, provider_session_id: str | None, ours: tuple[str, str] | None
) -> Sequence[SessionRow]:
    """Every session that any of the identifiers names; ``ours`` is (websiteReference, idempotencyKey), both needed."""
    website, key = ours or (None, None)
    given = {"reference": reference, "session": provider_session_id, "website": website, "key": key}
    return [record(SessionRow, row) for row in unit.execute(_NAMED, given)]


def deposit_by_reference(unit: Unit, reference: str) -> DepositRow | None:
    row = unit.execute(_DEPOSIT_BY_REFERENCE, {"reference": reference}).first()
    return None if row is None else record(DepositRow, row)


def deposit_by_id(unit: Unit, ident: str) -> DepositRow | None:
    row = unit.execute(by_id(deposit), {"row": ident}).first()
    return None if row is None else record(DepositRow, row)


def deposits_of(unit: Unit, payment_id: str) -> list[DepositRow]:
    return [record(DepositRow, row) for row in unit.execute(_DEPOSITS_OF, {"payment": payment_id})]


def insert_deposit(unit: Unit, values: Mapping[str, Any]) -> None:
    """Add a deposit; :class:`Taken` when its reference is known already."""
    unit.execute(insert(deposit), dict(values))


def update_deposit(unit: Unit, ident: str, **values: Any) -> None:
    unit.execute(change_by_id(deposit), {"row": ident, **values})
