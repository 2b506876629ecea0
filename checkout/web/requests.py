"""What happens around every request: an id that follows it into the log, safe headers on the answer, a count.

Each request of the API leaves one line in the log, so that whoever is given its id finds it: which operation, of which store,
how it ended. Shoppers' pages and webhooks leave none; what matters of them is stored.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from dataclasses import dataclass
from typing import Final, cast

import structlog
from flask import Flask, Request, Response, current_app, g, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from prometheus_client import CollectorRegistry, Counter, Histogram

REQUEST_ID: Final = "X-Request-Id"
#: What a storefront asks.
API: Final = "/v1/"
#: Where people sign in; everything else works without a cookie.
PEOPLE: Final = "/dashboard"
_SAFE_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


log = structlog.get_logger("checkout.web")


@dataclass(frozen=True, slots=True)
class Counters:
    """Counts of this process since it started. Its number is a label, so that several workers can be summed."""

    registry: CollectorRegistry
    requests: Counter
    seconds: Histogram
    deliveries: Counter
    process: str


class PeopleSessions(SecureCookieSessionInterface):
    """Cookies are for people. Machines and shoppers have none, and nobody pays for looking for one."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        return super().open_session(app, request) if request.path.startswith(PEOPLE) else None


def install(app: Flask) -> None:
    """Give the app its counters and hooks. One registry per app: two apps of one process never share a count."""
    registry = CollectorRegistry()
    process = str(os.getpid())
    app.extensions["checkout-counters"] = Counters(
        registry=registry,
        requests=Counter(
            "checkout_http_requests",
            "Answered requests, by process.",
            ["route", "method", "status", "process"],
            registry=registry,
        ),
        seconds=Histogram(
            "checkout_http_request_seconds",
            "Time to answer.",
            ["route", "process"],
            buckets=_BUCKETS,
            registry=registry,
        ),
        deliveries=Counter(
            "checkout_webhook_deliveries",
            "Deliveries, by what the sender was told.",
            ["provider", "receipt", "process"],
            registry=registry,
        ),
        process=process,
    )
    app.session_interface = PeopleSessions()
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(_forget)


def counters() -> Counters:
    return cast("Counters", current_app.extensions["checkout-counters"])


def count_delivery(provider: str, told: str) -> None:
    """Count a webhook by what its sender was told."""
    found = counters()
    found.deliveries.labels(provider, told, found.process).inc()


def _begin() -> None:
    given = request.headers.get(REQUEST_ID, "")
    g.request_id = given if _SAFE_ID.fullmatch(given) else secrets.token_hex(16)
    g.began = time.perf_counter()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _finish(response: Response) -> Response:
    headers = response.headers
    if "request_id" in g:
        headers[REQUEST_ID] = g.request_id
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    headers.setdefault("Referrer-Policy", "no-referrer")
    _count(response)
    return response


def _count(response: Response) -> None:
    """By route, never by path: a path can hold a token, and anybody can invent paths."""
    found = counters()
    route = request.url_rule.rule if request.url_rule is not None else "none"
    method = request.method if request.method in _METHODS else "other"
    found.requests.labels(route, method, str(response.status_code), found.process).inc()
    took_s = time.perf_counter() - g.began if "began" in g else 0.0
    if "began" in g:
        found.seconds.labels(route, found.process).observe(took_s)
    if request.path.startswith(API):
        log.info(
            "request answered",
            request_id=g.get("request_id"),
            route=route,
            method=method,
            status=response.status_code,
            store=g.store.id if "store" in g else None,
            duration_ms=round(took_s * 1000, 1),
        )


def _forget(_error: BaseException | None) -> None:
    structlog.contextvars.unbind_contextvars("request_id")
