"""JSON as written and heard, and what an error body means: exact, in one form, nothing private repeated."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.providers.outcome import Declined, Unknown
from checkout.providers.refusals import clean, private_texts, read_refusal
from checkout.providers.transport import RawAnswer
from checkout.providers.wire_json import as_heard, number_text, read_json, read_time, write_json
from checkout.rules.money import EXPONENTS, Money

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

amounts = st.builds(Money, st.integers(min_value=0, max_value=10**15), st.sampled_from(sorted(EXPONENTS)))
json_texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | json_texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(json_texts, inner, max_size=4),
    max_leaves=12,
)


def answer(status: int, body: object, **headers: str) -> RawAnswer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return RawAnswer(status, httpx.Headers(named), raw)


def declined(status: int, body: object, **headers: str) -> Declined:
    outcome = read_refusal(answer(status, body, **headers), now=NOW)
    assert isinstance(outcome, Declined)
    return outcome


# -- written


@given(amounts)
def test_an_amount_is_written_as_the_exact_shortest_number(money: Money) -> None:
    text = write_json(money).decode()
    assert Decimal(text) == money.decimal
    assert "e" not in text.lower()
    assert "." not in text or not text.endswith("0")


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(1000, "EUR"), b"10"),
        (Money(1050, "EUR"), b"10.5"),
        (Money(10, "EUR"), b"0.1"),
        (Money(500, "JPY"), b"500"),
        (Money(1, "USDC"), b"0.000001"),
        (Money(10**20, "EUR"), b"1" + b"0" * 18),
    ],
)
def test_amounts_are_numbers_without_padding_or_exponent(money: Money, text: bytes) -> None:
    assert write_json({"amount": money}) == b'{"amount":' + text + b"}"


@given(json_values)
def test_what_is_written_is_what_the_standard_library_writes_compactly(value: object) -> None:
    assert write_json(value) == json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize("value", [1.5, Decimal("1.5"), b"bytes", object(), {1: 2}])
def test_what_has_no_exact_form_is_never_written(value: object) -> None:
    with pytest.raises(TypeError):
        write_json({"x": value})


def test_half_a_surrogate_pair_is_never_written() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        write_json({"name": "\ud800"})


# -- heard


def test_numbers_are_heard_exactly() -> None:
    heard = read_json(b'{"a":0.1,"b":10,"c":1e-2,"d":0.30000000000000000001}')
    assert heard == {
        "a": Decimal("0.1"),
        "b": 10,
        "c": Decimal("0.01"),
        "d": Decimal("0.30000000000000000001"),
    }
    assert as_heard(heard) == b'{"a":0.1,"b":10,"c":0.01,"d":0.30000000000000000001}'


def test_the_last_of_two_equal_keys_is_heard() -> None:
    assert read_json(b'\xef\xbb\xbf{"a":1,"a":2}') == {"a": 2}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"NaN",
        b'{"a":Infinity}',
        b"\xff",
        b"[" * 200_000,
        b"1" * 5000,
        b'"\n"',
        b"1e99999999999999999999",
    ],
)
def test_what_is_not_json_is_one_kind_of_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_json(body)


def test_text_that_no_database_keeps_is_replaced() -> None:
    assert read_json(rb'{"a":"x\ud800y\u0000","b":"\ud83d\ude00"}') == {"a": "x\ufffdy\ufffd", "b": "😀"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1.5e1"), "15"),
        (3, "3"),
        ("0.9220", "0.9220"),
        (True, None),
        (None, None),
        ("ten", None),
        (Decimal("1e500"), None),
        ([], None),
        ("NaN", None),
        ("٣", None),
        ("1" * 500, None),
    ],
)
def test_a_number_has_exact_text_or_none(value: object, text: str | None) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("2026-11-21T12:00:00Z", NOW),
        ("2026-11-21T12:00:00", NOW),
        ("2026-11-21T13:00:00.0000000+01:00", NOW),
        ("yesterday", None),
        (5, None),
        (None, None),
        ("2026-11-21T12:00:00Z" + " " * 50, None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_a_time_is_utc_or_nothing(value: object, at: datetime | None) -> None:
    assert read_time(value) == at


# -- refusals


def test_the_flat_error_of_the_openapi_is_read() -> None:
    body = {"statusCode": 422, "error": "Unprocessable Entity", "message": "Quote expired"}
    assert declined(422, body) == Declined(422, "Quote expired")


def test_the_nested_error_of_the_docs_is_read() -> None:
    body = {"error": {"code": "validation_error", "message": "no", "details": {"iban": "is wrong", "n": 5}}}
    assert declined(400, body) == Declined(400, "no", "validation_error", {"iban": "is wrong"})


def test_the_flat_error_with_code_and_fields_is_read() -> None:
    body = {
        "statusCode": 400,
        "error": "Bad Request",
        "message": "Validation failed",
        "code": "INVALID_FIELDS",
        "fields": [{"field": "destination.iban", "message": "is wrong"}, "odd", {"path": "x", "code": "C"}],
    }
    outcome = declined(400, body, x_correlation_id="abc-1")
    assert outcome.code == "INVALID_FIELDS"
    assert outcome.fields == {"destination.iban": "is wrong", "x": "C"}
    assert outcome.correlation_id == "abc-1"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"5", {"error": 5}, {"message": {}}, {"message": "  "}])
def test_an_error_without_words_is_still_a_refusal(body: object) -> None:
    assert declined(403, body) == Declined(403, "no reason was given")


def test_several_messages_are_joined_and_only_the_first_300_characters_kept() -> None:
    assert declined(400, {"message": ["a", "b", 5]}).message == "a; b"
    assert len(declined(400, {"message": "x" * 5000}).message) == 300


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422])
def test_other_4xx_are_declined(status: int) -> None:
    assert declined(status, {}).status == status


@pytest.mark.parametrize("status", [300, 302, 307, 408, 425, 429, 500, 502, 503, 504, 599])
def test_redirects_server_errors_and_not_now_are_unknown(status: int) -> None:
    outcome = read_refusal(answer(status, {"message": "later"}), now=NOW)
    assert isinstance(outcome, Unknown)
    assert outcome.status == status
    assert outcome.reason == f"HTTP {status}: later"


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("Sat, 21 Nov 2026 12:01:30 GMT", 90),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0),
        ("99999999999999999999", 86400),
        ("Fri, 21 Nov 2036 12:00:00 GMT", 86400),
        ("soon", 60),
        ("-5", 60),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_60_when_a_429_does_not_say(header: str, wait: int) -> None:
    outcome = read_refusal(answer(429, {}, retry_after=header), now=NOW)
    assert isinstance(outcome, Unknown)
    assert outcome.retry_after_s == wait


def test_only_a_429_has_a_wait_of_its_own() -> None:
    outcome = read_refusal(answer(503, {}), now=NOW)
    assert isinstance(outcome, Unknown)
    assert outcome.retry_after_s is None


@pytest.mark.parametrize("ident", ["", "has space", "x" * 101, "ünïcode"])
def test_a_support_id_that_is_not_printable_is_dropped(ident: str) -> None:
    headers = httpx.Headers([(b"x-correlation-id", ident.encode("latin-1"))])
    outcome = read_refusal(RawAnswer(400, headers, b"{}"), now=NOW)
    assert outcome.correlation_id is None


SENT = {
    "quote_id": "q-1",
    "destination": {
        "account_holder_name": "Nikos Papadopoulos",
        "iban": "GR1601101250000000012300695",
        "currency": "EUR",
        "address": {"street": "Main 5", "country": "gr"},
        "list": ["hidden value"],
    },
    "email": "jo@shop.example",
    "amount": Money(1000, "EUR"),
}


@pytest.mark.parametrize(
    "echo",
    [
        "IBAN gr16 0110 1250 0000 0001 2300 695 is bad",
        "no account for NIKOS",
        "Papadopoulos is sanctioned",
        "main 5 is no street",
        "hidden  value",
        "write to jo@shop.example",
        "other@person.example is taken",
        "try DE89 3704 0044 0532 0130 00 instead",
    ],
)
def test_what_is_personal_never_comes_back_in_a_message(echo: str) -> None:
    message = clean(echo, private_texts(SENT))
    assert "[removed]" in message
    for secret in ("0110", "nikos", "papad", "main 5", "hidden", "jo@", "other@", "3704"):
        assert secret not in message.lower()


def test_codes_and_currencies_may_come_back() -> None:
    assert clean("EUR in gr for q-1 is closed", private_texts(SENT)) == "EUR in gr for q-1 is closed"


def test_fields_and_reasons_are_cleaned_too() -> None:
    body = {"message": "x", "fields": [{"field": "iban", "message": "GR1601101250000000012300695 no"}]}
    refused = read_refusal(answer(400, body), now=NOW, private=private_texts(SENT))
    assert isinstance(refused, Declined)
    assert refused.fields == {"iban": "[removed] no"}
    broken = read_refusal(answer(500, {"message": "jo@shop.example"}), now=NOW)
    assert isinstance(broken, Unknown)
    assert broken.reason == "HTTP 500: [removed]"


def test_messages_are_one_line() -> None:
    assert clean("a\r\nb\x00c\u2028d") == "a b c d"
