"""Payout accounts: a bank account with its corridor, Stables customer and purpose code. Never changed, only replaced.

In live mode a new one is pending until a second person confirms it or 24 hours pass; replacing one voids open mandates.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from checkout.addresses import NETWORKS
from checkout.config import Mode
from checkout.context import Context
from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.providers.stables_requests import PURPOSE_CODES, RAILS, bank_destination
from checkout.rules.money import CURRENCY_EXPONENTS
from checkout.rules.work import ACCOUNT_PENDING
from checkout.store import payouts, stores
from checkout.store.moves import record_act
from checkout.store.tables import payout_account

DEFAULT_PURPOSE: Final = "MERCHANT_SETTLEMENT"
#: What Stables pays out in (docs, Supported currencies; CONFIRMED).
FIAT: Final = frozenset({"USD", "EUR", "AUD", "AED", "GBP", "HKD", "INR", "IDR", "SGD", "THB", "CNY"})
FIELDS: Final = frozenset({"name", "stables_customer_id", "source", "destination", "bank", "purpose_code"})
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class PayoutAccounts:
    """The operator's verbs on payout accounts."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add(self, store_name: str, content: object, *, who: str) -> dict[str, Any]:
        """Add (or replace, by name) an account from its JSON form; RequestRefused names every bad field."""
        values = _read(content)
        context = self._context
        now = context.clock()
        bank = values.pop("bank")
        text = json.dumps(bank, sort_keys=True, ensure_ascii=False)
        live = context.settings.mode is Mode.LIVE
        ident = context.new_id("acc")
        with context.database.write() as unit:
            store = stores.find_store(unit, store_name)
            if store is None:
                raise NotFound("store", store_name)
            replaced = [one for one in payouts.payout_accounts(unit, store.id) if one.name == values["name"]]
            for one in replaced:
                payouts.update_payout_account(unit, one.id, retired_at=now)
                payouts.void_mandates(unit, because="the payout account was replaced", at=now, account=one.id)
            payouts.insert_row(
                unit,
                payout_account,
                {
                    **values, "id": ident, "store_id": store.id, "bank_sealed": context.sealer.seal_text(text),
                    "bank_digest": hashlib.sha256(text.encode()).hexdigest(), "bank_hint": _hint(bank),
                    "usable_at": now + context.scaled(ACCOUNT_PENDING) if live else now, "created_at": now,
                    "created_by": who,
                },
            )  # fmt: skip
            record_act(
                unit, context.new_id("act"), who=who, action="payout account added", subject=ident, at=now,
                detail={"store": store.id, "name": values["name"], "replaces": [one.id for one in replaced]},
            )  # fmt: skip
        return {
            "id": ident,
            "name": values["name"],
            "bank": _hint(bank),
            "state": "pending" if live else "usable",
        }

    def confirm(self, ident: str, *, who: str) -> None:
        """The second person's act. NotPossible for the one who added it."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            account = payouts.payout_account_by_id(unit, ident)
            if account is None or account.retired_at is not None:
                raise NotFound("payout account", ident)
            if account.created_by == who:
                raise NotPossible("a second person confirms a payout account, not the one who added it")
            if account.confirmed_at is not None:
                raise NotPossible(f"payout account {ident} was confirmed by {account.confirmed_by}")
            payouts.update_payout_account(unit, ident, confirmed_at=now, confirmed_by=who)
            record_act(
                unit,
                context.new_id("act"),
                who=who,
                action="payout account confirmed",
                subject=ident,
                detail={},
                at=now,
            )

    def list(self, store_name: str) -> list[dict[str, Any]]:
        """The accounts in use, without their bank details."""
        now = self._context.clock()
        with self._context.database.read() as unit:
            store = stores.find_store(unit, store_name)
            if store is None:
                raise NotFound("store", store_name)
            return [
                {
                    "id": one.id, "name": one.name, "bank": one.bank_hint, "asset": one.asset, "network": one.network,
                    "currency": one.currency, "country": one.country, "rail": one.rail,
                    "purpose_code": one.purpose_code, "stables_customer_id": one.stables_customer_id,
                    "state": "usable" if one.confirmed_at is not None or now >= one.usable_at else "pending",
                }
                for one in payouts.payout_accounts(unit, store.id)
            ]  # fmt: skip


def _hint(bank: Mapping[str, object]) -> str:
    number = str(bank.get("iban") or bank.get("account_number") or "")
    return f"{str(bank.get('bank_country', '')).upper()} …{number[-4:]}"


def _read(content: object) -> dict[str, Any]:
    """Check the whole JSON form; the columns' values, and ``bank`` as a transfer's destination."""
    if not isinstance(content, dict):
        raise RequestRefused({"file": "it must hold one JSON object"})
    problems: dict[str, str] = {
        str(name): "is not a field of a payout account" for name in content if name not in FIELDS
    }
    name = content.get("name")
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= 120 or not name.isprintable():
        problems["name"] = "give it a name of 1 to 120 printable characters"
    customer = content.get("stables_customer_id")
    if not isinstance(customer, str) or _UUID.fullmatch(customer) is None:
        problems["stables_customer_id"] = "it must be the UUID of your Stables customer"
    source, destination = _part(content, "source", problems), _part(content, "destination", problems)
    asset, network = str(source.get("currency", "")).upper(), str(source.get("network", "")).lower()
    if asset not in NETWORKS:
        problems["source.currency"] = f"must be one of {', '.join(NETWORKS)}"
    elif network not in NETWORKS[asset]:
        problems["source.network"] = f"Stables takes {asset} on {', '.join(sorted(NETWORKS[asset]))}"
    currency, country = (
        str(destination.get("currency", "")).upper(),
        str(destination.get("country", "")).upper(),
    )
    rail = str(destination.get("network", "")).lower()
    if currency not in FIAT or currency not in CURRENCY_EXPONENTS:
        problems["destination.currency"] = f"must be one of {', '.join(sorted(FIAT))}"
    if re.fullmatch(r"[A-Z]{2}", country) is None:
        problems["destination.country"] = "must be a two-letter country code"
    if rail not in RAILS:
        problems["destination.network"] = f"must be one of {', '.join(RAILS)}"
    purpose = content.get("purpose_code", DEFAULT_PURPOSE)
    if purpose not in PURPOSE_CODES:
        problems["purpose_code"] = "it is not one of Stables' purpose codes"
    bank = content.get("bank")
    try:
        checked = bank_destination(bank if isinstance(bank, dict) else {})
        if currency and str(checked.get("currency", "")).upper() != currency:
            problems["bank.currency"] = "must be the destination's currency"
    except RequestRefused as refused:
        checked = {}
        problems |= {field: " ".join(reasons) for field, reasons in refused.fields.items()}
    if problems:
        raise RequestRefused(problems)
    return {
        "name": str(name).strip(), "stables_customer_id": customer, "asset": asset, "network": network,
        "currency": currency, "country": country, "rail": rail, "purpose_code": purpose, "bank": checked,
    }  # fmt: skip


def _part(content: Mapping[str, Any], name: str, problems: dict[str, str]) -> Mapping[str, Any]:
    part = content.get(name)
    if isinstance(part, dict):
        return part
    problems[name] = "must be an object with currency and network"
    return {}
