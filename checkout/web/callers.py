"""Who calls the storefront's API, and under which Idempotency-Key: asked before anything of the body is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from flask import g, request

from checkout.errors import NotAuthenticated
from checkout.store.records import StoreRow
from checkout.stores import STOREFRONT
from checkout.web import problems
from checkout.web.operations import Operations
from checkout.web.schemas import KEY_MAX
from checkout.web.services import wired

_BEARER: Final = re.compile(r"Bearer +([!-~]{1,200}) *", re.IGNORECASE)
_KEY: Final = re.compile(rf"[ -~]{{1,{KEY_MAX}}}")


def idempotency_key_parameter(what: str, example: str) -> Mapping[str, Any]:
    """The header as the document describes it, for an operation that makes one ``what``."""
    return {
        "in": "header",
        "name": "Idempotency-Key",
        "required": True,
        "description": f"Chosen by the shop, one per {what}. The same request under the same key is the same {what}, "
        "however often it is sent.",
        "schema": {"type": "string", "minLength": 1, "maxLength": KEY_MAX, "pattern": "^[ -~]+$"},
        "example": example,
    }


def guard(bp: Operations, *, keyed: str | None = None, scope: str = STOREFRONT) -> None:
    """Let only a store's key of the scope in; ``keyed`` names the view that needs an Idempotency-Key."""

    def authenticate() -> None:
        matched = _BEARER.fullmatch(request.headers.get("Authorization", ""))
        if matched is None:
            raise NotAuthenticated("no bearer key")
        g.store = wired().stores.of_key(matched[1], scope=scope)

    def look_at_key() -> None:
        """Note a missing or wrong header, to be told together with the bad fields of the body."""
        if keyed is None or request.endpoint != f"{bp.name}.{keyed}":
            return
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            g.header_problems = {"Idempotency-Key": ["is required"]}
        elif _KEY.fullmatch(key) is None:
            g.header_problems = {"Idempotency-Key": [f"must have 1 to {KEY_MAX} printable ASCII characters"]}

    bp.before_request(authenticate)
    bp.before_request(look_at_key)


def idempotency_key() -> str:
    """The request's key; BadHeader when it is missing or wrong."""
    if g.get("header_problems"):
        raise problems.BadHeader(g.header_problems)
    return request.headers["Idempotency-Key"]


def caller() -> StoreRow:
    """The store whose key came with the request."""
    store: StoreRow = g.store
    return store


def base_url() -> str:
    return wired().settings.public_url


def instant(moment: datetime) -> str:
    """RFC 3339 in UTC: ``2026-11-21T12:30:00Z``."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
