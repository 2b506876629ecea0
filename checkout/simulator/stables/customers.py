"""Customers of the simulated Stables: one business verified from the start, others reviewed after a while.

Entitlement and verification words are CONFIRMED (OpenAPI). The review of a new customer takes nominal
seconds and ends as a switch says; documents are accepted unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from checkout.simulator.stables import codes
from checkout.simulator.stables.refusals import Refusal
from checkout.simulator.stables.requests import CustomerRequest
from checkout.simulator.stables.switches import Switches

#: Reviews as webhooks spell them (docs, verification webhooks).
REVIEW_EVENTS: Final = {
    "in_progress": "VERIFICATION_IN_PROGRESS",
    "approved": "VERIFICATION_APPROVED",
    "rejected": "VERIFICATION_REJECTED",
    "requires_action": "MANUAL_REVIEW_REQUIRED",
}
#: Reasons of a level. CONFIRMED (OpenAPI).
SUB_STATUSES: Final = (
    "BAD_PROOF_OF_IDENTITY", "BAD_PROOF_OF_ADDRESS", "DOCUMENT_PAGE_MISSING", "OTHER", "FILE_CORRUPTED", "FILE_EMPTY",
    "FILE_TOO_LARGE", "FILE_UNSUPPORTED_TYPE", "FAILED_TO_SUBMIT", "FAILED_TO_SUBMIT_BENEFICIARY",
)  # fmt: skip
#: What an entitlement becomes when its verification does; an entitlement has no "requires_action".
_ENTITLED: Final = {
    "in_progress": "in_progress",
    "approved": "approved",
    "rejected": "rejected",
    "requires_action": "in_progress",
}
#: Shown for a customer made by link who has not stated an address yet; every answer must carry one.
NO_EMAIL: Final = "pending@customers.example"


def moment(at: datetime) -> str:
    """A time the way the OpenAPI wants it: milliseconds and a literal Z."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


@dataclass(slots=True, kw_only=True)
class Customer:
    ident: str
    external_id: str | None
    kind: str
    details: dict[str, str] = field(repr=False)
    entitlements: dict[str, str]
    verification: str
    metadata: dict[str, str] | None
    kyc_link_id: str
    sub_status: list[str] = field(default_factory=list)
    created_at: datetime
    updated_at: datetime
    review_due: datetime | None = None

    @property
    def level(self) -> str:
        return "business_base" if self.kind == "business" else "individual_base"

    def answer(self) -> dict[str, Any]:
        """The OpenAPI's customer object."""
        body: dict[str, Any] = {
            "customer_id": self.ident,
            "external_customer_id": self.external_id,
            "customer_type": self.kind,
            "email": NO_EMAIL,
            "entitlements": [{"name": name, "status": status} for name, status in self.entitlements.items()],
            "created_at": moment(self.created_at),
            "updated_at": moment(self.updated_at),
            "verification_levels": [self._level()],
        }
        body.update(self.details)
        if self.metadata is not None:
            body["metadata"] = self.metadata
        return body

    def _level(self) -> dict[str, Any]:
        """The level's reasons are there only when there are some (OpenAPI: optional)."""
        level: dict[str, Any] = {"level": self.level, "status": self.verification}
        if self.sub_status:
            level["sub_status"] = self.sub_status
        return level

    def kyc_event(self) -> dict[str, Any]:
        """The ``event_object`` of a kyc_link event (docs, verification webhooks)."""
        status = REVIEW_EVENTS[self.verification]
        body = {
            "kyc_link_id": self.kyc_link_id,
            "customer_id": self.ident,
            "kyc_level": self.level.upper(),
            "status": "VERIFICATION_IN_PROGRESS" if status == "MANUAL_REVIEW_REQUIRED" else status,
            "submitted_at": moment(self.created_at),
            "created_at": moment(self.created_at),
            "updated_at": moment(self.updated_at),
        }
        if self.verification == "approved":
            body["approved_at"] = moment(self.updated_at)
        return body

    def review(self, verdict: str, at: datetime, reasons: Sequence[str] = ()) -> None:
        """Let the verification and every entitlement that hangs on it end as ``verdict``."""
        self.verification = verdict
        self.sub_status = list(reasons)
        self.entitlements = dict.fromkeys(self.entitlements, _ENTITLED[verdict])
        self.updated_at = at
        self.review_due = None


class Customers:
    """Every customer by id. Not locked: the state that owns it is."""

    def __init__(self, new_id: Callable[[], str], now: datetime) -> None:
        self._new_id = new_id
        self._all: dict[str, Customer] = {}
        self._approved = Customer(
            ident=codes.CUSTOMER_ID,
            external_id=codes.EXTERNAL_CUSTOMER_ID,
            kind="business",
            details={"email": "payouts@merchant.example", "company_name": codes.CUSTOMER_NAME},
            entitlements={"base_payout": "approved"},
            verification="approved",
            metadata=None,
            kyc_link_id=new_id(),
            created_at=now,
            updated_at=now,
        )
        self._all[codes.CUSTOMER_ID] = self._approved

    def __iter__(self) -> Any:
        return iter(list(self._all.values()))

    def pose(self, switches: Switches) -> None:
        """Let the pre-approved customer look the way its switches say."""
        self._approved.verification = switches.customer_verification
        payout = switches.customer_payout
        if payout == "absent":
            self._approved.entitlements.pop("base_payout", None)
        else:
            self._approved.entitlements["base_payout"] = payout

    def find(self, ident: str) -> Customer:
        """:class:`Refusal` 404 when nobody has that id."""
        found = self._all.get(ident.lower())
        if found is None:
            raise Refusal(404, "Customer not found")
        return found

    def by_external_id(self, external: str | None) -> Customer | None:
        """Who has this ``external_customer_id``."""
        return next((one for one in self._all.values() if external is not None and one.external_id == external), None)

    def create(self, request: CustomerRequest, now: datetime, review_due: datetime) -> Customer:
        """:class:`Refusal` 409 for an ``external_customer_id`` that is taken (OpenAPI; OBSERVED)."""
        external = request.external_customer_id
        if self.by_external_id(external) is not None:
            raise Refusal(409, "A customer with this external_customer_id already exists")
        customer = Customer(
            ident=self._new_id(),
            external_id=external if external is not None else self._new_id(),  # generated when absent (mcp-new)
            kind=request.customer_type,
            details=dict(request.details),
            entitlements=dict.fromkeys(request.entitlements or [], "submitted"),
            verification="in_progress",
            metadata=request.metadata,
            kyc_link_id=self._new_id(),
            created_at=now,
            updated_at=now,
            review_due=review_due,
        )
        self._all[customer.ident] = customer
        return customer

    def update(self, ident: str, request: CustomerRequest, now: datetime) -> Customer:
        """PATCH: details are replaced one by one; new entitlements start as submitted, none is taken away."""
        customer = self.find(ident)
        customer.details.update(request.details)
        for name in request.entitlements or []:
            verified = customer.verification == "approved"
            customer.entitlements.setdefault(name, "approved" if verified else "submitted")
        if request.metadata is not None:
            customer.metadata = request.metadata
        customer.updated_at = now
        return customer
