"""Outgoing notifications: one row per message, kept until delivered or given up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, insert, select

from checkout.store.engine import Unit, by_id
from checkout.store.records import NotificationRow, record
from checkout.store.tables import notification


def insert_notification(unit: Unit, values: Mapping[str, Any]) -> None:
    unit.execute(insert(notification), dict(values))


def notification_by_id(unit: Unit, ident: str) -> NotificationRow | None:
    row = unit.execute(by_id(notification), {"row": ident}).first()
    return None if row is None else record(NotificationRow, row)


def notifications_on(unit: Unit, subject: str) -> list[NotificationRow]:
    rows = unit.execute(select(notification).where(notification.c.subject == subject).order_by(notification.c.sequence))
    return [record(NotificationRow, row) for row in rows]


def next_sequence(unit: Unit, subject: str) -> int:
    """The subject's row must be locked by the caller."""
    highest = unit.execute(
        select(func.coalesce(func.max(notification.c.sequence), 0)).where(notification.c.subject == subject)
    ).scalar_one()
    return int(highest) + 1
