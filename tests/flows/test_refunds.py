"""Asking for money back: what may be asked, what it reserves, who lets it go, and what the shop is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from checkout.errors import IdempotencyReused, NotFound, NotPossible, RequestRefused
from checkout.refunding.refund_resolving import Resolution
from checkout.rules.money import Money
from checkout.store import moves, notifications, payments
from checkout.store.refunds import forget_creditors
from tests.flows.refund_days import (
    DETAILS,
    IBAN,
    PERSON,
    answering,
    approved,
    ask,
    attempt,
    deposit,
    hear,
    paid,
    row,
    state,
    taken,
    wanted,
    withdrawals,
)
from tests.system import System


def allow(system: System, limit: str, currency: str = "EUR", **more: Any) -> None:
    system.services.refund_resolving.rule(
        system.store.id, currency=currency, limit=limit, hosted_withdrawal=more.get("hosted_withdrawal"), who="ann"
    )


def record(system: System, *idents: str, amount: str = "9.71") -> str:
    made = system.services.treasury.record(
        system.store.id, asset="USDC", network="polygon", amount=amount, fee="0", deposits=list(idents),
        evidence="a statement", who="ann",
    )  # fmt: skip
    return made.id


# --- the straight path -------------------------------------------------------------------------------------------


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


# --- details -----------------------------------------------------------------------------------------------------


def test_what_nobody_has_given_is_asked_for_and_kept_sealed(system: System) -> None:
    settled = paid(system)
    asked = ask(system, settled.payment_id, details={"creditor_name": "Ada Lovelace"})
    ident = asked.row.id
    assert asked.row.state == "needs_details"
    assert asked.missing == ("user_ip", "creditor_account", "creditor_country", "remittance")
    assert deposit(system, settled.payment_id).refund_live
    with pytest.raises(NotPossible, match="still needs user_ip, creditor_account"):
        system.services.refunds.approve(ident, who="ann")
    given = {name: text for name, text in DETAILS.items() if name != "remittance"}
    assert system.services.refunds.give_details(ident, given, who="bob").missing == ("remittance",)
    done = system.services.refunds.give_details(ident, {"remittance": "Refund"}, who="bob")
    assert (done.row.state, done.missing, done.account_hint) == ("requested", (), "DE89…3000")
    assert system.told(ident) == ["refund.needs_details", "refund.requested"]
    sealed = row(system, ident).creditor_sealed
    assert sealed is not None
    assert b"Lovelace" not in sealed
    assert json.loads(system.services.context.sealer.open(sealed)) == {**DETAILS, "remittance": "Refund"}


def test_nothing_of_a_person_is_in_a_notification_move_act_or_case(sqlite_system: System) -> None:
    system = sqlite_system
    settled = paid(system)
    ident = approved(system, settled.payment_id)
    hear(system, ident, "failed")
    with system.database.read() as unit:
        texts = [one.body for one in notifications.notifications_on(unit, ident)]
        texts += [str(one) for one in (*moves.moves_of(unit, ident), *moves.acts_on(unit, ident))]
        texts += [str(one) for one in moves.list_cases(unit, include_closed=True, limit=100)]
        texts.append(str(system.services.report.trace(settled.payment_id)))
    for private in ("Lovelace", "203.0.113.7", IBAN, "ada@shop.example", "Refund of PP-1042"):
        assert not [text for text in texts if private in text], private


def test_details_stay_as_they_were_approved(sqlite_system: System) -> None:
    system = sqlite_system
    settled = paid(system)
    ident = ask(system, settled.payment_id).row.id
    system.services.refunds.give_details(ident, {"creditor_account": "12345678"}, who="ann")
    with pytest.raises(RequestRefused):
        system.services.refunds.give_details(ident, {}, who="ann")
    with pytest.raises(RequestRefused):
        system.services.refunds.give_details(ident, {"user_ip": "nowhere"}, who="ann")
    system.services.refunds.approve(ident, who="ann")
    with pytest.raises(NotPossible, match="approved by ann with the details it has"):
        system.services.refunds.give_details(ident, {"creditor_account": "87654321"}, who="eve")
    system.work()
    with pytest.raises(NotPossible, match="details cannot change"):
        system.services.refunds.give_details(ident, {"creditor_account": "87654321"}, who="eve")
    assert withdrawals(system)[0]["creditorAccount"] == "12345678"
    with pytest.raises(NotFound):
        system.services.refunds.give_details("ref_none", {"user_ip": "203.0.113.7"}, who="ann")


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


# --- the erased customer -------------------------------------------------------------------------------------------


def test_an_erased_customers_email_is_asked_for_again(sqlite_system: System) -> None:
    system = sqlite_system
    settled = paid(system)
    ident = ask(system, settled.payment_id, "4.00").row.id
    system.services.refunds.approve(ident, who="ann")
    system.services.customers.erase(system.store.id, "shopper-1", who="ann")
    system.work()
    found = row(system, ident)
    assert (found.state, found.approved_by) == ("needs_details", None), "what was approved can no longer be sent"
    assert withdrawals(system) == []
    assert system.services.refunds.get(ident).missing == ("user_email",)
    system.services.refunds.give_details(ident, {"user_email": "ada@new.example"}, who="ann")
    system.services.refunds.approve(ident, who="ann")
    system.work()
    assert withdrawals(system)[0]["userEmail"] == "ada@new.example"
    hear(system, ident, "sent")
    customer = system.payment(settled.payment_id).customer_id
    assert customer is not None
    with system.database.write() as unit:
        assert forget_creditors(unit, customer) == 1
        assert forget_creditors(unit, customer) == 0
    assert system.services.refunds.get(ident).given == ()


# --- approval ----------------------------------------------------------------------------------------------------


def test_approving_twice_is_one_approval(sqlite_system: System) -> None:
    system = sqlite_system
    ident = ask(system, paid(system).payment_id).row.id
    system.services.refunds.approve(ident, who="ann")
    with pytest.raises(NotPossible, match="approved by ann already"):
        system.services.refunds.approve(ident, who="bob")
    system.work()
    with pytest.raises(NotPossible, match="is sending; only a requested"):
        system.services.refunds.approve(ident, who="bob")
    assert len(withdrawals(system)) == 1


def test_a_stores_own_requests_wait_for_a_person_by_default(sqlite_system: System) -> None:
    system = sqlite_system
    asked = ask(system, paid(system).payment_id, store=system.store)
    system.work()
    assert (asked.row.approved_by, withdrawals(system)) == (None, [])


def test_a_limit_approves_so_much_in_a_day_and_no_more(system: System) -> None:
    allow(system, "10.00")
    first = ask(system, paid(system).payment_id, store=system.store)
    second = ask(system, paid(system).payment_id, "1.00", store=system.store)
    third = ask(system, paid(system).payment_id, "0.10", store=system.store)
    assert [one.row.approved_by for one in (first, second, third)] == ["limit", "limit", None]
    system.work()
    assert [one["amount"] for one in withdrawals(system)] == [9, 1]
    system.clock.advance(hours=25)
    assert ask(system, paid(system).payment_id, store=system.store).row.approved_by == "limit"


def test_a_limit_is_for_the_stores_own_requests_and_never_for_a_contradiction_or_a_pause(sqlite_system: System) -> None:
    system = sqlite_system
    allow(system, "100.00")
    assert ask(system, paid(system).payment_id).row.approved_by is None, "a person asked: a person approves"
    doubtful = paid(system)
    system.hear(system.sessions(doubtful.payment_id)[0], "failed")
    assert ask(system, doubtful.payment_id, store=system.store).row.approved_by is None
    waiting = ask(system, paid(system).payment_id, "2.00", store=system.store, details={})
    assert (waiting.row.state, waiting.row.approved_by) == ("needs_details", None)
    system.services.stores.pause(system.store.id, reason="audit", who="ann")
    assert ask(system, paid(system).payment_id, store=system.store).row.approved_by is None
    system.services.stores.resume(system.store.id, who="ann")
    done = system.services.refunds.give_details(waiting.row.id, DETAILS, who="shop", store=system.store)
    assert done.row.approved_by == "limit"


def test_a_rule_is_checked_and_kept(sqlite_system: System) -> None:
    system = sqlite_system
    rule = system.services.refund_resolving.rule
    allow(system, "5.00")
    shown = rule(system.store.id, currency="EUR", limit=None, hosted_withdrawal=True, who="ann")
    assert shown == {"store": system.store.id, "currency": "EUR", "limit": "5.00", "hosted_withdrawal": True}
    for currency, limit in (("XXX", "1"), ("EUR", "-1"), ("EUR", "1.001")):
        with pytest.raises(RequestRefused):
            rule(system.store.id, currency=currency, limit=limit, hosted_withdrawal=None, who="ann")
    with pytest.raises(NotFound):
        rule("nowhere", currency="EUR", limit="1", hosted_withdrawal=None, who="ann")


def test_a_pause_holds_what_was_approved_and_lets_it_go_again(sqlite_system: System) -> None:
    system = sqlite_system
    ident = ask(system, paid(system).payment_id).row.id
    system.services.refunds.approve(ident, who="ann")
    system.services.stores.pause("all", reason="audit", who="ann")
    with pytest.raises(NotPossible, match="audit"):
        system.services.refunds.approve(ask(system, paid(system).payment_id).row.id, who="ann")
    system.work()
    assert (state(system, ident), withdrawals(system)) == ("requested", [])
    system.services.stores.resume("all", who="ann")
    system.clock.advance(minutes=6)
    system.work()
    assert (state(system, ident), len(withdrawals(system))) == ("sending", 1)


# --- the funds have left -------------------------------------------------------------------------------------------


def test_once_the_funds_have_left_stable_mint_somebody_must_bring_others(system: System) -> None:
    settled = paid(system)
    record(system, settled.id)
    ident = ask(system, settled.payment_id, "4.00").row.id
    assert state(system, ident) == "needs_funding"
    before = system.balances()
    assert "refunds_payable/EUR" not in before
    with pytest.raises(NotPossible, match=r"have left Stable Mint; bring EUR 4\.00"):
        system.services.refunds.approve(ident, who="ann")
    with pytest.raises(RequestRefused):
        system.services.refund_resolving.resolve(ident, Resolution.FUNDED, evidence=" ", who="ann")
    system.services.refund_resolving.resolve(ident, Resolution.FUNDED, evidence="transfer 77", who="ann")
    assert state(system, ident) == "requested"
    assert system.balances() == {**before, "exchange/EUR": 500, "refunds_payable/EUR": 400}
    with pytest.raises(NotPossible, match="only one that needs funding"):
        system.services.refund_resolving.resolve(ident, Resolution.FUNDED, evidence="again", who="ann")
    system.services.refunds.approve(ident, who="ann")
    system.work()
    hear(system, ident, "sent")
    assert system.balances() == {**before, "exchange/EUR": 500, "shopper_receivable/EUR": -500}
    assert system.services.report.balance()["balanced"]


def test_brought_money_that_is_not_needed_goes_back_the_way_it_came(sqlite_system: System) -> None:
    system = sqlite_system
    settled = paid(system)
    record(system, settled.id)
    before = system.balances()
    ident = ask(system, settled.payment_id, details={}).row.id
    assert state(system, ident) == "needs_details"
    assert system.balances() == before, "nothing is reserved where nothing is"
    system.services.refunds.give_details(ident, DETAILS, who="ann")
    assert state(system, ident) == "needs_funding"
    system.services.refund_resolving.resolve(ident, Resolution.FUNDED, evidence="transfer 77", who="ann")
    system.services.refund_resolving.resolve(ident, Resolution.STOPPED, evidence="the shopper kept it", who="ann")
    assert system.balances() == before


def test_money_that_went_elsewhere_is_not_there_to_give_back(sqlite_system: System) -> None:
    system = sqlite_system
    settled = paid(system)
    ident = ask(system, settled.payment_id).row.id
    system.services.refunds.approve(ident, who="ann")
    session = system.sessions(settled.payment_id)[0]
    body = system.event(session, "created", version="v1", blockchainDestinationType="Customer")
    # the worker claims one kind of work after another, events first: the refund sees the news
    system.deliver(body)
    system.work()
    found = row(system, ident)
    assert (found.state, found.approved_by) == ("needs_funding", None)
    assert withdrawals(system) == []
    assert system.balances() == {"shopper_receivable/EUR": -900, "unallocated/EUR": 900}


def test_a_declared_record_waits_for_the_refund_and_takes_what_is_left(system: System) -> None:
    system.services.stores.rule(
        system.store.id, currency="USD", asset="USDC", network="polygon", evidence="declared", settles_gross=True,
        who="ann",
    )  # fmt: skip
    answer = system.pay("9.00", "USD", flow="hosted_partner", customer=PERSON)
    session = system.sessions(answer.payment.id)[0]
    system.hear(session, "accepted", currency="USD")
    part = approved(system, answer.payment.id, "4.00", currency="USD")
    system.hear(session, "completed", currency="USD")
    assert deposit(system, answer.payment.id).settlement_record_id is None, "a live refund holds the deposit"
    hear(system, part, "sent")
    assert system.balances() == {
        "shopper_receivable/USD": -500, "exchange/USD": 500, "exchange/USDC@polygon": -5_000_000,
        "treasury_free/USDC@polygon": 5_000_000,
    }  # fmt: skip


def test_a_deposit_refunded_whole_is_never_declared(sqlite_system: System) -> None:
    system = sqlite_system
    system.services.stores.rule(
        system.store.id, currency="USD", asset="USDC", network="polygon", evidence="declared", settles_gross=True,
        who="ann",
    )  # fmt: skip
    answer = system.pay("9.00", "USD", flow="hosted_partner", customer=PERSON)
    session = system.sessions(answer.payment.id)[0]
    system.hear(session, "accepted", currency="USD")
    ident = approved(system, answer.payment.id, "9.00", currency="USD")
    hear(system, ident, "sent")
    system.hear(session, "completed", currency="USD")
    assert system.balances() == {}
    assert deposit(system, answer.payment.id).settlement_record_id is None


# --- customers that Stable Mint manages ------------------------------------------------------------------------------


def test_a_managed_customers_payment_is_refused_with_the_reason(sqlite_system: System) -> None:
    system = sqlite_system
    answer = system.pay()
    system.hear(system.sessions(answer.payment.id)[0], "completed")
    with pytest.raises(NotPossible, match=r"managed by Stable Mint .*hosted-withdrawal"):
        ask(system, answer.payment.id, details={})


def test_where_it_is_configured_a_managed_customer_is_known_by_their_own_events(sqlite_system: System) -> None:
    system = sqlite_system
    allow(system, "0", hosted_withdrawal=True)
    answer = system.pay()
    system.hear(system.sessions(answer.payment.id)[0], "completed", customerId="cust-77")
    with pytest.raises(RequestRefused) as refused:
        ask(system, answer.payment.id)
    assert "user_ip" in refused.value.fields
    with answering(system, taken("W9", url="http://127.0.0.1:9001/withdrawals/1")):
        ident = approved(system, answer.payment.id, details={})
    (sent,) = withdrawals(system)
    assert (sent["userUniqueId"], "userId" in sent) == ("cust-77", False)
    shown = system.services.refunds.get(ident)
    assert (shown.shopper_url, shown.account_hint) == ("http://127.0.0.1:9001/withdrawals/1", None)
    hear(system, ident, "sent")
    assert state(system, ident) == "sent"


def test_a_managed_customer_that_no_event_names_is_asked_for(sqlite_system: System) -> None:
    system = sqlite_system
    allow(system, "0", hosted_withdrawal=True)
    answer = system.pay()
    system.hear(system.sessions(answer.payment.id)[0], "completed")
    asked = ask(system, answer.payment.id, details={})
    assert (asked.row.state, asked.missing) == ("needs_details", ("user_unique_id",))
    system.services.refunds.give_details(asked.row.id, {"user_unique_id": "cust-5"}, who="ann")
    system.services.refunds.approve(asked.row.id, who="ann")
    system.work()
    assert withdrawals(system)[0]["userUniqueId"] == "cust-5"


def test_the_attempt_is_one_row_with_its_own_key(sqlite_system: System) -> None:
    ident = approved(sqlite_system, paid(sqlite_system).payment_id)
    made = attempt(sqlite_system, ident)
    sent = withdrawals(sqlite_system)[0]
    assert (made.kind, made.sends, made.key) == ("withdrawal", 1, sent["idempotencyKey"])
    assert sent["websiteReference"] == row(sqlite_system, ident).website_reference
    assert sent["websiteReference"] != made.key
