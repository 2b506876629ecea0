"""Where the money of a payout is, entered by a person with evidence: postings, moves, cases, and what may be paid out next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.paying_out.resolution_verbs import Said
from checkout.rules.resolutions import Where
from checkout.store import resolutions
from checkout.store.moves import acts_on
from tests.flows.payout_fixtures import (
    ASTRAY,
    COST,
    FREE,
    IN_TRANSIT,
    RESERVED,
    WHOLE,
    WHOLE_MINOR,
    at_once,
    awaiting,
    books,
    completed,
    exposed,
    proposed,
    revealed,
    say,
)
from tests.offramp import Offramp, offramp

HASH = "0x" + "ab" * 32


@pytest.fixture
def ramp(database_url: str) -> Iterator[Offramp]:
    with offramp(database_url) as made:
        yield made


def test_what_arrived_after_all_completes_the_payout_with_the_banks_own_figure(ramp: Offramp) -> None:
    out = exposed(ramp, "failed")
    shown = say(ramp, out, Where.ARRIVED, credit="8.61", evidence="bank statement of 21 November, line 4")
    assert shown["state"] == "completed"
    assert shown["credit"] == {"amount": "8.61", "currency": "EUR", "is": "confirmed"}
    assert books(ramp) == {}
    assert ramp.system.balances()["bank/EUR"] == 861
    assert ramp.system.cases() == []
    assert ramp.system.told(out)[-1] == "payout.completed"
    (entered,) = shown["resolutions"]
    assert (entered["is"], entered["amount"], entered["credit"], entered["by"]) == ("arrived", WHOLE, "8.61", "ann")
    with ramp.system.database.read() as unit:
        assert acts_on(unit, out)[-1]["action"] == "payout resolved: arrived"
    with pytest.raises(NotPossible, match="the payout is completed"):
        say(ramp, out, Where.ARRIVED, credit="8.61")


def test_what_was_never_sent_is_free_and_the_same_records_can_be_paid_out_again(ramp: Offramp) -> None:
    out = exposed(ramp)
    shown = say(ramp, out, Where.NEVER_SENT, evidence="the wallet's history shows no transfer")
    assert shown["state"] == "cancelled"
    assert books(ramp) == {FREE: WHOLE_MINOR}
    assert ramp.system.cases() == []
    again = proposed(ramp)
    assert ramp.system.services.payouts.show(again)["items"][0]["source"] == shown["items"][0]["source"]


def test_a_mismatch_nobody_was_shown_is_given_up_the_same_way(ramp: Offramp) -> None:
    ramp.settled()
    ramp.account()
    out = proposed(ramp)
    ramp.until(out, "quoted")
    ramp.switch(tamper_amount="1.00")
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    ramp.until(out, "needs_decision")
    for where in (Where.UNDER, Where.OVER, Where.LATE):
        with pytest.raises(NotPossible, match=r"never revealed|can be said of"):
            say(ramp, out, where, amount="1")
    assert say(ramp, out, Where.NEVER_SENT)["state"] == "cancelled"
    assert ramp.system.cases() == []


def test_who_recorded_the_sending_cannot_alone_say_that_nothing_was_sent(ramp: Offramp) -> None:
    out = exposed(ramp)
    ramp.system.services.payouts.funded(out, tx_hash=HASH, who="ann")
    with pytest.raises(NotPossible, match="another person"):
        say(ramp, out, Where.NEVER_SENT, who="ann")
    assert say(ramp, out, Where.NEVER_SENT, who="ben")["state"] == "cancelled"


def test_what_comes_back_whole_frees_its_records_and_what_comes_back_short_is_a_source_of_its_own(
    ramp: Offramp,
) -> None:
    out = exposed(ramp, "cancelled")
    say(ramp, out, Where.AT_PROVIDER, evidence="Stables, ticket 12: they have it")
    assert books(ramp) == {IN_TRANSIT: WHOLE_MINOR}
    assert ramp.system.cases() == ["exposed_transfer_ended"]
    shown = say(ramp, out, Where.BACK, amount="9.50", cost="0.21", tx_hash=HASH)
    assert shown["state"] == "cancelled"
    assert books(ramp) == {FREE: 9_500_000, COST: 210_000}
    assert ramp.system.cases() == []
    again = proposed(ramp)
    told = ramp.system.services.payouts.show(again)
    assert told["amount"] == "9.5"
    (item,) = told["items"]
    with ramp.system.database.read() as unit:
        assert resolutions.origins_of(unit, item["source"]) == [shown["items"][0]["source"]]
    ramp.system.services.payouts.cancel(again, who="ann")
    assert ramp.system.services.payouts.show(proposed(ramp))["amount"] == "9.5"


def test_what_comes_back_whole_is_paid_out_again_from_the_same_records(ramp: Offramp) -> None:
    out = exposed(ramp)
    say(ramp, out, Where.FOUND)
    assert books(ramp) == {ASTRAY: WHOLE_MINOR}
    assert ramp.system.cases() == ["exposed_transfer_ended", "found_at_old_address"]
    shown = say(ramp, out, Where.BACK)
    assert (shown["state"], books(ramp), ramp.system.cases()) == ("cancelled", {FREE: WHOLE_MINOR}, [])
    assert shown["items"][0]["released"]
    assert ramp.system.services.payouts.show(proposed(ramp))["items"][0]["source"] == shown["items"][0]["source"]


def test_what_comes_back_in_parts_leaves_the_rest_to_be_decided(ramp: Offramp) -> None:
    out = exposed(ramp)
    assert say(ramp, out, Where.BACK, amount="4")["state"] == "needs_decision"
    assert ramp.system.cases() == ["exposed_transfer_ended"]
    with pytest.raises(NotPossible, match="does not hold that much"):
        say(ramp, out, Where.BACK, amount="6")
    assert say(ramp, out, Where.BACK, amount="5")["state"] == "needs_decision"
    assert say(ramp, out, Where.LOST)["state"] == "failed"
    assert books(ramp) == {FREE: 9_000_000, COST: 710_000}
    assert ramp.system.services.payouts.show(proposed(ramp))["amount"] == "9"


def test_what_is_lost_is_a_cost_and_may_still_be_found_or_come_back(ramp: Offramp) -> None:
    out = exposed(ramp)
    assert say(ramp, out, Where.LOST)["state"] == "failed"
    assert books(ramp) == {COST: WHOLE_MINOR}
    assert ramp.system.cases() == []
    with pytest.raises(NotPossible, match="no free"):
        proposed(ramp)
    say(ramp, out, Where.FOUND, amount="9")
    assert books(ramp) == {COST: 710_000, ASTRAY: 9_000_000}
    assert ramp.system.cases() == ["found_at_old_address"]
    say(ramp, out, Where.BACK)
    assert ramp.system.cases() == []
    say(ramp, out, Where.BACK)
    assert books(ramp) == {FREE: WHOLE_MINOR}
    assert ramp.state(out) == "failed"
    assert ramp.system.services.payouts.show(proposed(ramp))["amount"] == WHOLE


def test_funds_at_an_old_address_never_complete_another_payout(ramp: Offramp) -> None:
    """Given up as never sent, then paid after all: the free treasury, not the next payout, is what has left."""
    old = exposed(ramp)
    say(ramp, old, Where.NEVER_SENT)
    ramp.settled("5.00", "5.40")
    say(ramp, old, Where.LATE, amount=WHOLE, tx_hash=HASH)
    assert books(ramp) == {FREE: 5_400_000, ASTRAY: WHOLE_MINOR}
    new = proposed(ramp)
    assert ramp.system.services.payouts.show(new)["amount"] == "5.4"
    with pytest.raises(NotPossible, match=f"stored for payout {old}"):
        _fund_under(ramp, new, HASH)
    assert ramp.state(new) == "awaiting_funding"
    assert "found_at_old_address" in ramp.system.cases()
    assert [one["source"] for one in ramp.system.services.payouts.show(old)["items"]]


def _fund_under(ramp: Offramp, out: str, tx_hash: str) -> None:
    services = ramp.system.services
    ramp.until(out, "quoted")
    services.payouts.approve(out, min_credit=None, who="ann")
    ramp.until(out, "awaiting_funding")
    services.payouts.reveal(out, who="ann")
    services.payouts.funded(out, tx_hash=tx_hash, who="ann")


def test_a_second_deposit_that_free_treasury_does_not_cover_is_refused_until_it_does(ramp: Offramp) -> None:
    out = completed(ramp)
    with pytest.raises(NotPossible, match="free treasury holds less"):
        say(ramp, out, Where.FOUND, amount=WHOLE)
    assert ramp.system.cases() == []
    ramp.settled("10.00", "21")
    say(ramp, out, Where.FOUND, amount=WHOLE, evidence="the wallet shows it twice")
    assert books(ramp) == {FREE: 21_000_000 - WHOLE_MINOR, ASTRAY: WHOLE_MINOR}
    assert ramp.system.services.payouts.show(proposed(ramp))["amount"] == "11.29"
    assert ramp.state(out) == "completed"
    say(ramp, out, Where.BACK)
    assert ramp.system.cases() == []
    assert ramp.system.services.payouts.show(proposed(ramp))["amount"] == WHOLE


def test_an_under_funded_transfer_waits_for_a_person_and_its_rest_is_free(ramp: Offramp) -> None:
    out = revealed(ramp)
    shown = say(ramp, out, Where.UNDER, amount="9.00", tx_hash=HASH)
    assert shown["state"] == "needs_decision"
    assert books(ramp) == {IN_TRANSIT: 9_000_000, FREE: 710_000}
    assert ramp.system.cases() == ["under_funded"]
    with pytest.raises(NotPossible, match="entered already"):
        say(ramp, out, Where.UNDER, amount="8.00")
    with pytest.raises(NotPossible, match="left the treasury"):
        say(ramp, out, Where.NEVER_SENT)
    assert ramp.system.services.payouts.show(proposed(ramp))["amount"] == "0.71"
    assert say(ramp, out, Where.ARRIVED, credit="8.01")["state"] == "completed"
    assert ramp.system.cases() == []


def test_an_over_funded_transfer_goes_on_and_the_difference_is_asked_back(ramp: Offramp) -> None:
    out = revealed(ramp)
    with pytest.raises(NotPossible, match="free treasury holds less"):
        say(ramp, out, Where.OVER, amount="10")
    ramp.settled("2.00", "2.10")
    with pytest.raises(NotPossible, match="more than the transfer asked for"):
        say(ramp, out, Where.OVER, amount=WHOLE)
    assert say(ramp, out, Where.OVER, amount="10")["state"] == "awaiting_funding"
    ramp.system.services.payouts.simulate_deposit(out, who="ann")
    ramp.until(out, "completed")
    assert books(ramp) == {FREE: 1_810_000, ASTRAY: 290_000}
    assert ramp.system.cases() == ["over_funded"]
    with pytest.raises(NotPossible, match="does not hold that much"):
        say(ramp, out, Where.LOST, amount="1")
    say(ramp, out, Where.LOST)
    assert ramp.system.cases() == []
    assert ramp.system.services.payouts.show(proposed(ramp))["amount"] == "1.81"


def test_what_the_bank_returned_can_arrive_come_back_or_be_lost(ramp: Offramp) -> None:
    out = completed(ramp)
    credit = ramp.system.balances()["bank/EUR"]
    shown = say(ramp, out, Where.RETURNED, evidence="bank statement: account closed")
    assert shown["state"] == "returned"
    assert ramp.system.balances()["returned/EUR"] == credit
    assert "bank/EUR" not in ramp.system.balances()
    assert ramp.system.cases() == ["payout_returned"]
    assert ramp.system.told(out)[-1] == "payout.returned"
    with pytest.raises(NotPossible, match="is with Stables"):
        say(ramp, out, Where.ARRIVED, credit="100.00")
    say(ramp, out, Where.ARRIVED, credit="5.00", evidence="paid again, in part")
    with pytest.raises(RequestRefused, match="how much of the asset"):
        say(ramp, out, Where.BACK)
    say(ramp, out, Where.BACK, amount="3.90")
    assert ramp.system.balances()["bank/EUR"] == 500
    assert books(ramp) == {FREE: 3_900_000}
    assert ramp.system.cases() == []
    for where in (Where.BACK, Where.LOST):
        with pytest.raises(NotPossible, match="nothing of this payout"):
            say(ramp, out, where, amount="1")
    assert ramp.system.services.payouts.show(proposed(ramp))["amount"] == "3.9"


def test_a_payment_that_bounced_before_it_was_seen_is_returned_with_what_was_to_arrive(ramp: Offramp) -> None:
    out = exposed(ramp, "failed")
    with pytest.raises(RequestRefused, match="how much the bank shows"):
        say(ramp, out, Where.RETURNED)
    assert say(ramp, out, Where.RETURNED, credit="8.60")["state"] == "returned"
    assert books(ramp) == {}
    say(ramp, out, Where.LOST)
    assert ramp.system.balances()["stables_cost/EUR"] == 860
    assert ramp.system.cases() == []


def test_a_transfer_that_goes_on_after_all_is_followed_home(ramp: Offramp) -> None:
    out = exposed(ramp, "failed")
    with pytest.raises(NotPossible, match="does not go on by itself"):
        say(ramp, out, Where.RESUMED)
    ramp.post(f"transfers/{ramp.transfers()[0]['id']}/status", {"status": "payment_submitted"})
    shown = say(ramp, out, Where.RESUMED, evidence="Stables, ticket 12: released")
    assert shown["state"] == "submitted"
    assert books(ramp) == {IN_TRANSIT: WHOLE_MINOR}
    assert ramp.system.cases() == []
    ramp.post(f"transfers/{ramp.transfers()[0]['id']}/status", {"status": "completed"})
    ramp.until(out, "completed")
    assert books(ramp) == {}


def test_a_resumed_transfer_that_has_ended_well_completes_and_posts_once(ramp: Offramp) -> None:
    out = exposed(ramp, "failed")
    say(ramp, out, Where.AT_PROVIDER)
    ramp.post(f"transfers/{ramp.transfers()[0]['id']}/status", {"status": "completed"})
    assert say(ramp, out, Where.RESUMED)["state"] == "processed"
    ramp.until(out, "completed")
    assert ramp.system.services.report.balance()["balanced"]
    assert books(ramp) == {}


def test_what_was_found_in_part_cannot_be_resumed(ramp: Offramp) -> None:
    out = exposed(ramp, "failed")
    say(ramp, out, Where.FOUND, amount="1")
    ramp.post(f"transfers/{ramp.transfers()[0]['id']}/status", {"status": "completed"})
    with pytest.raises(NotPossible, match="not the whole amount"):
        say(ramp, out, Where.RESUMED)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (Said(Where.ARRIVED, " ", credit="1"), "evidence"),
        (Said(Where.ARRIVED, "x" * 1001, credit="1"), "evidence"),
        (Said(Where.ARRIVED, "a", credit="1.001"), "credit"),
        (Said(Where.BACK, "a", amount="1,5"), "amount"),
        (Said(Where.BACK, "a", cost="-1"), "cost"),
        (Said(Where.FOUND, "a", tx_hash="0xabc"), "hash"),
    ],
)
def test_words_that_cannot_be_taken_change_nothing(sqlite_ramp: Offramp, said: Said, name: str) -> None:
    out = exposed(sqlite_ramp)
    before = sqlite_ramp.system.balances()
    with pytest.raises(RequestRefused) as refused:
        sqlite_ramp.system.services.resolutions.say(out, said, who="ann")
    assert list(refused.value.fields) == [name]
    assert (sqlite_ramp.system.balances(), sqlite_ramp.state(out)) == (before, "needs_decision")


def test_a_payout_without_a_transfer_has_nothing_to_resolve(sqlite_ramp: Offramp) -> None:
    sqlite_ramp.settled()
    sqlite_ramp.account()
    out = proposed(sqlite_ramp)
    for where in Where:
        with pytest.raises(NotPossible):
            say(sqlite_ramp, out, where, amount="1", credit="1")
    with pytest.raises(NotFound):
        say(sqlite_ramp, "out_nothing", Where.LOST)


def test_what_awaits_funding_holds_nothing_that_could_be_lost_or_come_back(sqlite_ramp: Offramp) -> None:
    out = awaiting(sqlite_ramp)
    for where in (Where.LOST, Where.BACK):
        with pytest.raises(NotPossible, match="holds nothing"):
            say(sqlite_ramp, out, where)


def test_two_people_who_say_different_things_at_once_are_not_both_believed(ramp: Offramp) -> None:
    out = exposed(ramp)
    given, refused = at_once(
        lambda: say(ramp, out, Where.NEVER_SENT, who="ann"), lambda: say(ramp, out, Where.LOST, who="ben")
    )
    assert (len(given), len(refused)) == (1, 1)
    assert books(ramp) in ({FREE: WHOLE_MINOR}, {COST: WHOLE_MINOR})
    assert RESERVED not in books(ramp)


def test_what_stables_has_collected_was_sent(ramp: Offramp) -> None:
    ramp.switch(ends_as="failed", divert_s=150)
    out = revealed(ramp)
    ramp.system.services.payouts.simulate_deposit(out, who="ann")
    ramp.until(out, "funded")
    ramp.until(out, "needs_decision")
    assert books(ramp) == {IN_TRANSIT: WHOLE_MINOR}
    with pytest.raises(NotPossible, match="has collected funds"):
        say(ramp, out, Where.NEVER_SENT, who="ben")
    assert say(ramp, out, Where.BACK)["state"] == "cancelled"
    assert books(ramp) == {FREE: WHOLE_MINOR}


def test_a_credit_that_stables_never_stated_is_entered_when_the_bank_returns_it(ramp: Offramp) -> None:
    ramp.switch(sparse_answers=True)
    out = completed(ramp)
    assert ramp.system.services.payouts.show(out)["credit"] is None
    with pytest.raises(RequestRefused, match="how much the bank shows"):
        say(ramp, out, Where.RETURNED)
    say(ramp, out, Where.RETURNED, credit="8.60")
    assert ramp.system.balances()["returned/EUR"] == 860
    say(ramp, out, Where.ARRIVED, credit="8.60")
    assert (ramp.system.balances()["bank/EUR"], ramp.system.cases()) == (860, [])


def test_nothing_can_be_found_for_a_payout_that_never_had_an_address(sqlite_ramp: Offramp) -> None:
    sqlite_ramp.settled()
    sqlite_ramp.account()
    out = proposed(sqlite_ramp)
    sqlite_ramp.system.services.payouts.cancel(out, who="ann")
    with pytest.raises(NotPossible, match="has no transfer"):
        say(sqlite_ramp, out, Where.FOUND, amount="1")


def test_a_transaction_belongs_to_one_payout(sqlite_ramp: Offramp) -> None:
    first = completed(sqlite_ramp)
    sqlite_ramp.settled("10.00", "30")
    say(sqlite_ramp, first, Where.FOUND, amount="1", tx_hash=HASH)
    second = proposed(sqlite_ramp)
    sqlite_ramp.until(second, "quoted")
    sqlite_ramp.system.services.payouts.approve(second, min_credit=None, who="ann")
    sqlite_ramp.until(second, "awaiting_funding")
    sqlite_ramp.system.services.payouts.reveal(second, who="ann")
    with pytest.raises(NotPossible, match=f"stored for payout {first}"):
        say(sqlite_ramp, second, Where.UNDER, amount="5", tx_hash=HASH)
    assert sqlite_ramp.state(second) == "awaiting_funding"


def test_only_a_fresh_answer_lets_a_transfer_go_on(sqlite_ramp: Offramp) -> None:
    out = exposed(sqlite_ramp, "failed")
    sqlite_ramp.fault("/api/v1/transfers", "error_503_before_work", times=0, method="GET")
    with pytest.raises(NotPossible, match="could not be asked"):
        say(sqlite_ramp, out, Where.RESUMED)


@pytest.fixture
def sqlite_ramp(fast_folder: object) -> Iterator[Offramp]:
    with offramp(f"sqlite:///{fast_folder}/alone.db") as made:
        yield made
