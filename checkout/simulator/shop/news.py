"""Our notifications as a shop reads them: verified over the exact bytes first, parsed after.

Standard Webhooks by its own library, which is what the documentation tells a shop to use. Every way in
which a delivery can be malformed is one refusal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError

from checkout.errors import AmountRefused, BadSignature
from checkout.rules.money import Money, parse_amount


@dataclass(frozen=True, slots=True)
class PaymentNews:
    """What the service says about a payment, in a notification or when asked."""

    payment_id: str
    status: str
    anomaly: str | None
    order: str | None
    amount: Money | None

    @classmethod
    def read(cls, data: object) -> Self | None:
        """A payment as the API shows it, or None when it is not one."""
        if not isinstance(data, dict) or not all(isinstance(data.get(key), str) for key in ("id", "status")):
            return None
        try:
            amount = parse_amount(data.get("amount"), str(data.get("currency")), positive=False)
        except AmountRefused:
            amount = None
        return cls(data["id"], data["status"], _text(data.get("anomaly")), _text(data.get("order")), amount)


@dataclass(frozen=True, slots=True)
class Notification:
    """One verified delivery. ``news`` is None for a type that is not about a payment."""

    webhook_id: str
    type: str
    sequence: int
    news: PaymentNews | None


def read_notification(secret: str, body: bytes, headers: Mapping[str, str]) -> Notification | None:
    """The notification in a delivery; None for signed content that is not one; :class:`BadSignature`."""
    named = {name.lower(): value for name, value in headers.items()}
    try:
        # The library answers some malformed headers with ValueError, binascii.Error or UnicodeDecodeError.
        Webhook(secret).verify(body, named, json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        raise BadSignature("the delivery is not signed with this shop's secret") from error
    content = _parsed(body)
    kind, sequence = content.get("type"), content.get("sequence")
    if not isinstance(kind, str) or type(sequence) is not int:
        return None
    news = PaymentNews.read(content.get("data")) if kind.startswith("payment.") else None
    return Notification(named["webhook-id"], kind, sequence, news)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
