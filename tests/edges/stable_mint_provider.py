"""Stable Mint as a script for tests of its client: requests of every flow, kept as they were sent, answered as told."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from checkout.errors import RequestRefused
from checkout.providers.outcome import Accepted, Outcome
from checkout.providers.session_request import SessionRequest
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
