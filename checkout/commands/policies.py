"""`checkout policies`: when payouts are proposed by themselves, who must approve them, and at which price."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from checkout.commands.answers import answer, facts, json_option, table, who_option
from checkout.commands.installation import opened, proven
from checkout.errors import NotFound
from checkout.paying_out.policies import PolicyRequest
from checkout.paying_out.price_guard import GuardRequest
from checkout.rules.policies import WEEKDAYS, Kind


@click.group(short_help="When payouts are made, who approves them, at which price.")
def policies() -> None:
    """One policy per store, asset and network; one price guard per store and currency of the bank credit."""


@policies.command("set")
@click.argument("store")
@click.argument("kind", type=click.Choice([kind.value for kind in Kind]))
@click.option("--account", metavar="ACCOUNT", help="Id or name of the payout account, if there are several.")
@click.option("--threshold", metavar="X", help="For threshold: propose once so much is free.")
@click.option("--at", metavar="HH:MM", help="For daily and weekly: the time of day, by the clocks of the time zone.")
@click.option("--weekday", type=click.Choice(WEEKDAYS), help="For weekly.")
@click.option("--time-zone", metavar="ZONE", help="For daily and weekly: an IANA name, for example Europe/Berlin.")
@click.option("--minimum", metavar="X", help="No payout below this.")
@click.option("--maximum", metavar="X", help="No payout above this; a larger settlement record waits for a person.")
@click.option("--approve-below", metavar="X", help="Payouts below this are approved by the policy, inside the guard.")
@click.option("--two-people-from", metavar="X", help="Payouts from this on need two people's approval.")
@click.option("--mandate-hours", metavar="N", help="How long an approval holds: 1 to 24, default 4.")
@who_option
@json_option
def set_(store: str, kind: str, claimed: str | None, as_json: bool, **given: str | None) -> None:
    """Set STORE's policy for a payout account's asset, whole: what is not given is not set.

    \b
    manual       a person proposes
    per_payment  each settlement record, as soon as it is there
    threshold    everything, once --threshold is free
    daily        everything, at --at in --time-zone
    weekly       the same, on --weekday
    """
    with opened() as services:
        shown = services.policies.set(store, PolicyRequest(kind, **given), who=proven(services, claimed))
    answer(as_json, shown, _summary(shown))


@policies.command()
@click.argument("id", metavar="ID")
@click.option("--reason", metavar="TEXT", required=True, help="Why.")
@who_option
@json_option
def pause(id: str, reason: str, claimed: str | None, as_json: bool) -> None:
    """Stop what this policy proposes and has proposed, until it is resumed."""
    with opened() as services:
        shown = services.policies.pause(id, reason=reason, who=proven(services, claimed))
    answer(as_json, shown, _summary(shown))


@policies.command()
@click.argument("id", metavar="ID")
@who_option
@json_option
def resume(id: str, claimed: str | None, as_json: bool) -> None:
    """Go on after a pause; a run missed meanwhile takes place once."""
    with opened() as services:
        shown = services.policies.resume(id, who=proven(services, claimed))
    answer(as_json, shown, _summary(shown))


@policies.command()
@click.argument("id", metavar="ID")
@json_option
def show(id: str, as_json: bool) -> None:
    """One policy, with the price guard that its approvals stay inside."""
    with opened() as services:
        shown = services.policies.show(id)
        guards = services.price_guard.list(shown["store"])
    answer(as_json, {**shown, "price_guards": guards}, _summary(shown), *(_guard(one) for one in guards))


@policies.command("list")
@click.option("--store", metavar="STORE", help="Only this store's.")
@json_option
def list_(store: str | None, as_json: bool) -> None:
    """Every policy."""
    with opened() as services:
        found = services.policies.list(store)
    heads = ("id", "store", "asset", "network", "kind", "account", "next run", "paused")
    lines = [[one[head.replace(" ", "_")] for head in heads] for one in found]
    answer(as_json, found, table(heads, lines, empty="No policy: every payout is proposed by a person."))


@policies.command()
@click.argument("store")
@click.option("--currency", metavar="C", required=True, help="Of the bank credit.")
@click.option("--worst-cost", metavar="X", help="A quote may not cost more than this, in all.")
@click.option(
    "--worst-cost-percent", metavar="P", help="Nor more than this share of what its own rate makes of the amount."
)
@click.option("--least-credit", metavar="X", help="A payout must credit at least this.")
@click.option("--least-per-unit", metavar="X", help="And at least this for each unit of the asset.")
@who_option
@json_option
def guard(
    store: str, currency: str, worst_cost: str | None, worst_cost_percent: str | None, least_credit: str | None,
    least_per_unit: str | None, claimed: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Set STORE's price guard for a currency, whole; without a limit, show it."""
    wanted = GuardRequest(currency.upper(), worst_cost, worst_cost_percent, least_credit, least_per_unit)
    limits = (worst_cost, worst_cost_percent, least_credit, least_per_unit)
    with opened() as services:
        if all(one is None for one in limits):
            found = [one for one in services.price_guard.list(store) if one["currency"] == wanted.currency]
            if not found:
                raise NotFound("price guard", wanted.currency)
            shown = found[0]
        else:
            shown = services.price_guard.set(store, wanted, who=proven(services, claimed))
    answer(as_json, shown, _guard(shown))


def _summary(shown: Mapping[str, Any]) -> str:
    when = {
        "daily": "at {at}, {time_zone}",
        "weekly": "{weekday}s at {at}, {time_zone}",
        "threshold": "from {threshold}",
    }
    return facts(
        [
            ("policy", shown["id"]), ("store", shown["store"]), ("asset", f"{shown['asset']} on {shown['network']}"),
            ("pays to", shown["account"]), ("proposes", shown["kind"]),
            ("when", when.get(shown["kind"], "").format(**shown) or None),
            ("minimum", shown["minimum"]), ("maximum", shown["maximum"]), ("next run", shown["next_run"]),
            ("last run", shown["last_run"]), ("approves below", shown["approve_below"]),
            ("two people from", shown["two_people_from"]), ("mandates hold", f"{shown['mandate_hours']} h"),
            ("paused", shown["paused"]), ("set by", shown["set_by"]),
        ]
    )  # fmt: skip


def _guard(shown: Mapping[str, Any]) -> str:
    percent = shown["worst_cost_percent"]
    return facts(
        [
            ("price guard", shown["currency"]), ("worst cost", shown["worst_cost"]),
            ("worst cost", None if percent is None else f"{percent} %"), ("least credit", shown["least_credit"]),
            ("least per unit", shown["least_per_unit"]), ("set by", shown["set_by"]),
        ]
    )  # fmt: skip
