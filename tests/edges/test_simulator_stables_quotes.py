"""Quotes of the simulated Stables: who may ask, what is refused, what a price is made of."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.edges.test_simulator_stables_kit import API_KEY, Port, fresh, quote_body, simulated, transfer_body

NETWORKS = ("arbitrum", "avalanche", "base", "ethereum", "optimism", "polygon", "solana")
FIAT = ("USD", "EUR", "AUD", "AED", "GBP", "HKD", "INR", "IDR", "SGD", "THB", "CNY")


@pytest.fixture(scope="module")
def running() -> Iterator[Port]:
    with simulated() as port:
        yield port


@pytest.fixture
def port(running: Port) -> Port:
    return fresh(running)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer other"}, {"X-Api-Key": "other"}])
def test_without_the_api_key_every_answer_is_the_documented_401(port: Port, headers: dict[str, str]) -> None:
    port.switch(error_shape="nested")
    for path in ("/api/v1/customers", "/api/v1/webhooks", "/api/v1/transfers"):
        answer = httpx.get(str(port.http.base_url) + path, headers=headers, trust_env=False)
        assert answer.status_code == 401
        assert answer.json() == {"statusCode": 401, "error": "Unauthorized", "message": "Invalid API key"}


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {API_KEY}"}, {"X-Api-Key": API_KEY}])
def test_the_api_key_is_taken_in_either_header(port: Port, headers: dict[str, str]) -> None:
    answer = httpx.get(str(port.http.base_url) + "/api/v1/customers", headers=headers, trust_env=False)
    assert answer.status_code == 200


def test_every_answer_carries_its_own_correlation_id(port: Port) -> None:
    answers = [port.get("customers"), port.get("customers"), port.get("nothing"), port.post("quotes", {})]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 400]
    assert len({uuid.UUID(answer.headers["x-correlation-id"]) for answer in answers}) == 4


def test_a_quote_answers_in_lower_case_with_a_version_4_id_and_thirty_seconds_to_live(port: Port) -> None:
    quote = port.quote(amount="9.71")
    assert uuid.UUID(quote["quote_id"]).version == 4
    assert quote["status"] == "active"
    assert quote["source"] == {"currency": "usdc", "network": "polygon", "amount": "9.71"}
    assert quote["destination"]["currency"] == "eur"
    life = datetime.fromisoformat(quote["expires_at"]) - datetime.fromisoformat(quote["created_at"])
    assert timedelta(seconds=29.9) < life < timedelta(seconds=30.1)


def test_the_credit_is_what_is_left_after_the_fees_at_the_stated_rate(port: Port) -> None:
    quote = port.quote(amount="1000")
    fees = {name: Decimal(line["amount"]) for name, line in quote["fees"].items()}
    total = fees.pop("total_fee")
    assert sum(fees.values()) == total
    exact = (1000 - total) * Decimal(str(quote["exchange_rate"]))
    assert exact - Decimal("0.01") < Decimal(quote["destination"]["amount"]) <= exact


def test_switches_change_rate_fees_and_what_they_leave_unexplained(port: Port) -> None:
    plain = Decimal(port.quote()["destination"]["amount"])
    port.switch(unexplained="0.07")
    assert Decimal(port.quote()["destination"]["amount"]) == plain - Decimal("0.07")
    port.switch(unexplained="0", integrator_percent="1")
    assert port.quote()["fees"]["integrator_fee"]["amount"] == "1"
    port.switch(integrator_percent="0", rate_shift_percent="-2", fee_currency="destination")
    shifted = port.quote()
    assert shifted["exchange_rate"] == 0.9016
    assert shifted["fees"]["total_fee"]["currency"] == "eur"


@pytest.mark.parametrize("rail", ["swift", "bank"])
def test_every_documented_currency_is_quoted_over_both_rails(port: Port, rail: str) -> None:
    for fiat in FIAT:
        quote = port.quote(fiat=fiat, rail=rail)
        assert quote["destination"]["currency"] == fiat.lower()


def test_every_documented_network_carries_both_assets_and_tron_only_usdt(port: Port) -> None:
    for network in NETWORKS:
        for asset in ("USDC", "USDT"):
            port.quote(asset=asset, network=network)
    port.quote(asset="USDT", network="tron")
    refused = port.post("quotes", quote_body(asset="USDC", network="tron"))
    assert refused.status_code == 422
    assert "ROUTING_ROUTE_NOT_CONFIGURED" in refused.json()["message"]


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        ("source", "currency", "usdc"),
        ("source", "currency", "EUR"),
        ("source", "network", "Polygon"),
        ("source", "network", None),
        ("source", "amount", 100),
        ("source", "amount", "1e2"),
        ("source", "amount", "-1"),
        ("source", "amount", "0"),
        ("source", "amount", "1.1234567"),
        ("source", "amount", "1" * 16),
        ("destination", "currency", "eur"),
        ("destination", "country", "de"),
        ("destination", "country", "DEU"),
        ("destination", "network", "sepa"),
    ],
)
def test_a_quote_request_is_read_strictly(port: Port, place: str, name: str, value: Any) -> None:
    port.switch(error_shape="code_fields")
    body = quote_body()
    body[place][name] = value
    if value is None:
        del body[place][name]
    answer = port.post("quotes", body)
    assert answer.status_code == 400
    assert [one["field"] for one in answer.json()["fields"]] == [f"{place}.{name}"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("preview", "yes"), ("metadata", "x"), ("source", []), ("customer_id", "me"), ("metadata", {"n": 1})],
)
def test_the_rest_of_a_quote_request_is_read_as_strictly(port: Port, field: str, value: Any) -> None:
    assert port.post("quotes", {**quote_body(), field: value}).status_code == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"source": NaN}'])
def test_a_body_that_is_no_json_object_is_refused(port: Port, body: bytes) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Content-Type": "application/json"}
    assert port.http.post("/api/v1/quotes", content=body, headers=headers).status_code == 400
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Content-Type": "text/plain"}
    assert port.http.post("/api/v1/quotes", content=body, headers=headers).status_code == 415


def test_an_unlisted_currency_has_no_route_until_the_sandbox_corridors_are_on(port: Port) -> None:
    assert port.post("quotes", quote_body(fiat="BRL", country="BR")).status_code == 422
    port.switch(sandbox_corridors=True)
    assert port.post("quotes", quote_body(fiat="BRL", country="BR")).status_code == 200
    assert port.post("quotes", quote_body(fiat="JPY", country="JP")).status_code == 422


def test_a_preview_is_priced_and_not_kept(port: Port) -> None:
    preview = port.quote({**quote_body(), "preview": True})
    assert preview["status"] == "preview"
    assert port.control("quotes") == []
    assert port.post("transfer", transfer_body(preview["quote_id"])).status_code == 404


@pytest.mark.parametrize("code", ["ROUTING_ROUTE_NOT_CONFIGURED", "ROUTING_ROUTE_DISABLED", "ROUTING_QUOTE_FAILED"])
def test_routing_errors_are_422_with_their_code_where_the_switch_says(port: Port, code: str) -> None:
    port.switch(routing_error=code, error_shape="code_fields")
    refused = port.post("quotes", quote_body())
    assert (refused.status_code, refused.json()["code"]) == (422, code)
    port.switch(routing_error_at="transfers")
    refused = port.post("transfer", transfer_body(port.quote()["quote_id"]))
    assert (refused.status_code, refused.json()["code"]) == (422, code)


def test_pounds_fail_with_500_but_for_the_amounts_the_sandbox_pays(port: Port) -> None:
    port.switch(gbp_500="quotes")
    answers = {
        amount: port.post("quotes", quote_body(fiat="GBP", country="GB", amount=amount)).status_code
        for amount in ("20", "59", "60", "70", "80")
    }
    assert answers == {"20": 500, "59": 500, "60": 200, "70": 500, "80": 200}
    assert port.post("quotes", quote_body(amount="59")).status_code == 200


def test_minimum_and_maximum_refuse_with_words(port: Port) -> None:
    port.switch(quote_min="50", quote_max="200")
    answers = [port.post("quotes", quote_body(amount=amount)) for amount in ("49.999999", "50", "200", "200.01")]
    assert [answer.status_code for answer in answers] == [422, 200, 200, 422]
    assert "minimum of 50 USDC" in answers[0].json()["message"]


def test_an_amount_its_fees_eat_up_is_refused(port: Port) -> None:
    assert port.post("quotes", quote_body(amount="0.3")).status_code == 422


@pytest.mark.parametrize("shape", ["flat", "nested", "code_fields"])
def test_errors_come_in_every_shape(port: Port, shape: str) -> None:
    port.switch(error_shape=shape)
    body = port.post("transfer", {"quote_id": "x"}).json()
    if shape == "nested":
        assert set(body["error"]) == {"code", "message", "details"}
    else:
        assert (body["statusCode"], body["error"]) == (400, "Bad Request")
        assert "destination" in {one["field"] for one in body["fields"]}


def test_an_operation_that_is_not_simulated_says_so(port: Port) -> None:
    assert port.get("api-keys").status_code == 501
    assert port.post(f"customers/{uuid.uuid4()}/virtual-accounts", {}).status_code == 501
    assert port.get("unheard-of").json()["message"] == "Route GET:/api/v1/unheard-of not found"


def test_the_clock_divides_a_quotes_life() -> None:
    with simulated(speed=60) as port:
        quote = port.quote()
    left = datetime.fromisoformat(quote["expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=-5) < left < timedelta(seconds=0.51)
