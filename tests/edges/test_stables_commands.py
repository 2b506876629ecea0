"""`checkout stables` and `checkout accounts` as they are typed, against the simulated provider over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checkout.app import create_app
from checkout.destinations.purpose_codes import PURPOSES
from checkout.enrolling.onboarding import RETURNED
from checkout.simulator.stables.codes import CUSTOMER_ID, EXTERNAL_CUSTOMER_ID
from tests.account_samples import account
from tests.edges.command_line import Terminal
from tests.offramp import SPEED, Offramp, offramp
from tests.system import System, environment

HMAC = {"STABLES_WEBHOOK_SCHEME": "hmac", "STABLES_WEBHOOK_SECRET": "a secret of our own, long enough"}
BUSINESS = {
    "customer_type": "business",
    "email": "ops@quay.example",
    "company_name": "Quayside Trading",
    "country": "DE",
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ramp(tmp_path: Path) -> Iterator[Offramp]:
    with offramp(f"sqlite:///{tmp_path / 'checkout.db'}") as made:
        made.switch(review_s=100_000, link_for_existing="link")
        yield made


@pytest.fixture
def terminal(ramp: Offramp, tmp_path: Path) -> Terminal:
    url = f"sqlite:///{tmp_path / 'checkout.db'}"
    return Terminal(environment(url, STABLES_API_URL=ramp.servers.stables_url, CHECKOUT_SPEED=str(SPEED)))


def written(folder: Path, content: Any, name: str = "file.json") -> str:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


# --- stables -----------------------------------------------------------------------------------------------------------


def test_a_merchant_is_set_up_told_about_and_given_a_link(ramp: Offramp, terminal: Terminal, tmp_path: Path) -> None:
    assert "No merchant is set up yet" in terminal.say("stables", "status")
    said = terminal.say("stables", "setup", "--file", written(tmp_path, BUSINESS))
    assert "Stables has a new customer" in said
    assert "shown once" in said
    assert "may NOT be made yet" in said
    assert "a business's base verification: in_progress" in said
    shown = terminal.ask("stables", "status")["merchants"][0]
    ramp.post(
        f"customers/{shown['stables_customer_id']}", {"verification": "requires_action", "sub_status": ["FILE_EMPTY"]}
    )
    assert "A file is empty. Submit it again" in terminal.say("stables", "status", shown["id"])
    link = terminal.ask("stables", "link", "--minutes", "5")
    assert link["proves"].startswith("nothing")
    assert "shown once" in terminal.say("stables", "link", shown["external_customer_id"])
    assert "from 1 to" in terminal.say("stables", "link", "--minutes", "0", code=1)
    assert "set up before" in terminal.say("stables", "setup")


def test_a_customer_that_is_there_is_found(ramp: Offramp, terminal: Terminal) -> None:
    found = terminal.ask("stables", "setup", "--external-id", EXTERNAL_CUSTOMER_ID)
    assert (found["outcome"], found["payouts"]) == ("found", True)
    assert "may be made" in terminal.say("stables", "status")


def test_a_file_that_cannot_be_read_or_says_too_little_is_refused(
    ramp: Offramp, terminal: Terminal, tmp_path: Path
) -> None:
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    assert "not JSON" in terminal.say("stables", "setup", "--file", str(tmp_path / "broken.json"), code=1)
    refused = terminal.ask("stables", "setup", "--file", written(tmp_path, {"customer_type": "business"}), code=1)
    assert set(refused["fields"]) == {"email", "company_name", "country"}
    assert "say who it is with --file" in terminal.say("stables", "setup", code=1)


def test_a_403_asks_about_the_allowlist(ramp: Offramp, terminal: Terminal) -> None:
    ramp.switch(ip_allowed=False)
    said = terminal.say("stables", "setup", "--external-id", "x", code=1)
    assert "is this server's IP address on the allowlist?" in said
    assert "allowlist" in terminal.say("accounts", "customers", code=1)
    assert "support id" in said


def test_webhooks_are_looked_at_and_subscribed(ramp: Offramp, terminal: Terminal) -> None:
    assert "managed by the dashboard" in terminal.say("stables", "webhooks")
    assert "add http" in terminal.say("stables", "webhooks", "--subscribe", code=1)
    ours = Terminal({**terminal.environ, **HMAC})
    assert "no active subscription points here" in ours.say("stables", "webhooks")
    assert "Subscribed." in ours.say("stables", "webhooks", "--subscribe")
    assert "Subscribed already." in ours.say("stables", "webhooks", "--subscribe")
    found = ours.ask("stables", "webhooks", "--deliveries", "0")
    assert [one["ours"] for one in found["subscriptions"]] == [True]
    ramp.switch(subscriptions_deliver=True, other_webhooks=True)
    ours.ask("stables", "setup", "--external-id", EXTERNAL_CUSTOMER_ID)
    ramp.post(f"customers/{CUSTOMER_ID}", {"verification": "approved"})
    ramp.wait(lambda: bool(ours.ask("stables", "webhooks")["deliveries"]))
    assert "first tried" in ours.say("stables", "webhooks").lower()


def test_the_page_a_verified_person_comes_back_to_proves_and_changes_nothing(sqlite_system: System) -> None:
    client = create_app(sqlite_system.services).test_client()
    answer = client.get(RETURNED + "?status=approved&signature=x")
    assert answer.status_code == 200
    assert "proves nothing" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.post(RETURNED).status_code == 405
    assert sqlite_system.services.onboarding.status(None)["merchants"] == []


# --- accounts ----------------------------------------------------------------------------------------------------------


def test_an_account_is_added_shown_checked_replaced_and_retired(
    ramp: Offramp, terminal: Terminal, tmp_path: Path
) -> None:
    added = terminal.ask("accounts", "add", "Shop", "--file", written(tmp_path, account()))
    assert (added["state"], added["provider_check"], added["warnings"]) == ("usable", "valid", [])
    shown = terminal.say("accounts", "show", added["id"])
    assert "DE …3000" in shown
    assert "DE8937" not in shown
    assert "Quayside" not in shown
    assert "finds the bank details good" in terminal.say("accounts", "check", added["id"])
    ramp.switch(validate_refuses="iban")
    assert "bank.iban" in terminal.say("accounts", "check", added["id"], code=1)
    other = account("GBP")
    ramp.switch(validate_refuses="sort_code")
    refused = terminal.ask("accounts", "replace", added["id"], "--file", written(tmp_path, other), code=1)
    assert set(refused["fields"]) == {"bank.sort_code"}
    assert "601613" not in repr(refused)
    ramp.switch(validate_refuses="")
    replaced = terminal.ask("accounts", "replace", added["id"], "--file", written(tmp_path, other))
    assert replaced["replaces"] == added["id"]
    assert "nothing differs" in terminal.say(
        "accounts", "replace", replaced["id"], "--file", written(tmp_path, other), code=1
    )
    assert len(terminal.ask("accounts", "list", "Shop", "--all")) == 2
    assert "out of use" in terminal.say("accounts", "retire", replaced["id"])
    assert terminal.ask("accounts", "list", "Shop") == []
    assert "there is no payout account" in terminal.say("accounts", "retire", replaced["id"], code=1)


def test_a_sandbox_account_without_the_recipients_extras_is_added_with_a_note(
    ramp: Offramp, terminal: Terminal, tmp_path: Path
) -> None:
    bare = account("EUR", "bank", recipient_type=..., address=...)
    assert "Note: bank.address" in terminal.say("accounts", "add", "Shop", "--file", written(tmp_path, bare))


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (
            ["--currency", "gbp"],
            ["GBP to GB by bank (Faster Payments)", "sort_code", "or: iban", "swift_code", "recipient_type"],
        ),
        (["--currency", "AUD"], ["bsb_code", "or: alias (PayID)"]),
        (["--currency", "CNY", "--rail", "bank"], ["cnaps (CNAPS code, 12 digits)"]),
        (["--currency", "EUR", "--country", "ch"], ["EUR to CH by swift", "reaches a country of the EEA only"]),
        (["--currency", "USD", "--country", "TR", "--rail", "swift"], ["iban (IBAN)", "Turkey is on Stables' list"]),
    ],
)
def test_what_a_corridor_needs_is_printed_without_any_settings(words: list[str], wanted: list[str]) -> None:
    terminal = Terminal({})
    said = terminal.say("accounts", "fields", *words)
    assert [one for one in wanted if one not in said] == []
    assert terminal.ask("accounts", "fields", *words)["corridors"]


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["--currency", "CHF"], "currency"), (["--currency", "EUR"], "country"),
        (["--currency", "EUR", "--country", "XX"], "country"), (["--currency", "USD", "--country", "IR"], "country"),
        (["--currency", "USD", "--country", "DE", "--rail", "bank"], "network"),
    ],
)  # fmt: skip
def test_a_corridor_that_is_not_there_is_refused_by_name(words: list[str], field: str) -> None:
    assert set(Terminal({}).ask("accounts", "fields", *words, code=1)["fields"]) == {field}


def test_the_purpose_codes_are_printed_with_their_words() -> None:
    terminal = Terminal({})
    assert {one["code"]: one["means"] for one in terminal.ask("accounts", "purposes")} == dict(PURPOSES)
    assert "MERCHANT_SETTLEMENT" in terminal.say("accounts", "purposes")
