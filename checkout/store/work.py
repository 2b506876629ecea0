"""Claiming rows that are due, and releasing them. The same lease rules for every kind of work.

A claim writes a random token and commits. Whatever is recorded afterwards says ``WHERE id AND lease_token``: when the
lease has passed to somebody else nothing matches, and the whole transaction is given up with :class:`LostRace`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, Update, bindparam, or_, select, update

from checkout.errors import LostRace
from checkout.store.engine import Unit


@cache
def _held(table: Table) -> Update:
    """A change of one row under its lease, built once per table."""
    return update(table).where(table.c.id == bindparam("row"), table.c.lease_token == bindparam("held"))


@cache
def _is_held(table: Table) -> Select[Any]:
    """The row while its lease is this one and lasts, built once per table."""
    mine = (table.c.id == bindparam("row"), table.c.lease_token == bindparam("held"))
    return select(table.c.id).where(*mine, table.c.lease_until > bindparam("now"))


@cache
def _claim(table: Table, limit: int, *, skip_locked: bool) -> Update:
    """A lease on rows that may be claimed, the oldest first, built once per table; the parameters but ``now`` are columns."""
    free = or_(table.c.lease_until.is_(None), table.c.lease_until <= bindparam("now"))
    due = select(table.c.id).where(table.c.due_at <= bindparam("now"), free).order_by(table.c.due_at, table.c.id)
    if not skip_locked:
        chosen: ColumnElement[bool] = table.c.id.in_(due.limit(limit))
    else:
        # as a common table expression: PostgreSQL runs it once, where it may run a subquery again and lock further rows
        some = due.limit(limit).with_for_update(skip_locked=True).cte("due")
        chosen = table.c.id == some.c.id
    return update(table).where(chosen).returning(table.c.id, table.c.due_at)


@cache
def _next_due(table: Table) -> Select[Any]:
    """The earliest of the rows that nobody alive holds, built once per table."""
    free = or_(table.c.lease_until.is_(None), table.c.lease_until <= bindparam("now"))
    return select(table.c.due_at).where(table.c.due_at.is_not(None), free).order_by(table.c.due_at).limit(1)


def claim(unit: Unit, table: Table, *, now: datetime, lease: timedelta, token: str, limit: int) -> list[str]:
    """Lease up to ``limit`` due rows to ``token``, oldest first; their ids. Rows leased to the living are passed over.

    PostgreSQL skips rows another worker is looking at; on SQLite the transaction is the only writer.
    """
    statement = _claim(table, limit, skip_locked=not unit.is_sqlite)
    claimed = unit.execute(statement, {"now": now, "lease_token": token, "lease_until": now + lease})
    return [row.id for row in sorted(claimed, key=lambda row: (row.due_at, row.id))]


def holds(unit: Unit, table: Table, ident: str, token: str, *, now: datetime) -> bool:
    """Whether the lease is still ours; asked just before a call that moves money."""
    return unit.execute(_is_held(table), {"row": ident, "held": token, "now": now}).first() is not None


def release(
    unit: Unit,
    table: Table,
    ident: str,
    token: str,
    *,
    due_at: datetime | None,
    attempts: int = 0,
    **values: Any,
) -> None:
    """End a step: give the lease back, say when the row is due again, and record ``values``. All or nothing.

    Raises :class:`LostRace` when the lease is no longer ours; the caller's transaction must then be discarded whole.
    """
    given = {"lease_token": None, "lease_until": None, "due_at": due_at, "attempts": attempts, **values}
    released = unit.execute(_held(table), {"row": ident, "held": token, **given})
    if released.rowcount != 1:
        raise LostRace(f"the lease on {ident} was lost")


def next_due(unit: Unit, table: Table, *, now: datetime) -> datetime | None:
    """When the next row that nobody alive holds is due: a read, so that idle workers do not queue for the writer."""
    row = unit.execute(_next_due(table), {"now": now}).first()
    return None if row is None else row.due_at


def give_back(unit: Unit, table: Table, ident: str, token: str, *, due_at: datetime) -> None:
    """Return a lease without having done anything; quiet when it is not ours any more."""
    given = {"lease_token": None, "lease_until": None, "due_at": due_at}
    unit.execute(_held(table), {"row": ident, "held": token, **given})


def wake(unit: Unit, table: Table, ident: str, *, now: datetime) -> None:
    """Make a row due at once, if it is not already."""
    unit.execute(
        update(table).where(table.c.id == ident, or_(table.c.due_at.is_(None), table.c.due_at > now)).values(due_at=now)
    )


#: A table of work, for those outside this package who only name it.
Queue = Table
