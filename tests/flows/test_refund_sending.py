"""A withdrawal is sent once: whatever the provider answers, whoever dies, whatever comes late."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from checkout.errors import LostRace, NotPossible, RequestRefused
from checkout.providers.outcome import Outcome
from checkout.providers.stable_mint import OpenedWithdrawal
from checkout.providers.withdrawal_request import WithdrawalRequest
from checkout.refunding.refund_resolving import Resolution
from checkout.refunding.refund_sending import RefundSending
from checkout.store import moves, payments, stores
from checkout.store.tables import refund as refund_table
from checkout.store.work import claim
from tests.flows.refund_days import (
    answering,
    approved,
    ask,
    attempt,
    deliver,
    deposit,
    hear,
    later,
    news,
    paid,
    row,
    state,
    taken,
    withdrawals,
)
from tests.system import System

TIMEOUT = httpx.ReadTimeout("no answer")


class Interrupted(BaseException):
    """Stands for SIGKILL: nothing after it runs."""


class Provider:
    """Stable Mint as this test plays it: acts in the middle of the call, then answers through the real client or dies."""

    def __init__(self, system: System, in_the_call: Callable[[], None]) -> None:
        self._real = system.services.refund_sending._stable_mint
        self._in_the_call = in_the_call

    def withdraw(self, request: WithdrawalRequest) -> Outcome[OpenedWithdrawal]:
        outcome = self._real.withdraw(request)
        self._in_the_call()
        return outcome


def sending(system: System, in_the_call: Callable[[], None]) -> RefundSending:
    services = system.services
    return RefundSending(services.context, Provider(system, in_the_call), services.refunds)


def leased(system: System, ident: str) -> str:
    """Claim the refund as a worker does; the lease's token."""
    token = uuid.uuid4().hex
    with system.database.write() as unit:
        now = system.clock.now
        assert ident in claim(unit, refund_table, now=now, lease=system.services.context.lease, token=token, limit=50)
    return token


def ready(system: System, amount: str = "9.00") -> str:
    """An approved refund that no worker has seen."""
    ident = ask(system, paid(system).payment_id, amount).row.id
    system.services.refunds.approve(ident, who="ann")
    return ident


# --- answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [TIMEOUT, httpx.ConnectError("x"), httpx.Response(500), httpx.Response(429), httpx.Response(409),
     httpx.Response(200, content=b"{"), httpx.Response(200, json={})],
)  # fmt: skip
def test_what_is_not_clear_is_never_sent_again(system: System, answer: httpx.Response | Exception) -> None:
    settled = paid(system)
    with answering(system, answer):
        ident = approved(system, settled.payment_id, "4.00")
    assert (state(system, ident), attempt(system, ident).state) == ("unknown", "unknown")
    assert (system.cases(), system.told(ident)[-1]) == (["refund_unknown"], "refund.unknown")
    for _ in range(4):
        system.clock.advance(days=3)
        system.work()
    assert (state(system, ident), len(withdrawals(system))) == ("unknown", 1)
    assert system.balances()["refunds_payable/EUR"] == 400, "unknown counts as spent"
    with pytest.raises(NotPossible, match="more than can be refunded"):
        ask(system, settled.payment_id, "5.01")
    with pytest.raises(NotPossible, match="is unknown; only a requested"):
        system.services.refunds.approve(ident, who="ann")


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_a_clear_no_sends_nothing_and_its_money_is_refundable_again(sqlite_system: System, status: int) -> None:
    system = sqlite_system
    settled = paid(system)
    with answering(system, httpx.Response(status, json={"message": "not this one", "code": "Nope"})):
        ident = approved(system, settled.payment_id)
    assert (state(system, ident), attempt(system, ident).state) == ("failed", "declined")
    assert ("stable_mint_refuses_us" in system.cases()) == (status in (401, 403))
    assert "refund_declined" in system.cases()
    assert "not this one" in row(system, ident).note
    assert system.balances() == {"shopper_receivable/EUR": -900, "stable_mint_settled/EUR": 900}
    system.clock.advance(days=9)
    system.work()
    assert len(withdrawals(system)) == 1
    assert approved(system, settled.payment_id) != ident
    assert len(withdrawals(system)) == 2, "another refund is another withdrawal"


def test_details_that_became_unfit_are_never_sent(sqlite_system: System) -> None:
    system = sqlite_system
    ident = ready(system)
    with system.database.write() as unit:
        settled = row(system, ident)
        payments.update_payment(unit, settled.payment_id, country="")
        customer = system.payment(settled.payment_id).customer_id
        assert customer is not None
        stores.update_customer(unit, customer, country=None)
    system.work()
    assert (state(system, ident), withdrawals(system)) == ("failed", [])
    assert system.cases() == ["refund_declined"]


# --- deaths ------------------------------------------------------------------------------------------------------


def test_a_process_that_dies_in_the_call_leaves_an_unknown(system: System) -> None:
    """Committed, and killed around the call: nobody can tell whether it was made."""
    ident = ready(system)
    token = leased(system, ident)

    def die() -> None:
        raise Interrupted

    provider = sending(system, die)
    with pytest.raises(Interrupted):
        provider.step(ident, token)
    assert (state(system, ident), attempt(system, ident).state) == ("sending", "pending")
    system.work()
    assert state(system, ident) == "sending", "its lease lives"
    later(system)
    system.work()
    assert (state(system, ident), attempt(system, ident).state) == ("unknown", "unknown")
    assert len(withdrawals(system)) == 1
    later(system)
    system.work()
    assert len(withdrawals(system)) == 1


def test_a_worker_that_lost_its_lease_in_the_call_records_nothing(system: System) -> None:
    ident = ready(system)
    token = leased(system, ident)

    def oversleep() -> None:
        later(system)
        system.work()  # another worker finds the attempt without an answer

    with pytest.raises(LostRace):
        sending(system, oversleep).step(ident, token)
    assert (state(system, ident), row(system, ident).reference) == ("unknown", None)
    hear(system, ident, "sent", reference="LATE")
    assert (state(system, ident), row(system, ident).reference) == ("sent", "LATE")
    assert system.cases() == [], "the news has settled it"


def test_a_claim_of_another_worker_is_respected(sqlite_system: System) -> None:
    ident = ready(sqlite_system)
    with pytest.raises(LostRace):
        sqlite_system.services.refund_sending.step(ident, "not-my-lease")
    assert withdrawals(sqlite_system) == []


def test_a_pause_between_the_commit_and_the_first_byte_sends_nothing(sqlite_system: System) -> None:
    system = sqlite_system
    ident = ready(system)

    class Pausing(RefundSending):
        """Somebody pauses just after the attempt was committed."""

        def _may_send(self, payment: object, ident: str, token: str) -> bool:
            system.services.stores.pause("all", reason="audit", who="ann")
            return super()._may_send(payment, ident, token)  # type: ignore[arg-type]

    services = system.services
    Pausing(services.context, services.refund_sending._stable_mint, services.refunds).step(ident, leased(system, ident))
    assert (state(system, ident), attempt(system, ident).state) == ("requested", "dead")
    assert withdrawals(system) == []
    first = attempt(system, ident).key
    system.services.stores.resume("all", who="ann")
    system.clock.advance(minutes=6)
    system.work()
    (sent,) = withdrawals(system)
    assert sent["idempotencyKey"] != first
    hear(system, ident, "sent")
    assert state(system, ident) == "sent"


def test_a_lease_that_runs_out_between_the_commit_and_the_first_byte_sends_nothing(sqlite_system: System) -> None:
    system = sqlite_system
    ident = ready(system)

    class Slow(RefundSending):
        """Frozen just after the attempt was committed, until another worker may have it."""

        def _may_send(self, payment: object, ident: str, token: str) -> bool:
            later(system)
            return super()._may_send(payment, ident, token)  # type: ignore[arg-type]

    services = system.services
    slow = Slow(services.context, services.refund_sending._stable_mint, services.refunds)
    with pytest.raises(LostRace):
        slow.step(ident, leased(system, ident))
    system.work()
    assert (state(system, ident), withdrawals(system)) == ("unknown", [])


def test_what_was_stopped_after_it_was_claimed_is_not_sent(sqlite_system: System) -> None:
    system = sqlite_system
    ident = ready(system)
    token = leased(system, ident)
    system.services.refund_resolving.resolve(ident, Resolution.STOPPED, evidence="not this one", who="ann")
    system.services.refund_sending.step(ident, token)
    assert (state(system, ident), withdrawals(system)) == ("failed", [])


# --- news that is faster than the answer -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "after"), [("requested", "sending"), ("accepted", "accepted"), ("sent", "sent"), ("failed", "failed")]
)
def test_news_that_comes_before_the_answer_stays(system: System, word: str, after: str) -> None:
    ident = ready(system)
    token = leased(system, ident)

    def hear_first() -> None:
        deliver(system, news(system, ident, word, reference="W7"))

    with answering(system, taken("W7")):
        sending(system, hear_first).step(ident, token)
    assert (state(system, ident), row(system, ident).reference) == (after, "W7")
    assert attempt(system, ident).state == "accepted"
    assert system.cases() == []


@pytest.mark.parametrize("answer", [TIMEOUT, httpx.Response(400)])
def test_an_answer_that_comes_after_news_does_not_undo_it(
    sqlite_system: System, answer: httpx.Response | Exception
) -> None:
    system = sqlite_system
    ident = ready(system)
    token = leased(system, ident)
    with answering(system, answer):
        sending(system, lambda: deliver(system, news(system, ident, "accepted", reference="W7"))).step(ident, token)
    assert (state(system, ident), attempt(system, ident).state) == ("accepted", "accepted")
    assert system.cases() == []


def test_two_references_for_one_withdrawal_ask_a_person(sqlite_system: System) -> None:
    system = sqlite_system
    ident = ready(system)
    token = leased(system, ident)
    with answering(system, taken("OTHER")):
        sending(system, lambda: deliver(system, news(system, ident, "requested", reference="W7"))).step(ident, token)
    assert row(system, ident).reference == "W7"
    assert system.cases() == ["refund_contradiction"]


def test_a_reference_that_is_another_refunds_asks_a_person(sqlite_system: System) -> None:
    system = sqlite_system
    settled = paid(system)
    with answering(system, taken("SAME"), taken("SAME")):
        approved(system, settled.payment_id, "1.00")
        second = approved(system, settled.payment_id, "1.00")
    assert (row(system, second).reference, system.cases()) == (None, ["refund_contradiction"])
    hear(system, second, "sent", reference=...)
    assert state(system, second) == "sent"


# --- silence, and what a person may say --------------------------------------------------------------------------


def test_silence_after_a_good_answer_becomes_a_case(sqlite_system: System) -> None:
    system = sqlite_system
    ident = approved(system, paid(system).payment_id)
    system.clock.advance(days=3, seconds=1)
    system.work()
    assert system.cases() == ["refund_silent"]
    hear(system, ident, "accepted")
    assert system.cases() == []


def test_only_after_lease_and_deadline_may_a_person_call_one_dead(system: System) -> None:
    settled = paid(system)
    with answering(system, TIMEOUT):
        ident = approved(system, settled.payment_id)
    resolve = system.services.refund_resolving.resolve
    over = attempt(system, ident).first_sent_at + system.services.context.lease + timedelta(seconds=60)
    for resolution in (Resolution.FAILED, Resolution.SENT):
        with pytest.raises(NotPossible, match="may still be on its way"):
            resolve(ident, resolution, evidence="the dashboard has none", who="ann")
    with pytest.raises(RequestRefused):
        resolve(ident, Resolution.FAILED, evidence="", who="ann")
    with pytest.raises(NotPossible, match="cannot be stopped"):
        resolve(ident, Resolution.STOPPED, evidence="please", who="ann")
    while system.clock.now < over:
        system.clock.advance(seconds=10)
    shown = resolve(ident, Resolution.FAILED, evidence="the dashboard has none", who="ann")
    assert (shown.row.state, attempt(system, ident).state) == ("failed", "dead")
    assert system.cases() == []
    assert not deposit(system, settled.payment_id).refund_live
    with system.database.read() as unit:
        assert [one["action"] for one in moves.acts_on(unit, ident)][-1] == "refund resolved failed"
    with pytest.raises(NotPossible, match="nobody has to say"):
        resolve(ident, Resolution.SENT, evidence="really", who="ann")


def test_a_person_with_a_statement_may_say_that_it_was_sent(system: System) -> None:
    settled = paid(system)
    with answering(system, TIMEOUT):
        ident = approved(system, settled.payment_id, "4.00")
    later(system)
    system.services.refund_resolving.resolve(ident, Resolution.SENT, evidence="statement of 12 May", who="ann")
    assert (state(system, ident), system.cases()) == ("sent", [])
    assert system.balances() == {"shopper_receivable/EUR": -500, "stable_mint_settled/EUR": 500}
    hear(system, ident, "sent")
    assert state(system, ident) == "sent"


def test_a_refund_that_never_was_approved_has_nothing_to_resolve(sqlite_system: System) -> None:
    ident = ask(sqlite_system, paid(sqlite_system).payment_id).row.id
    for resolution in (Resolution.SENT, Resolution.FAILED):
        with pytest.raises(NotPossible, match="nobody has to say"):
            sqlite_system.services.refund_resolving.resolve(ident, resolution, evidence="x", who="ann")


# --- the frozen one ----------------------------------------------------------------------------------------------


def test_a_frozen_process_that_sends_after_a_person_called_it_dead_is_found_out(system: System) -> None:
    """It wakes after everything and the withdrawal exists after all: the news brings the refund back to life."""
    settled = paid(system)
    ident = ask(system, settled.payment_id).row.id
    system.services.refunds.approve(ident, who="ann")
    token = leased(system, ident)

    def frozen() -> None:
        later(system)
        system.work()
        system.services.refund_resolving.resolve(ident, Resolution.FAILED, evidence="no trace of it", who="ann")

    with pytest.raises(LostRace):
        sending(system, frozen).step(ident, token)
    assert state(system, ident) == "failed"
    hear(system, ident, "accepted", reference="GHOST")
    assert (state(system, ident), system.cases()) == ("accepted", ["refund_contradiction"])
    assert system.balances()["refunds_payable/EUR"] == 900
    hear(system, ident, "sent")
    assert system.balances() == {}
