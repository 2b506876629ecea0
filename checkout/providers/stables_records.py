"""What Stables said, read once into exact values: customers, quotes, transfers, subscriptions.

Each reader takes what :func:`checkout.providers.wire_json.read_json` gave and raises ValueError or
AmountRefused when the answer contradicts itself or lacks what identifies it; the client turns that into
Unknown. The answer's bytes stay on the record, to be stored sealed. What is personal, secret or an address
has no place in a ``repr``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from checkout.errors import AmountRefused
from checkout.providers.heard import Heard, normal_status, snake_names
from checkout.rules.money import Money
from checkout.rules.urls import read_url


@dataclass(frozen=True, slots=True)
class FeeLine:
    """One fee as stated, in whatever currency it is stated."""

    name: str
    currency: str
    amount: str  #: exact decimal text, major units


@dataclass(frozen=True, slots=True)
class VerificationLevel:
    level: str
    status: str
    sub_statuses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entitlement:
    name: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerStanding:
    """Whether a customer may be paid out to, and what is missing."""

    id: str
    external_id: str | None
    name: str = field(repr=False)
    type: str  #: individual or business
    levels: tuple[VerificationLevel, ...]
    entitlements: tuple[Entitlement, ...]
    raw: bytes = field(repr=False)

    @property
    def base_payout_approved(self) -> bool:
        """Whether ``base_payout`` is approved and nothing says otherwise (money.md section 5)."""
        statuses = {one.status for one in self.entitlements if one.name == "base_payout"}
        return statuses == {"approved"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A price. ``id`` is empty only for a preview that was not given one."""

    id: str
    source: Money
    source_network: str | None  #: optional in the OpenAPI
    credit: Money
    credit_network: str | None
    rate: str  #: exact decimal text as stated: 1 source = so much credit
    fees: tuple[FeeLine, ...]
    expires_at: datetime
    created_at: datetime | None
    status: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositInstructions:
    """Where and what to send, once.

    The address stays out of every log until it is revealed (money.md section 6).
    """

    address: str = field(repr=False)
    currency: str
    network: str
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A transfer as last told.

    ``problems`` names amounts that were stated but cannot be exact; those are None here.
    """

    id: str
    customer_id: str | None
    quote_id: str | None
    status: str  #: normalised: ``completed``, ``awaiting_funds_collection``, …
    status_text: str  #: as it came
    created_at: datetime | None
    updated_at: datetime | None
    metadata: Mapping[str, str]
    instructions: DepositInstructions | None  #: null until the provider has an address: keep polling
    destination: Mapping[str, Any] | None = field(repr=False)  #: echoed bank fields, snake_case names
    credit: Money | None  #: ``destination.amount``
    actual_payout: Money | None  #: docs: set on completion; OBSERVED never in the sandbox
    fees: tuple[FeeLine, ...]
    rate: str | None
    problems: tuple[str, ...]
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class VerificationLink:
    customer_id: str
    url: str = field(repr=False)  #: whoever has it can act as the customer


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSubscription:
    id: str
    name: str
    url: str
    event_types: tuple[str, ...]
    active: bool
    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDelivery:
    """One delivery in the provider's log (docs, delivery history)."""

    id: str
    status: str  #: PENDING, RETRYING, SUCCESS, FAILED
    attempts: int | None
    response_code: int | None
    next_try_at: datetime | None
    created_at: datetime | None
    event_type: str | None


@dataclass(frozen=True, slots=True)
class SimulatedDeposit:
    """Sandbox only (mcp-new, OBSERVED): the provider acts as if the funds had come."""

    transfer_id: str
    simulation_id: str | None
    scenario: str | None
    status: str | None


@dataclass(frozen=True, slots=True)
class BankCheck:
    """What Stables thinks of bank details (OBSERVED): each error is (field or empty, code, message)."""

    valid: bool
    errors: tuple[tuple[str, str, str], ...]


def _whole(value: object, *wrappers: str) -> Heard:
    """The record itself, also when it comes wrapped (``{"transfer": {…}}``); the OpenAPI does not wrap it."""
    heard = Heard(value)
    for name in wrappers:
        if len(heard.fields) == 1 and isinstance(heard.get(name), dict):
            return Heard(heard.get(name), name)
    return heard


def read_standing(value: object, raw: bytes) -> CustomerStanding:
    heard = _whole(value, "customer", "data")
    levels, entitlements = [], []
    for item in heard.items("verification_levels"):
        level = Heard(item, "verification_levels")
        reasons = level.items("sub_status", "sub_statuses")
        levels.append(
            VerificationLevel(
                level.need("level").lower(),
                normal_status(level.need("status")),
                tuple(reason for reason in reasons if isinstance(reason, str)),
            )
        )
    for item in heard.items("entitlements"):
        entitlement = Heard(item, "entitlements")
        entitlements.append(Entitlement(entitlement.need("name").lower(), normal_status(entitlement.need("status"))))
    person = " ".join(filter(None, (heard.text("first_name"), heard.text("last_name"))))
    return CustomerStanding(
        id=heard.need("customer_id", "id"),
        external_id=heard.text("external_customer_id"),
        name=heard.text("company_name") or person,
        type=(heard.text("customer_type") or "").lower(),
        levels=tuple(levels),
        entitlements=tuple(entitlements),
        raw=raw,
    )


def read_quote(value: object, raw: bytes, *, preview: bool = False) -> Quote:
    heard = _whole(value, "quote", "data")
    source, destination = heard.inner("source"), heard.inner("destination")
    if source is None or destination is None:
        raise ValueError("answer.source or answer.destination is missing")
    rate, expires_at = heard.number("exchange_rate"), heard.time("expires_at")
    if rate is None or expires_at is None:
        raise ValueError("answer.exchange_rate or answer.expires_at is missing")
    return Quote(
        id=(heard.text("quote_id", "id") or "") if preview else heard.need("quote_id", "id"),
        source=source.money(),
        source_network=_lower(source.text("network")),
        credit=destination.money(),
        credit_network=_lower(destination.text("network")),
        rate=rate,
        fees=_fees(heard),
        expires_at=expires_at,
        created_at=heard.time("created_at"),
        status=normal_status(heard.text("status") or "unknown"),
        raw=raw,
    )


def read_transfer(value: object, raw: bytes) -> Transfer:
    heard = _whole(value, "transfer", "data")
    problems: list[str] = []
    destination, paid = heard.inner("destination"), heard.inner("actual_payout")
    status_text = heard.need("status")
    return Transfer(
        id=heard.need("id", "transfer_id"),
        customer_id=heard.text("customer_id"),
        quote_id=heard.text("quote_id"),
        status=normal_status(status_text),
        status_text=status_text,
        created_at=heard.time("created_at"),
        updated_at=heard.time("updated_at"),
        metadata=heard.texts("metadata"),
        instructions=_instructions(heard.inner("source_deposit_instructions"), problems),
        destination=None if destination is None else snake_names(dict(destination.fields)),
        credit=None if destination is None else _money(destination, problems),
        actual_payout=None if paid is None else _paid(paid, problems),
        fees=_fees(heard),
        rate=heard.number("exchange_rate"),
        problems=tuple(problems),
        raw=raw,
    )


def _instructions(heard: Heard | None, problems: list[str]) -> DepositInstructions | None:
    if heard is None:
        return None
    address, network = heard.text("wallet_address", "address"), _lower(heard.text("network"))
    amount = _money(heard, problems)
    if address is None or network is None or amount is None:
        problems.append("source_deposit_instructions: incomplete")
        return None
    return DepositInstructions(address=address, currency=heard.currency(), network=network, amount=amount)


def _money(heard: Heard, problems: list[str]) -> Money | None:
    """An amount that may be unusable: the transfer must still be found and shown."""
    try:
        return heard.money()
    except AmountRefused as exc:
        problems.append(str(exc))
        return None


def _paid(heard: Heard, problems: list[str]) -> Money | None:
    paid = _money(heard, problems)
    minor = heard.number("amount_minor")
    if paid is not None and minor is not None and minor != str(paid.minor):
        problems.append("actual_payout: amount and amount_minor disagree")
        return None
    return paid


def _fees(heard: Heard) -> tuple[FeeLine, ...]:
    lines = []
    breakdown = heard.inner("fees")
    for name in breakdown.fields if breakdown is not None else ():
        line = breakdown.inner(name) if breakdown is not None else None
        if line is not None:
            amount = line.number("amount")
            if amount is None:
                raise ValueError(f"{line.where}.amount is missing")
            lines.append(FeeLine(name, line.currency(), amount))
    return tuple(lines)


def read_link(value: object, _raw: bytes) -> VerificationLink:
    heard = _whole(value, "data")
    url = heard.need("kyc_link", "link", "url")
    page = read_url(url)
    if page is None or (page.scheme != "https" and not page.loopback):
        raise ValueError("answer.kyc_link is not an https URL")
    return VerificationLink(heard.need("customer_id"), url)


def read_subscription(value: object, _raw: bytes = b"") -> WebhookSubscription:
    heard = _whole(value, "subscription", "data")
    return WebhookSubscription(
        id=heard.need("subscription_id", "id"),
        name=heard.text("name") or "",
        url=heard.text("url") or "",
        event_types=tuple(kind for kind in heard.items("event_types") if isinstance(kind, str)),
        active=heard.get("active") is True,
        created_at=heard.time("created_at"),
    )


def read_delivery(value: object, _raw: bytes = b"") -> WebhookDelivery:
    heard = _whole(value, "delivery")
    return WebhookDelivery(
        id=heard.need("delivery_id", "id"),
        status=heard.need("status").upper(),
        attempts=_count(heard, "attempt_count"),
        response_code=_count(heard, "response_code"),
        next_try_at=heard.time("next_retry_at"),
        created_at=heard.time("created_at"),
        event_type=heard.text("event_type"),
    )


def _count(heard: Heard, name: str) -> int | None:
    text = heard.number(name)
    return int(text) if text is not None and text.isdigit() and len(text) < 10 else None


def read_simulation(value: object, _raw: bytes) -> SimulatedDeposit:
    heard = _whole(value, "data")
    return SimulatedDeposit(
        heard.need("transfer_id"),
        heard.text("simulation_id"),
        heard.text("scenario"),
        heard.text("deposit_status", "status"),
    )


def read_bank_check(value: object, _raw: bytes) -> BankCheck:
    heard = _whole(value, "data")
    valid = heard.get("valid")
    if not isinstance(valid, bool):
        raise ValueError("answer.valid is not true or false")
    errors = []
    for item in heard.items("errors"):
        error = Heard(item, "errors")
        errors.append((error.text("field") or "", error.text("code") or "", error.text("message") or ""))
    return BankCheck(valid, tuple(errors))


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()
