"""API-managed webhook subscriptions: created, listed in camelCase pages, deleted.

OBSERVED: in the sandbox nothing was ever delivered to one; the switch ``subscriptions_deliver`` sends them
events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from checkout.simulator.stables.customers import moment
from checkout.simulator.stables.refusals import Refusal
from checkout.simulator.stables.requests import SubscriptionRequest

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Subscription:
    ident: str
    number: int
    request: SubscriptionRequest = field(repr=False)
    created_at: datetime

    def answer(self) -> dict[str, Any]:
        """The OpenAPI's subscription; the secret is never shown."""
        body: dict[str, Any] = {
            "subscriptionId": self.ident,
            "name": self.request.name,
            "url": self.request.url,
            "eventTypes": self.request.event_types,
            "active": True,
            "createdAt": moment(self.created_at),
            "updatedAt": moment(self.created_at),
        }
        if self.request.metadata is not None:
            body["metadata"] = self.request.metadata
        return body


def page(rows: Sequence[tuple[int, T]], size: int, token: str) -> tuple[list[T], str]:
    """The rows that follow ``token``, newest first, and the token of the next page (empty at the end).

    ``rows`` carry their number. The token names the last row seen, so rows made meanwhile move nothing
    between pages. :class:`Refusal` 400 for a token that was not given out.
    """
    before: int | None = None
    if token:
        if not (token.startswith("p") and token[1:].isascii() and token[1:].isdigit() and len(token) < 12):
            raise Refusal(400, "Invalid page token")
        before = int(token[1:])
    following = [(number, row) for number, row in sorted(rows, key=lambda one: -one[0])]
    if before is not None:
        following = [(number, row) for number, row in following if number < before]
    chosen = following[:size]
    more = len(following) > size
    return [row for _, row in chosen], f"p{chosen[-1][0]}" if more else ""
