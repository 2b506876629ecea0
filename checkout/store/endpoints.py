"""Where stores are notified: endpoints with their filter, health and secrets, and which of them has something due."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, insert, or_, select, text, update

from checkout.store.engine import Unit, by_id
from checkout.store.records import EndpointRow, record
from checkout.store.tables import Instant, notification_delivery, notification_endpoint, notification_secret

#: More secrets than this never sign at once: every signature makes the header longer.
SECRETS_MAX: Final = 10
ACTIVE: Final = "active"
DISABLED: Final = "disabled"

_endpoint = notification_endpoint
_delivery = notification_delivery
_NOW: Final = bindparam("now", type_=Instant)
_FREE = or_(_delivery.c.lease_until.is_(None), _delivery.c.lease_until <= _NOW)

_ADDRESSED = select(_endpoint.c.id, _endpoint.c.state, _endpoint.c.events).where(
    _endpoint.c.store_id == bindparam("store"), _endpoint.c.removed_at.is_(None)
)
_SECRETS = (
    select(notification_secret.c.secret_sealed)
    .where(
        notification_secret.c.endpoint_id == bindparam("endpoint"),
        or_(notification_secret.c.expires_at.is_(None), notification_secret.c.expires_at > _NOW),
    )
    .order_by(notification_secret.c.created_at.desc(), notification_secret.c.id.desc())
    .limit(SECRETS_MAX)
)
#: Written as in the partial indexes: neither database takes them for a condition with a parameter.
DUE: Final = text("due_at IS NOT NULL")
MISSED: Final = text("state = 'abandoned'")
#: One look into the index per endpoint: thousands that wait at one cost no more than one.
_DUE = select(
    _endpoint.c.id,
    _endpoint.c.resting_until,
    select(_delivery.c.due_at)
    .where(_delivery.c.endpoint_id == _endpoint.c.id, _delivery.c.due_at.is_not(None), _FREE)
    .order_by(_delivery.c.due_at)
    .limit(1)
    .scalar_subquery()
    .label("due_at"),
).where(_endpoint.c.state == ACTIVE)
#: Without its key: a foreign key to the row, which every announcement makes, does not wait for this lock.
_LOCKED = by_id(notification_endpoint).with_for_update(key_share=True)
_CLAIM = (
    select(_delivery.c.id)
    .where(_delivery.c.endpoint_id == bindparam("endpoint"), _delivery.c.due_at <= _NOW, _FREE)
    .limit(bindparam("most"))
)
_OLDEST = _CLAIM.order_by(_delivery.c.due_at, _delivery.c.id)
#: For a try on behalf of all: what was tried least, so that one message an endpoint cannot take does not speak for the rest.
_LEAST_TRIED = _CLAIM.order_by(_delivery.c.attempts, _delivery.c.due_at, _delivery.c.id)


@dataclass(frozen=True, slots=True)
class DueEndpoint:
    """An endpoint with something to send, and from when on."""

    id: str
    resting_until: datetime | None
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """What an endpoint has not taken: how much is still tried and since when the oldest, and how much was given up."""

    pending: int
    since: datetime | None
    missed: int


def insert_endpoint(unit: Unit, values: Mapping[str, Any]) -> None:
    unit.execute(insert(notification_endpoint), dict(values))


def update_endpoint(unit: Unit, ident: str, **values: Any) -> None:
    unit.execute(update(notification_endpoint).where(notification_endpoint.c.id == ident).values(**values))


def endpoint_by_id(unit: Unit, ident: str, *, lock: bool = False) -> EndpointRow | None:
    """One endpoint. Locked against others who change it or send to it again; announcing waits for none of them."""
    row = unit.execute(_LOCKED if lock else by_id(notification_endpoint), {"row": ident}).first()
    return None if row is None else record(EndpointRow, row)


def endpoints_of(unit: Unit, store_id: str | None) -> list[EndpointRow]:
    """A store's endpoints, or everybody's, the oldest first; without those that were removed."""
    query = select(_endpoint).where(_endpoint.c.removed_at.is_(None)).order_by(_endpoint.c.created_at, _endpoint.c.id)
    if store_id is not None:
        query = query.where(_endpoint.c.store_id == store_id)
    return [record(EndpointRow, row) for row in unit.execute(query)]


def addressed(unit: Unit, store_id: str) -> list[tuple[str, bool, str | None]]:
    """What announcing needs of a store's endpoints: id, whether it is active, and its filter. On the path of payments."""
    rows = unit.execute(_ADDRESSED, {"store": store_id})
    return [(row.id, row.state == ACTIVE, row.events) for row in rows]


# --- health ------------------------------------------------------------------------------------------------------


def recovered(unit: Unit, ident: str) -> bool:
    """An endpoint that had failed has taken something; True when it was being left alone."""
    good = {"failures": 0, "failing_since": None, "resting_until": None, "probe_token": None}
    of_it = _endpoint.c.id == ident
    woken = unit.execute(update(_endpoint).where(of_it, _endpoint.c.resting_until.is_not(None)).values(**good))
    if woken.rowcount == 0:
        unit.execute(update(_endpoint).where(of_it, _endpoint.c.failures > 0).values(**good))
    return woken.rowcount == 1


def begin_probe(unit: Unit, ident: str, *, seen: datetime, until: datetime, token: str) -> bool:
    """Take the one try of an endpoint whose rest is over; False when another has it. Who dies over it loses it at ``until``."""
    taken = unit.execute(
        update(_endpoint)
        .where(_endpoint.c.id == ident, _endpoint.c.state == ACTIVE, _endpoint.c.resting_until == seen)
        .values(resting_until=until, probe_token=token)
    )
    return taken.rowcount == 1


# --- turns -------------------------------------------------------------------------------------------------------


def due_endpoints(unit: Unit, *, now: datetime) -> list[DueEndpoint]:
    """Active endpoints for which something waits in nobody's hands, by the moment from which it may be sent."""
    rows = [
        DueEndpoint(row.id, row.resting_until, max(row.due_at, row.resting_until or row.due_at))
        for row in unit.execute(_DUE, {"now": now})
        if row.due_at is not None
    ]
    return sorted(rows, key=lambda one: (one.due_at, one.id))


def claim_deliveries(
    unit: Unit, endpoint_id: str, *, now: datetime, until: datetime, token: str, most: int, least_tried: bool
) -> list[str]:
    """Lease up to ``most`` of an endpoint's due deliveries; their ids."""
    query = _LEAST_TRIED if least_tried else _OLDEST
    if not unit.is_sqlite:
        query = query.with_for_update(skip_locked=True)
    ids = [row.id for row in unit.execute(query, {"endpoint": endpoint_id, "now": now, "most": most})]
    if ids:
        unit.execute(update(_delivery).where(_delivery.c.id.in_(ids)).values(lease_token=token, lease_until=until))
    return ids


# --- secrets -----------------------------------------------------------------------------------------------------


def insert_secret(unit: Unit, values: Mapping[str, Any]) -> None:
    unit.execute(insert(notification_secret), dict(values))


def expire_secrets(unit: Unit, endpoint_id: str, *, at: datetime) -> None:
    """Let the secrets in use run out at ``at`` or before; a new one takes over, all sign until then."""
    secret = notification_secret
    unit.execute(
        update(secret)
        .where(secret.c.endpoint_id == endpoint_id, or_(secret.c.expires_at.is_(None), secret.c.expires_at > at))
        .values(expires_at=at)
    )


def secrets_in_force(unit: Unit, endpoint_id: str, *, now: datetime) -> list[bytes]:
    """Sealed secrets in force, newest first."""
    return [row.secret_sealed for row in unit.execute(_SECRETS, {"endpoint": endpoint_id, "now": now})]


def forget_secrets(unit: Unit, endpoint_id: str) -> None:
    unit.execute(delete(notification_secret).where(notification_secret.c.endpoint_id == endpoint_id))


# --- figures -----------------------------------------------------------------------------------------------------


def waiting_at(unit: Unit, endpoint_ids: Collection[str]) -> dict[str, Backlog]:
    """What each endpoint has not taken, by the two indexes that hold nothing else."""
    of_these = _delivery.c.endpoint_id.in_(list(endpoint_ids))
    ident, many = _delivery.c.endpoint_id, func.count().label("many")
    pending = select(ident, many, func.min(_delivery.c.since).label("since")).where(of_these, DUE).group_by(ident)
    missed = select(ident, many).where(of_these, MISSED).group_by(ident)
    waiting = {one.endpoint_id: (int(one.many), one.since) for one in unit.execute(pending)}
    lost = {one.endpoint_id: int(one.many) for one in unit.execute(missed)}
    return {one: Backlog(*waiting.get(one, (0, None)), lost.get(one, 0)) for one in endpoint_ids}
