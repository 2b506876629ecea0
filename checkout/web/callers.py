"""Who calls the storefront's API: asked before anything of the body is read."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from flask import g, request

from checkout.api_keys import KEY_PREFIX
from checkout.errors import KeyOutOfPlace, NotAuthenticated
from checkout.store.records import StoreRow
from checkout.web.operations import Operations
from checkout.web.services import wired

_BEARER: Final = re.compile(r"Bearer +([!-~]{1,200}) *", re.IGNORECASE)


def guard(bp: Operations) -> None:
    """Let only a store's key in that has the scope of the operation."""

    def authenticate() -> None:
        matched = _BEARER.fullmatch(request.headers.get("Authorization", ""))
        if matched is None:
            raise _without_key()
        view = str(request.endpoint).removeprefix(f"{bp.name}.")
        g.store = wired().api_keys.admit(matched[1], scope=bp.scopes[view])

    bp.before_request(authenticate)


def _without_key() -> NotAuthenticated:
    """Why nobody is let in without the header; a key in the address is a key that logs have by now."""
    if any(value.startswith(tuple(KEY_PREFIX.values())) for value in request.args.values()):
        return KeyOutOfPlace(
            "A key came in the address, where logs keep it: revoke it (`checkout stores revoke`), and send its successor as "
            "`Authorization: Bearer …`."
        )
    return NotAuthenticated("no bearer key")


def caller() -> StoreRow:
    """The store whose key came with the request."""
    store: StoreRow = g.store
    return store


def base_url() -> str:
    return wired().settings.public_url


def instant(moment: datetime) -> str:
    """RFC 3339 in UTC: ``2026-11-21T12:30:00Z``."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
