"""The Stable Mint client: what is sent, what it is signed over, and what is made of the answer."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from checkout.errors import RequestRefused
from checkout.providers.outcome import Accepted, Declined, Outcome, Unknown
from checkout.providers.session_request import KYC_FIELDS, SessionRequest
from checkout.providers.stable_mint import OpenedSession, StableMint
from checkout.providers.transport import Wire, build_client
from checkout.rules.money import Money
from checkout.rules.urls import PageDomain
from checkout.signing import PartnerKey, load_partner_key

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECRET = "the api secret"
DOMAINS = (PageDomain(scheme="https", host="stablemint.net", port=None),)
ALL_FLOWS = frozenset({"hosted", "hosted_partner", "embedded"})
HOSTED_ANSWER = {
    "url": "https://checkout.stablemint.net/sessions/550e8400-e29b-41d4-a716-446655440000?requireAuth=true",
    "expiresAt": int(NOW.timestamp()) + 1800,
    "reference": "7PKZU6F2J",
}
KYC = {
    "full_name": "Zoë Ñandú",
    "citizenship_country_code": "DE",
    "residence_address": "Hauptstraße 1, Köln",
    "date_of_birth": "1990-01-31",
    "place_of_birth": "Köln",
    "gender": "female",
    "mobile_phone": "+49 151 12345678",
    "personal_identification_number": "X-1",
}


@cache
def keys() -> tuple[PartnerKey, rsa.RSAPublicKey]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return load_partner_key(pem.decode()), private.public_key()


class Provider:
    """Answers as told and keeps the requests."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response] | object = None) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = HOSTED_ANSWER if answer is None else answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if isinstance(self._answer, bytes):
            return httpx.Response(200, content=self._answer)
        return self._answer(request) if callable(self._answer) else httpx.Response(200, json=self._answer)

    @property
    def sent(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.requests[-1].content, parse_float=Decimal)
        return body


def client(
    provider: Provider,
    *,
    clock: Callable[[], datetime] = lambda: NOW,
    sandbox: bool = True,
    flows: frozenset[str] = ALL_FLOWS,
) -> StableMint:
    timeout = timedelta(seconds=2)
    http = build_client("https://api.test", timeout=timeout, transport=httpx.MockTransport(provider))
    return StableMint(
        Wire(http, timeout=timeout),
        api_key="key-1",
        api_secret=SECRET,
        private_key=keys()[0],
        page_domains=DOMAINS,
        flows=flows,
        sandbox=sandbox,
        clock=clock,
    )


def a_request(**changes: Any) -> SessionRequest:
    plain: dict[str, Any] = {
        "flow": "hosted",
        "amount": Money(1000, "EUR"),
        "currency": "EUR",
        "country": "DE",
        "success_url": "https://pay.shop.example/return/t/success",
        "exit_url": "https://pay.shop.example/return/t/exit",
        "error_url": "https://pay.shop.example/return/t/error",
        "support_url": "https://pay.shop.example/return/t/support",
        "idempotency_key": "6ac1f6f0-6f0e-4f63-9d59-0d3c3a9f2a11",
        "website_reference": "b7a2f6f0-6f0e-4f63-9d59-0d3c3a9f2a22",
    }
    return SessionRequest(**plain | changes)


def a_partner_request(**changes: Any) -> SessionRequest:
    plain = {
        "flow": "hosted_partner",
        "user_id": "9d59f6f0-6f0e-4f63-9d59-0d3c3a9f2a33",
        "user_email": "jo@shop.example",
    }
    return a_request(**plain | changes)


def an_embedded_request(**changes: Any) -> SessionRequest:
    urls: dict[str, Any] = dict.fromkeys(("success_url", "exit_url", "error_url", "support_url"))
    return a_partner_request(**{"flow": "embedded", **urls} | changes)


def opened(outcome: Outcome[OpenedSession]) -> OpenedSession:
    assert isinstance(outcome, Accepted), outcome
    return outcome.value


def refused(request: SessionRequest, **how: Any) -> dict[str, list[str]]:
    with pytest.raises(RequestRefused) as caught:
        client(Provider(), **how).validate(request)
    return caught.value.fields


# -- what is sent


def test_a_hosted_session_sends_every_documented_field_in_compact_json() -> None:
    provider = Provider()
    client(provider).open_session(
        a_request(
            custom_fields={"order": "Ä-1"},
            destination_address="0xabc",
            payment_method="OpenBanking",
            user_id="not sent",
            kyc=KYC,
        )
    )
    assert provider.requests[0].url == "https://api.test/session/hosted"
    assert provider.requests[0].method == "POST"
    assert provider.requests[0].content.decode() == (
        '{"userCountryCode":"DE","currency":"EUR","amount":10,'
        '"successUrl":"https://pay.shop.example/return/t/success",'
        '"supportUrl":"https://pay.shop.example/return/t/support",'
        '"exitUrl":"https://pay.shop.example/return/t/exit","errorUrl":"https://pay.shop.example/return/t/error",'
        '"idempotencyKey":"6ac1f6f0-6f0e-4f63-9d59-0d3c3a9f2a11",'
        '"websiteReference":"b7a2f6f0-6f0e-4f63-9d59-0d3c3a9f2a22",'
        '"customFields":{"order":"Ä-1"},"blockchainDestinationAddress":"0xabc","paymentMethod":"OpenBanking"}'
    )


def test_a_partner_session_adds_the_customer_and_leaves_out_address_and_method() -> None:
    provider = Provider()
    client(provider).open_session(a_partner_request(kyc=KYC, destination_address="0xabc"))
    assert provider.requests[0].url.path == "/session/hosted/partner-managed-customer"
    assert provider.sent["userId"] == "9d59f6f0-6f0e-4f63-9d59-0d3c3a9f2a33"
    assert provider.sent["userEmail"] == "jo@shop.example"
    assert provider.sent["userKyc"] == {KYC_FIELDS[name]: text for name, text in KYC.items()}
    assert "blockchainDestinationAddress" not in provider.sent
    assert "paymentMethod" not in provider.sent


def test_an_embedded_session_needs_no_amount_and_sends_no_urls() -> None:
    provider = Provider({"sessionId": "s-1"})
    client(provider).open_session(an_embedded_request(amount=None, custom_fields={"order": "1"}))
    assert provider.requests[0].url.path == "/session/embedded/partner-managed-customer"
    assert set(provider.sent) == {
        "userId", "userEmail", "userCountryCode", "currency", "idempotencyKey", "websiteReference",
    }  # fmt: skip


@given(st.integers(min_value=1, max_value=10**14))
def test_the_amount_is_sent_exactly_and_never_padded(minor: int) -> None:
    provider = Provider()
    client(provider, sandbox=False).open_session(a_request(amount=Money(minor, "EUR")))
    number = re.search(rb'"amount":([^,]+),', provider.requests[0].content)
    assert number is not None
    text = number[1].decode()
    assert Decimal(text) * 100 == minor
    assert re.fullmatch(r"(0|[1-9][0-9]*)(\.[0-9]?[1-9])?", text)


# -- signing


def verify(request: httpx.Request) -> None:
    """An independent check: the header's timestamp, the secret and the very bytes that were sent."""
    signed = request.headers["Timestamp"].encode() + b"," + SECRET.encode() + b"," + request.content
    signature = base64.b64decode(request.headers["Signature"], validate=True)
    keys()[1].verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())


visible = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])


@given(st.dictionaries(st.text(visible, min_size=1, max_size=9), st.text(visible, max_size=30), max_size=3))
def test_the_bytes_signed_are_the_bytes_sent(entries: dict[str, str]) -> None:
    provider = Provider()
    entries = {name: value for name, value in entries.items() if name.strip()}
    client(provider).open_session(a_request(custom_fields=entries))
    request = provider.requests[0]
    verify(request)
    assert request.headers["ApiKey"] == "key-1"
    assert request.headers["Content-Type"] == "application/json"
    assert SECRET not in str(dict(request.headers))


def test_another_body_does_not_verify() -> None:
    provider = Provider()
    client(provider).open_session(a_request())
    request = provider.requests[0]
    tampered = httpx.Request("POST", request.url, headers=request.headers, content=request.content + b" ")
    with pytest.raises(InvalidSignature):
        verify(tampered)


def test_the_timestamp_is_whole_seconds_and_every_repeat_is_stamped_and_signed_anew() -> None:
    provider = Provider()
    times = [NOW]
    mint = client(provider, clock=lambda: times[-1])
    mint.open_session(a_request())
    times.append(NOW + timedelta(seconds=90.7))
    mint.open_session(a_request())
    first, second = provider.requests
    assert first.headers["Timestamp"] == str(int(NOW.timestamp()))
    assert second.headers["Timestamp"] == str(int(NOW.timestamp()) + 90)
    assert first.content == second.content
    verify(first)
    verify(second)


def test_nothing_is_sent_twice_by_itself() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone", request=request)

    provider = Provider(broken)
    outcome = client(provider).open_session(a_request())
    assert isinstance(outcome, Unknown)
    assert len(provider.requests) == 1


# -- what is refused before anything is sent


def test_every_bad_field_is_named_at_once_by_its_public_name() -> None:
    request = a_partner_request(
        flow="hosted_partner",
        amount=Money(0, "EUR"),
        country="de",
        success_url=None,
        exit_url="http://shop.example/",
        error_url="https://user@shop.example/",
        support_url="javascript:alert(1)",
        user_id=" ",
        user_email="jo",
        payment_method="OpenBanking",
        custom_fields={"order": 5},
        kyc={
            "date_of_birth": "2990-01-01",
            "citizenship_country_code": "Germany",
            "gender": "",
            "shoe_size": "44",
        },
    )
    assert set(refused(request)) == {
        "amount", "country", "success_url", "exit_url", "error_url", "support_url", "customer.id",
        "customer.email", "payment_method",
        "metadata", "customer.kyc.date_of_birth", "customer.kyc.citizenship_country_code",
        "customer.kyc.gender", "customer.kyc.shoe_size",
    }  # fmt: skip


def test_a_refused_request_is_never_sent() -> None:
    provider = Provider()
    with pytest.raises(RequestRefused):
        client(provider).open_session(a_request(country="XX"))
    assert provider.requests == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"flow": "hosting"}, "flow"),
        ({"flow": []}, "flow"),
        ({"currency": "USDC"}, "currency"),
        ({"currency": "XYZ"}, "currency"),
        ({"currency": "USD"}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": 10}, "amount"),
        ({"amount": 10.0}, "amount"),
        ({"amount": Money(-5, "EUR")}, "amount"),
        ({"country": 5}, "country"),
        ({"country": "ZZ"}, "country"),
        ({"success_url": "https://a.example/\nx"}, "success_url"),
        ({"success_url": 5}, "success_url"),
        ({"payment_method": "Card"}, "payment_method"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"website_reference": "6ac1f6f0-6f0e-4f63-9d59-0d3c3a9f2a11"}, "website_reference"),
        ({"destination_address": "0x\x00"}, "destination_address"),
        ({"custom_fields": {"order": "\ud800"}}, "metadata"),
        ({"custom_fields": {"": "x"}}, "metadata"),
        ({"custom_fields": {str(n): "x" for n in range(51)}}, "metadata"),
        ({"custom_fields": ["x"]}, "metadata"),
        ({"kyc": "x"}, "customer.kyc"),
        ({"kyc": {"full_name": "x" * 501}}, "customer.kyc.full_name"),
        ({"kyc": {"full_name": None}}, "customer.kyc.full_name"),
        ({"kyc": {"full_name": ["x"]}}, "customer.kyc.full_name"),
        ({"kyc": {"date_of_birth": "19900131"}}, "customer.kyc.date_of_birth"),
        ({"kyc": {"date_of_birth": "1990-02-30"}}, "customer.kyc.date_of_birth"),
        ({"kyc": {"mobile_phone": "call me"}}, "customer.kyc.mobile_phone"),
        ({"kyc": {"jo@shop.example": "x"}}, "customer.kyc"),
        ({"user_email": "a b@shop.example"}, "customer.email"),
        ({"user_email": "x@" + "y" * 260 + ".example"}, "customer.email"),
        ({"user_email": 5}, "customer.email"),
        ({"user_id": 5}, "customer.id"),
    ],
)
def test_a_bad_field_is_refused_alone(changes: dict[str, Any], field: str) -> None:
    assert set(refused(a_request(**changes))) == {field}


def test_partner_flows_need_their_customer() -> None:
    for request in (
        a_partner_request(user_id=None, user_email=None),
        an_embedded_request(user_id=None, user_email=None),
    ):
        assert set(refused(request)) == {"customer.id", "customer.email"}


def test_a_flow_the_account_is_not_onboarded_for_is_refused() -> None:
    assert set(refused(a_partner_request(), flows=frozenset({"hosted"}))) == {"flow"}


@pytest.mark.parametrize("minor", [9, 1001])
def test_the_sandbox_has_limits_and_live_has_none(minor: int) -> None:
    request = a_request(amount=Money(minor, "EUR"))
    assert set(refused(request)) == {"amount"}
    client(Provider(), sandbox=False).validate(request)


@pytest.mark.parametrize("minor", [10, 1000])
def test_the_limits_themselves_are_allowed(minor: int) -> None:
    client(Provider()).validate(a_request(amount=Money(minor, "EUR")))


def test_plain_http_is_for_loopback_in_the_sandbox() -> None:
    request = a_request(success_url="http://127.0.0.1:8000/return/t/success")
    client(Provider()).validate(request)
    assert set(refused(request, sandbox=False)) == {"success_url"}


def test_refusals_and_reprs_never_show_a_persons_data() -> None:
    request = a_partner_request(user_email="secret person", kyc={"date_of_birth": "secret day"})
    with pytest.raises(RequestRefused) as caught:
        client(Provider()).validate(request)
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(request)


# -- what is made of the answer


def test_an_opened_session_has_url_reference_and_expiry() -> None:
    session = opened(client(Provider()).open_session(a_request()))
    assert session.url == HOSTED_ANSWER["url"]
    assert session.reference == "7PKZU6F2J"
    assert session.expires_at == NOW + timedelta(minutes=30)
    assert session.widget is None
    assert session.problems == ()
    assert json.loads(session.raw) == HOSTED_ANSWER


def test_an_embedded_answer_keeps_the_widgets_properties_as_given() -> None:
    answer = {
        "sessionId": "s-1",
        "amount": 9.5,
        "allowedPaymentMethods": ["OpenBanking"],
        "savedBanks": [{"any": "shape"}],
        "country": None,
        "surprise": 1,
    }
    session = opened(client(Provider(answer)).open_session(an_embedded_request()))
    assert session.session_id == "s-1"
    assert session.widget == {
        "sessionId": "s-1",
        "amount": Decimal("9.5"),
        "allowedPaymentMethods": ["OpenBanking"],
        "savedBanks": [{"any": "shape"}],
    }
    assert "any" not in repr(session)


@pytest.mark.parametrize("answer", [{}, {"url": None}, {"url": ""}, {"reference": "R"}])
def test_an_answer_without_a_url_is_accepted_and_the_caller_decides(answer: dict[str, Any]) -> None:
    session = opened(client(Provider(answer)).open_session(a_request()))
    assert session.url is None
    assert session.problems == ()


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/", "http://checkout.stablemint.net/", "https://stablemint.net.evil.example/",
        "https://notstablemint.net/", "https://a@stablemint.net/",
        "javascript:alert(1)", "//stablemint.net/", 5, ["x"],
    ],
)  # fmt: skip
def test_a_url_that_shoppers_may_not_be_sent_to_is_dropped_and_named(url: object) -> None:
    session = opened(client(Provider(HOSTED_ANSWER | {"url": url})).open_session(a_request()))
    assert session.url is None
    assert [problem.split(":")[0] for problem in session.problems] == ["url"]
    assert "evil" not in str(session.problems)


@pytest.mark.parametrize("as_text", [str, int, float, lambda n: f"{n}.0"])
def test_an_expiry_may_come_as_text_or_number(as_text: Callable[[int], object]) -> None:
    seconds = int(NOW.timestamp()) + 60
    session = opened(client(Provider(HOSTED_ANSWER | {"expiresAt": as_text(seconds)})).open_session(a_request()))
    assert session.expires_at == NOW + timedelta(seconds=60)


@pytest.mark.parametrize(
    "expiry",
    [
        1_700_000_000_000, 0, -1, "never", True, [], 10**30, "9" * 400,
        int((NOW - timedelta(days=1, seconds=1)).timestamp()),
        int((NOW + timedelta(days=400, seconds=1)).timestamp()),
    ],
)  # fmt: skip
def test_an_expiry_that_is_not_near_now_is_dropped_and_named(expiry: object) -> None:
    session = opened(client(Provider(HOSTED_ANSWER | {"expiresAt": expiry})).open_session(a_request()))
    assert session.expires_at is None
    assert [problem.split(":")[0] for problem in session.problems] == ["expiresAt"]


def test_a_huge_exponent_in_the_expiry_is_no_work() -> None:
    session = opened(client(Provider(b'{"url":null,"expiresAt":1e99999999}')).open_session(a_request()))
    assert session.expires_at is None


def test_an_odd_reference_is_dropped_and_named_but_a_number_is_text() -> None:
    session = opened(client(Provider(HOSTED_ANSWER | {"reference": 12345})).open_session(a_request()))
    assert session.reference == "12345"
    session = opened(client(Provider(HOSTED_ANSWER | {"reference": ["x"]})).open_session(a_request()))
    assert session.reference is None
    assert len(session.problems) == 1


@pytest.mark.parametrize("body", [b"", b"OK", b"[]", b"null", b'{"url":', b"\xff\xfe"])
def test_a_2xx_that_cannot_be_read_is_unknown(body: bytes) -> None:
    outcome = client(Provider(body)).open_session(a_request())
    assert outcome == Unknown("incomplete answer: not a JSON object", status=200)


def test_a_4xx_is_declined_with_the_providers_words_but_not_ours() -> None:
    def no(request: httpx.Request) -> httpx.Response:
        words = f"{request.headers['ApiKey']}: jo@shop.example, Zoë of Hauptstraße 1, Köln may not pay"
        return httpx.Response(403, json={"message": words}, headers={"x-correlation-id": "c-1"})

    outcome = client(Provider(no)).open_session(a_partner_request(kyc=KYC))
    assert isinstance(outcome, Declined)
    assert (outcome.status, outcome.correlation_id) == (403, "c-1")
    assert outcome.message == "[removed]: [removed], [removed] of [removed] may not pay"


@pytest.mark.parametrize(("status", "wait"), [(500, None), (503, None), (429, 60), (408, None), (302, None)])
def test_server_errors_and_not_now_are_unknown(status: int, wait: int | None) -> None:
    outcome = client(Provider(lambda _: httpx.Response(status, json={}))).open_session(a_request())
    assert isinstance(outcome, Unknown)
    assert (outcome.status, outcome.retry_after_s) == (status, wait)


def test_a_timeout_is_unknown_not_declined() -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("no answer", request=request)

    outcome = client(Provider(silent)).open_session(a_request())
    assert outcome == Unknown("ReadTimeout: no complete answer in time")
