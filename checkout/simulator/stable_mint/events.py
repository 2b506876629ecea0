"""The bodies of Stable Mint's deposit webhooks, in both generations that a partner may be sent.

V2 is an envelope, V1 is flat and has neither an event id nor a timestamp. Field lists are CONFIRMED for
``created`` in both, for the beginning of V2 ``initiated`` and of V1 ``submitted``; the other events' fields
are UNKNOWN and INFERRED here to be those of ``created`` less what only it can know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from types import MappingProxyType
from typing import Any, Final
from uuid import uuid4

from checkout.simulator.stable_mint.jsontext import Number
from checkout.simulator.stable_mint.sessions import MANUAL, Deposit, Outcome, Session
from checkout.simulator.stable_mint.switches import StableMintSwitches

PREFIX: Final = "partner.customer.deposit."
#: What webhooks call a transfer; not one of the request's words. CONFIRMED (event types).
PAYMENT_METHOD: Final = "bank_transfer"
#: For customers that Stable Mint manages: whom the mock bank says the money is from.
SHOPPER_EMAIL: Final = "shopper@example.com"

#: What happens to a deposit and when (nominal seconds from the start), with each generation's word for it.
_STEPS: Final[MappingProxyType[Outcome, tuple[tuple[float, str | None, str | None], ...]]] = MappingProxyType(
    {
        Outcome.PAID: (
            (0, "created", "created"),
            (2, "initiated", None),
            (10, "submitted", "submitted"),
            (60, "accepted", "reconciled"),
            (120, "completed", "accepted"),
        ),
        Outcome.FAILED: (
            (0, "created", "created"),
            (2, "initiated", None),
            (10, "submitted", "submitted"),
            (60, "failed", "failed"),
        ),
        Outcome.LEFT: (),
    }
)
#: Events before the money is seen state the asked amount, the others what arrived.
_BEFORE_MONEY: Final = frozenset({"created", "initiated", "submitted"})


@dataclass(frozen=True, slots=True)
class Step:
    """One event to come: ``at_s`` nominal seconds from the start of the deposit."""

    at_s: float
    version: str
    kind: str


def steps(deposit: Deposit, version_of: Callable[[int], str], manual_s: int | None) -> list[Step]:
    """The events of one deposit, in order. ``version_of`` says which generation the nth step is told in.

    A transfer that the shopper makes is seen ``manual_s`` nominal seconds later; None: never.
    """
    found = []
    plan = _STEPS[deposit.outcome]
    if deposit.method == MANUAL and deposit.outcome is Outcome.PAID:
        arrives = (0, 0, *((manual_s + late_s for late_s in (-5, 0, 60)) if manual_s is not None else ()))
        plan = tuple((at_s, *words) for at_s, (_, *words) in zip(arrives, plan, strict=False))
    for position, (at_s, envelope, flat) in enumerate(plan):
        version = version_of(position)
        word = envelope if version == "v2" else flat
        if word is not None:
            found.append(Step(at_s, version, PREFIX + word))
    return found


def settles(step: Step) -> bool:
    """Whether this event says that the funds are there: V2 ``completed``, V1 ``accepted``."""
    return step.kind == PREFIX + ("completed" if step.version == "v2" else "accepted")


def spell(amount: Decimal, form: str) -> Number:
    """An amount as JSON, in one of three spellings of the same number."""
    if form == "exponent":
        return Number(format(amount.normalize(), "e"))
    if form == "fixed":
        return Number(amount.quantize(Decimal("0.01"), ROUND_HALF_EVEN))
    return Number(format(amount.normalize(), "f"))


@dataclass(frozen=True, slots=True)
class Narrator:
    """Tells what happened to a deposit in either generation's words."""

    partner_id: str
    partner_name: str

    def body(
        self, step: Step, session: Session, deposit: Deposit, switches: StableMintSwitches, at: datetime
    ) -> dict[str, Any]:
        """The JSON document of one event; ``at`` is when it happened."""
        created = step.kind == PREFIX + "created"
        fields = self._v2(session, deposit) if step.version == "v2" else self._v1(session, deposit, switches)
        if not created:
            fields = {name: value for name, value in fields.items() if name not in _CREATED_ONLY}
            if step.version == "v1":
                fields["externalPaymentId"] = deposit.external_payment_id
            for name in _LEFT_OUT[switches.later_events]:
                fields.pop(name, None)
        early = step.kind.removeprefix(PREFIX) in _BEFORE_MONEY
        amount, currency = (deposit.asked, deposit.asked_currency) if early else (deposit.amount, deposit.currency)
        fields["amount"], fields["currency"] = spell(amount, switches.amount_form), currency
        if "sessionId" in fields:
            fields["sessionId"] = session.ident if switches.session_id == "same" else session.other_ident
        if step.version == "v1":
            return {"notificationType": step.kind, **fields}
        stamp = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"eventId": str(uuid4()), "data": {"eventType": step.kind, "timestamp": stamp, **fields}}

    def _v2(self, session: Session, deposit: Deposit) -> dict[str, Any]:
        asked, kyc = session.asked, session.asked.get("userKyc", {})
        return {
            "amount": None,
            "currency": None,
            "customFields": asked.get("customFields", {}),
            "customerCitizenshipCountryCode": kyc.get("citizenshipCountryCode"),
            "customerEmail": asked.get("userEmail", SHOPPER_EMAIL),
            "customerId": session.customer_id,
            "customerFullName": kyc.get("fullName"),
            "customerResidenceAddress": kyc.get("residenceAddress"),
            "endToEndId": deposit.end_to_end_id,
            "idempotencyKey": asked.get("idempotencyKey"),
            "partnerName": self.partner_name,
            "paymentCountryCode": asked["userCountryCode"],
            "paymentMethod": PAYMENT_METHOD,
            "reference": deposit.reference,
            "sessionId": session.ident,
            "websiteReference": asked.get("websiteReference"),
        }

    def _v1(self, session: Session, deposit: Deposit, switches: StableMintSwitches) -> dict[str, Any]:
        asked, kyc = session.asked, session.asked.get("userKyc", {})
        return {
            "partnerId": self.partner_id,
            "customerId": session.customer_id,
            "reference": deposit.reference,
            "amount": None,
            "currency": None,
            "sessionId": session.ident,
            "endToEndId": deposit.end_to_end_id,
            "paymentCountry": asked["userCountryCode"],
            "paymentMethod": PAYMENT_METHOD,
            "partnerName": self.partner_name,
            "customerEmail": asked.get("userEmail", SHOPPER_EMAIL),
            "customerFullName": kyc.get("fullName"),
            "customerCitizenshipCountryCode": kyc.get("citizenshipCountryCode"),
            "customerResidenceAddress": kyc.get("residenceAddress"),
            "idempotencyKey": asked.get("idempotencyKey"),
            "websiteReference": asked.get("websiteReference"),
            "customFields": asked.get("customFields", {}),
            "blockchainDestinationType": switches.destination_type,
            "blockchainDestinationAddress": switches.destination_address or asked.get("blockchainDestinationAddress"),
        }


#: Who the customer is and where the funds go is told once.
_CREATED_ONLY: Final = frozenset(
    {
        "customerCitizenshipCountryCode",
        "customerFullName",
        "customerResidenceAddress",
        "blockchainDestinationType",
        "blockchainDestinationAddress",
    }
)
#: What events after ``created`` leave out, by the position of ``later_events``.
_LEFT_OUT: Final = MappingProxyType(
    {
        "everything": (),
        "reference": ("sessionId", "idempotencyKey", "websiteReference"),
        "session": ("reference", "idempotencyKey", "websiteReference"),
        "identifiers": ("reference", "sessionId"),
    }
)
