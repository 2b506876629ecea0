"""The bodies Stables accepts, read strictly by its published OpenAPI, plus what only its tool list or
sandbox shows.

Upper-case codes in a quote, lower-case country in an address, decimal text in major units: CONFIRMED
(OpenAPI). The extras are ``preview`` and ``customer_id`` on a quote and ``purpose_code``,
``recipient_type``, ``date_of_birth`` and the PayID ``alias`` on a transfer (provider notes, B3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from checkout.simulator.stables import codes
from checkout.simulator.stables.fields import (
    DATE_PATTERN,
    EMAIL_PATTERN,
    PHONE_PATTERN,
    UUID_PATTERN,
    Fields,
)

_AMOUNT: Final = re.compile(r"[0-9]+(\.[0-9]+)?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_LOWER_COUNTRY: Final = re.compile(r"[a-z]{2}")
_URL: Final = re.compile(r"https?://[^\s/]+\S*")
_INTEGER_DIGITS_MAX: Final = 15
_EVERY_NETWORK: Final = tuple(sorted(codes.NETWORKS["USDC"] | codes.NETWORKS["USDT"]))

PAYID_TYPES: Final = ("email", "phone", "abn", "org_id")
ENTITLEMENTS: Final = ("base_payout", "virtual_account")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRequest:
    asset: str
    network: str
    amount: Decimal
    amount_text: str  #: the amount as it was sent
    fiat: str
    country: str
    rail: str
    metadata: dict[str, str] | None
    preview: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A bank account as sent: ``bank`` holds the fields that answers give back."""

    currency: str
    bank: dict[str, str] = field(repr=False)
    address: dict[str, str] | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRequest:
    quote_id: str
    customer_id: str
    destination: Destination
    purpose_code: str | None
    metadata: dict[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRequest:
    """``details`` are fields of the answer by their own names; ``entitlements`` is None when not stated."""

    external_customer_id: str | None
    customer_type: str
    details: dict[str, str] = field(repr=False)
    entitlements: list[str] | None
    metadata: dict[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRequest:
    name: str
    url: str
    event_types: list[str]
    secret: str | None = field(repr=False)
    metadata: dict[str, str] | None


def _amount(source: Fields) -> tuple[Decimal, str]:
    """The amount, and the text it was sent as."""
    text = source.text("amount", required=True, pattern=_AMOUNT)
    if text is None:
        return Decimal(0), ""
    whole, _, fraction = text.partition(".")
    if len(whole.lstrip("0")) > _INTEGER_DIGITS_MAX:
        source.wrong("amount", "Too large")
    elif len(fraction.rstrip("0")) > codes.ASSET_DECIMALS:
        source.wrong("amount", f"At most {codes.ASSET_DECIMALS} decimals")
    elif not (amount := Decimal(text)):
        source.wrong("amount", "Must be greater than zero")
    else:
        return amount, text
    return Decimal(0), text


def read_quote(body: Any) -> QuoteRequest:
    """POST /api/v1/quotes. :class:`Refusal` 400 with every bad field."""
    fields = Fields(body)
    nothing = Fields({}, problems=[])
    source = fields.inner("source", required=True) or nothing
    destination = fields.inner("destination", required=True) or nothing
    amount, amount_text = _amount(source)
    request = QuoteRequest(
        asset=source.text("currency", required=True, choices=codes.SOURCE_CURRENCIES) or "",
        network=source.text("network", required=True, choices=_EVERY_NETWORK) or "",
        amount=amount,
        amount_text=amount_text,
        fiat=destination.text("currency", required=True, pattern=_CURRENCY) or "",
        country=destination.text("country", required=True, pattern=_COUNTRY) or "",
        rail=destination.text("network", required=True, choices=codes.RAILS) or "",
        metadata=fields.metadata(),
        preview=fields.flag("preview"),
    )
    fields.text("customer_id", pattern=UUID_PATTERN)
    fields.refuse_if_wrong()
    return request


def _address(destination: Fields) -> dict[str, str] | None:
    address = destination.inner("address")
    if address is None:
        return None
    read = {name: address.text(name, required=True) or "" for name in codes.ADDRESS_FIELDS[:-1]}
    return read | {"country": address.text("country", required=True, pattern=_LOWER_COUNTRY) or ""}


def _bank(destination: Fields) -> dict[str, str]:
    """Every bank field that was sent, checked one by one; the OpenAPI's required ones must be there."""
    needed = {"account_holder_name", "bank_name", "bank_country"}
    read: dict[str, str] = {}
    for name in codes.BANK_FIELDS:
        value = destination.text(
            name,
            required=name in needed,
            choices=codes.ACCOUNT_TYPES if name == "account_type" else None,
            length=(2, 2) if name == "bank_country" else None,
        )
        if value is not None:
            read[name] = value
    return read


def read_destination(destination: Fields, *, extras_required: bool) -> Destination:
    """The ``destination`` of a transfer; problems are noted in ``destination``, nothing is raised."""
    destination.text("type", required=True, choices=("bank",))
    bank = _bank(destination)
    alias = destination.text("alias")
    if destination.has("alias"):
        destination.text("alias_type", choices=PAYID_TYPES)
    if "iban" not in bank and "account_number" not in bank and alias is None:
        destination.wrong("account_number", "Required when iban is not provided")
    currency = destination.text("currency", required=True, length=(3, 3)) or ""
    address = _address(destination)
    recipient = destination.text("recipient_type", choices=("individual", "business"))
    birth = destination.text("date_of_birth", pattern=DATE_PATTERN)
    if extras_required and currency.upper() in codes.BENEFICIARY_EXTRAS:
        if not destination.has("recipient_type"):
            destination.wrong("recipient_type", "Required")
        if not destination.has("address"):
            destination.wrong("address", "Required")
        if recipient == "individual" and birth is None:
            destination.wrong("date_of_birth", "Required")
    return Destination(currency=currency, bank=bank, address=address)


def read_transfer(body: Any, *, purpose_required: bool, extras_required: bool) -> TransferRequest:
    """POST /api/v1/transfer. :class:`Refusal` 400 with every bad field."""
    fields = Fields(body)
    quote_id = fields.text("quote_id", required=True, pattern=UUID_PATTERN) or ""
    customer_id = fields.text("customer_id", required=True, pattern=UUID_PATTERN) or ""
    inner = fields.inner("destination", required=True) or Fields({}, problems=[])
    purpose = fields.text("purpose_code", required=purpose_required, choices=codes.PURPOSE_CODES)
    metadata = fields.metadata()
    destination = read_destination(inner, extras_required=extras_required)
    fields.refuse_if_wrong()
    return TransferRequest(
        quote_id=quote_id.lower(),
        customer_id=customer_id.lower(),
        destination=destination,
        purpose_code=purpose,
        metadata=metadata,
    )


def _details(fields: Fields) -> dict[str, str]:
    read = {
        "email": fields.text("email", pattern=EMAIL_PATTERN),
        "phone": fields.text("phone", pattern=PHONE_PATTERN),
        "first_name": fields.text("first_name"),
        "last_name": fields.text("last_name"),
        "company_name": fields.text("company_name"),
    }
    fields.text("dob", pattern=DATE_PATTERN)
    fields.text("incorporated_on", pattern=DATE_PATTERN)
    return {name: value for name, value in read.items() if value is not None}


def read_customer(body: Any, *, link: bool) -> CustomerRequest:
    """POST /api/v1/customer and …/verification/link. Documents and addresses are accepted and not looked at.

    The OpenAPI requires only ``customer_type``; its prose also an e-mail, which every answer must show, so
    a customer made without a link is refused without one (INFERRED).
    """
    fields = Fields(body)
    request = CustomerRequest(
        external_customer_id=fields.text("external_customer_id"),
        customer_type=fields.text("customer_type", required=True, choices=("individual", "business")) or "",
        details=_details(fields),
        entitlements=fields.texts("entitlements", ENTITLEMENTS),
        metadata=fields.metadata(),
    )
    if not link and not fields.has("email"):
        fields.wrong("email", "Required")
    if link:
        fields.whole("ttl_in_secs", 1, 2**53 - 1)
        redirect = fields.inner("redirect")
        if redirect is not None:
            redirect.text("success_url", pattern=_URL)
            redirect.text("reject_url", pattern=_URL)
    fields.refuse_if_wrong()
    return request


def read_customer_update(body: Any) -> CustomerRequest:
    """PATCH /api/v1/customer/{id}: every field optional; the type cannot change."""
    fields = Fields(body)
    request = CustomerRequest(
        external_customer_id=None,
        customer_type="",
        details=_details(fields),
        entitlements=fields.texts("entitlements", ENTITLEMENTS) if fields.has("entitlements") else None,
        metadata=fields.metadata(),
    )
    fields.refuse_if_wrong()
    return request


def read_subscription(body: Any) -> SubscriptionRequest:
    """POST /api/v1/webhooks."""
    fields = Fields(body)
    request = SubscriptionRequest(
        name=fields.text("name", required=True) or "",
        url=fields.text("url", required=True, pattern=_URL) or "",
        event_types=fields.texts("eventTypes", codes.EVENT_TYPES, required=True),
        secret=fields.text("secret"),
        metadata=fields.metadata(),
    )
    fields.refuse_if_wrong()
    return request
