"""Writing a notification in the transaction of the change it reports: the message, and a delivery per endpoint that wants it.

Each carries a sequence per subject and the state as of sending, so that a shop may hear them in any order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from checkout.context import Context
from checkout.rules.notifications import wanted
from checkout.store import endpoints
from checkout.store import notifications as rows
from checkout.store.engine import Unit
from checkout.store.records import PaymentRow

#: Why a delivery to a disabled endpoint is given up before it was tried; it can be sent again.
WAS_DISABLED: Final = "the endpoint was disabled"


def announce(
    unit: Unit,
    context: Context,
    *,
    store_id: str,
    subject: str,
    payment_id: str | None,
    kind: str,
    sequence: int,
    data: Mapping[str, Any],
    now: datetime,
) -> None:
    """Write one notification. A store without an endpoint that wants it keeps it unsent; a disabled one can have it later."""
    message = context.new_id("msg")
    rows.insert_notification(
        unit,
        {
            "id": message,
            "store_id": store_id,
            "payment_id": payment_id,
            "subject": subject,
            "type": kind,
            "sequence": sequence,
            "body": body_of(kind, sequence, data, now=now),
            "created_at": now,
        },
    )
    deliveries = [
        new_delivery(context, message, endpoint, active=active, now=now)
        for endpoint, active, events in endpoints.addressed(unit, store_id)
        if wanted(kind, None if events is None else json.loads(events))
    ]
    if deliveries:
        rows.insert_deliveries(unit, deliveries)


def body_of(kind: str, sequence: int, data: Mapping[str, Any], *, now: datetime) -> str:
    """The exact text that is signed and sent, at every try the same."""
    body = {"type": kind, "timestamp": now.isoformat(), "sequence": sequence, "data": dict(data)}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def new_delivery(context: Context, message: str, endpoint: str, *, active: bool, now: datetime) -> dict[str, Any]:
    """The row of a message's way to an endpoint: due at once, or given up when the endpoint is disabled."""
    return {
        "id": context.new_id("dlv"),
        "notification_id": message,
        "endpoint_id": endpoint,
        "state": rows.PENDING if active else rows.ABANDONED,
        "last_answer": "" if active else WAS_DISABLED,
        "since": now,
        "due_at": now if active else None,
    }


def payment_data(payment: PaymentRow, *, status: str, anomalies: list[str]) -> dict[str, Any]:
    """The state of a payment as a notification shows it: nothing personal, nothing secret."""
    asked = payment.asked
    return {
        "id": payment.id,
        "status": status,
        "anomaly": anomalies[0] if anomalies else None,
        "anomalies": anomalies,
        "amount": None if asked is None else asked.fixed(),
        "currency": payment.currency,
        "order": payment.order_ref,
        "metadata": json.loads(payment.metadata),
    }
