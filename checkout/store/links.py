"""Payment links, and the payments that were opened by them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from checkout.store.engine import Unit
from checkout.store.pages import Page, aside, turn
from checkout.store.records import PaymentLinkRow, record
from checkout.store.tables import payment, payment_link


def insert_link(unit: Unit, values: Mapping[str, Any]) -> None:
    """Add a link; :class:`Taken` when the store's Idempotency-Key has one already."""
    unit.execute(insert(payment_link), dict(values))


def update_link(unit: Unit, ident: str, **values: Any) -> None:
    unit.execute(update(payment_link).where(payment_link.c.id == ident).values(**values))


def link_by_id(unit: Unit, ident: str) -> PaymentLinkRow | None:
    row = unit.execute(select(payment_link).where(payment_link.c.id == ident)).first()
    return None if row is None else record(PaymentLinkRow, row)


def link_by_token(unit: Unit, token_hash: str) -> PaymentLinkRow | None:
    row = unit.execute(select(payment_link).where(payment_link.c.token_hash == token_hash)).first()
    return None if row is None else record(PaymentLinkRow, row)


def link_by_key(unit: Unit, store_id: str, idempotency_key: str) -> PaymentLinkRow | None:
    row = unit.execute(
        select(payment_link).where(
            payment_link.c.store_id == store_id, payment_link.c.idempotency_key == idempotency_key
        )
    ).first()
    return None if row is None else record(PaymentLinkRow, row)


def links_on_page(
    unit: Unit, store_id: str, page: Page, *, order_ref: str | None, customer_id: str | None
) -> tuple[list[PaymentLinkRow], bool]:
    """A page of a store's links, and whether there are more."""
    columns = payment_link.c
    if customer_id is None:
        query = select(payment_link).where(columns.store_id == store_id)
    else:
        query = select(payment_link).where(
            columns.customer_id == customer_id, aside(unit, columns.store_id) == store_id
        )
    if order_ref is not None:
        query = query.where((columns.order_ref if customer_id is None else aside(unit, columns.order_ref)) == order_ref)
    found, more = turn(unit, query, payment_link, "lnk", page)
    return [record(PaymentLinkRow, row) for row in found], more


def count_payments(unit: Unit, link_id: str, *, since: datetime) -> int:
    """Payments that the link has opened since then."""
    query = select(func.count()).select_from(payment).where(payment.c.link_id == link_id, payment.c.created_at >= since)
    return int(unit.execute(query).scalar_one())
