"""What is refused once a transfer exists: reveal, funding, stopping, starting again; and what is put before a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from checkout.app import build
from checkout.config import Settings
from checkout.errors import NotPossible
from checkout.paying_out.resolution_verbs import Said
from checkout.rules.resolutions import Where
from checkout.rules.work import PAYOUT_SILENCE
from checkout.store import payouts
from checkout.store.tables import mandate, payout_account
from tests.desk import Desk
from tests.flows.payout_desk import answers, approved, awaiting, desk, no, proposed, shown, state, wait
from tests.flows.test_account_flow import LIVE
from tests.system import environment

__all__ = ["desk"]


def test_reveal_is_refused_while_stables_is_silent_and_late_in_the_window(desk: Desk) -> None:
    out = awaiting(desk)
    reveal = desk.system.services.payouts.reveal
    answers(desk, "transfers/", no(503))
    with pytest.raises(NotPossible, match="could not be asked"):
        reveal(out, who="ann")
    first, second = reveal(out, who="ann"), reveal(out, who="ben")
    assert first.address == second.address
    desk.system.clock.advance(hours=1)
    with pytest.raises(NotPossible, match="of the funding window are left"):
        reveal(out, who="ann")


def test_a_transfer_whose_mandate_was_voided_is_never_shown(desk: Desk) -> None:
    out = awaiting(desk)
    (account,) = desk.system.services.payout_accounts.list("Shop")
    desk.system.services.payout_accounts.retire(account["id"], who="ann")
    with pytest.raises(NotPossible, match="holds no more: the payout account was retired"):
        desk.system.services.payouts.reveal(out, who="ann")


def test_a_deposit_is_asked_for_once_whatever_the_sandbox_answers(desk: Desk) -> None:
    out = awaiting(desk)
    verbs = desk.system.services.payouts
    verbs.reveal(out, who="ann")
    path = f"transfers/{desk.script.only()['id']}/sandbox/"
    answers(desk, path, no(422, "not now"), httpx.ReadTimeout("silence"))
    with pytest.raises(NotPossible, match="the sandbox refused: not now"):
        verbs.simulate_deposit(out, who="ann")
    with pytest.raises(NotPossible, match="did not answer"):
        verbs.simulate_deposit(out, who="ann")
    with pytest.raises(NotPossible, match="never asked for twice"):
        verbs.simulate_deposit(out, who="ann")
    desk.says(out, "funds_collected")
    with pytest.raises(NotPossible, match="has the funds"):
        verbs.simulate_deposit(out, who="ann")


def test_what_a_person_paid_is_named_once(desk: Desk) -> None:
    out = awaiting(desk)
    verbs = desk.system.services.payouts
    verbs.reveal(out, who="ann")
    verbs.funded(out, tx_hash=None, who="ann")
    with pytest.raises(NotPossible, match="paid once"):
        verbs.funded(out, tx_hash=None, who="ann")
    tx = "0x" + "ab" * 32
    verbs.funded(out, tx_hash=tx, who="ann")
    with pytest.raises(NotPossible, match=r"stored for payout|paid once"):
        verbs.funded(out, tx_hash="0x" + "cd" * 32, who="ann")
    with pytest.raises(NotPossible):
        verbs.approve(out, min_credit="8,50", who="ann")


def test_funds_at_an_address_nobody_was_shown_open_a_case(desk: Desk) -> None:
    out = awaiting(desk)
    desk.says(out, "funds_collected")
    assert "funded_without_reveal" in desk.system.cases()
    assert state(desk, out) == "funded"


def test_a_transfer_that_does_not_move_for_days_is_somebodys_to_ask_about(desk: Desk) -> None:
    out = awaiting(desk)
    desk.system.services.payouts.reveal(out, who="ann")
    desk.says(out, "payment_submitted")
    wait(desk, seconds=PAYOUT_SILENCE.total_seconds() + 60)
    assert "payout_silent" in desk.system.cases()


def test_live_mode_simulates_nothing(desk: Desk) -> None:
    url = desk.system.database.url.render_as_string(hide_password=False)
    live = build(
        Settings.from_env({**environment(url, **LIVE)}), stable_mint_transport=httpx.MockTransport(lambda _: no(503)),
        stables_transport=httpx.MockTransport(lambda _: no(503)), storefront_transport=httpx.MockTransport(lambda _: no(503)),
    )  # fmt: skip
    with pytest.raises(NotPossible, match="only the sandbox"):
        live.payouts.simulate_deposit("out_any", who="ann")
    live.close()


# --- stopping, starting again, and what a hold is ----------------------------------------------------------------------


def test_a_pause_stops_a_payout_that_is_proposed_and_forbids_another(desk: Desk) -> None:
    verbs, stores = desk.system.services.payouts, desk.system.services.stores
    out = verbs.propose(desk.system.store.id, account_id=None, who="ann")
    stores.pause("all", reason="audit", who="ann")
    desk.system.work()
    assert (state(desk, out), desk.script.quotes) == ("proposed", {})
    assert "audit" in shown(desk, out)["note"]
    with pytest.raises(NotPossible, match="audit"):
        verbs.propose(desk.system.store.id, account_id=None, who="ann")


def test_what_may_exist_at_stables_is_neither_cancelled_nor_started_again(desk: Desk) -> None:
    out = approved(desk)
    verbs = desk.system.services.payouts
    with pytest.raises(NotPossible, match="may exist at Stables"):
        verbs.cancel(out, who="ann")
    desk.says(out, "compliance_hold")
    assert (state(desk, out), desk.system.cases()) == ("on_hold", ["compliance_hold"])
    with pytest.raises(NotPossible, match="has a transfer"):
        verbs.retry(out, who="ann")
    desk.says(out, "expired")
    assert state(desk, out) == "expired"
    assert desk.system.balances()["treasury_free/USDC@polygon"] == 9_710_000


def test_a_fresh_quote_outside_the_mandate_is_not_used(desk: Desk) -> None:
    desk.script.quote_life = timedelta(minutes=5)
    out = proposed(desk)
    desk.system.clock.advance(minutes=6)
    desk.script.credit = "8.10"
    desk.system.services.payouts.approve(out, min_credit=None, who="ann")
    desk.system.work()
    assert (state(desk, out), desk.system.cases()) == ("quoted", ["payout_needs_approval"])
    assert desk.script.transfers == {}


def test_no_instructions_yet_means_looking_again(desk: Desk) -> None:
    out = approved(desk)
    told = desk.script.only()
    given = told.pop("source_deposit_instructions")
    desk.says(out, "awaiting_funds_collection")
    with desk.system.database.read() as unit:
        transfer = payouts.transfer_of(unit, out)
    assert transfer is not None
    if transfer.checked_at is None:
        assert state(desk, out) == "transfer_created"
    told["source_deposit_instructions"] = given
    desk.says(out, "awaiting_funds_collection")
    assert state(desk, out) == "awaiting_funding"


def test_an_account_that_no_transfer_can_be_made_of_is_never_sent(desk: Desk) -> None:
    out = proposed(desk)
    desk.system.services.payouts.approve(out, min_credit=None, who="ann")
    with desk.system.database.write() as unit:  # as an older version might have stored it
        unit.execute(payout_account.update().values(purpose_code="\n"))
        unit.execute(mandate.update().values(purpose_code="\n"))
    desk.system.work()
    assert (state(desk, out), desk.system.cases()) == ("on_hold", ["transfer_declined"])
    assert "not sent" in shown(desk, out)["note"]
    assert desk.script.transfers == {}


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ({"quote_id": "7f9b0b0e-5a53-4c3a-9a0a-3d6f0f6f2a22"}, "another quote"),
        ({"metadata": {"payout": "out_of_somebody_else"}}, "names another payout"),
        ({"metadata": {"installation": "ins_other"}}, "names another installation"),
    ],
)
def test_an_answer_that_is_somebody_elses_transfer_goes_to_a_person(desk: Desk, says: dict[str, Any], why: str) -> None:
    desk.script.transfer_says = says
    out = approved(desk)
    assert (state(desk, out), desk.system.cases()) == ("needs_decision", ["transfer_mismatch"])
    assert why in shown(desk, out)["note"]


def test_instructions_may_come_later_and_must_be_of_the_network(desk: Desk) -> None:
    desk.script.transfer_says = {"source_deposit_instructions": None}
    out = approved(desk)
    desk.says(out, "awaiting_funds_collection")
    assert state(desk, out) == "transfer_created", "there is nothing to reveal yet"
    given = {"wallet_address": "0x123", "currency": "USDC", "network": "polygon", "amount": "9.71"}
    desk.says(out, "awaiting_funds_collection", source_deposit_instructions=given)
    assert (state(desk, out), desk.system.cases()) == ("needs_decision", ["transfer_mismatch"])
    assert "is not one of polygon" in shown(desk, out)["note"]


def test_a_transfer_whose_answer_was_lost_is_found_in_the_list(desk: Desk) -> None:
    desk.script.lost = [no(409, "the quote is used") for _ in range(4)]
    out = approved(desk)
    for _ in range(3):
        wait(desk, minutes=6)
    assert len(desk.script.transfers) == 1
    assert state(desk, out) in ("transfer_created", "awaiting_funding")


def test_no_fresh_quote_at_the_last_moment_sends_nothing(desk: Desk) -> None:
    desk.script.quote_life = timedelta(minutes=5)
    out = proposed(desk)
    desk.system.clock.advance(minutes=6)
    answers(desk, "quotes", no(503))
    desk.system.services.payouts.approve(out, min_credit=None, who="ann")
    desk.system.work()
    assert (state(desk, out), desk.script.transfers) == ("approved", {})
    wait(desk, minutes=6)
    assert state(desk, out) == "transfer_created"


def test_what_stables_has_collected_was_not_never_sent(desk: Desk) -> None:
    out = awaiting(desk)
    desk.system.services.payouts.reveal(out, who="ann")
    desk.says(out, "funds_collected")
    desk.says(out, "failed")
    assert state(desk, out) == "needs_decision"
    with pytest.raises(NotPossible, match="has collected funds"):
        desk.system.services.resolutions.say(out, Said(Where.NEVER_SENT, "the wallet shows nothing"), who="ann")
