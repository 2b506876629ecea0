"""Asking for money back: the straight path, what may be asked, and who may see it."""

from __future__ import annotations

import pytest

from checkout.errors import IdempotencyReused, NotFound, NotPossible, RequestRefused
from checkout.refunding.refund_resolving import Resolution
from checkout.rules.money import Money
from checkout.store import moves, payments
from tests.flows.refund_days import (
    IBAN,
    PERSON,
    answering,
    approved,
    ask,
    attempt,
    deposit,
    hear,
    paid,
    record,
    row,
    state,
    taken,
    wanted,
    withdrawals,
)
from tests.system import System


def test_a_refund_is_asked_for_approved_sent_once_and_explained_to_the_cent(system: System) -> None:
    settled = paid(system)
    asked = ask(system, settled.payment_id, "4.00")
    ident = asked.row.id
    assert (asked.row.state, asked.missing, asked.row.approved_by) == ("requested", (), None)
    assert system.balances() == {
        "shopper_receivable/EUR": -900, "refunds_payable/EUR": 400, "stable_mint_settled/EUR": 500,
    }  # fmt: skip
    system.work()
    assert withdrawals(system) == [], "asking sends nothing"
    with answering(system, taken("W1")):
        system.services.refunds.approve(ident, who="ann")
        system.work()
    (sent,) = withdrawals(system)
    assert (sent["amount"], sent["currency"], sent["creditorAccount"]) == (4, "EUR", IBAN)
    assert (sent["userEmail"], sent["userIp"]) == ("ada@shop.example", "203.0.113.7")
    assert (state(system, ident), row(system, ident).reference) == ("sending", "W1")
    hear(system, ident, "requested", "accepted", "sent")
    assert state(system, ident) == "sent"
    assert system.balances() == {"shopper_receivable/EUR": -500, "stable_mint_settled/EUR": 500}
    assert system.told(ident) == ["refund.requested", "refund.sending", "refund.accepted", "refund.sent"]
    assert system.services.report.balance()["balanced"]
    assert system.cases() == []
    with system.database.read() as unit:
        acts = [(one["who"], one["action"]) for one in moves.acts_on(unit, ident)]
        steps = [(one["after"], one["who"]) for one in moves.moves_of(unit, ident)]
    assert acts == [("ann", "refund requested"), ("ann", "refund approved")]
    assert steps == [("requested", "ann"), ("sending", "checkout"), ("accepted", "checkout"), ("sent", "checkout")]


def test_what_is_left_goes_on_to_treasury(system: System) -> None:
    settled = paid(system)
    ident = approved(system, settled.payment_id, "4.00")
    with pytest.raises(NotPossible, match="has a refund under way"):
        record(system, settled.id)
    hear(system, ident, "sent")
    record(system, settled.id, amount="5.39")
    assert system.balances() == {
        "shopper_receivable/EUR": -500, "exchange/EUR": 500, "exchange/USDC@polygon": -5_390_000,
        "treasury_free/USDC@polygon": 5_390_000,
    }  # fmt: skip


def test_a_deposit_that_was_refunded_whole_is_no_ones_treasury(system: System) -> None:
    settled = paid(system)
    hear(system, approved(system, settled.payment_id), "sent")
    assert system.balances() == {}
    with pytest.raises(NotPossible, match="they were refunded"):
        record(system, settled.id)


def test_an_accepted_deposit_can_be_refunded_and_settles_around_its_refund(system: System) -> None:
    accepted = paid(system, "accepted")
    ident = approved(system, accepted.payment_id, "4.00")
    assert system.balances() == {
        "shopper_receivable/EUR": -900, "refunds_payable/EUR": 400, "stable_mint_accepted/EUR": 500,
    }  # fmt: skip
    session = system.sessions(accepted.payment_id)[0]
    system.hear(session, "completed")
    assert system.balances() == {
        "shopper_receivable/EUR": -900, "refunds_payable/EUR": 400, "stable_mint_settled/EUR": 500,
    }  # fmt: skip
    hear(system, ident, "failed")
    assert system.balances() == {"shopper_receivable/EUR": -900, "stable_mint_settled/EUR": 900}


def test_a_refund_that_is_stopped_gives_its_money_back(system: System) -> None:
    settled = paid(system)
    ident = ask(system, settled.payment_id).row.id
    with pytest.raises(NotPossible, match="more than can be refunded"):
        ask(system, settled.payment_id, "0.10")
    system.services.refund_resolving.resolve(ident, Resolution.STOPPED, evidence="asked twice", who="ann")
    assert (state(system, ident), system.told(ident)[-1]) == ("failed", "refund.failed")
    assert system.balances() == {"shopper_receivable/EUR": -900, "stable_mint_settled/EUR": 900}
    assert not deposit(system, settled.payment_id).refund_live
    assert ask(system, settled.payment_id).row.state == "requested"


def test_the_attempt_is_one_row_with_its_own_key(sqlite_system: System) -> None:
    ident = approved(sqlite_system, paid(sqlite_system).payment_id)
    made = attempt(sqlite_system, ident)
    sent = withdrawals(sqlite_system)[0]
    assert (made.kind, made.sends, made.key) == ("withdrawal", 1, sent["idempotencyKey"])
    assert sent["websiteReference"] == row(sqlite_system, ident).website_reference
    assert sent["websiteReference"] != made.key


# --- what may be asked -------------------------------------------------------------------------------------------


def test_the_same_request_under_the_same_key_is_one_refund(system: System) -> None:
    settled = paid(system)
    first = wanted("4.00")
    one, new = system.services.refunds.request(settled.payment_id, first, who="ann")
    two, again = system.services.refunds.request(settled.payment_id, first, who="bob")
    assert (new, again, one.row.id) == (True, False, two.row.id)
    with pytest.raises(IdempotencyReused):
        system.services.refunds.request(
            settled.payment_id, wanted("5.00", idempotency_key=first.idempotency_key), who="ann"
        )


def test_nothing_more_than_was_received_can_be_asked_for(system: System) -> None:
    settled = paid(system)
    ask(system, settled.payment_id, "5.00")
    assert system.services.refunds.refundable(settled.payment_id) == {settled.id: Money(400, "EUR")}
    with pytest.raises(NotPossible, match=r"EUR 4\.01 is more than can be refunded: EUR 4\.00"):
        ask(system, settled.payment_id, "4.01")
    ask(system, settled.payment_id, "4.00")
    with pytest.raises(NotPossible, match=r"EUR 0\.00 of deposit"):
        ask(system, settled.payment_id, "0.10")


def test_a_payment_that_received_nothing_has_nothing_to_refund(sqlite_system: System) -> None:
    system = sqlite_system
    pending = paid(system, "submitted")
    with pytest.raises(NotPossible, match="nothing in EUR has been received"):
        ask(system, pending.payment_id)
    other = paid(system)
    with pytest.raises(NotPossible, match="nothing in USD"):
        ask(system, other.payment_id, "1.00", currency="USD")
    with pytest.raises(NotFound):
        ask(system, "pay_nothing")
    stranger = system.services.stores.create("Other", ["https://other.example"], who="ann")
    with pytest.raises(NotFound):
        ask(system, other.payment_id, store=system.services.stores.find(stranger.id))


def test_bad_amounts_and_details_are_all_named(sqlite_system: System) -> None:
    settled = paid(sqlite_system)
    with pytest.raises(RequestRefused) as refused:
        ask(sqlite_system, settled.payment_id, "0.05", details={"user_ip": "here", "creditor_account": "DE00"})
    assert set(refused.value.fields) == {"amount", "user_ip"}


def test_the_second_receipt_goes_back_first_and_one_may_be_named(sqlite_system: System) -> None:
    system = sqlite_system
    first = paid(system)
    system.hear(system.sessions(first.payment_id)[0], "completed", reference="SECOND")
    with system.database.read() as unit:
        second = payments.deposit_by_reference(unit, "SECOND")
    assert second is not None
    duplicate = ask(system, first.payment_id)
    assert duplicate.row.deposit_id == second.id
    assert system.balances()["stable_mint_settled/EUR"] == 900, "the order's own money stays"
    assert "unallocated/EUR" not in system.balances()
    named = ask(system, first.payment_id, "1.00", deposit=first.reference)
    assert named.row.deposit_id == first.id
    with pytest.raises(NotPossible, match="more than can be refunded"):
        ask(system, first.payment_id, "9.00", deposit=first.id)


def test_a_payment_has_only_so_many_refunds(sqlite_system: System) -> None:
    settled = paid(sqlite_system)
    resolve = sqlite_system.services.refund_resolving.resolve
    for _ in range(50):
        resolve(ask(sqlite_system, settled.payment_id).row.id, Resolution.STOPPED, evidence="again", who="ann")
    with pytest.raises(NotPossible, match="has had 50 refunds"):
        ask(sqlite_system, settled.payment_id)


def test_overpaid_money_goes_back_before_the_orders_own(sqlite_system: System) -> None:
    system = sqlite_system
    answer = system.pay("9.00", flow="hosted_partner", customer=PERSON)
    system.hear(system.sessions(answer.payment.id)[0], "completed", amount=10)
    ident = approved(system, answer.payment.id, "1.00")
    assert system.balances() == {
        "shopper_receivable/EUR": -1000, "refunds_payable/EUR": 100, "stable_mint_settled/EUR": 900,
    }  # fmt: skip
    hear(system, ident, "sent")
    assert system.balances() == {"shopper_receivable/EUR": -900, "stable_mint_settled/EUR": 900}


def test_another_stores_refund_does_not_exist(sqlite_system: System) -> None:
    system = sqlite_system
    settled = paid(system)
    ident = ask(system, settled.payment_id).row.id
    made = system.services.stores.create("Other", ["https://other.example"], who="ann")
    other = system.services.stores.find(made.id)
    refunds = system.services.refunds
    for act in (
        lambda: refunds.get(ident, store=other),
        lambda: refunds.get(ident, payment_id="pay_other"),
        lambda: refunds.get("ref_none"),
        lambda: refunds.give_details(ident, {"user_ip": "203.0.113.7"}, who="x", store=other),
        lambda: refunds.page(store_id=other.id, payment_id=settled.payment_id, limit=5),
        lambda: refunds.page(payment_id="pay_none", limit=5),
    ):
        with pytest.raises(NotFound):
            act()
    assert refunds.get(ident, store=system.store, payment_id=settled.payment_id).row.id == ident


def test_refunds_are_listed_newest_first_in_pages(sqlite_system: System) -> None:
    system = sqlite_system
    settled = paid(system)
    made = []
    for _ in range(3):
        made.append(ask(system, settled.payment_id, "1.00").row.id)
        system.clock.advance(seconds=1)
    page, more = system.services.refunds.page(payment_id=settled.payment_id, limit=2)
    assert ([one.row.id for one in page], more) == ([made[2], made[1]], True)
    rest, more = system.services.refunds.page(store_id=system.store.id, limit=2, starting_after=made[1])
    assert ([one.row.id for one in rest], more) == ([made[0]], False)
    none, _ = system.services.refunds.page(states=["sent"], limit=5)
    assert none == []
