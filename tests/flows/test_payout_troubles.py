"""Everything Stables may do wrong on the way to the bank, as switches of the simulator, over real HTTP.

Counted at the simulator: per payout at most one transfer ever receives a deposit, once, of the exact amount.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from checkout.errors import NotPossible
from checkout.store import payouts
from tests.offramp import Offramp, offramp


@pytest.fixture
def ramp(database_url: str) -> Iterator[Offramp]:
    with offramp(database_url) as made:
        yield made


def quoted(ramp: Offramp) -> str:
    ramp.settled()
    ramp.account()
    out = ramp.system.services.payouts.propose(ramp.system.store.id, account_id=None, who="ann")
    assert ramp.until(out, "quoted", "on_hold") == "quoted"
    return out


def approved(ramp: Offramp) -> str:
    out = quoted(ramp)
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    return out


def finish(ramp: Offramp, out: str) -> None:
    """Reveal, fund and follow to the end."""
    ramp.until(out, "awaiting_funding")
    ramp.system.services.payouts.reveal(out, who="ann")
    ramp.system.services.payouts.simulate_deposit(out, who="ann")
    ramp.until(out, "completed")
    counts = sorted(one["deposits"]["count"] for one in ramp.transfers())
    assert counts[-1] == 1
    assert sum(counts) == 1
    assert ramp.system.services.report.balance()["balanced"]


@pytest.mark.parametrize(
    "fault",
    [
        "error_500_before_work", "error_500_after_work", "error_503_before_work", "error_503_after_work",
        "drop_connection_before_work", "drop_connection_after_work", "garbage_after_work", "incomplete_after_work",
        "429_with_retry_after",
    ],
)  # fmt: skip
def test_a_transfer_whose_answer_is_lost_is_made_once(ramp: Offramp, fault: str) -> None:
    out = quoted(ramp)
    ramp.fault("/api/v1/transfer", fault)
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    finish(ramp, out)


def test_a_transfer_that_cannot_be_found_is_proven_absent_before_another_is_made(ramp: Offramp) -> None:
    out = quoted(ramp)
    ramp.fault("/api/v1/transfer", "error_500_before_work", times=0)
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    trace = ramp.system.services.report.trace
    ramp.wait(lambda: any(one["state"] == "dead" for one in trace(out)["payouts"][0]["attempts"]), within=20)
    ramp.clear_faults()
    finish(ramp, out)
    attempts = [one for one in trace(out)["payouts"][0]["attempts"] if one["kind"] == "transfer"]
    assert attempts[0]["state"] == "dead"
    assert "absent from complete lists" in attempts[0]["evidence"]
    assert attempts[-1]["state"] == "accepted"


def test_a_displayed_quote_that_has_expired_is_drawn_again_inside_the_mandate(ramp: Offramp) -> None:
    out = quoted(ramp)
    ramp.switch(rate_shift_percent="-0.2")
    ramp.wait(lambda: ramp.control("quotes") is not None)
    approved_credit = ramp.system.services.payouts.approve(out, min_credit="8.55", who="ann")
    assert approved_credit["min_credit"] == "8.55"
    finish(ramp, out)


def test_a_fresh_quote_outside_the_mandate_goes_back_to_a_person(ramp: Offramp) -> None:
    out = quoted(ramp)
    ramp.switch(rate_shift_percent="-5", quote_life_s=1)
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    # the displayed quote may still live at once; let it end first
    state = ramp.until(out, "quoted", "awaiting_funding")
    if state == "quoted":
        assert "payout_needs_approval" in ramp.system.cases()
        assert ramp.transfers() == []


@pytest.mark.parametrize(
    "tampering",
    [
        {"tamper_destination": "iban"}, {"tamper_amount": "1.00"}, {"tamper_source_amount": "9.70"},
        {"tamper_network": "base"}, {"tamper_currency": "usd"}, {"tamper_customer": True}, {"tamper_quote": True},
        {"tamper_asset": "usdt"}, {"address_form": "bad_checksum"}, {"metadata_echo": "other"},
    ],
    ids=lambda value: next(iter(value)),
)  # fmt: skip
def test_an_answer_that_is_not_what_was_approved_is_never_shown(ramp: Offramp, tampering: dict[str, Any]) -> None:
    out = quoted(ramp)
    ramp.switch(**tampering)
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    assert ramp.until(out, "needs_decision", "awaiting_funding") == "needs_decision"
    with pytest.raises(NotPossible):
        ramp.system.services.payouts.reveal(out, who="ann")
    assert "transfer_mismatch" in ramp.system.cases()
    assert ramp.system.balances()["treasury_reserved/USDC@polygon"] == 9_710_000


def test_instructions_that_come_late_are_waited_for(ramp: Offramp) -> None:
    out = quoted(ramp)
    ramp.switch(null_instructions_reads=3, metadata_echo="absent", answer_case="upper", amount_form="padded")
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    finish(ramp, out)


def test_a_customer_without_base_payout_is_held_before_any_quote(ramp: Offramp) -> None:
    ramp.switch(customer_payout="in_progress")
    ramp.settled()
    ramp.account()
    out = ramp.system.services.payouts.propose(ramp.system.store.id, account_id=None, who="ann")
    assert ramp.until(out, "on_hold") == "on_hold"
    assert ramp.control("quotes") == []
    ramp.switch(customer_payout="approved")
    ramp.system.services.payouts.retry(out, who="ann")
    assert ramp.until(out, "quoted") == "quoted"


def test_what_expires_before_reveal_gives_its_money_back(ramp: Offramp) -> None:
    out = approved(ramp)
    ramp.until(out, "awaiting_funding")
    (transfer,) = ramp.transfers()
    ramp.post(f"transfers/{transfer['id']}/status", {"status": "expired"})
    ramp.until(out, "expired")
    assert ramp.system.balances()["treasury_free/USDC@polygon"] == 9_710_000
    again = ramp.system.services.payouts.propose(ramp.system.store.id, account_id=None, who="ann")
    assert again != out


@pytest.mark.parametrize("word", ["funds_collected", "completed", "in_progress", "unknown"])
def test_an_address_is_shown_only_while_the_provider_still_waits_for_the_money(ramp: Offramp, word: str) -> None:
    out = approved(ramp)
    ramp.until(out, "awaiting_funding")
    (transfer,) = ramp.transfers()
    ramp.post(f"transfers/{transfer['id']}/status", {"status": word})
    with pytest.raises(NotPossible):  # whoever saw it could pay a second time
        ramp.system.services.payouts.reveal(out, who="ann")
    with ramp.system.database.read() as unit:
        kept = payouts.transfer_of(unit, out)
    assert kept is not None
    assert kept.instructions_revealed_at is None


@pytest.mark.parametrize("word", ["expired", "failed", "cancelled"])
def test_what_ends_after_reveal_waits_for_a_person_with_its_money_reserved(ramp: Offramp, word: str) -> None:
    out = approved(ramp)
    ramp.until(out, "awaiting_funding")
    ramp.system.services.payouts.reveal(out, who="ann")
    (transfer,) = ramp.transfers()
    ramp.post(f"transfers/{transfer['id']}/status", {"status": word})
    ramp.until(out, "needs_decision")
    assert ramp.system.balances()["treasury_reserved/USDC@polygon"] == 9_710_000
    assert ramp.system.cases() == ["exposed_transfer_ended"]


def test_a_compliance_hold_is_shown_and_goes_on_with_the_provider(ramp: Offramp) -> None:
    ramp.switch(ends_as="compliance_hold", detour_s=20)
    out = approved(ramp)
    ramp.until(out, "awaiting_funding")
    ramp.system.services.payouts.reveal(out, who="ann")
    ramp.system.services.payouts.simulate_deposit(out, who="ann")
    ramp.until(out, "on_hold", "completed")
    ramp.until(out, "completed", within=20)
    assert ramp.system.services.report.balance()["balanced"]


def test_the_provider_s_own_payout_figure_confirms_the_credit(ramp: Offramp) -> None:
    ramp.switch(actual_payout="one_cent_less")
    out = approved(ramp)
    finish(ramp, out)
    credit = ramp.system.services.payouts.show(out)["credit"]
    assert credit["is"] == "confirmed"


def test_a_pause_stops_every_step_that_lets_money_leave(ramp: Offramp) -> None:
    out = quoted(ramp)
    services = ramp.system.services
    services.stores.pause("all", reason="stocktaking", who="ann")
    with pytest.raises(NotPossible, match="stocktaking"):
        services.payouts.approve(out, min_credit=None, who="ann")
    with pytest.raises(NotPossible, match="stocktaking"):
        services.payouts.propose(ramp.system.store.id, account_id=None, who="ann")
    services.stores.resume("all", who="ann")
    services.payouts.approve(out, min_credit=None, who="ann")
    ramp.until(out, "awaiting_funding")
    services.stores.pause(ramp.system.store.id, reason="a doubt", who="ann")
    with pytest.raises(NotPossible, match="a doubt"):
        services.payouts.reveal(out, who="ann")


def test_a_payout_without_a_transfer_can_be_cancelled_and_one_with_a_transfer_cannot(ramp: Offramp) -> None:
    out = quoted(ramp)
    services = ramp.system.services
    services.payouts.cancel(out, who="ann")
    assert ramp.system.balances()["treasury_free/USDC@polygon"] == 9_710_000
    second = services.payouts.propose(ramp.system.store.id, account_id=None, who="ann")
    ramp.until(second, "quoted")
    services.payouts.approve(second, min_credit=None, who="ann")
    ramp.until(second, "awaiting_funding")
    with pytest.raises(NotPossible, match="do not reveal"):
        services.payouts.cancel(second, who="ann")


def test_approving_twice_leaves_one_mandate(ramp: Offramp) -> None:
    out = approved(ramp)
    with pytest.raises(NotPossible):
        ramp.system.services.payouts.approve(out, min_credit=None, who="ben")
    assert len(ramp.system.services.report.trace(out)["payouts"][0]["mandates"]) == 1


def test_the_published_operations_alone_are_enough(database_url: str) -> None:
    with offramp(database_url, STABLES_EXTRAS="off") as ramp:
        out = approved(ramp)
        ramp.until(out, "awaiting_funding")
        ramp.system.services.payouts.reveal(out, who="ann")
        (transfer,) = ramp.transfers()
        ramp.post("deposits", {"transfer": transfer["id"]})
        ramp.until(out, "completed", within=20)
