"""The Stable Mint client: what is made of the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from checkout.providers.outcome import Declined, Unknown
from tests.edges.stable_mint_provider import (
    HOSTED_ANSWER,
    KYC,
    NOW,
    Provider,
    a_partner_request,
    a_request,
    an_embedded_request,
    client,
    opened,
)


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
