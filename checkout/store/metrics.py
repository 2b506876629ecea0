"""How things stand, in numbers for an operator's alarms: counts by state, and how long the oldest has waited.

Read at each scrape and nothing else, so every process of every host gives the same figures. No id and nothing personal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Column, Table, func, literal, or_, select

from checkout.store.engine import Unit
from checkout.store.tables import case, event, notification, payment, payout, payout_policy, refund, session

#: Every table of work that is due.
QUEUES: Final[Mapping[str, Table]] = MappingProxyType(
    {
        "event": event,
        "session": session,
        "payment": payment,
        "payout_policy": payout_policy,
        "payout": payout,
        "refund": refund,
        "notification": notification,
    }
)

_COUNT: Final = func.count().label("many")


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many, and since when the oldest; ``since`` is None when there is none."""

    count: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything a scrape shows of the database."""

    payments: Mapping[str, int]  #: by status
    sessions: Mapping[str, int]  #: by state
    payouts: Mapping[str, int]  #: by state
    refunds: Mapping[str, int]  #: by state
    notifications: Mapping[str, int]  #: by state
    events: Mapping[tuple[str, str], Waiting]  #: by provider and state; since the oldest was received
    cases: Mapping[str, Waiting]  #: open ones, by kind; since the oldest was opened
    due: Mapping[str, Waiting]  #: by queue: due and leased to nobody; since the oldest was due
    leased: Mapping[str, int]  #: by queue: in a worker's hands


def answers(unit: Unit) -> bool:
    """Ask the database for a one."""
    return bool(unit.execute(select(literal(1))).scalar_one() == 1)


def figures(unit: Unit, *, now: datetime) -> Figures:
    """Count everything, as of ``now``."""
    return Figures(
        payments=_counts(unit, payment.c.status),
        sessions=_counts(unit, session.c.state),
        payouts=_counts(unit, payout.c.state),
        refunds=_counts(unit, refund.c.state),
        notifications=_counts(unit, notification.c.state),
        events=_events(unit),
        cases=_cases(unit),
        due={name: _due(unit, table, now) for name, table in QUEUES.items()},
        leased={name: _leased(unit, table, now) for name, table in QUEUES.items()},
    )


def _counts(unit: Unit, column: Column[Any]) -> dict[str, int]:
    rows = unit.execute(select(column.label("value"), _COUNT).group_by(column))
    return {str(row.value): int(row.many) for row in rows}


def _events(unit: Unit) -> dict[tuple[str, str], Waiting]:
    kinds = (event.c.provider, event.c.state)
    rows = unit.execute(select(*kinds, _COUNT, func.min(event.c.received_at).label("since")).group_by(*kinds))
    return {(row.provider, row.state): Waiting(int(row.many), row.since) for row in rows}


def _cases(unit: Unit) -> dict[str, Waiting]:
    rows = unit.execute(
        select(case.c.kind, _COUNT, func.min(case.c.opened_at).label("since"))
        .where(case.c.closed_at.is_(None))
        .group_by(case.c.kind)
    )
    return {row.kind: Waiting(int(row.many), row.since) for row in rows}


def _due(unit: Unit, table: Table, now: datetime) -> Waiting:
    free = or_(table.c.lease_until.is_(None), table.c.lease_until <= now)
    query = select(_COUNT, func.min(table.c.due_at).label("since")).where(table.c.due_at <= now, free)
    row = unit.execute(query.select_from(table)).one()
    return Waiting(int(row.many), row.since)


def _leased(unit: Unit, table: Table, now: datetime) -> int:
    query = select(func.count()).select_from(table).where(table.c.due_at.is_not(None), table.c.lease_until > now)
    return int(unit.execute(query).scalar_one())
