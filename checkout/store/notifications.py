"""Outgoing notifications: one row per message, one per message and endpoint, one per try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, case, exists, func, insert, or_, select, update

from checkout.rules.notifications import TEST
from checkout.store.endpoints import DUE, MISSED
from checkout.store.engine import Unit
from checkout.store.records import DeliveryRow, DeliveryTryRow, LetterRow, NotificationRow, record
from checkout.store.tables import delivery_attempt, notification, notification_delivery, notification_endpoint

PENDING: Final = "pending"
DELIVERED: Final = "delivered"
ABANDONED: Final = "abandoned"
#: What a message without a delivery is called: its store had no endpoint that wanted it.
UNADDRESSED: Final = "unaddressed"

_delivery = notification_delivery


def _state() -> ColumnElement[str]:
    """A message's state, from those of its deliveries: the one that needs most attention."""

    def any_is(state: str) -> ColumnElement[bool]:
        return exists().where(_delivery.c.notification_id == notification.c.id, _delivery.c.state == state)

    return case(
        (any_is(PENDING), PENDING), (any_is(ABANDONED), ABANDONED), (any_is(DELIVERED), DELIVERED), else_=UNADDRESSED
    ).label("state")  # fmt: skip


_FEW: Final = {PENDING: DUE, ABANDONED: MISSED}
_MESSAGE: Final = select(notification, _state())
_LETTER: Final = (
    select(
        _delivery.c.id, _delivery.c.endpoint_id, _delivery.c.state, _delivery.c.tries, _delivery.c.since, _delivery.c.due_at,
        _delivery.c.attempts, _delivery.c.lease_token, _delivery.c.lease_until,
        notification.c.id.label("message_id"), notification.c.store_id, notification.c.subject, notification.c.type,
        notification.c.body, notification_endpoint.c.url, notification_endpoint.c.state.label("endpoint_state"),
        notification_endpoint.c.failures, notification_endpoint.c.resting_until, notification_endpoint.c.probe_token,
    )
    .join(notification, notification.c.id == _delivery.c.notification_id)
    .join(notification_endpoint, notification_endpoint.c.id == _delivery.c.endpoint_id)
    .where(_delivery.c.id == bindparam("row"))
)  # fmt: skip


# --- messages ----------------------------------------------------------------------------------------------------


def insert_notification(unit: Unit, values: Mapping[str, Any]) -> None:
    unit.execute(insert(notification), dict(values))


def notification_by_id(unit: Unit, ident: str) -> NotificationRow | None:
    row = unit.execute(_MESSAGE.where(notification.c.id == ident)).first()
    return None if row is None else record(NotificationRow, row)


def notifications_on(unit: Unit, subject: str) -> list[NotificationRow]:
    rows = unit.execute(_MESSAGE.where(notification.c.subject == subject).order_by(notification.c.sequence))
    return [record(NotificationRow, row) for row in rows]


def next_sequence(unit: Unit, subject: str) -> int:
    """The subject's row must be locked by the caller."""
    highest = unit.execute(
        select(func.coalesce(func.max(notification.c.sequence), 0)).where(notification.c.subject == subject)
    ).scalar_one()
    return int(highest) + 1


def messages_between(
    unit: Unit, store_id: str, start: datetime, end: datetime, *, after: tuple[datetime, str] | None, most: int
) -> list[NotificationRow]:
    """A store's messages announced in this time, test events aside: one page, the oldest first, from past ``after``."""
    at, ident = notification.c.created_at, notification.c.id
    query = _MESSAGE.where(notification.c.store_id == store_id, notification.c.type != TEST, at >= start, at < end)
    if after is not None:
        query = query.where(or_(at > after[0], and_(at == after[0], ident > after[1])))
    return [record(NotificationRow, row) for row in unit.execute(query.order_by(at, ident).limit(most))]


def list_messages(
    unit: Unit, *, store_id: str | None, endpoint_id: str | None, state: str | None, limit: int
) -> list[NotificationRow]:
    """The newest first; with an endpoint, ``state`` is that of the delivery to it."""
    query = _MESSAGE.order_by(notification.c.id.desc()).limit(limit)  # ids are made in order of time
    if store_id is not None:
        query = query.where(notification.c.store_id == store_id)
    if endpoint_id is not None:
        to_it = [_delivery.c.notification_id == notification.c.id, _delivery.c.endpoint_id == endpoint_id]
        query = query.where(exists().where(*to_it, *([] if state is None else [_delivery.c.state == state])))
    elif state is not None:
        query = query.where(_state() == state)
    if state in _FEW:  # what is not delivered is found by the index that holds nothing else
        query = query.where(notification.c.id.in_(select(_delivery.c.notification_id).where(_FEW[state])))
    return [record(NotificationRow, row) for row in unit.execute(query)]


# --- deliveries --------------------------------------------------------------------------------------------------


def insert_deliveries(unit: Unit, values: Sequence[Mapping[str, Any]]) -> None:
    unit.execute(insert(notification_delivery), [dict(one) for one in values])


def letter(unit: Unit, ident: str) -> LetterRow | None:
    """Everything one try needs of a delivery, its message and its endpoint."""
    row = unit.execute(_LETTER, {"row": ident}).first()
    return None if row is None else record(LetterRow, row)


def deliveries_of(unit: Unit, notification_id: str) -> list[DeliveryRow]:
    query = select(_delivery).where(_delivery.c.notification_id == notification_id).order_by(_delivery.c.id)
    return [record(DeliveryRow, row) for row in unit.execute(query)]


def addressed_to(unit: Unit, endpoint_id: str, notification_ids: Sequence[str]) -> set[str]:
    """Those of the messages that have a delivery to the endpoint, of whatever state."""
    query = select(_delivery.c.notification_id).where(
        _delivery.c.endpoint_id == endpoint_id, _delivery.c.notification_id.in_(notification_ids)
    )
    return {row.notification_id for row in unit.execute(query)}


def send_again(
    unit: Unit, endpoint_id: str, notification_ids: Sequence[str], *, now: datetime, missed_only: bool
) -> int:
    """Make deliveries due as if they were new; how many. One that is being sent at this moment is left to end."""
    which = [_delivery.c.endpoint_id == endpoint_id, _delivery.c.notification_id.in_(notification_ids)]
    if missed_only:
        which.append(_delivery.c.state == ABANDONED)
    changed = unit.execute(
        update(_delivery)
        .where(*which, or_(_delivery.c.lease_until.is_(None), _delivery.c.lease_until <= now))
        .values(state=PENDING, due_at=now, since=now, attempts=0, lease_token=None, lease_until=None)
    )
    return int(changed.rowcount)


def wake_pending(unit: Unit, endpoint_id: str, *, now: datetime) -> None:
    """An endpoint works again: what waited for its own next try goes now."""
    _of_endpoint(unit, endpoint_id, _delivery.c.due_at > now, due_at=now)


def abandon_pending(unit: Unit, endpoint_id: str, *, why: str) -> int:
    """Give up what waits for an endpoint; how many. They can be sent again. What is being sent decides for itself."""
    return _of_endpoint(unit, endpoint_id, state=ABANDONED, due_at=None, last_answer=why)


def _of_endpoint(unit: Unit, endpoint_id: str, *more: ColumnElement[bool], **values: Any) -> int:
    mine = (_delivery.c.endpoint_id == endpoint_id, _delivery.c.state == PENDING, _delivery.c.lease_token.is_(None))
    return int(unit.execute(update(_delivery).where(*mine, *more).values(**values)).rowcount)


def count_missed(unit: Unit, endpoint_id: str) -> int:
    """How many messages an endpoint has not been able to take."""
    query = select(func.count()).select_from(_delivery).where(_delivery.c.endpoint_id == endpoint_id, MISSED)
    return int(unit.execute(query).scalar_one())


# --- the log -----------------------------------------------------------------------------------------------------


def log_try(unit: Unit, values: Mapping[str, Any]) -> None:
    unit.execute(insert(delivery_attempt), dict(values))


def tries_of(unit: Unit, delivery_id: str) -> list[DeliveryTryRow]:
    query = select(delivery_attempt).where(delivery_attempt.c.delivery_id == delivery_id)
    return [record(DeliveryTryRow, row) for row in unit.execute(query.order_by(delivery_attempt.c.number))]
