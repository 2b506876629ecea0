"""The database decides every race: many threads at once, both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from checkout.errors import CheckoutError, NotPossible
from checkout.simulator.stables.codes import CUSTOMER_ID
from tests.flows.payout_fixtures import at_once as together
from tests.flows.payout_fixtures import proposed, revealed
from tests.offramp import Offramp, offramp
from tests.system import BANK, System

CROWD = 8


def at_once(act: Callable[[], Any], count: int = CROWD) -> tuple[list[Any], list[CheckoutError]]:
    """Run the same act in many threads, started together: (results, refusals). Anything else fails the test."""
    gate = threading.Barrier(count)
    results: list[Any] = []
    refusals: list[CheckoutError] = []
    broken: list[BaseException] = []

    def run() -> None:
        gate.wait()
        try:
            results.append(act())
        except CheckoutError as refused:
            refusals.append(refused)
        except BaseException as error:
            broken.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not broken, broken
    return results, refusals


@pytest.fixture
def ramp(database_url: str) -> Iterator[Offramp]:
    with offramp(database_url) as made:
        yield made


def test_twenty_equal_requests_at_once_are_one_payment(system: System) -> None:
    wanted = system.wanted()
    results, refusals = at_once(lambda: system.services.payments.open(system.store, wanted), 20)
    assert {answer.payment.id for answer, _ in results} | {None} == {results[0][0].payment.id, None}
    assert sum(made for _, made in results) == 1
    assert not [one for one in refusals if "busy" not in str(one) and "under way" not in str(one)]
    assert len(system.mint.requests) == 1


def test_treasury_is_reserved_once(ramp: Offramp) -> None:
    ramp.settled()
    ramp.account()
    propose = ramp.system.services.payouts.propose
    results, refusals = at_once(lambda: propose(ramp.system.store.id, account_id=None, who="ann"))
    assert len(results) == 1
    assert len(refusals) == CROWD - 1
    ramp.until(results[0], "quoted")
    assert ramp.system.balances()["treasury_reserved/USDC@polygon"] == 9_710_000


def test_one_record_takes_a_deposit(system: System) -> None:
    answer = system.pay()
    session = system.sessions(answer.payment.id)[0]
    system.hear(session, "completed")
    results, _ = at_once(
        lambda: system.services.treasury.record(
            system.store.id, asset="USDC", network="polygon", amount="9.71", fee="0",
            deposits=[str(session.reference)], evidence="advice", who="ann",
        )
    )  # fmt: skip
    assert len(results) == 1
    assert system.balances()["treasury_free/USDC@polygon"] == 9_710_000


def test_two_approvers_give_one_mandate_and_many_workers_make_one_transfer(ramp: Offramp) -> None:
    ramp.settled()
    ramp.account()
    services = ramp.system.services
    out = services.payouts.propose(ramp.system.store.id, account_id=None, who="ann")
    ramp.until(out, "quoted")
    results, refusals = at_once(lambda: services.payouts.approve(out, min_credit=None, who="ann"))
    assert (len(results), len(refusals)) == (1, CROWD - 1)
    workers = [services.worker(f"w{number}") for number in range(3)]
    threads = [threading.Thread(target=one.run) for one in workers]
    for thread in threads:
        thread.start()
    ramp.wait(lambda: ramp.state(out) == "awaiting_funding", 15)
    at_once(lambda: services.payouts.reveal(out, who="ann"))
    deposits, _ = at_once(lambda: services.payouts.simulate_deposit(out, who="ann"))
    assert len(deposits) == 1
    ramp.wait(lambda: ramp.state(out) == "completed", 15)
    for one in workers:
        one.stop()
    for thread in threads:
        thread.join()
    assert [one["deposits"]["count"] for one in ramp.transfers()] == [1]
    assert services.report.balance()["balanced"]


def test_two_operators_record_one_funding(ramp: Offramp) -> None:
    out = revealed(ramp)
    services = ramp.system.services
    hashes = iter([f"0x{number:064x}" for number in range(CROWD)])
    lock = threading.Lock()

    def record() -> str:
        with lock:
            mine = next(hashes)
        services.payouts.funded(out, tx_hash=mine, who="ann")
        return mine

    stored, refusals = at_once(record)
    assert (len(stored), len(refusals)) == (1, CROWD - 1)
    assert services.payouts.show(out)["transfer"]["funding"]["hash"] == stored[0]


def test_one_transaction_is_the_funding_of_one_payout_however_many_say_so(ramp: Offramp) -> None:
    first = revealed(ramp)
    ramp.settled()
    second = proposed(ramp)
    ramp.until(second, "quoted")
    services = ramp.system.services
    services.payouts.approve(second, min_credit=None, who="ann")
    ramp.until(second, "awaiting_funding")
    services.payouts.reveal(second, who="ann")
    same = "0x" + "7e" * 32
    outs = iter([first, second] * (CROWD // 2))
    lock = threading.Lock()

    def record() -> str:
        with lock:
            mine = next(outs)
        services.payouts.funded(mine, tx_hash=same, who="ann")
        return mine

    stored, refusals = at_once(record)
    assert (len(stored), len(refusals)) == (1, CROWD - 1)
    kept = [services.payouts.show(out)["transfer"]["funding"] for out in (first, second)]
    assert [one["hash"] for one in kept if one is not None] == [same]


def test_an_approval_and_a_new_bank_account_at_once_send_nothing_to_the_old_one(ramp: Offramp) -> None:
    ramp.settled()
    ramp.account()
    out = proposed(ramp)
    ramp.until(out, "quoted")
    services = ramp.system.services
    changed = {**BANK, "stables_customer_id": CUSTOMER_ID, "purpose_code": "PAYMENT_FOR_SERVICES"}
    _, refused = together(
        lambda: services.payouts.approve(out, min_credit=None, who="ann"),
        lambda: services.payout_accounts.add(ramp.system.store.id, changed, who="ben"),
    )
    assert all("replaced" in str(one) for one in refused)
    ramp.wait(lambda: ramp.state(out) == "quoted")
    assert ramp.transfers() == []
    with pytest.raises(NotPossible, match="replaced"):
        services.payouts.approve(out, min_credit=None, who="ann")


def test_the_same_event_at_once_is_stored_once(system: System) -> None:
    answer = system.pay()
    body = system.event(system.sessions(answer.payment.id)[0], "completed")
    results, _ = at_once(lambda: system.deliver(body))
    assert sorted(results) == ["known"] * (CROWD - 1) + ["stored"]
    system.work()
    assert system.told(answer.payment.id) == ["payment.settled"]
