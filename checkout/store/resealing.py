"""Every sealed value in the database, to be sealed again when the data key has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import Column, Table, select, tuple_, update

from checkout.store.engine import Database
from checkout.store.tables import metadata

#: Rows changed in one transaction, so that nobody waits long.
BATCH: Final = 200


def sealed_columns() -> Iterator[tuple[Table, Column[bytes]]]:
    """Every column whose name says that it is sealed."""
    for table in metadata.sorted_tables:
        for column in table.columns:
            if column.name.endswith("_sealed"):
                yield table, column


def reseal(database: Database, table: Table, column: Column[bytes], again: Callable[[bytes], bytes]) -> int:
    """Seal every value of a column again; how many. A value that changes meanwhile is the newer one's, and stays."""
    key = list(table.primary_key.columns)
    after: tuple[object, ...] | None = None
    count = 0
    while True:
        query = select(*key, column).where(column.is_not(None)).order_by(*key).limit(BATCH)
        if after is not None:
            query = query.where(tuple_(*key) > after)
        with database.read() as unit:
            rows = unit.execute(query).all()
        if not rows:
            return count
        renewed: list[tuple[tuple[object, ...], bytes, bytes]] = [
            (tuple(row[:-1]), bytes(row[-1]), again(bytes(row[-1]))) for row in rows
        ]
        with database.write() as unit:
            for ident, before, sealed in renewed:
                which = [one == value for one, value in zip(key, ident, strict=True)]
                unit.execute(update(table).where(*which, column == before).values({column.name: sealed}))
        count += len(rows)
        after = tuple(rows[-1][:-1])
