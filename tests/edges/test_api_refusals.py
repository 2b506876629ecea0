"""Bad requests: refused by name, all bad fields at once, and nothing stored."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout.web.reading import BODY_MAX
from tests.edges.api_fixtures import GOOD, Api, fresh_key, named, problem, shared_api

__all__ = ["shared_api"]

REFUSED = "request-refused"


@contextmanager
def nothing_stored(shared_api: Api) -> Iterator[None]:
    """Inside, no payment is stored and the provider hears nothing."""
    before = (shared_api.stored(), len(shared_api.system.mint.requests))
    yield
    assert (shared_api.stored(), len(shared_api.system.mint.requests)) == before


def raw(**texts: str) -> str:
    """A body whose values are given as JSON text, over the good ones."""
    values = {**{name: json.dumps(value) for name, value in GOOD.items()}, **texts}
    return "{" + ",".join(f'"{name}":{text}' for name, text in values.items()) + "}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", 9),
        ("amount", 9.0),
        ("amount", True),
        ("amount", ["9.00"]),
        ("amount", None),
        ("amount", ""),
        ("amount", "0"),
        ("amount", "0.00"),
        ("amount", "-9.00"),
        ("amount", "+9"),
        ("amount", "1e1"),
        ("amount", "1E1"),
        ("amount", "9,00"),
        ("amount", " 9.00"),
        ("amount", "9."),
        ("amount", ".5"),
        ("amount", "09.00"),
        ("amount", "10.505"),
        ("amount", "1" * 13),
        ("amount", "1." + "0" * 60),
        ("amount", "٩.00"),
        ("amount", "NaN"),
        ("amount", "Infinity"),
        ("currency", "XXX"),
        ("currency", "eur"),
        ("currency", "USDC"),
        ("currency", ""),
        ("currency", 978),
        ("country", "de"),
        ("country", "ZZ"),
        ("country", "DEU"),
        ("country", None),
        ("flow", "card"),
        ("flow", None),
        ("order", ""),
        ("order", "   "),
        ("order", "x" * 121),
        ("order", "a\nb"),
        ("order", "a\x00"),
        ("order", "a\u2028b"),
        ("order", "a\u202eb"),
        ("order", "a\ud800"),
        ("order", 1042),
        ("success_url", "https://evil.example/"),
        ("success_url", "http://shop.example/"),
        ("success_url", "javascript:alert(1)"),
        ("success_url", "https://shop.example@evil.example/"),
        ("success_url", "https://shop.example/" + "x" * 2048),
        ("exit_url", "//shop.example"),
        ("error_url", 1),
        ("support_url", ""),
        ("payment_method", "Card"),
        ("metadata", []),
        ("metadata", "x"),
        ("metadata", {f"k{number}": "v" for number in range(21)}),
        ("customer", "jo"),
        ("customer", []),
        ("idempotency_key", "k"),
        ("blockchainDestinationAddress", "0x0"),
        ("destination_address", "0x0"),
        ("status", "settled"),
    ],
)
def test_a_bad_field_is_refused_by_its_name_and_nothing_is_stored(shared_api: Api, field: str, value: Any) -> None:
    with nothing_stored(shared_api):
        found = problem(shared_api.open(**{field: value}), 422, "request-refused")
    assert list(named(found)) == [field]


def test_the_embedded_flow_is_refused_with_a_reason_and_with_everything_else_that_is_wrong(shared_api: Api) -> None:
    with nothing_stored(shared_api):
        found = problem(
            shared_api.open(flow="embedded", amount="900.00", customer={"id": "c", "email": "a@b.example"}),
            422,
            "request-refused",
        )
    assert {"flow", "amount"} <= set(named(found))
    assert "STABLE_MINT_WIDGET_URL" in str(found["errors"])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("customer.email", {"customer": {"email": "nobody"}}),
        ("customer.email", {"customer": {"email": "a@b@c.example"}}),
        ("customer.email", {"customer": {"email": "x" * 250 + "@a.example"}}),
        ("customer.id", {"customer": {"id": "x" * 201}}),
        ("customer.id", {"customer": {"id": 17}}),
        ("customer.name", {"customer": {"name": "Jo"}}),
        ("customer.kyc", {"customer": {"kyc": "Jo"}}),
        ("customer.kyc.fullName", {"customer": {"kyc": {"fullName": "Jo"}}}),
        ("customer.kyc.full_name", {"customer": {"kyc": {"full_name": "Jo\u0007"}}}),
        ("customer.kyc.gender", {"customer": {"kyc": {"gender": 1}}}),
        ("metadata.a", {"metadata": {"a": 1}}),
        ("metadata.a", {"metadata": {"a": {"b": "c"}}}),
        ("metadata.a", {"metadata": {"a": "x" * 501}}),
        ("metadata.a", {"metadata": {"a": None}}),
        ("metadata.a", {"metadata": {"a": "tab\t"}}),
        ("metadata." + "k" * 41, {"metadata": {"k" * 41: "v"}}),
        ("metadata", {"metadata": {"": "v"}}),
        ("metadata", {"metadata": {"a\u0000": "v"}}),
    ],
)
def test_a_bad_field_inside_an_object_is_named_with_its_path(shared_api: Api, path: str, body: dict[str, Any]) -> None:
    assert list(named(problem(shared_api.open(**body), 422, "request-refused"))) == [path]


@pytest.mark.parametrize("currency", ["JPY", "KRW", "ISK"])
@pytest.mark.parametrize("amount", ["10.0", "10.5", "9.00"])
def test_a_currency_without_decimals_takes_none(shared_api: Api, currency: str, amount: str) -> None:
    found = named(problem(shared_api.open(amount=amount, currency=currency), 422, "request-refused"))
    assert found == {"amount": f"{currency} has no digits after the point"}


@pytest.mark.parametrize("field", ["flow", "amount", "currency", "country", "order"])
def test_a_missing_field_is_named(shared_api: Api, field: str) -> None:
    assert named(problem(shared_api.open(**{field: ...}), 422, "request-refused")) == {field: "is required"}


def test_all_bad_fields_are_named_at_once_the_header_too(shared_api: Api) -> None:
    body = {
        "flow": "card", "amount": 9.5, "currency": "XXX", "country": "zz", "order": "", "surprise": 1,
        "customer": {"email": "nobody", "kyc": {"fullName": "Jo"}}, "success_url": "https://evil.example/",
        "exit_url": "ftp://shop.example", "payment_method": "Card", "metadata": {"a": 1},
    }  # fmt: skip
    answer = shared_api.client.post("/v1/payments", json=body, headers=shared_api.headers())
    assert set(named(problem(answer, 400, "bad-header"))) == {
        "Idempotency-Key", "flow", "amount", "currency", "country", "order", "surprise", "customer.email",
        "customer.kyc.fullName", "success_url", "exit_url", "payment_method", "metadata.a",
    }  # fmt: skip


def test_what_only_the_provider_and_the_settings_refuse_is_told_in_the_same_answer(shared_api: Api) -> None:
    born = {
        "id": "c-1",
        "email": "a@b.example",
        "kyc": {"date_of_birth": "2990-01-31", "citizenship_country_code": "DE"},
    }
    found = named(problem(shared_api.open(flow="embedded", amount="900.00", country="zz", customer=born), 422, REFUSED))
    assert set(found) == {"flow", "amount", "country", "customer.kyc.date_of_birth"}
    assert set(named(problem(shared_api.open(flow="embedded", amount="900.00", customer=born), 422, REFUSED))) == {
        "flow", "amount", "customer.kyc.date_of_birth",
    }  # fmt: skip
    body = {
        "flow": "embedded",
        "currency": "EUR",
        "country": "zz",
        "order": "A-1",
        "expires_at": "2020-01-01T00:00:00Z",
    }
    found = named(problem(shared_api.post("/v1/payment_links", json=body), 422, REFUSED))
    assert set(found) == {"flow", "country", "expires_at"}
    found = named(problem(shared_api.post("/v1/payment_links", json={**body, "flow": "hosted"}), 422, REFUSED))
    assert set(found) == {"amount", "country", "expires_at"}
    person = {"email": "nobody", "country": "DE", "kyc": {"date_of_birth": "2990-01-31"}}
    answer = shared_api.client.put("/v1/customers/c-1", json=person, headers=shared_api.headers())
    assert set(named(problem(answer, 422, REFUSED))) == {"email", "kyc.date_of_birth"}


def test_a_refunds_and_a_records_bad_fields_come_at_once_too(shared_api: Api) -> None:
    ident = shared_api.open().get_json()["id"]
    body = {
        "amount": "1.005",
        "currency": "EUR",
        "user_ip": "nowhere",
        "creditor_name": "",
        "creditor_account": "DE00370400440532013000",
    }
    found = named(problem(shared_api.post(f"/v1/payments/{ident}/refunds", json=body), 422, REFUSED))
    assert set(found) == {"amount", "user_ip", "creditor_name", "creditor_account"}
    shared_api_key, shared_api.key = shared_api.key, shared_api.key_of("treasury")
    try:
        record = {"asset": "USDC", "network": "polygon", "amount": "9.1234567", "deposits": [], "evidence": "17"}
        found = named(problem(shared_api.post("/v1/settlement_records", json=record), 422, REFUSED))
        odd = named(problem(shared_api.post("/v1/settlement_records", json={**record, "asset": "DAI"}), 422, REFUSED))
    finally:
        shared_api.key = shared_api_key
    assert (set(found), set(odd)) == ({"amount", "deposits"}, {"asset", "deposits"})


def test_a_partner_managed_flow_says_all_it_needs_at_once(shared_api: Api) -> None:
    found = named(problem(shared_api.open(flow="hosted_partner", payment_method="OpenBanking"), 422, "request-refused"))
    assert set(found) == {"customer.id", "customer.email", "payment_method"}
    half = shared_api.open(flow="hosted_partner", customer={"id": "nobody-stored"}, country=...)
    assert set(named(problem(half, 422, "request-refused"))) == {"customer.email", "country"}


@pytest.mark.parametrize("key", [None, "", "x" * 201, "ключ", "a\tb", "\xe9"])
def test_a_missing_or_odd_idempotency_key_is_a_400_that_names_it(shared_api: Api, key: str | None) -> None:
    headers = {} if key is None else {"Idempotency-Key": key.encode().decode("latin-1")}
    with nothing_stored(shared_api):
        answer = shared_api.client.post("/v1/payments", json=GOOD, headers=shared_api.headers(**headers))
    assert list(named(problem(answer, 400, "bad-header"))) == ["Idempotency-Key"]


@pytest.mark.parametrize("key", ["", "x" * 201, "ключ", "a\tb"])
def test_an_odd_idempotency_key_is_refused_where_none_is_needed_too(shared_api: Api, key: str) -> None:
    path = f"/v1/payments/{shared_api.open().get_json()['id']}/cancel"
    headers = {"Idempotency-Key": key.encode().decode("latin-1")}
    answer = shared_api.client.post(path, headers=shared_api.headers(**headers))
    assert list(named(problem(answer, 400, "bad-header"))) == ["Idempotency-Key"]
    assert shared_api.client.post(path, headers=shared_api.headers()).status_code == 200


@pytest.mark.parametrize("key", ["x", "x" * 200, "order PP-1042 / ~!"])
def test_a_key_of_printable_ascii_is_taken(shared_api: Api, key: str) -> None:
    assert shared_api.open(key).status_code == 201
    assert shared_api.open(key).status_code == 200


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("amount", raw(amount='"9.00","amount":"0.10"')),
        ("order", raw(order='"a","order":"a"')),
        ("customer.id", raw(customer='{"id":"a","id":"b"}')),
        ("metadata.k", raw(metadata='{"k":"a","k":"b"}')),
        ("amount", raw(amount="NaN")),
        ("amount", raw(amount="-Infinity")),
        ("amount", raw(amount="1e400")),
        ("amount", raw(amount="9" * 5000)),
        ("amount", raw(amount="9.00000000000000000001")),
        ("order", raw(order='"\\ud800"')),
        ("order", raw(order='"\\udc00\\ud800"')),
        ("metadata", raw(metadata='{"\\ud800":"x"}')),
        ("metadata.a", raw(metadata='{"a":"\\udfff"}')),
        ("metadata.a", raw(metadata='{"a":' + "[" * 200 + "]" * 200 + "}")),
    ],
)
def test_what_json_leaves_open_is_refused_by_name(shared_api: Api, field: str, body: str) -> None:
    with nothing_stored(shared_api):
        found = named(problem(shared_api.send(body), 422, "request-refused"))
    assert any(name == field or name.startswith(f"{field}.0") for name in found)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"9",
        b"{",
        b"{}{}",
        b"{'flow': 'hosted'}",
        b'{"flow": "hosted",}',
        b'{"order": "a\nb"}',
        b'{"order": "\xff"}',
        b'{"order": "\xed\xa0\x80"}',
        "{}".encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b"[" * 60_000,
        b'{"a":' * 10_000,
    ],
)
def test_a_body_that_is_not_one_json_object_is_400(shared_api: Api, body: bytes) -> None:
    problem(shared_api.send(body), 400, "unreadable")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json; charset=utf-16",
        "application/problem+json",
    ],
)
def test_another_content_type_is_415(shared_api: Api, content_type: str) -> None:
    problem(shared_api.send(json.dumps(GOOD), **{"Content-Type": content_type}), 415, "unsupported-media-type")


def test_json_with_its_charset_is_taken(shared_api: Api) -> None:
    assert shared_api.send(json.dumps(GOOD), **{"Content-Type": "application/json; charset=UTF-8"}).status_code == 201


def sized(size: int) -> bytes:
    """A good body of exactly so many bytes, by white space."""
    body = json.dumps(GOOD).encode()
    return body + b" " * (size - len(body))


def test_a_body_of_64_kilobytes_is_taken_and_one_byte_more_is_413(shared_api: Api) -> None:
    assert shared_api.send(sized(BODY_MAX)).status_code == 201
    with nothing_stored(shared_api):
        problem(shared_api.send(sized(BODY_MAX + 1)), 413, "too-large")


@pytest.mark.parametrize(("size", "status"), [(BODY_MAX, 201), (BODY_MAX + 1, 413), (10 * BODY_MAX, 413)])
def test_a_chunked_body_is_measured_while_it_is_read(shared_api: Api, size: int, status: int) -> None:
    stream = io.BytesIO(sized(size))
    answer = shared_api.client.post(
        "/v1/payments",
        input_stream=stream,
        content_type="application/json",
        headers=shared_api.headers(**{"Idempotency-Key": fresh_key(), "Transfer-Encoding": "chunked"}),
        environ_overrides={"wsgi.input_terminated": True},  # as gunicorn says
    )
    assert answer.status_code == status
    assert stream.tell() <= BODY_MAX + 1


def test_a_body_that_ends_before_its_length_is_400(shared_api: Api) -> None:
    with nothing_stored(shared_api):
        answer = shared_api.client.post(
            "/v1/payments",
            input_stream=io.BytesIO(json.dumps(GOOD).encode()),
            content_type="application/json",
            headers=shared_api.headers(**{"Idempotency-Key": fresh_key()}),
            environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": "1000"},
        )
    problem(answer, 400, "unreadable")


def test_a_connection_that_breaks_while_the_body_is_read_is_400(shared_api: Api) -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise RuntimeError("chunk size is not a number")  # as a server's own parser might

    answer = shared_api.client.post(
        "/v1/payments",
        input_stream=Broken(),
        content_type="application/json",
        headers=shared_api.headers(**{"Idempotency-Key": fresh_key(), "Transfer-Encoding": "chunked"}),
        environ_overrides={"wsgi.input_terminated": True},
    )
    problem(answer, 400, "unreadable")


@pytest.mark.parametrize("verb", ["sessions", "cancel"])
def test_a_request_without_fields_takes_none(shared_api: Api, verb: str) -> None:
    ident = shared_api.open().get_json()["id"]
    problem(shared_api.post(f"/v1/payments/{ident}/{verb}", json={"amount": "1.00"}), 400, "unreadable")
    problem(shared_api.post(f"/v1/payments/{ident}/{verb}", data=b"[]"), 400, "unreadable")
    problem(shared_api.post(f"/v1/payments/{ident}/{verb}", data=b" " * (BODY_MAX + 1)), 413, "too-large")
    assert shared_api.system.payment(ident).status == "open"


def test_a_name_that_may_be_a_persons_data_is_not_given_back(shared_api: Api) -> None:
    found = problem(shared_api.open(**{"jo@shop.example": "x", "customer": {"Jo Muster": 1}}), 422, "request-refused")
    assert set(named(found)) == {"body", "customer"}
    assert "Muster" not in json.dumps(found)
    assert "shop.example" not in json.dumps(found)


def test_no_refusal_gives_a_value_back(shared_api: Api) -> None:
    secret = "s3cret-v4lue"
    answer = shared_api.open(
        flow=secret, amount=secret, currency=secret, country=secret, payment_method=secret, success_url=secret,
        order=secret + "\x00", metadata={"a": secret * 50}, customer={"email": secret, "kyc": {"full_name": [secret]}},
    )  # fmt: skip
    assert answer.status_code == 422
    assert secret not in answer.text


def test_thousands_of_bad_fields_make_a_short_answer(shared_api: Api) -> None:
    body = json.dumps({f"f{number}": 1 for number in range(5000)})
    answer = shared_api.send(body)
    assert answer.status_code == 422
    assert len(answer.get_json()["errors"]) == 100


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from([*GOOD, "customer", "metadata", "success_url", "payment_method", "x"]), value=JSON)
def test_whatever_a_field_holds_the_answer_is_a_payment_or_a_problem(shared_api: Api, name: str, value: object) -> None:
    before = len(shared_api.system.mint.requests)
    answer = shared_api.send(json.dumps({**GOOD, name: value}))
    assert answer.status_code in (201, 422)
    if answer.status_code == 422:
        assert answer.get_json()["errors"]
        assert len(shared_api.system.mint.requests) == before


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=200))
def test_whatever_bytes_come_the_answer_is_a_problem(shared_api: Api, body: bytes) -> None:
    with nothing_stored(shared_api):
        assert shared_api.send(body).status_code in (400, 422)
