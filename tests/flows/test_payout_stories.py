"""Days on which something went wrong with a payout, each told whole: what people did, and what became of the money.

Counted at the simulator: per payout at most one transfer ever receives a deposit, once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from checkout.errors import NotPossible
from checkout.rules.resolutions import Where
from checkout.simulator.stables.codes import CUSTOMER_ID
from tests.flows.payout_fixtures import ASTRAY, FREE, WHOLE, WHOLE_MINOR, awaiting, books, proposed, revealed, say
from tests.offramp import SPEED, Offramp, offramp
from tests.system import BANK, Clock

HASH = "0x" + "5c" * 32


class LateClock(Clock):
    """The machine's time, until the service sleeps through some of it."""

    def __init__(self) -> None:
        super().__init__()
        self._slept = timedelta(0)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self._slept

    def sleep(self, **duration: float) -> None:
        """Nothing of ours ran for so long (in the simulator's time)."""
        self._slept += timedelta(**duration) / SPEED


@pytest.fixture
def clock() -> LateClock:
    return LateClock()


@pytest.fixture
def ramp(database_url: str, clock: LateClock) -> Iterator[Offramp]:
    with offramp(database_url, clock=clock) as made:
        yield made


def paid_once(ramp: Offramp, *payouts: str) -> None:
    """At most one deposit per payout at the simulator, of the exact amount; and the ledger balances."""
    for out in payouts:
        counts = [one["deposits"]["count"] for one in ramp.transfers() if one["metadata"]["payout"] == out]
        assert sum(counts) <= 1
    assert ramp.system.services.report.balance()["balanced"]


def pay(ramp: Offramp, out: str) -> None:
    """Somebody pays the address from a wallet, and tells nobody."""
    (transfer,) = [one for one in ramp.transfers() if one["metadata"]["payout"] == out]
    ramp.post("deposits", {"transfer": transfer["id"]})


def test_the_operator_who_paid_and_did_not_record(ramp: Offramp) -> None:
    services = ramp.system.services
    out = revealed(ramp)
    pay(ramp, out)
    ramp.until(out, "funded", "submitted", "processed", "completed")
    with pytest.raises(NotPossible, match="has the funds"):
        services.payouts.simulate_deposit(out, who="ben")
    ramp.until(out, "completed")
    shown = services.payouts.show(out)
    assert shown["transfer"]["funding"] is None
    assert (shown["holds"], ramp.system.cases()) == ({}, [])
    services.payouts.funded(out, tx_hash=None, who="ann")
    services.payouts.funded(out, tx_hash=HASH.upper().replace("0X", "0x"), who="ann")
    assert services.payouts.show(out)["transfer"]["funding"]["hash"] == HASH
    with pytest.raises(NotPossible, match="already stored"):
        services.payouts.funded(out, tx_hash="0x" + "00" * 32, who="ann")
    assert services.report.trace(HASH)["payouts"][0]["id"] == out
    paid_once(ramp, out)


def test_the_operator_who_paid_too_late_and_did_not_record(ramp: Offramp) -> None:
    """A colleague gives the payout up and the next one goes out; then the late payment is seen at the old address."""
    services = ramp.system.services
    out = revealed(ramp)
    ramp.until(out, "needs_decision", within=20)
    say(ramp, out, Where.NEVER_SENT, who="ben", evidence="I see nothing in the wallet")
    second = proposed(ramp)
    ramp.until(second, "quoted")
    services.payouts.approve(second, min_credit=None, who="ben")
    ramp.until(second, "awaiting_funding")
    with pytest.raises(NotPossible, match="free treasury holds less"):
        say(ramp, out, Where.LATE, amount=WHOLE, tx_hash=HASH, evidence="the explorer shows it")
    ramp.until(second, "expired", within=20)  # nobody revealed it: its funds are free again, and are what has left
    say(ramp, out, Where.LATE, amount=WHOLE, tx_hash=HASH, evidence="the explorer shows it")
    assert books(ramp) == {ASTRAY: WHOLE_MINOR}
    with pytest.raises(NotPossible, match="no free"):
        proposed(ramp)
    assert ramp.state(second) == "expired"
    say(ramp, out, Where.BACK, evidence="Stables sent it back, ticket 12")
    assert (books(ramp), ramp.system.cases()) == ({FREE: WHOLE_MINOR}, [])
    third = proposed(ramp)
    assert services.payouts.show(third)["amount"] == WHOLE
    paid_once(ramp, out, second, third)


def test_the_transfer_that_expired_after_reveal(ramp: Offramp) -> None:
    """Nobody paid. Its funds stay reserved until a person says so; then the same records reach the bank."""
    services = ramp.system.services
    out = revealed(ramp)
    ramp.until(out, "needs_decision", within=20)
    assert ramp.system.cases() == ["exposed_transfer_ended"]
    with pytest.raises(NotPossible, match="no free"):
        proposed(ramp)
    with pytest.raises(NotPossible, match="awaits funding"):
        services.payouts.reveal(out, who="ann")
    with pytest.raises(NotPossible, match="cannot cancel"):
        services.payouts.cancel(out, who="ann")
    say(ramp, out, Where.NEVER_SENT, evidence="the wallet's history, page 3")
    again = proposed(ramp)
    ramp.until(again, "quoted")
    services.payouts.approve(again, min_credit=None, who="ann")
    ramp.until(again, "awaiting_funding")
    services.payouts.reveal(again, who="ann")
    services.payouts.simulate_deposit(again, who="ann")
    ramp.until(again, "completed")
    assert ramp.state(out) == "cancelled"
    assert books(ramp) == {}
    paid_once(ramp, out, again)


def test_the_bank_account_changed_after_approval(ramp: Offramp) -> None:
    """Between the transfer and its reveal: the transfer names the old account, so its address is never shown."""
    services = ramp.system.services
    out = awaiting(ramp)
    changed = {**BANK, "stables_customer_id": CUSTOMER_ID, "purpose_code": "PAYMENT_FOR_SERVICES"}
    services.payout_accounts.add(ramp.system.store.id, changed, who="somebody")
    with pytest.raises(NotPossible, match="the payout account was replaced"):
        services.payouts.reveal(out, who="ann")
    ramp.until(out, "expired", within=20)
    assert books(ramp) == {FREE: WHOLE_MINOR}
    again = proposed(ramp)
    ramp.until(again, "quoted")
    services.payouts.approve(again, min_credit=None, who="ann")
    ramp.until(again, "awaiting_funding")
    assert [one["purpose_code"] for one in ramp.transfers()][-1] == "PAYMENT_FOR_SERVICES"
    paid_once(ramp, out, again)


def test_the_bank_account_changed_after_approval_and_before_anything_was_sent(ramp: Offramp) -> None:
    services = ramp.system.services
    ramp.settled()
    ramp.account()
    out = proposed(ramp)
    ramp.until(out, "quoted")
    services.payouts.approve(out, min_credit=None, who="ann")
    changed = {**BANK, "stables_customer_id": CUSTOMER_ID, "purpose_code": "PAYMENT_FOR_SERVICES"}
    services.payout_accounts.add(ramp.system.store.id, changed, who="somebody")
    ramp.until(out, "quoted")
    assert (ramp.transfers(), ramp.system.cases()) == ([], ["payout_needs_approval"])
    with pytest.raises(NotPossible, match="has been replaced"):
        services.payouts.approve(out, min_credit=None, who="ann")
    services.payouts.cancel(out, who="ann")
    again = proposed(ramp)
    ramp.until(again, "quoted")
    services.payouts.approve(again, min_credit=None, who="ann")
    ramp.until(again, "awaiting_funding")
    assert [one["purpose_code"] for one in ramp.transfers()] == ["PAYMENT_FOR_SERVICES"]
    paid_once(ramp, out, again)


def test_the_worker_down_for_two_days_after_approval_sends_nothing(ramp: Offramp, clock: LateClock) -> None:
    ramp.settled()
    ramp.account()
    out = proposed(ramp)
    ramp.until(out, "quoted")
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    clock.sleep(days=2)
    ramp.until(out, "quoted")
    assert ramp.transfers() == []
    assert ramp.system.cases() == ["payout_needs_approval"]
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    ramp.until(out, "awaiting_funding")
    paid_once(ramp, out)


def test_the_worker_down_for_two_days_after_a_lost_answer_reads_and_never_resends(
    ramp: Offramp, clock: LateClock
) -> None:
    ramp.settled()
    ramp.account()
    out = proposed(ramp)
    ramp.until(out, "quoted")
    ramp.fault("/api/v1/transfer", "drop_connection_after_work", times=0)
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    ramp.wait(lambda: len(ramp.transfers()) == 1)
    sent = [one for one in ramp.control("requests") if one["path"] == "/api/v1/transfer"]
    clock.sleep(days=2)
    ramp.until(out, "transfer_created", "awaiting_funding", "expired", within=20)
    assert [one for one in ramp.control("requests") if one["path"] == "/api/v1/transfer"] == sent
    with pytest.raises(NotPossible, match=r"funding window are left|awaits funding"):
        ramp.system.services.payouts.reveal(out, who="ann")
    ramp.until(out, "expired", within=20)
    assert books(ramp) == {FREE: WHOLE_MINOR}
    paid_once(ramp, out)


def test_the_worker_down_for_two_days_while_stables_forgot_the_key(ramp: Offramp, clock: LateClock) -> None:
    """The same request would make a second transfer now: the one there is is found by reading, and no other is made."""
    ramp.settled()
    ramp.account()
    out = proposed(ramp)
    ramp.until(out, "quoted")
    ramp.fault("/api/v1/transfer$", "drop_connection_after_work", times=0)
    ramp.system.services.payouts.approve(out, min_credit=None, who="ann")
    ramp.wait(lambda: len(ramp.transfers()) == 1)
    clock.sleep(days=2)
    assert ramp.post("idempotency/lapse")["forgotten"] > 0
    ramp.clear_faults()
    ramp.until(out, "transfer_created", "awaiting_funding", "expired", within=20)
    assert not any(one["forgotten"] for one in ramp.control("idempotency"))  # no key came back to be carried out anew
    ramp.until(out, "expired", within=20)
    assert (len(ramp.transfers()), books(ramp)) == (1, {FREE: WHOLE_MINOR})
    paid_once(ramp, out)


def test_the_worker_down_for_two_days_after_the_funds_were_sent_follows_them_home(
    ramp: Offramp, clock: LateClock
) -> None:
    out = revealed(ramp)
    ramp.system.services.payouts.funded(out, tx_hash=HASH, who="ann")
    pay(ramp, out)
    end = time.monotonic() + 20
    while ramp.transfers()[0]["status"] != "completed":  # nobody of ours looks meanwhile
        assert time.monotonic() < end
        time.sleep(0.05)
    clock.sleep(days=2)
    ramp.until(out, "completed")
    assert (books(ramp), ramp.system.cases()) == ({}, [])
    paid_once(ramp, out)


def test_the_hash_that_was_pasted_twice(ramp: Offramp) -> None:
    services = ramp.system.services
    first = revealed(ramp)
    services.payouts.funded(first, tx_hash=HASH, who="ann")
    pay(ramp, first)
    ramp.until(first, "completed")
    ramp.settled()
    second = proposed(ramp)
    ramp.until(second, "quoted")
    services.payouts.approve(second, min_credit=None, who="ann")
    ramp.until(second, "awaiting_funding")
    services.payouts.reveal(second, who="ann")
    with pytest.raises(NotPossible, match=f"stored for payout {first}"):
        services.payouts.funded(second, tx_hash=HASH, who="ann")
    assert services.payouts.show(second)["transfer"]["funding"] is None
    paid_once(ramp, first, second)
