"""Merchants registered at Stables, and the newest attempts made for something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select, update

from checkout.store.engine import Unit
from checkout.store.records import MerchantRow, record
from checkout.store.tables import merchant


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
