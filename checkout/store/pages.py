"""Pages of a list, newest first and cut at an id: ids sort by time, so rows that come meanwhile never shift a page.

Times are turned into ids as well, so that any span is found by the index that the list is read by.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Row, Select, Table, literal_column

from checkout.identifiers import earliest
from checkout.store.engine import Unit

#: How far an id's time and the row's ``created_at`` may be apart: the first is a process's clock at the very moment, the
#: second the moment its request began.
APART: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a list. ``after`` goes on to older rows, ``before`` back to newer ones; never both."""

    limit: int
    after: str | None = None
    before: str | None = None
    since: datetime | None = None  #: created then or later
    until: datetime | None = None  #: created before then


def turn(unit: Unit, query: Select[Any], table: Table, prefix: str, page: Page) -> tuple[list[Row[Any]], bool]:
    """The page's rows, newest first, and whether there are more in its direction. ``prefix`` is that of the table's ids."""
    created = table.c.created_at
    above, below = [page.before], [page.after]
    if page.since is not None:
        query = query.where(created >= page.since)
        above.append(earliest(prefix, page.since, apart=-APART))
    if page.until is not None:
        query = query.where(created < page.until)
        below.append(earliest(prefix, page.until, apart=APART))
    ident = table.c.id
    # one bound on each side for the index to be read by; the wider one is only checked
    for position, bound in enumerate(sorted((one for one in above if one is not None), reverse=True)):
        query = query.where((aside(unit, ident) if position else ident) > bound)
    for position, bound in enumerate(sorted(one for one in below if one is not None)):
        query = query.where((aside(unit, ident) if position else ident) < bound)
    forwards = page.before is None
    ordered = query.order_by(ident.desc() if forwards else ident).limit(page.limit + 1)
    found = list(unit.execute(ordered))
    more = len(found) > page.limit
    found = found[: page.limit]
    return found if forwards else found[::-1], more


def aside(unit: Unit, column: Column[Any]) -> ColumnElement[Any]:
    """A column whose condition is checked row by row, and no reason to read by its index.

    SQLite chooses among indexes without knowing how many rows a value has; PostgreSQL knows, and is left to it.
    """
    return literal_column(f"+{column.table.name}.{column.name}", column.type) if unit.is_sqlite else column
