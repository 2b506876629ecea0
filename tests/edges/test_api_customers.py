"""The storefront's API on customers: stored as said, answered without anything personal, erased, and bought for again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.edges.api_fixtures import Api, api, named, problem, shared_api

__all__ = ["api", "shared_api"]


KYC = {"full_name": "Ann Example", "date_of_birth": "1990-01-31", "gender": None}
ANN: dict[str, Any] = {"email": "ann@shop.example", "country": "DE", "kyc": KYC}


def put(api: Api, ident: str = "customer-17", /, **changes: Any) -> TestResponse:
    body = {name: value for name, value in {**ANN, **changes}.items() if value is not ...}
    return api.client.put(f"/v1/customers/{ident}", json=body, headers=api.headers())


def strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    else:
        yield str(value)


def test_a_customer_is_stored_and_answered_without_anything_personal(api: Api) -> None:
    first, second = put(api), put(api)
    assert (first.status_code, second.status_code) == (201, 200)
    shown = api.get("/v1/customers/customer-17").get_json()
    assert shown == second.get_json()
    assert (shown["id"], shown["country"], shown["kyc_fields"]) == ("customer-17", "DE", ["date_of_birth", "full_name"])
    for answer in (first, second):
        assert not {"ann@shop.example", "Ann Example", "1990-01-31"} & set(strings(answer.get_json()))


def test_buying_again_takes_one_call_with_the_customers_name(api: Api) -> None:
    put(api)
    opened = api.open(flow="hosted_partner", customer={"id": "customer-17"}, country=...)
    assert opened.status_code == 201
    assert api.system.mint.requests[0]["userCountryCode"] == "DE"
    other = api.open()
    history = api.get("/v1/customers/customer-17/payments").get_json()
    assert [one["id"] for one in history["data"]] == [opened.get_json()["id"]]
    assert other.get_json()["id"] not in str(history)


def test_the_history_comes_in_pages(api: Api) -> None:
    put(api)
    made = [
        api.open(flow="hosted_partner", customer={"id": "customer-17"}, country=...).get_json()["id"] for _ in range(3)
    ]
    first = api.get("/v1/customers/customer-17/payments?limit=2").get_json()
    assert ([one["id"] for one in first["data"]], first["has_more"]) == ([made[2], made[1]], True)
    rest = api.get(f"/v1/customers/customer-17/payments?limit=2&starting_after={made[1]}").get_json()
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == ([made[0]], False)


def test_an_embedded_payment_has_a_client_token_and_the_pages_language(api: Api) -> None:
    answer = api.open(flow="hosted_partner", customer={"id": "c", "email": "a@b.example"}, language="de").get_json()
    assert answer["client_token"] is None
    assert api.system.payment(answer["id"]).language == "de"
    assert named(problem(api.open(language="tlh"), 422, "request-refused")) == {
        "language": "must be one of en, de, fr, es"
    }


def test_erasing_twice_is_once_and_the_customer_is_gone(api: Api) -> None:
    put(api)
    for _ in range(2):
        answer = api.client.delete("/v1/customers/customer-17", headers=api.headers())
        assert (answer.status_code, answer.get_json()) == (200, {"id": "customer-17", "erased": True})
    problem(api.get("/v1/customers/customer-17"), 404, "not-found")
    problem(api.get("/v1/customers/customer-17/payments"), 404, "not-found")
    problem(api.client.delete("/v1/customers/nobody", headers=api.headers()), 404, "not-found")
    refused = api.open(flow="hosted_partner", customer={"id": "customer-17"}, country=...)
    assert set(named(problem(refused, 422, "request-refused"))) == {"customer.email", "country"}


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"email": ..., "country": ...}, {"email", "country"}),
        ({"email": "nobody", "country": "de", "shoe": 1}, {"email", "country", "shoe"}),
        ({"kyc": {"fullName": "Ann"}}, {"kyc.fullName"}),
        ({"kyc": {"full_name": 1}}, {"kyc.full_name"}),
        ({"kyc": {"date_of_birth": "2990-01-01", "mobile_phone": "no"}}, {"kyc.date_of_birth", "kyc.mobile_phone"}),
        ({"kyc": []}, {"kyc"}),
    ],
)
def test_every_bad_field_is_named(shared_api: Api, changes: dict[str, Any], fields: set[str]) -> None:
    found = problem(put(shared_api, "bad", **changes), 422, "request-refused")
    assert set(named(found)) == fields
    assert "nobody" not in json.dumps(found)
    problem(shared_api.get("/v1/customers/bad"), 404, "not-found")


@pytest.mark.parametrize("ident", ["x" * 201, "%00", "%20", "a%0Ab", "%ED%A0%80"])
def test_an_id_that_nobody_could_have_stored_is_not_there(shared_api: Api, ident: str) -> None:
    for answer in (shared_api.get(f"/v1/customers/{ident}"), put(shared_api, ident)):
        problem(answer, 404, "not-found")


@pytest.mark.parametrize("ident", ["ann@shop.example", "17", "a b", "日本", "a.b-c_d:e"])
def test_the_shops_own_ids_are_taken_as_they_are(shared_api: Api, ident: str) -> None:
    assert put(shared_api, ident).status_code in (200, 201)
    assert shared_api.get(f"/v1/customers/{ident}").get_json()["id"] == ident


def test_another_store_sees_nothing_of_it(api: Api) -> None:
    put(api)
    other = api.system.services.stores.create("Other", ["https://other.example"], who="ann")
    headers = api.headers(other.api_key)
    for path in ("/v1/customers/customer-17", "/v1/customers/customer-17/payments"):
        problem(api.client.get(path, headers=headers), 404, "not-found")
    problem(api.client.delete("/v1/customers/customer-17", headers=headers), 404, "not-found")
    problem(api.client.get("/v1/customers/customer-17"), 401, "not-authenticated")
