"""Payout policies on both databases: what each kind proposes and when, pauses, limits, and workers that run them at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checkout.errors import LostRace, NotFound, NotPossible, RequestRefused
from checkout.paying_out.policies import PolicyRequest
from checkout.paying_out.price_guard import GuardRequest
from checkout.rules.ledger import Book, move
from checkout.store import ledger, payouts
from checkout.store.moves import acts_on
from checkout.store.records import PayoutRow
from checkout.store.tables import payout_policy
from checkout.store.work import claim
from tests.flows.payout_fixtures import at_once
from tests.system import BANK, System

USDC = 10**6


@pytest.fixture
def shop(system: System) -> System:
    """A store with a payout account; nothing in its treasury."""
    system.services.payout_accounts.add(system.store.id, BANK, who="ann")
    return system


def receive(system: System, received: str, amount: str = "9.00") -> str:
    """A settled order and the evidence of what it brought; the record's id."""
    session = system.sessions(system.pay(amount).payment.id)[0]
    system.hear(session, "completed", amount=float(amount))
    return system.services.treasury.record(
        system.store.id, asset="USDC", network="polygon", amount=received, fee="0",
        deposits=[str(session.reference)], evidence="advice", who="ann",
    ).id  # fmt: skip


def set_policy(system: System, kind: str, **values: str) -> str:
    return str(system.services.policies.set(system.store.id, PolicyRequest(kind, **values), who="ann")["id"])


def proposals(system: System) -> list[PayoutRow]:
    """The payouts there are, oldest first."""
    with system.database.read() as unit:
        return payouts.list_payouts(unit, system.store.id, limit=100)[::-1]


def amounts(system: System) -> list[str]:
    return [one.amount.plain() for one in proposals(system)]


def pass_time(system: System, **duration: float) -> None:
    """Let time pass, and every worker do what is due."""
    system.clock.advance(**duration)
    system.work()


def test_manual_proposes_nothing(shop: System) -> None:
    ident = set_policy(shop, "manual")
    receive(shop, "9.71")
    pass_time(shop, days=8)
    assert amounts(shop) == []
    assert shop.services.policies.show(ident)["next_run"] is None


def test_per_payment_proposes_each_settlement_record_by_itself(shop: System) -> None:
    ident = set_policy(shop, "per_payment")
    first, second = receive(shop, "9.71"), receive(shop, "5.40")
    pass_time(shop, minutes=1)
    assert amounts(shop) == ["9.71", "5.4"]
    shown = [shop.services.payouts.show(one.id) for one in proposals(shop)]
    assert [one["items"][0]["source"] for one in shown] == [first, second]
    assert [(one["policy"], one["proposed_by"]) for one in shown] == [(ident, f"policy:{ident}")] * 2
    receive(shop, "1")
    pass_time(shop, minutes=1)
    assert amounts(shop) == ["9.71", "5.4", "1"]
    assert shop.balances()["treasury_reserved/USDC@polygon"] == 16_110_000


def test_a_threshold_waits_until_there_is_enough(shop: System) -> None:
    set_policy(shop, "threshold", threshold="15")
    receive(shop, "9.71")
    pass_time(shop, minutes=1)
    assert amounts(shop) == []
    receive(shop, "5.40")
    pass_time(shop, minutes=1)
    assert amounts(shop) == ["15.11"]


def test_daily_proposes_once_a_day_by_the_clocks_of_its_zone(shop: System) -> None:
    ident = set_policy(shop, "daily", at="18:00", time_zone="Europe/Berlin")
    assert shop.services.policies.show(ident)["next_run"] == datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
    receive(shop, "9.71")
    pass_time(shop, hours=4)
    assert amounts(shop) == []
    pass_time(shop, hours=1)
    assert amounts(shop) == ["9.71"]
    receive(shop, "5.40")
    pass_time(shop, hours=23)
    assert amounts(shop) == ["9.71"]
    pass_time(shop, hours=1)
    assert amounts(shop) == ["9.71", "5.4"]


def test_weekly_proposes_on_its_weekday(shop: System) -> None:
    set_policy(shop, "weekly", at="09:30", weekday="monday", time_zone="America/New_York")
    receive(shop, "9.71")
    pass_time(shop, days=2, hours=2)  # Monday 14:00 UTC is 09:00 there
    assert amounts(shop) == []
    pass_time(shop, minutes=30)
    assert amounts(shop) == ["9.71"]


def test_a_worker_that_was_down_for_two_days_makes_one_run_of_two_and_keeps_to_its_hour(shop: System) -> None:
    ident = set_policy(shop, "daily", at="18:00", time_zone="Europe/Berlin")
    receive(shop, "9.71")
    receive(shop, "5.40")
    pass_time(shop, days=2, hours=6)  # nobody worked meanwhile
    assert amounts(shop) == ["15.11"]
    assert shop.services.policies.show(ident)["next_run"] == datetime(2026, 11, 24, 17, 0, tzinfo=UTC)


def test_minimum_and_maximum_bound_every_payout_and_what_is_too_large_waits_for_a_person(shop: System) -> None:
    ident = set_policy(shop, "daily", at="18:00", time_zone="UTC", minimum="6", maximum="10")
    for received in ("5", "4", "3", "50", "4"):
        receive(shop, received)
    pass_time(shop, hours=6)
    assert amounts(shop) == ["9", "7"]
    assert shop.cases() == ["payout_over_maximum"]
    shop.services.payouts.propose(shop.store.id, account_id=None, who="ann")
    assert amounts(shop) == ["9", "7", "50"]
    receive(shop, "2")
    pass_time(shop, days=1)
    assert amounts(shop) == ["9", "7", "50"]
    assert shop.cases() == []
    assert shop.services.policies.show(ident)["minimum"] == "6"


def test_many_at_once_are_proposed_in_several_runs_at_one_time(shop: System) -> None:
    set_policy(shop, "manual")
    for _ in range(23):
        receive(shop, "1")
    set_policy(shop, "per_payment")
    shop.work()
    assert len(amounts(shop)) == 23


def test_a_pause_holds_the_run_and_resuming_makes_up_for_it_once(shop: System) -> None:
    ident = set_policy(shop, "daily", at="18:00", time_zone="UTC")
    shop.services.policies.pause(ident, reason="stocktaking", who="ann")
    receive(shop, "9.71")
    pass_time(shop, days=3)
    assert amounts(shop) == []
    assert shop.services.policies.show(ident)["paused"] == "stocktaking"
    shop.services.policies.resume(ident, who="ben")
    shop.work()
    assert amounts(shop) == ["9.71"]
    assert shop.services.policies.show(ident)["next_run"] == datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
    with shop.database.read() as unit:
        acts = [(one["who"], one["action"]) for one in acts_on(unit, ident)]
    assert acts == [("ann", "payout policy set"), ("ann", "payout policy paused"), ("ben", "payout policy resumed")]


@pytest.mark.parametrize("scope", ["all", "store"])
def test_a_pause_of_the_store_holds_its_policies_too(shop: System, scope: str) -> None:
    set_policy(shop, "per_payment")
    shop.services.stores.pause(shop.store.id if scope == "store" else "all", reason="a doubt", who="ann")
    receive(shop, "9.71")
    pass_time(shop, hours=1)
    assert amounts(shop) == []
    shop.services.stores.resume(shop.store.id if scope == "store" else "all", who="ann")
    pass_time(shop, minutes=5)
    assert amounts(shop) == ["9.71"]


def test_a_policy_follows_the_account_that_replaces_its_own_and_says_when_there_is_none(shop: System) -> None:
    ident = set_policy(shop, "per_payment")
    shop.services.payout_accounts.add(shop.store.id, BANK, who="ann")  # replaced, under the same name
    receive(shop, "9.71")
    pass_time(shop, minutes=1)
    assert amounts(shop) == ["9.71"]
    other = {**BANK, "source": {"currency": "USDT", "network": "polygon"}}
    shop.services.payout_accounts.add(shop.store.id, other, who="ann")
    receive(shop, "5.40")
    pass_time(shop, hours=1)
    assert amounts(shop) == ["9.71"]
    assert shop.cases() == ["policy_stuck"]
    assert shop.services.policies.show(ident)["asset"] == "USDC"


def test_setting_a_policy_again_replaces_it_whole(shop: System) -> None:
    first = set_policy(
        shop, "daily", at="18:00", time_zone="UTC", minimum="6", approve_below="100", two_people_from="50"
    )
    again = set_policy(shop, "per_payment", account="Main", mandate_hours="24")
    assert first == again
    shown = shop.services.policies.show(again)
    assert {name: shown[name] for name in ("kind", "at", "minimum", "approve_below", "two_people_from", "mandate_hours")} == {
        "kind": "per_payment", "at": None, "minimum": None, "approve_below": None, "two_people_from": None,
        "mandate_hours": 24,
    }  # fmt: skip
    assert [one["id"] for one in shop.services.policies.list(shop.store.id)] == [again]
    assert [one["id"] for one in shop.services.policies.list(None)] == [again]


@pytest.mark.parametrize(
    ("kind", "values", "fields"),
    [
        ("hourly", {}, {"kind"}),
        ("daily", {}, {"at", "time_zone"}),
        ("weekly", {"at": "18:00", "time_zone": "UTC"}, {"weekday"}),
        ("daily", {"at": "24:00", "time_zone": "Mars/Olympus"}, {"at", "time_zone"}),
        ("daily", {"at": "6pm", "time_zone": "../etc/passwd"}, {"at", "time_zone"}),
        ("weekly", {"at": "18:00", "time_zone": "UTC", "weekday": "someday"}, {"weekday"}),
        ("manual", {"at": "18:00"}, {"at"}),
        ("threshold", {}, {"threshold"}),
        ("per_payment", {"threshold": "5"}, {"threshold"}),
        ("threshold", {"threshold": "0"}, {"threshold"}),
        ("per_payment", {"minimum": "5", "maximum": "4"}, {"minimum"}),
        ("per_payment", {"minimum": "1,5", "mandate_hours": "25"}, {"minimum", "mandate_hours"}),
        ("per_payment", {"mandate_hours": "0"}, {"mandate_hours"}),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_with_every_reason(
    sqlite_system: System, kind: str, values: dict[str, Any], fields: set[str]
) -> None:
    sqlite_system.services.payout_accounts.add(sqlite_system.store.id, BANK, who="ann")
    with pytest.raises(RequestRefused) as refused:
        set_policy(sqlite_system, kind, **values)
    assert set(refused.value.fields) == fields
    assert sqlite_system.services.policies.list(None) == []


def test_what_is_not_there_is_said_so(sqlite_system: System) -> None:
    services = sqlite_system.services
    with pytest.raises(NotPossible, match="no such payout account"):
        set_policy(sqlite_system, "manual")
    with pytest.raises(NotFound):
        services.policies.set("nowhere", PolicyRequest("manual"), who="ann")
    with pytest.raises(NotFound):
        services.policies.show("pol_nothing")
    with pytest.raises(NotFound):
        services.policies.resume("pol_nothing", who="ann")
    with pytest.raises(NotFound):
        services.policies.list("nowhere")
    with pytest.raises(RequestRefused):
        services.policies.pause("pol_nothing", reason=" ", who="ann")


def test_two_workers_propose_once(shop: System) -> None:
    set_policy(shop, "threshold", threshold="15")
    for _ in range(5):
        receive(shop, "9.71")
        receive(shop, "6")
        shop.clock.advance(minutes=1)
        workers = [shop.services.worker(name) for name in ("one", "two", "three")]
        at_once(*(worker.turn for worker in workers))
        shop.work()
    assert amounts(shop) == ["15.71"] * 5
    assert shop.services.report.balance()["balanced"]


def test_a_worker_and_a_person_propose_the_same_funds_once(shop: System) -> None:
    set_policy(shop, "per_payment")
    for _ in range(4):
        receive(shop, "9.71")
        shop.clock.advance(minutes=1)
        worker = shop.services.worker("one")
        at_once(worker.turn, lambda: shop.services.payouts.propose(shop.store.id, account_id=None, who="ann"))
        shop.work()
    assert amounts(shop) == ["9.71"] * 4
    assert shop.services.report.balance()["balanced"]


def test_a_run_whose_lease_was_lost_proposes_nothing(shop: System) -> None:
    ident = set_policy(shop, "per_payment")
    receive(shop, "9.71")
    with pytest.raises(LostRace):
        shop.services.policies.step(ident, "somebody else's token")
    assert amounts(shop) == []


def test_a_policy_that_becomes_manual_under_a_worker_proposes_nothing_more(shop: System) -> None:
    ident = set_policy(shop, "manual")
    receive(shop, "9.71")
    set_policy(shop, "per_payment")
    with shop.database.write() as unit:
        (claimed,) = claim(unit, payout_policy, now=shop.clock(), lease=timedelta(minutes=2), token="one", limit=1)
    assert claimed == ident
    set_policy(shop, "manual")
    shop.services.policies.step(ident, "one")
    assert amounts(shop) == []
    assert shop.services.policies.show(ident)["next_run"] is None


def test_which_account_a_policy_pays_must_be_one_and_must_be_there(shop: System) -> None:
    shop.services.payout_accounts.add(shop.store.id, {**BANK, "name": "Second"}, who="ann")
    with pytest.raises(NotPossible, match=r"several payout accounts \(Main, Second\)"):
        set_policy(shop, "per_payment")
    ident = set_policy(shop, "per_payment", account="Second")
    receive(shop, "9.71")
    with shop.database.write() as unit:
        for one in payouts.payout_accounts(unit, shop.store.id):
            payouts.update_payout_account(unit, one.id, retired_at=shop.clock())
    pass_time(shop, minutes=1)
    assert (amounts(shop), shop.cases()) == ([], ["policy_stuck"])
    assert shop.services.policies.show(ident)["account"] == "Second"


def test_an_account_that_is_still_pending_waits(shop: System) -> None:
    set_policy(shop, "per_payment")
    with shop.database.write() as unit:
        (account,) = payouts.payout_accounts(unit, shop.store.id)
        payouts.update_payout_account(unit, account.id, usable_at=shop.clock() + timedelta(hours=24), confirmed_at=None)
    receive(shop, "9.71")
    pass_time(shop, hours=23)
    assert amounts(shop) == []
    with pytest.raises(NotPossible, match="a second person confirms it"):
        shop.services.payouts.propose(shop.store.id, account_id=None, who="ann")
    pass_time(shop, hours=2)
    assert amounts(shop) == ["9.71"]


def test_what_left_the_treasury_otherwise_is_not_proposed(shop: System) -> None:
    """The books say that 1 was spent on gas: the record of 9.71 is not wholly there, the one of 5.40 is."""
    set_policy(shop, "manual")
    receive(shop, "9.71")
    receive(shop, "5.40")
    with shop.database.write() as unit:
        gas = move(shop.store.id, "USDC@polygon", Book.GAS, Book.FREE, 6 * USDC, key="gas/1", cause="gas")
        ledger.post(unit, [gas], at=shop.clock())
    set_policy(shop, "per_payment")
    pass_time(shop, minutes=1)
    assert amounts(shop) == ["5.4"]


def test_a_guard_and_an_estimate_say_what_is_missing(shop: System) -> None:
    guard = shop.services.price_guard
    with pytest.raises(RequestRefused, match="at least one limit"):
        guard.set(shop.store.id, GuardRequest("EUR"), who="ann")
    for store, currency in (("nowhere", "EUR"), (shop.store.id, "EUR")):
        with pytest.raises(NotFound):
            guard.show(store, currency)
    (account,) = shop.services.payout_accounts.list(shop.store.id)
    with pytest.raises(NotPossible, match="there is no free USDC on polygon"):
        guard.estimate(account["id"], amount=None)
    with pytest.raises(NotPossible, match="could not be asked"):
        guard.estimate(account["id"], amount="5")
