"""A log line is one JSON object with ids, and nothing that anybody could steal."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from checkout import logs
from checkout.logs import REDACTED, about, configure, forbidden


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Our configuration on a stream of its own; the libraries' is put back afterwards."""
    handlers, level, before = logging.root.handlers[:], logging.root.level, structlog.get_config()
    output = io.StringIO()
    configure(output)
    yield output
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def written(stream: io.StringIO, **values: object) -> dict[str, Any]:
    structlog.get_logger().info("event", **values)
    return lines(stream)[-1]


def test_a_line_is_one_json_object_with_time_level_and_event(stream: io.StringIO) -> None:
    structlog.get_logger().warning("payout stuck", payout_id="po_1", age_s=3.5, attempts=2, final=False)

    (line,) = lines(stream)
    assert datetime.fromisoformat(line.pop("at")).tzinfo is not None
    assert line == {
        "event": "payout stuck",
        "level": "warning",
        "payout_id": "po_1",
        "age_s": 3.5,
        "attempts": 2,
        "final": False,
    }


def test_a_line_stays_one_line_whatever_it_says(stream: io.StringIO) -> None:
    structlog.get_logger().info('two\nlines"\u2028', reason="a\r\nb\udcff")

    assert len(stream.getvalue().splitlines()) == 1
    assert lines(stream)[0]["event"] == 'two\nlines"\u2028'


def test_debug_is_not_written(stream: io.StringIO) -> None:
    structlog.get_logger().debug("noise")
    logging.getLogger("httpx").info("HTTP Request: POST https://…")

    assert stream.getvalue() == ""


def test_ids_of_the_request_are_on_every_line_inside_it(stream: io.StringIO) -> None:
    log = structlog.get_logger()
    with about(request_id="r1"), about(payment_id="p1"):
        log.info("inside")
        logging.getLogger("some.library").warning("inside too")
    log.info("outside")

    inside, library, outside = lines(stream)
    assert (inside["request_id"], inside["payment_id"]) == ("r1", "p1")
    assert (library["request_id"], library["logger"]) == ("r1", "some.library")
    assert "request_id" not in outside


def test_the_last_configuration_wins(stream: io.StringIO) -> None:
    log = structlog.get_logger()
    log.info("first")
    second = io.StringIO()
    configure(second)
    log.info("second")
    logging.getLogger("some.library").error("third")

    assert [line["event"] for line in lines(stream)] == ["first"]
    assert [line["event"] for line in lines(second)] == ["second", "third"]


FORBIDDEN = [
    "secret", "api_secret", "apiSecret", "API_SECRET", "webhook_secrets", "password", "passphrase", "token",
    "lease_token", "client_token", "authorization", "Authorization", "cookie", "set_cookie", "signature",
    "StableMint-Signature", "svix-signature", "private_key", "api_key", "apiKey", "apikey", "store_key",
    "data_key", "data_keys", "key", "credentials", "pem", "dsn", "database_url", "checkout_url", "body",
    "raw_body", "payload", "headers", "query", "kyc", "user_kyc", "email", "customer_email", "customerEmail",
    "phone", "mobile_phone", "iban", "bic", "creditor_name", "account_holder", "account_number",
    "account_name",
    "sort_code", "routing_number", "full_name", "fullName", "first_name", "customer_full_name", "address",
    "residence_address", "date_of_birth", "gender", "passport", "ip", "remote_ip", "user_ip", "api_key_id",
]  # fmt: skip
HARMLESS = [
    "request_id", "payment_id", "event_id", "reference", "status", "kind", "attempt", "due_at", "duration_ms",
    "body_bytes", "body_hash", "token_hash", "signature_ok", "event_type", "currency", "network", "provider",
    "method", "route", "worker", "correlation_id", "idempotency_key", "public_key", "name", "flow", "store",
]  # fmt: skip


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_value_under_a_secret_or_personal_name_is_replaced(stream: io.StringIO, name: str) -> None:
    assert forbidden(name)
    for value in ("harmless looking", 4711, ["a"], Decimal("1")):
        assert written(stream, **{name: value})[name] == REDACTED
    assert written(stream, **{name: None})[name] is None


@pytest.mark.parametrize("name", HARMLESS)
def test_a_value_under_a_harmless_name_is_written(stream: io.StringIO, name: str) -> None:
    assert not forbidden(name)
    assert written(stream, **{name: "plain"})[name] == "plain"


SUSPECT = [
    "-----BEGIN PRIVATE KEY-----",
    "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
    "key sti_live_abc was refused",
    "sti_test_abc",
    "Bearer abc",
    "gAAAAABm" + "x" * 40,
    "GET /pay/AbCdEfGhIjKlMnOpQrStUv",
    "/return/AbCdEfGhIjKlMnOpQrStUv/success",
    "https://shop.example/embed/AbCdEfGhIjKlMnOpQrStUv",
    "postgresql+psycopg://u:pw@h/db",
    "mail to jane.doe@shop.example failed",
    "DE89370400440532013000",
    "to DE89 3704 0044 0532 0130 00",
    "x" * 290 + " jane.doe@shop.example",
]


@pytest.mark.parametrize("text", SUSPECT)
def test_text_that_looks_like_a_secret_or_a_person_is_replaced_under_any_name(stream: io.StringIO, text: str) -> None:
    assert written(stream, reason=text)["reason"] == REDACTED
    assert written(stream, reasons=["fine", text])["reasons"] == ["fine", REDACTED]
    structlog.get_logger().info(text)
    logging.getLogger("lib").warning("it said %s", text)
    assert [line["event"] for line in lines(stream)[-2:]] == [REDACTED, REDACTED]


def test_plain_values_are_written_as_they_are(stream: io.StringIO) -> None:
    at = datetime(2026, 11, 21, tzinfo=UTC)
    line = written(
        stream,
        amount=Decimal("10.50"),
        subject=UUID(int=1),
        since=at,
        ids=["a", "b"],
        places=(1, 2),
        path="/pay/{token}",
        route="/v1/payments",
        digest="a" * 64,
    )

    assert line["amount"] == "10.50"
    assert line["subject"] == str(UUID(int=1))
    assert line["since"] == str(at)
    assert (line["ids"], line["places"]) == (["a", "b"], [1, 2])
    assert (line["path"], line["route"], line["digest"]) == ("/pay/{token}", "/v1/payments", "a" * 64)


def test_what_is_no_plain_value_is_not_written(stream: io.StringIO) -> None:
    class Customer:
        def __repr__(self) -> str:
            return "Jane"

    line = written(stream, given={"a": "Jane"}, raw=b"Jane", who=Customer(), many=[{"a": "Jane"}])

    assert "Jane" not in json.dumps(line)
    assert line["given"] == "[dict not written]"
    assert line["raw"] == "[bytes not written]"


def test_long_text_is_cut(stream: io.StringIO) -> None:
    line = written(stream, reason="a b " * 100_000)

    assert len(line["reason"]) == logs.TEXT_CHARS_MAX + 1


def fail(message: str) -> None:
    raise LookupError(message)


def test_a_traceback_keeps_its_frames_and_types_and_loses_its_messages(stream: io.StringIO) -> None:
    log = structlog.get_logger()
    try:
        try:
            fail("row with jane")
        except LookupError as error:
            raise RuntimeError("because of jane") from error
    except RuntimeError as error:
        caught = error
        log.exception("it broke")
        logging.getLogger("lib").exception("it broke there")
        log.error("given", exc_info=error)
        log.error("given as a tuple", exc_info=(type(error), error, error.__traceback__))

    assert "jane" not in stream.getvalue()
    written_lines = lines(stream)
    assert len(written_lines) == 4
    for line in written_lines:
        frames = line["frames"]
        assert "builtins.LookupError" in frames
        assert frames[-1] == "builtins.RuntimeError"
        assert any(frame.endswith(" fail") and "test_logs.py:" in frame for frame in frames)
        assert "exc_info" not in line
        assert "exception" not in line
    assert caught.__cause__ is not None


def test_a_traceback_that_hides_its_context_stays_hidden_and_an_endless_one_is_cut(
    stream: io.StringIO,
) -> None:
    def dig(depth: int) -> None:
        if depth == 0:
            raise ValueError
        dig(depth - 1)

    log = structlog.get_logger()
    try:
        try:
            dig(100)
        except ValueError:
            log.exception("deep")
            raise KeyError from None
    except KeyError:
        log.exception("hidden")
    log.error("nothing to show", exc_info=True, stack_info=True)
    log.error("nothing either", exc_info=(None, None, None))

    deep, hidden, nothing, neither = lines(stream)
    assert len(deep["frames"]) == logs.FRAMES_MAX
    assert "builtins.ValueError" not in hidden["frames"]
    assert "frames" not in nothing
    assert "frames" not in neither


def test_a_circle_of_causes_ends(stream: io.StringIO) -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first

    structlog.get_logger().error("round", exc_info=first)

    assert lines(stream)[0]["frames"] == ["builtins.KeyError", "builtins.ValueError"]


@given(st.dictionaries(st.text(max_size=20), st.one_of(st.none(), st.text(), st.binary(), st.integers(), st.floats())))
def test_nothing_that_is_logged_raises(values: dict[str, Any]) -> None:
    event = logs.redact(None, "info", dict(values))

    assert set(event) == set(values)
    json.dumps(event, allow_nan=False)


def test_no_name_is_a_way_around(stream: io.StringIO) -> None:
    line = written(stream, _secret="abc", _note="jane@shop.example", frames="jane@shop.example")

    assert (line["_secret"], line["_note"], line["frames"]) == (REDACTED, REDACTED, REDACTED)


def test_configuring_warns_about_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        handlers, level, before = logging.root.handlers[:], logging.root.level, structlog.get_config()
        configure(io.StringIO())
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
        structlog.configure(**before)
