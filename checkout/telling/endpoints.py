"""Endpoints: where a store is notified, of what, under which secrets. The operator's verbs, each a stored act."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from checkout import signing
from checkout.config import Mode
from checkout.context import Context
from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.rules.notifications import events_problem
from checkout.rules.urls import web_url_problem
from checkout.rules.work import NOTIFICATION_WINDOW
from checkout.store import endpoints as rows
from checkout.store import notifications, stores
from checkout.store.engine import Unit
from checkout.store.moves import close_by_proof, record_act
from checkout.store.records import EndpointRow
from checkout.telling.notifications import retire
from checkout.telling.resending import send_range

#: A replaced secret signs beside the new one for this long, unless somebody says otherwise.
SECRET_OVERLAP: Final = timedelta(hours=24)
OVERLAP_MAX: Final = timedelta(days=7)
#: Endpoints of one store: each makes every announcement a little longer.
ENDPOINTS_MAX: Final = 16
REASON_MAX: Final = 200
_HEALTHY: Final[Mapping[str, Any]] = {
    "state": rows.ACTIVE, "failures": 0, "failing_since": None, "resting_until": None, "probe_token": None,
    "disabled_at": None, "disabled_because": None,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    id: str
    secret: str = field(repr=False)


class Endpoints:
    """Made, changed, rotated, disabled and enabled by a person."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def add(self, store_name: str, *, url: str, events: Sequence[str] | None, who: str) -> NewEndpoint:
        """One more endpoint for a store. NotFound, RequestRefused by field, NotPossible when the store has too many."""
        context = self._context
        refuse(context, url=url, events=events)
        now = context.clock()
        with context.database.write() as unit:
            store = stores.find_store(unit, store_name)
            if store is None:
                raise NotFound("store", store_name)
            if len(rows.endpoints_of(unit, store.id)) >= ENDPOINTS_MAX:
                raise NotPossible(f"a store has at most {ENDPOINTS_MAX} endpoints; remove one first")
            return _make(unit, context, store.id, url=url, events=events, who=who, now=now)

    def change(
        self, ident: str, *, url: str | None = None, events: Sequence[str] | None = None, every_event: bool = False, who: str
    ) -> None:  # fmt: skip
        """Another address, another filter. Its secrets stay; a new address is tried at once. NotFound, RequestRefused."""
        refuse(self._context, url=url, events=events)
        changes: dict[str, Any] = {} if url is None else {**_tried_at_once(), "url": url}
        if every_event or events is not None:
            changes["events"] = None if every_event or events is None else json.dumps(list(dict.fromkeys(events)))
        with self._context.database.write() as unit:
            found = self._locked(unit, ident)
            rows.update_endpoint(unit, found.id, **changes)
            self._act(unit, "endpoint changed", ident, who, {"changed": sorted({"url", "events"} & changes.keys())})

    def rotate(self, ident: str, *, overlap: timedelta = SECRET_OVERLAP, who: str) -> str:
        """A new secret; those in use sign beside it until ``overlap`` is over (0: not at all). RequestRefused, NotFound."""
        if not timedelta(0) <= overlap <= OVERLAP_MAX:
            raise RequestRefused({"overlap": f"use 0 to {OVERLAP_MAX // timedelta(hours=1)} hours"})
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            self._locked(unit, ident)
            secret = _renew(unit, context, ident, until=now + context.scaled(overlap), who=who, now=now)
            self._act(unit, "endpoint secret rotated", ident, who, {"overlap_s": int(overlap.total_seconds())})
        return secret

    def disable(self, ident: str, *, reason: str, who: str) -> int:
        """Send an endpoint nothing more; how many messages that gave up. They can be sent again. NotPossible when it is so."""
        reason = reason.strip()
        if not 1 <= len(reason) <= REASON_MAX:
            raise RequestRefused({"reason": f"say in 1 to {REASON_MAX} characters why"})
        context = self._context
        with context.database.write() as unit:
            found = self._locked(unit, ident)
            if found.state != rows.ACTIVE:
                raise NotPossible(f"endpoint {ident} is disabled already: {found.disabled_because}")
            return retire(unit, context, found, why=f"{who}: {reason}", now=context.clock(), who=who)

    def enable(self, ident: str, *, resend_missed: bool, who: str) -> dict[str, int]:
        """Send to an endpoint again: what is announced from now on, and what it missed when asked. NotPossible when active."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            found = self._locked(unit, ident)
            if found.state == rows.ACTIVE:
                raise NotPossible(f"endpoint {ident} is active")
            _enable(unit, context, ident, who=who, now=now)
            missed = notifications.count_missed(unit, ident)
            self._act(unit, "endpoint enabled", ident, who, {"missed": missed})
        since = (found.failing_since or found.disabled_at or now) - context.scaled(NOTIFICATION_WINDOW)
        resent = send_range(context, found, since, now, missed_only=True) if resend_missed else 0
        return {"missed": missed, "resent": resent}

    def remove(self, ident: str, *, who: str) -> None:
        """Forget an endpoint and its secrets; what it was sent stays in the log. NotFound."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            found = self._locked(unit, ident)
            if found.state == rows.ACTIVE:
                retire(unit, context, found, why=f"{who}: removed", now=now, who=who)
            rows.update_endpoint(unit, ident, removed_at=now)
            rows.forget_secrets(unit, ident)
            close_by_proof(unit, kind="endpoint_disabled", subject=ident, note="it was removed", at=now)
            self._act(unit, "endpoint removed", ident, who, {})

    def all(self, store_name: str | None) -> list[dict[str, Any]]:
        """Endpoints with their health and what waits for them: every store's, or one's. NotFound."""
        context = self._context
        now = context.clock()
        with context.database.read() as unit:
            store = None if store_name is None else stores.find_store(unit, store_name)
            if store_name is not None and store is None:
                raise NotFound("store", store_name)
            found = rows.endpoints_of(unit, None if store is None else store.id)
            backlogs = rows.waiting_at(unit, [one.id for one in found])
            signing_now = {one.id: len(rows.secrets_in_force(unit, one.id, now=now)) for one in found}
        return [_shown(one, backlogs[one.id], signing_now[one.id], now) for one in found]

    def _locked(self, unit: Unit, ident: str) -> EndpointRow:
        found = rows.endpoint_by_id(unit, ident, lock=True)
        if found is None or found.removed_at is not None:
            raise NotFound("notification endpoint", ident)
        return found

    def _act(self, unit: Unit, action: str, ident: str, who: str, detail: Mapping[str, Any]) -> None:
        context = self._context
        record_act(
            unit, context.new_id("act"), who=who, action=action, subject=ident, detail=detail, at=context.clock()
        )


def url_problem(context: Context, url: str) -> str | None:
    """What is wrong with an endpoint's address, or None."""
    return web_url_problem(url, sandbox=context.settings.mode is Mode.SANDBOX)


def refuse(context: Context, *, url: str | None, events: Sequence[str] | None) -> None:
    """RequestRefused with everything that is wrong."""
    found = {
        "url": None if url is None else url_problem(context, url),
        "event": None if events is None else events_problem(events),
    }
    problems = {name: problem for name, problem in found.items() if problem is not None}
    if problems:
        raise RequestRefused(problems)


def point_first(unit: Unit, context: Context, store_id: str, *, url: str, who: str, now: datetime) -> str:
    """Make a store's first endpoint, or give the one it has this address, and a new secret for it: the secret.

    A disabled one is enabled by it: whoever names the address wants news there.
    """
    there = rows.endpoints_of(unit, store_id)
    if not there:
        return _make(unit, context, store_id, url=url, events=None, who=who, now=now).secret
    first = there[0].id
    rows.endpoint_by_id(unit, first, lock=True)
    rows.update_endpoint(unit, first, url=url)
    _enable(unit, context, first, who=who, now=now)
    return _renew(unit, context, first, until=now + context.scaled(SECRET_OVERLAP), who=who, now=now)


def first_url(unit: Unit, store_id: str) -> str | None:
    """Where a store's first endpoint is, or None without any."""
    there = rows.endpoints_of(unit, store_id)
    return there[0].url if there else None


def _make(
    unit: Unit, context: Context, store_id: str, *, url: str, events: Sequence[str] | None, who: str, now: datetime
) -> NewEndpoint:
    ident = context.new_id("end")
    kept = None if events is None else json.dumps(list(dict.fromkeys(events)))
    rows.insert_endpoint(
        unit,
        {
            "id": ident, "store_id": store_id, "url": url, "events": kept, "state": rows.ACTIVE, "created_at": now,
            "created_by": who,
        },
    )  # fmt: skip
    secret = _renew(unit, context, ident, until=now, who=who, now=now)
    record_act(
        unit, context.new_id("act"), who=who, action="endpoint added", subject=ident, detail={"store": store_id}, at=now
    )
    return NewEndpoint(ident, secret)


def _renew(unit: Unit, context: Context, ident: str, *, until: datetime, who: str, now: datetime) -> str:
    secret = signing.generate_webhook_secret()
    rows.expire_secrets(unit, ident, at=until)
    rows.insert_secret(
        unit,
        {
            "id": context.new_id("sec"), "endpoint_id": ident, "secret_sealed": context.sealer.seal_text(secret),
            "created_at": now, "created_by": who,
        },
    )  # fmt: skip
    return secret


def _enable(unit: Unit, context: Context, ident: str, *, who: str, now: datetime) -> None:
    rows.update_endpoint(unit, ident, **_HEALTHY)
    notifications.wake_pending(unit, ident, now=now)
    close_by_proof(unit, kind="endpoint_disabled", subject=ident, note=f"enabled by {who}", at=now)


def _tried_at_once() -> dict[str, Any]:
    return {"failures": 0, "failing_since": None, "resting_until": None, "probe_token": None}


def _shown(row: EndpointRow, backlog: rows.Backlog, secrets: int, now: datetime) -> dict[str, Any]:
    since = backlog.since
    return {
        "id": row.id,
        "store": row.store_id,
        "url": row.url,
        "events": row.event_list,
        "state": row.state,
        "secrets": secrets,
        "failing_since": row.failing_since,
        "next_try_at": row.resting_until,
        "disabled_at": row.disabled_at,
        "disabled_because": row.disabled_because,
        "pending": backlog.pending,
        "oldest_pending_s": None if since is None else int((now - since).total_seconds()),
        "missed": backlog.missed,
        "created_at": row.created_at,
    }
