"""Deliveries as the two providers make them, and what became of each: for tests of the inbox."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from checkout.app import build
from checkout.config import Settings
from checkout.inbox import STABLES, Receipt
from checkout.store import events, ledger, moves, payments
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


def money_of(system: System, payment_id: str) -> dict[str, int]:
    """Where the postings of a payment's deposits have put money, by account, counted here."""
    totals: dict[str, int] = {}
    with system.database.read() as unit:
        for deposit in payments.deposits_of(unit, payment_id):
            for row in ledger.postings_of(unit, deposit.id):
                for side, sign in (("debit", 1), ("credit", -1)):
                    book = row[side].split("/", 1)[1]
                    totals[book] = totals.get(book, 0) + sign * row["amount_minor"]
    return {book: minor for book, minor in totals.items() if minor}


def cases_about(system: System, subject: str) -> list[str]:
    """Kinds of the open cases about something."""
    with system.database.read() as unit:
        return [one["kind"] for one in moves.cases_on(unit, subject) if one["closed_at"] is None]


def open_cases(system: System) -> list[dict[str, Any]]:
    with system.database.read() as unit:
        return moves.list_cases(unit, include_closed=False, limit=1000)


def beside(system: System, *, mint: Callable[[httpx.Request], httpx.Response] | None = None, **changes: str) -> System:
    """Another process of the same installation, with other settings, or with Stable Mint answering it otherwise."""
    url = system.database.url.render_as_string(hide_password=False)
    services = build(
        Settings.from_env(environment(url, **changes)),
        clock=system.clock,
        stable_mint_transport=httpx.MockTransport(mint or system.mint),
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
