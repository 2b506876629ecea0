"""Every failure has one form, says nothing it should not, and can be found in the log by its request id."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import abort
from structlog.testing import capture_logs

from checkout import errors
from checkout.store.engine import Taken
from checkout.web import problems
from tests.edges.api_fixtures import GOOD, PROBLEM, Api, make_api, problem, shared_api

__all__ = ["shared_api"]

#: Written out once by hand: a table compared only with itself proves nothing.
STATUSES: dict[Exception, tuple[int, str]] = {
    errors.RequestRefused({"amount": "is wrong"}): (422, "request-refused"),
    errors.AmountRefused("EUR has at most 2 digits"): (422, "request-refused"),
    errors.NotAuthenticated("no key"): (401, "not-authenticated"),
    errors.KeyOutOfPlace("a key of the other mode"): (401, "not-authenticated"),
    errors.NotPermitted("secret words"): (403, "wrong-scope"),
    errors.ScopeMissing("refunds"): (403, "wrong-scope"),
    errors.TooManyRequests(9): (429, "too-many-requests"),
    errors.NotFound("payment", "pay_1"): (404, "not-found"),
    errors.NotPossible("it is paid"): (409, "not-possible"),
    errors.ForbiddenMove("payment", "settled", "open"): (409, "not-possible"),
    errors.IdempotencyReused("used before"): (409, "idempotency-key-reused"),
    errors.LostRace("lost"): (503, "lost-race"),
    errors.StoreUnavailable("gone"): (503, "database-unavailable"),
    errors.ProviderCallsBusy(7): (503, "busy"),
    errors.SettingsRefused([("CHECKOUT_MODE", "secret words")]): (500, "internal-error"),
    errors.KeyRefused("secret words"): (500, "internal-error"),
    errors.BadSignature("secret words"): (500, "internal-error"),
    Taken("payment.idempotency_key secret words"): (500, "internal-error"),
    errors.CheckoutError("secret words"): (500, "internal-error"),
    ValueError("secret words"): (500, "internal-error"),
    ZeroDivisionError("secret words"): (500, "internal-error"),
}


class Failing:
    """A use case in which something goes wrong."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, _name: str) -> Any:
        def fail(*_: object, **__: object) -> None:
            raise self.error

        return fail


class Wired:
    """The services, with some replaced."""

    def __init__(self, services: Any, **others: Any) -> None:
        self._services = services
        self.__dict__.update(others)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._services, name)


@contextmanager
def failing(api: Api, error: Exception) -> Iterator[None]:
    """Inside, reading a payment, receiving a webhook and showing a page raise the error."""
    broken, services = Failing(error), api.system.services
    api.app.extensions["checkout"] = Wired(services, payments=broken, inbox=broken, shopper=broken)
    yield
    api.app.extensions["checkout"] = services


@pytest.mark.parametrize("error", STATUSES, ids=lambda error: type(error).__name__)
def test_each_error_has_its_status_and_nothing_secret_is_answered_or_logged(shared_api: Api, error: Exception) -> None:
    status, kind = STATUSES[error]
    with failing(shared_api, error), capture_logs() as lines:
        answer = shared_api.get("/v1/payments/pay_1", **{"X-Request-Id": "req-77"})
    found = problem(answer, status, kind)
    assert "secret words" not in answer.text
    assert "secret words" not in json.dumps(lines, default=str)
    assert ("Retry-After" in answer.headers) == (status in (429, 503))
    failures = [line for line in lines if line["event"] == "request failed"]
    assert len(failures) == (1 if status == 500 else 0)
    if status == 500:
        assert failures[0]["request_id"] == found["request_id"] == "req-77"
        assert failures[0]["error_type"].endswith(type(error).__name__)
        assert failures[0]["route"] == "/v1/payments/<payment_id>"
        assert all(re.fullmatch(r"\S+:\d+ \S+", frame) for frame in failures[0]["where"])


def test_every_error_class_that_a_caller_may_catch_is_in_the_grid() -> None:
    def below(cls: type[Exception]) -> Iterator[type[Exception]]:
        yield cls
        for sub in cls.__subclasses__():
            yield from below(sub)

    ours = {cls for cls in below(errors.CheckoutError) if cls.__module__ == "checkout.errors"}
    assert ours <= {type(error) for error in STATUSES}


def test_the_provider_gate_says_how_long_to_wait(shared_api: Api) -> None:
    with failing(shared_api, errors.ProviderCallsBusy(7)):
        assert shared_api.get("/v1/payments/pay_1").headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/nothing", 404, "not-found"),
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/", 404, "not-found"),
        ("GET", "/v1/payments/", 404, "not-found"),
        ("GET", "/v1//payments", 404, "not-found"),
        ("DELETE", "/v1/payments", 405, "method-not-allowed"),
        ("PUT", "/v1/payments/pay_1", 405, "method-not-allowed"),
        ("GET", "/webhooks/stables", 405, "method-not-allowed"),
        ("POST", "/webhooks/other", 404, "not-found"),
        ("POST", "/healthz", 405, "method-not-allowed"),
        ("BREW", "/v1/payments", 405, "method-not-allowed"),
    ],
)
def test_flasks_own_refusals_are_problems_too(shared_api: Api, method: str, path: str, status: int, kind: str) -> None:
    answer = shared_api.client.open(path, method=method, headers=shared_api.headers())
    problem(answer, status, kind)
    assert ("Allow" in answer.headers) == (status == 405)


def test_no_answer_is_made_from_the_host_header(shared_api: Api) -> None:
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    paths = ["/v1/payments", "/v1//payments", "/v1/payments/", "/docs", "/openapi.json", "/pay/x", "/return/x/success"]
    opened = shared_api.open().get_json()
    paths.append(f"/v1/payments/{opened['id']}")
    for path in paths:
        answer = shared_api.get(path, **evil)
        assert answer.status_code not in (301, 302, 303, 307, 308)
        assert "evil.example" not in answer.text + str(answer.headers)


@pytest.mark.parametrize("given", ["req-1", "A.b_c:9", "x" * 64])
def test_a_safe_request_id_is_kept(shared_api: Api, given: str) -> None:
    assert shared_api.client.get("/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"] == given


def test_each_request_of_the_api_leaves_one_line_under_its_id_and_nothing_of_what_it_said(shared_api: Api) -> None:
    with capture_logs() as lines:
        opened = shared_api.send(json.dumps({**GOOD, "order": "PP-77"}), **{"X-Request-Id": "req-1"})
        ident = opened.get_json()["id"]
        shared_api.get(f"/v1/payments/{ident}?order=PP-77", **{"X-Request-Id": "req-2"})
        shared_api.client.get("/v1/payments", headers={"X-Request-Id": "req-3"})
        shared_api.client.get("/healthz", headers={"X-Request-Id": "req-4"})
    answered = [line for line in lines if line["event"] == "request answered"]
    store = shared_api.system.store.id
    assert [(one["request_id"], one["method"], one["route"], one["status"], one["store"]) for one in answered] == [
        ("req-1", "POST", "/v1/payments", 201, store),
        ("req-2", "GET", "/v1/payments/<payment_id>", 422, store),
        ("req-3", "GET", "/v1/payments", 401, None),
    ]
    assert all(one["duration_ms"] >= 0 for one in answered)
    assert not [word for word in ("PP-77", ident, shared_api.key) if word in json.dumps(lines, default=str)]


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "<script>", "a\tb", "\xe9"])
def test_any_other_request_id_is_replaced(shared_api: Api, given: str) -> None:
    made = shared_api.client.get("/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)


def test_two_requests_have_two_ids(shared_api: Api) -> None:
    first, second = (shared_api.client.get("/healthz").headers["X-Request-Id"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    "path", ["/v1/payments", "/healthz", "/openapi.json", "/nothing", "/webhooks/stables", "/docs"]
)
def test_every_answer_has_safe_headers(shared_api: Api, path: str) -> None:
    headers = shared_api.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("secret words"), 500),
        (errors.StoreUnavailable("gone"), 503),
        (errors.KeyRefused("secret words"), 500),
        (errors.LostRace("lost"), 503),
    ],
)
def test_a_shopper_sees_a_page_and_never_a_problem(shared_api: Api, error: Exception, status: int) -> None:
    with failing(shared_api, error):
        answer = shared_api.client.get("/pay/abc")
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert "secret words" not in answer.text
    assert "Your payment is not affected" in answer.text
    assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/pay/a/b", 404), ("PUT", "/pay/a", 405)])
def test_an_address_below_the_shoppers_pages_that_leads_nowhere_is_a_page(
    shared_api: Api, method: str, path: str, status: int
) -> None:
    answer = shared_api.client.open(path, method=method)
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


def test_a_database_that_is_gone_is_503_with_a_time_to_ask_again(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    api = make_api(folder)
    api.system.database.close()  # the pool's open connections would outlive the file's name
    folder.rename(tmp_path / "away")
    for answer in (api.get("/v1/payments"), api.open(), api.deliver(b"{}"), api.deliver(b"{}", key="other")):
        problem(answer, 503, "database-unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
    (tmp_path / "away").rename(folder)
    assert api.open().status_code == 201
    api.system.close()


def test_every_kind_of_problem_has_its_own_name_and_says_what_to_do() -> None:
    assert len({kind.name for kind in problems.KINDS}) == len(problems.KINDS)
    for kind in problems.KINDS:
        assert kind.meaning.endswith(".")
        assert (kind.retry_after_s is not None) == (kind.status in (429, 503))
    assert {kind for kind in vars(problems).values() if isinstance(kind, problems.Kind)} == set(problems.KINDS)


def test_a_status_nobody_planned_is_a_problem_without_a_type(tmp_path: Path) -> None:
    api = make_api(tmp_path)
    api.app.add_url_rule("/teapot", view_func=lambda: abort(418), endpoint="teapot")
    answer = api.client.get("/teapot")
    api.system.close()
    assert (answer.status_code, answer.content_type) == (418, PROBLEM)
    assert answer.get_json(force=True)["type"] == "about:blank"
