"""A refund whose funds have left Stable Mint: somebody brings others, or a record waits for it."""

from __future__ import annotations

import pytest

from checkout.errors import NotPossible, RequestRefused
from checkout.refunding.refund_resolving import Resolution
from tests.flows.refund_days import (
    DETAILS,
    PERSON,
    approved,
    ask,
    deposit,
    hear,
    paid,
    record,
    row,
    state,
    withdrawals,
)
from tests.system import System


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
