"""A write under an Idempotency-Key is made once, whoever repeats it and however late; the database decides, on both."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from werkzeug.test import TestResponse

from checkout.paying.customers import Person
from checkout.store.request_keys import Keyed, Repeated, once, was_made
from tests.edges.api_fixtures import Api, problem
from tests.system import System

TWINS = 20


@pytest.fixture
def api(system: System) -> Api:
    return Api(system)


def at_once(calls: int, verb: Callable[[], TestResponse]) -> list[TestResponse]:
    """The answers of so many equal requests that begin together."""
    gate, answers = threading.Barrier(calls), list[TestResponse]()

    def run() -> None:
        gate.wait()
        answers.append(verb())

    threads = [threading.Thread(target=run) for _ in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def put(api: Api, customer: str, key: str | None, **changes: Any) -> TestResponse:
    body = {"email": "jo@shop.example", "country": "DE", **changes}
    headers = api.headers(**({} if key is None else {"Idempotency-Key": key}))
    return api.client.put(f"/v1/customers/{customer}", json=body, headers=headers)


def erase(api: Api, customer: str, key: str | None) -> TestResponse:
    headers = api.headers(**({} if key is None else {"Idempotency-Key": key}))
    return api.client.delete(f"/v1/customers/{customer}", headers=headers)


def test_twenty_requests_for_a_session_at_once_open_one(api: Api) -> None:
    ident = api.open().get_json()["id"]
    path, key = f"/v1/payments/{ident}/sessions", api.key

    def ask() -> TestResponse:
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "s-1"}
        return api.app.test_client().post(path, headers=headers)

    answers = at_once(TWINS, ask)
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert len(api.system.sessions(ident)) == len(api.system.mint.requests) == 2


def test_a_session_belongs_to_its_key_however_late_it_is_asked_for_again(api: Api) -> None:
    ident, other = (api.open().get_json()["id"] for _ in range(2))
    path = f"/v1/payments/{ident}/sessions"
    assert api.post(path, idempotency_key="s-1").status_code == 200
    assert api.post(path, idempotency_key="s-2").status_code == 200
    api.system.hear(api.system.sessions(ident)[0], "completed")
    api.system.clock.advance(days=60)
    again = api.post(path, idempotency_key="s-1")
    assert (again.status_code, again.get_json()["status"]) == (200, "settled")
    assert len(api.system.sessions(ident)) == 3
    problem(api.post(path, idempotency_key="s-3"), 409, "not-possible")
    problem(api.post(path, idempotency_key="s-3"), 409, "not-possible")  # what was refused has used no key
    problem(api.post(f"/v1/payments/{other}/sessions", idempotency_key="s-1"), 409, "idempotency-key-reused")


def test_a_session_that_is_being_opened_is_the_session_of_every_key_that_asks(api: Api) -> None:
    ident = api.open().get_json()["id"]
    api.system.mint.next_answers.append(httpx.ReadTimeout("no answer"))
    for key in ("s-1", "s-2", "s-2"):
        assert api.post(f"/v1/payments/{ident}/sessions", idempotency_key=key).status_code == 200
    assert len(api.system.sessions(ident)) == 2


def test_a_payment_is_cancelled_once_under_a_key_and_another_one_needs_another(api: Api) -> None:
    ident, other = (api.open().get_json()["id"] for _ in range(2))
    for _ in range(2):
        answer = api.post(f"/v1/payments/{ident}/cancel", idempotency_key="c-1")
        assert (answer.status_code, answer.get_json()["status"]) == (200, "cancelled")
    assert api.system.payment(ident).moves == 3
    problem(api.post(f"/v1/payments/{other}/cancel", idempotency_key="c-1"), 409, "idempotency-key-reused")
    assert api.system.payment(other).status == "open"


def test_a_late_repeat_brings_no_old_facts_back(api: Api) -> None:
    assert put(api, "c-1", "p-1", country="DE").status_code == 201
    assert put(api, "c-1", None, country="FR").status_code == 200
    again = put(api, "c-1", "p-1", country="DE")
    assert (again.status_code, again.get_json()["country"]) == (200, "FR")
    problem(put(api, "c-1", "p-1", country="AT"), 409, "idempotency-key-reused")
    problem(put(api, "c-2", "p-1", country="DE"), 409, "idempotency-key-reused")
    problem(api.get("/v1/customers/c-2"), 404, "not-found")


def test_a_late_repeat_erases_nobody_who_has_come_back(api: Api) -> None:
    put(api, "c-1", None)
    for _ in range(2):
        assert erase(api, "c-1", "e-1").get_json() == {"id": "c-1", "erased": True}
    assert put(api, "c-1", None).status_code == 201
    assert erase(api, "c-1", "e-1").status_code == 200
    assert api.get("/v1/customers/c-1").status_code == 200
    problem(erase(api, "nobody", "e-2"), 404, "not-found")


def test_who_was_erased_is_not_stored_again_by_a_repeat_and_no_trace_of_the_facts_is_kept(api: Api) -> None:
    put(api, "c-1", "p-1")
    erase(api, "c-1", None)
    problem(put(api, "c-1", "p-1"), 409, "idempotency-key-reused")
    problem(api.get("/v1/customers/c-1"), 404, "not-found")


def test_twenty_equal_customers_at_once_are_one(api: Api) -> None:
    key = api.key

    def ask() -> TestResponse:
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "p-1"}
        body = {"email": "jo@shop.example", "country": "DE"}
        return api.app.test_client().put("/v1/customers/c-1", json=body, headers=headers)

    statuses = sorted(answer.status_code for answer in at_once(TWINS, ask))
    assert statuses == [200] * (TWINS - 1) + [201]


def test_a_link_is_deactivated_once_under_a_key(api: Api) -> None:
    body = {"flow": "hosted", "amount": "9.00", "currency": "EUR", "country": "DE", "order": "A-1"}
    first, second = (api.post("/v1/payment_links", json=body).get_json()["id"] for _ in range(2))
    for _ in range(2):
        assert api.post(f"/v1/payment_links/{first}/deactivate", idempotency_key="d-1").status_code == 200
    problem(api.post(f"/v1/payment_links/{second}/deactivate", idempotency_key="d-1"), 409, "idempotency-key-reused")


def test_a_late_repeat_brings_no_old_account_back(api: Api) -> None:
    payment = api.system.pay(flow="hosted_partner", customer=Person("c-1", "jo@shop.example", "DE", {})).payment.id
    api.system.hear(api.system.sessions(payment)[0], "completed")
    refund = api.post(f"/v1/payments/{payment}/refunds", json={"amount": "1.00"}).get_json()["id"]
    path = f"/v1/payments/{payment}/refunds/{refund}/details"
    for key, account in (("d-1", "DE89370400440532013000"), ("d-2", "FR1420041010050500013M02606")):
        assert api.post(path, json={"creditor_account": account}, idempotency_key=key).status_code == 200
    hint = api.system.services.refunds.get(refund).account_hint
    again = api.post(path, json={"creditor_account": "DE89370400440532013000"}, idempotency_key="d-1")
    assert again.status_code == 200
    assert api.system.services.refunds.get(refund).account_hint == hint
    found = problem(
        api.post(path, json={"user_ip": "203.0.113.7"}, idempotency_key="d-1"), 409, "idempotency-key-reused"
    )
    assert "DE89" not in str(found)


def test_another_stores_key_of_the_same_text_is_another_key(api: Api) -> None:
    put(api, "c-1", "p-1")
    api.key = api.system.services.stores.create("Other", ["https://other.example"], who="tester").api_key
    assert put(api, "c-1", "p-1", country="FR").status_code == 201


def test_what_failed_half_way_has_used_no_key(system: System) -> None:
    keyed = Keyed.of(system.store.id, "any.verb", "k-1", {"what": 1})
    database = system.database

    def fail() -> None:
        with once(database, keyed, "pay_1", at=system.clock.now):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not was_made(database, keyed)
    with once(database, keyed, "pay_1", at=system.clock.now):
        pass
    assert was_made(database, keyed)
    with pytest.raises(Repeated), once(database, keyed, "pay_1", at=system.clock.now):
        pytest.fail("it was made again")
