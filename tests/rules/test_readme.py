"""The README names every setting and every command, and only files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from checkout.cli import cli
from checkout.environment import VARIABLES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_every_setting_is_explained(name: str) -> None:
    assert f"`{name}`" in README


def _commands() -> list[str]:
    assert isinstance(cli, click.Group)
    found = []
    for name, command in cli.commands.items():
        found.append(f"`checkout {name}`")
        if isinstance(command, click.Group):
            found += [f"`{verb}`" for verb in command.commands]
    return found


@pytest.mark.parametrize("name", _commands())
def test_every_command_is_explained(name: str) -> None:
    assert name in README


def test_every_file_it_names_exists() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    paths = [one for one in re.findall(r"`((?:tests|checkout|keys)[\w./-]*/[\w./-]*)`", README) if "…" not in one]
    for one in [*links, *paths]:
        assert (ROOT / one).exists(), one
