"""Many payments out of one: the rows that the service itself made for a payment, copied inside the database under new names.

A pattern is what one real payment left in every table. Its identifiers are replaced wherever they stand, so that a copy is
as whole as its pattern: sessions, deposits, moves, events, records and postings name each other, and the ledger balances.
What must be unique and names nothing else is drawn anew. Copies are made at moments one step apart, and their ids say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    MetaData,
    String,
    Table,
    case,
    cast,
    func,
    insert,
    literal,
    or_,
    select,
)

from checkout.store.engine import Database, Unit
from checkout.store.tables import (
    Instant,
    act,
    deposit,
    event,
    move,
    payment,
    posting,
    session,
    settlement_record,
)

#: The tables in which a payment leaves rows, those that others refer to first, and where its ids stand in them.
TABLES: Final[tuple[tuple[Table, str], ...]] = (
    (payment, "id"), (session, "payment_id"), (settlement_record, "id"), (deposit, "payment_id"), (move, "subject"),
    (posting, "cause"), (event, "subject"), (act, "subject"),
)  # fmt: skip
#: Unique, and named by nothing else: so many characters each.
DRAWN: Final[Mapping[str, Mapping[str, int]]] = {
    "payment": {"idempotency_key": 36, "pay_token_hash": 64},
    "session": {"website_reference": 36, "provider_key": 36, "return_token_hash": 64},
    "event": {"dedup_key": 36, "body_hash": 64},
}
#: When each was made.
DATED: Final[Mapping[str, tuple[str, ...]]] = {
    "payment": ("created_at", "updated_at"),
    "session": ("created_at",),
    "deposit": ("created_at",),
    "event": ("received_at",),
}
#: Crockford's, as the service's own ids have it.
ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
DIGITS: Final = 12
#: Numbers that one transaction copies.
CHUNK: Final = 50_000
CACHE_KB: Final = 400_000


@dataclass(frozen=True, slots=True)
class Copies:
    """What the expressions of one statement are made of: the number of the copy, its moment, and that as an id begins."""

    number: ColumnElement[int]
    moment: ColumnElement[datetime]
    stamp: ColumnElement[str]
    is_sqlite: bool

    def name(self, prefix: str, ordinal: int) -> ColumnElement[str]:
        """An identifier of the usual length, in the order of the moments."""
        digits = func.substr(cast(literal(10**DIGITS, BigInteger) + self.number, String), 2)
        return literal(prefix) + self.stamp + literal(f"0{ordinal:03}") + digits

    def drawn(self, salt: str, length: int) -> ColumnElement[str]:
        """Text that nothing else has, spread over an index as hashes are."""
        if self.is_sqlite:
            return func.substr(func.lower(func.hex(func.randomblob(32))), 1, length)
        one, other = (func.md5(literal(salt + half) + cast(self.number, String), type_=String) for half in "ab")
        return func.substr(one + other, 1, length)

    def every(self, choices: Sequence[str], times: int = 1) -> ColumnElement[str]:
        """The choices in turn, each so many times."""
        turn = self.number // times % len(choices)
        return case({position: literal(one) for position, one in enumerate(choices)}, value=turn)


#: Values of a column in the copies.
Change = Callable[[Copies], ColumnElement[Any]]
Changes = Mapping[Table, Mapping[str, Change]]


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """One payment as the service made it: (table, values, ordinal) of every row, and the names to be replaced."""

    rows: tuple[tuple[Table, Mapping[str, Any], int], ...]
    names: tuple[tuple[str, str, int], ...]  #: (name, prefix of its copies, ordinal)


def pattern_of(unit: Unit, payment_id: str, *, without: Sequence[Table] = ()) -> Pattern:
    """Everything the database has of a payment, but for the tables left out."""
    sessions = unit.execute(select(session).where(session.c.payment_id == payment_id)).all()
    deposits = unit.execute(select(deposit).where(deposit.c.payment_id == payment_id)).all()
    ids = [payment_id, *(one.id for one in sessions), *(one.id for one in deposits)]
    ids += [one.settlement_record_id for one in deposits if one.settlement_record_id is not None]
    names = [(ident, f"{ident.split('_')[0]}_", number) for number, ident in enumerate(ids)]
    outside = [one.reference for one in (*sessions, *deposits)] + [one.provider_session_id for one in sessions]
    names += [(name, "", number) for number, name in enumerate(sorted({one for one in outside if one}))]
    rows: list[tuple[Table, Mapping[str, Any], int]] = []
    for table, column in TABLES:
        if table not in without:
            found = unit.execute(select(table).where(table.c[column].in_(ids)))
            rows += [(table, dict(row._mapping), number) for number, row in enumerate(found)]
    return Pattern(tuple(rows), tuple(names))


def copy(
    database: Database, patterns: Mapping[Pattern, Sequence[int]], numbers: range, *, first: datetime, step_s: int = 1,
    changes: Changes | None = None,
) -> None:  # fmt: skip
    """Copy patterns once for each number; each takes the numbers that have its remainders, of as many as there are in all.

    The first number is of the moment ``first``, each further one a step later. ``changes`` are values unlike the pattern's.
    """
    of = sum(len(remainders) for remainders in patterns.values())
    for start in range(numbers.start, numbers.stop, CHUNK):
        with database.write() as unit:
            if unit.is_sqlite:  # indexes of random text are filled all over: in memory, not page by page from the disk
                unit.connection.exec_driver_sql(f"PRAGMA cache_size=-{CACHE_KB}")
            some = range(start, min(start + CHUNK, numbers.stop))
            counted = _counted(unit, some, int(first.timestamp()) - numbers.start * step_s, step_s)
            copies = Copies(counted.c.number, counted.c.moment, counted.c.stamp, unit.is_sqlite)
            for pattern, remainders in patterns.items():
                mine = or_(*(counted.c.number % of == one for one in remainders))
                for table, row, ordinal in pattern.rows:
                    values = _values(table, row, pattern, copies, ordinal)
                    values |= {name: made(copies) for name, made in (changes or {}).get(table, {}).items()}
                    key = (column == row[column.name] for column in table.primary_key.columns)
                    query = select(*values.values()).select_from(table).join(counted, mine).where(*key)
                    unit.execute(insert(table).from_select(list(values), query))
            counted.drop(unit.connection)


def _counted(unit: Unit, numbers: range, origin_s: int, step_s: int) -> Table:
    """A temporary table of the numbers, each with its moment and the ten characters in which an id tells it."""
    counted = Table(
        "counted", MetaData(), Column("number", BigInteger), Column("moment", Instant()), Column("stamp", String(10)),
        prefixes=["TEMPORARY"],
    )  # fmt: skip
    counted.create(unit.connection)
    row = select(literal(numbers.start, BigInteger).label("number")).cte("row", recursive=True)
    row = row.union_all(select(row.c.number + 1).where(row.c.number < numbers.stop - 1))
    seconds = literal(origin_s, BigInteger) + row.c.number * step_s
    if unit.is_sqlite:
        moment = func.strftime("%Y-%m-%d %H:%M:%S.000000", seconds, "unixepoch", type_=Instant())
    else:
        moment = func.to_timestamp(seconds, type_=Instant())
    unit.execute(
        insert(counted).from_select(["number", "moment", "stamp"], select(row.c.number, moment, _stamp(seconds)))
    )
    return counted


def _stamp(seconds: ColumnElement[int]) -> ColumnElement[str]:
    """The 48 bits of milliseconds at the beginning of an id, five to a character."""
    milliseconds = seconds * 1000
    fives = [milliseconds // 2 ** (43 - 5 * position) % 32 for position in range(9)] + [milliseconds % 8 * 4]
    text: ColumnElement[str] = literal("")
    for one in fives:
        text += func.substr(ALPHABET, cast(one, Integer) + 1, 1, type_=String)
    return text


def _values(
    table: Table, row: Mapping[str, Any], pattern: Pattern, copies: Copies, ordinal: int
) -> dict[str, ColumnElement[Any]]:
    """What a copy of the row has in each column."""
    values: dict[str, ColumnElement[Any]] = {column.name: column for column in table.columns}
    drawn = DRAWN.get(table.name, {})
    values |= {name: copies.drawn(f"{table.name}{name}{ordinal}", length) for name, length in drawn.items()}
    values |= dict.fromkeys(DATED.get(table.name, ()), copies.moment)
    for name, present in row.items():
        if name in drawn or not isinstance(present, str):
            continue
        for one, prefix, number in pattern.names:
            if one in present:
                values[name] = func.replace(values[name], one, copies.name(prefix, number))
    if "id" in row and row["id"] not in {one for one, _, _ in pattern.names}:
        values["id"] = copies.name(f"{table.name[:3]}_", ordinal)
    return values
