"""What waits at each stage, by age, tied to the ledger; and tracing from any identifier a person may hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.rules.ages import OLDEST, age_of
from checkout.store import events, payouts
from checkout.store.tables import customer, payment_link, refund, settlement_record
from tests.desk import Desk
from tests.system import System


def stages(system: System, **asked: Any) -> dict[str, dict[str, Any]]:
    given: dict[str, Any] = {"start": None, "end": None, "limit": 50}
    found = system.services.reconciling.report(system.store.id, **(given | asked))
    assert found["differences"] == []
    return {one["stage"]: one for one in found["stores"][0]["stages"]}


def hear(system: System, *words: str, amount: str = "9.00", paid: float | None = None) -> str:
    session = system.sessions(system.pay(amount).payment.id)[0]
    system.hear(session, *words, amount=float(amount) if paid is None else paid)
    return str(session.reference)


def test_every_stage_shows_what_waits_since_when_and_ties_to_the_ledger(desk: Desk) -> None:
    system = desk.system
    desk.settled("4.00", received="4.30", fee="0")
    held = system.services.payouts.propose(system.store.id, account_id=None, who="ann")
    system.work()
    desk.settled("6.00", received="6.40", fee="0.10")
    hear(system, "accepted", "completed", amount="5.00", paid=7.0)
    system.clock.advance(days=4)
    first = hear(system, "accepted")
    system.clock.advance(days=2)
    hear(system, "accepted", amount="1.00")
    system.clock.advance(hours=2)
    found = stages(system)
    waiting = found["accepted_not_settled"]
    assert waiting["sums"] == [
        {"asset": "EUR", "amount": "10.00", "ledger": "10.00", "by_age": {"under a day": "1.00", "1 to 3 days": "9.00"}}
    ]
    assert first in waiting["items"][0]["about"]
    assert waiting["items"][0]["age_s"] >= 2 * 86_400
    assert found["settled_without_evidence"]["sums"][0] | {"by_age": None} == {
        "asset": "EUR", "amount": "5.00", "ledger": "5.00", "by_age": None,
    }  # fmt: skip
    assert found["record_not_in_a_payout"]["sums"][0]["amount"] == "6.400000"
    assert [one["id"] for one in found["payout_under_way"]["items"]] == [held]
    assert found["payout_under_way"]["sums"][0]["amount"] == "4.300000"
    assert found["nobodys_money"]["sums"][0]["by_age"] == {"3 to 7 days": "2.00"}
    assert found["refund_under_way"]["count"] == 0
    assert [one["amount"] for one in stages(system, limit=1)["accepted_not_settled"]["items"]] == ["9.00"]


def test_what_was_held_back_and_then_allocated_waits_for_a_payout(desk: Desk) -> None:
    system = desk.system
    reference = hear(system, "completed", paid=10.0)
    second = hear(system, "completed", paid=11.0)
    system.services.treasury.record(
        system.store.id, asset="USDC", network="polygon", amount="21", fee="0", deposits=[reference, second],
        evidence="advice", who="ann",
    )  # fmt: skip
    assert stages(system)["nobodys_money"]["sums"][0]["amount"] == "3.000000"
    system.services.treasury.allocate(reference, evidence="a tip", who="ann")
    found = stages(system)
    assert {one["state"] for one in found["record_not_in_a_payout"]["items"]} == {"recorded", "allocated"}
    assert found["record_not_in_a_payout"]["sums"][0]["amount"] == "19.000000"
    assert found["nobodys_money"]["sums"][0]["amount"] == "2.000000"
    system.services.treasury.allocate(second, evidence="a tip", who="ann")
    assert stages(system)["nobodys_money"]["sums"] == []


def test_the_turnover_of_a_period_opens_where_the_last_one_closed(sqlite_desk: Desk) -> None:
    system = sqlite_desk.system
    start = system.clock.now
    sqlite_desk.settled("4.00", received="4.30", fee="0")
    middle = system.clock.now + timedelta(seconds=1)
    system.clock.advance(days=1)
    hear(system, "completed", amount="2.00")
    report = system.services.reconciling.report
    first = report("Shop", start=start, end=middle, limit=5)["stores"][0]["turnover"]
    later = report(None, start=middle, end=None, limit=5)["stores"][0]["turnover"]
    closing = {(one["account"], one["asset"]): one["closing"] for one in first}
    opening = {(one["account"], one["asset"]): one["opening"] for one in later}
    assert all(opening[account] == closing[account] for account in closing)
    shopper = next(one for one in later if one["account"] == "shopper_receivable")
    assert (shopper["opening"], shopper["given"], shopper["closing"]) == ("-4.00", "2.00", "-6.00")
    with pytest.raises(RequestRefused):
        report(None, start=middle, end=start, limit=5)
    with pytest.raises(NotFound):
        report("nobody", start=None, end=None, limit=5)


def test_rows_that_do_not_add_up_to_the_ledger_are_named(sqlite_desk: Desk) -> None:
    system = sqlite_desk.system
    sqlite_desk.settled("4.00", received="4.30", fee="0")
    with system.database.write() as unit:
        unit.execute(update(settlement_record).values(free_minor=1))
    found = system.services.reconciling.report(None, start=None, end=None, limit=5)
    assert found["differences"] == [
        "Shop: record_not_in_a_payout has 0.000001 USDC@polygon, the ledger 4.300000",
        "Shop: nobodys_money has 4.299999 USDC@polygon, the ledger 0.000000",
    ]


def test_an_age_is_told_in_words() -> None:
    assert [age_of(timedelta(days=one)) for one in (0, 1, 3, 7, 30)] == [
        "under a day", "1 to 3 days", "3 to 7 days", "7 to 30 days", OLDEST,
    ]  # fmt: skip


# --- tracing -----------------------------------------------------------------------------------------------------


def test_every_identifier_of_the_line_leads_to_the_whole_line(desk: Desk) -> None:
    system = desk.system
    (reference,) = desk.settled("9.00", received="9.71", fee="0")
    out = desk.awaiting()
    system.services.payouts.funded(out, tx_hash="0x" + "AB" * 32, who="ann")
    desk.says(out, "completed")
    trace = system.services.report.trace
    line = trace(out)
    payment = line["payments"][0]
    session = system.sessions(payment["id"])[0]
    deposit = payment["deposits"][0]
    with system.database.read() as unit:
        transfer = payouts.transfer_of(unit, out)
        attempts = [*payouts.attempts_of(unit, out, "quote"), *payouts.attempts_of(unit, out, "transfer")]
        mandate = payouts.mandates_of(unit, out)[0]["id"]
    assert transfer is not None
    held = [
        payment["id"], payment["order"], session.id, reference, session.website_reference, session.provider_key,
        f"sid-{session.id}", deposit["id"], deposit["settlement_record"]["id"], deposit["events"][0]["id"], transfer.id,
        transfer.provider_transfer_id, transfer.quote_id, line["payouts"][0]["quotes"][0]["id"], mandate,
        *(one.id for one in attempts), *(one.key for one in attempts), "0x" + "ab" * 32, "0x" + "AB" * 32, out,
        payment["notifications"][0]["id"],
    ]  # fmt: skip
    for ident in held:
        found = trace(ident)
        assert [one["id"] for one in found["payments"]] == [payment["id"]], ident
        assert [one["id"] for one in found["payouts"]] == [out], ident


def test_a_refund_a_link_and_a_customer_lead_to_their_payments(sqlite_desk: Desk) -> None:
    system = sqlite_desk.system
    reference = hear(system, "completed")
    payment = system.services.report.trace(reference)["payments"][0]
    with system.database.write() as unit:
        unit.execute(
            insert(refund),
            {
                "id": "ref_1", "payment_id": payment["id"], "deposit_id": payment["deposits"][0]["id"],
                "idempotency_key": "k", "request_hash": "h", "amount_minor": 100, "currency": "EUR",
                "state": "needs_details", "reference": "WD-1", "created_at": system.clock.now,
            },
        )  # fmt: skip
    for ident in ("ref_1", "WD-1"):
        found = system.services.report.trace(ident)["payments"]
        assert [one["id"] for one in found] == [payment["id"]]
        assert [(one["id"], one["state"], one["amount"]) for one in found[0]["refunds"]] == [
            ("ref_1", "needs_details", "1.00")
        ]
    assert stages(system)["refund_under_way"]["items"][0]["state"] == "needs_details"


def test_a_case_leads_to_what_it_is_about(sqlite_desk: Desk) -> None:
    system = sqlite_desk.system
    reference = hear(system, "completed", paid=5.0)
    payment = system.services.report.trace(reference)["payments"][0]
    assert [one["id"] for one in system.services.report.trace(payment["cases"][0]["id"])["payments"]] == [payment["id"]]


def test_what_has_no_line_yet_is_said_in_words_and_what_is_not_there_is_not_found(sqlite_desk: Desk) -> None:
    system = sqlite_desk.system
    with pytest.raises(NotFound):
        system.services.report.trace("nothing-of-ours")
    body = system.event(system.sessions(system.pay().payment.id)[0], "created")
    system.deliver(body.replace(b"reference", b"referenz").replace(b"sessionId", b"x").replace(b"idempotencyKey", b"y"))
    with system.database.read() as unit:
        (parked,) = events.list_events(unit, state=None, limit=1)
    with pytest.raises(NotPossible, match="delivery"):
        system.services.report.trace(parked.id)


def test_a_link_a_customer_and_a_record_without_a_payment_are_named(sqlite_desk: Desk) -> None:
    system = sqlite_desk.system
    now = system.clock.now
    with system.database.write() as unit:
        unit.execute(
            insert(payment_link),
            {
                "id": "lnk_1", "store_id": system.store.id, "idempotency_key": "k", "request_hash": "h",
                "token_hash": "t", "token_sealed": b"x", "flow": "hosted", "currency": "EUR", "country": "DE",
                "order_ref": "o", "metadata": "{}", "single_use": False, "created_at": now,
            },
        )  # fmt: skip
        unit.execute(
            insert(customer),
            {
                "id": "cus_1", "store_id": system.store.id, "external_id": "jo", "provider_user_id": "u", "created_at": now,
                "updated_at": now,
            },
        )  # fmt: skip
        unit.execute(
            insert(settlement_record),
            {
                "id": "set_1", "store_id": system.store.id, "asset": "USDC", "network": "polygon", "received_minor": 1,
                "free_minor": 0, "currency": "EUR", "deposits_minor": 1, "fee_minor": 0, "kind": "declared",
                "evidence": "e", "withdrawn_at": now, "created_at": now, "created_by": "checkout",
            },
        )  # fmt: skip
    trace = system.services.report.trace
    for ident, words in (("lnk_1", "payment link"), ("jo", "customer without"), ("set_1", "taken back")):
        with pytest.raises(NotPossible, match=words):
            trace(ident)
