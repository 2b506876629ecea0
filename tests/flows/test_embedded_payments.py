"""The embedded flow: the widget's session, what its page is given, and amounts that the shopper chooses."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from checkout.errors import NotFound, RequestRefused
from checkout.paying.customers import Person
from checkout.paying.payments import PaymentAnswer
from tests.system import System, make_system

WIDGET = {"STABLE_MINT_WIDGET_URL": "http://127.0.0.1:9001/widget/gateway.js", "STABLE_MINT_SITE_ID": "3"}
ANN = Person("c-1", "ann@shop.example", "DE", {"full_name": "Ann Example"})


@pytest.fixture
def system(database_url: str) -> Iterator[System]:
    made = make_system(database_url, settings=WIDGET)
    yield made
    made.close()


@pytest.fixture
def sqlite_system(tmp_path: Path) -> Iterator[System]:
    made = make_system(f"sqlite:///{tmp_path / 'embedded.db'}", settings=WIDGET)
    yield made
    made.close()


def embed(system: System, **changes: Any) -> PaymentAnswer:
    wanted = system.wanted(flow="embedded", customer=ANN)
    answer, _ = system.services.payments.open(system.store, replace(wanted, **changes))
    return answer


def test_the_page_gives_the_widget_what_the_session_answered(system: System) -> None:
    opened = embed(system)
    assert opened.payment.status == "open"
    asked = system.mint.requests[0]
    assert (asked["userEmail"], asked["userKyc"]) == ("ann@shop.example", {"fullName": "Ann Example"})
    assert "successUrl" not in asked
    view = system.services.shopper.embed(opened.pay_token)
    session = system.sessions(opened.payment.id)[0]
    assert view.attributes == {
        "session-id": session.provider_session_id, "currency": "EUR", "country": "DE", "deposit-amount": "9",
        "allowed-payment-methods": '["OpenBanking","ManualBankTransfer"]', "saved-banks": '[{"id":"bank-1"}]',
        "payment-method": "OpenBanking", "site-id": "3",
    }  # fmt: skip
    assert (view.module_url, view.api_base) == (WIDGET["STABLE_MINT_WIDGET_URL"], "http://127.0.0.1:9001")
    assert view.frame_origins == tuple(json.loads(system.store.origins))
    assert (view.preparing, view.ended, view.paid, view.can_renew) == (False, False, False, False)


def test_what_the_answer_leaves_out_is_what_was_asked_and_json_text_stays_as_it_is(sqlite_system: System) -> None:
    system = sqlite_system
    asked = {"amount": 9, "currency": "EUR", "userCountryCode": "DE"}
    sparse = system.mint.embedded(
        asked, currency=..., country=None, amount=..., savedBanks='[{"id": 1.50}]', allowedPaymentMethods=...,
        paymentMethod=..., expiresAt=..., reference=...,
    )  # fmt: skip
    system.mint.next_answers.append(sparse)
    opened = embed(system)
    view = system.services.shopper.embed(opened.pay_token)
    assert dict(view.attributes) == {
        "session-id": system.sessions(opened.payment.id)[0].provider_session_id, "currency": "EUR", "country": "DE",
        "deposit-amount": "9", "saved-banks": '[{"id": 1.50}]', "site-id": "3",
    }  # fmt: skip


def test_a_session_without_an_id_is_lost_and_another_opens(sqlite_system: System) -> None:
    system = sqlite_system
    asked = {"amount": 9, "currency": "EUR", "userCountryCode": "DE"}
    system.mint.next_answers.append(system.mint.embedded(asked, sessionId=...))
    opened = embed(system)
    assert [one.state for one in system.sessions(opened.payment.id)] == ["lost", "open"]


def test_the_widgets_answer_is_sealed_in_the_database(sqlite_system: System) -> None:
    opened = embed(sqlite_system)
    sealed = sqlite_system.sessions(opened.payment.id)[0].widget_sealed
    assert sealed is not None
    assert b"bank-1" not in sealed


def test_without_the_widgets_script_the_flow_is_refused_by_name(tmp_path: Path) -> None:
    system = make_system(f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(RequestRefused, match="STABLE_MINT_WIDGET_URL") as refused:
        embed(system)
    assert set(refused.value.fields) == {"flow"}
    system.close()


def test_an_account_that_is_not_onboarded_for_it_is_told_so(tmp_path: Path) -> None:
    system = make_system(f"sqlite:///{tmp_path / 'none.db'}", settings={**WIDGET, "STABLE_MINT_FLOWS": "hosted"})
    for flow in ("embedded", "hosted_partner"):
        with pytest.raises(RequestRefused, match="STABLE_MINT_FLOWS"):
            system.pay(flow=flow, customer=ANN)
    assert not system.mint.requests
    system.close()


def test_a_paid_payment_has_no_widget_and_says_paid(system: System) -> None:
    opened = embed(system)
    session = system.sessions(opened.payment.id)[0]
    system.hear(session, "completed", sessionId=session.provider_session_id)
    view = system.services.shopper.embed(opened.pay_token)
    assert (view.paid, view.attributes, view.ended) == (True, {}, False)
    status = system.services.shopper.embed_status(opened.pay_token)
    assert (status.status, status.final, status.paid_at is not None) == ("settled", True, True)


def test_a_payment_of_another_flow_has_no_widget_page(sqlite_system: System) -> None:
    hosted = sqlite_system.pay()
    with pytest.raises(NotFound):
        sqlite_system.services.shopper.embed(hosted.pay_token)
    with pytest.raises(NotFound):
        sqlite_system.services.shopper.embed("x" * 22)


def test_an_unknown_answer_leaves_the_page_preparing_until_the_worker_has_a_session(sqlite_system: System) -> None:
    system = sqlite_system
    system.mint.next_answers.append(httpx.ReadTimeout("no answer"))
    opened = embed(system)
    view = system.services.shopper.embed(opened.pay_token)
    assert (view.preparing, view.attributes, view.return_url) == (True, {}, None)
    system.clock.advance(minutes=1)
    system.work()
    view = system.services.shopper.embed(opened.pay_token)
    assert not view.preparing
    assert view.attributes["session-id"]
    assert view.return_url is not None


# --- amounts that the shopper chooses ----------------------------------------------------------------------------


def test_without_an_amount_the_shopper_chooses_and_what_comes_is_the_order(system: System) -> None:
    opened = embed(system, amount=None)
    assert "amount" not in system.mint.requests[0]
    assert "deposit-amount" not in system.services.shopper.embed(opened.pay_token).attributes
    session = system.sessions(opened.payment.id)[0]
    system.hear(session, "completed", amount=4.5, sessionId=session.provider_session_id)
    assert (system.payment(opened.payment.id).status, system.payment(opened.payment.id).anomalies) == ("settled", "")
    assert system.balances() == {"shopper_receivable/EUR": -450, "stable_mint_settled/EUR": 450}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_of_several_chosen_amounts_the_same_one_counts_whatever_came_first(
    sqlite_system: System, order: tuple[int, ...]
) -> None:
    system = sqlite_system
    opened = embed(system, amount=None)
    session = system.sessions(opened.payment.id)[0]
    news: list[dict[str, Any]] = [
        {"reference": "A", "amount": 4.5, "currency": "EUR"},
        {"reference": "B", "amount": 6, "currency": "EUR"},
        {"reference": "C", "amount": 8, "currency": "USD"},
    ]
    for i in order:
        system.hear(session, "completed", sessionId=session.provider_session_id, **news[i])
    payment = system.payment(opened.payment.id)
    assert (payment.status, payment.anomalies) == ("settled", "currency_mismatch,duplicate")
    assert system.balances() == {
        "shopper_receivable/EUR": -1050, "stable_mint_settled/EUR": 600, "unallocated/EUR": 450,
        "shopper_receivable/USD": -800, "unallocated/USD": 800,
    }  # fmt: skip
