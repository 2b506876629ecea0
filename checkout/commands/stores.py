"""`checkout stores`: one shop each, with its keys, origins, addresses and settlement rules."""

from __future__ import annotations

import json
from typing import Any, BinaryIO, Final

import click

from checkout.app import Services
from checkout.commands.answers import answer, facts, json_option, table, who_option
from checkout.commands.installation import opened, proven
from checkout.rules.money import CURRENCY_EXPONENTS
from checkout.store import stores as rows
from checkout.store.records import StoreRow
from checkout.stores import SCOPES, STOREFRONT

ONCE = "It is shown this once."
#: More of a file than this is never read: it is too much for a picture anyway.
PICTURE_READ_MAX: Final = 1024 * 1024


@click.group(short_help="Shops: keys, addresses, rules, pauses.")
def stores() -> None:
    """Shops: API keys, allowed origins, return URLs, notification endpoint, settlement rules."""


@stores.command()
@click.argument("name")
@click.option("--origin", "origins", multiple=True, required=True, metavar="URL", help="Repeat it for several.")
@who_option
@json_option
def create(name: str, origins: tuple[str, ...], claimed: str | None, as_json: bool) -> None:
    """Make the store NAME; prints its id and its API key."""
    with opened() as services:
        made = services.stores.create(name, origins, who=proven(services, claimed))
    answer(
        as_json,
        {"id": made.id, "name": name.strip(), "api_key": made.api_key},
        facts([("id", made.id), ("api key", made.api_key)]),
        f"Keep the key in the shop's server. {ONCE}\nNext: `checkout stores set {made.id} --notify-url URL "
        f"--success-url URL --exit-url URL --error-url URL --support-url URL`, and `checkout stores rule {made.id} …`.",
    )


@stores.command("set")
@click.argument("store")
@click.option("--notify-url", metavar="URL", help="Where our signed notifications go; makes a new secret.")
@click.option("--success-url", metavar="URL")
@click.option("--exit-url", metavar="URL")
@click.option("--error-url", metavar="URL")
@click.option("--support-url", metavar="URL")
@click.option(
    "--destination-address", metavar="ADDRESS", help="Where Stable Mint delivers (sent on /session/hosted only)."
)
@click.option("--colour", metavar="#RRGGBB", help="Of buttons and links on the shopper's pages.")
@click.option(
    "--logo", type=click.File("rb"), metavar="FILE", help="PNG, JPEG or WebP, at most 8 kB; on the shopper's pages."
)
@who_option
@json_option
def set_(
    store: str, colour: str | None, logo: BinaryIO | None, claimed: str | None, as_json: bool, **changes: str | None
) -> None:
    """Change where STORE's shoppers return to, how it looks to them, where it is notified, and where its funds land."""
    chosen = {name: value for name, value in changes.items() if value is not None}
    if not chosen and colour is None and logo is None:
        raise click.UsageError("nothing to change: give at least one of the options")
    picture = None if logo is None else logo.read(PICTURE_READ_MAX)
    with opened() as services:
        who = proven(services, claimed)
        if colour is not None or picture is not None:
            services.looks.set(store, logo=picture, colour=colour, who=who)
        secret = services.stores.set(store, chosen, who=who) if chosen else None
        found = services.stores.find(store)
        document = _shown(services, found)
    said = (
        None
        if secret is None
        else f"Verify notifications with it (Standard Webhooks). {ONCE} An earlier one signs for 24 h."
    )
    answer(
        as_json,
        {**document, **({} if secret is None else {"notification_secret": secret})},
        facts(
            [
                *((name.replace("_", " "), value) for name, value in chosen.items()),
                ("colour", colour),
                ("logo", None if picture is None else f"{len(picture)} bytes"),
                ("notification secret", secret),
            ]
        ),
        said or "",
    )


@stores.command()
@click.argument("store")
@click.option("--currency", required=True, metavar="C", help="What shoppers pay, for example EUR.")
@click.option("--asset", required=True, metavar="A", help="What it is settled as: USDC or USDT.")
@click.option("--network", required=True, metavar="N", help="Where it arrives, for example polygon.")
@click.option("--evidence", required=True, type=click.Choice(["declared", "recorded"]))
@click.option("--settles-gross", is_flag=True, help="Stable Mint delivers deposits 1:1, without deduction.")
@who_option
@json_option
def rule(
    store: str, currency: str, asset: str, network: str, evidence: str, settles_gross: bool, claimed: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Say what STORE's settled deposits in a currency become, and what counts as evidence of it."""
    currency, asset, network = currency.upper(), asset.upper(), network.lower()
    with opened() as services:
        services.stores.rule(
            store, currency=currency, asset=asset, network=network, evidence=evidence, settles_gross=settles_gross,
            who=proven(services, claimed),
        )  # fmt: skip
        ident = services.stores.find(store).id
    document = {
        "store": ident, "currency": currency, "asset": asset, "network": network, "evidence": evidence,
        "settles_gross": settles_gross,
    }  # fmt: skip
    how = "the settled event itself" if evidence == "declared" else "what `checkout treasury record` enters"
    answer(as_json, document, f"{currency} deposits become {asset} on {network}; the evidence is {how}.")


@stores.command()
@click.argument("store")
@click.option(
    "--scope", type=click.Choice(sorted(SCOPES)), default=STOREFRONT, show_default=True,
    help="treasury: for POST /v1/settlement_records alone.",
)  # fmt: skip
@who_option
@json_option
def key(store: str, scope: str, claimed: str | None, as_json: bool) -> None:
    """Make one more API key for STORE; the others go on working."""
    with opened() as services:
        made = services.stores.new_key(store, who=proven(services, claimed), scope=scope)
        ident = services.stores.find(store).id
    document = {"id": ident, "api_key": made, "scope": scope}
    answer(as_json, document, facts([("store", ident), ("scope", scope), ("api key", made)]), ONCE)


@stores.command()
@click.argument("store")
@click.option("--reason", required=True, help="Why; it is shown to whoever is refused.")
@who_option
@json_option
def pause(store: str, reason: str, claimed: str | None, as_json: bool) -> None:
    """Let no money leave for STORE, or for every store with `all`. Payments go on."""
    with opened() as services:
        who = proven(services, claimed)
        services.stores.pause(store, reason=reason, who=who)
    document = {"scope": store, "paused": True, "reason": reason, "by": who}
    answer(as_json, document, f"Payouts of {store} are paused. End it with `checkout stores resume {store}`.")


@stores.command()
@click.argument("store")
@who_option
@json_option
def resume(store: str, claimed: str | None, as_json: bool) -> None:
    """End a pause of STORE, or of `all`."""
    with opened() as services:
        who = proven(services, claimed)
        services.stores.resume(store, who=who)
    answer(as_json, {"scope": store, "paused": False, "by": who}, f"Payouts of {store} go on.")


@stores.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Every store."""
    with opened() as services:
        found = [_shown(services, one) for one in services.stores.all()]
    lines = [(one["id"], one["name"], ", ".join(one["origins"]), one["notify_url"], one["paused"]) for one in found]
    empty = "No store yet; make one with `checkout stores create NAME --origin URL`."
    answer(as_json, found, table(("id", "name", "origins", "notified at", "paused"), lines, empty=empty))


@stores.command()
@click.argument("store")
@json_option
def show(store: str, as_json: bool) -> None:
    """Everything about STORE but its secrets."""
    with opened() as services:
        found = _shown(services, services.stores.find(store))
    plain = [(name.replace("_", " "), value) for name, value in found.items() if name not in ("origins", "rules")]
    lines = [
        (one["currency"], f"{one['asset']} {one['network']}", one["evidence"], one["settles_gross"])
        for one in found["rules"]
    ]
    answer(
        as_json,
        found,
        facts([*plain, ("origins", ", ".join(found["origins"]))]),
        table(
            ("currency", "becomes", "evidence", "gross"),
            lines,
            empty="No settlement rule; `checkout stores rule` makes one.",
        ),
    )


def _shown(services: Services, store: StoreRow) -> dict[str, Any]:
    with services.context.database.read() as unit:
        rules = [rows.rule_for(unit, store.id, currency) for currency in CURRENCY_EXPONENTS]
        paused = rows.why_paused(unit, store.id)
    kept = ("currency", "asset", "network", "evidence", "settles_gross")
    return {
        "id": store.id,
        "name": store.name,
        "origins": json.loads(store.origins),
        "notify_url": store.notify_url,
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
