"""A hosted payment from opening to settled, and what every kind of odd money does to it."""

from __future__ import annotations

import httpx

from tests.system import System


def test_a_hosted_payment_is_opened_paid_and_told_to_the_shop(system: System) -> None:
    answer = system.pay()
    assert answer.payment.status == "open"
    session = system.sessions(answer.payment.id)[0]
    system.hear(session, "created", "initiated", "submitted", "accepted", "completed")
    assert system.payment(answer.payment.id).status == "settled"
    assert system.told(answer.payment.id) == ["payment.accepted", "payment.settled"]
    assert [one["type"] for one in system.shop.heard] == ["payment.accepted", "payment.settled"]
    assert system.balances() == {"shopper_receivable/EUR": -900, "stable_mint_settled/EUR": 900}
    assert system.cases() == []


def test_v1_events_settle_a_payment_too(system: System) -> None:
    answer = system.pay()
    system.hear(system.sessions(answer.payment.id)[0], "created", "submitted", "reconciled", "accepted", version="v1")
    assert system.payment(answer.payment.id).status == "settled"


def test_settled_alone_is_enough_when_everything_before_it_was_lost(system: System) -> None:
    answer = system.pay()
    system.hear(system.sessions(answer.payment.id)[0], "completed")
    assert system.payment(answer.payment.id).status == "settled"
    assert system.balances() == {"shopper_receivable/EUR": -900, "stable_mint_settled/EUR": 900}


def test_less_than_asked_is_underpaid_and_never_paid(system: System) -> None:
    answer = system.pay()
    system.hear(system.sessions(answer.payment.id)[0], "accepted", "completed", amount=8.5)
    payment = system.payment(answer.payment.id)
    assert (payment.status, payment.anomalies) == ("submitted", "underpaid")
    assert system.balances() == {"shopper_receivable/EUR": -850, "unallocated/EUR": 850}
    assert system.cases() == ["underpaid"]
    assert set(system.told(answer.payment.id)) == {"payment.anomaly"}


def test_more_than_asked_settles_the_order_and_leaves_the_rest_unallocated(system: System) -> None:
    answer = system.pay()
    system.hear(system.sessions(answer.payment.id)[0], "accepted", "completed", amount=10)
    payment = system.payment(answer.payment.id)
    assert (payment.status, payment.anomalies) == ("settled", "overpaid")
    assert system.balances() == {
        "shopper_receivable/EUR": -1000, "stable_mint_settled/EUR": 900, "unallocated/EUR": 100,
    }  # fmt: skip


def test_money_in_another_currency_is_unallocated(system: System) -> None:
    answer = system.pay()
    system.hear(system.sessions(answer.payment.id)[0], "completed", currency="USD")
    payment = system.payment(answer.payment.id)
    assert (payment.status, payment.anomalies) == ("submitted", "currency_mismatch")
    assert system.balances() == {"shopper_receivable/USD": -900, "unallocated/USD": 900}


def test_a_second_deposit_that_covers_the_order_is_a_duplicate_and_waits_for_a_person(system: System) -> None:
    answer = system.pay()
    session = system.sessions(answer.payment.id)[0]
    system.hear(session, "completed")
    system.hear(session, "completed", reference="SECOND")
    payment = system.payment(answer.payment.id)
    assert (payment.status, payment.anomalies) == ("settled", "duplicate")
    assert system.balances()["unallocated/EUR"] == 900
    assert system.cases() == ["duplicate"]


def test_failed_together_with_settled_opens_the_same_case_in_either_order(system: System) -> None:
    seen = []
    for order in (("failed", "completed"), ("completed", "failed")):
        answer = system.pay()
        system.hear(system.sessions(answer.payment.id)[0], *order)
        payment = system.payment(answer.payment.id)
        seen.append((payment.status, payment.anomalies))
    assert seen == [("settled", "contradiction")] * 2
    assert system.cases() == ["contradiction"] * 2


def test_an_unknown_session_is_retried_under_its_key_by_the_worker(system: System) -> None:
    system.mint.next_answers.append(httpx.ReadTimeout("no answer"))
    answer = system.pay()
    assert answer.payment.status == "created"
    system.clock.advance(seconds=30)
    system.work()
    first, second = system.mint.requests
    assert first["idempotencyKey"] == second["idempotencyKey"]
    assert system.payment(answer.payment.id).status == "open"


def test_a_refused_replay_loses_the_session_and_opens_a_new_one_at_once(system: System) -> None:
    system.mint.next_answers += [httpx.ReadTimeout("no answer"), httpx.Response(409, json={"message": "known"})]
    answer = system.pay()
    system.clock.advance(seconds=30)
    system.work()
    first, _, third = system.mint.requests
    assert first["idempotencyKey"] != third["idempotencyKey"]
    assert [one.state for one in system.sessions(answer.payment.id)] == ["lost", "open"]
    assert system.payment(answer.payment.id).status == "open"


def test_an_event_without_a_reference_is_for_a_person_once_its_session_has_several_deposits(
    sqlite_system: System,
) -> None:
    answer = sqlite_system.pay()
    session = sqlite_system.sessions(answer.payment.id)[0]
    sqlite_system.hear(session, "created")
    sqlite_system.hear(session, "created", reference="SECOND")
    sqlite_system.hear(session, "completed", reference=...)
    assert sqlite_system.payment(answer.payment.id).status == "open"
    assert sqlite_system.cases() == ["event_quarantined"]
