"""Stores' API keys: whose a key is, what it may do, and how many of its requests processes have taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select

from checkout.rules.allowances import Tally
from checkout.store.engine import Unit, by_id, change_by_id
from checkout.store.records import ApiKeyRow, StoreRow, record
from checkout.store.tables import store, store_key

_BY_HASH = (
    select(store, store_key.c.id.label("key_id"), store_key.c.scopes, store_key.c.per_minute, store_key.c.revoked_at)
    .join(store_key, store_key.c.store_id == store.c.id)
    .where(store_key.c.key_hash == bindparam("hash"))
)
_TALLY = (
    select(store_key.c.window_at, store_key.c.window_taken).where(store_key.c.id == bindparam("row")).with_for_update()
)


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who came with a key, and what the key may do, until when."""

    store: StoreRow
    key_id: str
    scopes: frozenset[str]
    per_minute: int | None
    revoked_at: datetime | None


def insert_key(unit: Unit, values: Mapping[str, Any]) -> None:
    unit.execute(insert(store_key).values(**values))


def bearer_of(unit: Unit, key_hash: str) -> Bearer | None:
    """The store of a key, revoked or not, and what the key may do."""
    row = unit.execute(_BY_HASH, {"hash": key_hash}).first()
    if row is None:
        return None
    return Bearer(record(StoreRow, row), row.key_id, frozenset(row.scopes.split()), row.per_minute, row.revoked_at)


def key_by_id(unit: Unit, ident: str, *, lock: bool = False) -> ApiKeyRow | None:
    row = unit.execute(by_id(store_key, lock=lock), {"row": ident}).first()
    return None if row is None else record(ApiKeyRow, row)


def keys_of(unit: Unit, store_id: str) -> list[ApiKeyRow]:
    """Every key a store ever had, oldest first."""
    rows = unit.execute(select(store_key).where(store_key.c.store_id == store_id).order_by(store_key.c.id))
    return [record(ApiKeyRow, row) for row in rows]


def end_key(unit: Unit, ident: str, *, at: datetime) -> None:
    """Let a key be none from then on."""
    unit.execute(change_by_id(store_key), {"row": ident, "revoked_at": at})


def tally_of(unit: Unit, ident: str) -> Tally | None:
    """What was taken of the window counted last; nobody else takes until the transaction ends."""
    row = unit.execute(_TALLY, {"row": ident}).one()
    return None if row.window_at is None else Tally(row.window_at, row.window_taken)


def keep_tally(unit: Unit, ident: str, tally: Tally, *, at: datetime) -> None:
    """Store what was taken, and that the key was in use."""
    values = {"window_at": tally.window, "window_taken": tally.taken, "last_used_at": at}
    unit.execute(change_by_id(store_key), {"row": ident, **values})
