"""Deliveries as the two providers make them, and what became of each: for tests of the inbox."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import httpx

from checkout.app import build
from checkout.config import Settings
from checkout.inbox import STABLES, Receipt
from checkout.store import events, moves
from checkout.store.records import EventRow
from tests.system import System, environment

SVIX_KEY = b"k" * 32


def kept(system: System, state: str | None = None) -> list[EventRow]:
    """Stored deliveries, oldest first."""
    with system.database.read() as unit:
        return events.list_events(unit, state=state, limit=1000)[::-1]


def fates(system: System) -> list[tuple[str, str]]:
    """State and note of every delivery, oldest first."""
    return [(row.state, row.note) for row in kept(system)]


def last(system: System) -> EventRow:
    """The newest delivery."""
    return kept(system)[-1]


def open_cases(system: System) -> list[dict[str, Any]]:
    with system.database.read() as unit:
        return moves.list_cases(unit, include_closed=False, limit=1000)


def beside(system: System, **changes: str) -> System:
    """Another process of the same installation, with other settings."""
    url = system.database.url.render_as_string(hide_password=False)
    services = build(
        Settings.from_env(environment(url, **changes)),
        clock=system.clock,
        stable_mint_transport=httpx.MockTransport(system.mint),
        stables_transport=httpx.MockTransport(lambda request: httpx.Response(503)),
        storefront_transport=httpx.MockTransport(system.shop),
    )
    return System(services, system.clock, system.mint, system.shop, system.store)


def stables_event(kind: str, **fields: Any) -> bytes:
    """The observed envelope (snake_case)."""
    return json.dumps({"event_type": kind, **fields}).encode()


def svix_headers(system: System, body: bytes, ident: str, *, key: bytes = SVIX_KEY) -> dict[str, str]:
    """Headers as the dashboard-managed endpoint sends them, computed here from the observed rule."""
    stamp = str(int(system.clock.now.timestamp()))
    digest = hmac.digest(key, f"{ident}.{stamp}.".encode() + body, hashlib.sha256)
    signature = "v1," + base64.b64encode(digest).decode()
    return {"svix-id": ident, "svix-timestamp": stamp, "svix-signature": signature}


def hear_stables(system: System, body: bytes, ident: str, headers: Mapping[str, str] | None = None) -> EventRow:
    """Deliver a Stables event, let the worker apply it, and see what became of it."""
    given = svix_headers(system, body, ident) if headers is None else headers
    assert system.services.inbox.receive(STABLES, given, body) is Receipt.STORED
    system.clock.advance(milliseconds=1)
    system.work()
    return last(system)
