"""Cases: every kind the code opens is explained, every action is a real command, closing says who and why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from checkout.cases import KINDS, Cases
from checkout.cli import cli
from checkout.paying.reckoning import CASES as ANOMALY_CASES
from checkout.rules.payments import Status
from checkout.rules.work import SILENCE, SILENCE_OPEN_BANKING
from checkout.store.moves import open_case
from tests.edges.command_line import Terminal
from tests.system import RealClock, System, environment, make_system

PACKAGE = Path(__file__).resolve().parents[2] / "checkout"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    made = make_system(f"sqlite:///{tmp_path / 'checkout.db'}", clock=RealClock())
    yield made
    made.close()


@pytest.fixture
def terminal(system: System, tmp_path: Path) -> Terminal:
    return Terminal(environment(f"sqlite:///{tmp_path / 'checkout.db'}"))


def opened(system: System, kind: str = "duplicate", subject: str = "pay_1", number: int = 1) -> str:
    ident = f"case_{number}"
    with system.database.write() as unit:
        open_case(unit, ident, kind=kind, subject=subject, detail="twice", at=system.clock())
    return ident


def kinds_in_the_code() -> set[str]:
    """What is passed as ``kind`` to whatever opens a case."""
    opening = {"open_case", "reopen_case", "hold", "_hold"}
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name not in opening:
                continue
            given = [word.value for word in call.keywords if word.arg == "kind"] or call.args[3:4]
            found |= {one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return found


def test_every_kind_that_is_opened_is_explained() -> None:
    computed = {anomaly.value for anomaly in ANOMALY_CASES} | {
        f"silent_{stage}" for stage in SILENCE | SILENCE_OPEN_BANKING
    }
    computed |= {"rfi", "travel_rule"}  # the first part of Stables' event types that ask for a person
    written = kinds_in_the_code()
    assert len(written) > 10
    assert written | computed == set(KINDS)
    assert set(SILENCE) <= {status.value for status in Status}


@pytest.mark.parametrize("action", sorted({action for kind in KINDS.values() for action in kind.actions}))
def test_every_action_is_a_command(action: str) -> None:
    command: click.Command | None = cli
    words = action.split()
    assert words.pop(0) == "checkout"
    while isinstance(command, click.Group):
        command = command.commands.get(words.pop(0))
    assert command is not None, action


def test_cases_are_listed_oldest_first_with_what_may_be_done(system: System, terminal: Terminal) -> None:
    first, second = opened(system, number=1), opened(system, "underpaid", "pay_2", number=2)
    found = terminal.ask("cases", "list")
    assert [one["id"] for one in found] == [first, second]
    assert found[0]["actions"][-1] == f"checkout cases close {first} --note TEXT"
    assert "checkout trace pay_1" in terminal.say("cases", "show", first)
    assert first in terminal.say("cases", "list")


def test_a_case_is_closed_with_who_and_why(system: System, terminal: Terminal) -> None:
    ident = opened(system)
    assert "note" in terminal.ask("cases", "close", ident, "--note", "  ", code=1)["fields"]
    closed = terminal.ask("cases", "close", ident, "--note", "refunded by hand")
    assert (closed["open"], closed["closed_by"], closed["note"]) == (False, "demo", "refunded by hand")
    assert closed["actions"] == []
    assert terminal.ask("cases", "list") == []
    assert [one["id"] for one in terminal.ask("cases", "list", "--all")] == [ident]
    assert "refunded by hand" in terminal.say("cases", "show", ident)
    assert "was closed by demo" in terminal.say("cases", "close", ident, "--note", "again", code=1)
    assert "Nothing waits" in terminal.say("cases", "list")


def test_what_is_no_case_is_not_found(terminal: Terminal) -> None:
    for words in (["show", "case_x"], ["close", "case_x", "--note", "n"]):
        assert terminal.ask("cases", *words, code=1)["kind"] == "not_found"


def test_a_kind_nobody_has_explained_is_shown_by_its_detail(system: System) -> None:
    ident = opened(system, "brand_new")
    shown = Cases(system.services.context).show(ident)
    assert (shown["kind"], shown["detail"], shown["meaning"]) == ("brand_new", "twice", "See its detail.")
