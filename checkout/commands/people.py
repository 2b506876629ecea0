"""`checkout people`: those whose names are recorded with acts."""

from __future__ import annotations

import click

from checkout.commands.answers import answer, facts, json_option, who_option
from checkout.commands.installation import opened, proven


@click.group()
def people() -> None:
    """Who may act: each person has a secret of their own."""


@people.command()
@click.argument("name")
@who_option
@json_option
def add(name: str, as_json: bool, **who: str | None) -> None:
    """Add the person NAME; their secret is printed once."""
    raise NotImplementedError
