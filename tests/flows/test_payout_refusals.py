"""Every no, silence and contradiction of Stables up to the transfer, each played by a script; nothing is sent twice."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from checkout.errors import LostRace, NotFound, NotPossible
from checkout.store import payouts
from tests.desk import Desk
from tests.flows.payout_desk import answers, approved, awaiting, desk, no, proposed, shown, state, wait
from tests.system import CUSTOMER

__all__ = ["desk"]

TRANSIENT = {"statusCode": 422, "error": "Unprocessable", "message": "later", "code": "ROUTING_QUOTE_FAILED"}


def test_what_nobody_knows_is_not_found(desk: Desk) -> None:
    verbs = desk.system.services.payouts
    with pytest.raises(NotFound):
        verbs.propose("nobody", account_id=None, who="ann")
    for act in (verbs.reveal, verbs.cancel, verbs.retry, verbs.simulate_deposit):
        with pytest.raises(NotFound):
            act("out_none", who="ann")


# --- the customer ------------------------------------------------------------------------------------------------------


def test_a_customer_that_cannot_be_read_now_is_read_later(desk: Desk) -> None:
    answers(desk, f"customers/{CUSTOMER}", no(503), httpx.ConnectTimeout("silence"))
    out = proposed(desk)
    assert (state(desk, out), "the customer could not be read" in shown(desk, out)["note"]) == ("proposed", True)
    wait(desk, minutes=5)
    wait(desk, minutes=5)
    assert state(desk, out) == "quoted"


@pytest.mark.parametrize(
    ("status", "cases"),
    [(404, ["customer_unreadable"]), (401, ["customer_unreadable", "stables_refuses_us"])],
)
def test_a_customer_that_stables_does_not_show_holds_the_payout(desk: Desk, status: int, cases: list[str]) -> None:
    answers(desk, f"customers/{CUSTOMER}", no(status))
    out = proposed(desk)
    assert state(desk, out) == "on_hold"
    assert desk.system.cases() == cases
    desk.system.services.payouts.retry(out, who="ann")
    desk.system.work()
    assert state(desk, out) == "quoted"


# --- the quote ---------------------------------------------------------------------------------------------------------


def test_a_quote_whose_answer_is_lost_is_asked_for_under_another_key(desk: Desk) -> None:
    answers(desk, "quotes", httpx.ReadTimeout("silence"), no(429))
    out = proposed(desk)
    assert "the quote is unknown" in shown(desk, out)["note"]
    wait(desk, minutes=6)
    wait(desk, minutes=6)
    assert state(desk, out) == "quoted"
    with desk.system.database.read() as unit:
        made = payouts.attempts_of(unit, out, "quote")
    assert [one.state for one in made] == ["unknown", "unknown", "accepted"]
    assert len({one.key for one in made}) == 3


def test_a_route_that_cannot_be_priced_just_now_is_tried_three_times(desk: Desk) -> None:
    answers(desk, "quotes", *(httpx.Response(422, json=TRANSIENT) for _ in range(3)))
    out = proposed(desk)
    assert state(desk, out) == "proposed"
    wait(desk, minutes=6)
    assert state(desk, out) == "proposed"
    wait(desk, minutes=6)
    assert (state(desk, out), desk.system.cases()) == ("on_hold", ["quote_declined"])


def test_a_declined_quote_waits_for_a_person(desk: Desk) -> None:
    answers(desk, "quotes", no(403))
    out = proposed(desk)
    assert (state(desk, out), desk.system.cases()) == ("on_hold", ["quote_declined", "stables_refuses_us"])


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ({"source": {"currency": "usdc", "network": "polygon", "amount": "9.72"}}, "it is for"),
        ({"source": {"currency": "usdc", "network": "solana", "amount": "9.71"}}, "it is on solana"),
        ({"destination": {"currency": "gbp", "network": "bank", "amount": "8.61"}}, "it credits GBP"),
        ({"destination": {"currency": "eur", "network": "swift", "amount": "8.61"}}, "it pays by swift"),
        ({"destination": {"currency": "eur", "network": "bank", "amount": "0"}}, "it credits nothing"),
    ],
)
def test_a_quote_for_something_else_is_kept_and_not_used(desk: Desk, says: dict[str, Any], why: str) -> None:
    desk.script.quote_says = says
    out = proposed(desk)
    assert (state(desk, out), desk.system.cases()) == ("on_hold", ["quote_unfit"])
    assert why in shown(desk, out)["note"]
    assert desk.system.balances()["treasury_reserved/USDC@polygon"] == 9_710_000


def test_a_step_whose_lease_is_another_workers_does_nothing(desk: Desk) -> None:
    out = desk.system.services.payouts.propose(desk.system.store.id, account_id=None, who="ann")
    with desk.system.database.read() as unit:
        row = payouts.payout_by_id(unit, out)
    assert row is not None
    with pytest.raises(LostRace, match="moved on"):
        desk.system.services.offramp.step(row, "somebody else's")
    assert state(desk, out) == "proposed"


# --- the transfer ------------------------------------------------------------------------------------------------------


def test_a_pause_between_the_reads_and_the_first_byte_sends_nothing(desk: Desk) -> None:
    stores = desk.system.services.stores
    out = proposed(desk)
    desk.system.clock.advance(minutes=11)  # so that the customer is read again just before
    desk.script.before[f"customers/{CUSTOMER}"] = lambda: stores.pause("Shop", reason="stock take", who="ann")
    desk.system.services.payouts.approve(out, min_credit=None, who="ann")
    desk.system.work()
    assert desk.script.transfers == {}
    assert "stock take" in shown(desk, out)["note"]
    stores.resume("Shop", who="ann")
    wait(desk, minutes=6)
    assert len(desk.script.transfers) == 1


def test_a_worker_that_was_frozen_past_its_lease_sends_nothing(desk: Desk) -> None:
    out = proposed(desk)
    desk.system.clock.advance(minutes=11)
    desk.script.before[f"customers/{CUSTOMER}"] = lambda: desk.system.clock.advance(minutes=3)
    desk.system.services.payouts.approve(out, min_credit=None, who="ann")
    desk.system.work()
    assert len(desk.script.transfers) <= 1
    wait(desk, minutes=6)
    assert len(desk.script.transfers) == 1, "another worker went on with the one attempt"
    with desk.system.database.read() as unit:
        assert len(payouts.attempts_of(unit, out, "transfer")) == 1


def test_a_repeat_that_is_refused_is_settled_by_reading(desk: Desk) -> None:
    answers(desk, "transfer", httpx.ReadTimeout("silence"), no(422, "quote used"))
    out = approved(desk)
    assert "the transfer is unknown" in shown(desk, out)["note"]
    answers(desk, "transfers", no(503), no(400))
    for _ in range(3):
        wait(desk, minutes=6)
    assert "the list could not be read" in shown(desk, out)["note"]
    desk.script.next_answers.clear()
    for _ in range(12):
        wait(desk, minutes=6)
    assert len(desk.script.transfers) <= 1
    with desk.system.database.read() as unit:
        assert payouts.attempts_of(unit, out, "transfer")[0].state == "dead"


def test_a_declined_transfer_waits_for_a_person_and_a_stale_quote_is_drawn_again(desk: Desk) -> None:
    answers(desk, "transfer", httpx.Response(422, json=TRANSIENT))
    out = approved(desk)
    assert state(desk, out) == "transfer_created", "a fresh quote inside the mandate served"
    assert len(desk.script.quotes) == 2


def test_a_clear_no_to_the_transfer_holds_the_payout(desk: Desk) -> None:
    answers(desk, "transfer", no(401, "who are you?"))
    out = approved(desk)
    assert (state(desk, out), desk.system.cases()) == ("on_hold", ["stables_refuses_us", "transfer_declined"])


def test_a_transfer_that_cannot_be_read_is_read_later(desk: Desk) -> None:
    out = approved(desk)
    ident = desk.script.only()["id"]
    answers(desk, f"transfers/{ident}", no(400), no(503), no(400))
    for _ in range(3):
        wait(desk, minutes=6)
    assert "the transfer could not be read" in shown(desk, out)["note"]
    assert state(desk, out) == "transfer_created"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"wallet_address": "0x" + "0" * 39 + "1"}, "address has changed"),
        ({"wallet_address": "bc1q"}, "address"),
        ({"currency": "USDT"}, "they ask for USDT"),
        ({"network": "solana"}, "solana"),
        ({"amount": "9.72"}, "9.72"),
        ({"amount": "9.7100001"}, "no instructions"),
        (None, "no instructions"),
    ],
)
def test_instructions_that_change_are_never_revealed(desk: Desk, changes: dict[str, Any] | None, why: str) -> None:
    out = awaiting(desk)
    told = desk.script.only()
    told["source_deposit_instructions"] = (
        None if changes is None else {**told["source_deposit_instructions"], **changes}
    )
    with pytest.raises(NotPossible, match=r"disagrees|still hold") as refused:
        desk.system.services.payouts.reveal(out, who="ann")
    assert why in str(refused.value) or "still hold" in str(refused.value)
    wait(desk, minutes=6)
    assert state(desk, out) in ("needs_decision", "awaiting_funding")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"customer_id": "7f9b0b0e-5a53-4c3a-9a0a-3d6f0f6f2a22"}, "another customer"),
        ({"destination": {"iban": "AT611904300234573201", "amount": "8.61", "currency": "eur"}}, "iban"),
        ({"destination": {"amount": "8.00", "currency": "eur"}}, "credits EUR 8.00"),
        ({"destination": {"amount": "8.6111", "currency": "eur"}}, "destination"),
    ],
)
def test_a_transfer_that_is_not_what_was_approved_goes_to_a_person(
    desk: Desk, changes: dict[str, Any], why: str
) -> None:
    out = approved(desk)
    desk.says(out, "awaiting_funds_collection", **changes)
    assert (state(desk, out), desk.system.cases()) == ("needs_decision", ["transfer_mismatch"])
    assert why in shown(desk, out)["note"]
    with pytest.raises(NotPossible):
        desk.system.services.payouts.reveal(out, who="ann")


def test_an_address_that_served_before_is_never_used_again(desk: Desk) -> None:
    first = desk.completed()
    used = desk.script.of(first)["source_deposit_instructions"]["wallet_address"]
    desk.settled("9.00", received="9.71", fee="0")
    desk.script.address = used
    out = approved(desk)
    desk.says(out, "awaiting_funds_collection")
    assert "has served another transfer" in shown(desk, out)["note"]
