"""What a refund needs to know: asked for, kept sealed, and known of customers that Stable Mint manages."""

from __future__ import annotations

import json

import pytest

from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.store import moves, notifications
from checkout.store.refunds import forget_creditors
from tests.flows.refund_days import (
    DETAILS,
    IBAN,
    allow,
    answering,
    approved,
    ask,
    deposit,
    hear,
    paid,
    row,
    state,
    taken,
    withdrawals,
)
from tests.system import System


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
