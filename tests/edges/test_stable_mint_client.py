"""The Stable Mint client: what is sent, and what it is signed over."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st

from checkout.providers.outcome import Unknown
from checkout.providers.session_request import KYC_FIELDS
from checkout.rules.money import Money
from tests.edges.stable_mint_provider import (
    KYC,
    NOW,
    SECRET,
    Provider,
    a_partner_request,
    a_request,
    an_embedded_request,
    client,
    keys,
)


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
