"""Payment links, and the payments that were opened by them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from checkout.store.engine import Unit
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


def page_of_links(unit: Unit, store_id: str, *, limit: int, after: str | None) -> list[PaymentLinkRow]:
    """Newest first, those before ``after`` in that order."""
    query = (
        select(payment_link).where(payment_link.c.store_id == store_id).order_by(payment_link.c.id.desc()).limit(limit)
    )
    if after is not None:
        query = query.where(payment_link.c.id < after)
    return [record(PaymentLinkRow, row) for row in unit.execute(query)]


def count_payments(unit: Unit, link_id: str, *, since: datetime) -> int:
    """Payments that the link has opened since then."""
    query = select(func.count()).select_from(payment).where(payment.c.link_id == link_id, payment.c.created_at >= since)
    return int(unit.execute(query).scalar_one())
