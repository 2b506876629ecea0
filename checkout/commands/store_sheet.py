"""One store on one sheet: addresses, look, keys, endpoints, rules, accounts, policies, pauses, and never a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from checkout.app import Services
from checkout.commands.answers import facts, table
from checkout.commands.store_keys import KEY_HEADS, key_line, key_shown
from checkout.rules.money import CURRENCY_EXPONENTS, Money
from checkout.store import refunds, stores
from checkout.store.records import StoreRow
from checkout.telling.endpoints import first_url


def brief(services: Services, store: StoreRow) -> dict[str, Any]:
    """What a list of stores shows of each."""
    with services.context.database.read() as unit:
        rules = [stores.rule_for(unit, store.id, currency) for currency in CURRENCY_EXPONENTS]
        paused = stores.why_paused(unit, store.id)
        notify_url = first_url(unit, store.id)
    kept = ("currency", "asset", "network", "evidence", "settles_gross")
    return {
        "id": store.id,
        "name": store.name,
        "origins": json.loads(store.origins),
        "notify_url": notify_url,
        "success_url": store.success_url,
        "exit_url": store.exit_url,
        "error_url": store.error_url,
        "support_url": store.support_url,
        "destination_address": store.destination_address,
        "colour": store.colour,
        "logo": store.logo_digest,
        "paused": paused,
        "rules": [{name: one[name] for name in kept} for one in rules if one is not None],
    }


def everything(services: Services, store: StoreRow) -> dict[str, Any]:
    """All that is set for a store."""
    now = services.context.clock()
    with services.context.database.read() as unit:
        limits = [refunds.rule_of(unit, store.id, currency) for currency in CURRENCY_EXPONENTS]
    return {
        **brief(services, store),
        "refund_rules": [
            {
                "currency": one["currency"], "limit": Money(one["limit_minor"], one["currency"]).fixed(),
                "hosted_withdrawal": one["hosted_withdrawal"],
            }
            for one in limits
            if one is not None
        ],
        "keys": [key_shown(one, now=now) for one in services.api_keys.of_store(store.id)],
        "endpoints": [
            {name: one[name] for name in ("id", "url", "events", "state", "secrets", "disabled_because")}
            for one in services.endpoints.all(store.id)
        ],
        "payout_accounts": services.payout_accounts.list(store.id),
        "payout_policies": services.policies.list(store.id),
        "price_guards": services.price_guard.list(store.id),
    }  # fmt: skip


def sheet(found: Mapping[str, Any]) -> list[str]:
    """The same for a person, one paragraph a kind; what there is none of is left out, but for what a store needs."""
    plain = [(name.replace("_", " "), value) for name, value in found.items() if not isinstance(value, list)]
    lists: list[tuple[str, tuple[str, ...], list[tuple[object, ...]], str]] = [
        ("API keys", KEY_HEADS, [key_line(one) for one in found["keys"]], "None; `checkout stores key` makes one."),
        (
            "Notification endpoints", ("id", "address", "events", "state", "secrets in force"),
            [
                (one["id"], one["url"], "all" if one["events"] is None else " ".join(one["events"]), one["state"],
                 one["secrets"])
                for one in found["endpoints"]
            ],
            "None; `checkout stores set --notify-url` makes one.",
        ),
        (
            "Settlement rules", ("currency", "becomes", "evidence", "gross"),
            [
                (one["currency"], f"{one['asset']} {one['network']}", one["evidence"], one["settles_gross"])
                for one in found["rules"]
            ],
            "No settlement rule; `checkout stores rule` makes one.",
        ),
        (
            "Payout accounts", ("id", "name", "bank", "from", "to", "state"),
            [
                (one["id"], one["name"], one["bank"], f"{one['asset']} {one['network']}",
                 f"{one['currency']} {one['country']} {one['rail']}", one["state"])
                for one in found["payout_accounts"]
            ],
            "No payout account; `checkout accounts add` makes one.",
        ),
        (
            "Payout policies", ("id", "treasury", "account", "kind", "approves below", "two people from", "paused"),
            [
                (one["id"], f"{one['asset']} {one['network']}", one["account"], one["kind"], one["approve_below"],
                 one["two_people_from"], one["paused"])
                for one in found["payout_policies"]
            ],
            "",
        ),
        (
            "Price guards", ("currency", "worst cost", "worst cost %", "least credit", "least per unit"),
            [
                (one["currency"], one["worst_cost"], one["worst_cost_percent"], one["least_credit"], one["least_per_unit"])
                for one in found["price_guards"]
            ],
            "",
        ),
        (
            "Refund rules", ("currency", "without a person in 24 h", "hosted withdrawal"),
            [(one["currency"], one["limit"], one["hosted_withdrawal"]) for one in found["refund_rules"]],
            "",
        ),
    ]  # fmt: skip
    paragraphs = [facts([*plain, ("origins", ", ".join(found["origins"]))])]
    for title, heads, lines, empty in lists:
        if lines or empty:
            paragraphs.append(f"{title}\n{table(heads, lines, empty=empty)}")
    return paragraphs
