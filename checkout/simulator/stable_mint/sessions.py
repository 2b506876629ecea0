"""Sessions and deposits as Stable Mint keeps them: what was asked for, what came, what was settled."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final
from uuid import uuid4

#: Characters of a reference, without those that are misread. The format is opaque to partners.
_ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
#: What every settlement is delivered as.
ASSET: Final = "USDC"
NETWORK: Final = "polygon"
#: How a shopper pays: the words of the requests. CONFIRMED (hosted session page).
OPEN_BANKING: Final = "OpenBanking"
MANUAL: Final = "ManualBankTransfer"


class Outcome(StrEnum):
    PAID = "paid"
    FAILED = "failed"
    LEFT = "left"  #: the shopper went away; nothing was sent, nothing is announced


def new_reference(flow: str) -> str:
    """A fresh reference in the form the documentation's samples have for this call."""
    text = "".join(secrets.choice(_ALPHABET) for _ in range(9))
    return text if flow == "hosted" else f"ref_partner_session_{text.lower()}"


@dataclass(slots=True)
class Deposit:
    """One attempt of a shopper to pay: what the webhooks will say about it."""

    reference: str
    outcome: Outcome
    #: What the shopper set out to pay: stated by the events up to ``submitted``.
    asked: Decimal
    asked_currency: str
    #: What arrived: stated from ``accepted`` (V1 ``reconciled``) on, and settled.
    amount: Decimal
    currency: str
    begun_at: datetime
    method: str = OPEN_BANKING
    settled_at: datetime | None = None
    end_to_end_id: str = field(default_factory=lambda: uuid4().hex)
    external_payment_id: str = field(default_factory=lambda: str(uuid4()))


@dataclass(slots=True)
class Session:
    """One session call that was accepted. ``number`` counts them; ``asked`` is the request's body."""

    number: int
    flow: str
    ident: str
    reference: str
    asked: dict[str, Any]
    digest: str
    opened_at: datetime
    expires_at: datetime
    outcome: Outcome | None = None
    deposits: list[Deposit] = field(default_factory=list)
    #: Stands for ``ident`` in webhooks when a switch says that the two differ.
    other_ident: str = field(default_factory=lambda: str(uuid4()))
    own_customer: str = field(default_factory=lambda: str(uuid4()))

    @property
    def path(self) -> str:
        """Where its page is, as in the documentation's samples (CONFIRMED, hosted)."""
        return f"/sessions/{self.ident}" if self.flow == "hosted" else f"/partner-sessions/{self.ident}"

    @property
    def url_path(self) -> str:
        return self.path + ("?requireAuth=true" if self.flow == "hosted" else "")

    @property
    def amount(self) -> Decimal | None:
        """The asked amount; an embedded session may have none."""
        return Decimal(self.asked["amount"]) if "amount" in self.asked else None

    @property
    def currency(self) -> str:
        return str(self.asked["currency"])

    @property
    def user_id(self) -> str | None:
        """The partner's id of the customer; None where we manage the customer."""
        found = self.asked.get("userId")
        return None if found is None else str(found)

    @property
    def customer_id(self) -> str:
        """The partner's id of the customer, or ours where we manage the customer."""
        return self.user_id or self.own_customer

    def expired(self, now: datetime) -> bool:
        return now >= self.expires_at

    def report(self, now: datetime) -> dict[str, object]:
        return {
            "reference": self.reference,
            "session_id": self.ident,
            "flow": self.flow,
            "amount": None if self.amount is None else str(self.amount),
            "currency": self.currency,
            "idempotency_key": self.asked.get("idempotencyKey"),
            "website_reference": self.asked.get("websiteReference"),
            "opened_at": self.opened_at.isoformat(),
            "expires_at": self.expires_at.isoformat(),
            "expired": self.expired(now),
            "outcome": self.outcome and self.outcome.value,
            "deposits": [
                {
                    "reference": one.reference,
                    "outcome": one.outcome.value,
                    "method": one.method,
                    "begun_at": one.begun_at.isoformat(),
                    "amount": str(one.amount),
                    "currency": one.currency,
                    "settled": one.settled_at is not None and one.settled_at <= now,
                }
                for one in self.deposits
            ],
        }


def digest(flow: str, body: bytes) -> str:
    """Tells whether two requests with one key ask for the same."""
    return hashlib.sha256(flow.encode() + b"\0" + body).hexdigest()


def whole_seconds_up(moment: datetime) -> datetime:
    """The next whole second: ``expiresAt`` has no fraction."""
    return datetime.fromtimestamp(-(-moment.timestamp() // 1), UTC)


def delivered(amount: Decimal, per_unit: Fraction) -> str:
    """What Stable Mint delivers for a deposit, rounded down to two decimals: 9.00 at 9.71/9 is ``9.71``."""
    exact = Fraction(amount) * per_unit * 100
    return str((Decimal(exact.numerator // exact.denominator) / 100).quantize(Decimal("0.01"), ROUND_DOWN))
