"""The command lines of a guide: typed as they stand, or only read where the page says so."""

from __future__ import annotations

import shlex

import click

from checkout.cli import cli
from tests.edges.guides.page import Snippet, commands, same
from tests.edges.guides.surroundings import Surroundings


def understood(line: str) -> click.Context:
    """The command as click has understood it, not run; UsageError for a command or an option that is not there."""
    words = shlex.split(line)
    assert words.pop(0) == "checkout"
    command: click.Command = cli
    context = click.Context(cli, info_name="checkout")
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
        if isinstance(command, click.Group):
            context = click.Context(command, parent=context, info_name=name)
    return command.make_context(command.name, words, parent=context)


class Console:
    """Types a page's commands, and finds in what they say every line that the page shows."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def follow(self, snippet: Snippet) -> None:
        for line, shown in commands(snippet.text):
            if snippet.marks.get("data-only") == "parsed":
                understood(line).close()
            else:
                self._type(line, shown)

    def _type(self, line: str, shown: list[str]) -> None:
        words = shlex.split(self._around.filled(line))
        assert words[0] == "checkout"
        said = self._around.terminal.say(*words[1:])
        for one in shown:
            assert any(same(f"…{one}…", other) for other in said.splitlines()), f"{one!r} is not in:\n{said}"
        self._around.notice(words[1:], said)
