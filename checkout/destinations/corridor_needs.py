"""What each corridor needs of a bank account: one of several ways to name the account, and the recipient's extras.

The ways of a local rail are INFERRED (see ``bank_fields``); SWIFT needs the bank's code and the IBAN where the country has
one. The recipient's extras are the provider's tool guide's (mcp-new), which its OpenAPI and its own examples do not demand:
their lack is refused in live mode and warned about in the sandbox.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from checkout.destinations.bank_fields import CHECKED_ON, CODES, SOURCE, abn_problem, form_problems, tidy, uses_iban
from checkout.destinations.corridors import CURRENCIES, RAILS, destination_problems
from checkout.destinations.sanctions import country_refusal, country_warning
from checkout.errors import RequestRefused
from checkout.providers.countries import COUNTRIES
from checkout.providers.stables_requests import ACCOUNT_TYPES, ALIAS_TYPES, RECIPIENT_TYPES, bank_destination

#: Needed of every account (CONFIRMED, OpenAPI).
ALWAYS: Final = ("account_holder_name", "bank_name", "bank_country", "currency")
#: The local rails: each way is complete by itself.
LOCAL: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = MappingProxyType(
    {
        "USD": (("aba_code", "account_number"),),
        "EUR": (("iban",),),
        "AUD": (("bsb_code", "account_number"), ("alias", "alias_type")),
        "AED": (("iban",),),
        "GBP": (("sort_code", "account_number"), ("iban",)),
        "HKD": (("bank_code", "account_number"), ("swift_code", "account_number")),
        "INR": (("ifsc_code", "account_number"),),
        "IDR": (("bank_code", "account_number"), ("swift_code", "account_number")),
        "SGD": (("bank_code", "account_number"), ("swift_code", "account_number")),
        "THB": (("bank_code", "account_number"), ("swift_code", "account_number")),
        "CNY": (("cnaps", "account_number"),),
    }
)
#: mcp-new: whose recipient must be described, and who must say what kind of account it is.
DESCRIBED: Final = frozenset({"AED", "CAD", "EUR", "GBP", "MXN", "USD"})
ACCOUNT_TYPED: Final = frozenset({"CAD", "USD"})
#: mcp-new: PayID, the Australian alias.
PAYID_CURRENCY: Final = "AUD"
ADDRESS: Final = ("street", "city", "state", "postal_code", "country")

_OLDEST_BIRTH: Final = date(1900, 1, 1)
_EMAIL: Final = re.compile(r"[^\s@]{1,64}@[^\s@]+\.[^\s@]{2,}")
_PHONE: Final = re.compile(r"\+61[-\s]?[0-9]{3}[-\s]?[0-9]{3}[-\s]?[0-9]{3}")


@dataclass(frozen=True, slots=True)
class Needs:
    """What a corridor needs, for a person or a program to show."""

    ways: tuple[tuple[str, ...], ...]
    extras: Mapping[str, str]  #: recipient extras with their words


@dataclass(frozen=True, slots=True)
class BankReading:
    """A bank account as read: what would be sent, what is wrong, and which extras are not there."""

    bank: dict[str, object]
    problems: dict[str, str]
    missing_extras: dict[str, str]


def needs(currency: str, country: str, rail: str) -> Needs:
    """The ways and extras of a corridor that exists."""
    abroad = (("swift_code", "iban" if uses_iban(country) else "account_number"),)
    ways = LOCAL[currency] if rail == "bank" else abroad
    extras: dict[str, str] = {}
    if currency in DESCRIBED:
        extras["recipient_type"] = " or ".join(RECIPIENT_TYPES)
        extras["address"] = "an object of " + ", ".join(ADDRESS)
        extras["date_of_birth"] = "YYYY-MM-DD, for an individual"
    if currency in ACCOUNT_TYPED:
        extras["account_type"] = " or ".join(ACCOUNT_TYPES)
    return Needs(ways, MappingProxyType(extras))


def described(currency: str, country: str, rail: str) -> dict[str, Any]:
    """A corridor's needs as a document: every field with its words."""
    wanted = needs(currency, country, rail)
    words = {name: code.label for name, code in CODES.items()} | {
        "alias": "PayID", "alias_type": "kind of PayID: " + ", ".join(ALIAS_TYPES),
    }  # fmt: skip
    return {
        "currency": currency, "currency_name": CURRENCIES[currency].name, "country": country, "network": rail,
        "rail": CURRENCIES[currency].local if rail == "bank" else RAILS[rail],
        "always": list(ALWAYS),
        "one_of": [{name: words[name] for name in way} for way in wanted.ways],
        "recipient": dict(wanted.extras),
        "as_of": CHECKED_ON.isoformat(), "source": SOURCE,
    }  # fmt: skip


def corridor_document(currency: str, country: str | None, rail: str | None) -> dict[str, Any]:
    """What `checkout accounts fields` answers: each corridor asked about; RequestRefused for one that does not exist."""
    currency = currency.strip().upper()
    known = CURRENCIES.get(currency)
    if known is None:
        raise RequestRefused({"currency": f"must be one of {', '.join(CURRENCIES)}"})
    if country is None and len(known.home) == 1:
        (country,) = known.home
    if country is None:
        raise RequestRefused({"country": f"{currency} is used in several countries: say which with --country"})
    country = country.strip().upper()
    if country not in COUNTRIES:
        raise RequestRefused({"country": "must be an ISO 3166-1 alpha-2 country code, for example DE"})
    refusal = country_refusal(country)
    if refusal is not None:
        raise RequestRefused({"country": refusal})
    wanted = [rail] if rail is not None else list(RAILS)
    problems = {one: destination_problems(currency, country, one) for one in wanted}
    good = [one for one in wanted if not problems[one]]
    if not good:
        raise RequestRefused({at.removeprefix("destination."): words for at, words in problems[wanted[0]].items()})
    warnings = [words for one in wanted for words in problems[one].values()]
    caution = country_warning(country)
    return {
        "corridors": [described(currency, country, one) for one in good],
        "warnings": warnings if caution is None else [*warnings, caution],
    }


def read_bank(bank: object, *, currency: str, country: str, rail: str, today: date) -> BankReading:
    """Check a bank account for a corridor whose currency, country and rail are known to be good; every problem at once."""
    if not isinstance(bank, Mapping):
        return BankReading({}, {"bank": "must be an object with the fields of a bank account"}, {})
    tidied = tidy({str(name): value for name, value in bank.items()})
    problems: dict[str, str] = {}
    try:
        checked = bank_destination(tidied)
    except RequestRefused as refused:
        checked = {}
        problems = {field: " ".join(reasons) for field, reasons in refused.fields.items()}
    where = tidied.get("bank_country")
    if isinstance(where, str) and where in COUNTRIES and where != country:
        problems["bank.bank_country"] = "must be the destination's country: the quote is for a bank there"
    if isinstance(tidied.get("currency"), str) and tidied["currency"] != currency:
        problems.setdefault("bank.currency", "must be the destination's currency")
    for field, words in form_problems(tidied, country).items():
        problems.setdefault(field, words)
    wanted = needs(currency, country, rail)
    if "account_number" not in tidied:  # that one is needed is said by the corridor, and which
        problems.pop("bank.account_number", None)
    for field, words in _missing(tidied, wanted.ways).items():
        problems.setdefault(field, words)
    problems |= _alias_problems(tidied, currency, rail) | _birth_problems(tidied, today)
    return BankReading(checked, problems, _missing_extras(tidied, wanted))


def _has(bank: Mapping[str, object], name: str) -> bool:
    """``bic_code`` and ``swift_code`` are one thing under two names."""
    names = ("swift_code", "bic_code") if name == "swift_code" else (name,)
    return any(bank.get(one) for one in names)


def _complete(bank: Mapping[str, object], way: tuple[str, ...]) -> bool:
    return all(_has(bank, name) for name in way)


def _missing(bank: Mapping[str, object], ways: tuple[tuple[str, ...], ...]) -> dict[str, str]:
    """What is missing of the way that the account comes closest to; nothing when one is complete."""
    if any(_complete(bank, way) for way in ways):
        return {}
    closest = max(ways, key=lambda way: sum(_has(bank, name) for name in way))
    others = [" and ".join(way) for way in ways if way != closest]
    instead = f" (or give {' or '.join(others)})" if others else ""
    return {
        f"bank.{name}": f"this corridor needs it{instead}: {CODES[name].label if name in CODES else 'a PayID and its kind'}"
        for name in closest
        if not _has(bank, name)
    }


def _alias_problems(bank: Mapping[str, object], currency: str, rail: str) -> dict[str, str]:
    alias, kind = bank.get("alias"), bank.get("alias_type")
    if alias is None and kind is None:
        return {}
    if currency != PAYID_CURRENCY or rail != "bank":
        return {"bank.alias": f"a PayID is for {PAYID_CURRENCY} over the local rail only: leave it out"}
    if not isinstance(alias, str) or kind not in ALIAS_TYPES:
        return {}
    problem = {
        "email": None if _EMAIL.fullmatch(alias) else "it is not an e-mail address",
        "phone": None if _PHONE.fullmatch(alias) else "write an Australian number as +61-412-345-678",
        "abn": abn_problem(alias),
        "org_id": None if 2 <= len(alias) <= 256 else "an organisation's PayID has 2 to 256 characters",
    }[str(kind)]
    return {} if problem is None else {"bank.alias": problem}


def _birth_problems(bank: Mapping[str, object], today: date) -> dict[str, str]:
    text = bank.get("date_of_birth")
    if not isinstance(text, str):
        return {}
    if bank.get("recipient_type") == "business":
        return {"bank.date_of_birth": "a business has none: leave it out"}
    try:
        born = date.fromisoformat(text)
    except ValueError:
        return {"bank.date_of_birth": "write a date that exists, as YYYY-MM-DD"}
    if not _OLDEST_BIRTH <= born < today or len(text) != 10:
        return {"bank.date_of_birth": "write the date the recipient was born, as YYYY-MM-DD"}
    return {}


def _missing_extras(bank: Mapping[str, object], wanted: Needs) -> dict[str, str]:
    missing = {
        f"bank.{name}": f"this currency needs it: {words}"
        for name, words in wanted.extras.items()
        if not bank.get(name)
    }
    if bank.get("recipient_type") != "individual":
        missing.pop("bank.date_of_birth", None)
    return missing
