"""Signatures of Stable Mint, pinned to answers of openssl and Node, and every way to be refused."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from hypothesis import example, given
from hypothesis import strategies as st

from checkout.errors import BadSignature
from checkout.signing import (
    SIGNATURE_CHARS_MAX,
    load_partner_key,
    load_verifying_keys,
    string_to_sign,
    verify_stable_mint,
)

ROOT = Path(__file__).parents[2]
KEYS = ROOT / "keys.example"
VECTORS: dict[str, Any] = json.loads((ROOT / "tests/contracts/signing-vectors.json").read_text("utf-8"))
BODIES: dict[str, str] = VECTORS["bodies"]
NOW = datetime.fromisoformat(VECTORS["now"])
TOLERANCE = timedelta(hours=4)

PARTNER = load_partner_key(str(KEYS / "partner-private.pem"))
THEIRS = load_verifying_keys(str(KEYS / "simulator-public.pem"))
BOTH = load_verifying_keys((KEYS / "partner-public.pem").read_text() + (KEYS / "simulator-public.pem").read_text())

_foreign = load_pem_private_key((KEYS / "simulator-private.pem").read_bytes(), None)
assert isinstance(_foreign, rsa.RSAPrivateKey)
FOREIGN: rsa.RSAPrivateKey = _foreign


def by_name(vectors: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", [pytest.param(vector, id=vector["name"]) for vector in vectors])


def foreign_sign(message: bytes) -> str:
    """A Stable Mint signature, made without the module under test."""
    return base64.b64encode(FOREIGN.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


def refused(body: bytes, timestamp: str | None, signature: str | None, now: datetime = NOW) -> bool:
    try:
        verify_stable_mint(THEIRS, body, timestamp=timestamp, signature=signature, now=now, tolerance=TOLERANCE)
    except BadSignature:
        return True
    return False


@by_name(VECTORS["requests"])
def test_a_request_is_signed_as_openssl_and_node_sign_it(vector: dict[str, Any]) -> None:
    message = string_to_sign(vector["timestamp"], vector["secret"], BODIES[vector["body"]].encode())

    assert PARTNER.sign(message) == vector["openssl"] == vector["node"]


@by_name(VECTORS["webhooks"])
def test_a_webhook_signed_by_openssl_and_node_is_accepted(vector: dict[str, Any]) -> None:
    assert vector["openssl"] == vector["node"]

    for keys in (THEIRS, BOTH):
        sent = verify_stable_mint(
            keys,
            BODIES[vector["body"]].encode(),
            timestamp=vector["timestamp"],
            signature=vector["openssl"],
            now=NOW,
            tolerance=TOLERANCE,
        )
        assert sent.utcoffset() == timedelta(0)
        assert sent.replace(microsecond=0) == datetime(2026, 11, 21, 10, tzinfo=UTC)


@by_name(VECTORS["refused_webhooks"])
def test_a_webhook_that_differs_anywhere_is_refused(vector: dict[str, Any]) -> None:
    assert refused(vector["body"].encode(), vector["timestamp"], vector["signature"])


def test_the_vectors_cover_what_they_promise() -> None:
    assert len({vector["timestamp"] for vector in VECTORS["webhooks"]}) == 8
    assert {vector["body"] for vector in VECTORS["requests"]} == set(BODIES)
    assert len(BODIES["big"]) > 16_000
    assert not BODIES["non-ascii"].isascii()


def test_the_string_to_sign_is_seconds_secret_and_body_between_two_commas() -> None:
    assert string_to_sign(1700000000, "s", b'{"a":1}') == b'1700000000,s,{"a":1}'
    assert string_to_sign(1, "ü", b"\xff\x00") == "1,ü,".encode() + b"\xff\x00"


@given(st.binary(max_size=500))
def test_what_the_partner_key_signs_another_library_call_verifies(message: bytes) -> None:
    public = load_pem_public_key(PARTNER.public_pem().encode())
    assert isinstance(public, rsa.RSAPublicKey)

    public.verify(base64.b64decode(PARTNER.sign(message)), message, padding.PKCS1v15(), hashes.SHA256())
    BOTH.verify(message, PARTNER.sign(message))


WINDOW_EDGES = [(-TOLERANCE, True), (TOLERANCE, True)] + [
    (sign * (TOLERANCE + timedelta(microseconds=1)), False) for sign in (-1, 1)
]


@pytest.mark.parametrize(("offset", "accepted"), WINDOW_EDGES)
def test_the_window_is_closed_both_ways(offset: timedelta, accepted: bool) -> None:
    timestamp = (NOW + offset).isoformat()

    assert refused(b"{}", timestamp, foreign_sign(timestamp.encode() + b",{}")) is not accepted


@pytest.mark.parametrize("missing", [None, ""])
def test_a_missing_header_is_refused(missing: str | None) -> None:
    vector = VECTORS["webhooks"][0]
    body = BODIES[vector["body"]].encode()

    assert refused(body, missing, vector["node"])
    assert refused(body, vector["timestamp"], missing)


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-11-21T10:00:00\uff3a",
        "２０２６-11-21T10:00:00Z",
        "2026-11-21T10:00:00Z" + " " * 60,
        "2026-11-21é10:00:00",  # Python takes any one character between date and time
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "not a time",
        "\x00",
        "\udcff",
    ],
)
def test_a_strange_timestamp_is_refused_though_correctly_signed(timestamp: str) -> None:
    signature = foreign_sign(timestamp.encode("utf-8", "surrogatepass") + b",{}")

    assert refused(b"{}", timestamp, signature)


@pytest.mark.parametrize(
    "signature",
    ["=", "====", "A", "AAAA", "é" * 512, "A" * 512, "A" * (SIGNATURE_CHARS_MAX + 4), "\udcff", "v1,AAAA"],
)
def test_a_strange_signature_is_refused(signature: str) -> None:
    assert refused(b"{}", "2026-11-21T10:00:00Z", signature)


def test_a_signature_header_of_a_megabyte_is_refused_unread() -> None:
    assert refused(b"{}", "2026-11-21T10:00:00Z", "A" * 1_000_000)
    assert refused(b"{}", "2" * 1_000_000, "AAAA")


@given(
    body=st.binary(max_size=200),
    timestamp=st.one_of(
        st.none(),
        st.text(max_size=80),
        st.datetimes().map(datetime.isoformat),
        st.just("2026-11-21T10:00:00Z"),
    ),
    signature=st.one_of(
        st.none(),
        st.text(max_size=3000),
        st.binary(max_size=600).map(lambda raw: base64.b64encode(raw).decode()),
        st.binary(min_size=384, max_size=384).map(lambda raw: base64.b64encode(raw).decode()),
    ),
)
@example(body=b"", timestamp="2026-11-21", signature="AAAA")
def test_nothing_a_stranger_sends_raises_anything_but_a_bad_signature(
    body: bytes, timestamp: str | None, signature: str | None
) -> None:
    assert refused(body, timestamp, signature)


@given(
    body=st.binary(min_size=1, max_size=100),
    where=st.integers(min_value=0),
    bit=st.integers(min_value=0, max_value=7),
)
def test_one_bit_anywhere_in_the_body_breaks_the_signature(body: bytes, where: int, bit: int) -> None:
    timestamp = "2026-11-21T10:00:00Z"
    signature = foreign_sign(timestamp.encode() + b"," + body)
    changed = bytearray(body)
    changed[where % len(body)] ^= 1 << bit

    assert not refused(body, timestamp, signature)
    assert refused(bytes(changed), timestamp, signature)


def test_a_date_alone_is_midnight_utc() -> None:
    signature = foreign_sign(b"2026-11-21,{}")
    midnight = datetime(2026, 11, 21, tzinfo=UTC)

    sent = verify_stable_mint(
        THEIRS, b"{}", timestamp="2026-11-21", signature=signature, now=midnight, tolerance=TOLERANCE
    )

    assert sent == midnight
