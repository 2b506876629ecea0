"""`checkout people`: those whose names are recorded with acts."""

from __future__ import annotations

from typing import Final

import click

from checkout.commands.answers import answer, facts, json_option, who_option
from checkout.commands.installation import opened, proven
from checkout.config import Mode

#: Who added the first person of a live installation: nobody has a secret yet, and live does not know ``demo``.
FIRST: Final = "installation"


@click.group(short_help="Those whose names are recorded.")
def people() -> None:
    """Who may act: each person has a secret of their own."""


@people.command()
@click.argument("name")
@who_option
@json_option
def add(name: str, claimed: str | None, as_json: bool) -> None:
    """Add the person NAME; their secret is printed once."""
    with opened() as services:
        first = services.settings.mode is Mode.LIVE and services.people.nobody_yet()
        who = FIRST if first else proven(services, claimed)
        secret = services.people.add(name, who=who)
    answer(
        as_json,
        {"name": name.strip(), "secret": secret, "added_by": who},
        facts([("name", name.strip()), ("secret", secret)]),
        "The secret is shown this once. They act with `--as NAME` and type it when asked, or set CHECKOUT_AS_SECRET.",
    )
