"""Merchants registered at Stables, and where their customers stand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from checkout.store.engine import Unit
from checkout.store.records import MerchantRow, record
from checkout.store.tables import case, customer_standing, merchant, payout, payout_account


def insert_merchant(unit: Unit, values: Mapping[str, Any]) -> None:
    """Add a merchant; :class:`Taken` when its external id is in use."""
    unit.execute(insert(merchant).values(**values))


def update_merchant(unit: Unit, ident: str, **values: Any) -> None:
    """:class:`Taken` when the Stables customer already belongs to another external id."""
    unit.execute(update(merchant).where(merchant.c.id == ident).values(**values))


def list_merchants(unit: Unit) -> list[MerchantRow]:
    return [record(MerchantRow, row) for row in unit.execute(select(merchant).order_by(merchant.c.id))]


def find_merchant(unit: Unit, which: str) -> MerchantRow | None:
    """By our id, by the external id, or by Stables' own."""
    named = (merchant.c.id == which) | (merchant.c.external_customer_id == which)
    row = unit.execute(select(merchant).where(named | (merchant.c.stables_customer_id == which.lower()))).first()
    return None if row is None else record(MerchantRow, row)


def is_ours(unit: Unit, customer_id: str) -> bool:
    """Whether we pay out, or are going to, in the name of this customer of Stables."""
    for table in (merchant, payout_account):
        query = select(table.c.id).where(table.c.stables_customer_id == customer_id).limit(1)
        if unit.execute(query).first() is not None:
            return True
    return False


def make_standing_due(unit: Unit, customer_id: str, *, now: datetime) -> None:
    """Have the customer read again soon."""
    where = customer_standing.c.id == customer_id
    if unit.execute(update(customer_standing).where(where).values(due_at=now, attempts=0)).rowcount == 0:
        dialect = sqlite.insert if unit.is_sqlite else postgresql.insert
        unread = {"id": customer_id, "base_payout": "unread", "name": "", "read_at": now, "due_at": now}
        unit.execute(dialect(customer_standing).values(**unread).on_conflict_do_nothing())


def tries_of(unit: Unit, customer_id: str) -> int:
    """How often in a row the customer was asked about without an answer."""
    query = select(customer_standing.c.attempts).where(customer_standing.c.id == customer_id)
    return int(unit.execute(query).scalar_one())


def held_for_approval(unit: Unit, customer_id: str) -> list[str]:
    """Payouts that are held with an open case because Stables had not approved the customer."""
    query = (
        select(payout.c.id)
        .join(payout_account, payout_account.c.id == payout.c.payout_account_id)
        .join(case, case.c.subject == payout.c.id)
        .where(
            payout_account.c.stables_customer_id == customer_id,
            payout.c.state == "on_hold",
            case.c.kind == "customer_not_approved",
            case.c.closed_at.is_(None),
        )
    )
    return [row.id for row in unit.execute(query.order_by(payout.c.id))]
