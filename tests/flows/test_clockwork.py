"""What time alone decides: expiry after the sender's last possible try, the news of a failure, and silence for a person."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from checkout.errors import NotFound
from checkout.store import moves, notifications
from checkout.store.tables import payment as payment_table
from checkout.store.work import claim, wake
from tests.system import START, System, make_system

#: A session lives 30 minutes here; then come the sender's 195 minutes and 30 more.
EXPIRY_MIN = 30 + 195 + 30


def pass_time(system: System, **duration: float) -> None:
    """Let time go by and the worker look."""
    system.clock.advance(**duration)
    system.work()


def messages(system: System, payment_id: str) -> list[tuple[str, str]]:
    """Type and status of each notification, in order."""
    with system.database.read() as unit:
        rows = notifications.notifications_on(unit, payment_id)
    return [(row.type, json.loads(row.body)["data"]["status"]) for row in rows]


def details(system: System) -> dict[str, str]:
    with system.database.read() as unit:
        return {one["kind"]: one["detail"] for one in moves.list_cases(unit, include_closed=False, limit=100)}


# --- expiry ------------------------------------------------------------------------------------------------------


def test_an_open_payment_expires_only_after_the_senders_last_try_and_some_slack(system: System) -> None:
    paid = system.pay().payment.id
    pass_time(system, minutes=EXPIRY_MIN, seconds=-1)
    assert system.payment(paid).status == "open"
    pass_time(system, seconds=1)
    assert system.payment(paid).status == "expired"
    assert system.told(paid) == ["payment.expired"]
    pass_time(system, days=30)
    assert system.told(paid) == ["payment.expired"]


def test_with_several_sessions_the_last_to_end_decides(sqlite_system: System) -> None:
    system = sqlite_system
    paid = system.pay().payment.id
    pass_time(system, minutes=20)
    system.services.payments.fresh_session(system.store.id, paid)
    pass_time(system, minutes=EXPIRY_MIN - 1)
    assert system.payment(paid).status == "open"
    pass_time(system, minutes=1)
    assert system.payment(paid).status == "expired"


def test_a_payment_whose_session_states_no_end_is_given_a_day(sqlite_system: System) -> None:
    system = sqlite_system
    answer = json.loads(system.mint.opened().content)
    for odd in ({}, {"expiresAt": int(START.timestamp()) * 1000}, {"expiresAt": 1}):
        given = {name: value for name, value in answer.items() if name != "expiresAt"}
        system.mint.next_answers.append(httpx.Response(200, json={**given, **odd, "reference": f"r-{odd}"}))
        paid = system.pay().payment
        assert (paid.status, paid.expires_at) == ("open", None)  # a mistake of units is no date
        pass_time(system, hours=24, minutes=224)
        assert system.payment(paid.id).status == "open"
        pass_time(system, minutes=1)
        assert system.payment(paid.id).status == "expired"


def test_a_payment_that_never_got_a_session_expires_too_and_its_session_ends(sqlite_system: System) -> None:
    system = sqlite_system
    system.mint.next_answers += [httpx.ReadTimeout("no answer")]
    paid = system.pay().payment.id
    system.clock.advance(days=2)
    asked = len(system.mint.requests)
    system.services.clockwork.step(paid, _claimed(system, paid))
    assert system.payment(paid).status == "expired"
    system.work()
    assert len(system.mint.requests) == asked  # nobody opens a session for a payment that has ended
    assert [one.state for one in system.sessions(paid)] == ["lost"]


def _claimed(system: System, payment_id: str) -> str:
    """A lease on the payment, due or not."""
    now, lease = system.clock.now, system.services.context.lease
    with system.database.write() as unit:
        wake(unit, payment_table, payment_id, now=now)
        assert payment_id in claim(unit, payment_table, now=now, lease=lease, token="clock", limit=50)
    return "clock"


@pytest.mark.parametrize("word", ["initiated", "submitted", "accepted", "completed"])
def test_what_has_begun_never_expires(sqlite_system: System, word: str) -> None:
    system = sqlite_system
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, word)
    before = system.payment(session.payment_id).status
    pass_time(system, days=60)
    assert system.payment(session.payment_id).status == before
    assert "payment.expired" not in system.told(session.payment_id)


def test_an_open_deposit_alone_does_not_keep_a_payment_from_expiring(sqlite_system: System) -> None:
    system = sqlite_system
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, "created")
    pass_time(system, minutes=EXPIRY_MIN)
    assert system.payment(session.payment_id).status == "expired"
    system.hear(session, "created", reference="AGAIN")
    assert system.payment(session.payment_id).status == "expired"


def test_money_that_comes_after_expiry_is_honoured_and_called_late(system: System) -> None:
    session = system.sessions(system.pay().payment.id)[0]
    pass_time(system, minutes=EXPIRY_MIN)
    system.hear(session, "accepted", "completed")
    payment = system.payment(session.payment_id)
    assert (payment.status, payment.anomalies) == ("settled", "late")
    assert messages(system, payment.id) == [
        ("payment.expired", "expired"),
        ("payment.accepted", "accepted"),
        ("payment.anomaly", "accepted"),
        ("payment.settled", "settled"),
        ("payment.anomaly", "settled"),
    ]
    assert system.balances() == {"shopper_receivable/EUR": -900, "stable_mint_settled/EUR": 900}
    assert system.cases() == []  # honoured and told: nobody has to act


def test_a_cancelled_payment_is_silent_and_honours_what_comes(sqlite_system: System) -> None:
    system = sqlite_system
    session = system.sessions(system.pay().payment.id)[0]
    system.services.payments.cancel(system.store.id, session.payment_id, who="ann")
    pass_time(system, days=30)
    assert system.payment(session.payment_id).status == "cancelled"
    assert system.told(session.payment_id) == []
    system.hear(session, "completed")
    payment = system.payment(session.payment_id)
    assert (payment.status, payment.anomalies) == ("settled", "late")


# --- failure -----------------------------------------------------------------------------------------------------


def test_a_failure_is_told_when_the_shopper_has_had_time_to_try_again(system: System) -> None:
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, "created", "failed")
    assert system.payment(session.payment_id).status == "failed"
    pass_time(system, seconds=119)
    assert system.told(session.payment_id) == []
    pass_time(system, seconds=1)
    assert system.told(session.payment_id) == ["payment.failed"]
    pass_time(system, days=30)
    assert system.told(session.payment_id) == ["payment.failed"]


def test_a_shopper_who_tries_again_in_time_has_not_failed(sqlite_system: System) -> None:
    system = sqlite_system
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, "failed")
    pass_time(system, seconds=60)
    system.hear(session, "created", reference="AGAIN")
    pass_time(system, minutes=30)
    assert system.payment(session.payment_id).status == "open"
    assert system.told(session.payment_id) == []
    system.hear(session, "failed", reference="AGAIN")
    pass_time(system, minutes=2)
    assert system.told(session.payment_id) == ["payment.failed"]


def test_a_second_failure_after_a_second_try_is_told_again(sqlite_system: System) -> None:
    system = sqlite_system
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, "failed")
    pass_time(system, minutes=2)
    system.services.payments.fresh_session(system.store.id, session.payment_id)
    system.hear(system.sessions(session.payment_id)[1], "failed")
    pass_time(system, minutes=2)
    assert system.told(session.payment_id) == ["payment.failed", "payment.failed"]


def test_what_has_been_told_is_not_told_again_however_often_the_clock_looks(sqlite_system: System) -> None:
    system = sqlite_system
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, "failed")
    pass_time(system, minutes=2)
    system.services.clockwork.step(session.payment_id, _claimed(system, session.payment_id))
    assert system.told(session.payment_id) == ["payment.failed"]


def test_a_declined_session_fails_the_payment_and_is_told_by_the_clock(sqlite_system: System) -> None:
    system = sqlite_system
    system.mint.next_answers.append(httpx.Response(422, json={"message": "no such country"}))
    paid = system.pay().payment.id
    assert system.payment(paid).status == "failed"
    pass_time(system, minutes=2)
    assert system.told(paid) == ["payment.failed"]


# --- silence -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "method", "patience_h"),
    [
        ("initiated", None, 24),
        ("initiated", "ManualBankTransfer", 24),
        ("initiated", "OpenBanking", 6),
        ("submitted", None, 5 * 24),
        ("submitted", "OpenBanking", 2 * 24),
        ("accepted", None, 7 * 24),
        ("accepted", "OpenBanking", 5 * 24),
    ],
)
def test_silence_becomes_a_case_by_stage_and_payment_method(
    sqlite_system: System, word: str, method: str | None, patience_h: int
) -> None:
    system = sqlite_system
    session = system.sessions(system.pay(payment_method=method).payment.id)[0]
    system.clock.advance(seconds=10)
    system.hear(session, word)
    pass_time(system, hours=patience_h, seconds=-1)
    assert system.cases() == []
    pass_time(system, seconds=2)
    assert system.cases() == [f"silent_{word}"]
    text = details(system)[f"silent_{word}"]
    assert "no news since 2026-11-21T12:00:00+00:00" in text
    assert "last try would have been at 2026-11-21T15:15:00+00:00" in text


def test_news_starts_the_wait_anew_and_a_second_silence_opens_the_case_again(system: System) -> None:
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, "initiated")
    pass_time(system, hours=23)
    system.hear(session, "failed", reference="OTHER")
    pass_time(system, hours=23)
    assert system.cases() == []
    pass_time(system, hours=1, seconds=1)
    assert system.cases() == ["silent_initiated"]
    with system.database.write() as unit:
        (case,) = moves.list_cases(unit, include_closed=False, limit=2)
        moves.close_case(unit, case["id"], who="ann", note="they will look", at=system.clock.now)
    pass_time(system, days=10)
    assert system.cases() == []
    system.hear(session, "created", reference="THIRD")
    pass_time(system, hours=24, seconds=1)
    assert system.cases() == ["silent_initiated"]


def test_a_payment_that_is_looked_at_too_early_is_looked_at_again_in_time(sqlite_system: System) -> None:
    system = sqlite_system
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, "initiated")
    pass_time(system, hours=12)
    system.services.clockwork.step(session.payment_id, _claimed(system, session.payment_id))
    assert system.cases() == []
    pass_time(system, hours=12)
    assert system.cases() == ["silent_initiated"]


@pytest.mark.parametrize("word", ["created", "completed"])
def test_stages_that_may_be_silent_open_no_case(sqlite_system: System, word: str) -> None:
    session = sqlite_system.sessions(sqlite_system.pay().payment.id)[0]
    sqlite_system.hear(session, word)
    pass_time(sqlite_system, days=60)
    assert sqlite_system.cases() == []


def test_the_sandbox_clock_may_run_faster(fast_folder: Path) -> None:
    system = make_system(f"sqlite:///{fast_folder / 'fast.db'}", CHECKOUT_SPEED="60")
    session = system.sessions(system.pay().payment.id)[0]
    other = system.sessions(system.pay().payment.id)[0]
    system.hear(other, "failed")
    system.clock.advance(seconds=2)
    system.work()
    assert system.told(other.payment_id) == ["payment.failed"]
    # the provider's own expiry is never scaled, what we add to it is
    system.clock.advance(minutes=30, seconds=225)
    system.work()
    assert system.payment(session.payment_id).status == "expired"
    system.close()


def test_a_payment_that_is_not_there_cannot_be_looked_at(sqlite_system: System) -> None:
    with pytest.raises(NotFound):
        sqlite_system.services.clockwork.step("pay_none", "token")
