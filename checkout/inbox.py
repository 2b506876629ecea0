"""Receiving deliveries: verify the exact bytes, store them, acknowledge. The stored row is the job; nothing else happens.

A 2xx means the raw bytes are committed. What cannot be verified is kept, bounded, for re-verification after a key change,
and answered 401; it is never applied as it is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from checkout import signing
from checkout.context import Context
from checkout.errors import BadSignature, NotFound, NotPossible
from checkout.rules.deposits import is_known
from checkout.store import events
from checkout.store.engine import Taken
from checkout.store.moves import record_act, reopen_case
from checkout.store.records import EventRow

BODY_MAX: Final = 64 * 1024
UNVERIFIED_COUNT: Final = 10_000
UNVERIFIED_BYTES: Final = 50 * 1024 * 1024
UNVERIFIED_AGE: Final = timedelta(days=14)
UNVERIFIED_PER_MINUTE: Final = 120
#: So many refusals in a minute are worth a person's look: a changed key, or somebody trying.
UNVERIFIED_BURST: Final = 20
#: For a delivery that a named person accepts although it was stale on receipt: only its signature counts.
ANY_AGE: Final = timedelta(days=36_500)

STABLE_MINT: Final = "stable_mint"
STABLES: Final = "stables"

#: Headers kept with a delivery: what re-verification and a later proof need, nothing else.
KEPT_HEADERS: Final = (
    "stablemint-timestamp", "stablemint-signature", "svix-id", "svix-timestamp", "svix-signature",
    "x-webhook-signature", "x-webhook-event-id", "content-type",
)  # fmt: skip

#: Longer than any identifier of theirs, and what its columns hold.
IDENT_CHARS_MAX: Final = 200

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


class EventState(StrEnum):
    """What became of a delivery."""

    RECEIVED = "received"  #: stored, to be applied
    APPLIED = "applied"
    IGNORED = "ignored"  #: known, changes nothing
    UNMATCHED = "unmatched"  #: names no session of ours yet
    QUARANTINED = "quarantined"  #: unknown type, impossible amount, contradiction: a person looks
    UNVERIFIED = "unverified"  #: signature not accepted
    FAILED = "failed"  #: our bug: retried


class Receipt(StrEnum):
    """What the sender is told."""

    STORED = "stored"
    KNOWN = "known"
    REFUSED = "refused"


class Inbox:
    """Both providers' deliveries."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def receive(self, provider: str, headers: Mapping[str, str], body: bytes) -> Receipt:
        """Store one delivery. Raises only StoreUnavailable, so that the sender tries again."""
        now = self._context.clock()
        kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
        try:
            self.verify(provider, kept, body, now=now)
        except BadSignature:
            self._keep_unverified(provider, kept, body, now=now)
            return Receipt.REFUSED
        return self._keep(provider, kept, body, now=now)

    def verify(
        self, provider: str, headers: Mapping[str, str], body: bytes, *, now: datetime, any_age: bool = False
    ) -> None:
        """Return only if the provider signed these bytes, at a time near ``now``; else BadSignature."""
        settings = self._context.settings
        if provider == STABLE_MINT:
            signing.verify_stable_mint(
                settings.stable_mint.webhook_keys,
                body,
                timestamp=headers.get("stablemint-timestamp"),
                signature=headers.get("stablemint-signature"),
                now=now,
                tolerance=ANY_AGE if any_age else settings.stable_mint.webhook_tolerance,
            )
        else:
            if any_age:
                now = _svix_time(headers) or now
            signing.verify_stables(
                settings.stables.webhook_scheme, settings.stables.webhook_secrets, body, headers, now=now
            )

    def _keep(self, provider: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Receipt:
        values = self._values(provider, headers, body, now=now)
        try:
            with self._context.database.write() as unit:
                events.insert_event(unit, values)
        except Taken:
            return self._known(provider, values, now=now)
        return Receipt.STORED

    def _known(self, provider: str, values: dict[str, Any], *, now: datetime) -> Receipt:
        """A repeat changes nothing. The same event id over other content is kept beside the first, for a person."""
        with self._context.database.read() as unit:
            first = events.event_by_dedup(unit, provider, values["dedup_key"])
        if first is None or first.body_hash == values["body_hash"]:
            return Receipt.KNOWN
        values |= {**_beside(first, values), "due_at": None}
        try:
            with self._context.database.write() as unit:
                events.insert_event(unit, values)
                reopen_case(
                    unit, self._context.new_id("case"), kind="event_quarantined", subject=values["id"],
                    detail=values["note"], at=now,
                )  # fmt: skip
        except Taken:  # this other content was kept before
            return Receipt.KNOWN
        return Receipt.STORED

    def _values(self, provider: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> dict[str, Any]:
        """The row of a verified delivery. Bytes that are not the JSON we expect are stored all the same, and parked."""
        reading = read_body(provider, body)
        digest = hashlib.sha256(body).hexdigest()
        ident = headers.get("svix-id") or headers.get("x-webhook-event-id") if provider == STABLES else None
        ident = ident or reading.event_id
        dedup = (
            f"id:{ident[:300]}" if ident else f"{reading.event_type[:100]}:{(reading.reference or '')[:150]}:{digest}"
        )
        return {
            "id": self._context.new_id("evt"),
            "provider": provider,
            "dedup_key": dedup,
            "body_hash": digest,
            "state": (EventState.QUARANTINED if reading.problem else EventState.RECEIVED).value,
            "event_type": reading.event_type[:120],
            "version": reading.version,
            "reference": None if reading.reference is None else reading.reference[:200],
            "session_hint": reading.session_hint,
            "headers": json.dumps(dict(headers)),
            "body_sealed": self._context.sealer.seal(body),
            "size": len(body),
            "note": reading.problem,
            "received_at": now,
            "due_at": now,  # parked deliveries are due once too, so that the worker opens their case
        }

    def _keep_unverified(self, provider: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> None:
        context = self._context
        try:
            with context.database.write() as unit:
                recent = events.count_since(unit, EventState.UNVERIFIED, now - timedelta(minutes=1))
                if recent >= UNVERIFIED_BURST:
                    reopen_case(
                        unit, context.new_id("case"), kind="unverified_burst", subject=provider, at=now,
                        detail="many deliveries with a signature we do not accept: has the provider's key changed?",
                    )  # fmt: skip
                if recent >= UNVERIFIED_PER_MINUTE:
                    return
                ident = context.new_id("evt")
                events.insert_event(
                    unit,
                    {
                        "id": ident,
                        "provider": provider,
                        "dedup_key": f"unverified:{ident}",
                        "body_hash": hashlib.sha256(body).hexdigest(),
                        "state": EventState.UNVERIFIED.value,
                        "headers": json.dumps({name: value[:2000] for name, value in headers.items()}),
                        "body_sealed": context.sealer.seal(body),
                        "size": len(body),
                        "note": "signature not accepted",
                        "received_at": now,
                    },
                )
                if recent % 50 == 0:
                    events.trim_unverified(
                        unit, count=UNVERIFIED_COUNT, size=UNVERIFIED_BYTES, before=now - UNVERIFIED_AGE
                    )
        except Taken:  # pragma: no cover - the key is this row's own random id
            return

    def reverify(self, ident: str, *, who: str, accept_stale: bool) -> Receipt:
        """Try a kept delivery again under the keys of today, against the time it was received.

        Accepted bytes go the way of any delivery. One that was stale on receipt needs ``accept_stale`` and a name.
        """
        context = self._context
        with context.database.read() as unit:
            row = events.event_by_id(unit, ident)
        if row is None:
            raise NotFound("event", ident)
        if row.state != EventState.UNVERIFIED:
            raise NotPossible(f"event {ident} is {row.state}; only an unverified one can be re-verified")
        body = context.sealer.open(row.body_sealed)
        headers: dict[str, str] = json.loads(row.headers)
        try:
            self.verify(row.provider, headers, body, now=row.received_at, any_age=accept_stale)
        except BadSignature:
            return Receipt.REFUSED
        return self._promote(row, headers, body, who=who, accept_stale=accept_stale)

    def _promote(
        self, row: EventRow, headers: Mapping[str, str], body: bytes, *, who: str, accept_stale: bool
    ) -> Receipt:
        context = self._context
        now = context.clock()
        values = self._values(row.provider, headers, body, now=now)
        known = False
        with context.database.write() as unit:
            first = events.event_by_dedup(unit, row.provider, values["dedup_key"])
            if first is not None and first.body_hash != values["body_hash"]:
                values |= _beside(first, values)
                first = events.event_by_dedup(unit, row.provider, values["dedup_key"])
            if first is not None:
                known = True
                changes: dict[str, Any] = {
                    "state": EventState.IGNORED.value,
                    "note": "re-verified; already known",
                }
            else:
                kept = ("dedup_key", "state", "event_type", "version", "reference", "session_hint", "note")
                changes = {name: values[name] for name in kept} | {"due_at": now}
            events.update_event(unit, row.id, **changes)
            record_act(
                unit, context.new_id("act"), who=who, action="event reverified", subject=row.id,
                detail={"accept_stale": accept_stale}, at=now,
            )  # fmt: skip
        return Receipt.KNOWN if known else Receipt.STORED


def _beside(first: EventRow, values: Mapping[str, Any]) -> dict[str, Any]:
    """How a delivery under the event id of ``first`` but with other content is kept: beside it, for a person."""
    return {
        "dedup_key": f"{values['dedup_key'][:300]}#{values['body_hash'][:32]}",
        "state": EventState.QUARANTINED.value,
        "note": f"event id of {first.id} over other content",
    }


class Reading:
    """What can be told from a body without trusting it: type, version, identifiers, or why it cannot be read."""

    __slots__ = ("content", "event_id", "event_type", "problem", "reference", "session_hint", "version")

    def __init__(self, content: dict[str, Any], problem: str = "") -> None:
        self.content = content
        self.event_type = ""
        self.version = ""
        self.event_id: str | None = None
        self.reference: str | None = None
        self.session_hint: str | None = None
        self.problem = problem


def read_body(provider: str, body: bytes) -> Reading:
    """Parse a delivery. Numbers become Decimal; anything that is not a JSON object is a reading with a problem."""
    try:
        content = json.loads(body.decode("utf-8"), parse_float=Decimal, parse_int=_whole, parse_constant=_refuse)
        storable = _storable(content)
    except (ValueError, ArithmeticError, RecursionError):  # Decimal refuses an exponent beyond its own range
        return Reading({}, "the body is not JSON")
    if not isinstance(content, dict):
        return Reading({}, "the body is not a JSON object")
    if not storable:
        return Reading({}, "the body has text that no database can hold")
    return _stable_mint(content) if provider == STABLE_MINT else _stables(content)


def _storable(value: object) -> bool:
    """Whether every text can be a column or a search term: no NUL, no half of a surrogate pair."""
    if isinstance(value, str):
        return _UNSTORABLE.search(value) is None
    if isinstance(value, dict):
        return all(_storable(name) and _storable(inner) for name, inner in value.items())
    return all(map(_storable, value)) if isinstance(value, list) else True


def _whole(text: str) -> Decimal:
    return Decimal(text)


def _refuse(text: str) -> None:
    raise ValueError(f"{text} is not a number")


def _stable_mint(content: dict[str, Any]) -> Reading:
    """V2 is an envelope with ``data``, V1 is flat with ``notificationType`` (providers.md A7): told by the shape alone."""
    data = content.get("data")
    if isinstance(data, dict):
        reading = Reading(data)
        reading.version = "v2"
        kind = data.get("eventType")
        event_id = content.get("eventId")
        reading.event_id = event_id if isinstance(event_id, str) and event_id else None
    else:
        reading = Reading(content)
        reading.version = "v1"
        kind = content.get("notificationType")
    if not isinstance(kind, str) or not kind:
        reading.problem = "the body names no event type"
        return reading
    reading.event_type = kind
    reference, session = reading.content.get("reference"), reading.content.get("sessionId")
    reading.reference = reference if isinstance(reference, str) and reference else None
    reading.session_hint = session[:IDENT_CHARS_MAX] if isinstance(session, str) and session else None
    if not is_known(kind, reading.version):
        reading.problem = f"unknown event type in {reading.version}"
    elif any(len(str(reading.content.get(name, ""))) > IDENT_CHARS_MAX for name in ("reference", "sessionId")):
        reading.problem = "an identifier is longer than any of theirs"
    return reading


def _stables(content: dict[str, Any]) -> Reading:
    """The observed snake_case envelope, and the quickstart's ``eventId``/``type`` (providers.md B2: a contradiction)."""
    reading = Reading(content)
    kind = content.get("event_type", content.get("type"))
    if not isinstance(kind, str) or not kind:
        reading.problem = "the body names no event type"
        return reading
    reading.event_type = kind
    event_id = content.get("event_id", content.get("eventId"))
    reading.event_id = event_id if isinstance(event_id, str) and event_id else None
    subject = content.get("event_object_id")
    detail = content.get("event_object")
    if isinstance(detail, dict) and isinstance(detail.get("transfer_id"), str):
        subject = detail["transfer_id"]
    reading.reference = subject if isinstance(subject, str) and subject else None
    return reading


def _svix_time(headers: Mapping[str, str]) -> datetime | None:
    """The time a delivery's own header states, if it states one."""
    stamp = headers.get("svix-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 10):
        return None
    return datetime.fromtimestamp(int(stamp), UTC)
