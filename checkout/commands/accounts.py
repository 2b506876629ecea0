"""`checkout accounts`: where payouts may go, and what an account there needs. Bank details never come out again."""

from __future__ import annotations

from typing import Any, TextIO

import click

from checkout.commands.answers import answer, facts, json_option, table, text, typed, who_option
from checkout.commands.installation import opened, proven
from checkout.commands.json_files import read_json
from checkout.destinations import corridor_needs
from checkout.destinations.purpose_codes import PURPOSES
from checkout.errors import NotPossible
from checkout.providers.outcome import Accepted, Declined, Unknown
from checkout.providers.stables_words import unknown_words, words_of

HEADS = ("id", "name", "bank", "pays out", "from", "state")


@click.group(short_help="Bank accounts that payouts go to.")
def accounts() -> None:
    """Payout accounts: a bank account with its corridor, Stables customer and purpose code."""


@accounts.command()
@click.argument("store")
@click.option(
    "--file", "file", type=click.File(encoding="utf-8"), required=True, help="The account as JSON; - is stdin."
)
@who_option
@json_option
def add(store: str, file: TextIO, claimed: str | None, as_json: bool) -> None:
    """Add a payout account to STORE, or replace the one of the same name.

    The file holds one JSON object: name, stables_customer_id, source {currency, network}, destination {currency,
    country, network}, bank (as a transfer's destination), purpose_code (default MERCHANT_SETTLEMENT).
    """
    content = read_json(file)
    with opened() as services:
        added = services.payout_accounts.add(store, content, who=proven(services, claimed))
    _say_added(as_json, added, f"Next: `checkout payouts propose {typed(store)}` when there is treasury.")


@accounts.command()
@click.argument("id", metavar="ID")
@click.option(
    "--file", "file", type=click.File(encoding="utf-8"), required=True, help="The new account as JSON; - is stdin."
)
@who_option
@json_option
def replace(id: str, file: TextIO, claimed: str | None, as_json: bool) -> None:
    """Put another account in the place of ID. Whatever was approved for ID is void; in live mode the new one is pending."""
    content = read_json(file)
    with opened() as services:
        added = services.payout_accounts.replace(id, content, who=proven(services, claimed))
    _say_added(as_json, added, "Whatever was approved for the old account has to be approved again.")


def _say_added(as_json: bool, added: dict[str, Any], next_step: str) -> None:
    pending = added["state"] == "pending"
    hint = f"It is usable once a second person runs `checkout accounts confirm {added['id']}`, or after 24 hours."
    shown = [(name, value) for name, value in added.items() if name != "warnings"]
    warned = "\n".join(f"Note: {text(one)}" for one in added["warnings"])
    answer(as_json, added, facts(shown), warned, hint if pending else next_step)


@accounts.command()
@click.argument("id", metavar="ID")
@who_option
@json_option
def confirm(id: str, claimed: str | None, as_json: bool) -> None:
    """Confirm a new payout account: the act of a second person."""
    with opened() as services:
        who = proven(services, claimed)
        services.payout_accounts.confirm(id, who=who)
    answer(as_json, {"id": id, "confirmed_by": who}, f"Payout account {id} is confirmed by {who} and usable now.")


@accounts.command()
@click.argument("id", metavar="ID")
@who_option
@json_option
def retire(id: str, claimed: str | None, as_json: bool) -> None:
    """Take an account out of use. Whatever was approved for it is void; a transfer that exists goes on with Stables."""
    with opened() as services:
        who = proven(services, claimed)
        services.payout_accounts.retire(id, who=who)
    answer(as_json, {"id": id, "retired_by": who}, f"Payout account {id} is out of use.")


@accounts.command()
@click.argument("id", metavar="ID")
@who_option
@json_option
def check(id: str, claimed: str | None, as_json: bool) -> None:
    """Ask Stables whether an account's bank details are good; exit 1 when it refuses them."""
    with opened() as services:
        found = services.payout_accounts.check(id, who=proven(services, claimed))
    answer(as_json, found, found["said"], "\n".join(f"  {at}: {words}" for at, words in found["fields"].items()))
    if found["provider_check"] != "valid":
        raise SystemExit(1)


@accounts.command()
@click.argument("id", metavar="ID")
@json_option
def show(id: str, as_json: bool) -> None:
    """One payout account: its corridor, its checks, and who did what with it. Of the bank only the number's end."""
    with opened() as services:
        found = services.payout_accounts.show(id)
    pairs = [(name, value) for name, value in found.items() if name not in ("acts", "bank_fields")]
    acts = [(one["at"], one["who"], one["action"]) for one in found["acts"]]
    answer(
        as_json,
        found,
        facts([*pairs, ("bank fields", ", ".join(found["bank_fields"]))]),
        table(("at", "who", "what"), acts, empty="Nobody did anything with it."),
    )


@accounts.command()
@click.option("--currency", required=True, help="What the bank account is in, for example GBP.")
@click.option("--country", help="Where the bank is; default: the currency's own country, where there is one.")
@click.option("--rail", type=click.Choice(["bank", "swift"]), help="Local or international; default: both.")
@json_option
def fields(currency: str, country: str | None, rail: str | None, as_json: bool) -> None:
    """What an account's file needs for a currency (and country): every way to name the account, and the recipient."""
    document = corridor_needs.corridor_document(currency, country, rail)
    paragraphs = [_corridor(one) for one in document["corridors"]]
    answer(as_json, document, *paragraphs, "\n".join(f"Note: {one}" for one in document["warnings"]))


def _corridor(one: dict[str, Any]) -> str:
    ways = [" and ".join(f"{name} ({words})" for name, words in way.items()) for way in one["one_of"]]
    recipient = [f"  {name}: {words}" for name, words in one["recipient"].items()]
    return "\n".join(
        [
            f"{one['currency']} to {one['country']} by {one['network']} ({one['rail']})",
            f"always: {', '.join(one['always'])}",
            *(f"{'or' if position else 'and'}: {way}" for position, way in enumerate(ways)),
            *(["the recipient:", *recipient] if recipient else []),
        ]
    )


@accounts.command()
@json_option
def purposes(as_json: bool) -> None:
    """The purpose codes a payout may state, with Stables' own words."""
    document = [{"code": code, "means": words} for code, words in PURPOSES.items()]
    answer(as_json, document, table(("code", "means"), PURPOSES.items(), empty=""))


@accounts.command("list")
@click.argument("store")
@click.option("--all", "include_retired", is_flag=True, help="Also those that are out of use.")
@json_option
def list_(store: str, include_retired: bool, as_json: bool) -> None:
    """The payout accounts of STORE that are in use, without their bank details."""
    with opened() as services:
        found = services.payout_accounts.list(store, include_retired=include_retired)
    rows = [
        (one["id"], one["name"], one["bank"], f"{one['currency']} {one['rail']}", f"{one['asset']} {one['network']}",
         one["state"])
        for one in found
    ]  # fmt: skip
    answer(
        as_json,
        found,
        table(HEADS, rows, empty="No payout account; add one with `checkout accounts add STORE --file FILE`."),
    )


@accounts.command()
@json_option
def customers(as_json: bool) -> None:
    """The customers that Stables knows for our key, and whether they may be paid out to: one goes into an account's file."""
    with opened() as services:
        outcome = services.stables.list_customers()
    match outcome:
        case Accepted(value=found):
            document = [
                {"id": one.id, "name": one.name, "type": one.type, "payouts": one.base_payout_approved} for one in found
            ]
        case Declined():
            raise NotPossible(words_of(outcome))
        case Unknown():
            raise NotPossible(f"Stables could not be asked: {unknown_words(outcome)}")
    rows = [(one["id"], one["name"], one["type"], "approved" if one["payouts"] else "not approved") for one in document]
    answer(
        as_json, document, table(("id", "name", "type", "payouts"), rows, empty="Stables knows no customer of ours.")
    )
