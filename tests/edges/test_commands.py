"""What holds for every command: exit codes, errors as sentences and documents, nothing of a secret, nothing unprintable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from checkout.cli import CommandLine, cli
from checkout.commands.answers import age, facts, moment, table, text
from checkout.commands.place import PlaceType, free_port, is_free, listen, url_of
from checkout.errors import NotPossible
from tests.edges.command_line import Terminal
from tests.system import environment, make_system


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees a .env of somebody."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A complete environment over an empty, migrated database."""
    url = f"sqlite:///{tmp_path / 'checkout.db'}"
    made = make_system(url)
    made.close()
    return Terminal(environment(url))


def every_command() -> Iterator[tuple[str, click.Command]]:
    def below(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        if isinstance(command, click.Group):
            for name, one in command.commands.items():
                yield from below(f"{words} {name}".strip(), one)
        else:
            yield words, command

    yield from below("", cli)


@pytest.mark.parametrize(("words", "command"), list(every_command()), ids=[words for words, _ in every_command()])
def test_every_command_takes_json_and_explains_itself(words: str, command: click.Command) -> None:
    assert "--json" in [option for parameter in command.params for option in parameter.opts]
    said = Terminal({}).say(*words.split(), "--help")
    assert command.help
    assert command.help.splitlines()[0].rstrip(".") in said.replace("\n  ", " ")


def test_acts_that_are_stored_take_a_name() -> None:
    recorded = {
        "accounts add", "accounts check", "accounts confirm", "accounts replace", "accounts retire", "cases close",
        "customers erase", "deposits allocate", "deposits known-as", "deposits settled", "events replay",
        "events reverify", "evidence", "notifications add", "notifications disable", "notifications enable",
        "notifications remove", "notifications resend", "notifications rotate", "notifications set",
        "notifications test", "payouts approve", "payouts cancel", "payouts funded", "payouts propose",
        "payouts resolve", "payouts retry", "payouts reveal", "payouts simulate-deposit", "people add",
        "policies guard", "policies pause", "policies resume", "policies set", "reconcile", "refunds approve",
        "refunds details", "refunds request", "refunds resolve", "refunds rule", "restore", "stables link",
        "stables setup", "stables webhooks", "statement confirm", "statement limit", "stores create", "stores key",
        "stores pause", "stores resume", "stores revoke", "stores rule", "stores set", "treasury import",
        "treasury record",
    }  # fmt: skip
    named = {words for words, one in every_command() if "--as" in [name for each in one.params for name in each.opts]}
    assert named == recorded


def test_wrong_settings_are_all_named_at_once_and_never_shown(terminal: Terminal) -> None:
    wrong = {"CHECKOUT_SECRET_KEY": "", "CHECKOUT_SPEED": "hunter2", "STABLES_API_KEY": "sti_live_hunter2"}
    said = terminal.say("stores", "list", code=2, **wrong)
    assert all(name in said for name in wrong)
    assert "hunter2" not in said
    document = terminal.ask("stores", "list", code=2, **wrong)
    assert document["kind"] == "settings_refused"
    assert set(document["problems"]) == set(wrong)


@pytest.mark.parametrize("words", [["serve"], ["worker"], ["simulator"], ["migrate"]])
def test_nothing_starts_with_wrong_settings(terminal: Terminal, words: list[str]) -> None:
    assert "CHECKOUT_DATA_KEY" in terminal.say(*words, code=2, CHECKOUT_DATA_KEY="nonsense")


@pytest.mark.parametrize(
    "words", [["bogus"], ["stores", "create"], ["stores", "list", "--bogus"], ["serve", "--bind", "x"]]
)
def test_wrong_usage_is_exit_code_2(terminal: Terminal, words: list[str]) -> None:
    assert "--help" in terminal.say(*words, code=2)
    assert terminal.ask(*words, code=2)["error"]


def test_a_refusal_is_exit_code_1_with_every_bad_field(terminal: Terminal) -> None:
    words = ["stores", "create", "\t", "--origin", "http://shop.example/path"]
    said = terminal.say(*words, code=1)
    assert "name:" in said
    assert "origin:" in said
    assert set(terminal.ask(*words, code=1)["fields"]) == {"name", "origin"}


def test_an_error_is_text_on_stderr_and_one_document_on_stdout(terminal: Terminal) -> None:
    result = terminal.type("payments", "show", "pay_nothing", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"error": "there is no payment 'pay_nothing'", "kind": "not_found"}
    assert result.stderr == "checkout: there is no payment 'pay_nothing'\n"
    assert terminal.type("payments", "show", "pay_nothing").stdout == ""


def test_a_bug_is_shown_by_its_places_and_never_by_the_values_it_quotes() -> None:
    @click.command()
    @click.option("--json", is_flag=True)
    def broken(json: bool) -> None:
        raise RuntimeError("IBAN DE89370400440532013000")

    group = CommandLine("checkout", commands=[broken])
    result = CliRunner().invoke(group, ["broken", "--json"])
    assert result.exit_code == 1
    assert "RuntimeError" in result.stderr
    assert "test_commands.py" in result.stderr
    assert json.loads(result.stdout)["kind"] == "runtime_error"
    assert "DE89" not in result.output


def test_a_database_that_is_not_there_is_not_made_by_looking(terminal: Terminal, tmp_path: Path) -> None:
    missing = tmp_path / "other.db"
    said = terminal.say("stores", "list", code=1, CHECKOUT_DATABASE_URL=f"sqlite:///{missing}")
    assert "checkout migrate" in said
    assert not missing.exists()
    missing.touch()
    assert "checkout migrate" in terminal.say("stores", "list", code=1, CHECKOUT_DATABASE_URL=f"sqlite:///{missing}")


def test_a_database_that_cannot_be_reached_is_a_sentence(terminal: Terminal) -> None:
    url = f"postgresql+psycopg://nobody:hunter2@127.0.0.1:{free_port()}/nothing"
    said = terminal.say("stores", "list", code=1, CHECKOUT_DATABASE_URL=url)
    assert "cannot be reached" in said
    assert "hunter2" not in said


def test_the_environment_wins_over_the_file_even_with_nothing(terminal: Terminal, tmp_path: Path) -> None:
    lines = [f"{name}={value}" for name, value in terminal.environ.items() if "\n" not in value]
    (tmp_path / ".env").write_text("\n".join(lines), encoding="utf-8")
    pems = {name: value for name, value in terminal.environ.items() if "\n" in value}
    from_file = Terminal(pems)
    assert from_file.ask("stores", "list")[0]["name"] == "Shop"
    assert "CHECKOUT_SECRET_KEY" in from_file.say("stores", "list", code=2, CHECKOUT_SECRET_KEY="")


def test_a_file_of_settings_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"CHECKOUT_MODE=\xff\xfe")
    assert ".env" in Terminal({}).say("stores", "list", code=2)


def test_text_of_strangers_moves_no_cursor() -> None:
    assert text("a\x1b[2Jb\nc") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c"
    assert text(None) == "-"
    assert text(True) == "yes"


def test_columns_are_aligned_and_nothing_is_a_sentence() -> None:
    assert table(("a", "bb"), [(1, "x"), ("long", "y")], empty="none") == "A     BB\n1     x\nlong  y"
    assert table(("a",), [], empty="none") == "none"
    assert facts([("a", 1), ("long", None), ("bbb", "x")]) == "a    1\nbbb  x"


def test_times_are_in_utc_to_the_second_and_ages_in_one_unit() -> None:
    assert moment(datetime(2026, 11, 21, 8, 2, 15, 9, tzinfo=UTC)) == "2026-11-21 08:02:15Z"
    assert moment("2026-11-21T09:02:15+01:00") == "2026-11-21 08:02:15Z"
    assert [age(5), age(119), age(121), age(7300), age(200_000)] == ["5 s", "119 s", "2 min", "2 h", "2 d"]


@pytest.mark.parametrize(
    ("written", "place"),
    [("127.0.0.1:8000", ("127.0.0.1", 8000)), ("[::1]:80", ("::1", 80)), (":8000", ("127.0.0.1", 8000))],
)
def test_a_place_is_a_host_and_a_port(written: str, place: tuple[str, int]) -> None:
    assert PlaceType().convert(written, None, None) == place


@pytest.mark.parametrize("written", ["8000", "host:", "host:70000", "http://host:80", "a b:80"])
def test_what_is_no_place_is_refused(written: str) -> None:
    with pytest.raises(click.BadParameter):
        PlaceType().convert(written, None, None)


def test_a_port_that_is_taken_is_a_sentence() -> None:
    with listen(("127.0.0.1", 0)) as taken:
        place = ("127.0.0.1", int(taken.getsockname()[1]))
        assert not is_free(place)
        with pytest.raises(NotPossible, match="cannot listen on"):
            listen(place)
    assert is_free(place)
    with pytest.raises(NotPossible, match="no address"):
        listen(("no.such.host.invalid", 0))


def test_serve_refuses_before_anything_is_started(terminal: Terminal, tmp_path: Path) -> None:
    with listen(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "cannot listen" in terminal.say("serve", "--bind", f"127.0.0.1:{port}", code=1)
    missing = f"sqlite:///{tmp_path / 'other.db'}"
    for words in (["serve", "--bind", "127.0.0.1:0"], ["worker"]):
        assert "checkout migrate" in terminal.say(*words, code=1, CHECKOUT_DATABASE_URL=missing)


def test_a_url_for_this_machine_names_an_address_that_can_be_called() -> None:
    assert url_of(("0.0.0.0", 80)) == "http://127.0.0.1:80"  # noqa: S104 - nothing is bound
    assert url_of(("::1", 80)) == "http://[::1]:80"
