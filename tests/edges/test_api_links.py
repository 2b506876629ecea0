"""The storefront's API on payment links."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.edges.api_fixtures import Api, api, fresh_key, named, problem, shared_api

__all__ = ["api", "shared_api"]


GOOD: dict[str, Any] = {"flow": "hosted", "amount": "9.00", "currency": "EUR", "country": "DE", "order": "INV-1"}


def create(api: Api, key: str | None = None, /, **changes: Any) -> TestResponse:
    body = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    headers = api.headers(**{"Idempotency-Key": key or fresh_key()})
    return api.client.post("/v1/payment_links", json=body, headers=headers)


def test_a_link_is_made_read_listed_and_deactivated(api: Api) -> None:
    made = create(api, title="Invoice 1", single_use=True, expires_at="2027-01-01T00:00:00+01:00", metadata={"a": "b"})
    assert made.status_code == 201, made.get_data(as_text=True)
    link = made.get_json()
    assert link["url"].startswith("http://127.0.0.1:8000/link/")
    assert {name: link[name] for name in ("active", "amount", "title", "single_use", "expires_at", "metadata")} == {
        "active": True, "amount": "9.00", "title": "Invoice 1", "single_use": True,
        "expires_at": "2026-12-31T23:00:00Z", "metadata": {"a": "b"},
    }  # fmt: skip
    assert api.get(f"/v1/payment_links/{link['id']}").get_json() == link
    assert api.get("/v1/payment_links").get_json() == {"data": [link], "has_more": False}
    ended = api.post(f"/v1/payment_links/{link['id']}/deactivate").get_json()
    assert (ended["active"], ended["inactive_because"]) == (False, "deactivated")


def test_the_key_makes_it_one_link(api: Api) -> None:
    first, again = create(api, "k"), create(api, "k")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.get_json() == again.get_json()
    problem(create(api, "k", order="INV-2"), 409, "idempotency-key-reused")
    answer = api.client.post("/v1/payment_links", json={}, headers=api.headers())
    assert "Idempotency-Key" in named(problem(answer, 400, "bad-header"))


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        (dict.fromkeys(GOOD, ...), {"flow", "currency", "country", "order"}),
        ({"amount": 9}, {"amount"}),
        ({"amount": "9.001"}, {"amount"}),
        ({"amount": ...}, {"amount"}),
        ({"single_use": "yes"}, {"single_use"}),
        ({"single_use": 1}, {"single_use"}),
        ({"expires_at": "2030-01-01"}, {"expires_at"}),
        ({"expires_at": "2030-01-01T00:00:00"}, {"expires_at"}),
        ({"expires_at": "tomorrow"}, {"expires_at"}),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, {"expires_at"}),
        ({"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at"}),
        ({"success_url": "https://evil.example"}, {"success_url"}),
        ({"flow": "hosted_partner", "customer": "nobody"}, {"customer"}),
        ({"title": ""}, {"title"}),
        ({"surprise": 1}, {"surprise"}),
    ],
)
def test_every_bad_field_is_named(shared_api: Api, changes: dict[str, Any], fields: set[str]) -> None:
    assert set(named(problem(create(shared_api, **changes), 422, "request-refused"))) == fields
    assert shared_api.get("/v1/payment_links").get_json()["data"] == []


def test_another_stores_link_is_not_there(api: Api) -> None:
    link = create(api).get_json()["id"]
    other = api.system.services.stores.create("Other", ["https://other.example"], who="ann")
    headers = api.headers(other.api_key)
    problem(api.client.get(f"/v1/payment_links/{link}", headers=headers), 404, "not-found")
    problem(api.client.post(f"/v1/payment_links/{link}/deactivate", headers=headers), 404, "not-found")
    problem(api.get("/v1/payment_links/%00"), 404, "not-found")
    problem(api.client.get("/v1/payment_links"), 401, "not-authenticated")
