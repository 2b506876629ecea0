"""A payout account as it is written in JSON, read whole: the corridor, the bank, the purpose, the countries.

Every bad field is named at once with what to write instead, and no value of the bank is ever quoted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from checkout.destinations.corridor_needs import read_bank
from checkout.destinations.corridors import destination_problems, source_problems
from checkout.destinations.purpose_codes import DEFAULT_PURPOSE, PURPOSE_CODES
from checkout.destinations.sanctions import country_refusal, country_warning, region_refusal
from checkout.errors import RequestRefused
from checkout.providers.countries import COUNTRIES

FIELDS: Final = frozenset({"name", "stables_customer_id", "source", "destination", "bank", "purpose_code"})
NAME_MAX: Final = 120
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class AccountForm:
    """An account that may be stored: the clear columns, and the bank as a transfer's destination."""

    columns: Mapping[str, str]
    bank: Mapping[str, object] = field(repr=False)
    warnings: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.columns["name"]

    @property
    def bank_text(self) -> str:
        """The bank in the one form that is sealed and digested."""
        return json.dumps(self.bank, sort_keys=True, ensure_ascii=False)

    @property
    def bank_digest(self) -> str:
        return hashlib.sha256(self.bank_text.encode()).hexdigest()

    @property
    def hint(self) -> str:
        """Enough to tell two accounts apart: the country, and the number's end."""
        number = str(self.bank.get("iban") or self.bank.get("account_number") or "")
        return f"{str(self.bank.get('bank_country', '')).upper()} " + (f"…{number[-4:]}" if number else "PayID")


def read_account(content: object, *, today: date, extras_required: bool, name: str | None = None) -> AccountForm:
    """The form of ``content``; RequestRefused with every bad field. ``name``: what it is called when it does not say."""
    if not isinstance(content, Mapping):
        raise RequestRefused({"file": "it must hold one JSON object"})
    problems: dict[str, str] = {
        str(other): "is not a field of a payout account" for other in content if other not in FIELDS
    }
    columns = {"name": _name(content.get("name", name), problems), "stables_customer_id": _customer(content, problems)}
    source, destination = _part(content, "source", problems), _part(content, "destination", problems)
    asset, network = _upper(source, "currency"), _upper(source, "network").lower()
    problems |= source_problems(asset, network)
    currency, country = _upper(destination, "currency"), _upper(destination, "country")
    rail = _upper(destination, "network").lower()
    problems |= _country_problem("destination.country", country)
    wrong = destination_problems(currency, country, rail)
    problems |= wrong
    purpose = content.get("purpose_code", DEFAULT_PURPOSE)
    if not isinstance(purpose, str) or purpose not in PURPOSE_CODES:
        problems["purpose_code"] = "must be one of Stables' purpose codes: `checkout accounts purposes` lists them"
    bank, missing = _bank(content.get("bank"), (currency, country, rail), wrong, today, problems)
    if extras_required:
        problems |= missing
    if problems:
        raise RequestRefused(problems)
    warnings = [f"{at}: {words}" for at, words in sorted(missing.items())]
    caution = country_warning(country)
    columns |= {
        "asset": asset, "network": network, "currency": currency, "country": country, "rail": rail,
        "purpose_code": str(purpose),
    }  # fmt: skip
    return AccountForm(columns, bank, tuple([caution, *warnings] if caution else warnings))


def _bank(
    bank: object, corridor: tuple[str, str, str], wrong: Mapping[str, str], today: date, problems: dict[str, str]
) -> tuple[dict[str, object], dict[str, str]]:
    """The bank as it is sent and the recipient extras that are not there; its problems are added to ``problems``."""
    currency, country, rail = corridor
    if wrong or country not in COUNTRIES:  # what the bank needs cannot be told before the corridor is right
        if not isinstance(bank, Mapping):
            problems["bank"] = "must be an object with the fields of a bank account"
        return {}, {}
    read = read_bank(bank, currency=currency, country=country, rail=rail, today=today)
    problems |= read.problems
    bank = bank if isinstance(bank, Mapping) else {}
    address = bank.get("address")
    parts = address if isinstance(address, Mapping) else {}
    lives_in = str(parts.get("country", "")).upper()
    if lives_in in COUNTRIES and (refusal := country_refusal(lives_in)) is not None:
        problems["bank.address.country"] = refusal
    for at, where, texts in (
        ("bank.address", lives_in or country, [parts.get(one) for one in ("street", "city", "state")]),
        ("bank.branch_name", country, [bank.get("branch_name"), bank.get("bank_name")]),
    ):
        refusal = region_refusal(where, *texts)
        if refusal is not None:
            problems[at] = refusal
    return read.bank, read.missing_extras


def _country_problem(at: str, country: str) -> dict[str, str]:
    if country not in COUNTRIES:
        return {at: "must be an ISO 3166-1 alpha-2 country code, for example DE"}
    refusal = country_refusal(country)
    return {} if refusal is None else {at: refusal}


def _name(value: object, problems: dict[str, str]) -> str:
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= NAME_MAX or not value.isprintable():
        problems["name"] = f"give it a name of 1 to {NAME_MAX} printable characters"
        return ""
    return value.strip()


def _customer(content: Mapping[Any, Any], problems: dict[str, str]) -> str:
    value = content.get("stables_customer_id")
    if not isinstance(value, str) or _UUID.fullmatch(value) is None:
        problems["stables_customer_id"] = (
            "must be the UUID of your Stables customer: `checkout stables status` shows it"
        )
        return ""
    return value.lower()


def _part(content: Mapping[Any, Any], name: str, problems: dict[str, str]) -> Mapping[str, object]:
    part = content.get(name)
    if isinstance(part, Mapping):
        return part
    problems[name] = "must be an object with currency and network"
    return {}


def _upper(part: Mapping[str, object], name: str) -> str:
    value = part.get(name)
    return value.strip().upper() if isinstance(value, str) else ""
