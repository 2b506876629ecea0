"""Stables' two webhook schemes and our own notifications, pinned to answers of openssl and Node."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.errors import BadSignature, KeyRefused
from checkout.signing import (
    STABLES_TOLERANCE,
    generate_webhook_secret,
    sign_notification,
    stables_secret_problem,
    verify_stables,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "contracts/signing-vectors.json").read_text("utf-8"))
BODIES: dict[str, str] = VECTORS["bodies"]
NOW = datetime.fromisoformat(VECTORS["now"])
SECRET: str = VECTORS["svix"][0]["secret"]
OTHER = "whsec_" + base64.b64encode(b"another key of 24 bytes!").decode()


def svix_signature(key: bytes, ident: str, timestamp: str, body: bytes) -> str:
    """As Svix makes it, without the library under test."""
    message = f"{ident}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def svix_headers(body: bytes = b"{}", **changes: str) -> dict[str, str]:
    timestamp = str(int(NOW.timestamp()))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    headers = {
        "svix-id": "msg_1",
        "svix-timestamp": timestamp,
        "svix-signature": svix_signature(key, "msg_1", timestamp, body),
    }
    return headers | {name.replace("_", "-"): value for name, value in changes.items()}


def refused(
    scheme: str,
    body: bytes,
    headers: Mapping[str, str],
    secrets: Sequence[str] = (SECRET,),
    now: datetime = NOW,
) -> bool:
    try:
        verify_stables(scheme, secrets, body, headers, now=now)
    except BadSignature:
        return True
    return False


@pytest.mark.parametrize("vector", VECTORS["svix"], ids=lambda vector: vector["name"])
def test_an_svix_delivery_signed_by_openssl_and_node_is_accepted(vector: dict[str, Any]) -> None:
    headers = {
        "svix-id": vector["id"],
        "svix-timestamp": str(vector["timestamp"]),
        "svix-signature": f"v1,{vector['openssl']}",
    }
    body = BODIES[vector["body"]].encode()

    assert vector["openssl"] == vector["node"]
    assert not refused("svix", body, headers, [vector["secret"]])
    assert not refused("svix", body, headers, [OTHER, vector["secret"]])
    assert refused("svix", body, headers, [OTHER])
    assert refused("svix", body + b" ", headers, [vector["secret"]])
    assert refused("svix", body, headers | {"svix-id": "msg_x"}, [vector["secret"]])


@pytest.mark.parametrize("vector", VECTORS["hmac"], ids=lambda vector: vector["name"])
def test_an_hmac_delivery_signed_by_openssl_and_node_is_accepted_in_hex_and_base64(
    vector: dict[str, Any],
) -> None:
    body, digest = BODIES[vector["body"]].encode(), vector["openssl"]
    in_base64 = base64.b64encode(bytes.fromhex(digest)).decode()

    assert digest == vector["node"]
    for signature in (digest, in_base64, f"sha256={digest}", f"sha256={in_base64}"):
        headers = {"X-Webhook-Signature": signature}
        assert not refused("hmac", body, headers, [vector["secret"]])
        assert not refused("hmac", body, headers, ["another", vector["secret"]])
        assert refused("hmac", body, headers, ["another"])
        assert refused("hmac", body + b"\n", headers, [vector["secret"]])


def test_hmac_accepts_no_other_spelling() -> None:
    vector = VECTORS["hmac"][0]
    body, digest = BODIES[vector["body"]].encode(), vector["openssl"]
    raw = bytes.fromhex(digest)
    spellings = [
        digest.upper(),
        f"SHA256={digest}",
        f"sha256=sha256={digest}",
        f" {digest}",
        digest[:-1],
        base64.b64encode(raw).decode().rstrip("="),
        base64.b64encode(raw[:16]).decode(),
        hmac.new(vector["secret"].encode(), body, hashlib.sha512).hexdigest(),
        "sha256=",
        "",
        "é" * 64,
        "a" * 100_000,
    ]

    for spelling in spellings:
        assert refused("hmac", body, {"x-webhook-signature": spelling}, [vector["secret"]]), spelling


def test_header_names_are_read_without_regard_to_case() -> None:
    headers = {name.title(): value for name, value in svix_headers().items()}

    assert not refused("svix", b"{}", headers)


@pytest.mark.parametrize("name", ["svix-id", "svix-timestamp", "svix-signature"])
def test_an_svix_header_must_be_there_exactly_once(name: str) -> None:
    headers = svix_headers()
    without = {key: value for key, value in headers.items() if key != name}

    assert refused("svix", b"{}", without)
    assert refused("svix", b"{}", headers | {name.upper(): headers[name]})
    assert refused("svix", b"{}", without | {name.replace("svix", "webhook"): headers[name]})


def test_the_scheme_is_what_is_configured_and_not_what_is_sent() -> None:
    secret = SECRET
    by_hmac = {"X-Webhook-Signature": hmac.new(secret.encode(), b"{}", hashlib.sha256).hexdigest()}

    assert refused("svix", b"{}", by_hmac)
    assert refused("hmac", b"{}", svix_headers())
    with pytest.raises(ValueError, match="svix or hmac"):
        verify_stables("none", [SECRET], b"{}", {}, now=NOW)


@pytest.mark.parametrize(("seconds", "accepted"), [(-301, False), (-300, True), (300, True), (301, False)])
def test_the_svix_window_is_closed_both_ways(seconds: int, accepted: bool) -> None:
    now = datetime.fromtimestamp(int(NOW.timestamp()) + seconds, UTC)

    assert refused("svix", b"{}", svix_headers(), now=now) is not accepted
    assert timedelta(seconds=300) == STABLES_TOLERANCE


def test_time_is_judged_by_the_given_clock_so_that_a_kept_delivery_can_be_verified_again() -> None:
    """Also the alarm for a standardwebhooks release whose verifier ignores our clock."""
    headers = {
        "svix-id": "msg_1",
        "svix-timestamp": "1000000000",
        "svix-signature": svix_signature(b"k" * 24, "msg_1", "1000000000", b"{}"),
    }
    secret = "whsec_" + base64.b64encode(b"k" * 24).decode()

    assert not refused("svix", b"{}", headers, [secret], now=datetime.fromtimestamp(1_000_000_100, UTC))


GOOD = svix_headers()["svix-signature"]


@pytest.mark.parametrize(
    "signature",
    [
        f"v2,{GOOD[3:]}",
        f"v1a,{GOOD[3:]}",
        GOOD[3:],
        f"v1{GOOD[3:]}",
        f"V1,{GOOD[3:]}",
        f"v1,{GOOD[3:]},",
        f"v1,{GOOD[3:-5]}",
        f"v1,A{GOOD[4:]}" if GOOD[3] != "A" else f"v1,B{GOOD[4:]}",
        f"v1,=={GOOD[3:]}",
        f"v1,!{GOOD[3:]}",
        f"v1,_{GOOD[3:]}",
        f"v1,-_-_{GOOD[3:]}",
        f" {GOOD}",
        f"{GOOD}  {GOOD}",
        f"{GOOD}\n",
        "v1,é",
        "v1,",
        "v1,A",
        "\udcff",
        "v1," + "A" * 100_000,
    ],
)
def test_a_malformed_svix_signature_is_refused(signature: str) -> None:
    assert refused("svix", b"{}", svix_headers(svix_signature=signature))


@pytest.mark.parametrize("entries", [f"{GOOD} v1,AAAA", f"v1,AAAA {GOOD}", f"v2,AAAA v1a,x_y- {GOOD}"])
def test_one_good_signature_among_several_is_enough(entries: str) -> None:
    assert not refused("svix", b"{}", svix_headers(svix_signature=entries))


@pytest.mark.parametrize("timestamp", ["", "0", "1e9", "1.5", "-1", "nan", "inf", "９" * 10, "9" * 12, "9" * 400])
def test_a_malformed_svix_timestamp_is_refused(timestamp: str) -> None:
    assert refused("svix", b"{}", svix_headers(svix_timestamp=timestamp))


def test_a_timestamp_written_in_another_way_is_refused_though_the_library_would_take_it() -> None:
    given_as = svix_headers()["svix-timestamp"]

    for other in (f"0{given_as}", f"{given_as}.0", f" {given_as}", f"{given_as[:4]}_{given_as[4:]}"):
        assert refused("svix", b"{}", svix_headers(svix_timestamp=other))


def test_a_body_that_is_not_utf8_is_refused_by_svix_and_verified_over_bytes_by_hmac() -> None:
    body = b'{"a":"\xff"}'

    assert refused("svix", body, svix_headers(body))
    assert not refused("hmac", body, {"x-webhook-signature": hmac.new(b"s", body, hashlib.sha256).hexdigest()}, ["s"])


def test_a_byte_order_mark_is_part_of_the_body() -> None:
    body = b"\xef\xbb\xbf{}"

    assert not refused("svix", body, svix_headers(body))
    assert refused("svix", b"{}", svix_headers(body))


@given(
    scheme=st.sampled_from(["svix", "hmac"]),
    body=st.binary(max_size=100),
    headers=st.one_of(
        st.dictionaries(st.text(max_size=20), st.text(max_size=50), max_size=4),
        st.fixed_dictionaries(
            {
                "svix-id": st.one_of(st.just("msg_1"), st.text(max_size=300)),
                "svix-timestamp": st.one_of(st.just(str(int(NOW.timestamp()))), st.text(max_size=20)),
                "svix-signature": st.one_of(
                    st.text(max_size=100),
                    st.from_regex(r"\Av1,[A-Za-z0-9+/=_-]{0,60}( v1,[A-Za-z0-9+/=_-]{0,60})*\Z"),
                ),
                "x-webhook-signature": st.text(max_size=100),
            }
        ),
    ),
)
def test_nothing_a_stranger_sends_raises_anything_but_a_bad_signature(
    scheme: str, body: bytes, headers: dict[str, str]
) -> None:
    assert refused(scheme, body, headers)


def test_an_unusable_secret_verifies_nothing_and_raises_nothing_else() -> None:
    for secret in ("", "whsec_", "whsec_é", "whsec_A"):
        assert refused("svix", b"{}", svix_headers(), [secret])
    assert refused("svix", b"{}", svix_headers(), [])
    assert refused("hmac", b"{}", {"x-webhook-signature": "00"}, [])


@pytest.mark.parametrize(
    ("scheme", "secret", "usable"),
    [
        ("svix", SECRET, True),
        ("svix", SECRET.removeprefix("whsec_"), True),
        ("svix", "whsec_", False),
        ("svix", "whsec_not base64!", False),
        ("svix", "whsec_ünïcode", False),
        ("svix", "", False),
        ("hmac", "any text ü", True),
        ("hmac", "", False),
    ],
)
def test_a_secret_is_judged_by_its_scheme(scheme: str, secret: str, usable: bool) -> None:
    problem = stables_secret_problem(scheme, secret)

    assert (problem is None) is usable
    assert not (problem and len(secret) > 6 and secret in problem)


def test_a_notification_is_signed_as_the_published_standard_webhooks_vector() -> None:
    """Source: test_sign_function in the standard-webhooks repository's libraries."""
    signature = sign_notification(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=datetime.fromtimestamp(1614265330, UTC),
        body='{"test": 2432232314}',
    )

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("vector", VECTORS["svix"], ids=lambda vector: vector["name"])
def test_a_notification_is_signed_as_openssl_and_node_sign_it(vector: dict[str, Any]) -> None:
    signature = sign_notification(
        vector["secret"],
        message_id=vector["id"],
        timestamp=datetime.fromtimestamp(vector["timestamp"], UTC),
        body=BODIES[vector["body"]],
    )

    assert signature == f"v1,{vector['openssl']}" == f"v1,{vector['node']}"


def test_a_notification_is_signed_for_the_same_instant_in_any_zone_and_by_whole_seconds() -> None:
    def sign(timestamp: datetime) -> str:
        return sign_notification(SECRET, message_id="m", timestamp=timestamp, body="{}")

    assert sign(NOW) == sign(NOW.astimezone(timezone(timedelta(hours=9))))
    assert sign(NOW) == sign(NOW + timedelta(microseconds=999_999))
    with pytest.raises(ValueError, match="zone"):
        sign(NOW.replace(tzinfo=None))


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_é"])
def test_an_unusable_notification_secret_is_refused_by_name(secret: str) -> None:
    with pytest.raises(KeyRefused, match="whsec_ and Base64"):
        sign_notification(secret, message_id="m", timestamp=NOW, body="{}")


def test_a_generated_secret_signs_and_is_not_the_last_one() -> None:
    secret = generate_webhook_secret()

    assert stables_secret_problem("svix", secret) is None
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert secret != generate_webhook_secret()
