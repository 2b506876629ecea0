"""Stores with their secrets and settlement rules; people; the installation; pauses; customers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, or_, select, update

from checkout.rules.urls import RETURN_URLS
from checkout.store.engine import Unit
from checkout.store.records import CustomerRow, StoreRow, record
from checkout.store.tables import (
    customer,
    installation,
    pause,
    payment_link,
    person,
    settlement_rule,
    store,
    store_logo,
)

_INSTALLATION = select(installation)
_RESTORED = select(installation.c.restored_at)
_PAUSED = select(pause.c.reason).where(
    or_(pause.c.scope == "all", pause.c.scope == bindparam("store")), pause.c.released_at.is_(None)
)
_FIND = select(store).where(or_(store.c.id == bindparam("wanted"), store.c.name == bindparam("wanted")))


def insert_store(unit: Unit, values: Mapping[str, Any]) -> None:
    """Add a store; :class:`Taken` when its name is in use."""
    unit.execute(insert(store).values(**values))


def update_store(unit: Unit, ident: str, **values: Any) -> None:
    unit.execute(update(store).where(store.c.id == ident).values(**values))


def keep_logo(unit: Unit, store_id: str, *, media_type: str, body: bytes) -> None:
    """Make or replace a store's picture."""
    changes = {"media_type": media_type, "body": body}
    if unit.execute(update(store_logo).where(store_logo.c.store_id == store_id).values(**changes)).rowcount == 0:
        unit.execute(insert(store_logo).values(store_id=store_id, **changes))


def logo_of(unit: Unit, store_id: str) -> tuple[str, bytes] | None:
    """A store's picture: media type and bytes."""
    row = unit.execute(select(store_logo).where(store_logo.c.store_id == store_id)).first()
    return None if row is None else (str(row.media_type), bytes(row.body))


def find_store(unit: Unit, ident_or_name: str) -> StoreRow | None:
    row = unit.execute(_FIND, {"wanted": ident_or_name}).first()
    return None if row is None else record(StoreRow, row)


def list_stores(unit: Unit) -> list[StoreRow]:
    return [record(StoreRow, row) for row in unit.execute(select(store).order_by(store.c.name))]


def return_urls_of_links(unit: Unit, store_id: str, *, now: datetime) -> list[tuple[str, dict[str, str | None]]]:
    """Each payment link that may still open a payment and has a return URL of its own: its id, and those."""
    columns = [payment_link.c[name] for name in RETURN_URLS]
    found = unit.execute(
        select(payment_link.c.id, *columns).where(
            payment_link.c.store_id == store_id,
            payment_link.c.deactivated_at.is_(None),
            or_(payment_link.c.expires_at.is_(None), payment_link.c.expires_at > now),
            or_(*(column.is_not(None) for column in columns)),
        )
    )
    return [(row.id, {name: row._mapping[name] for name in RETURN_URLS}) for row in found]


def set_rule(unit: Unit, values: Mapping[str, Any]) -> None:
    """Make or replace the settlement rule of a store and currency."""
    where = (
        settlement_rule.c.store_id == values["store_id"],
        settlement_rule.c.currency == values["currency"],
    )
    if unit.execute(update(settlement_rule).where(*where).values(**values)).rowcount == 0:
        unit.execute(insert(settlement_rule).values(**values))


def rule_for(unit: Unit, store_id: str, currency: str) -> dict[str, Any] | None:
    row = unit.execute(
        select(settlement_rule).where(settlement_rule.c.store_id == store_id, settlement_rule.c.currency == currency)
    ).first()
    return None if row is None else dict(row._mapping)


def insert_person(unit: Unit, values: Mapping[str, Any]) -> None:
    """Add a person; :class:`Taken` when the name is in use."""
    unit.execute(insert(person).values(**values))


def person_secret_hash(unit: Unit, name: str) -> str | None:
    row = unit.execute(select(person.c.secret_hash).where(person.c.name == name, person.c.removed_at.is_(None))).first()
    return None if row is None else str(row.secret_hash)


def any_person(unit: Unit) -> bool:
    """Whether anybody was ever added, removed or not."""
    return unit.execute(select(person.c.name).limit(1)).first() is not None


def installation_row(unit: Unit) -> dict[str, Any] | None:
    row = unit.execute(_INSTALLATION).first()
    return None if row is None else dict(row._mapping)


def insert_installation(unit: Unit, ident: str, *, at: datetime) -> None:
    unit.execute(insert(installation).values(one=1, id=ident, created_at=at))


def insert_pause(unit: Unit, values: Mapping[str, Any]) -> None:
    """Pause a scope; :class:`Taken` when it is paused already."""
    unit.execute(insert(pause).values(**values))


def release_pause(unit: Unit, scope: str, *, who: str, at: datetime) -> bool:
    released = unit.execute(
        update(pause)
        .where(pause.c.scope == scope, pause.c.released_at.is_(None))
        .values(released_at=at, released_by=who)
    )
    return released.rowcount == 1


def why_paused(unit: Unit, store_id: str) -> str | None:
    """Why no money may leave for this store now, or None: a pause, or a restored database not yet reconciled."""
    row = unit.execute(_PAUSED, {"store": store_id}).first()
    if row is not None:
        return f"payouts are paused: {row.reason}"
    restored = unit.execute(_RESTORED).scalar()
    if restored is not None:
        return "the database was restored and is not yet reconciled; run `checkout reconcile`"
    return None


def customer_by_external_id(unit: Unit, store_id: str, external_id: str) -> CustomerRow | None:
    row = unit.execute(
        select(customer).where(customer.c.store_id == store_id, customer.c.external_id == external_id)
    ).first()
    return None if row is None else record(CustomerRow, row)


def customer_by_id(unit: Unit, ident: str) -> CustomerRow | None:
    row = unit.execute(select(customer).where(customer.c.id == ident)).first()
    return None if row is None else record(CustomerRow, row)


def insert_customer(unit: Unit, values: Mapping[str, Any]) -> None:
    """Add a customer; :class:`Taken` when the store has one of that id."""
    unit.execute(insert(customer).values(**values))


def update_customer(unit: Unit, ident: str, **values: Any) -> None:
    unit.execute(update(customer).where(customer.c.id == ident).values(**values))
