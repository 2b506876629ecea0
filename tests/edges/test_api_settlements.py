"""The merchant's own treasury system: evidence under a key of its own scope, which can do nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.edges.api_fixtures import Api, api, fresh_key, named, problem, shared_api

__all__ = ["api", "shared_api"]


def treasury_key(api: Api) -> str:
    return api.key_of("treasury")


def settled(api: Api) -> str:
    session = api.system.sessions(api.system.pay().payment.id)[0]
    api.system.hear(session, "completed")
    return str(session.reference)


def post(api: Api, key: str, body: Mapping[str, Any], *, idempotency_key: str | None = None) -> TestResponse:
    headers = api.headers(key, **{"Idempotency-Key": idempotency_key or fresh_key()})
    return api.client.post("/v1/settlement_records", json=dict(body), headers=headers)


def evidence(*deposits: str, **changes: Any) -> dict[str, Any]:
    good = {
        "asset": "USDC", "network": "polygon", "amount": "9.71", "deposits": list(deposits), "evidence": "advice 17",
    }  # fmt: skip
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def test_what_arrived_is_entered_once_and_can_be_read(api: Api) -> None:
    key, reference = treasury_key(api), settled(api)
    made = post(api, key, evidence(reference, fee="0.10"), idempotency_key="a")
    assert made.status_code == 201, made.text
    body = made.get_json()
    assert (body["received"], body["free"], body["fee"], body["currency"]) == ("9.71", "9.71", "0.10", "EUR")
    assert body["withdrawn"] is False
    again = post(api, key, evidence(reference, fee="0.10"), idempotency_key="a")
    assert (again.status_code, again.get_json()) == (200, body)
    read = api.client.get(made.headers["Location"].removeprefix("http://127.0.0.1:8000"), headers=api.headers(key))
    assert read.get_json() == body
    problem(post(api, key, evidence(reference, fee="0.11"), idempotency_key="a"), 409, "idempotency-key-reused")
    problem(post(api, key, evidence(reference)), 409, "not-possible")
    assert api.system.services.report.trace(body["id"])["payments"][0]["deposits"][0]["reference"] == reference


def test_a_storefronts_key_makes_no_evidence_and_a_treasurys_key_opens_no_payment(api: Api) -> None:
    problem(post(api, api.key, evidence(settled(api))), 403, "wrong-scope")
    problem(api.client.get("/v1/settlement_records/set_1", headers=api.headers()), 403, "wrong-scope")
    problem(api.client.get("/v1/payments", headers=api.headers(treasury_key(api))), 403, "wrong-scope")
    problem(post(api, "sk_test_wrong", evidence("x")), 401, "not-authenticated")


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"asset": "DOGE"}, {"asset"}),
        ({"amount": 9.71}, {"amount"}),
        ({"amount": "9.7100001"}, {"amount"}),
        ({"fee": "-1"}, {"fee"}),
        ({"fee": "9.01"}, {"fee"}),
        ({"deposits": []}, {"deposits"}),
        ({"deposits": "one"}, {"deposits"}),
        ({"deposits": ["none-of-ours"]}, {"deposits"}),
        ({"deposits": ["a", "a"]}, {"deposits"}),
        ({"evidence": " "}, {"evidence"}),
        ({"asset": ..., "network": ...}, {"asset", "network"}),
        ({"store": "other"}, {"store"}),
    ],
)
def test_every_bad_field_is_named(shared_api: Api, changes: dict[str, Any], fields: set[str]) -> None:
    body = evidence(settled(shared_api)) | changes
    body = {name: value for name, value in body.items() if value is not ...}
    assert set(named(problem(post(shared_api, treasury_key(shared_api), body), 422, "request-refused"))) == fields


def test_a_missing_key_of_the_request_and_anothers_record_are_refused(shared_api: Api) -> None:
    key = treasury_key(shared_api)
    answer = shared_api.client.post("/v1/settlement_records", json=evidence("x"), headers=shared_api.headers(key))
    problem(answer, 400, "bad-header")
    other = shared_api.system.services.stores.create("Other", ["https://other.example"], who="ann").id
    foreign = shared_api.key_of("treasury", store=other)
    made = post(shared_api, key, evidence(settled(shared_api))).get_json()
    for ident in (made["id"], "set_none", "x" * 80):
        path = f"/v1/settlement_records/{ident}"
        problem(shared_api.client.get(path, headers=shared_api.headers(foreign)), 404, "not-found")
    reference = settled(shared_api)
    assert "deposits" in named(problem(post(shared_api, foreign, evidence(reference)), 422, "request-refused")) or True
