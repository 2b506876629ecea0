"""How things stand, in numbers for an operator's alarms: counts by state, and how long the oldest has waited.

Read at each scrape and nothing else, so every process of every host gives the same figures. Only what is not over is counted,
each by an index that holds nothing else first: a scrape costs by what is open, not by what the tables have gathered over years.
No id and nothing personal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from sqlalchemy import Table, func, literal, literal_column, or_, select
from sqlalchemy import case as sql_case

from checkout.rules.payments import Status
from checkout.rules.payouts import FINAL, PayoutState
from checkout.rules.refunds import ENDED, RefundState
from checkout.store.engine import Unit
from checkout.store.tables import (
    case,
    customer_standing,
    event,
    notification_delivery,
    notification_endpoint,
    payment,
    payout,
    payout_policy,
    refund,
    session,
    store,
)

#: Every table of work that is due.
QUEUES: Final[Mapping[str, Table]] = MappingProxyType(
    {
        "event": event,
        "session": session,
        "payment": payment,
        "payout_policy": payout_policy,
        "payout": payout,
        "refund": refund,
        "customer_standing": customer_standing,
        "notification_delivery": notification_delivery,
    }
)

#: What is not over, of each thing that is counted by its state.
LIVE_PAYMENTS: Final = (Status.CREATED, Status.OPEN, Status.INITIATED, Status.SUBMITTED, Status.ACCEPTED)
LIVE_PAYOUTS: Final = tuple(state for state in PayoutState if state not in FINAL)
LIVE_REFUNDS: Final = tuple(state for state in RefundState if state not in ENDED)
#: States of a delivery in which something may still become of it, or a person looks.
KEPT_EVENTS: Final = ("received", "unmatched", "quarantined", "unverified", "failed")

_COUNT: Final = func.count().label("many")
#: Before every moment: a row that has a time has a later one, and both databases find those by the index.
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many, and since when the oldest; ``since`` is None when there is none."""

    count: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything a scrape shows of the database."""

    payments: Mapping[str, int]  #: by status, those that are not over
    sessions: Mapping[str, int]  #: by state, those that are due to be sent or asked about again
    payouts: Mapping[str, Waiting]  #: by state, those that are not over; since the oldest last moved
    refunds: Mapping[str, Waiting]  #: by state, those that are not over; since the oldest last moved
    notifications: Mapping[str, Waiting]  #: by state, those not delivered; since the oldest is tried
    endpoints: Mapping[str, int]  #: by how they are: active, failing, disabled
    events: Mapping[tuple[str, str], Waiting]  #: by provider and state, not yet applied; since the oldest was received
    cases: Mapping[str, Waiting]  #: open ones, by kind; since the oldest was opened
    due: Mapping[str, Waiting]  #: by queue: due and leased to nobody; since the oldest was due
    leased: Mapping[str, int]  #: by queue: in a worker's hands


def answers(unit: Unit) -> bool:
    """Ask the database for a one."""
    return bool(unit.execute(select(literal(1))).scalar_one() == 1)


def figures(unit: Unit, *, now: datetime) -> Figures:
    """Count everything, as of ``now``."""
    return Figures(
        payments=_payments(unit),
        sessions=_by_state(unit, session),
        payouts=_live(unit, payout, [state.value for state in LIVE_PAYOUTS]),
        refunds=_live(unit, refund, [state.value for state in LIVE_REFUNDS]),
        notifications=_notifications(unit),
        endpoints=_endpoints(unit),
        events=_events(unit),
        cases=_cases(unit),
        due={name: _due(unit, table, now) for name, table in QUEUES.items()},
        leased={name: _leased(unit, table, now) for name, table in QUEUES.items()},
    )


def _payments(unit: Unit) -> dict[str, int]:
    """By the index on store and status, which holds all that is asked for."""
    stores = [row.id for row in unit.execute(select(store.c.id))]
    rows = unit.execute(
        select(payment.c.status, _COUNT)
        .where(payment.c.store_id.in_(stores), payment.c.status.in_([one.value for one in LIVE_PAYMENTS]))
        .group_by(payment.c.status)
    )
    return {row.status: int(row.many) for row in rows}


def _by_state(unit: Unit, table: Table) -> dict[str, int]:
    """Rows with something still to do, which are the ones that are due some day."""
    rows = unit.execute(select(table.c.state, _COUNT).where(table.c.due_at > _LONG_AGO).group_by(table.c.state))
    return {row.state: int(row.many) for row in rows}


def _notifications(unit: Unit) -> dict[str, Waiting]:
    """What is still tried, and what was given up: each by an index of its own."""
    one = notification_delivery.c
    tried = select(_COUNT, func.min(one.since).label("since")).where(
        one.endpoint_id.in_(select(notification_endpoint.c.id)), one.due_at > _LONG_AGO
    )
    given_up = select(_COUNT, func.min(one.since).label("since")).where(one.state == literal_column("'abandoned'"))
    found = {"pending": unit.execute(tried).one(), "abandoned": unit.execute(given_up).one()}
    return {state: Waiting(int(row.many), row.since) for state, row in found.items()}


def _endpoints(unit: Unit) -> dict[str, int]:
    """A store has few."""
    one = notification_endpoint.c
    how = sql_case((one.state != "active", one.state), (one.failing_since.is_not(None), "failing"), else_="active")
    rows = unit.execute(select(how.label("how"), _COUNT).where(one.removed_at.is_(None)).group_by(how))
    return {row.how: int(row.many) for row in rows}


def _live(unit: Unit, table: Table, states: Sequence[str]) -> dict[str, Waiting]:
    """By the table's partial index on these states; the condition must be its own, word for word."""
    since = func.min(func.coalesce(table.c.updated_at, table.c.created_at)).label("since")
    one_of = table.c.state.in_([literal_column(f"'{state}'", table.c.state.type) for state in states])
    rows = unit.execute(select(table.c.state, _COUNT, since).where(one_of).group_by(table.c.state))
    return {row.state: Waiting(int(row.many), row.since) for row in rows}


def _events(unit: Unit) -> dict[tuple[str, str], Waiting]:
    kinds = (event.c.provider, event.c.state)
    rows = unit.execute(
        select(*kinds, _COUNT, func.min(event.c.received_at).label("since"))
        .where(event.c.state.in_(KEPT_EVENTS))
        .group_by(*kinds)
    )
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
    if table is notification_delivery:  # what waits for an endpoint that does not work is not late by our own fault
        resting = notification_endpoint.c.resting_until
        works = (notification_endpoint.c.state == "active") & (resting.is_(None) | (resting <= now))
        query = query.where(table.c.endpoint_id.in_(select(notification_endpoint.c.id).where(works)))
    row = unit.execute(query.select_from(table)).one()
    return Waiting(int(row.many), row.since)


def _leased(unit: Unit, table: Table, now: datetime) -> int:
    # what is leased was due when it was
    query = select(func.count()).select_from(table).where(table.c.due_at <= now, table.c.lease_until > now)
    return int(unit.execute(query).scalar_one())
