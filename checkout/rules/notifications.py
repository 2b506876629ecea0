"""What a store can be told, and which of it an endpoint asked for.

A filter is a list of types, or of families written as ``payment.*``; no list at all means everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: Every type there is; a test compares this with the code that announces them.
KINDS: Final = (
    "payment.accepted", "payment.settled", "payment.failed", "payment.expired", "payment.anomaly",
    "refund.requested", "refund.needs_details", "refund.needs_funding", "refund.sending", "refund.unknown",
    "refund.accepted", "refund.sent", "refund.failed",
    "payout.approved", "payout.funded", "payout.completed", "payout.failed", "payout.expired", "payout.cancelled",
    "payout.on_hold", "payout.needs_decision", "payout.returned",
)  # fmt: skip
#: What `checkout notifications test` sends; no filter holds it back.
TEST: Final = "endpoint.test"
#: ``payment.*`` and its like.
FAMILIES: Final = tuple(dict.fromkeys(f"{kind.partition('.')[0]}.*" for kind in KINDS))


def wanted(kind: str, events: Sequence[str] | None) -> bool:
    """Whether an endpoint with this filter is sent a notification of this type."""
    return events is None or kind in events or f"{kind.partition('.')[0]}.*" in events


def events_problem(events: Sequence[str]) -> str | None:
    """What is wrong with a filter, or None."""
    if not events:
        return "name at least one type, or ask for every event"
    unknown = sorted(set(events) - {*KINDS, *FAMILIES})
    if unknown:
        return f"there is no type {unknown[0]!r}; use {', '.join(FAMILIES)}, or one of {', '.join(KINDS)}"
    return None
