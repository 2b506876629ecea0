"""Evidence that comes by file or from the merchant's own treasury system: many settlement records, each made once.

The file is CSV in UTF-8 with exactly these columns, in any order:

    key        your own name of the line; the same key and content again changes nothing
    store      the store's id or name
    asset      USDC or USDT
    network    for example polygon
    amount     exactly what arrived, in the asset: 9.71
    fee        what Stable Mint kept, in the deposits' currency; empty is 0
    deposits   ids or references, with spaces between them
    evidence   where it was seen: an advice, a transaction hash

A file is taken whole or not at all, and every bad line is named at once.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from typing import Final

from checkout.context import Context
from checkout.errors import IdempotencyReused, NotFound, NotPossible, RequestRefused
from checkout.store import explaining, payouts, stores
from checkout.store.engine import Unit
from checkout.store.pages import Page
from checkout.store.records import SettlementRecordRow, StoreRow
from checkout.treasury import Entered, enter

COLUMNS: Final = ("key", "store", "asset", "network", "amount", "fee", "deposits", "evidence")
FILE_BYTES_MAX: Final = 2 * 1024 * 1024
LINES_MAX: Final = 1_000
KEY_MAX: Final = 200
EVIDENCE_MAX: Final = 1_000
#: Bad lines named in one answer; the rest are found when these are mended.
PROBLEMS_MAX: Final = 100

FILE: Final = "file"
API: Final = "api"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file, in its own words."""

    number: int
    key: str
    store: str
    entered: Entered


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one line."""

    line: int
    key: str
    record: str
    new: bool


class EvidenceImport:
    """The treasury's verbs."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def file(self, content: bytes, *, who: str) -> list[Taken]:
        """Take a whole file. RequestRefused names every bad line and nothing is stored."""
        found, problems = _read(content)
        problems |= _clashes(found, problems)
        now = self._context.clock()
        taken: list[Taken] = []
        with self._context.database.write() as unit:
            for line in found:
                try:
                    taken.append(self._line(unit, line, who, now))
                except (RequestRefused, NotFound, NotPossible) as refused:
                    problems.setdefault(f"line {line.number}", []).append(_words(refused))
            if problems:
                raise RequestRefused(dict(sorted(problems.items(), key=_by_number)[:PROBLEMS_MAX]))
        return taken

    def _line(self, unit: Unit, line: Line, who: str, now: datetime) -> Taken:
        store = stores.find_store(unit, line.store)
        if store is None:
            raise NotFound("store", line.store)
        record, new = self._once(unit, store, FILE, line.key, line.entered, who, now)
        return Taken(line.number, line.key, record, new)

    def request(self, store: StoreRow, key: str, entered: Entered, *, who: str) -> tuple[SettlementRecordRow, bool]:
        """One record for one Idempotency-Key; (the record, whether it is new). IdempotencyReused for other content."""
        now = self._context.clock()
        with self._context.database.write() as unit:
            try:
                ident, new = self._once(unit, store, API, key, entered, who, now)
            except NotFound as missing:
                raise RequestRefused({"deposits": f"{missing.ident!r} is no deposit of this store"}) from None
            except RequestRefused as refused:
                fields = {("deposits" if name == "deposit" else name): said for name, said in refused.fields.items()}
                raise RequestRefused(fields) from None
            return self._record(unit, ident), new

    def read(self, store: StoreRow, ident: str) -> tuple[SettlementRecordRow, list[str]]:
        """A record of this store with its deposits; NotFound."""
        with self._context.database.read() as unit:
            record = payouts.settlement_record_by_id(unit, ident)
            if record is None or record.store_id != store.id:
                raise NotFound("settlement record", ident)
            return record, [one.id for one in payouts.deposits_in_record(unit, ident)]

    def page(
        self, store: StoreRow, page: Page, *, asset: str | None = None, network: str | None = None
    ) -> tuple[list[tuple[SettlementRecordRow, list[str]]], bool]:
        """Records of this store with their deposits, newest first, and whether there are more."""
        with self._context.database.read() as unit:
            found, more = payouts.records_on_page(unit, store.id, page, asset=asset, network=network)
            deposits = payouts.deposits_of_each(unit, [row.id for row in found])
        return [(row, deposits.get(row.id, [])) for row in found], more

    def _record(self, unit: Unit, ident: str) -> SettlementRecordRow:
        record = payouts.settlement_record_by_id(unit, ident)
        if record is None:  # pragma: no cover - a foreign key holds it
            raise NotFound("settlement record", ident)
        return record

    def _once(
        self, unit: Unit, store: StoreRow, source: str, key: str, entered: Entered, who: str, now: datetime
    ) -> tuple[str, bool]:
        """The record of this key, made now or known. Equal requests at once wait for each other at the store's lock."""
        explaining.lock_store(unit, store.id)
        digest = _digest(entered)
        known = explaining.line_of(unit, store.id, source, key)
        if known is not None:
            if known.content_hash != digest:
                raise IdempotencyReused(f"key {key!r} has made {known.settlement_record_id} of other content already")
            return known.settlement_record_id, False
        made = enter(unit, self._context, store.id, entered, who=who, now=now)
        explaining.insert_line(
            unit,
            {
                "store_id": store.id, "source": source, "key": key, "content_hash": digest,
                "settlement_record_id": made.id, "created_at": now, "created_by": who,
            },
        )  # fmt: skip
        return made.id, True


def _digest(entered: Entered) -> str:
    """The content of a line, whatever the order of its deposits."""
    content = astuple(replace(entered, deposits=tuple(sorted(entered.deposits))))
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _read(content: bytes) -> tuple[list[Line], dict[str, list[str]]]:
    """The lines that can be read, and what is wrong with the others, by line number; RequestRefused for no such file."""
    if len(content) > FILE_BYTES_MAX:
        raise RequestRefused({"file": f"is larger than {FILE_BYTES_MAX // 1024 // 1024} MB; split it"})
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestRefused({"file": f"is not UTF-8 text (byte {error.start})"}) from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        heads = [one.strip().lower() for one in next(rows, [])]
        if sorted(heads) != sorted(COLUMNS):
            raise RequestRefused({"line 1": f"must name exactly these columns: {', '.join(COLUMNS)}"})
        lines: list[Line] = []
        problems: dict[str, list[str]] = {}
        for row in rows:
            number = rows.line_num
            if not any(cell.strip() for cell in row):
                continue
            if len(lines) + len(problems) >= LINES_MAX:
                raise RequestRefused({"file": f"has more than {LINES_MAX} lines; split it"})
            wrong = _row_problems(heads, row)
            if wrong:
                problems[f"line {number}"] = wrong
            else:
                lines.append(_as_line(number, dict(zip(heads, row, strict=True))))
    except csv.Error as error:
        raise RequestRefused({f"line {rows.line_num}": f"is not CSV: {error}"}) from None
    if not lines and not problems:
        raise RequestRefused({"file": "has no line under its heads"})
    return lines, problems


def _row_problems(heads: list[str], row: list[str]) -> list[str]:
    if len(row) != len(heads):
        return [f"has {len(row)} cells, not {len(heads)}"]
    cells = dict(zip(heads, row, strict=True))
    problems = [f"{name} is empty" for name in COLUMNS if name != "fee" and not cells[name].strip()]
    if len(cells["key"].strip()) > KEY_MAX or not cells["key"].isprintable():
        problems.append(f"key has at most {KEY_MAX} printable characters")
    if len(cells["evidence"]) > EVIDENCE_MAX or not cells["evidence"].isprintable():
        problems.append(f"evidence has at most {EVIDENCE_MAX} printable characters")
    return problems


def _as_line(number: int, cells: Mapping[str, str]) -> Line:
    given = {name: cell.strip() for name, cell in cells.items()}
    entered = Entered(
        asset=given["asset"].upper(),
        network=given["network"].lower(),
        amount=given["amount"],
        fee=given["fee"] or "0",
        deposits=tuple(given["deposits"].split()),
        evidence=given["evidence"],
    )
    return Line(number, given["key"], given["store"], entered)


def _clashes(found: list[Line], problems: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Lines that name what an earlier line has named already."""
    seen: dict[tuple[str, str], int] = {}
    clashes: dict[str, list[str]] = {}
    for line in found:
        for what, name in _named(line):
            first = seen.setdefault((what, name), line.number)
            if first != line.number:
                known = clashes.setdefault(f"line {line.number}", list(problems.get(f"line {line.number}", [])))
                known.append(f"{what} {name} is in line {first} already")
    return clashes


def _named(line: Line) -> Iterator[tuple[str, str]]:
    yield "key", f"{line.key} of {line.store}"
    for deposit in line.entered.deposits:
        yield "deposit", deposit


def _words(refused: Exception) -> str:
    if isinstance(refused, RequestRefused):
        return "; ".join(f"{name}: {' '.join(said)}" for name, said in refused.fields.items())
    return str(refused)


def _by_number(item: tuple[str, list[str]]) -> int:
    return int(item[0].split()[1])
