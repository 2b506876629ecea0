"""The inbox: one row per delivery, raw and sealed. The row is the job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from checkout.store.engine import Unit, by_id, change_by_id
from checkout.store.records import EventRow, record
from checkout.store.tables import event

_BY_DEDUP = select(event).where(event.c.provider == bindparam("sender"), event.c.dedup_key == bindparam("key"))
_UNMATCHED = update(event).where(
    event.c.state == "unmatched",
    or_(
        event.c.reference.is_(None), event.c.reference == bindparam("named"), event.c.session_hint == bindparam("hint")
    ),
)


def insert_event(unit: Unit, values: Mapping[str, Any]) -> None:
    """Add a delivery; :class:`Taken` when it is known already."""
    unit.execute(insert(event), dict(values))


def event_by_dedup(unit: Unit, provider: str, dedup_key: str) -> EventRow | None:
    row = unit.execute(_BY_DEDUP, {"sender": provider, "key": dedup_key}).first()
    return None if row is None else record(EventRow, row)


def event_by_id(unit: Unit, ident: str) -> EventRow | None:
    row = unit.execute(by_id(event), {"row": ident}).first()
    return None if row is None else record(EventRow, row)


def events_on(unit: Unit, subject: str) -> list[EventRow]:
    rows = unit.execute(select(event).where(event.c.subject == subject).order_by(event.c.received_at, event.c.id))
    return [record(EventRow, row) for row in rows]


def names_anything(unit: Unit, subject: str) -> bool:
    """Whether any delivery was bound to it."""
    return unit.execute(select(event.c.id).where(event.c.subject == subject).limit(1)).first() is not None


def events_naming(unit: Unit, references: Sequence[str]) -> list[EventRow]:
    """Deliveries that name one of the provider's references, bound or not."""
    found = []
    for start in range(0, len(references), 500):
        rows = unit.execute(select(event).where(event.c.reference.in_(references[start : start + 500])))
        found += [record(EventRow, row) for row in rows]
    return found


def list_events(unit: Unit, *, state: str | None, limit: int) -> list[EventRow]:
    """Deliveries, newest first."""
    query = select(event).order_by(event.c.received_at.desc(), event.c.id.desc()).limit(limit)
    if state is not None:
        query = query.where(event.c.state == state)
    return [record(EventRow, row) for row in unit.execute(query)]


def update_event(unit: Unit, ident: str, **values: Any) -> None:
    unit.execute(change_by_id(event), {"row": ident, **values})


def make_unmatched_due(
    unit: Unit, *, now: datetime, reference: str | None = None, session_id: str | None = None
) -> None:
    """Look again at what matched nothing, because an identifier has become known: at what names it, or names no deposit."""
    unit.execute(_UNMATCHED, {"due_at": now, "named": reference, "hint": session_id})


def count_since(unit: Unit, state: str, since: datetime) -> int:
    query = select(func.count()).select_from(event).where(event.c.state == state, event.c.received_at >= since)
    return int(unit.execute(query).scalar_one())


def trim_unverified(unit: Unit, *, count: int, size: int, before: datetime) -> None:
    """Keep only the newest unverified deliveries: at most ``count``, ``size`` bytes together, none from ``before``."""
    unit.execute(delete(event).where(event.c.state == "unverified", event.c.received_at < before))
    rows = unit.execute(
        select(event.c.id, event.c.size)
        .where(event.c.state == "unverified")
        .order_by(event.c.received_at.desc(), event.c.id.desc())
    ).all()
    kept = 0
    surplus: list[str] = []
    for position, row in enumerate(rows):
        kept += row.size
        if position >= count or kept > size:
            surplus.append(row.id)
    for start in range(0, len(surplus), 500):
        unit.execute(delete(event).where(event.c.id.in_(surplus[start : start + 500])))
