"""`checkout payouts` beyond the straight path: what reveal shows, two people, estimates, and where lost money is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from checkout.commands.payouts import WHERE
from checkout.rules.resolutions import Where
from tests.edges.command_line import Terminal
from tests.offramp import SPEED, Offramp, offramp
from tests.system import environment

HASH = "0x" + "ab" * 32


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ramp(tmp_path: Path) -> Iterator[Offramp]:
    with offramp(f"sqlite:///{tmp_path / 'checkout.db'}") as made:
        made.settled()
        made.account()
        yield made


@pytest.fixture
def terminal(ramp: Offramp, tmp_path: Path) -> Terminal:
    url = f"sqlite:///{tmp_path / 'checkout.db'}"
    return Terminal(environment(url, STABLES_API_URL=ramp.servers.stables_url, CHECKOUT_SPEED=str(SPEED)))


def awaiting(ramp: Offramp, terminal: Terminal) -> str:
    ident = str(terminal.ask("payouts", "propose", "Shop")["id"])
    ramp.until(ident, "quoted")
    terminal.ask("payouts", "approve", ident, "--valid-hours", "24")
    ramp.until(ident, "awaiting_funding")
    return ident


def test_reveal_says_how_much_on_which_network_to_which_address_and_for_how_long(
    ramp: Offramp, terminal: Terminal, tmp_path: Path
) -> None:
    ramp.switch(address_form="onchain")
    ident = awaiting(ramp, terminal)
    file = tmp_path / "address.svg"
    told = terminal.ask("payouts", "reveal", ident, "--qr-svg", str(file))
    assert told["uri"].endswith(f"@137/transfer?address={told['address']}&uint256=9710000")
    assert (told["network_name"], told["base_units"], told["chain_id"]) == ("Polygon PoS", "9710000", 137)
    assert told["address_grouped"].replace(" ", "") == told["address"]
    assert 0 < told["seconds_left"] <= 5
    assert file.read_bytes().startswith(b"<?xml")
    text = terminal.say("payouts", "reveal", ident, "--qr")
    assert "Polygon PoS (polygon)" in text
    assert told["address_grouped"] in text
    assert "▀" in text or "█" in text
    assert "is there already" in terminal.say("payouts", "reveal", ident, "--qr-svg", str(file), code=2)
    beyond = str(tmp_path / "nowhere" / "address.svg")
    assert "cannot be written" in terminal.say("payouts", "reveal", ident, "--qr-svg", beyond, code=1)


def test_a_sandbox_placeholder_has_no_uri(ramp: Offramp, terminal: Terminal) -> None:
    told = terminal.ask("payouts", "reveal", awaiting(ramp, terminal))
    assert told["uri"] is None
    assert told["address"].startswith("sandbox:")


def test_a_hash_is_checked_by_the_form_of_its_network_and_shown(ramp: Offramp, terminal: Terminal) -> None:
    ident = awaiting(ramp, terminal)
    terminal.ask("payouts", "reveal", ident)
    assert "64 hexadecimal digits" in terminal.say("payouts", "funded", ident, "--hash", "abc", code=1)
    assert terminal.ask("payouts", "funded", ident, "--hash", HASH)["hash"] == HASH
    assert HASH in terminal.say("payouts", "show", ident)


def test_where_the_money_is_ends_the_case_by_a_command_the_case_names(ramp: Offramp, terminal: Terminal) -> None:
    ident = awaiting(ramp, terminal)
    terminal.ask("payouts", "reveal", ident)
    ramp.post(f"transfers/{ramp.transfers()[0]['id']}/status", {"status": "failed"})
    ramp.until(ident, "needs_decision")
    assert "checkout payouts resolve" in terminal.say("payouts", "show", ident)
    (case,) = terminal.ask("cases", "list")
    assert f"checkout payouts resolve {ident} never-sent --evidence TEXT" in case["actions"]
    assert "--evidence" in terminal.say("payouts", "resolve", ident, "lost", code=2)
    assert "is not one of" in terminal.say("payouts", "resolve", ident, "elsewhere", "--evidence", "x", code=2)
    assert "credit" in terminal.say("payouts", "resolve", ident, "arrived", "--evidence", "x", code=1)
    held = terminal.say("payouts", "resolve", ident, "at-provider", "--evidence", "ticket 12")
    assert "9.71 treasury_in_transit" in held
    told = terminal.ask("payouts", "resolve", ident, "arrived", "--credit", "8.60", "--evidence", "statement, line 4")
    assert (told["status"], told["credit"]["amount"], told["holds"]) == ("completed", "8.60", {})
    assert terminal.ask("cases", "list") == []
    shown = terminal.say("payouts", "show", ident)
    assert "arrived 9.71, by demo: statement, line 4" in shown


def test_the_help_explains_every_word_that_can_be_said(terminal: Terminal) -> None:
    assert set(WHERE) == {where.value.replace("_", "-") for where in Where}
    text = terminal.say("payouts", "resolve", "--help")
    assert all(word in text for word in WHERE)


def test_two_people_approve_from_their_own_terminals(ramp: Offramp, terminal: Terminal) -> None:
    secrets = {name: terminal.ask("people", "add", name)["secret"] for name in ("ann", "ben")}
    terminal.ask("policies", "set", "Shop", "manual", "--two-people-from", "0")
    ident = str(terminal.ask("payouts", "propose", "Shop")["id"])
    ramp.until(ident, "quoted")
    assert "each with a secret" in terminal.say("payouts", "approve", ident, code=1)
    wrong = terminal.say("payouts", "approve", ident, "--as", "ben", code=1, CHECKOUT_AS_SECRET=secrets["ann"])
    assert "not that of" in wrong
    first = terminal.say("payouts", "approve", ident, "--as", "ann", CHECKOUT_AS_SECRET=secrets["ann"])
    assert "waits for a second person" in first
    assert "waits for a second person" in terminal.say("payouts", "show", ident)
    second = terminal.ask("payouts", "approve", ident, "--as", "ben", CHECKOUT_AS_SECRET=secrets["ben"])
    assert second["state"] == "approved"
    assert "by ann and ben, at least EUR" in terminal.say("payouts", "show", ident)


def test_an_estimate_costs_nothing_and_says_what_the_guard_thinks(ramp: Offramp, terminal: Terminal) -> None:
    (account,) = terminal.ask("accounts", "list", "Shop")
    assert "allows it" in terminal.say("payouts", "estimate", account["id"])
    terminal.ask("policies", "guard", "Shop", "--currency", "eur", "--least-credit", "500")
    told = terminal.ask("payouts", "estimate", account["id"], "--amount", "12.5")
    assert told["sends"] == "12.5"
    assert "the smallest allowed is EUR 500.00" in told["outside_the_guard"]
    assert "amount" in terminal.say("payouts", "estimate", account["id"], "--amount", "a lot", code=1)
    assert "no payout account" in terminal.say("payouts", "estimate", "acc_nothing", code=1)
    off = Terminal({**terminal.environ, "STABLES_EXTRAS": "off"})
    assert "STABLES_EXTRAS=on" in off.say("payouts", "estimate", account["id"], code=1)


def test_quotes_that_were_refused_are_shown_with_why(ramp: Offramp, terminal: Terminal) -> None:
    terminal.ask("policies", "guard", "Shop", "--currency", "EUR", "--worst-cost", "0")
    ident = str(terminal.ask("payouts", "propose", "Shop")["id"])
    ramp.until(ident, "on_hold", within=20)
    assert "outside the price guard: it costs EUR" in terminal.say("payouts", "show", ident)


def test_a_decline_is_explained_in_a_sentence_with_what_to_do(ramp: Offramp, terminal: Terminal) -> None:
    ident = str(terminal.ask("payouts", "propose", "Shop")["id"])
    ramp.until(ident, "quoted")
    ramp.switch(risk_error="sof_required")
    terminal.ask("payouts", "approve", ident)
    ramp.until(ident, "on_hold")
    (case,) = terminal.ask("cases", "list")
    assert "wants proof of where the money comes from" in case["detail"]
    assert "sof_required" in case["detail"]
