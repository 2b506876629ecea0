"""`checkout stores`: one shop each, with its keys, origins, addresses and settlement rules."""

from __future__ import annotations

from typing import BinaryIO, Final

import click

from checkout.commands.answers import answer, facts, json_option, table, typed, who_option
from checkout.commands.installation import opened, proven
from checkout.commands.store_keys import ONCE, key, keys, revoke
from checkout.commands.store_sheet import brief, everything, sheet

#: More of a file than this is never read: it is too much for a picture anyway.
PICTURE_READ_MAX: Final = 1024 * 1024


@click.group(short_help="Shops: keys, addresses, rules, pauses.")
def stores() -> None:
    """Shops: API keys, allowed origins, return URLs, notification endpoint, settlement rules."""


for _command in (key, keys, revoke):
    stores.add_command(_command)


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
        {"id": made.id, "name": name.strip(), "key_id": made.key_id, "api_key": made.api_key},
        facts([("id", made.id), ("key id", made.key_id), ("api key", made.api_key)]),
        f"Keep the key in the shop's server. {ONCE}\nNext: `checkout stores set {made.id} --notify-url URL "
        f"--success-url URL --exit-url URL --error-url URL --support-url URL`, and `checkout stores rule {made.id} …`.",
    )


@stores.command("set")
@click.argument("store")
@click.option("--origin", "origins", multiple=True, metavar="URL", help="All that are allowed from now on; repeat it.")
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
    store: str, origins: tuple[str, ...], colour: str | None, logo: BinaryIO | None, claimed: str | None, as_json: bool,
    **changes: str | None,
) -> None:  # fmt: skip
    """Change where STORE's pages are and shoppers return to, how it looks, where it is notified, where its funds land."""
    chosen = {name: value for name, value in changes.items() if value is not None}
    if not chosen and not origins and colour is None and logo is None:
        raise click.UsageError("nothing to change: give at least one of the options")
    picture = None if logo is None else logo.read(PICTURE_READ_MAX)
    with opened() as services:
        who = proven(services, claimed)
        if colour is not None or picture is not None:
            services.looks.set(store, logo=picture, colour=colour, who=who)
        secret = services.stores.set(store, chosen, who=who, origins=origins) if chosen or origins else None
        found = services.stores.find(store)
        document = brief(services, found)
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
                ("origins", ", ".join(document["origins"]) if origins else None),
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
@click.option("--reason", required=True, help="Why; it is shown to whoever is refused.")
@who_option
@json_option
def pause(store: str, reason: str, claimed: str | None, as_json: bool) -> None:
    """Let no money leave for STORE, or for every store with `all`. Payments go on."""
    with opened() as services:
        who = proven(services, claimed)
        services.stores.pause(store, reason=reason, who=who)
    document = {"scope": store, "paused": True, "reason": reason, "by": who}
    answer(as_json, document, f"Payouts of {store} are paused. End it with `checkout stores resume {typed(store)}`.")


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
        found = [brief(services, one) for one in services.stores.all()]
    lines = [(one["id"], one["name"], ", ".join(one["origins"]), one["notify_url"], one["paused"]) for one in found]
    empty = "No store yet; make one with `checkout stores create NAME --origin URL`."
    answer(as_json, found, table(("id", "name", "origins", "notified at", "paused"), lines, empty=empty))


@stores.command()
@click.argument("store")
@json_option
def show(store: str, as_json: bool) -> None:
    """Everything about STORE but its secrets."""
    with opened() as services:
        found = everything(services, services.stores.find(store))
    answer(as_json, found, *sheet(found))
