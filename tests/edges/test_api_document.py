"""The document that describes the API is the one that validates, and says all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from checkout.providers.session_request import KYC_FIELDS
from checkout.web import problems
from checkout.web.operations import example_of
from tests.edges.api_fixtures import GOOD, Api, shared_api

__all__ = ["shared_api"]

#: What any operation may answer, beside its own.
ALWAYS = {401, 403, 422, 429, 500, 503}
TAKES_A_BODY = {400, 413, 415}
OPERATIONS = {
    ("post", "/v1/payments"): {200, 201, 409} | TAKES_A_BODY,
    ("get", "/v1/payments"): {200},
    ("get", "/v1/payments/{payment_id}"): {200, 404},
    ("post", "/v1/payments/{payment_id}/sessions"): {200, 400, 404, 409, 413},
    ("post", "/v1/payments/{payment_id}/cancel"): {200, 400, 404, 409, 413},
    ("post", "/v1/payments/{payment_id}/refunds"): {200, 201, 404, 409} | TAKES_A_BODY,
    ("get", "/v1/payments/{payment_id}/refunds"): {200, 404},
    ("get", "/v1/payments/{payment_id}/refunds/{refund_id}"): {200, 404},
    ("post", "/v1/payments/{payment_id}/refunds/{refund_id}/details"): {200, 404, 409} | TAKES_A_BODY,
    ("put", "/v1/customers/{customer_id}"): {200, 201, 404, 409} | TAKES_A_BODY,
    ("get", "/v1/customers/{customer_id}"): {200, 404},
    ("delete", "/v1/customers/{customer_id}"): {200, 400, 404, 409, 413},
    ("get", "/v1/customers/{customer_id}/payments"): {200, 404},
    ("post", "/v1/payment_links"): {200, 201, 409} | TAKES_A_BODY,
    ("get", "/v1/payment_links"): {200},
    ("get", "/v1/payment_links/{link_id}"): {200, 404},
    ("post", "/v1/payment_links/{link_id}/deactivate"): {200, 400, 404, 409, 413},
    ("post", "/v1/settlement_records"): {200, 201, 409} | TAKES_A_BODY,
    ("get", "/v1/settlement_records"): {200},
    ("get", "/v1/settlement_records/{record_id}"): {200, 404},
}
#: Who makes something says under which key; who changes something may.
KEY_REQUIRED = {
    "open_payment", "open_session", "request_refund", "create_link", "record_settlement",
}  # fmt: skip
KEY_OPTIONAL = {"cancel_payment", "give_refund_details", "put_customer", "erase_customer", "deactivate_link"}


@pytest.fixture
def document(shared_api: Api) -> dict[str, Any]:
    answer = shared_api.client.get("/openapi.json")
    assert answer.content_type == "application/json"
    found: dict[str, Any] = answer.get_json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield (method, path), operation


def whole(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    """A validator for a schema that refers into the document."""
    text = {**schema, "components": document["components"]}
    return Draft202012Validator(text)


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_it_is_openapi_3_1_at_our_own_address(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "http://127.0.0.1:8000"}]
    assert document["info"]["title"]
    (scheme,) = document["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def test_every_operation_has_its_answers_its_errors_and_the_bearer_key(document: dict[str, Any]) -> None:
    found = dict(operations(document))
    answers = {name: {int(status) for status in one["responses"]} for name, one in found.items()}
    assert answers == {name: statuses | ALWAYS for name, statuses in OPERATIONS.items()}
    for operation in found.values():
        assert [list(one) for one in operation["security"]] == [["storeKey"]]
        assert operation["summary"]
        assert operation["operationId"]


def test_every_write_takes_an_idempotency_key_and_no_read_does(document: dict[str, Any]) -> None:
    said: dict[bool, set[str]] = {True: set(), False: set()}
    for (method, _), operation in operations(document):
        keys = [one for one in operation["parameters"] if one.get("name") == "Idempotency-Key"]
        assert len(keys) == (0 if method == "get" else 1), operation["operationId"]
        for one in keys:
            said[one["required"]].add(operation["operationId"])
    assert said == {True: KEY_REQUIRED, False: KEY_OPTIONAL}


def test_every_request_may_bring_an_id_and_every_answer_has_one(document: dict[str, Any]) -> None:
    for _, operation in operations(document):
        assert {"$ref": "#/components/parameters/X-Request-Id"} in operation["parameters"]
        for answer in operation["responses"].values():
            assert answer["headers"]["X-Request-Id"] == {"$ref": "#/components/headers/X-Request-Id"}


def test_nothing_is_deprecated_and_the_page_about_it_says_so(shared_api: Api, document: dict[str, Any]) -> None:
    """Whoever deprecates something has the headers to send, and this sentence to change."""
    assert '"deprecated"' not in json.dumps(document)
    assert "Nothing is deprecated today." in shared_api.client.get("/docs/versioning").text
    assert "/docs/versioning" in document["info"]["description"]
    assert {path.split("/")[1] for path in document["paths"]} == {"v1"}


def test_what_an_answer_leads_to_is_there_and_gets_what_it_takes(document: dict[str, Any]) -> None:
    by_name = {one["operationId"]: (path, one) for (_, path), one in operations(document)}
    led = set()
    for one in by_name.values():
        for answer in one[1]["responses"].values():
            for name, link in answer.get("links", {}).items():
                assert link["operationId"] == name
                in_path = set(re.findall(r"{(\w+)}", by_name[name][0]))
                assert set(link["parameters"]) == in_path
                led.add(name)
    assert led == {name for name, (path, _) in by_name.items() if "{" in path} - {
        "put_customer"
    }  # the first to name it


def test_every_list_is_cut_and_narrowed_in_the_same_words(document: dict[str, Any]) -> None:
    common = {"limit", "starting_after", "ending_before", "created_from", "created_to"}
    more = {}
    for (method, path), operation in operations(document):
        names = {one["name"] for one in operation["parameters"] if one.get("in") == "query"}
        if method == "get" and not path.endswith("_id}"):
            assert names >= common, path
            more[path] = names - common
        else:
            assert names == set(), path
    assert more == {
        "/v1/payments": {"status", "anomaly", "order", "customer"},
        "/v1/payments/{payment_id}/refunds": {"status"},
        "/v1/customers/{customer_id}/payments": {"status", "anomaly", "order"},
        "/v1/payment_links": {"order", "customer"},
        "/v1/settlement_records": {"asset", "network"},
    }


def test_every_reference_leads_somewhere_and_nothing_is_unused(document: dict[str, Any]) -> None:
    kinds = ("schemas", "parameters", "headers")
    there = {f"#/components/{kind}/{name}" for kind in kinds for name in document["components"][kind]}
    assert set(references(document)) == there
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_operation_has_examples_and_they_fit_their_schemas(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        body = operation.get("requestBody")
        if body is not None:
            content = body["content"]["application/json"]
            whole(document, content["schema"]).validate(content["example"])
        for status, response in operation["responses"].items():
            for kind, content in response["content"].items():
                error = int(status) >= 400
                assert kind == (problems.CONTENT_TYPE if error else "application/json"), name
                shown = [one["value"] for one in content["examples"].values()] if error else [content["example"]]
                assert shown, (name, status)
                for example in shown:
                    whole(document, content["schema"]).validate(example)
                    assert not error or example["status"] == int(status)
        for parameter in [*operation.get("parameters", []), *document["paths"][name[1]].get("parameters", [])]:
            if "example" in parameter:
                Draft202012Validator(parameter["schema"]).validate(parameter["example"])


def test_the_request_has_exactly_the_public_fields(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert set(schemas["NewPayment"]["properties"]) == {
        "flow", "amount", "currency", "country", "order", "customer", "success_url", "exit_url", "error_url",
        "support_url", "payment_method", "metadata", "language",
    }  # fmt: skip
    assert set(schemas["Customer"]["properties"]) == {"id", "email", "kyc"}
    assert set(schemas["Kyc"]["properties"]) == set(KYC_FIELDS)
    for name in ("NewPayment", "Customer", "Kyc"):
        assert schemas[name]["additionalProperties"] is False


def test_real_answers_fit_the_document(shared_api: Api, document: dict[str, Any]) -> None:
    components = document["components"]["schemas"]
    opened = shared_api.open()
    answers = {
        "Payment": [opened, shared_api.get(f"/v1/payments/{opened.get_json()['id']}")],
        "PaymentList": [shared_api.get("/v1/payments")],
        "Problem": [
            shared_api.open(amount="1e1"),
            shared_api.get("/v1/payments/none"),
            shared_api.client.get("/v1/payments"),
        ],
    }
    for name, found in answers.items():
        for answer in found:
            whole(document, {**components[name], "unevaluatedProperties": False}).validate(answer.get_json(force=True))


@pytest.mark.parametrize(
    "change",
    [{"amount": "1e1"}, {"amount": 9}, {"flow": "card"}, {"currency": "XXX"}, {"order": ""}, {"surprise": "x"}],
)
def test_what_the_document_refuses_the_service_refuses(
    shared_api: Api, document: dict[str, Any], change: dict[str, Any]
) -> None:
    schema = document["components"]["schemas"]["NewPayment"]
    assert not whole(document, schema).is_valid({**GOOD, **change})
    assert shared_api.open(**change).status_code == 422


class Page(HTMLParser):
    """What a page loads, where it leads, and what can be led to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert tag not in ("script", "style")
        assert "style" not in found
        if found.get("id"):
            self.ids.append(found["id"] or "")
        if tag == "link":
            self.loads.append(found["href"] or "")
        if tag == "a":
            self.links.append(found["href"] or "")


def test_the_page_is_ours_alone_and_every_link_leads_somewhere(shared_api: Api) -> None:
    answer = shared_api.client.get("/docs")
    assert answer.status_code == 200
    page = Page(answer.text)
    assert all(re.fullmatch(r"/assets/[a-z]+\.[0-9a-f]{12}\.(css|svg)", one) for one in page.loads)
    assert len(page.ids) == len(set(page.ids))
    elsewhere = {"/openapi.json", *(link for link in page.links if link.startswith("/docs/"))}
    assert set(page.links) - elsewhere <= {f"#{one}" for one in page.ids}
    for link in elsewhere:
        assert shared_api.client.get(link).status_code == 200
    for loaded in page.loads:
        assert shared_api.client.get(loaded).status_code == 200


def test_the_page_shows_every_operation_and_explains_every_kind_of_problem(shared_api: Api) -> None:
    answer = shared_api.client.get("/docs")
    for method, path in OPERATIONS:
        assert f"{method.upper()} {path}" in answer.text
    ids = Page(answer.text).ids
    for kind in problems.KINDS:
        assert example_of(kind)["type"].removeprefix("/docs#") in ids
