"""`checkout statement`: where every cent of a payout, or of a period, came from and went."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click

from checkout.commands.answers import answer, facts, json_option, who_option
from checkout.commands.installation import opened, proven
from checkout.commands.moments import MOMENT
from checkout.explaining.statement_forms import page, period_page, table


@click.group(short_help="Where every cent went.")
def statement() -> None:
    """From orders to the bank credit, to the last minor unit."""


@statement.command()
@click.argument("id", metavar="PAYOUT")
@click.option("--csv", "form", flag_value="csv", help="For a spreadsheet.")
@json_option
@click.pass_context
def payout(ctx: click.Context, id: str, form: str | None, as_json: bool) -> None:
    """One payout: orders, deposits, settlement records, the provider's own lines, the credit."""
    with opened() as services:
        found = services.statements.payout(id)
    _say(ctx, found, form, as_json, page(found), table([found]))


@statement.command()
@click.argument("store")
@click.option("--from", "start", type=MOMENT, required=True, metavar="TIME", help="A date (UTC) or a time.")
@click.option("--to", "end", type=MOMENT, required=True, metavar="TIME", help="Not part of the period.")
@click.option("--csv", "form", flag_value="csv", help="For a spreadsheet.")
@json_option
@click.pass_context
def period(ctx: click.Context, store: str, start: datetime, end: datetime, form: str | None, as_json: bool) -> None:
    """STORE's accounts over a period, and every payout credited in it."""
    with opened() as services:
        found = services.statements.period(store, start=start, end=end)
    _say(ctx, found, form, as_json, period_page(found), table(found["payouts"]))


@statement.command()
@click.argument("id", metavar="PAYOUT")
@click.option("--amount", required=True, metavar="X", help="Exactly what the bank statement shows.")
@click.option("--evidence", required=True, metavar="TEXT", help="Which line of which bank statement.")
@who_option
@json_option
def confirm(id: str, amount: str, evidence: str, claimed: str | None, as_json: bool) -> None:
    """Say what arrived in the bank: the credit is no longer only quoted."""
    with opened() as services:
        who = proven(services, claimed)
        found = services.statements.confirm(id, amount=amount, evidence=evidence, who=who)
    credit = found["credit"]
    answer(
        as_json,
        {**found, "by": who},
        facts([("payout", id), ("credit", f"{credit['currency']} {credit['amount']} ({credit['is']})"), ("by", who)]),
        f"The whole statement: `checkout statement payout {id}`.",
    )


@statement.command()
@click.argument("store")
@click.option("--percent", metavar="P", help="Of the credit; 0.25 unless set.")
@click.option(
    "--minor", type=int, metavar="N", help="Cents (smallest units) let pass whatever the credit; 10 unless set."
)
@who_option
@json_option
def limit(store: str, percent: str | None, minor: int | None, claimed: str | None, as_json: bool) -> None:
    """How much of a credit the provider may leave unexplained before a case opens; without an option, show it.

    A remainder opens a case when it is above both.
    """
    with opened() as services:
        found = services.statements.limit(store)
        if percent is not None or minor is not None:
            wanted = (percent or found["percent"], found["minor"] if minor is None else minor)
            who = proven(services, claimed)
            found = services.statements.set_limit(store, percent=wanted[0], minor=wanted[1], who=who)
    said = [
        ("store", found["name"]), ("may stay unexplained", f"{found['percent']} % of the credit"),
        ("and in any case", f"{found['minor']} of its smallest units"),
        ("set by", "nobody: the default" if found["default"] else None),
    ]  # fmt: skip
    answer(as_json, found, facts(said))


def _say(ctx: click.Context, found: Mapping[str, Any], form: str | None, as_json: bool, text: str, rows: str) -> None:
    """In the form that was asked for; exit code 1 when our own arithmetic differs."""
    if form == "csv" and not as_json:
        click.echo(rows, nl=False)
    else:
        click.echo(json.dumps(found, indent=2) if as_json else text)
    if found["differences"]:
        ctx.exit(1)
