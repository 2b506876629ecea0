"""The database decides: refund against payout, two approvers, many workers, many requests, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from checkout.errors import CheckoutError
from checkout.paying_out.policies import PolicyRequest
from checkout.refunding.refund_resolving import Resolution
from checkout.rules.money import Money
from checkout.store import payouts
from tests.desk import Desk
from tests.flows.refund_days import (
    PERSON,
    answering,
    approved,
    ask,
    deliver,
    deposit,
    hear,
    later,
    paid,
    row,
    state,
    wanted,
    withdrawals,
)
from tests.flows.test_races import CROWD, at_once
from tests.flows.test_restored_refunds import in_doubt, unremembered, was_sent
from tests.system import BANK, System


def together(*acts: Callable[[], Any]) -> list[Any]:
    """Different acts started at once: what each gave, or how it was refused."""
    gate = threading.Barrier(len(acts))
    results: list[Any] = [None] * len(acts)

    def run(number: int) -> None:
        gate.wait()
        try:
            results[number] = acts[number]()
        except CheckoutError as refused:
            results[number] = refused
        except BaseException as error:  # shown by the assertion of whoever asked
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [one for one in results if isinstance(one, BaseException) and not isinstance(one, CheckoutError)], (
        results
    )
    return results


@pytest.mark.parametrize("round_", range(4))
def test_a_deposit_goes_into_a_record_or_into_a_refund_never_both(system: System, round_: int) -> None:
    settled = paid(system)

    def record() -> Any:
        return system.services.treasury.record(
            system.store.id, asset="USDC", network="polygon", amount="9.71", fee="0", deposits=[settled.id],
            evidence="advice", who="ann",
        )  # fmt: skip

    def refund() -> Any:
        return ask(system, settled.payment_id)

    if round_ % 2:
        recorded, asked = together(record, refund)
    else:
        asked, recorded = together(refund, record)
    assert not isinstance(asked, CheckoutError), asked
    entered = deposit(system, settled.payment_id).settlement_record_id is not None
    if entered:
        assert asked.row.state == "needs_funding"
        assert system.balances()["treasury_free/USDC@polygon"] == 9_710_000
        assert "refunds_payable/EUR" not in system.balances()
    else:
        assert isinstance(recorded, CheckoutError)
        assert asked.row.state == "requested"
        assert system.balances() == {"shopper_receivable/EUR": -900, "refunds_payable/EUR": 900}
    assert system.services.report.balance()["balanced"]


@pytest.mark.parametrize("round_", range(3))
def test_a_refund_against_a_payout_of_the_same_deposit_one_of_them_gets_the_money(system: System, round_: int) -> None:
    """The deposit settles, is declared and proposed by a policy, while the shop asks for its money back and a person agrees."""
    services = system.services
    services.stores.rule(
        system.store.id, currency="USD", asset="USDC", network="polygon", evidence="declared", settles_gross=True,
        who="ann",
    )  # fmt: skip
    services.payout_accounts.add(system.store.id, BANK, who="ann")
    services.policies.set(system.store.id, PolicyRequest("per_payment"), who="ann")
    order = system.pay("9.00", "USD", flow="hosted_partner", customer=PERSON).payment
    session = system.sessions(order.id)[0]
    system.hear(session, "accepted", currency="USD")
    system.deliver(system.event(session, "completed", currency="USD"))
    workers = [services.worker(f"w{number}") for number in range(2)]

    def refund() -> Any:
        asked = ask(system, order.id, currency="USD")
        return services.refunds.approve(asked.row.id, who="ann")

    acts = [refund, workers[0].turn, workers[1].turn]
    together(*acts[round_:], *acts[:round_])
    system.clock.advance(minutes=2)
    system.work()
    (ident,) = [one.row.id for one in services.refunds.page(payment_id=order.id, limit=5)[0]]
    with system.database.read() as unit:
        made = payouts.list_payouts(unit, system.store.id, limit=5)
    taken = deposit(system, order.id).settlement_record_id is not None
    assert len(made) == taken
    assert len(withdrawals(system)) == (not taken)
    assert state(system, ident) == ("needs_funding" if taken else "sending")
    expected = {"treasury_reserved/USDC@polygon": 9_000_000} if taken else {"refunds_payable/USD": 900}
    assert expected.items() <= system.balances().items()
    assert services.report.balance()["balanced"]


def test_two_approvers_give_one_approval_and_many_workers_send_one_withdrawal(system: System) -> None:
    ident = ask(system, paid(system).payment_id).row.id
    results, refusals = at_once(lambda: system.services.refunds.approve(ident, who="ann"))
    assert (len(results), len(refusals)) == (1, CROWD - 1)
    workers = [system.services.worker(f"w{number}") for number in range(4)]
    at_once(lambda: [one.turn() for one in workers], 4)
    assert len(withdrawals(system)) == 1
    assert state(system, ident) == "sending"


def test_an_approver_and_somebody_who_stops_it_are_never_both_obeyed(system: System) -> None:
    ident = ask(system, paid(system).payment_id).row.id
    services = system.services
    approved_, stopped = together(
        lambda: services.refunds.approve(ident, who="ann"),
        lambda: services.refund_resolving.resolve(ident, Resolution.STOPPED, evidence="no", who="bob"),
    )
    system.work()
    sent = len(withdrawals(system))
    assert (state(system, ident), sent) == ("failed", 0)
    assert not isinstance(stopped, CheckoutError), "it was not sent yet: it can be stopped, approved or not"
    assert isinstance(approved_, CheckoutError) or approved_.row.approved_by == "ann"


def test_a_worker_and_somebody_who_stops_it_are_never_both_obeyed(system: System) -> None:
    ident = ask(system, paid(system).payment_id).row.id
    services = system.services
    services.refunds.approve(ident, who="ann")
    worker = services.worker("w")
    _, stopped = together(
        worker.turn, lambda: services.refund_resolving.resolve(ident, Resolution.STOPPED, evidence="no", who="bob")
    )
    system.work()
    assert len(withdrawals(system)) == (1 if isinstance(stopped, CheckoutError) else 0)
    assert state(system, ident) == ("sending" if isinstance(stopped, CheckoutError) else "failed")


def test_many_requests_at_once_never_ask_for_more_than_there_is(system: System) -> None:
    settled = paid(system)
    results, refusals = at_once(lambda: ask(system, settled.payment_id, "4.00"))
    assert (len(results), len(refusals)) == (2, CROWD - 2)
    assert system.services.refunds.refundable(settled.payment_id) == {settled.id: Money(100, "EUR")}
    assert system.balances()["refunds_payable/EUR"] == 800


def test_the_same_request_at_once_is_one_refund(system: System) -> None:
    settled = paid(system)
    same = wanted("4.00")
    results, refusals = at_once(lambda: system.services.refunds.request(settled.payment_id, same, who="ann"))
    assert not refusals
    assert len({answer.row.id for answer, _ in results}) == 1
    assert sum(new for _, new in results) == 1


def test_a_limit_is_spent_once_by_requests_at_once(system: System) -> None:
    system.services.refund_resolving.rule(
        system.store.id, currency="EUR", limit="10.00", hosted_withdrawal=None, who="ann"
    )
    payments = iter([paid(system).payment_id for _ in range(4)])
    lock = threading.Lock()

    def one() -> Any:
        with lock:
            payment = next(payments)
        return ask(system, payment, "4.00", store=system.store)

    results, refusals = at_once(one, 4)
    assert not refusals
    assert sorted(str(answer.row.approved_by) for answer in results) == ["None", "None", "limit", "limit"]


def test_news_and_a_person_at_once_move_the_money_once(system: System) -> None:
    settled = paid(system)
    with answering(system, httpx.Response(500)):
        ident = approved(system, settled.payment_id)
    later(system)
    resolve = system.services.refund_resolving.resolve
    together(
        lambda: hear(system, ident, "sent", reference="W1"),
        lambda: resolve(ident, Resolution.FAILED, evidence="the dashboard has none", who="ann"),
    )
    system.work()
    assert row(system, ident).state == "sent", "the provider's word comes last, whoever was first"
    assert system.balances() == {}
    assert system.services.report.balance()["balanced"]


# --- after a backup was put back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("round_", range(4))
def test_one_who_approves_anew_and_one_who_says_it_was_sent_are_never_both_obeyed(desk: Desk, round_: int) -> None:
    system = desk.system
    ident = in_doubt(system)
    acts = [lambda: system.services.refunds.approve(ident, who="ann"), lambda: was_sent(system, ident, "W-1")]
    results = together(*(acts if round_ % 2 else reversed(acts)))
    assert len([one for one in results if isinstance(one, CheckoutError)]) == 1
    system.work()
    said = row(system, ident).approved_by is None
    assert (state(system, ident), len(withdrawals(system))) == (("sent", 0) if said else ("sending", 1))
    assert system.balances() == ({} if said else {"shopper_receivable/EUR": -900, "refunds_payable/EUR": 900})
    assert system.cases() == []
    assert system.services.report.balance()["balanced"]


def test_many_who_say_it_was_sent_move_its_money_once(desk: Desk) -> None:
    system = desk.system
    ident = in_doubt(system)
    results, refusals = at_once(lambda: was_sent(system, ident, "W-1"))
    assert (len(results), len(refusals)) == (1, CROWD - 1)
    assert (state(system, ident), system.balances()) == ("sent", {})
    assert system.told(ident).count("refund.sent") == 1


def test_one_withdrawal_is_never_that_of_two_refunds(desk: Desk) -> None:
    system = desk.system
    first, second = ask(system, paid(system).payment_id).row.id, in_doubt(system)
    system.services.restoring.mark(note="", who="ann")
    results = together(lambda: was_sent(system, first, "W-1"), lambda: was_sent(system, second, "W-1"))
    assert len([one for one in results if isinstance(one, CheckoutError)]) == 1
    assert sorted([state(system, first), state(system, second)]) == ["requested", "sent"]
    assert system.services.report.balance()["balanced"]


def test_its_news_and_a_person_at_once_move_the_money_once(desk: Desk) -> None:
    system = desk.system
    ident = in_doubt(system)
    together(lambda: was_sent(system, ident, "W-1"), lambda: deliver(system, unremembered("sent")))
    system.clock.advance(hours=2)
    system.work()
    assert (state(system, ident), system.balances(), system.cases()) == ("sent", {}, [])


@pytest.mark.parametrize("round_", range(3))
def test_an_approval_at_the_moment_of_the_restore_is_refused_or_taken_back(desk: Desk, round_: int) -> None:
    system = desk.system
    ident = ask(system, paid(system).payment_id).row.id
    services = system.services
    together(lambda: services.restoring.mark(note="", who="ann"), lambda: services.refunds.approve(ident, who="ben"))
    system.work()
    assert (row(system, ident).approved_by, withdrawals(system)) == (None, [])
    assert row(system, ident).in_doubt_since is not None
