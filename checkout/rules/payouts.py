"""A payout: one Stables off-ramp, from proposed to completed. What is not in the table is refused.

Before the deposit address is revealed nobody can have paid, so a payout may be given up and its money released. After
it, the payout goes forward with the provider or waits for a person; nothing is released by itself.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from checkout.errors import ForbiddenMove


class PayoutState(StrEnum):
    """Where a payout stands."""

    PROPOSED = "proposed"  #: settlement records chosen, treasury reserved
    QUOTED = "quoted"  #: a quote is stored and shown; a person (or a policy) decides
    APPROVED = "approved"  #: a mandate says exactly what may leave
    TRANSFER_CREATED = "transfer_created"  #: the provider has the transfer; its answer is being checked
    AWAITING_FUNDING = "awaiting_funding"  #: checked; the address may be revealed
    FUNDED = "funded"  #: the provider has collected the funds
    SUBMITTED = "submitted"  #: the bank payment is initiated
    PROCESSED = "processed"  #: the rail has confirmed it
    COMPLETED = "completed"  #: delivered
    FAILED = "failed"  #: the provider failed it before the address was known to anybody
    EXPIRED = "expired"  #: it ran out before the address was known to anybody
    CANCELLED = "cancelled"  #: stopped before a transfer existed, or by the provider before reveal
    ON_HOLD = "on_hold"  #: eligibility, compliance or limits: waits, may return
    NEEDS_DECISION = "needs_decision"  #: something does not agree; a person decides with evidence
    RETURNED = "returned"  #: the bank sent it back, entered with evidence


S = PayoutState
_WITH_PROVIDER: Final = (S.TRANSFER_CREATED, S.AWAITING_FUNDING, S.FUNDED, S.SUBMITTED, S.PROCESSED)

#: Every permitted move. What is absent is refused.
MOVES: Final = MappingProxyType(
    {
        S.PROPOSED: frozenset({S.QUOTED, S.ON_HOLD, S.CANCELLED}),
        # back to quoted: a fresh quote fell outside the mandate, or the mandate no longer holds
        S.QUOTED: frozenset({S.APPROVED, S.PROPOSED, S.ON_HOLD, S.CANCELLED}),
        S.APPROVED: frozenset({S.QUOTED, S.TRANSFER_CREATED, S.ON_HOLD, S.NEEDS_DECISION, S.CANCELLED}),
        S.TRANSFER_CREATED: frozenset(
            {S.AWAITING_FUNDING, S.FUNDED, S.SUBMITTED, S.PROCESSED, S.COMPLETED, S.FAILED, S.EXPIRED, S.CANCELLED}
            | {S.ON_HOLD, S.NEEDS_DECISION}
        ),
        S.AWAITING_FUNDING: frozenset(
            {S.FUNDED, S.SUBMITTED, S.PROCESSED, S.COMPLETED, S.FAILED, S.EXPIRED, S.CANCELLED, S.ON_HOLD}
            | {S.NEEDS_DECISION}
        ),
        S.FUNDED: frozenset({S.SUBMITTED, S.PROCESSED, S.COMPLETED, S.ON_HOLD, S.NEEDS_DECISION}),
        S.SUBMITTED: frozenset({S.PROCESSED, S.COMPLETED, S.ON_HOLD, S.NEEDS_DECISION}),
        S.PROCESSED: frozenset({S.COMPLETED, S.ON_HOLD, S.NEEDS_DECISION}),
        # a hold before the transfer goes back to proposed by a person; one at the provider goes on with the provider
        S.ON_HOLD: frozenset({S.PROPOSED, S.CANCELLED, S.NEEDS_DECISION, S.FAILED, S.EXPIRED, S.COMPLETED, *_WITH_PROVIDER}),
        S.NEEDS_DECISION: frozenset({S.RETURNED, S.COMPLETED, S.CANCELLED, S.FAILED, *_WITH_PROVIDER}),
        S.COMPLETED: frozenset({S.RETURNED}),
        S.FAILED: frozenset[PayoutState](),
        S.EXPIRED: frozenset[PayoutState](),
        S.CANCELLED: frozenset[PayoutState](),
        S.RETURNED: frozenset[PayoutState](),
    }
)  # fmt: skip

#: States from which nothing more comes by itself; items of a dead payout are free again.
FINAL: Final = frozenset({S.COMPLETED, S.FAILED, S.EXPIRED, S.CANCELLED, S.RETURNED})
DEAD: Final = frozenset({S.FAILED, S.EXPIRED, S.CANCELLED})

#: Order of the states that follow the provider; a transfer never moves backwards (Stables docs, Transfer states).
PROGRESS: Final = MappingProxyType({state: rank for rank, state in enumerate((*_WITH_PROVIDER, S.COMPLETED))})

#: Stables' words for a transfer, normalised, and the state each stands for (money.md section 7).
PROVIDER_STATES: Final = MappingProxyType(
    {
        "created": S.TRANSFER_CREATED,
        "awaiting_funds_collection": S.AWAITING_FUNDING,
        "funds_collected": S.FUNDED,
        "payment_submitted": S.SUBMITTED,
        "payment_processed": S.PROCESSED,
        "completed": S.COMPLETED,
        "failed": S.FAILED,
        "expired": S.EXPIRED,
        "cancelled": S.CANCELLED,
        "compliance_hold": S.ON_HOLD,
    }
)

#: A transfer in these, and in no other, still waits for its one deposit.
PAYABLE: Final = frozenset({S.TRANSFER_CREATED, S.AWAITING_FUNDING})

#: Words in a refusal that a new quote cures (providers.md B3: sometimes transient; quotes expire and are single-use).
TRANSIENT_CODES: Final = frozenset({"ROUTING_QUOTE_FAILED", "QUOTE_EXPIRED", "QUOTE_USED", "QUOTE_NOT_ACTIVE"})


def check_move(before: PayoutState, after: PayoutState) -> None:
    """Raise :class:`ForbiddenMove` unless the table permits the move."""
    if after not in MOVES[before]:
        raise ForbiddenMove("payout", before, after)


def follow(before: PayoutState, provider_status: str, *, exposed: bool) -> PayoutState | None:
    """The state a transfer's status leads to, or None for no move (unknown words, repeats, backward news).

    ``exposed``: the address was revealed or the provider has collected funds. Then a bad end is never taken at its word:
    somebody's money is out there, so it waits for a person. What waits for a person moves only by one.
    """
    target = PROVIDER_STATES.get(provider_status)
    if target is None or target is before or before is S.NEEDS_DECISION:
        return None
    if target in DEAD and exposed:
        target = S.NEEDS_DECISION
    if target in PROGRESS and before in PROGRESS and PROGRESS[target] < PROGRESS[before]:
        return None
    return target if target in MOVES[before] else None
