"""What we tell the storefront: rows written with the change they report, delivered later, at least once.

Each carries a sequence per subject and the state as of sending, so that a shop may hear them in any order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol

from checkout import signing
from checkout.context import Context
from checkout.rules.work import NOTIFICATION_WINDOW, backoff, step_deadline
from checkout.store import notifications as store
from checkout.store import stores
from checkout.store.engine import Unit
from checkout.store.moves import reopen_case
from checkout.store.records import NotificationRow, PaymentRow
from checkout.store.tables import notification
from checkout.store.work import release

#: Answers that a shop gives to say "never again for this one"; anything else is tried again.
GONE: Final = 410


class Sender(Protocol):
    """Delivers one signed message; the answer's status, or None when there was none in time."""

    def send(self, url: str, body: bytes, headers: Mapping[str, str], *, deadline_s: float) -> int | None: ...


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
    """Write one notification in the transaction of the change it reports. A store without an endpoint keeps it unsent."""
    body = {"type": kind, "timestamp": now.isoformat(), "sequence": sequence, "data": dict(data)}
    owner = stores.find_store(unit, store_id)
    addressed = owner is not None and owner.notify_url is not None
    store.insert_notification(
        unit,
        {
            "id": context.new_id("msg"),
            "store_id": store_id,
            "payment_id": payment_id,
            "subject": subject,
            "type": kind,
            "sequence": sequence,
            "body": json.dumps(body, separators=(",", ":"), ensure_ascii=False),
            "state": "pending" if addressed else "unaddressed",
            "created_at": now,
            "due_at": now if addressed else None,
        },
    )


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


class Notifications:
    """Delivers what is due. One dead endpoint holds nobody else up: every message has its own row and its own wait."""

    def __init__(self, context: Context, sender: Sender) -> None:
        self._context = context
        self._sender = sender

    def step(self, ident: str, token: str) -> None:
        """Deliver one claimed notification and record the answer."""
        context = self._context
        now = context.clock()
        with context.database.read() as unit:
            row = store.notification_by_id(unit, ident)
            owner = None if row is None else stores.find_store(unit, row.store_id)
            sealed = [] if row is None else stores.notification_secrets(unit, row.store_id, now=now)
        if row is None:  # pragma: no cover - rows are never deleted
            return
        status: int | None = None
        if owner is not None and owner.notify_url is not None and sealed:
            body = row.body.encode()
            secrets = [context.sealer.open(one).decode() for one in sealed]
            signatures = [
                signing.sign_notification(secret, message_id=row.id, timestamp=now, body=row.body) for secret in secrets
            ]
            headers = {
                "content-type": "application/json",
                "webhook-id": row.id,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": " ".join(signatures),
            }
            deadline = step_deadline(context.lease).total_seconds()
            limit = min(deadline, context.settings.provider_timeout.total_seconds())
            status = self._sender.send(owner.notify_url, body, headers, deadline_s=limit)
        self._record(row, token, status)

    def _record(self, row: NotificationRow, token: str, status: int | None) -> None:
        context = self._context
        now = context.clock()
        answer = "no answer" if status is None else f"status {status}"
        with context.database.write() as unit:
            if status is not None and 200 <= status < 300:
                release(
                    unit, notification, row.id, token, due_at=None, attempts=row.attempts + 1,
                    state="delivered", delivered_at=now, last_answer=answer,
                )  # fmt: skip
                return
            attempts = row.attempts + 1
            over = now - row.created_at > context.scaled(NOTIFICATION_WINDOW)
            if over or status == GONE:
                release(
                    unit, notification, row.id, token, due_at=None, attempts=attempts,
                    state="abandoned", last_answer=answer,
                )  # fmt: skip
                reopen_case(
                    unit,
                    context.new_id("case"),
                    kind="notification_undelivered",
                    subject=row.store_id,
                    detail=f"{row.type} for {row.subject} could not be delivered: {answer}",
                    at=now,
                )
                return
            wait = context.scaled(backoff(attempts, jitter=context.jitter()))
            release(unit, notification, row.id, token, due_at=now + wait, attempts=attempts, last_answer=answer)
