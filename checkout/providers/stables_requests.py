"""What we ask Stables for: a quote, a transfer. Checked completely, and written in the one form its OpenAPI
takes.

Amounts are decimal text in major units; a quote's currency and country are upper case, an address's country
is lower case (CONFIRMED, OpenAPI). ``purpose_code`` always goes along: a docs page requires it on every
transfer, the OpenAPI omits it (providers.md B3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from checkout.destinations.purpose_codes import PURPOSE_CODES
from checkout.errors import RequestRefused
from checkout.providers.countries import COUNTRIES
from checkout.rules.money import ASSET_EXPONENTS, CURRENCY_EXPONENTS, Money

#: CONFIRMED (OpenAPI): swift for international, bank for domestic.
RAILS: Final = ("swift", "bank")
#: CONFIRMED (OpenAPI).
ACCOUNT_TYPES: Final = ("savings", "checking", "payment")
#: mcp-new (providers.md B3, beneficiary extras and PayID). The name ``alias_type`` is INFERRED from "alias
#: plus type".
RECIPIENT_TYPES: Final = ("individual", "business")
ALIAS_TYPES: Final = ("email", "phone", "abn", "org_id")

#: Texts of a bank destination. CONFIRMED (OpenAPI), the last four from mcp-new.
_BANK_REQUIRED: Final = ("account_holder_name", "bank_name", "bank_country", "currency")
_BANK_TEXTS: Final = frozenset(
    {
        *_BANK_REQUIRED, "account_number", "iban", "account_type", "branch_name", "swift_code", "bic_code",
        "ifsc_code",
        "aba_code", "sort_code", "branch_code", "bsb_code", "bank_code", "cnaps",
        "recipient_type", "date_of_birth", "alias", "alias_type",
    }
)  # fmt: skip
_BANK_CHOICES: Final = MappingProxyType(
    {"account_type": ACCOUNT_TYPES, "recipient_type": RECIPIENT_TYPES, "alias_type": ALIAS_TYPES}
)
_ADDRESS: Final = ("street", "city", "state", "postal_code", "country")

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UUID4: Final = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}")
_NETWORK: Final = re.compile(r"[a-z][a-z0-9-]{1,30}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNSENDABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TEXT_MAX: Final = 500


def is_uuid4(text: str) -> bool:
    """Whether ``text`` may be an Idempotency-Key (CONFIRMED: UUID v4)."""
    return _UUID4.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRequest:
    """Price ``source`` of a stablecoin on a network as a bank credit.

    ``preview`` prices without storing (an extra).
    """

    source: Money
    source_network: str
    currency: str
    country: str
    network: str  #: the rail: swift or bank
    metadata: Mapping[str, str] = field(default_factory=dict)
    preview: bool = False

    def body(self) -> dict[str, object]:
        """The one form. Raises :class:`RequestRefused` with every bad field."""
        problems = _metadata(self.metadata)
        if self.source.currency not in ASSET_EXPONENTS:
            problems["source.currency"] = f"write one of {', '.join(ASSET_EXPONENTS)}"
        if self.source.minor <= 0:
            problems["source.amount"] = "the amount must be more than zero"
        if _NETWORK.fullmatch(self.source_network) is None:
            problems["source.network"] = 'write the network in small letters, for example "polygon"'
        if self.currency not in CURRENCY_EXPONENTS:
            problems["destination.currency"] = "write a currency this service knows, in capitals"
        if self.country not in COUNTRIES:
            problems["destination.country"] = "write an ISO 3166-1 alpha-2 country code in capitals"
        if self.network not in RAILS:
            problems["destination.network"] = f"write one of {', '.join(RAILS)}"
        if problems:
            raise RequestRefused(problems)
        body: dict[str, object] = {
            "source": {
                "currency": self.source.currency,
                "network": self.source_network,
                "amount": self.source.plain(),
            },
            "destination": {"currency": self.currency, "country": self.country, "network": self.network},
        }
        if self.metadata:
            body["metadata"] = dict(self.metadata)
        if self.preview:
            body["preview"] = True
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRequest:
    """Turn a quote into a transfer.

    ``metadata`` is always {installation, payout, attempt}: it is how we find it again.
    """

    quote_id: str
    customer_id: str
    bank: Mapping[str, object] = field(repr=False)  #: as a transfer's ``destination``
    purpose_code: str
    metadata: Mapping[str, str]

    def body(self) -> dict[str, object]:
        """The one form. Raises :class:`RequestRefused` with every bad field."""
        problems = _metadata(self.metadata)
        for name in ("installation", "payout", "attempt"):
            if not self.metadata.get(name):
                problems[f"metadata.{name}"] = "it is required: it is how the transfer is found again"
        for name, ident in (("quote_id", self.quote_id), ("customer_id", self.customer_id)):
            if _UUID.fullmatch(ident) is None:
                problems[name] = "write a UUID"
        if self.purpose_code not in PURPOSE_CODES:
            problems["purpose_code"] = 'write one of the provider\'s purpose codes, for example "MERCHANT_SETTLEMENT"'
        destination, wrong = _destination(self.bank)
        problems |= wrong
        if problems:
            raise RequestRefused(problems)
        return {
            "quote_id": self.quote_id,
            "customer_id": self.customer_id,
            "destination": destination,
            "purpose_code": self.purpose_code,
            "metadata": dict(self.metadata),
        }


def bank_destination(bank: Mapping[str, object]) -> dict[str, object]:
    """A payout account's bank fields as a ``destination``; :class:`RequestRefused` with every bad field."""
    destination, problems = _destination(bank)
    if problems:
        raise RequestRefused(problems)
    return destination


def _metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    wrong = {
        name: problem
        for name, value in metadata.items()
        if (problem := _text_problem(value) or _text_problem(name)) is not None
    }
    return {f"metadata.{name}" if isinstance(name, str) else "metadata": text for name, text in wrong.items()}


def _destination(bank: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """The destination in the documented letter case, and what is wrong with it.

    Unknown names are refused, not sent.
    """
    problems: dict[str, str] = {}
    destination: dict[str, object] = {"type": "bank"}
    for name, value in bank.items():
        if name == "type":
            if value != "bank":
                problems["bank.type"] = 'write "bank": the provider pays to banks only'
        elif name == "address":
            destination["address"] = _address(value, problems)
        elif name not in _BANK_TEXTS:
            problems[f"bank.{name}"] = "the provider has no such field"
        elif (problem := _bank_text_problem(name, value)) is not None:
            problems[f"bank.{name}"] = problem
        else:
            destination[name] = value
    for name in _BANK_REQUIRED:
        if name not in bank:
            problems[f"bank.{name}"] = "it is required"
    if not {"iban", "account_number", "alias"} & bank.keys():
        problems["bank.account_number"] = "write an iban or an account_number"
    if "alias" in bank and "alias_type" not in bank:
        problems["bank.alias_type"] = f"write one of {', '.join(ALIAS_TYPES)}"
    return destination, problems


def _bank_text_problem(name: str, value: object) -> str | None:
    problem = _text_problem(value)
    if problem is not None or not isinstance(value, str):
        return problem
    choices = _BANK_CHOICES.get(name)
    if choices is not None and value not in choices:
        return f"write one of {', '.join(choices)}"
    if name == "bank_country" and value not in COUNTRIES:
        return "write an ISO 3166-1 alpha-2 country code in capitals"
    if name == "currency" and value not in CURRENCY_EXPONENTS:
        return "write a currency this service knows, in capitals"
    if name == "date_of_birth" and _DATE.fullmatch(value) is None:
        return "write the date as YYYY-MM-DD"
    return None


def _address(value: object, problems: dict[str, str]) -> dict[str, object]:
    if not isinstance(value, Mapping):
        problems["bank.address"] = f"write an object of {', '.join(_ADDRESS)}"
        return {}
    for name in value:
        if name not in _ADDRESS:
            problems[f"bank.address.{name}"] = "the provider has no such field"
    address: dict[str, object] = {}
    for name in _ADDRESS:
        text = value.get(name)
        if (problem := _text_problem(text)) is not None:
            problems[f"bank.address.{name}"] = problem
        elif isinstance(text, str):
            address[name] = text.lower() if name == "country" else text
    country = address.get("country")
    if isinstance(country, str) and country.upper() not in COUNTRIES:
        problems["bank.address.country"] = "write an ISO 3166-1 alpha-2 country code"
    return address


def _text_problem(value: object) -> str | None:
    if not isinstance(value, str):
        return "it must be text"
    if not value.strip():
        return "it must not be empty"
    if len(value) > _TEXT_MAX:
        return f"it has at most {_TEXT_MAX} characters"
    if _UNSENDABLE.search(value):
        return "it must not contain control characters or half a surrogate pair"
    return None
