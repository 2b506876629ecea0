"""What a command says: for a person aligned text, for a program exactly one JSON document; never both.

Text of strangers (an order's number, a provider's words) is shown without control characters, so that none of it can
move a cursor or hide a line.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import click

C = TypeVar("C", bound=Callable[..., Any])

Document = Mapping[str, Any] | Sequence[Any]


def json_option(command: C) -> C:
    """``--json``: one document on stdout and nothing else there."""
    return click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document on stdout.")(command)


def typed(word: str) -> str:
    """A name in a command that a person can copy: quoted where the shell needs it."""
    return shlex.quote(word)


def who_option(command: C) -> C:
    """``--as NAME``: who is recorded."""
    return click.option(
        "--as",
        "claimed",
        metavar="NAME",
        help="Who does this; proven by CHECKOUT_AS_SECRET or a prompt. In the sandbox: demo.",
    )(command)


def limit_option(command: C) -> C:
    """``--limit N`` of a list."""
    return click.option(
        "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many at most."
    )(command)


def answer(as_json: bool, document: Document, *paragraphs: str) -> None:
    """Say it in the form that was asked for. Empty paragraphs are left out."""
    if as_json:
        click.echo(json.dumps(document, default=_plain, indent=2))
        return
    click.echo("\n\n".join(paragraph for paragraph in paragraphs if paragraph))


def announce(as_json: bool, document: Document, text: str) -> None:
    """The one answer of a command that goes on running: its JSON is a single line, for whoever waits for it."""
    click.echo(json.dumps(document, default=_plain) if as_json else text)


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """Names and values, one a line, the values in one column. None is left out."""
    shown = [(name, text(value)) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in shown), default=0)
    return "\n".join(f"{name:<{width}}  {value}".rstrip() for name, value in shown)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> str:
    """Rows under heads in aligned columns, or the sentence for nothing."""
    body = [[text(cell) for cell in row] for row in rows]
    if not body:
        return empty
    widths = [max(len(line[column]) for line in [list(heads), *body]) for column in range(len(heads))]
    lines = [[head.upper() for head in heads], *body]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def text(value: object) -> str:
    """A value as a person reads it: times to the second in UTC, nothing unprintable."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return moment(value)
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(value))


def moment(value: datetime | str) -> str:
    """``2026-11-21 08:02:15Z``."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def age(seconds: float) -> str:
    """How long ago, in the one unit that matters."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(int(seconds), 0)} s"


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")
