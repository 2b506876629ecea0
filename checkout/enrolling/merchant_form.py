"""Who the merchant is, as Stables is told: a business or a person, without documents.

Documents, photographs and owners go in on Stables' own hosted page and never pass through this service. Field names are the
OpenAPI's (CONFIRMED, v1.6.72); a test compares them with it. Nothing personal is quoted in a complaint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from checkout.destinations.sanctions import country_refusal, country_warning, region_refusal
from checkout.errors import RequestRefused
from checkout.providers.countries import COUNTRIES
from checkout.rules.urls import read_url

TYPES: Final = ("business", "individual")
#: What this service needs of a customer.
ENTITLEMENT: Final = "base_payout"

_EVERYBODY: Final = frozenset({"customer_type", "email", "phone"})
FIELDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "individual": _EVERYBODY
        | {"first_name", "last_name", "middle_name", "dob", "nationality", "address"},
        "business": _EVERYBODY
        | {
            "company_name", "country", "registration_number", "legal_address", "incorporated_on", "type", "tax_id",
            "registration_location", "website", "postal_address", "alternative_names", "describe_business",
            "conduct_money_services", "describe_compliance_controls", "main_source_of_funds",
            "how_did_you_come_across_stables", "describe_money_services", "account_purpose", "account_purpose_other",
            "is_dao", "industry_selection", "expected_annual_revenue", "expected_monthly_payments", "source_of_funds",
            "source_of_funds_description", "operate_in_prohibited_country",
            "does_your_business_engage_in_high_risk_activities", "high_risk_activities", "accept_terms",
        },
    }
)  # fmt: skip
#: Given on the hosted page only.
HOSTED_ONLY: Final = frozenset(
    {
        "id_documents", "selfie_photo", "proof_of_address_documents", "source_of_wealth_documents",
        "company_registration_documents", "bank_statement_file_data", "flow_of_funds_file_data", "beneficiaries",
    }
)  # fmt: skip
#: Said by this service, not by the form.
OURS: Final = frozenset({"external_customer_id", "entitlements", "metadata"})
_NEEDED: Final = MappingProxyType(
    {"individual": ("email", "first_name", "last_name"), "business": ("email", "company_name", "country")}
)
_ADDRESS_NEEDED: Final = ("line1", "city", "country")
_ADDRESS: Final = frozenset({"line1", "line2", "city", "state", "postal_code", "country"})
_ADDRESSES: Final = frozenset({"address", "legal_address", "postal_address"})
_FLAGS: Final = frozenset({"conduct_money_services", "is_dao", "operate_in_prohibited_country", "accept_terms"})
_LISTS: Final = frozenset({"alternative_names", "high_risk_activities"})
_DATES: Final = frozenset({"dob", "incorporated_on"})
_COUNTRY_FIELDS: Final = frozenset({"country", "nationality"})

_EMAIL: Final = re.compile(
    r"(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}"
)
_PHONE: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_TEXT_MAX: Final = 2000


@dataclass(frozen=True, slots=True)
class MerchantForm:
    """A customer that may be asked for."""

    customer_type: str
    details: Mapping[str, Any] = field(repr=False)  #: as the OpenAPI has them, with ``customer_type``
    warnings: tuple[str, ...]


def read_merchant(content: object, *, today: date) -> MerchantForm:
    """The form of ``content``; RequestRefused with every bad field and what to write instead."""
    if not isinstance(content, Mapping):
        raise RequestRefused({"file": "it must hold one JSON object"})
    kind = content.get("customer_type")
    if kind not in TYPES:
        raise RequestRefused({"customer_type": f"must be one of {', '.join(TYPES)}"})
    problems: dict[str, str] = {}
    for name, value in content.items():
        if name in HOSTED_ONLY:
            problems[str(name)] = "leave it out: it is given on Stables' own page, by the verification link"
        elif name not in FIELDS[kind]:
            problems[str(name)] = f"is not a field of {'an individual' if kind == 'individual' else 'a business'}"
        elif (problem := _problem(name, value, today)) is not None:
            problems[name] = problem
    for name in _NEEDED[kind]:
        if not content.get(name):
            problems.setdefault(name, "it is required")
    warnings: dict[str, str] = {}
    _judge_places(content, problems, warnings)
    if problems:
        raise RequestRefused(problems)
    return MerchantForm(str(kind), MappingProxyType(dict(content)), tuple(sorted(set(warnings.values()))))


def _judge_places(content: Mapping[Any, Any], problems: dict[str, str], warnings: dict[str, str]) -> None:
    """The country pre-check, over every country the form names."""
    places: list[tuple[str, object, dict[Any, Any]]] = [(name, content.get(name), {}) for name in _COUNTRY_FIELDS]
    addresses = [(f"{name}.country", content.get(name)) for name in _ADDRESSES]
    places += [(at, one.get("country"), dict(one)) for at, one in addresses if isinstance(one, Mapping)]
    for at, country, address in places:
        if not isinstance(country, str):
            continue
        refusal = country_refusal(country) or region_refusal(country, *address.values())
        if refusal is not None:
            problems[at] = refusal
        elif (warning := country_warning(country)) is not None:
            warnings[at] = warning


def _problem(name: str, value: object, today: date) -> str | None:
    if name in _FLAGS:
        return None if isinstance(value, bool) else "must be true or false"
    if name in _LISTS:
        good = isinstance(value, list) and all(isinstance(one, str) and one for one in value)
        return None if good else "must be a list of texts"
    if name in _ADDRESSES:
        return _address_problem(value)
    if not isinstance(value, str) or not value.strip() or len(value) > _TEXT_MAX or not value.isprintable():
        return f"must be text of 1 to {_TEXT_MAX} printable characters"
    if name == "email" and _EMAIL.fullmatch(value) is None:
        return "must be an e-mail address"
    if name == "phone" and _PHONE.fullmatch(value) is None:
        return "must be written as +4930123456: plus, country, number, digits only"
    if name in _DATES and not _is_past_date(value, today):
        return "must be a past date, as YYYY-MM-DD"
    if name in _COUNTRY_FIELDS and value not in COUNTRIES:
        return "must be an ISO 3166-1 alpha-2 country code in capitals, for example DE"
    if name == "website" and read_url(value) is None:
        return "must be a web address, for example https://shop.example"
    return None


def _is_past_date(text: str, today: date) -> bool:
    try:
        return len(text) == 10 and date(1800, 1, 1) < date.fromisoformat(text) < today
    except ValueError:
        return False


def _address_problem(value: object) -> str | None:
    if not isinstance(value, Mapping) or set(value) - _ADDRESS:
        return f"must be an object of {', '.join(sorted(_ADDRESS))}"
    if not all(isinstance(one, str) and one.strip() and one.isprintable() for one in value.values()):
        return "each part must be printable text"
    missing = [name for name in _ADDRESS_NEEDED if name not in value]
    if missing:
        return f"needs {', '.join(missing)}"
    return None if value["country"] in COUNTRIES else "its country must be an ISO 3166-1 alpha-2 code in capitals"
