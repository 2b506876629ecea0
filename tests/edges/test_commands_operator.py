"""The operator's commands over a real database: stores, people, accounts, payments, events, treasury, cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.edges.command_fixtures import elsewhere, system, terminal, url
from tests.edges.command_line import Terminal
from tests.system import BANK, System, environment, public_pem

__all__ = ["elsewhere", "system", "terminal", "url"]


def account_file(tmp_path: Path, content: object = BANK) -> str:
    path = tmp_path / "account.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def settled(system: System, amount: str = "9.00", paid: float = 9.0) -> tuple[str, str]:
    """A settled payment: its id and its deposit's reference."""
    answer = system.pay(amount)
    session = system.sessions(answer.payment.id)[0]
    system.hear(session, "completed", amount=paid)
    return answer.payment.id, str(session.reference)


# --- stores and people -------------------------------------------------------------------------------------------------


def test_a_store_is_made_and_its_key_works(terminal: Terminal, system: System) -> None:
    made = terminal.ask("stores", "create", "Second", "--origin", "https://a.example", "--origin", "https://b.example")
    assert system.services.api_keys.admit(made["api_key"], scope="write").id == made["id"]
    another = terminal.ask("stores", "key", "Second")["api_key"]
    assert system.services.api_keys.admit(another, scope="write").id == made["id"]
    shown = terminal.ask("stores", "show", made["id"])
    assert shown["origins"] == ["https://a.example", "https://b.example"]
    assert made["api_key"] not in terminal.say("stores", "show", made["id"])
    assert "already" in terminal.say("stores", "create", "Second", "--origin", "https://a.example", code=1)


def test_a_store_is_changed_and_a_new_secret_is_shown_once(terminal: Terminal) -> None:
    url = "https://shop.example/back"
    changed = terminal.ask("stores", "set", "Shop", "--notify-url", "https://shop.example/new", "--success-url", url)
    assert changed["notification_secret"].startswith("whsec_")
    assert changed["success_url"] == url
    assert "notification_secret" not in terminal.ask("stores", "set", "Shop", "--exit-url", url)
    assert "whsec_" not in terminal.say("stores", "show", "Shop")
    assert "nothing to change" in terminal.say("stores", "set", "Shop", code=2)
    assert (
        "success_url" in terminal.ask("stores", "set", "Shop", "--success-url", "https://b.example", code=1)["fields"]
    )


def test_a_settlement_rule_is_made_in_either_letter_case(terminal: Terminal) -> None:
    words = [
        "--currency",
        "usd",
        "--asset",
        "usdc",
        "--network",
        "Polygon",
        "--evidence",
        "declared",
        "--settles-gross",
    ]
    assert terminal.ask("stores", "rule", "Shop", *words)["network"] == "polygon"
    rules = {one["currency"]: one for one in terminal.ask("stores", "show", "Shop")["rules"]}
    assert rules["USD"]["settles_gross"]
    assert rules["EUR"]["evidence"] == "recorded"
    assert "declared" in terminal.say("stores", "show", "Shop")
    assert "evidence" in terminal.ask("stores", "rule", "Shop", *words[:-1], code=1)["fields"]


def test_a_pause_is_shown_until_it_ends(terminal: Terminal) -> None:
    assert terminal.ask("stores", "pause", "Shop", "--reason", "audit")["paused"]
    assert "audit" in terminal.ask("stores", "list")[0]["paused"]
    assert "paused already" in terminal.say("stores", "pause", "Shop", "--reason", "audit", code=1)
    assert "go on" in terminal.say("stores", "resume", "Shop")
    assert terminal.ask("stores", "list")[0]["paused"] is None
    assert "not paused" in terminal.say("stores", "resume", "Shop", code=1)


def test_a_person_proves_their_name_by_their_secret(terminal: Terminal, system: System) -> None:
    secret = terminal.ask("people", "add", "ann")["secret"]
    words = ["stores", "key", "Shop", "--as", "ann"]
    assert "secret is not that of" in terminal.say(*words, code=1)
    assert "secret is not that of" in terminal.say(*words, code=1, CHECKOUT_AS_SECRET="wrong")
    assert terminal.ask(*words, CHECKOUT_AS_SECRET=secret)["api_key"]
    assert terminal.ask("stores", "pause", "all", "--reason", "x", "--as", "demo")["by"] == "demo"


def test_live_knows_no_demo_and_lets_the_first_person_in(terminal: Terminal, url: str) -> None:
    live = Terminal(
        {
            **environment(url), "CHECKOUT_MODE": "live", "CHECKOUT_PUBLIC_URL": "https://pay.example",
            "STABLE_MINT_API_URL": "https://mint.example", "STABLE_MINT_PAGE_DOMAINS": "mint.example",
            "STABLES_API_URL": "https://stables.example", "STABLES_API_KEY": "sti_live_x", "STABLE_MINT_FLOWS": "hosted",
        }
    )  # fmt: skip
    assert "say who you are" in live.say("stores", "key", "Shop", code=1)
    assert "secret is not that of 'demo'" in live.say("stores", "key", "Shop", "--as", "demo", code=1)
    first = live.ask("people", "add", "ann")
    assert first["added_by"] == "installation"
    assert "say who you are" in live.say("people", "add", "ben", code=1)
    second = live.ask("people", "add", "ben", "--as", "ann", CHECKOUT_AS_SECRET=first["secret"])
    assert second["added_by"] == "ann"
    assert "sandbox" in live.say("simulator", code=1)


def test_a_payout_account_shows_nothing_of_the_bank_but_its_end(terminal: Terminal, tmp_path: Path) -> None:
    added = terminal.ask("accounts", "add", "Shop", "--file", account_file(tmp_path))
    assert added["state"] == "usable"
    listed = terminal.ask("accounts", "list", "Shop")
    assert [one["id"] for one in listed] == [added["id"]]
    said = terminal.say("accounts", "list", "Shop") + terminal.say(
        "accounts", "add", "Shop", "--file", account_file(tmp_path)
    )
    assert "…3000" in said
    assert "DE8937040044" not in said
    assert "second person" in terminal.say(
        "accounts", "confirm", terminal.ask("accounts", "list", "Shop")[0]["id"], code=1
    )


def test_a_payout_account_names_every_bad_field(terminal: Terminal, tmp_path: Path) -> None:
    refused = terminal.ask("accounts", "add", "Shop", "--file", account_file(tmp_path, {"name": ""}), code=1)
    assert {"name", "stables_customer_id", "source", "destination"} <= set(refused["fields"])
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    assert "not JSON" in terminal.say("accounts", "add", "Shop", "--file", str(tmp_path / "broken.json"), code=1)
    assert terminal.say("accounts", "add", "Shop", "--file", "missing.json", code=2)


# --- payments and events -----------------------------------------------------------------------------------------------


def test_payments_are_listed_newest_first_in_pages(terminal: Terminal, system: System) -> None:
    ids = [system.pay(order=f"order-{number}").payment.id for number in range(3)][::-1]
    assert [one["id"] for one in terminal.ask("payments", "list")] == ids
    first = terminal.ask("payments", "list", "--limit", "2", "--store", "Shop")
    assert [one["id"] for one in terminal.ask("payments", "list", "--starting-after", first[-1]["id"])] == ids[2:]
    assert [one["order"] for one in terminal.ask("payments", "list", "--order", "order-1")] == ["order-1"]
    assert terminal.ask("payments", "list", "--status", "settled") == []
    assert "--starting-after" in terminal.say("payments", "list", "--limit", "2")
    assert "no store" in terminal.say("payments", "list", "--store", "Other", code=1)


def test_a_payment_is_shown_by_id_order_and_reference(terminal: Terminal, system: System) -> None:
    ident, reference = settled(system)
    order = system.payment(ident).order_ref
    for name in (ident, order, reference):
        shown = terminal.ask("payments", "show", name)
        assert (shown["id"], shown["status"]) == (ident, "settled")
    assert shown["checkout_url"].startswith("http://127.0.0.1:9/pay/")
    assert shown["deposits"][0]["counted"]
    assert reference in terminal.say("payments", "show", ident)


def test_an_order_number_of_several_payments_is_not_guessed(terminal: Terminal, system: System) -> None:
    both = [system.pay(order="same").payment.id for _ in range(2)]
    said = terminal.say("payments", "show", "same", code=1)
    assert all(ident in said for ident in both)


def test_an_event_is_shown_without_its_body_unless_asked(terminal: Terminal, system: System) -> None:
    settled(system)
    (event,) = terminal.ask("events", "list")
    assert event["state"] == "applied"
    assert event["type"] == "partner.customer.deposit.completed"
    assert "websiteReference" not in terminal.say("events", "show", event["id"])
    assert "websiteReference" in terminal.ask("events", "show", event["id"], "--body")["body"]
    assert "websiteReference" in terminal.say("events", "show", event["id"], "--body")
    assert terminal.ask("events", "list", "--state", "failed") == []


def test_a_replayed_event_is_due_again_and_changes_nothing_twice(terminal: Terminal, system: System) -> None:
    ident, _ = settled(system)
    (event,) = terminal.ask("events", "list")
    assert terminal.ask("events", "replay", event["id"]) == {"id": event["id"], "state": "received", "by": "demo"}
    system.work()
    assert terminal.ask("events", "show", event["id"])["state"] == "ignored"
    assert terminal.ask("payments", "show", ident)["status"] == "settled"
    assert "no event" in terminal.say("events", "replay", "evt_nothing", code=1)


def test_an_unverified_delivery_is_believed_only_under_a_key_of_today(terminal: Terminal, system: System) -> None:
    answer = system.pay()
    session = system.sessions(answer.payment.id)[0]
    system.deliver(system.event(session, "completed"), key="new")
    (event,) = terminal.ask("events", "list", "--state", "unverified")
    assert "reverify" in terminal.say("events", "show", event["id"])
    assert "events reverify" in terminal.say("events", "replay", event["id"], code=1)
    assert "no key of today" in terminal.say("events", "reverify", event["id"], code=1)
    assert terminal.ask("events", "reverify", "--all") == [{"id": event["id"], "result": "refused"}]
    rotated = Terminal({**terminal.environ, "STABLE_MINT_WEBHOOK_PUBLIC_KEY": public_pem("mint") + public_pem("new")})
    accepted = rotated.ask("events", "reverify", event["id"], "--accept-stale")
    assert accepted == [{"id": event["id"], "result": "stored"}]
    system.work()
    assert terminal.ask("payments", "show", answer.payment.id)["status"] == "settled"
    assert terminal.ask("events", "reverify", "--all") == []
    assert terminal.say("events", "reverify", code=2)
    assert "only an unverified" in terminal.say("events", "reverify", event["id"], code=1)


# --- treasury and proof ------------------------------------------------------------------------------------------------


def record(terminal: Terminal, *references: str, code: int = 0, **changes: str) -> Any:
    words = {"--store": "Shop", "--asset": "usdc", "--network": "polygon", "--amount": "9.71", "--evidence": "advice 7"}
    words |= {f"--{name}": value for name, value in changes.items()}
    named = [word for reference in references for word in ("--deposit", reference)]
    return terminal.ask("treasury", "record", *[word for pair in words.items() for word in pair], *named, code=code)


def test_recorded_funds_are_treasury_and_the_ledger_balances(terminal: Terminal, system: System) -> None:
    _, reference = settled(system)
    assert reference in terminal.say("treasury", "show", "Shop")
    made = record(terminal, reference, fee="0.10")
    assert (made["received"], made["free"], made["by"]) == ("9.71", "9.71", "demo")
    shown = terminal.ask("treasury", "show", "Shop")
    assert shown["waiting_for_evidence"] == []
    assert [one["amount"] for one in shown["treasury"] if one["book"] == "treasury_free"] == ["9.710000"]
    balance = terminal.ask("report", "balance")
    assert balance["balanced"]
    assert {"account", "asset", "balance"} == set(balance["accounts"][0])
    assert "The ledger balances." in terminal.say("report", "balance")


def test_what_cannot_be_recorded_is_refused_by_name(terminal: Terminal, system: System) -> None:
    _, reference = settled(system)
    assert set(record(terminal, reference, code=1, amount="9,71", evidence=" ")["fields"]) == {"amount", "evidence"}
    assert "settlement rule" in record(terminal, reference, code=1, network="base")["error"]
    assert "no deposit" in record(terminal, "nothing", code=1)["error"]
    record(terminal, reference)
    assert "already in" in record(terminal, reference, code=1)["error"]


def test_unallocated_money_becomes_treasury_on_somebodys_word(terminal: Terminal, system: System) -> None:
    ident, reference = settled(system, paid=12.5)
    deposit = terminal.ask("payments", "show", ident)["deposits"][0]["id"]
    assert (
        terminal.ask("deposits", "allocate", deposit, "--evidence", "the customer says keep it")["allocated_by"]
        == "demo"
    )
    assert "already allocated" in terminal.say("deposits", "allocate", deposit, "--evidence", "again", code=1)
    record(terminal, reference)
    assert terminal.ask("report", "balance")["balanced"]


def test_a_broken_ledger_is_exit_code_1_with_the_document(terminal: Terminal, system: System) -> None:
    settled(system)
    with system.database.write() as unit:
        unit.connection.exec_driver_sql("DROP TRIGGER IF EXISTS posting_no_update")
        unit.connection.exec_driver_sql("DROP TRIGGER IF EXISTS posting_no_delete")
        triggers = unit.connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            unit.connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        unit.connection.exec_driver_sql(
            "UPDATE posting SET debit = credit_of.credit, credit = credit_of.debit "
            "FROM (SELECT key, debit, credit FROM posting) AS credit_of WHERE posting.key = credit_of.key"
        )
    document = terminal.ask("report", "balance", code=1)
    assert not document["balanced"]
    assert "DOES NOT BALANCE" in terminal.say("report", "balance", code=1)
    findings = {one["check"]: one["state"] for one in terminal.ask("doctor", code=1)["findings"]}
    assert findings["ledger"] == "fail"


def test_a_trace_leads_from_any_id_and_from_no_other(terminal: Terminal, system: System) -> None:
    ident, reference = settled(system)
    made = record(terminal, reference)
    for name in (ident, reference, made["id"], system.payment(ident).order_ref):
        assert terminal.ask("trace", name)["payments"][0]["id"] == ident
    said = terminal.say("trace", ident)
    assert made["id"] in said
    assert "advice 7" in said
    assert terminal.ask("trace", "nothing", code=1)["kind"] == "not_found"
