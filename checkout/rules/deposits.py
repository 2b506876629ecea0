"""A deposit: one receipt attempt at Stable Mint. Forward only; any later stage may come first, because webhooks get lost.

Failure is kept beside the stage, not in place of it: ``accepted`` or ``settled`` after ``failed`` is honoured, and
``failed`` after them moves nothing. Both together are a contradiction, in either order.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Stage(StrEnum):
    """How far a deposit has come, in order."""

    OPEN = "open"  #: the provider has created the request
    INITIATED = "initiated"  #: the customer has started it at the bank
    SUBMITTED = "submitted"  #: handed to the processor
    ACCEPTED = "accepted"  #: accepted and reconciled: money is there, not yet settled
    SETTLED = "settled"  #: completed and funds settled


#: What an event says about a deposit: a stage, or that it failed.
FAILED: Final = "failed"

RANK: Final = MappingProxyType({stage: rank for rank, stage in enumerate(Stage)})

#: Stages at which money has arrived. The amount and currency of these events, and only these, are posted.
MONEY_STAGES: Final = frozenset({Stage.ACCEPTED, Stage.SETTLED})

#: Stable Mint's V2 (envelope) event types (providers.md A7, CONFIRMED names and one-line meanings).
V2_STAGES: Final = MappingProxyType(
    {
        "partner.customer.deposit.created": Stage.OPEN.value,
        "partner.customer.deposit.initiated": Stage.INITIATED.value,
        "partner.customer.deposit.submitted": Stage.SUBMITTED.value,
        "partner.customer.deposit.accepted": Stage.ACCEPTED.value,
        "partner.customer.deposit.completed": Stage.SETTLED.value,
        "partner.customer.deposit.failed": FAILED,
    }
)

#: Stable Mint's V1 (flat) event types, but for ``deposit.accepted``, whose meaning is a setting.
V1_STAGES: Final = MappingProxyType(
    {
        "partner.customer.deposit.created": Stage.OPEN.value,
        "partner.customer.deposit.submitted": Stage.SUBMITTED.value,
        "partner.customer.deposit.reconciled": Stage.ACCEPTED.value,
        "partner.customer.deposit.failed": FAILED,
    }
)

V1_ACCEPTED: Final = "partner.customer.deposit.accepted"

#: Known types that move no deposit: withdrawals move refunds, the others are stored and shown on the trace.
KNOWN_WITHOUT_EFFECT: Final = frozenset(
    {
        "partner.customer.withdrawal.requested",
        "partner.customer.withdrawal.accepted",
        "partner.customer.withdrawal.sent",
        "partner.customer.withdrawal.failed",
        "customer.token.transfer.in.initiated",
        "transaction.status.changed",
    }
)


def stage_of(event_type: str, version: str, v1_accepted_is: str) -> str | None:
    """The stage (or ``failed``) an event states, or None when it moves no deposit or is not known.

    ``version`` is ``"v1"`` or ``"v2"``, told by the event's shape. That V1 ``deposit.accepted`` means settled is
    INFERRED (providers.md A7), hence ``v1_accepted_is`` (``settled`` or ``accepted``).
    """
    if version == "v2":
        return V2_STAGES.get(event_type)
    if event_type == V1_ACCEPTED:
        return v1_accepted_is
    return V1_STAGES.get(event_type)


def is_known(event_type: str, version: str) -> bool:
    """Whether the provider documents this type in this version (recognised, whether or not it moves anything)."""
    stages = V2_STAGES if version == "v2" else {**V1_STAGES, V1_ACCEPTED: ""}
    return event_type in stages or event_type in KNOWN_WITHOUT_EFFECT


def advance(stage: Stage | None, stated: Stage) -> Stage:
    """The stage after hearing ``stated``: the further of the two. Repeats and late news change nothing."""
    if stage is None or RANK[stated] > RANK[stage]:
        return stated
    return stage
