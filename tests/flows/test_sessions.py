"""Opening sessions at Stable Mint: every answer, and every way of not getting one."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from checkout.errors import NotFound, NotPossible, ProviderCallsBusy, RequestRefused
from checkout.paying.customers import Person
from checkout.paying.payments import PaymentAnswer
from checkout.paying.sessions import AUTOMATIC_MAX, ProviderGate
from checkout.store import moves, payments
from checkout.store.tables import session as session_table
from checkout.store.work import claim
from tests.deliveries import beside, cases_about
from tests.system import System, make_system

LOST = httpx.ReadTimeout("no answer")
DECLINED = (400, 401, 403, 404, 409, 422)


def refusal(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"message": "no"}, headers=headers)


def without_url(system: System) -> httpx.Response:
    answer = json.loads(system.mint.opened().content)
    return httpx.Response(200, json={**answer, "url": None})


def states(system: System, answer: PaymentAnswer) -> list[str]:
    return [one.state for one in system.sessions(answer.payment.id)]


def keys(system: System) -> list[str]:
    return [one["idempotencyKey"] for one in system.mint.requests]


def later(system: System, **duration: float) -> None:
    system.clock.advance(**duration)
    system.work()


# --- answered ----------------------------------------------------------------------------------------------------


def test_a_good_answer_opens_the_payment_and_is_asked_for_once(system: System) -> None:
    answer = system.pay()
    assert (answer.payment.status, states(system, answer)) == ("open", ["open"])
    later(system, minutes=30)
    assert len(system.mint.requests) == 1


@pytest.mark.parametrize("status", DECLINED)
def test_a_refusal_fails_the_payment_and_is_not_asked_again(sqlite_system: System, status: int) -> None:
    system = sqlite_system
    system.mint.next_answers.append(refusal(status))
    answer = system.pay()
    assert (answer.payment.status, answer.declined, states(system, answer)) == ("failed", "no", ["declined"])
    assert system.sessions(answer.payment.id)[0].problem == f"{status}: no"
    later(system, hours=1)
    assert len(system.mint.requests) == 1
    assert system.cases() == (["stable_mint_refuses_us"] if status in (401, 403) else [])


def test_when_stable_mint_refuses_us_there_is_one_case_and_it_opens_again(sqlite_system: System) -> None:
    system = sqlite_system
    for _ in range(3):
        system.mint.next_answers.append(refusal(401))
        system.pay()
        assert cases_about(system, "installation") == ["stable_mint_refuses_us"]
    with system.database.write() as unit:
        (case,) = moves.list_cases(unit, include_closed=False, limit=2)
        moves.close_case(unit, case["id"], who="ann", note="new key", at=system.clock.now)
    system.mint.next_answers.append(refusal(403))
    system.pay()
    assert cases_about(system, "installation") == ["stable_mint_refuses_us"]


def test_what_the_provider_could_not_take_is_refused_before_anything_is_stored(system: System) -> None:
    with pytest.raises(RequestRefused):
        system.pay("10.01")  # the sandbox's limit
    with system.database.read() as unit:
        assert payments.page_of_payments(unit, None, limit=5, after=None, filters={}) == []
    assert system.mint.requests == []


# --- unknown, and then -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_no_clear_answer_is_unknown_and_asked_again_under_the_same_key(sqlite_system: System, status: int) -> None:
    system = sqlite_system
    system.mint.next_answers.append(refusal(status))
    answer = system.pay()
    assert (answer.payment.status, answer.declined, states(system, answer)) == ("created", None, ["sending"])
    later(system, minutes=2)
    assert states(system, answer) == ["open"]
    assert keys(system)[0] == keys(system)[1]
    first, second = ({**one} for one in system.mint.requests)
    assert first == second


def test_a_wait_that_the_provider_asks_for_is_kept(sqlite_system: System) -> None:
    system = sqlite_system
    system.mint.next_answers.append(refusal(429, **{"Retry-After": "100"}))
    answer = system.pay()
    later(system, seconds=99)
    assert states(system, answer) == ["sending"]
    later(system, seconds=1)
    assert states(system, answer) == ["open"]


Replay = Callable[[System], httpx.Response]
REPLAYS: dict[str, tuple[Replay, list[str]]] = {
    "the same answer": (lambda system: system.mint.opened(), ["open"]),
    "an error": (lambda system: refusal(409), ["lost", "open"]),
    "an answer without a URL": (without_url, ["lost", "open"]),
}


@pytest.mark.parametrize(("replay", "after"), REPLAYS.values(), ids=REPLAYS)
def test_a_replay_that_gives_no_session_loses_it_and_a_new_one_opens_at_once(
    system: System, replay: Replay, after: list[str]
) -> None:
    system.mint.next_answers += [LOST, replay(system)]
    answer = system.pay()
    later(system, seconds=5)
    assert states(system, answer) == after
    assert system.payment(answer.payment.id).status == "open"
    assert len(set(keys(system))) == len(after)


def test_a_lost_session_still_hears_its_money_by_our_two_identifiers(system: System) -> None:
    system.mint.next_answers += [LOST, refusal(409)]
    answer = system.pay()
    later(system, seconds=5)
    lost = system.sessions(answer.payment.id)[0]
    assert (lost.state, lost.reference) == ("lost", None)
    system.hear(lost, "completed", reference="THEIRS", sessionId=...)
    assert system.payment(answer.payment.id).status == "settled"


def test_a_replay_refused_for_our_credentials_ends_in_a_case(sqlite_system: System) -> None:
    system = sqlite_system
    system.mint.next_answers += [LOST, refusal(401), refusal(401)]
    answer = system.pay()
    later(system, seconds=5)
    assert states(system, answer) == ["lost", "declined"]
    assert system.cases() == ["stable_mint_refuses_us"]


@pytest.mark.parametrize(
    "odd",
    [
        {"url": None},
        {"url": ""},
        {"url": 7},
        {"url": "https://stablemint.example/sessions/1"},
        {"url": "javascript:alert(1)"},
    ],
)
def test_an_answer_where_nobody_can_pay_is_a_lost_session(sqlite_system: System, odd: dict[str, Any]) -> None:
    system = sqlite_system
    good = json.loads(system.mint.opened().content)
    system.mint.next_answers.append(httpx.Response(200, json={**good, **odd}))
    answer = system.pay()
    assert (answer.payment.status, states(system, answer)) == ("open", ["lost", "open"])
    assert system.sessions(answer.payment.id)[0].problem


def test_a_reference_that_another_session_has_makes_this_one_lost(system: System) -> None:
    good = system.mint.opened()
    system.mint.next_answers += [good, httpx.Response(200, json=json.loads(good.content))]
    first, second = system.pay(), system.pay()
    assert (states(system, first), states(system, second)) == (["open"], ["lost", "open"])
    problem = system.sessions(second.payment.id)[0].problem
    assert problem == "the provider's reference already belongs to another session"


def test_five_lost_sessions_are_enough_then_a_person_looks(system: System) -> None:
    system.mint.next_answers += [without_url(system) for _ in range(AUTOMATIC_MAX)]
    answer = system.pay()
    assert (answer.payment.status, states(system, answer)) == ("created", ["lost"] * AUTOMATIC_MAX)
    assert cases_about(system, answer.payment.id) == ["session_not_opened"]
    later(system, hours=1)
    assert len(system.mint.requests) == AUTOMATIC_MAX
    system.services.payments.fresh_session(system.store.id, answer.payment.id)  # whoever asks may still try
    assert system.payment(answer.payment.id).status == "open"


def test_what_stays_unknown_too_long_is_lost_and_a_new_session_opens(system: System) -> None:
    system.mint.next_answers += [LOST] * 50
    answer = system.pay()
    while states(system, answer) == ["sending"]:
        later(system, minutes=1)
        assert system.clock.now - answer.payment.created_at < timedelta(minutes=40)
    assert system.clock.now - answer.payment.created_at > timedelta(minutes=15)
    assert states(system, answer) == ["lost", "sending"]
    first = system.sessions(answer.payment.id)[0]
    assert (first.problem or "").startswith("unknown for too long")
    system.mint.next_answers.clear()
    later(system, minutes=10)
    assert states(system, answer) == ["lost", "open"]


def test_an_unknown_session_of_a_cancelled_payment_is_not_sent_again(system: System) -> None:
    system.mint.next_answers.append(LOST)
    answer = system.pay()
    system.services.payments.cancel(system.store.id, answer.payment.id, who="ann")
    later(system, minutes=1)
    assert states(system, answer) == ["lost"]
    assert system.payment(answer.payment.id).status == "cancelled"
    assert len(system.mint.requests) == 1


@pytest.mark.parametrize("answer", [refusal(409), LOST])
def test_a_payment_that_is_cancelled_while_its_session_is_being_asked_for_opens_no_other(
    sqlite_system: System, answer: httpx.Response | Exception
) -> None:
    system = sqlite_system
    system.mint.next_answers.append(LOST)
    paid = system.pay()
    system.clock.advance(minutes=16)

    def cancels(request: httpx.Request) -> httpx.Response:
        system.services.payments.cancel(system.store.id, paid.payment.id, who="ann")
        if isinstance(answer, Exception):
            raise answer
        return answer

    process = beside(system, mint=cancels)
    process.work()
    process.close()
    assert states(system, paid) == ["lost"]
    assert system.payment(paid.payment.id).status == "cancelled"


def test_a_process_that_died_before_its_first_byte_is_continued_under_its_key(system: System) -> None:
    class Died(BaseException):
        pass

    def dies(request: httpx.Request) -> httpx.Response:
        raise Died

    process = beside(system, mint=dies)
    with pytest.raises(Died):
        process.pay()
    process.close()
    with system.database.read() as unit:
        (payment,) = payments.page_of_payments(unit, None, limit=5, after=None, filters={})
        (session,) = payments.sessions_of(unit, payment.id)
    assert session.state == "sending"
    later(system, seconds=119)
    assert system.mint.requests == []
    later(system, seconds=1)
    assert keys(system) == [session.provider_key]
    assert system.payment(payment.id).status == "open"


# --- a fresh session ---------------------------------------------------------------------------------------------


def test_a_fresh_session_goes_on_with_the_one_that_is_still_being_opened(system: System) -> None:
    system.mint.next_answers.append(LOST)
    paid = system.pay().payment.id
    answer = system.services.payments.fresh_session(system.store.id, paid)
    assert (states(system, answer), len(system.mint.requests)) == (["sending"], 1)
    later(system, seconds=5)
    answer = system.services.payments.fresh_session(system.store.id, paid)
    assert states(system, answer) == ["open", "open"]
    assert answer.reference == system.sessions(paid)[1].reference


def test_a_fresh_session_that_is_declined_says_so_and_leaves_the_first_open(sqlite_system: System) -> None:
    system = sqlite_system
    paid = system.pay().payment.id
    system.mint.next_answers.append(refusal(400))
    answer = system.services.payments.fresh_session(system.store.id, paid)
    assert (answer.declined, answer.payment.status, states(system, answer)) == ("no", "open", ["open", "declined"])


@pytest.mark.parametrize("word", ["initiated", "submitted", "completed"])
def test_when_money_is_under_way_no_fresh_session_opens(sqlite_system: System, word: str) -> None:
    session = sqlite_system.sessions(sqlite_system.pay().payment.id)[0]
    sqlite_system.hear(session, word)
    with pytest.raises(NotPossible):
        sqlite_system.services.payments.fresh_session(sqlite_system.store.id, session.payment_id)


def test_what_is_not_there_can_neither_be_opened_nor_sent(sqlite_system: System) -> None:
    with pytest.raises(NotFound):
        sqlite_system.services.sessions.fresh("pay_none")
    with pytest.raises(NotFound):
        sqlite_system.services.sessions.step("ses_none", "token")


# --- partner-managed customers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kyc", [{}, {"full_name": "Ann Example", "citizenship_country_code": "DE"}])
def test_a_partner_managed_customer_is_sent_the_same_in_every_try(sqlite_system: System, kyc: dict[str, str]) -> None:
    system = sqlite_system
    system.mint.next_answers.append(LOST)
    system.pay(flow="hosted_partner", customer=Person("c-1", "ann@shop.example", "DE", kyc))
    later(system, seconds=5)
    first, second = system.mint.requests
    assert first == second
    assert first["userEmail"] == "ann@shop.example"
    assert first.get("userKyc", {}).get("fullName") == kyc.get("full_name")
    system.pay(flow="hosted_partner", customer=Person("c-1", "new@shop.example", "DE", kyc))
    assert system.mint.requests[-1]["userId"] == first["userId"]
    assert system.mint.requests[-1]["userEmail"] == "new@shop.example"


def test_the_stores_destination_address_is_sent_with_hosted_sessions_only(fast_folder: Path) -> None:
    address = "0x52908400098527886e0f7030069857d2e4169ee7"
    system = make_system(f"sqlite:///{fast_folder / 'a.db'}")
    system.services.stores.set(system.store.id, {"destination_address": address}, who="ann")
    system.store = system.services.stores.find(system.store.id)
    system.pay(payment_method="OpenBanking")
    system.pay(flow="hosted_partner", customer=Person("c-1", "ann@shop.example", "DE"))
    hosted, partner = system.mint.requests
    assert (hosted["blockchainDestinationAddress"], hosted["paymentMethod"]) == (address, "OpenBanking")
    assert "blockchainDestinationAddress" not in partner
    system.close()


def test_the_session_of_a_customer_who_was_erased_meanwhile_is_not_sent(sqlite_system: System) -> None:
    system = sqlite_system
    system.mint.next_answers.append(LOST)
    paid = system.pay(flow="hosted_partner", customer=Person("c-1", "ann@shop.example", "DE"))
    system.services.customers.erase(system.store.id, "c-1", who="ann")
    later(system, minutes=1)
    assert (len(system.mint.requests), states(system, paid)) == (1, ["lost"])
    with pytest.raises(NotPossible, match="erased"):
        system.services.payments.fresh_session(system.store.id, paid.payment.id)


# --- the gate ----------------------------------------------------------------------------------------------------


def test_beyond_the_limit_of_calls_at_once_a_caller_is_told_to_come_back() -> None:
    gate = ProviderGate(1)
    with gate.enter():
        with pytest.raises(ProviderCallsBusy) as busy, gate.enter():
            pass
        assert busy.value.retry_after_s > 0
    with gate.enter():
        pass


def test_a_session_that_somebody_is_opening_is_not_claimed_by_another(sqlite_system: System) -> None:
    system = sqlite_system
    seen: list[list[str]] = []

    def looks(request: httpx.Request) -> httpx.Response:
        with system.database.write() as unit:
            seen.append(
                claim(
                    unit, session_table, now=system.clock.now, lease=system.services.context.lease, token="x", limit=5
                )
            )
        return system.mint.opened()

    process = beside(system, mint=looks)
    process.pay()
    process.close()
    assert seen == [[]]
