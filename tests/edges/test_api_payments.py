"""A storefront opens, reads, lists, renews and cancels payments over HTTP."""

from __future__ import annotations

import threading
import time
import uuid

import httpx
import pytest

from checkout.paying.sessions import ProviderGate
from tests.edges.api_fixtures import Api, api, named, problem
from tests.system import make_system

__all__ = ["api"]


def test_opening_a_payment_answers_201_with_exactly_the_public_fields(api: Api) -> None:
    answer = api.open(metadata={"basket": "7f3a"}, success_url="https://shop.example/thanks")
    assert answer.status_code == 201
    body = answer.get_json()
    assert list(body) == [
        "id", "status", "anomaly", "anomalies", "amount", "currency", "order", "checkout_url", "client_token",
        "expires_at", "provider", "metadata", "created_at",
    ]  # fmt: skip
    assert body["checkout_url"].startswith("http://127.0.0.1:8000/pay/")
    assert answer.headers["Location"] == f"http://127.0.0.1:8000/v1/payments/{body['id']}"
    assert body["expires_at"] == "2026-11-21T12:30:00Z"
    assert (body["status"], body["anomaly"], body["anomalies"], body["client_token"]) == ("open", None, [], None)
    assert (body["amount"], body["currency"], body["order"]) == ("9.00", "EUR", "PP-1042")
    assert body["provider"] == {"reference": api.system.sessions(body["id"])[0].reference}
    assert body["metadata"] == {"basket": "7f3a"}


def test_the_checkout_url_leads_to_the_payment_page(api: Api) -> None:
    url = api.open().get_json()["checkout_url"]
    assert api.client.get(url.removeprefix("http://127.0.0.1:8000")).status_code == 200


def test_the_same_request_under_the_same_key_answers_200_with_the_payment_as_it_stands(api: Api) -> None:
    first = api.open("key-1").get_json()
    api.system.hear(api.system.sessions(first["id"])[0], "completed")
    again = api.open("key-1")
    assert again.status_code == 200
    assert again.get_json() == {**first, "status": "settled"}
    assert len(api.system.mint.requests) == 1


def test_a_null_field_is_the_same_as_an_absent_one(api: Api) -> None:
    assert api.open("key-1").status_code == 201
    assert api.open("key-1", customer=None, metadata=None, exit_url=None, payment_method=None).status_code == 200


def test_other_content_under_the_same_key_is_409(api: Api) -> None:
    api.open("key-1")
    found = problem(api.open("key-1", amount="9.01"), 409, "idempotency-key-reused")
    assert "new key" in found["detail"]


def test_two_stores_may_use_the_same_key(api: Api) -> None:
    other = api.system.services.stores.create("Other", ["https://other.example"], who="tester")
    mine = api.open("key-1").get_json()
    api.key = other.api_key
    theirs = api.open("key-1")
    assert theirs.status_code == 201
    assert theirs.get_json()["id"] != mine["id"]


def test_twenty_equal_requests_at_once_are_one_payment(api: Api) -> None:
    start, answers = threading.Barrier(20), []

    def ask() -> None:
        client = api.app.test_client()
        start.wait()
        body = {"flow": "hosted", "amount": "9.00", "currency": "EUR", "country": "DE", "order": "PP-1"}
        answer = client.post("/v1/payments", json=body, headers=api.headers(**{"Idempotency-Key": "one"}))
        answers.append((answer.status_code, answer.get_json().get("id")))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    # While the database is held nobody can be stored: four wait for it in the places at the provider, and sixteen find
    # neither a place nor the payment. That is the worst moment for an equal request to come.
    with api.system.database.write():
        for thread in threads:
            thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [200] * 19 + [201]
    assert len({ident for _, ident in answers}) == 1
    assert len(api.system.mint.requests) == 1


def test_a_payment_without_an_answer_of_the_provider_is_created_and_can_be_sent_to_its_page(api: Api) -> None:
    api.system.mint.next_answers.append(httpx.ReadTimeout("no answer"))
    answer = api.open()
    assert answer.status_code == 201
    body = answer.get_json()
    assert (body["status"], body["provider"], body["expires_at"]) == ("created", {"reference": None}, None)
    assert body["checkout_url"]


def test_a_declined_session_is_a_problem_with_the_payment_and_the_words_of_the_provider(api: Api) -> None:
    api.system.mint.next_answers.append(httpx.Response(400, json={"message": "Country is not served"}))
    answer = api.open("key-1")
    found = problem(answer, 422, "session-declined")
    assert "Country is not served" in found["detail"]
    again = api.open("key-1")
    assert (again.status_code, again.get_json()["id"]) == (200, found["payment_id"])
    assert again.get_json()["status"] == "failed"


def test_a_failed_payment_gets_a_fresh_session_under_the_same_url(api: Api) -> None:
    api.system.mint.next_answers.append(httpx.Response(400, json={"message": "Try later"}))
    ident = problem(api.open("key-1"), 422, "session-declined")["payment_id"]
    before = api.get(f"/v1/payments/{ident}").get_json()
    answer = api.post(f"/v1/payments/{ident}/sessions")
    assert answer.status_code == 200
    assert answer.get_json()["status"] == "open"
    assert answer.get_json()["checkout_url"] == before["checkout_url"]


def test_a_fresh_session_that_is_declined_is_the_same_problem(api: Api) -> None:
    ident = api.open().get_json()["id"]
    api.system.mint.next_answers.append(httpx.Response(400, json={"message": "No"}))
    found = problem(api.post(f"/v1/payments/{ident}/sessions"), 422, "session-declined")
    assert found["payment_id"] == ident


def test_a_paid_payment_gets_no_fresh_session_and_cannot_be_cancelled(api: Api) -> None:
    ident = api.open().get_json()["id"]
    api.system.hear(api.system.sessions(ident)[0], "completed")
    assert "settled" in problem(api.post(f"/v1/payments/{ident}/sessions"), 409, "not-possible")["detail"]
    assert "refund" in problem(api.post(f"/v1/payments/{ident}/cancel"), 409, "not-possible")["detail"]


def test_cancelling_twice_is_once(api: Api) -> None:
    ident = api.open().get_json()["id"]
    for _ in range(2):
        answer = api.post(f"/v1/payments/{ident}/cancel", json={})
        assert (answer.status_code, answer.get_json()["status"]) == (200, "cancelled")
    assert api.system.payment(ident).moves == 3


def test_an_anomaly_is_shown_beside_the_status(api: Api) -> None:
    ident = api.open().get_json()["id"]
    api.system.hear(api.system.sessions(ident)[0], "completed", amount=10.0)
    body = api.get(f"/v1/payments/{ident}").get_json()
    assert (body["status"], body["anomaly"], body["anomalies"]) == ("settled", "overpaid", ["overpaid"])


@pytest.mark.parametrize("method", ["get", "post-sessions", "post-cancel"])
def test_another_stores_payment_does_not_exist(api: Api, method: str) -> None:
    ident = api.open().get_json()["id"]
    api.key = api.system.services.stores.create("Other", ["https://other.example"], who="tester").api_key
    verb, _, what = method.partition("-")
    path = f"/v1/payments/{ident}" + (f"/{what}" if what else "")
    answer = api.get(path) if verb == "get" else api.post(path)
    foreign = problem(answer, 404, "not-found")
    missing = problem(api.get("/v1/payments/pay_00000000000000000000000000"), 404, "not-found")
    assert foreign["detail"] == missing["detail"]


@pytest.mark.parametrize("ident", ["x" * 65, "pay_%00", "pay_%ED%A0%80", "pay_'; --", "."])
def test_an_id_of_another_form_never_reaches_the_database(api: Api, ident: str) -> None:
    problem(api.get(f"/v1/payments/{ident}"), 404, "not-found")


def test_lists_are_newest_first_and_pages_do_not_shift(api: Api) -> None:
    made: list[str] = []
    for number in range(5):
        made.insert(0, api.open(order=f"PP-{number}").get_json()["id"])
        api.system.clock.advance(milliseconds=2)
    first = api.get("/v1/payments?limit=2").get_json()
    assert ([one["id"] for one in first["data"]], first["has_more"]) == (made[:2], True)
    api.open()
    rest = api.get(f"/v1/payments?limit=3&starting_after={made[1]}").get_json()
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (made[2:], False)


def test_lists_can_be_narrowed_by_status_and_order(api: Api) -> None:
    api.open(order="A & B/ü")
    cancelled = api.open(order="PP-2").get_json()["id"]
    api.post(f"/v1/payments/{cancelled}/cancel")
    by_status = api.get("/v1/payments?status=cancelled").get_json()
    by_order = api.client.get("/v1/payments", query_string={"order": "A & B/ü"}, headers=api.headers()).get_json()
    assert [one["id"] for one in by_status["data"]] == [cancelled]
    assert [one["order"] for one in by_order["data"]] == ["A & B/ü"]
    assert api.get("/v1/payments?status=settled").get_json() == {"data": [], "has_more": False}


def test_a_list_shows_only_the_stores_own(api: Api) -> None:
    api.open()
    api.key = api.system.services.stores.create("Other", ["https://other.example"], who="tester").api_key
    assert api.get("/v1/payments").get_json()["data"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("limit=1_0", "limit"),
        ("limit=%D9%A1", "limit"),  # a digit, but not one of ours
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("status=paid", "status"),
        ("starting_after=", "starting_after"),
        ("starting_after=a%00b", "starting_after"),
        ("order=%00", "order"),
        ("order=" + "x" * 121, "order"),
        ("ordre=1", "ordre"),
    ],
)
def test_a_bad_query_is_refused_by_name(api: Api, query: str, field: str) -> None:
    assert list(named(problem(api.get(f"/v1/payments?{query}"), 422, "request-refused"))) == [field]


def test_a_partner_managed_customer_is_sent_on_and_never_shown(api: Api) -> None:
    customer = {
        "id": "c-17", "email": "jo@shop.example",
        "kyc": {"full_name": "Jo Muster", "date_of_birth": "1990-01-31", "gender": None},
    }  # fmt: skip
    answer = api.open("key-1", flow="hosted_partner", customer=customer)
    assert answer.status_code == 201
    sent = api.system.mint.requests[0]
    assert (sent["userEmail"], sent["userKyc"]) == (
        "jo@shop.example",
        {"fullName": "Jo Muster", "dateOfBirth": "1990-01-31"},
    )
    ident = answer.get_json()["id"]
    texts = [answer.text, api.get(f"/v1/payments/{ident}").text, api.get("/v1/payments").text]
    texts.append(api.open("key-1", flow="hosted_partner", customer={**customer, "email": "other@shop.example"}).text)
    for text in texts:
        for secret in ("shop.example", "Muster", "1990", "c-17", sent["idempotencyKey"], sent["websiteReference"]):
            assert secret not in text


def test_with_every_place_at_the_provider_taken_nothing_is_stored_and_the_answer_says_when_to_ask_again(
    api: Api,
) -> None:
    payments = api.system.services.payments
    gate: ProviderGate = payments._gate
    with gate.enter(), gate.enter(), gate.enter(), gate.enter():
        answer = api.open("key-1")
        problem(answer, 503, "busy")
        assert int(answer.headers["Retry-After"]) >= 1
        assert api.stored() == 0
    assert api.open("key-1").status_code == 201


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer wrong", "Bearer a b", "Bearer \xff\xfe", "Token {key}", "{key}"],
)
def test_a_wrong_store_key_is_401_before_anything_is_read(api: Api, authorization: str) -> None:
    headers = {"Authorization": authorization.format(key=api.key)}
    answer = api.client.post("/v1/payments", data=b"{", headers=headers)
    problem(answer, 401, "not-authenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_scheme_of_the_key_may_be_written_in_any_case(api: Api) -> None:
    assert api.client.get("/v1/payments", headers={"Authorization": f"bearer {api.key}"}).status_code == 200


@pytest.mark.postgresql
def test_the_api_works_on_postgresql_too(postgresql_server: object) -> None:
    assert callable(postgresql_server)
    system = make_system(postgresql_server())
    try:
        api = Api(system)
        ident = api.open("key-1", metadata={"ключ": "ü"}).get_json()["id"]
        assert api.open("key-1", metadata={"ключ": "ü"}).status_code == 200
        assert api.get(f"/v1/payments/{ident}").get_json()["metadata"] == {"ключ": "ü"}
        assert api.post(f"/v1/payments/{ident}/cancel").get_json()["status"] == "cancelled"
        assert len(api.get(f"/v1/payments?starting_after={uuid.uuid4()}").get_json()["data"]) in (0, 1)
    finally:
        system.close()
