"""`checkout payouts` against the simulated Stables: each act by its own command, nothing shown before it may be.

Then what is beyond the straight path: two people, estimates, refused quotes, and where lost money is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from checkout.commands.payouts import WHERE
from checkout.commands.place import free_port
from checkout.rules.resolutions import Where
from checkout.simulator.stables.codes import CUSTOMER_ID
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


def test_each_act_leads_to_the_next_until_the_money_is_in_the_bank(ramp: Offramp, terminal: Terminal) -> None:
    proposed = terminal.ask("payouts", "propose", "Shop")
    ident = proposed["id"]
    assert (proposed["state"], proposed["amount"]) == ("proposed", "9.71")
    ramp.until(ident, "quoted")
    assert "checkout payouts approve" in terminal.say("payouts", "show", ident)
    assert terminal.ask("payouts", "approve", ident)["state"] == "approved"
    assert "only a quoted payout" in terminal.say("payouts", "approve", ident, code=1)
    ramp.until(ident, "awaiting_funding")
    assert "never revealed" in terminal.say("payouts", "simulate-deposit", ident, code=1)
    assert "never revealed" in terminal.say("payouts", "funded", ident, "--hash", "0xabc", code=1)
    told = terminal.ask("payouts", "reveal", ident)
    assert (told["amount"], told["asset"], told["network"]) == ("9.71", "USDC", "polygon")
    terminal.ask("payouts", "simulate-deposit", ident)
    ramp.until(ident, "completed")
    shown = terminal.ask("payouts", "show", ident)
    assert shown["credit"]["currency"] == "EUR"
    assert told["address"] not in terminal.say("payouts", "show", ident)
    assert told["address"] not in terminal.say("trace", ident)
    assert "bank credit" in terminal.say("trace", shown["transfer"]["id"])
    assert [one["state"] for one in terminal.ask("payouts", "list", "--store", "Shop")] == ["completed"]
    assert ident in terminal.say("payouts", "list")


def test_the_address_is_shown_to_a_person_by_reveal_alone(ramp: Offramp, terminal: Terminal) -> None:
    ident = terminal.ask("payouts", "propose", "Shop")["id"]
    ramp.until(ident, "quoted")
    assert "can be revealed while" in terminal.say("payouts", "reveal", ident, code=1)
    terminal.say("payouts", "approve", ident, "--min-credit", "1.00")
    ramp.until(ident, "awaiting_funding")
    (transfer,) = ramp.transfers()
    address = transfer["address"] if "address" in transfer else transfer["instructions"]["address"]
    before = terminal.say("payouts", "show", ident) + terminal.say("trace", ident) + terminal.say("payouts", "list")
    assert address not in before
    assert address in terminal.say("payouts", "reveal", ident)
    assert "Recorded" in terminal.say("payouts", "funded", ident)


def test_a_quoted_payout_can_be_stopped_and_its_treasury_is_free(ramp: Offramp, terminal: Terminal) -> None:
    ident = terminal.ask("payouts", "propose", "Shop")["id"]
    ramp.until(ident, "quoted")
    assert "no free" in terminal.say("payouts", "propose", "Shop", code=1)
    assert terminal.ask("payouts", "cancel", ident)["state"] == "cancelled"
    assert "cannot become" in terminal.say("payouts", "cancel", ident, code=1)
    assert terminal.ask("payouts", "propose", "Shop", "--account", "Main")["state"] == "proposed"


def test_a_payout_on_hold_says_why_and_is_started_again_by_a_person(ramp: Offramp, terminal: Terminal) -> None:
    ramp.switch(customer_payout="rejected")
    ident = terminal.ask("payouts", "propose", "Shop")["id"]
    ramp.until(ident, "on_hold")
    (case,) = terminal.ask("cases", "list")
    assert case["kind"] == "customer_not_approved"
    assert f"checkout payouts retry {ident}" in case["actions"]
    assert case["id"] in terminal.say("payouts", "show", ident)
    ramp.switch(customer_payout="approved")
    assert terminal.ask("payouts", "retry", ident)["state"] == "proposed"
    ramp.until(ident, "quoted")


def test_an_amount_that_is_none_is_refused(ramp: Offramp, terminal: Terminal) -> None:
    ident = terminal.ask("payouts", "propose", "Shop")["id"]
    ramp.until(ident, "quoted")
    assert "--min-credit" in terminal.say("payouts", "approve", ident, "--min-credit", "8,50", code=1)
    assert "no payout" in terminal.say("payouts", "approve", "out_nothing", code=1)


def test_the_customers_of_our_key_are_listed_for_an_accounts_file(ramp: Offramp, terminal: Terminal) -> None:
    (known,) = terminal.ask("accounts", "customers")
    assert known["id"] == CUSTOMER_ID
    assert known["payouts"]
    assert "Demo Merchant" in terminal.say("accounts", "customers")
    ramp.switch(customer_payout="rejected")
    assert "not approved" in terminal.say("accounts", "customers")
    assert "answered 401" in Terminal({**terminal.environ, "STABLES_API_KEY": "sti_test_x"}).say(
        "accounts", "customers", code=1
    )
    nobody = Terminal({**terminal.environ, "STABLES_API_URL": f"http://127.0.0.1:{free_port()}"})
    assert "could not be asked" in nobody.say("accounts", "customers", code=1)


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
