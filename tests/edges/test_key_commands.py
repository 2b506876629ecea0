"""The commands for keys and origins: what they say, what they never show, and what the doctor thinks of keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checkout.errors import NotAuthenticated
from checkout.rules.allowances import Tally
from checkout.store import api_keys
from tests.edges.command_fixtures import elsewhere, system, terminal, url
from tests.edges.command_line import Terminal
from tests.system import BANK, System

__all__ = ["elsewhere", "system", "terminal", "url"]


def doctor(terminal: Terminal, check: str) -> list[dict[str, Any]]:
    return [one for one in terminal.ask("doctor")["findings"] if one["check"] == check]


def test_a_key_is_made_listed_and_revoked(terminal: Terminal, system: System) -> None:
    made = terminal.ask(
        "stores", "key", "Shop", "--scope", "read", "--scope", "refunds", "--per-minute", "60", "--label", "reports"
    )
    assert made["api_key"].startswith("sk_test_")
    assert (made["scopes"], made["per_minute"], made["label"]) == (["read", "refunds"], 60, "reports")
    assert made["store"] == system.store.id
    keys = system.services.api_keys
    keys.admit(made["api_key"], scope="refunds")
    (first, second) = terminal.ask("stores", "keys", "Shop")
    assert (first["scopes"], first["per_minute"], first["last_used_at"]) == (["read", "write", "refunds"], 600, None)
    assert second["id"] == made["id"]
    assert second["last_used_at"] is not None
    assert "api_key" not in second
    said = terminal.say("stores", "keys", "Shop")
    assert made["api_key"][:12] in said
    assert made["api_key"] not in said
    assert all(word in said for word in (made["id"], "reports", "read refunds", "60", "in force"))
    ended = terminal.ask("stores", "revoke", made["id"])
    assert (ended["id"], ended["state"], ended["by"]) == (made["id"], "revoked", "demo")
    with pytest.raises(NotAuthenticated):
        keys.admit(made["api_key"], scope="read")
    assert "revoked" in terminal.say("stores", "keys", "Shop")
    assert "already" in terminal.say("stores", "revoke", made["id"], code=1)


def test_a_key_is_changed_without_a_moment_in_which_none_works(terminal: Terminal, system: System) -> None:
    made = terminal.ask("stores", "create", "Second", "--origin", "https://a.example")
    said = terminal.say("stores", "revoke", made["key_id"], "--in", "24")
    assert "ends 20" in said
    assert "no other key that lasts" in said
    successor = terminal.ask("stores", "key", "Second")
    for key in (made["api_key"], successor["api_key"]):
        assert system.services.api_keys.admit(key, scope="write").id == made["id"]
    assert "no other key" not in terminal.say("stores", "revoke", made["key_id"])


@pytest.mark.parametrize(
    "words",
    [
        ("stores", "key", "Shop", "--scope", "admin"),
        ("stores", "key", "Shop", "--per-minute", "0"),
        ("stores", "revoke", "key_1", "--in", "0"),
        ("stores", "revoke", "key_1", "--in", "2161"),
        ("stores", "revoke"),
    ],
)
def test_wrong_words_are_wrong_usage(terminal: Terminal, words: tuple[str, ...]) -> None:
    terminal.say(*words, code=2)


def test_what_there_is_not_and_what_is_no_label_is_said(terminal: Terminal) -> None:
    assert "key_none" in terminal.say("stores", "revoke", "key_none", code=1)
    assert "None" in terminal.say("stores", "keys", "None", code=1)
    assert "label" in terminal.ask("stores", "key", "Shop", "--label", " ", code=1)["fields"]


def test_a_store_is_shown_with_everything_but_secrets(terminal: Terminal, system: System) -> None:
    made = terminal.ask("stores", "key", "Shop", "--label", "web server")
    services = system.services
    services.payout_accounts.add("Shop", BANK, who="ann")
    services.refund_resolving.rule("Shop", currency="EUR", limit="5.00", hosted_withdrawal=None, who="ann")
    terminal.ask("policies", "set", "Shop", "manual", "--account", "Main")
    terminal.ask("policies", "guard", "Shop", "--currency", "EUR", "--worst-cost", "3.00")
    shown = terminal.ask("stores", "show", "Shop")
    assert [one["label"] for one in shown["keys"]] == [None, "web server"]
    assert shown["rules"][0]["currency"] == "EUR"
    assert [(one["url"], one["state"]) for one in shown["endpoints"]] == [("https://shop.example/hooks", "active")]
    assert shown["refund_rules"] == [{"currency": "EUR", "limit": "5.00", "hosted_withdrawal": False}]
    assert [one["name"] for one in shown["payout_accounts"]] == ["Main"]
    assert [one["kind"] for one in shown["payout_policies"]] == ["manual"]
    assert [one["worst_cost"] for one in shown["price_guards"]] == ["3.00"]
    said = terminal.say("stores", "show", "Shop")
    for word in ("web server", "Main", "manual", "3.00", "5.00", "https://shop.example/hooks", "recorded"):
        assert word in said
    for secret in (made["api_key"], BANK["bank"]["iban"], "whsec_"):  # type: ignore[index]
        assert secret not in said
        assert secret not in str(shown)


def test_what_a_store_lacks_is_told_with_the_command_for_it(terminal: Terminal) -> None:
    made = terminal.ask("stores", "create", "Second", "--origin", "https://a.example")
    said = terminal.say("stores", "show", made["id"])
    assert "`checkout stores rule`" in said
    assert "`checkout accounts add`" in said
    assert "Refund rules" not in said


def test_origins_are_replaced_and_one_that_is_needed_is_kept(terminal: Terminal) -> None:
    words = ["stores", "set", "Shop", "--origin", "https://new.example"]
    assert terminal.ask(*words, "--origin", "https://shop.example")["origins"] == [
        "https://new.example", "https://shop.example",
    ]  # fmt: skip
    terminal.ask("stores", "set", "Shop", "--success-url", "https://shop.example/thanks")
    refused = terminal.ask(*words, code=1)
    assert list(refused["fields"]) == ["success_url"]
    assert "--success-url" in refused["error"]
    said = terminal.say(*words, "--success-url", "https://new.example/thanks")
    assert "https://new.example" in said
    assert "origin" in terminal.ask("stores", "set", "Shop", "--origin", "new.example", code=1)["fields"]


def test_the_doctor_finds_keys_that_nobody_uses(terminal: Terminal, system: System) -> None:
    assert doctor(terminal, "API keys of Shop") == []
    (row,) = system.services.api_keys.of_store("Shop")
    long_ago = datetime.now(UTC) - timedelta(days=91)
    with system.database.write() as unit:
        tally = api_keys.tally_of(unit, row.id)
        assert tally is None
        api_keys.keep_tally(unit, row.id, Tally(long_ago, 1), at=long_ago)
    (found,) = doctor(terminal, "API keys of Shop")
    assert found["state"] == "warn"
    assert "90 days" in found["detail"]
    assert found["do"] == f"`checkout stores revoke {row.id}`"


def test_the_doctor_finds_a_store_that_will_have_no_key(terminal: Terminal, system: System) -> None:
    (row,) = system.services.api_keys.of_store("Shop")
    terminal.ask("stores", "revoke", row.id, "--in", "24")
    (found,) = doctor(terminal, "API keys of Shop")
    assert "the last one ends at 20" in found["detail"]
    terminal.ask("stores", "revoke", row.id)
    (found,) = doctor(terminal, "API keys of Shop")
    assert found["detail"] == "there is none"
    assert found["do"] == f"`checkout stores key {system.store.id}`"
