"""The withdrawal call: exact bytes, checked whole before they leave, one call, and every answer told apart."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from checkout.config import Settings
from checkout.errors import RequestRefused
from checkout.providers.outcome import Accepted, Declined, Outcome, Unknown
from checkout.providers.stable_mint import OpenedWithdrawal, StableMint
from checkout.providers.transport import Wire, build_client
from checkout.providers.withdrawal_request import HOSTED, WithdrawalRequest, detail_problems, missing_details
from checkout.rules.money import Money
from checkout.signing import load_partner_key
from tests.system import environment, key_pair, private_pem

DETAILS = {
    "user_email": "ada@shop.example", "user_ip": "203.0.113.7", "creditor_account": "de89 3704 0044 0532 0130 00",
    "creditor_name": "Ada Lovelace", "creditor_country": "DE", "remittance": "Erstattung für PP-1042",
}  # fmt: skip
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def wanted(**changes: Any) -> WithdrawalRequest:
    values: dict[str, Any] = {
        "call": "partner", "amount": Money(950, "EUR"), "country": "DE",
        "user_id": "6f9b0b0e-5a53-4c3a-9a0a-3d6f0f6f2a11", "details": DETAILS, "idempotency_key": "key-1",
        "website_reference": "web-1", "custom_fields": {"refund": "ref_1"},
    }  # fmt: skip
    return WithdrawalRequest(**{**values, **changes})


class Provider:
    """Stable Mint behind a transport, with what it was sent."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response], *, sandbox: bool = True) -> None:
        self.requests: list[httpx.Request] = []

        def remember(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return answer(request)

        timeout = timedelta(seconds=5)
        settings = Settings.from_env(environment("sqlite:///none.db")).stable_mint
        self.client = StableMint(
            Wire(
                build_client("http://127.0.0.1:9001", timeout=timeout, transport=httpx.MockTransport(remember)),
                timeout=timeout,
            ),
            api_key="mint-key", api_secret="mint-secret", private_key=load_partner_key(private_pem("partner")),
            page_domains=settings.page_domains, flows=settings.flows, sandbox=sandbox, clock=lambda: NOW,
        )  # fmt: skip


def said(answer: httpx.Response | Exception, request: WithdrawalRequest | None = None) -> Outcome[OpenedWithdrawal]:
    def respond(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    provider = Provider(respond)
    outcome = provider.client.withdraw(request or wanted())
    assert len(provider.requests) == 1, "asked more than once"
    return outcome


def test_the_bytes_are_exactly_the_documented_fields_and_they_are_what_is_signed() -> None:
    provider = Provider(lambda _: httpx.Response(200, json={"reference": "W1"}))
    assert provider.client.withdraw(wanted()) == Accepted(OpenedWithdrawal(reference="W1"))
    (request,) = provider.requests
    assert request.url.path == "/withdrawal/partner-managed-customer"
    assert request.content.decode() == (
        '{"userId":"6f9b0b0e-5a53-4c3a-9a0a-3d6f0f6f2a11","userEmail":"ada@shop.example","userCountryCode":"DE",'
        '"userIp":"203.0.113.7","remittanceInformation":"Erstattung für PP-1042","amount":9.5,"currency":"EUR",'
        '"withdrawalReason":"Refund","creditorAccount":"DE89370400440532013000","creditorCountryCode":"DE",'
        '"creditorName":"Ada Lovelace","idempotencyKey":"key-1","websiteReference":"web-1","customFields":{"refund":"ref_1"}}'
    )
    signed = request.headers["Timestamp"].encode() + b",mint-secret," + request.content
    key = key_pair("partner").public_key()
    key.verify(base64.b64decode(request.headers["Signature"]), signed, padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize(
    ("minor", "currency", "text"), [(1000, "EUR", "10"), (10, "EUR", "0.1"), (105, "EUR", "1.05"), (5, "JPY", "5")]
)
def test_amounts_are_written_from_the_integer(minor: int, currency: str, text: str) -> None:
    provider = Provider(lambda _: httpx.Response(200, json={"reference": "W1"}))
    provider.client.withdraw(wanted(amount=Money(minor, currency)))
    assert f'"amount":{text},' in provider.requests[0].content.decode()


def test_optional_fields_are_sent_when_given() -> None:
    provider = Provider(lambda _: httpx.Response(200, json={"reference": "W1"}))
    provider.client.withdraw(
        wanted(details={**DETAILS, "creditor_bic": "COBADEFFXXX", "creditor_address": "Main Street 1"})
    )
    body = json.loads(provider.requests[0].content)
    assert (body["creditorBic"], body["creditorAddress"]) == ("COBADEFFXXX", "Main Street 1")


def test_the_hosted_call_has_its_own_few_fields() -> None:
    answer = {"reference": "W2", "url": "http://127.0.0.1:9001/withdrawals/1"}
    provider = Provider(lambda _: httpx.Response(200, json=answer))
    outcome = provider.client.withdraw(wanted(call=HOSTED, user_id=None, details={"user_unique_id": "cust-9"}))
    assert outcome == Accepted(OpenedWithdrawal(reference="W2", shopper_url="http://127.0.0.1:9001/withdrawals/1"))
    (request,) = provider.requests
    assert request.url.path == "/withdrawal/hosted"
    assert json.loads(request.content) == {
        "userUniqueId": "cust-9", "amount": 9.5, "currency": "EUR", "withdrawalReason": "Refund", "idempotencyKey": "key-1",
        "websiteReference": "web-1", "customFields": {"refund": "ref_1"},
    }  # fmt: skip


def test_a_page_elsewhere_is_never_given_to_a_shopper() -> None:
    answer = httpx.Response(200, json={"reference": "W2", "url": "https://evil.example/"})
    managed = wanted(call=HOSTED, user_id=None, details={"user_unique_id": "cust-9"})
    assert said(answer, managed) == Accepted(OpenedWithdrawal(reference="W2", shopper_url=None))


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ReadTimeout("no answer"), httpx.ConnectError("refused"), httpx.Response(500), httpx.Response(502),
        httpx.Response(408), httpx.Response(429), httpx.Response(200, content=b"{"), httpx.Response(200, json=[]),
        httpx.Response(200, json={}), httpx.Response(200, json={"reference": ""}), httpx.Response(302),
        httpx.Response(409, json={"message": "exists"}), httpx.Response(200, json={"reference": "x" * 500}),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_unknown(answer: httpx.Response | Exception) -> None:
    assert isinstance(said(answer), Unknown)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_clear_no_is_declined(status: int) -> None:
    outcome = said(httpx.Response(status, json={"code": "Nope", "message": "not now"}))
    assert isinstance(outcome, Declined)
    assert (outcome.status, outcome.message) == (status, "not now")


def test_a_refusal_that_quotes_the_shopper_is_kept_without_what_it_quotes() -> None:
    words = "Account DE89 3704 0044 0532 0130 00 of Lovelace (ada@shop.example, 203.0.113.7) is closed: key-1"
    outcome = said(httpx.Response(400, json={"message": words}))
    assert isinstance(outcome, Declined)
    for private in ("3704", "Lovelace", "ada@", "203.0.113.7", "key-1"):
        assert private not in outcome.message
    assert "is closed" in outcome.message


def test_a_request_shows_nothing_of_a_person_when_it_is_printed() -> None:
    assert "Ada" not in repr(wanted())
    assert "203.0.113.7" not in repr(wanted())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": Money(0, "EUR")}, "amount"),
        ({"amount": Money(9, "EUR")}, "amount"),
        ({"amount": Money(1001, "EUR")}, "amount"),
        ({"amount": Money(5_000_000, "USDC")}, "amount"),
        ({"country": ""}, "country"),
        ({"country": "XX"}, "country"),
        ({"user_id": None}, "customer"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"website_reference": "key-1"}, "idempotency_key"),
        ({"details": {name: text for name, text in DETAILS.items() if name != "user_ip"}}, "user_ip"),
        ({"details": {**DETAILS, "user_ip": "10.0.0"}}, "user_ip"),
    ],
)
def test_nothing_unfit_is_ever_sent(changes: dict[str, Any], field: str) -> None:
    provider = Provider(lambda _: httpx.Response(200, json={"reference": "W1"}))
    with pytest.raises(RequestRefused) as refused:
        provider.client.withdraw(wanted(**changes))
    assert field in refused.value.fields
    assert provider.requests == []


def test_live_has_no_limits_that_nobody_stated() -> None:
    provider = Provider(lambda _: httpx.Response(200, json={"reference": "W1"}), sandbox=False)
    assert isinstance(provider.client.withdraw(wanted(amount=Money(1_000_000, "EUR"))), Accepted)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user_ip", "localhost"), ("user_ip", "203.0.113.7/24"), ("creditor_account", "DE88370400440532013000"),
        ("creditor_account", "!"), ("creditor_account", "A" * 35), ("creditor_bic", "COBA"), ("creditor_country", "de"),
        ("creditor_name", "x" * 141), ("remittance", "two\nlines"), ("remittance", "  "), ("user_email", "ada"),
        ("creditor_address", 5), ("creditor_name", "\ud800"), ("surprise", "x"), ("not a name!", "x"),
        ("user_unique_id", "only hosted"),
    ],
)  # fmt: skip
def test_bad_details_are_named_and_never_quoted(name: str, value: Any) -> None:
    problems = detail_problems("partner", {name: value})
    assert list(problems) == [name if name != "not a name!" else "details"]
    if isinstance(value, str) and len(value) > 4 and name != "user_email":
        assert value not in str(problems)


@pytest.mark.parametrize(
    "account", ["DE89370400440532013000", "gb33 BUKB 2020 1555 5555 55", "12345678", "FR1420041010050500013M02606"]
)
def test_ibans_are_checked_and_other_accounts_are_taken_as_they_are(account: str) -> None:
    assert detail_problems("partner", {"creditor_account": account}) == {}


@pytest.mark.parametrize("ip", ["203.0.113.7", "2001:db8::1"])
def test_both_kinds_of_address_are_addresses(ip: str) -> None:
    assert detail_problems("partner", {"user_ip": ip}) == {}


def test_what_is_missing_is_named_in_order() -> None:
    assert missing_details("partner", {"creditor_name": "Ada"}) == (
        "user_email", "user_ip", "creditor_account", "creditor_country", "remittance",
    )  # fmt: skip
    assert missing_details(HOSTED, {}) == ("user_unique_id",)
