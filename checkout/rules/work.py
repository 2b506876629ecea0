"""When work is due again: leases, deadlines, backoff. Pure arithmetic; every wait and limit has a name here."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

#: A step's total deadline: the smaller of this and half the lease, retries included.
STEP_DEADLINE: Final = timedelta(seconds=60)

#: Stable Mint's own retry schedule ends 195 minutes after the first try (providers.md A6); then some slack.
SENDER_LAST_TRY: Final = timedelta(minutes=195)
EXPIRY_SLACK: Final = timedelta(minutes=30)
#: A session answer without an end is given this long before the clock asks.
SESSION_LIFE_ASSUMED: Final = timedelta(hours=24)
#: ``expiresAt`` outside this range is a mistake of units, not a date (money.md section 1).
EXPIRES_PAST_MAX: Final = timedelta(days=1)
EXPIRES_FUTURE_MAX: Final = timedelta(days=400)

#: How long after the first try a session is still retried under its key; the provider's key life is UNKNOWN.
SESSION_RETRY_WINDOW: Final = timedelta(minutes=15)
#: A failure is told to the shop only when the shopper has had this long to try again.
FAILED_GRACE: Final = timedelta(minutes=2)
#: Silence after which a person looks, by stage; bank transfers take days.
SILENCE: Final = {
    "initiated": timedelta(hours=24),
    "submitted": timedelta(days=5),
    "accepted": timedelta(days=7),
}
SILENCE_OPEN_BANKING: Final = {
    "initiated": timedelta(hours=6),
    "submitted": timedelta(days=2),
    "accepted": timedelta(days=5),
}

#: Stables: a customer's standing may be this old when money is about to move (money.md section 5).
CUSTOMER_READ_MAX_AGE: Final = timedelta(minutes=10)
MANDATE_LIFE: Final = timedelta(hours=4)
MANDATE_LIFE_MAX: Final = timedelta(hours=24)
ACCOUNT_PENDING: Final = timedelta(hours=24)
#: Reveal is refused with less than this left of the funding window.
REVEAL_MARGIN: Final = timedelta(minutes=2)
#: Two complete listings this far apart, both this long after the quote's end, prove a transfer absent.
LISTINGS_APART: Final = timedelta(minutes=2)
LISTING_AFTER_QUOTE: Final = timedelta(minutes=5)
UNKNOWNS_MAX: Final = 3
POLL_FAST: Final = timedelta(seconds=5)
POLL_SLOW: Final = timedelta(minutes=5)
#: How often a policy that follows what comes in looks at the treasury.
POLICY_LOOK: Final = timedelta(minutes=1)
#: Without movement for this long at the provider, a person looks.
PAYOUT_SILENCE: Final = timedelta(days=3)

#: Notifications are retried for three days, no further apart than this.
NOTIFICATION_WINDOW: Final = timedelta(days=3)
NOTIFICATION_BACKOFF_MAX: Final = timedelta(hours=1)
#: An endpoint that has failed is left alone, at the longest so long; then one message tries it on behalf of all.
ENDPOINT_REST_MAX: Final = timedelta(minutes=5)
#: Refusals in a row after which the endpoint has failed, and not just a message it cannot take.
ENDPOINT_REFUSALS: Final = 3
#: An endpoint that has taken nothing for so long is disabled.
ENDPOINT_FAILING_MAX: Final = timedelta(days=3)
BACKOFF_FIRST: Final = timedelta(seconds=5)
BACKOFF_MAX: Final = timedelta(hours=6)
EVENT_BACKOFF_MAX: Final = timedelta(minutes=30)
#: Failures of our own making after which a person looks (the event is still retried).
EVENT_FAILURES_CASE: Final = 5
#: An event that matches nothing of ours is looked at again for this long, then a person looks.
UNMATCHED_CASE_AFTER: Final = timedelta(hours=4)
UNMATCHED_GIVE_UP: Final = timedelta(days=14)


def backoff(
    attempt: int, *, first: timedelta = BACKOFF_FIRST, longest: timedelta = BACKOFF_MAX, jitter: float = 0.0
) -> timedelta:
    """Wait before try ``attempt + 1`` (attempt counts from 1): doubling, capped, less up to half by ``jitter`` in 0..1."""
    exponent = min(max(attempt, 1) - 1, 30)
    delay: timedelta = min(first * 2**exponent, longest)
    return delay * (1.0 - jitter / 2)


def step_deadline(lease: timedelta) -> timedelta:
    """The longest one step may take, so that its lease outlives it."""
    return min(STEP_DEADLINE, lease / 2)


def endpoint_rest(failures: int, *, answered: bool, jitter: float = 0.0) -> timedelta | None:
    """How long an endpoint is left alone after so many failures in a row; None: not at all.

    Silence costs the time of whoever waits for it, so it counts at once; an answer may be about one message alone.
    """
    if answered and failures < ENDPOINT_REFUSALS:
        return None
    return backoff(failures, longest=ENDPOINT_REST_MAX, jitter=jitter)
