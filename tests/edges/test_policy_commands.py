"""`checkout policies`: set whole, shown whole, paused and resumed; and the price guard beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.edges.command_line import Terminal
from tests.system import BANK, environment, make_system


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path / 'checkout.db'}"
    made = make_system(url)
    made.services.payout_accounts.add(made.store.id, json.loads(json.dumps(BANK)), who="ann")
    made.close()
    return Terminal(environment(url))


def test_a_policy_is_set_shown_paused_and_resumed(terminal: Terminal) -> None:
    assert "proposed by a person" in terminal.say("policies", "list")
    made = terminal.ask(
        "policies", "set", "Shop", "weekly", "--account", "Main", "--at", "18:00", "--weekday", "friday", "--time-zone",
        "Europe/Berlin", "--minimum", "50", "--maximum", "5000", "--approve-below", "1000", "--two-people-from", "2000",
        "--mandate-hours", "8",
    )  # fmt: skip
    assert (made["kind"], made["weekday"], made["at"], made["time_zone"]) == (
        "weekly",
        "friday",
        "18:00",
        "Europe/Berlin",
    )
    assert (made["approve_below"], made["two_people_from"], made["mandate_hours"]) == ("1000", "2000", 8)
    text = terminal.say("policies", "show", made["id"])
    assert "fridays at 18:00, Europe/Berlin" in text
    assert "two people from" in text
    assert terminal.ask("policies", "pause", made["id"], "--reason", "stocktaking")["paused"] == "stocktaking"
    assert "stocktaking" in terminal.say("policies", "list", "--store", "Shop")
    assert terminal.ask("policies", "resume", made["id"])["paused"] is None
    assert [one["id"] for one in terminal.ask("policies", "list")] == [made["id"]]


def test_what_makes_no_sense_is_refused(terminal: Terminal) -> None:
    assert "time_zone" in terminal.say("policies", "set", "Shop", "daily", "--at", "18:00", code=1)
    assert "is not one of" in terminal.say("policies", "set", "Shop", "hourly", code=2)
    assert "no store" in terminal.say("policies", "set", "Nowhere", "manual", code=1)
    assert "no payout policy" in terminal.say("policies", "show", "pol_nothing", code=1)
    assert "reason" in terminal.say("policies", "pause", "pol_nothing", "--reason", " ", code=1)


def test_a_price_guard_is_set_whole_and_shown(terminal: Terminal) -> None:
    assert "no price guard" in terminal.say("policies", "guard", "Shop", "--currency", "EUR", code=1)
    made = terminal.ask(
        "policies", "guard", "Shop", "--currency", "eur", "--worst-cost", "25", "--worst-cost-percent", "1.25",
        "--least-credit", "10", "--least-per-unit", "0.85",
    )  # fmt: skip
    assert {name: made[name] for name in ("worst_cost", "worst_cost_percent", "least_credit", "least_per_unit")} == {
        "worst_cost": "25.00", "worst_cost_percent": "1.25", "least_credit": "10.00", "least_per_unit": "0.85",
    }  # fmt: skip
    assert "1.25 %" in terminal.say("policies", "guard", "Shop", "--currency", "EUR")
    again = terminal.ask("policies", "guard", "Shop", "--currency", "EUR", "--least-credit", "11")
    assert (again["least_credit"], again["worst_cost"], again["set_by"]) == ("11.00", None, "demo")
    policy = terminal.ask("policies", "set", "Shop", "manual")
    assert terminal.ask("policies", "show", policy["id"])["price_guards"][0]["least_credit"] == "11.00"


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (("--worst-cost", "1,5"), "worst_cost"), (("--worst-cost-percent", "101"), "worst_cost_percent"),
        (("--worst-cost-percent", "1.005"), "worst_cost_percent"), (("--worst-cost-percent", "-1"), "worst_cost_percent"),
        (("--least-per-unit", "0"), "least_per_unit"), (("--least-per-unit", "1e5"), "least_per_unit"),
        (("--least-credit", "1.001"), "least_credit"),
    ],
)  # fmt: skip
def test_limits_that_are_none_are_refused_by_name(terminal: Terminal, words: tuple[str, ...], field: str) -> None:
    told = terminal.ask("policies", "guard", "Shop", "--currency", "EUR", *words, code=1)
    assert list(told["fields"]) == [field]


def test_a_currency_and_a_store_must_be_known(terminal: Terminal) -> None:
    assert "currency" in terminal.say("policies", "guard", "Shop", "--currency", "XXX", "--worst-cost", "1", code=1)
    assert "no store" in terminal.say("policies", "guard", "Nowhere", "--currency", "EUR", "--worst-cost", "1", code=1)
    assert "no store" in terminal.say("policies", "guard", "Nowhere", "--currency", "EUR", code=1)
