"""Where providers deliver: exact bytes in, 2xx only after they are stored, and never a word about why not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import sqlite3
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from checkout.store.metrics import figures
from checkout.web import hooks
from checkout.web.reading import BODY_MAX
from tests.edges.api_fixtures import Api, api, make_api, problem, shared_api
from tests.system import make_system, sign_event

__all__ = ["api", "shared_api"]

PATHS = ("/webhooks/stable-mint", "/webhooks/stables")
STABLES_SECRET = b"k" * 32  # as in tests.system.environment


def kept(api: Api) -> dict[str, int]:
    """How many deliveries are kept, by state."""
    with api.system.database.read() as unit:
        found = figures(unit, now=api.system.clock.now).events
    return {state: waiting.count for (_, state), waiting in found.items()}


def event(api: Api, kind: str = "created") -> bytes:
    ident = api.open().get_json()["id"]
    return api.system.event(api.system.sessions(ident)[0], kind)


def deliver_svix(api: Api, body: bytes, *, ident: str = "msg_1", secret: bytes = STABLES_SECRET) -> TestResponse:
    """A webhook of Stables as Svix signs it: Base64 HMAC-SHA256 over ``<id>.<timestamp>.<body>``."""
    stamp = str(int(api.system.clock.now.timestamp()))
    message = f"{ident}.{stamp}.".encode() + body
    signature = base64.b64encode(hmac.new(secret, message, hashlib.sha256).digest()).decode()
    headers = {"svix-id": ident, "svix-timestamp": stamp, "svix-signature": f"v1,{signature}"}
    return api.client.post("/webhooks/stables", data=body, headers=headers)


def test_a_signed_delivery_is_stored_and_answered_200(api: Api) -> None:
    answer = api.deliver(event(api))
    assert (answer.status_code, answer.get_json()) == (200, {"received": True})
    assert kept(api) == {"received": 1}


def test_the_same_delivery_again_is_200_and_stored_once(api: Api) -> None:
    body = event(api)
    assert [api.deliver(body).status_code for _ in range(3)] == [200] * 3
    assert kept(api) == {"received": 1}


def test_a_delivery_over_http_settles_the_payment_after_the_worker(api: Api) -> None:
    ident = api.open().get_json()["id"]
    assert api.deliver(api.system.event(api.system.sessions(ident)[0], "completed")).status_code == 200
    assert api.get(f"/v1/payments/{ident}").get_json()["status"] == "open"
    api.system.work()
    assert api.get(f"/v1/payments/{ident}").get_json()["status"] == "settled"


def test_a_signed_delivery_of_stables_is_stored(api: Api) -> None:
    body = json.dumps({"event_id": "e-1", "event_type": "transfer.updated.status_transitioned"}).encode()
    assert deliver_svix(api, body).status_code == 200
    assert deliver_svix(api, body).status_code == 200
    assert kept(api) == {"received": 1}
    problem(deliver_svix(api, body, ident="msg_2", secret=b"x" * 32), 401, "not-accepted")


def test_stables_hmac_scheme_is_taken_when_it_is_configured(tmp_path: Path) -> None:
    api = make_api(tmp_path, STABLES_WEBHOOK_SCHEME="hmac", STABLES_WEBHOOK_SECRET="hmac-secret-0123456789")
    body = b'{"event_id":"e-1","event_type":"transfer.created"}'
    signature = hmac.new(b"hmac-secret-0123456789", body, hashlib.sha256).hexdigest()
    good = api.client.post("/webhooks/stables", data=body, headers={"X-Webhook-Signature": signature})
    bad = api.client.post("/webhooks/stables", data=body + b" ", headers={"X-Webhook-Signature": signature})
    api.system.close()
    assert good.status_code == 200
    problem(bad, 401, "not-accepted")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"", b"{}", b"\xff" * 100, b"[" * 60_000, b"x" * BODY_MAX])
def test_an_unsigned_delivery_is_401_whatever_it_holds(shared_api: Api, path: str, body: bytes) -> None:
    problem(shared_api.client.post(path, data=body), 401, "not-accepted")


def mangled(body: bytes, stamp: str) -> dict[str, tuple[bytes, dict[str, str]]]:
    """Ways to get a delivery wrong: name → body and headers."""
    signature = sign_event(body, stamp)
    good = {"StableMint-Timestamp": stamp, "StableMint-Signature": signature}
    late = "2026-11-20T00:00:00Z"
    return {
        "tampered": (body.replace(b"9.0", b"0.9"), good),
        "truncated": (body[:-1], good),
        "longer": (body + b"\n", good),
        "no signature": (body, {"StableMint-Timestamp": stamp}),
        "no timestamp": (body, {"StableMint-Signature": signature}),
        "other key": (body, {**good, "StableMint-Signature": sign_event(body, stamp, "other")}),
        "other time": (body, {**good, "StableMint-Timestamp": "2026-11-21T12:00:01Z"}),
        "too old": (body, {"StableMint-Timestamp": late, "StableMint-Signature": sign_event(body, late)}),
        "not base64": (body, {**good, "StableMint-Signature": "%%%"}),
        "not ascii": (body, {**good, "StableMint-Signature": "\xe9\xff"}),
        "huge": (body, {**good, "StableMint-Signature": "A" * 100_000}),
        "twice": (body, {**good, "StableMint-Signature": f"{signature},{signature}"}),
        "svix headers": (body, {"svix-id": "1", "svix-timestamp": "1", "svix-signature": "v1,AA=="}),
    }


def test_every_refusal_is_the_same_answer_and_changes_nothing(api: Api) -> None:
    body = event(api, "completed")
    stamp = api.system.clock.now.isoformat().replace("+00:00", "Z")
    answers = set()
    for name, (sent, headers) in mangled(body, stamp).items():
        answer = api.client.post("/webhooks/stable-mint", data=sent, headers=headers)
        found = dict(problem(answer, 401, "not-accepted"))
        found.pop("request_id")
        answers.add(json.dumps(found))
        assert set(kept(api)) == {"unverified"}, name
    assert len(answers) == 1
    api.system.work()
    assert api.get("/v1/payments").get_json()["data"][0]["status"] == "open"


def test_a_delivery_of_one_provider_is_not_taken_at_the_others_address(shared_api: Api) -> None:
    problem(shared_api.deliver(event(shared_api), path="/webhooks/stables"), 401, "not-accepted")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"eventId":"e1","data":{"eventType":"partner.customer.moon.landed"}}',
        b'{"eventId":"e2","data":{"eventType":"a\\ud800"}}',
        b'{"eventId":"e\\u0000","data":{"eventType":"partner.customer.deposit.created","reference":"r"}}',
        b'{"eventId":"e3","data":{"eventType":"partner.customer.deposit.created","reference":"r\\udfff"}}',
        b'{"eventId":"e4","data":{"eventType":"partner.customer.deposit.created","customFields":{"\\u0000":""}}}',
        b'{"eventId":"e5","data":{"eventType":"partner.customer.deposit.created","amount":1e999999999999999999999}}',
        b'{"eventId":"e6","data":{"eventType":"partner.customer.deposit.created","amount":NaN}}',
    ],
)
def test_a_signed_delivery_with_bad_content_is_200_parked_and_a_person_looks(api: Api, body: bytes) -> None:
    assert api.deliver(body).status_code == 200
    api.system.work()
    assert kept(api) == {"quarantined": 1}
    assert api.system.cases() == ["event_quarantined"]


@pytest.mark.postgresql
def test_signed_text_that_postgresql_cannot_hold_is_parked_there_too(postgresql_server: Any) -> None:
    system = make_system(postgresql_server())
    try:
        api = Api(system)
        for number, odd in enumerate(("\\u0000", "\\ud800")):
            body = f'{{"eventId":"e{number}{odd}","data":{{"eventType":"x{odd}","reference":"{odd}"}}}}'
            assert api.deliver(body.encode()).status_code == 200
        assert kept(api) == {"quarantined": 2}
    finally:
        system.close()


@pytest.mark.parametrize("path", PATHS)
def test_a_delivery_over_64_kilobytes_is_413_and_kept_nowhere(api: Api, path: str) -> None:
    problem(api.client.post(path, data=b"x" * (BODY_MAX + 1)), 413, "too-large")
    stream = io.BytesIO(b"x" * (2 * BODY_MAX))
    answer = api.client.post(path, input_stream=stream, environ_overrides={"wsgi.input_terminated": True})
    problem(answer, 413, "too-large")
    chunked = io.BytesIO(b"x" * (2 * BODY_MAX))
    over = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    problem(api.client.post(path, input_stream=chunked, environ_overrides=over), 413, "too-large")
    assert chunked.tell() == BODY_MAX + 1
    assert kept(api) == {}


def test_a_signed_delivery_of_exactly_64_kilobytes_is_stored_also_in_chunks(api: Api) -> None:
    body = event(api)
    body += b" " * (BODY_MAX - len(body))
    assert api.deliver(body).status_code == 200
    stamp = api.system.clock.now.isoformat().replace("+00:00", "Z")
    again = api.client.post(
        "/webhooks/stable-mint",
        input_stream=io.BytesIO(body),
        headers={"StableMint-Timestamp": stamp, "StableMint-Signature": sign_event(body, stamp)},
        environ_overrides={
            "wsgi.input_terminated": True,
            "CONTENT_LENGTH": "",
            "HTTP_TRANSFER_ENCODING": "chunked",
        },
    )
    assert again.status_code == 200
    assert kept(api) == {"received": 1}


def test_neither_content_type_nor_content_encoding_change_what_is_verified(shared_api: Api) -> None:
    body = event(shared_api)
    stamp = shared_api.system.clock.now.isoformat().replace("+00:00", "Z")
    for content_type in ("", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        headers = {"StableMint-Timestamp": stamp, "StableMint-Signature": sign_event(body, stamp)}
        sent = shared_api.client.post("/webhooks/stable-mint", data=body, headers=headers, content_type=content_type)
        assert sent.status_code == 200


def test_a_database_that_another_process_keeps_locked_is_503_and_the_delivery_comes_again(api: Api) -> None:
    body = event(api)
    other = sqlite3.connect(str(api.system.database.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        answer = api.deliver(body)
    finally:
        other.execute("ROLLBACK")
        other.close()
    problem(answer, 503, "database-unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert kept(api) == {}
    assert api.deliver(body).status_code == 200
    assert kept(api) == {"received": 1}


def test_with_all_places_taken_a_delivery_is_told_to_come_back(shared_api: Api) -> None:
    with ExitStack() as stack:
        for _ in range(hooks.PLACES):
            assert stack.enter_context(hooks.place())
        answer = shared_api.deliver(event(shared_api))
        problem(answer, 503, "busy")
        assert int(answer.headers["Retry-After"]) >= 1
    assert shared_api.deliver(event(shared_api)).status_code == 200


def test_a_place_is_given_back_after_a_failure(shared_api: Api) -> None:
    for _ in range(hooks.PLACES + 1):
        problem(shared_api.client.post(PATHS[0], data=b"x" * (BODY_MAX + 1)), 413, "too-large")
    assert shared_api.deliver(event(shared_api)).status_code == 200


def test_deliveries_from_one_address_are_not_limited(shared_api: Api) -> None:
    peer = {"REMOTE_ADDR": "203.0.113.9"}
    body = event(shared_api)
    stamp = shared_api.system.clock.now.isoformat().replace("+00:00", "Z")
    headers = {"StableMint-Timestamp": stamp, "StableMint-Signature": sign_event(body, stamp)}
    for _ in range(100):
        sent = shared_api.client.post(PATHS[0], data=body, headers=headers, environ_overrides=peer)
        assert sent.status_code == 200
