"""The simulated Stables against the published OpenAPI: every recorded exchange, both ways, with formats.

Operations and statuses outside the document cannot be checked by it and are listed by name, so that nothing
slips out.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.edges.test_simulator_stables_kit import (
    CUSTOMER,
    Port,
    bank,
    fresh,
    quote_body,
    simulated,
    transfer_body,
)

CONTRACT = Path(__file__).parents[1] / "contracts" / "stables-openapi.json"
DOCUMENT: dict[str, Any] = json.loads(CONTRACT.read_text(encoding="utf-8"))
BASE = "urn:stables"
REGISTRY: Any = Registry().with_resource(BASE, Resource.from_contents(DOCUMENT, DRAFT202012))

#: Answers the document has no schema for, and why that is right.
OUTSIDE = {
    ("GET", "/api/v1/transfers/{transferId}"),  # OBSERVED operation
    ("POST", "/api/v1/transfers/{transferId}/sandbox/simulate-deposit"),  # OBSERVED operation
    ("POST", "/api/v1/payment-methods/validate"),  # OBSERVED operation
    ("GET", "/api/v1/webhooks/{subscriptionId}/deliveries"),  # in the prose only
}
#: Statuses the document leaves out of an operation although its prose has them.
UNLISTED = {400, 401, 429}


@pytest.fixture
def port() -> Iterator[Port]:
    with simulated() as port:
        yield fresh(port)


def validator(pointer: str) -> Draft202012Validator:
    schema = {"$ref": f"{BASE}#{pointer}"}
    return Draft202012Validator(schema, registry=REGISTRY, format_checker=FormatChecker())


def escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def template_of(path: str) -> str | None:
    """The document's own name for a path."""
    templates = [*DOCUMENT["paths"], *(path for _, path in OUTSIDE)]
    for template in sorted(templates, key=lambda one: one.count("{")):
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path):
            return str(template)
    return None


def check(exchange: dict[str, Any]) -> str:
    """Validate one recorded exchange; answers what was checked, or why it could not be."""
    method, template = exchange["method"], template_of(exchange["path"])
    if template is None or (method, template) in OUTSIDE:
        return f"outside {method} {template or exchange['path']}"
    operation = DOCUMENT["paths"][template].get(method.lower())
    if operation is None:
        return f"outside {method} {template}"
    pointer = f"/paths/{escaped(template)}/{method.lower()}"
    status = str(exchange["status"])
    if exchange["status"] < 300:
        _check_request(exchange, operation, pointer)
    if status not in operation["responses"]:
        assert exchange["status"] in UNLISTED, (method, template, status)
        return f"unlisted {status} {method} {template}"
    schema = f"{pointer}/responses/{status}/content/application~1json/schema"
    problems = [error.message for error in validator(schema).iter_errors(json.loads(exchange["answer"]))]
    assert not problems, (method, template, status, problems)
    return f"checked {status} {method} {template}"


def _check_request(exchange: dict[str, Any], operation: dict[str, Any], pointer: str) -> None:
    """What the simulator accepted must be what the document allows: it must not be laxer."""
    headers = {name.lower(): value for name, value in exchange["headers"].items()}
    query = dict(parse_qsl(exchange["query"]))
    for place, parameter in enumerate(operation.get("parameters", [])):
        sent = {"header": headers, "query": query}.get(parameter["in"], {}).get(parameter["name"])
        if sent is None:
            assert not parameter.get("required") or parameter["in"] == "path", parameter["name"]
            continue
        value: object = int(sent) if parameter["schema"].get("type") == "integer" else sent
        validator(f"{pointer}/parameters/{place}/schema").validate(value)
    if "requestBody" in operation:
        schema = f"{pointer}/requestBody/content/application~1json/schema"
        validator(schema).validate(json.loads(exchange["body"]))


def recorded(port: Port) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = port.http.get("/_control/requests").json()
    return found


def drive(port: Port) -> None:
    """Something of everything, good and bad."""
    address = {"street": "a 1", "city": "b", "state": "c", "postal_code": "d", "country": "de"}
    port.get("customers")
    port.get(f"customers/{CUSTOMER}")
    port.get(f"customers/{uuid.uuid4()}")
    customer = {"customer_type": "business", "email": "a@b.example", "external_customer_id": "x"}
    for _ in range(2):
        port.post("customer", {**customer, "entitlements": ["base_payout"], "metadata": {"a": "b"}})
        port.post("customer/verification/link", {"customer_type": "individual", "external_customer_id": "y"})
    port.http.patch(f"/api/v1/customer/{CUSTOMER}", json={"phone": "+14155552671"})
    port.http.patch(f"/api/v1/customer/{CUSTOMER}", json={"phone": "1"})
    port.http.patch(f"/api/v1/customer/{uuid.uuid4()}", json={})
    port.post("customer/verification/link", {"customer_type": "nobody"})
    quote = port.quote({**quote_body(), "metadata": {"payout": "1"}})
    port.post("quotes", {})
    port.post("quotes", quote_body(asset="USDC", network="tron"))
    ident = port.transfer(quote_id=quote["quote_id"], destination=bank(address=address, account_type="checking"))["id"]
    port.post("transfer", {"destination": {}})
    port.post("transfer", transfer_body(quote["quote_id"]))
    port.post("transfer", transfer_body(str(uuid.uuid4())))
    port.fault("/api/v1/transfer$", "error_500_before_work")
    port.post("transfer", transfer_body(port.quote()["quote_id"]))
    port.status(ident)
    port.deposit(ident)
    for status in ("COMPLETED", "CREATED"):
        port.get("transfers", status=status, type="TRANSFER_TYPE_OFFRAMP", customer_id=CUSTOMER, page_size=5)
    port.get("transfers")
    hooks = {"name": "n", "url": "https://service.example/h", "eventTypes": ["all"]}
    made = port.post("webhooks", hooks).json()["subscription"]["subscriptionId"]
    port.get("webhooks", pageSize=1)
    port.get(f"webhooks/{made}/deliveries")
    for _ in range(2):
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        port.http.delete(f"/api/v1/webhooks/{made}", headers=headers)


def test_every_recorded_exchange_fits_the_published_openapi(port: Port) -> None:
    drive(port)
    seen = {check(exchange) for exchange in recorded(port)}
    checked = {one for one in seen if one.startswith("checked")}
    simulated_operations = {
        ("GET", "/api/v1/customers"): {200},
        ("GET", "/api/v1/customers/{customerId}"): {200, 404},
        ("POST", "/api/v1/customer"): {200, 409},
        ("POST", "/api/v1/customer/verification/link"): {200, 400, 409},
        ("PATCH", "/api/v1/customer/{customerId}"): {200, 400, 404},
        ("POST", "/api/v1/quotes"): {200, 400, 422},
        ("POST", "/api/v1/transfer"): {200, 400, 404, 422, 500},
        ("GET", "/api/v1/transfers"): {200},
        ("POST", "/api/v1/webhooks"): {200},
        ("GET", "/api/v1/webhooks"): {200},
        ("DELETE", "/api/v1/webhooks/{subscriptionId}"): {200, 404},
    }
    assert checked == {
        f"checked {status} {method} {path}"
        for (method, path), statuses in simulated_operations.items()
        for status in statuses
    }
    outside = {tuple(one.split(" ", 2)[1:]) for one in seen if one.startswith("outside")}
    assert outside <= OUTSIDE


@pytest.mark.parametrize(
    "positions",
    [
        {"amount_form": "padded", "answer_case": "upper", "fee_currency": "destination"},
        {"sparse_answers": True, "metadata_echo": "absent"},
        {"null_instructions_reads": 9, "address_form": "onchain"},
        {"routing_error": "ROUTING_QUOTE_FAILED", "routing_error_at": "transfers"},
        {"customer_verification": "requires_action", "customer_payout": "absent"},
        {"tamper_destination": "account_type", "tamper_network": "base"},
    ],
)
def test_switches_that_promise_to_stay_inside_the_openapi_do(port: Port, positions: dict[str, object]) -> None:
    port.switch(**positions)
    answer = port.post("transfer", transfer_body(port.quote()["quote_id"], destination=bank(account_type="payment")))
    port.get("customers")
    port.get("transfers", status="AWAITING_FUNDS_COLLECTION", type="TRANSFER_TYPE_OFFRAMP")
    exchanges = recorded(port)
    assert len(exchanges) == 4
    assert all(check(exchange).startswith("checked") for exchange in exchanges), answer.text


def test_a_transfer_by_its_id_looks_like_one_in_a_list(port: Port) -> None:
    ident = port.transfer()["id"]
    schema = validator("/components/schemas/TransferResponse")
    schema.validate(port.get(f"transfers/{ident}").json())
    port.switch(actual_payout="as_quoted")
    port.deposit(ident)
    completed = port.get(f"transfers/{ident}").json()
    assert completed.pop("actual_payout")
    schema.validate(completed)


def test_no_secret_is_in_what_was_recorded(port: Port) -> None:
    port.post("webhooks", {"name": "n", "url": "https://a.example/", "eventTypes": ["all"], "secret": "hush-hush"})
    text = port.http.get("/_control/requests").text
    assert "hush-hush" not in text
    assert "sti_test_" not in text
