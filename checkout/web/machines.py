"""What machines ask: is the process alive, can it do its work, how do things stand."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Final

import structlog
from flask import Blueprint, Flask, Response, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from checkout import sealing
from checkout.store.metrics import answers
from checkout.store.schema import is_current
from checkout.web import problems
from checkout.web.metrics import DatabaseCollector
from checkout.web.requests import counters
from checkout.web.services import wired

bp = Blueprint("machines", __name__)
log = structlog.get_logger("checkout.web")

#: Headers by which a proxy says that the sender is somebody else.
_FORWARDED: Final = ("X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via")


@bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    """The process is alive; nothing else is asked."""
    return jsonify(alive=True)


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Whether this process can serve: database reached, schema current, templates there. 503 when it cannot."""
    checks = {"database": _database_answers(), "schema": _schema_is_current(), "templates": _templates_are_there()}
    ready = all(checks.values())
    return jsonify(ready=ready, **checks), 200 if ready else 503


@bp.get("/metrics")
def metrics() -> ResponseReturnValue:
    """For Prometheus: from this machine, or with CHECKOUT_METRICS_TOKEN as bearer token."""
    token = wired().settings.metrics_token
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    with_token = token is not None and scheme.lower() == "bearer" and sealing.same(given.strip(), token)
    if not with_token and not _is_local():
        return problems.problem(problems.FORBIDDEN)
    return Response(generate_latest(counters().registry), content_type=CONTENT_TYPE_LATEST)


def install(app: Flask) -> None:
    """Register the routes, and the database among what is counted."""
    app.register_blueprint(bp)
    context = app.extensions["checkout"].context
    app.extensions["checkout-counters"].registry.register(DatabaseCollector(context.database, context.clock))


def _database_answers() -> bool:
    try:
        with wired().context.database.read() as unit:
            return answers(unit)
    except Exception as error:
        log.warning("not ready", check="database", error_type=type(error).__qualname__)
        return False


def _schema_is_current() -> bool:
    try:
        return is_current(wired().context.database)
    except Exception as error:  # a database that is gone has no schema either
        log.warning("not ready", check="schema", error_type=type(error).__qualname__)
        return False


def _templates_are_there() -> bool:
    folder = current_app.template_folder
    return folder is not None and (Path(current_app.root_path) / folder / "base.html").is_file()


def _is_local() -> bool:
    """Whether everybody along the way is this machine: the peer of the connection, and every sender a proxy names.

    A proxy on this host must not make the whole internet local. Without trusted proxies a request that came through one is
    never local; with them, each address it names has to be.
    """
    if wired().settings.trusted_proxies == 0 and any(name in request.headers for name in _FORWARDED):
        return False
    original = request.environ.get("werkzeug.proxy_fix.orig", {}).get("REMOTE_ADDR")
    named = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    return all(_is_loopback(address) for address in (request.remote_addr, original or request.remote_addr, *named))


def _is_loopback(address: str | None) -> bool:
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
