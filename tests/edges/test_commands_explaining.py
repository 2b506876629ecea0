"""The commands that explain: statements, what waits, evidence by file, late news, each as text and as one document."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from checkout.evidence_import import COLUMNS
from tests.edges.command_line import Terminal
from tests.stables_script import StablesScript
from tests.system import BANK, RealClock, System, environment, make_system


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def script() -> StablesScript:
    return StablesScript(RealClock())


@pytest.fixture
def system(tmp_path: Path, script: StablesScript) -> Iterator[System]:
    url = f"sqlite:///{tmp_path / 'checkout.db'}"
    made = make_system(url, clock=RealClock(), stables=httpx.MockTransport(script), CHECKOUT_SPEED="500")
    yield made
    made.close()


@pytest.fixture
def terminal(system: System, tmp_path: Path) -> Terminal:
    return Terminal(environment(f"sqlite:///{tmp_path / 'checkout.db'}"))


def settled(system: System, word: str = "completed") -> str:
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, word)
    return str(session.reference)


def completed(system: System, script: StablesScript) -> str:
    services = system.services
    services.treasury.record(
        system.store.id, asset="USDC", network="polygon", amount="9.71", fee="0.10", deposits=[settled(system)],
        evidence="advice", who="ann",
    )  # fmt: skip
    services.payout_accounts.add(system.store.id, BANK, who="ann")
    out = services.payouts.propose(system.store.id, account_id=None, who="ann")
    system.work()
    services.payouts.approve(out, min_credit=None, who="ann")
    system.work()
    script.of(out)["status"] = "completed"
    while services.payouts.show(out)["state"] != "completed":
        time.sleep(0.02)
        system.work()
    return out


def test_a_statement_is_a_page_a_csv_and_a_document(system: System, script: StablesScript, terminal: Terminal) -> None:
    out = completed(system, script)
    text = terminal.say("statement", "payout", out)
    assert "not explained by the provider" in text
    assert "Difference in our own arithmetic: 0" in text
    rows = list(csv.DictReader(io.StringIO(terminal.say("statement", "payout", out, "--csv"))))
    assert rows[0]["kind"] == "order"
    assert terminal.ask("statement", "payout", out)["differences"] == {}
    assert terminal.ask("statement", "payout", "out_none", code=1)["kind"] == "not_found"


def test_a_period_has_its_accounts_and_its_payouts(system: System, script: StablesScript, terminal: Terminal) -> None:
    out = completed(system, script)
    words = ["statement", "period", "Shop", "--from", "2020-01-01", "--to", "2099-01-01T00:00:00+01:00"]
    assert f"STATEMENT OF PAYOUT {out}" in terminal.say(*words)
    assert [one["id"] for one in terminal.ask(*words)["payouts"]] == [out]
    assert out in terminal.say(*words, "--csv")
    assert "is not a date" in terminal.say("statement", "period", "Shop", "--from", "soon", "--to", "later", code=2)


def test_a_credit_is_confirmed_by_name(system: System, script: StablesScript, terminal: Terminal) -> None:
    out = completed(system, script)
    assert "(quoted)" not in terminal.say("statement", "confirm", out, "--amount", "8.61", "--evidence", "line 4")
    found = terminal.ask("statement", "confirm", out, "--amount", "8.61", "--evidence", "line 4")
    assert (found["credit"]["is"], found["by"]) == ("confirmed", "demo")


def test_what_waits_is_shown_by_stage_and_age(system: System, terminal: Terminal) -> None:
    reference = settled(system)
    text = terminal.say("report", "reconcile")
    assert "settled without evidence: 1" in text
    assert "9.00 under a day" in text
    assert reference in text
    assert "Every sum ties to the ledger." in text
    found = terminal.ask("report", "reconcile", "--store", "Shop", "--from", "2020-01-01", "--limit", "1")
    assert found["differences"] == []
    shown = terminal.ask("treasury", "show", "Shop")
    assert shown["waiting_by_age"] == {"EUR": {"under a day": "9.00"}}
    assert "under a day" in terminal.say("treasury", "show", "Shop")
    assert terminal.ask("treasury") == [
        shown | {"waiting_for_evidence": terminal.ask("treasury")[0]["waiting_for_evidence"]}
    ]
    assert "STORE Shop" in terminal.say("treasury")


def test_evidence_is_taken_from_a_file(system: System, terminal: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "evidence.csv"
    good = f"a,Shop,USDC,polygon,9.71,,{settled(system)},advice"
    path.write_text("\n".join([",".join(COLUMNS), good, "b,Shop,USDC,polygon,9.71,,none,advice"]))
    refused = terminal.ask("treasury", "import", str(path), code=1)
    assert list(refused["fields"]) == ["line 3"]
    path.write_text("\n".join([",".join(COLUMNS), good]))
    assert "1 records were made." in terminal.say("treasury", "import", str(path))
    again = terminal.ask("treasury", "import", str(path))
    assert (again["made"], again["known"]) == (0, 1)


def test_a_deposit_whose_news_never_came_is_settled_by_evidence(system: System, terminal: Terminal) -> None:
    reference = settled(system, "accepted")
    assert "on the word of demo" in terminal.say("deposits", "settled", reference, "--evidence", "a statement")
    assert terminal.ask("deposits", "settled", reference, "--evidence", "x", code=1)["kind"] == "not_possible"


def test_a_deposit_nobody_heard_of_is_entered_and_named_anew(system: System, terminal: Terminal) -> None:
    session = system.sessions(system.pay().payment.id)[0]
    words = ["deposits", "settled", session.payment_id, "--evidence", "statement of 28 Nov", "--reference", "TYPO"]
    assert "--amount" not in terminal.say(*words[:-2], code=1)
    found = terminal.ask(*words, "--amount", "9.00")
    assert (found["reference"], found["session"], found["by"]) == ("TYPO", session.id, "demo")
    system.hear(session, "completed")
    told = terminal.say("deposits", "known-as", found["deposit"], str(session.reference), "--evidence", "their mail")
    assert "Looked at again: evt_" in told
    system.work()
    again = terminal.ask("deposits", "known-as", found["deposit"], "OTHER", "--evidence", "their mail", code=1)
    assert again["kind"] == "not_possible"
    assert f"of payment {session.payment_id}" in terminal.say(
        "deposits", "settled", session.id, "--evidence", "line 2", "--amount", "1", "--reference", "B", "--another"
    )


def test_a_stores_limit_of_the_unexplained_is_shown_and_set(terminal: Terminal, system: System) -> None:
    assert "nobody: the default" in terminal.say("statement", "limit", "Shop")
    assert terminal.ask("statement", "limit", "Shop", "--percent", "0.5")["minor"] == 10
    assert "0.5 % of the credit" in terminal.say("statement", "limit", "Shop", "--minor", "25")
    assert terminal.ask("statement", "limit", "Shop")["minor"] == 25
    assert "percent" in terminal.ask("statement", "limit", "Shop", "--percent", "lots", code=1)["fields"]


def test_a_key_of_the_treasury_is_made(terminal: Terminal, system: System) -> None:
    made = terminal.ask("stores", "key", "Shop", "--scope", "treasury")
    assert made["scopes"] == ["treasury"]
    assert system.services.api_keys.admit(made["api_key"], scope="treasury").id == system.store.id


def test_a_case_shows_what_to_do_step_by_step(system: System, terminal: Terminal) -> None:
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, "completed", amount=5.0)
    (case,) = terminal.ask("cases", "list")
    text = terminal.say("cases", "show", case["id"])
    assert "What to do:" in text
    assert "1. " in text


def test_a_trace_leads_from_a_refund_to_its_payment(system: System, terminal: Terminal) -> None:
    reference = settled(system)
    assert reference in terminal.say("trace", reference)
