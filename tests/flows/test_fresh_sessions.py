"""Shoppers who come back: to a session that ran out, to a payment that expired or failed, and never."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from checkout.errors import NotPossible
from checkout.paying.payments import PaymentAnswer
from checkout.paying.sessions import SESSIONS_MAX
from tests.system import System


def view(system: System, answer: PaymentAnswer) -> Any:
    return system.services.shopper.pay(answer.pay_token)


def run_out(system: System) -> None:
    system.clock.advance(seconds=system.mint.life_s + 1)


def expire(system: System) -> None:
    """Past the session's end, the sender's last try and the slack: the clock says that it is over."""
    system.clock.advance(seconds=system.mint.life_s, hours=4)
    system.work()


def test_a_session_that_ran_out_is_followed_by_a_fresh_one_under_the_same_address(system: System) -> None:
    opened = system.pay()
    first = view(system, opened).session_url
    assert (first is not None, view(system, opened).can_renew) == (True, False)
    run_out(system)
    assert (view(system, opened).session_url, view(system, opened).can_renew) == (None, True)
    system.services.shopper.renew(opened.pay_token)
    after = view(system, opened)
    assert after.session_url not in (None, first)
    assert not after.can_renew
    assert [one.state for one in system.sessions(opened.payment.id)] == ["open", "open"]
    assert system.payment(opened.payment.id).status == "open"


def test_money_through_the_older_session_of_a_live_payment_is_the_orders_money(system: System) -> None:
    opened = system.pay()
    run_out(system)
    system.services.shopper.renew(opened.pay_token)
    system.hear(system.sessions(opened.payment.id)[0], "completed")
    payment = system.payment(opened.payment.id)
    assert (payment.status, payment.anomalies) == ("settled", "")


def test_an_expired_payment_opens_again_and_money_through_its_old_session_is_late(system: System) -> None:
    opened = system.pay()
    expire(system)
    assert system.payment(opened.payment.id).status == "expired"
    assert system.told(opened.payment.id) == ["payment.expired"]
    assert view(system, opened).can_renew
    system.services.shopper.renew(opened.pay_token)
    payment = system.payment(opened.payment.id)
    assert (payment.status, payment.expired_at) == ("open", None)
    old, fresh = system.sessions(opened.payment.id)
    assert (old.ended_at is not None, fresh.ended_at) == (True, None)
    system.hear(old, "completed")
    payment = system.payment(opened.payment.id)
    assert (payment.status, payment.anomalies) == ("settled", "late")


def test_both_sessions_paid_are_one_order_and_a_named_second(system: System) -> None:
    opened = system.pay()
    expire(system)
    system.services.shopper.renew(opened.pay_token)
    old, fresh = system.sessions(opened.payment.id)
    system.hear(fresh, "completed")
    system.hear(old, "completed")
    payment = system.payment(opened.payment.id)
    assert (payment.status, payment.anomalies) == ("settled", "duplicate,late")
    assert system.balances() == {
        "shopper_receivable/EUR": -1800, "stable_mint_settled/EUR": 900, "unallocated/EUR": 900,
    }  # fmt: skip
    assert system.cases() == ["duplicate"]


def test_a_payment_that_opened_again_can_expire_again_and_is_told_again(sqlite_system: System) -> None:
    system = sqlite_system
    opened = system.pay()
    expire(system)
    system.services.shopper.renew(opened.pay_token)
    system.work()
    assert system.payment(opened.payment.id).status == "open"
    expire(system)
    assert system.payment(opened.payment.id).status == "expired"
    assert system.told(opened.payment.id) == ["payment.expired", "payment.expired"]


def test_while_a_session_is_usable_asking_again_opens_nothing(sqlite_system: System) -> None:
    system = sqlite_system
    opened = system.pay()
    for _ in range(3):
        system.services.shopper.renew(opened.pay_token)
    assert len(system.sessions(opened.payment.id)) == 1


def test_a_failed_payment_gets_another_try(system: System) -> None:
    opened = system.pay()
    system.hear(system.sessions(opened.payment.id)[0], "failed")
    assert system.payment(opened.payment.id).status == "failed"
    assert view(system, opened).can_renew
    system.services.shopper.renew(opened.pay_token)
    assert system.payment(opened.payment.id).status == "open"
    assert view(system, opened).session_url is not None


@pytest.mark.parametrize("kind", ["initiated", "submitted", "completed"])
def test_while_money_is_under_way_or_there_no_session_opens(sqlite_system: System, kind: str) -> None:
    system = sqlite_system
    opened = system.pay()
    system.hear(system.sessions(opened.payment.id)[0], kind)
    run_out(system)
    assert not view(system, opened).can_renew
    with pytest.raises(NotPossible):
        system.services.shopper.renew(opened.pay_token)


def test_a_cancelled_payment_opens_no_session(sqlite_system: System) -> None:
    system = sqlite_system
    opened = system.pay()
    system.services.payments.cancel(system.store.id, opened.payment.id, who="ann")
    assert not view(system, opened).can_renew
    with pytest.raises(NotPossible, match="cancelled"):
        system.services.shopper.renew(opened.pay_token)


def test_a_payment_has_only_so_many_sessions(sqlite_system: System) -> None:
    system = sqlite_system
    opened = system.pay()
    for _ in range(SESSIONS_MAX - 1):
        run_out(system)
        system.services.shopper.renew(opened.pay_token)
    run_out(system)
    assert not view(system, opened).can_renew
    with pytest.raises(NotPossible, match="sessions"):
        system.services.shopper.renew(opened.pay_token)


def test_many_clicks_at_once_open_one_session(system: System) -> None:
    opened = system.pay()
    run_out(system)
    clicks = [threading.Thread(target=system.services.shopper.renew, args=(opened.pay_token,)) for _ in range(4)]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert [one.state for one in system.sessions(opened.payment.id)] == ["open", "open"]


def test_a_shopper_who_never_returns_has_paid_all_the_same(system: System) -> None:
    opened = system.pay()
    session = system.sessions(opened.payment.id)[0]
    system.hear(session, "completed")
    assert (system.payment(opened.payment.id).status, session.came_back_at) == ("settled", None)
    assert system.told(opened.payment.id) == ["payment.settled"]
