"""`checkout accounts`: where payouts may go. Bank details go in from a file and never come out again."""

from __future__ import annotations

import json
from typing import TextIO

import click

from checkout.commands.answers import answer, facts, json_option, table, who_option
from checkout.commands.installation import opened, proven
from checkout.errors import NotPossible, RequestRefused
from checkout.providers.outcome import Accepted, Declined, Unknown

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
    content = _read(file)
    with opened() as services:
        added = services.payout_accounts.add(store, content, who=proven(services, claimed))
    pending = added["state"] == "pending"
    hint = f"It is usable once a second person runs `checkout accounts confirm {added['id']}`, or after 24 hours."
    answer(
        as_json,
        added,
        facts(added.items()),
        hint if pending else f"Next: `checkout payouts propose {store}` when there is treasury.",
    )


def _read(file: TextIO) -> object:
    try:
        return json.load(file)
    except (ValueError, RecursionError):
        raise RequestRefused({"file": "it is not JSON in UTF-8"}) from None
    except OSError as problem:
        raise RequestRefused({"file": f"it cannot be read: {problem.strerror}"}) from None


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


@accounts.command("list")
@click.argument("store")
@json_option
def list_(store: str, as_json: bool) -> None:
    """The payout accounts of STORE that are in use, without their bank details."""
    with opened() as services:
        found = services.payout_accounts.list(store)
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
        case Declined(status=status, message=message):
            raise NotPossible(f"Stables answered {status}: {message}")
        case Unknown(reason=reason):
            raise NotPossible(f"Stables could not be asked: {reason}")
    rows = [(one["id"], one["name"], one["type"], "approved" if one["payouts"] else "not approved") for one in document]
    answer(
        as_json, document, table(("id", "name", "type", "payouts"), rows, empty="Stables knows no customer of ours.")
    )
