"""`checkout payouts` against the simulated Stables: each act by its own command, nothing shown before it may be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from checkout.commands.place import free_port
from checkout.simulator.stables.codes import CUSTOMER_ID
from tests.edges.command_line import Terminal
from tests.offramp import SPEED, Offramp, offramp
from tests.system import environment


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
