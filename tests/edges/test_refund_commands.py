"""`checkout refunds`: each act by its own command and name; details come from a file and are never shown again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from checkout.paying.customers import Person
from tests.edges.command_line import Terminal
from tests.system import RealClock, System, environment, make_system

DETAILS = {
    "user_ip": "203.0.113.7", "creditor_account": "DE89370400440532013000", "creditor_name": "Ada Lovelace",
    "creditor_country": "DE", "remittance": "Refund of PP-1042",
}  # fmt: skip


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "details.json").write_text(json.dumps(DETAILS), encoding="utf-8")


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    made = make_system(f"sqlite:///{tmp_path / 'checkout.db'}", clock=RealClock(), CHECKOUT_LEASE="30")
    yield made
    made.close()


@pytest.fixture
def terminal(system: System, tmp_path: Path) -> Terminal:
    return Terminal(environment(f"sqlite:///{tmp_path / 'checkout.db'}"))


@pytest.fixture
def payment(system: System) -> str:
    person = Person("shopper-1", "ada@shop.example", "DE", {})
    answer = system.pay(flow="hosted_partner", customer=person)
    system.hear(system.sessions(answer.payment.id)[0], "completed")
    return answer.payment.id


def test_each_act_leads_to_the_next(system: System, terminal: Terminal, payment: str) -> None:
    asked = terminal.ask("refunds", "request", payment, "--amount", "4.00")
    ident = asked["id"]
    assert (asked["status"], asked["missing"][0]) == ("needs_details", "user_ip")
    assert "checkout refunds details" in terminal.say("refunds", "show", ident)
    assert "still needs user_ip" in terminal.say("refunds", "approve", ident, code=1)
    given = terminal.ask("refunds", "details", ident, "--file", "details.json")
    assert (given["status"], given["to"], given["details"]) == ("requested", "DE89…3000", sorted(DETAILS))
    assert "checkout refunds approve" in terminal.say("refunds", "show", ident)
    approved = terminal.say("refunds", "approve", ident)
    assert "A worker sends it, once" in approved
    assert "DE89…3000" in approved
    assert "approved by demo already" in terminal.say("refunds", "approve", ident, code=1)
    system.work()
    shown = terminal.ask("refunds", "show", ident)
    assert (shown["status"], shown["withdrawal"]["state"]) == ("sending", "accepted")
    assert shown["withdrawal"]["idempotency_key"] in terminal.say("refunds", "show", ident)
    (listed,) = terminal.ask("refunds", "list", "--store", "Shop", "--state", "sending")
    assert listed["id"] == ident
    assert ident in terminal.say("refunds", "list", "--payment", payment)
    everything = "".join(
        terminal.say(*words)
        for words in (("refunds", "show", ident), ("refunds", "list"), ("trace", ident), ("trace", payment))
    )
    assert "refund " + ident in everything
    assert not [one for one in ("Lovelace", "203.0.113.7", "0532", "Refund of PP") if one in everything]


def test_an_unknown_is_a_case_that_leads_a_person_to_say_what_became_of_it(
    system: System, terminal: Terminal, payment: str
) -> None:
    ident = terminal.ask("refunds", "request", payment, "--amount", "9", "--file", "details.json", "--key", "k-1")["id"]
    assert (
        terminal.ask("refunds", "request", payment, "--amount", "9.00", "--file", "details.json", "--key", "k-1")["id"]
        == ident
    )
    terminal.say("refunds", "approve", ident)
    system.mint.next_answers.append(httpx.Response(500))
    system.work()
    (case,) = terminal.ask("cases", "list")
    assert case["kind"] == "refund_unknown"
    assert f"checkout refunds resolve {ident} sent|failed --evidence TEXT" in case["actions"]
    assert "never sent again" in terminal.say("refunds", "show", ident)
    assert "may still be on its way" in terminal.say(
        "refunds", "resolve", ident, "failed", "--evidence", "none there", code=1
    )
    assert "is not one of" in terminal.say("refunds", "resolve", ident, "lost", "--evidence", "x", code=2)


def test_a_refund_that_is_stopped_says_so(terminal: Terminal, payment: str) -> None:
    ident = terminal.ask("refunds", "request", payment, "--amount", "9", "--file", "details.json")["id"]
    stopped = terminal.ask("refunds", "resolve", ident, "stopped", "--evidence", "the shopper kept it")
    assert (stopped["status"], stopped["still_refundable"]) == ("failed", {stopped["deposit"]: "EUR 9.00"})
    assert "cannot be stopped" in terminal.say("refunds", "resolve", ident, "stopped", "--evidence", "again", code=1)


def test_a_refund_in_doubt_says_what_to_look_for_and_takes_what_was_found(
    system: System, terminal: Terminal, payment: str
) -> None:
    ident = terminal.ask("refunds", "request", payment, "--amount", "9", "--file", "details.json")["id"]
    said = ("refunds", "resolve", ident, "sent", "--evidence", "the dashboard, 12 May", "--withdrawal", "W-1")
    refused = terminal.say(*said, code=1)
    assert (
        f"was not sent; nobody has to say what became of it, and `checkout refunds resolve {ident} stopped" in refused
    )
    terminal.say("refunds", "approve", ident)
    assert "waits for a worker to send it" in terminal.say(*said, code=1)
    terminal.say("restore", "--note", "of yesterday")
    shown = terminal.say("refunds", "show", ident)
    assert "in doubt since" in shown
    assert f"checkout refunds resolve {ident} sent --withdrawal REF --evidence TEXT" in shown
    assert terminal.ask("refunds", "show", ident)["in_doubt_since"] is not None
    (case,) = terminal.ask("cases", "list")
    assert any(f"checkout refunds resolve {ident} sent --withdrawal REF" in step for step in case["steps"])
    assert f"checkout refunds resolve {ident} sent --withdrawal REF --evidence TEXT" in case["actions"]
    terminal.say("cases", "close", case["id"], "--note", "seen")  # which decides nothing
    for words, why in (
        (("sent", "--withdrawal", " "), "withdrawal: give Stable Mint's reference"),
        (("stopped", "--withdrawal", "W-1"), "withdrawal: only a refund that was sent has one"),
        (("failed",), f"checkout refunds approve {ident}`, or give it up"),
    ):
        assert why in terminal.say("refunds", "resolve", ident, *words, "--evidence", "x", code=1)
    sent = terminal.ask(*said)
    assert (sent["status"], sent["reference"], sent["in_doubt_since"], sent["withdrawal"]) == (
        "sent",
        "W-1",
        None,
        None,
    )
    assert sent["moves"][-1]["who"] == "demo"
    assert terminal.ask("cases", "list") == []
    assert "nobody has to say" in terminal.say(*said, code=1)


def test_a_rule_is_an_operators(terminal: Terminal, payment: str) -> None:
    shown = terminal.ask("refunds", "rule", "Shop", "--currency", "eur", "--limit", "25")
    assert (shown["currency"], shown["limit"], shown["hosted_withdrawal"]) == ("EUR", "25.00", False)
    assert "yes" in terminal.say("refunds", "rule", "Shop", "--currency", "EUR", "--hosted-withdrawal")
    assert "nothing to change" in terminal.say("refunds", "rule", "Shop", "--currency", "EUR", code=2)
    assert "limit:" in terminal.say("refunds", "rule", "Shop", "--currency", "EUR", "--limit", "2,5", code=1)


def test_what_is_wrong_is_said_without_what_is_in_the_file(terminal: Terminal, payment: str, tmp_path: Path) -> None:
    ident = terminal.ask("refunds", "request", payment, "--amount", "1")["id"]
    assert "personal data does not belong" in terminal.say("refunds", "details", ident, code=2)
    for content, said in (
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"creditor_account": "!SECRET!"}', "creditor_account"),
    ):
        (tmp_path / "bad.json").write_text(content, encoding="utf-8")
        printed = terminal.say("refunds", "details", ident, "--file", "bad.json", code=1)
        assert said in printed
        assert "SECRET" not in printed
    assert "amount" in terminal.say("refunds", "request", payment, "--amount", "1,5", code=1)
    assert "no payment" in terminal.say("refunds", "request", "pay_none", "--amount", "1", code=1)
    assert "no refund" in terminal.say("refunds", "show", "ref_none", code=1)
    assert "No refund" in terminal.say("refunds", "list", "--state", "sent")
