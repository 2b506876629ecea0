"""Stored moves, acts and cases: who changed what, when, why; and what waits for a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update

from checkout.store.engine import Unit, add_to
from checkout.store.tables import act, case, move

WORKER = "checkout"  #: who, when nobody in particular

_OF_KIND = (case.c.kind == bindparam("which"), case.c.subject == bindparam("whose"))
_CASE = select(case.c.id).where(*_OF_KIND)
_CASES_ON = select(case).where(case.c.subject == bindparam("whose")).order_by(case.c.opened_at, case.c.id)
#: Every other parameter is a column's new value.
_CLOSE = update(case).where(*_OF_KIND, case.c.closed_at.is_(None))


def record_move(
    unit: Unit,
    subject: str,
    position: int,
    before: str | None,
    after: str,
    *,
    cause: str,
    who: str,
    at: datetime,
) -> None:
    """Append one move. A second move at the same position is :class:`Taken`: somebody else was faster."""
    unit.execute(
        add_to(move),
        {
            "subject": subject, "position": position, "before": before, "after": after, "cause": cause[:500],
            "who": who, "at": at,
        },
    )  # fmt: skip


def moves_of(unit: Unit, subject: str) -> list[dict[str, Any]]:
    """Every move of a subject, oldest first."""
    rows = unit.execute(select(move).where(move.c.subject == subject).order_by(move.c.position))
    return [dict(row._mapping) for row in rows]


def record_act(
    unit: Unit, ident: str, *, who: str, action: str, subject: str, detail: Mapping[str, Any], at: datetime
) -> None:
    """Store what a named person did. The detail holds ids and amounts, never personal data or secrets."""
    text = json.dumps(detail, sort_keys=True, ensure_ascii=False)
    row = {"id": ident, "who": who, "action": action, "subject": subject, "detail": text, "at": at}
    unit.execute(add_to(act), row)


def acts_on(unit: Unit, subject: str) -> list[dict[str, Any]]:
    rows = unit.execute(select(act).where(act.c.subject == subject).order_by(act.c.at, act.c.id))
    return [dict(row._mapping) for row in rows]


def open_case(unit: Unit, ident: str, *, kind: str, subject: str, detail: str, at: datetime) -> bool:
    """Open the case of this kind on this subject, once; True when it is new. A closed one is not opened again."""
    if unit.execute(_CASE, {"which": kind, "whose": subject}).first() is not None:
        return False
    row = {"id": ident, "kind": kind, "subject": subject, "detail": detail[:1000], "opened_at": at}
    unit.execute(add_to(case), row)
    return True


def reopen_case(unit: Unit, ident: str, *, kind: str, subject: str, detail: str, at: datetime) -> None:
    """Open the case, or open it again when it had been closed: for facts that can come true anew."""
    if open_case(unit, ident, kind=kind, subject=subject, detail=detail, at=at):
        return
    unit.execute(
        update(case)
        .where(case.c.kind == kind, case.c.subject == subject, case.c.closed_at.is_not(None))
        .values(closed_at=None, closed_by=None, closing_note=None, detail=detail[:1000], opened_at=at)
    )


def retell_case(unit: Unit, *, kind: str, subject: str, detail: str) -> None:
    """Say something newer on an open case."""
    unit.execute(
        update(case)
        .where(case.c.kind == kind, case.c.subject == subject, case.c.closed_at.is_(None))
        .values(detail=detail[:1000])
    )


def close_case(unit: Unit, ident: str, *, who: str, note: str, at: datetime) -> bool:
    """Close an open case; False when it was not open."""
    closed = unit.execute(
        update(case)
        .where(case.c.id == ident, case.c.closed_at.is_(None))
        .values(closed_at=at, closed_by=who, closing_note=note)
    )
    return closed.rowcount == 1


def close_by_proof(unit: Unit, *, kind: str, subject: str, note: str, at: datetime) -> None:
    """Close the case of this kind because later news settled it."""
    closed = {"closed_at": at, "closed_by": WORKER, "closing_note": note}
    unit.execute(_CLOSE, {"which": kind, "whose": subject, **closed})


def case_by_id(unit: Unit, ident: str) -> dict[str, Any] | None:
    row = unit.execute(select(case).where(case.c.id == ident)).first()
    return None if row is None else dict(row._mapping)


def cases_on(unit: Unit, subject: str) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in unit.execute(_CASES_ON, {"whose": subject})]


def list_cases(unit: Unit, *, include_closed: bool, limit: int) -> list[dict[str, Any]]:
    """Cases, the oldest first: they have waited longest."""
    query = select(case).order_by(case.c.opened_at, case.c.id).limit(limit)
    if not include_closed:
        query = query.where(case.c.closed_at.is_(None))
    return [dict(row._mapping) for row in unit.execute(query)]


def count_open_cases(unit: Unit) -> int:
    return int(unit.execute(select(func.count()).select_from(case).where(case.c.closed_at.is_(None))).scalar_one())
