"""Who may let money leave: the policy inside the price guard, one person, or two with a secret each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from checkout.errors import NotPossible
from checkout.paying_out.policies import PolicyRequest
from checkout.paying_out.price_guard import GuardRequest
from checkout.people import DEMO
from checkout.simulator.stables.codes import CUSTOMER_ID
from checkout.store import payouts
from checkout.store.tables import payout
from checkout.store.work import wake
from tests.flows.payout_fixtures import at_once, completed, proposed
from tests.offramp import Offramp, offramp
from tests.system import BANK


@pytest.fixture
def ramp(database_url: str) -> Iterator[Offramp]:
    with offramp(database_url) as made:
        yield made


def set_policy(ramp: Offramp, kind: str = "per_payment", **values: str) -> str:
    policies = ramp.system.services.policies
    return str(policies.set(ramp.system.store.id, PolicyRequest(kind, **values), who="ann")["id"])


def guard(ramp: Offramp, **limits: str) -> None:
    ramp.system.services.price_guard.set(ramp.system.store.id, GuardRequest("EUR", **limits), who="ann")


def by_policy(ramp: Offramp) -> str:
    """The payout that a policy has proposed last."""
    found: list[str] = []

    def there() -> bool:
        with ramp.system.database.read() as unit:
            rows = payouts.list_payouts(unit, ramp.system.store.id, limit=1)
        found[:] = [one.id for one in rows if one.policy_id is not None]
        return bool(found)

    ramp.wait(there)
    return found[0]


def show(ramp: Offramp, out: str) -> dict[str, Any]:
    return ramp.system.services.payouts.show(out)


def waits(ramp: Offramp, out: str, why: str) -> None:
    """The payout is quoted and says why a person must approve it."""
    ramp.until(out, "quoted")
    ramp.wait(lambda: show(ramp, out)["note"] != "")
    assert why in show(ramp, out)["note"]
    assert show(ramp, out)["mandate"] is None


def test_a_policy_approves_inside_the_guard_and_never_the_first_payout_to_an_account(ramp: Offramp) -> None:
    guard(ramp, worst_cost_percent="9", least_per_unit="0.5")
    ramp.account()
    policy = set_policy(ramp, approve_below="100")
    ramp.settled()
    first = by_policy(ramp)
    waits(ramp, first, "the first payout to this account")
    services = ramp.system.services
    services.payouts.approve(first, min_credit=None, who="ann")
    ramp.until(first, "awaiting_funding")
    services.payouts.reveal(first, who="ann")
    services.payouts.simulate_deposit(first, who="ann")
    ramp.until(first, "completed")
    ramp.settled()
    ramp.wait(lambda: by_policy(ramp) != first)
    second = by_policy(ramp)
    ramp.until(second, "awaiting_funding")
    mandate = show(ramp, second)["mandate"]
    assert (mandate["by"], mandate["second_by"]) == (f"policy:{policy}", None)
    (transfer,) = [one for one in ramp.transfers() if one["metadata"]["payout"] == second]
    assert transfer["deposits"]["count"] == 0, "a policy approves; only a person reveals and pays"


@pytest.mark.parametrize(
    ("policy", "limits", "why"),
    [
        ({}, {"least_per_unit": "0.5"}, "leaves approval to people"),
        ({"approve_below": "9.71"}, {"least_per_unit": "0.5"}, "not below the policy's limit"),
        ({"approve_below": "100"}, {}, "no price guard for EUR"),
        ({"approve_below": "100", "two_people_from": "0"}, {"least_per_unit": "0.5"}, "two people approve"),
    ],
)
def test_what_a_policy_may_not_approve_waits_for_a_person_and_says_why(
    ramp: Offramp, policy: dict[str, str], limits: dict[str, str], why: str
) -> None:
    completed(ramp)
    if limits:
        guard(ramp, **limits)
    set_policy(ramp, **policy)
    ramp.settled()
    waits(ramp, by_policy(ramp), why)


def test_quotes_outside_the_guard_are_kept_with_why_and_a_person_looks(ramp: Offramp) -> None:
    guard(ramp, worst_cost="0.10", worst_cost_percent="1")
    ramp.settled()
    ramp.account()
    out = proposed(ramp)
    ramp.until(out, "on_hold", within=20)
    refused = show(ramp, out)["refused_quotes"]
    assert len(refused) == 3
    assert all("outside the price guard: it costs EUR" in one["why"] for one in refused)
    assert ramp.system.cases() == ["price_guard"]
    assert ramp.transfers() == []
    guard(ramp, worst_cost_percent="50")
    ramp.system.services.payouts.retry(out, who="ann")
    ramp.until(out, "quoted")
    assert ramp.system.cases() == []
    assert len(show(ramp, out)["refused_quotes"]) == 3


def test_a_guard_tightened_after_the_quote_or_the_approval_holds_at_once(ramp: Offramp) -> None:
    ramp.settled()
    ramp.account()
    out = proposed(ramp)
    ramp.until(out, "quoted")
    guard(ramp, least_credit="100")
    approve = ramp.system.services.payouts.approve
    with pytest.raises(NotPossible, match=r"the smallest allowed is EUR 100\.00"):
        approve(out, min_credit=None, who="ann")
    guard(ramp, least_credit="8.50")
    with pytest.raises(NotPossible, match=r"the price guard allows EUR 8\.50 or more"):
        approve(out, min_credit="8.49", who="ann")
    approve(out, min_credit=None, who="ann")
    assert show(ramp, out)["mandate"]["min_credit"] >= "8.50"
    guard(ramp, least_credit="100")
    ramp.until(out, "quoted")
    assert ramp.transfers() == []
    assert "payout_needs_approval" in ramp.system.cases()


def people(ramp: Offramp, **values: str) -> str:
    """A quoted payout whose policy asks for two people."""
    ramp.settled()
    ramp.account()
    set_policy(ramp, "manual", two_people_from="5", **values)
    out = proposed(ramp)
    ramp.until(out, "quoted")
    return out


def test_two_people_each_with_a_secret_approve_one_mandate(ramp: Offramp) -> None:
    out = people(ramp)
    approve = ramp.system.services.payouts.approve
    with pytest.raises(NotPossible, match="each with a secret"):
        approve(out, min_credit=None, who=DEMO)
    first = approve(out, min_credit="8.00", who="ann")
    assert (first["state"], first["waits_for_second"]) == ("quoted", True)
    ramp.system.work()
    assert ramp.transfers() == []
    for who, least, why in (
        ("ann", None, "waits for a second person"),
        (DEMO, None, "needs a secret"),
        ("ben", "8.01", "for at least EUR 8.00"),
    ):
        with pytest.raises(NotPossible, match=why):
            approve(out, min_credit=least, who=who)
    second = approve(out, min_credit=None, who="ben")
    assert (second["state"], second["mandate"], second["min_credit"]) == ("approved", first["mandate"], "8.00")
    with pytest.raises(NotPossible, match="only a quoted payout"):
        approve(out, min_credit=None, who="cay")
    ramp.until(out, "awaiting_funding")
    mandate = show(ramp, out)["mandate"]
    assert (mandate["by"], mandate["second_by"], mandate["waits_for_second"]) == ("ann", "ben", False)


def test_below_the_amount_for_two_people_one_is_enough(ramp: Offramp) -> None:
    ramp.settled()
    ramp.account()
    set_policy(ramp, "manual", two_people_from="9.710001")
    out = proposed(ramp)
    ramp.until(out, "quoted")
    assert ramp.system.services.payouts.approve(out, min_credit=None, who=DEMO)["state"] == "approved"


def test_the_bank_account_changed_between_the_two_approvals(ramp: Offramp) -> None:
    out = people(ramp)
    approve = ramp.system.services.payouts.approve
    approve(out, min_credit=None, who="ann")
    account = {**BANK, "stables_customer_id": CUSTOMER_ID, **FIELDS[0]}
    ramp.system.services.payout_accounts.add(ramp.system.store.id, account, who="cay")
    with pytest.raises(NotPossible, match="has been replaced"):
        approve(out, min_credit=None, who="ben")
    assert show(ramp, out)["mandate"] is None


def test_a_first_approval_that_ran_out_is_given_anew_and_the_second_still_counts_as_one(ramp: Offramp) -> None:
    out = people(ramp)
    approve = ramp.system.services.payouts.approve
    approve(out, min_credit=None, who="ann", valid_for=timedelta(seconds=20))  # a tenth of a second here
    ramp.wait(lambda: ramp.system.clock().isoformat() > show(ramp, out)["mandate"]["valid_until"])
    late = approve(out, min_credit=None, who="ben")
    assert late["waits_for_second"]
    assert approve(out, min_credit=None, who="ann")["state"] == "approved"
    voided = [one["voided"] for one in ramp.system.services.report.trace(out)["payouts"][0]["mandates"]]
    assert "the mandate ended" in voided[0]
    assert voided[1] is None


def test_a_mandate_lasts_a_day_at_most(ramp: Offramp) -> None:
    ramp.settled()
    ramp.account()
    out = proposed(ramp)
    ramp.until(out, "quoted")
    approve = ramp.system.services.payouts.approve
    for life in (timedelta(hours=24, seconds=1), timedelta(0)):
        with pytest.raises(NotPossible, match="at most 24 hours"):
            approve(out, min_credit=None, who="ann", valid_for=life)
    assert show(ramp, out)["mandate"] is None


def test_a_policy_that_comes_to_ask_for_two_people_voids_what_one_approved(ramp: Offramp) -> None:
    ramp.settled()
    ramp.account()
    out = proposed(ramp)
    ramp.until(out, "quoted")
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    set_policy(ramp, "manual", two_people_from="0")
    ramp.until(out, "quoted")
    assert ramp.transfers() == []
    assert show(ramp, out)["mandate"] is None
    assert "payout_needs_approval" in ramp.system.cases()


def test_a_paused_policy_holds_what_it_proposed_at_every_step(ramp: Offramp) -> None:
    ramp.account()
    ident = set_policy(ramp)
    ramp.settled()
    out = by_policy(ramp)
    ramp.until(out, "quoted")
    services = ramp.system.services
    services.policies.pause(ident, reason="a doubt", who="ann")
    with pytest.raises(NotPossible, match="its policy is paused: a doubt"):
        services.payouts.approve(out, min_credit=None, who="ann")
    services.policies.resume(ident, who="ann")
    services.payouts.approve(out, min_credit=None, who="ann")
    ramp.until(out, "awaiting_funding")
    services.policies.pause(ident, reason="another", who="ann")
    with pytest.raises(NotPossible, match="another"):
        services.payouts.reveal(out, who="ann")


FIELDS: list[dict[str, Any]] = [
    {"bank": {**BANK["bank"], "iban": "DE02120300000000202051"}},  # type: ignore[dict-item]
    {"purpose_code": "PAYMENT_FOR_SERVICES"},
    {"destination": {"currency": "EUR", "country": "DE", "network": "swift"}},
    {"source": {"currency": "USDT", "network": "polygon"}},
]


@pytest.mark.parametrize("changed", FIELDS, ids=lambda changed: next(iter(changed)))
def test_every_bound_field_that_changes_after_approval_voids_the_mandate(
    ramp: Offramp, changed: dict[str, Any]
) -> None:
    ramp.settled()
    ramp.account()
    out = proposed(ramp)
    ramp.until(out, "quoted")
    services = ramp.system.services
    services.payouts.approve(out, min_credit=None, who="ann")
    account = {**BANK, "stables_customer_id": CUSTOMER_ID, **changed}
    services.payout_accounts.add(ramp.system.store.id, account, who="ann")
    ramp.until(out, "quoted")
    assert ramp.transfers() == []
    with pytest.raises(NotPossible, match="has been replaced"):
        services.payouts.approve(out, min_credit=None, who="ann")
    services.payouts.cancel(out, who="ann")
    assert ramp.system.balances()["treasury_free/USDC@polygon"] == 9_710_000


def test_two_approvers_at_once_are_the_two_people_of_one_mandate(ramp: Offramp) -> None:
    out = people(ramp)
    approve = ramp.system.services.payouts.approve
    given, refused = at_once(*(lambda who=who: approve(out, min_credit=None, who=who) for who in ("ann", "ben")))
    assert (len(given), refused) == (2, [])
    mandate = show(ramp, out)["mandate"]
    assert {mandate["by"], mandate["second_by"]} == {"ann", "ben"}
    ramp.until(out, "awaiting_funding")
    assert len(ramp.transfers()) == 1


def test_one_person_twice_at_once_is_one_of_two(ramp: Offramp) -> None:
    out = people(ramp)
    approve = ramp.system.services.payouts.approve
    given, refused = at_once(*[lambda: approve(out, min_credit=None, who="ann")] * 3)
    assert (len(given), len(refused)) == (1, 2)
    assert show(ramp, out)["mandate"]["waits_for_second"]
    assert ramp.state(out) == "quoted"


def test_a_preview_says_what_a_payout_would_bring_and_whether_the_guard_allows_it(ramp: Offramp) -> None:
    ramp.settled()
    account = ramp.account()
    estimate = ramp.system.services.price_guard.estimate
    told = estimate(account, amount=None)
    assert (told["sends"], told["currency"], told["outside_the_guard"]) == ("9.71", "EUR", None)
    guard(ramp, worst_cost="0.01")
    assert "it costs EUR" in str(estimate(account, amount="100")["outside_the_guard"])
    assert ramp.control("quotes") == [] or all(one.get("status") == "preview" for one in ramp.control("quotes"))
    ramp.switch(routing_error="ROUTING_ROUTE_DISABLED")
    with pytest.raises(NotPossible, match="does not price it"):
        estimate(account, amount="100")


@pytest.mark.parametrize(
    ("where", "column", "value"),
    [
        ("account", "stables_customer_id", "6f9b0b0e-5a53-4c3a-9a0a-3d6f0f6f2a99"), ("account", "bank_digest", "0" * 64),
        ("account", "currency", "USD"), ("account", "country", "FR"), ("account", "rail", "swift"),
        ("account", "purpose_code", "SALARY"), ("payout", "asset", "USDT"), ("payout", "network", "base"),
        ("payout", "amount_minor", 9_000_000),
    ],
)  # fmt: skip
def test_a_bound_field_that_somebody_edits_behind_our_back_stops_the_payout(
    ramp: Offramp, where: str, column: str, value: object
) -> None:
    ramp.settled()
    account = ramp.account()
    out = proposed(ramp)
    ramp.until(out, "quoted")
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    with ramp.system.database.write() as unit:
        if where == "account":
            payouts.update_payout_account(unit, account, **{column: value})
        else:
            payouts.update_payout(unit, out, **{column: value})
    ramp.until(out, "quoted", "on_hold")
    assert ramp.transfers() == []
    with ramp.system.database.read() as unit:
        assert payouts.live_mandate(unit, out) is None


def test_a_mandate_is_for_one_account_alone(ramp: Offramp) -> None:
    ramp.settled()
    ramp.account()
    out = proposed(ramp)
    ramp.until(out, "quoted")
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    other = {**BANK, "stables_customer_id": CUSTOMER_ID, "name": "Other", **FIELDS[0]}
    made = ramp.system.services.payout_accounts.add(ramp.system.store.id, other, who="ann")
    with ramp.system.database.write() as unit:
        payouts.update_payout(unit, out, payout_account_id=made["id"])
    ramp.until(out, "quoted", "on_hold")
    assert ramp.transfers() == []


def test_a_quoted_payout_that_is_woken_for_nothing_goes_on_waiting_for_its_person(ramp: Offramp) -> None:
    ramp.settled()
    ramp.account()
    out = proposed(ramp)
    ramp.until(out, "quoted")
    with ramp.system.database.write() as unit:
        wake(unit, payout, out, now=ramp.system.clock())
    ramp.system.work()
    assert ramp.state(out) == "quoted"
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    ramp.until(out, "awaiting_funding")
