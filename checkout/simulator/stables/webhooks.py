"""Stables' webhooks: the envelope, both signatures, and every way a delivery can go wrong.

Two schemes, and which one an account has is UNKNOWN: ``svix`` (OBSERVED: ``svix-id``, ``svix-timestamp``,
``svix-signature`` over ``{id}.{timestamp}.{body}`` with the decoded ``whsec_`` key) and ``hmac``
(CONFIRMED, docs: ``X-Webhook-Signature`` over the raw body; its encoding is UNKNOWN and a switch). The
signing code is this file's own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import itertools
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args

from checkout.errors import SettingsRefused
from checkout.simulator.deliveries import Deliveries, Delivery, DeliveryState
from checkout.simulator.stables import codes
from checkout.simulator.stables.customers import moment
from checkout.simulator.stables.switches import Switches
from checkout.simulator.surroundings import Surroundings

OWNER: Final = "stables-webhooks"
#: Nominal waits between attempts. The figures are Svix's public ones; those of an account are UNKNOWN, and
#: the docs only say "exponential" for the other system.
SVIX_RETRIES_S: Final = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 36_000.0)
HMAC_RETRIES_S: Final = (10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
#: How long a delivery held back for reordering waits for a later one to overtake it (nominal).
OVERTAKE_S: Final = 60.0
#: How old the timestamp of an ``old`` signature is.
OLD: Final = timedelta(hours=6)

#: How an event sent by hand is signed.
Signature = Literal["good", "wrong", "missing", "old", "other_body", "other_scheme"]
SIGNATURES: Final[tuple[Signature, ...]] = get_args(Signature)


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it leaves; retries and duplicates carry the same ids and the same bytes."""

    ident: str
    kind: str
    subject: str
    body: bytes = field(repr=False)


def svix_key(secret: str) -> bytes:
    """The key bytes of ``whsec_<Base64>``. :class:`SettingsRefused` for another form, never showing it."""
    try:
        encoded = secret.removeprefix("whsec_")
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith("whsec_") or not key:
        raise SettingsRefused([("stables_webhook_secret", "the svix scheme needs whsec_ followed by Base64")])
    return key


def svix_headers(key: bytes, event_id: str, body: bytes, at: datetime) -> dict[str, str]:
    """The three headers of one Svix attempt at ``at``."""
    message_id, timestamp = f"msg_{event_id.replace('-', '')}", str(int(at.timestamp()))
    signed = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "svix-id": message_id,
        "svix-timestamp": timestamp,
        "svix-signature": "v1," + base64.b64encode(signed).decode(),
    }


def hmac_headers(secret: str, event_id: str, body: bytes, switches: Switches) -> dict[str, str]:
    """The two headers of an API-managed subscription's delivery; without a secret there is no signature."""
    headers = {"X-Webhook-Event-Id": event_id}
    if secret:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
        text = digest.hex() if switches.hmac_encoding == "hex" else base64.b64encode(digest).decode()
        headers["X-Webhook-Signature"] = switches.hmac_prefix + text
    return headers


class Webhooks:
    """Makes events and sends them to the service and, by switch, to API-managed subscriptions."""

    def __init__(self, around: Surroundings, switches: Callable[[], Switches], new_id: Callable[[], str]) -> None:
        options = around.options
        self._clock, self._scheduler = around.clock, around.scheduler
        self._switches, self._new_id = switches, new_id
        self._scheme = options.stables_webhook_scheme
        if self._scheme not in ("svix", "hmac"):
            raise SettingsRefused([("stables_webhook_scheme", "svix or hmac")])
        # The service may hold several secrets for rotation, newest first; a provider signs with one.
        self._secret = options.stables_webhook_secret.split(",")[0].strip()
        if self._scheme == "svix":
            svix_key(self._secret)
        self.url = options.service_url + "/webhooks/stables"
        retries = SVIX_RETRIES_S if self._scheme == "svix" else HMAC_RETRIES_S
        self.deliveries = Deliveries(around.clock, around.scheduler, retries, OWNER)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._overtaken: dict[str, Event] = {}  # subject → the delivery a later one is to overtake
        #: (url, event types, secret) of every API-managed subscription; set by the state that keeps them.
        self.subscriptions: Callable[[], list[tuple[str, list[str], str]]] = list

    def event(
        self, kind: str, subject: str, status: str, thing: Mapping[str, Any], *, event_id: str | None = None
    ) -> Event:
        """An event in the snake_case envelope (docs, verification webhooks; OBSERVED)."""
        ident = event_id or self._new_id()
        envelope = {
            "api_version": "v1",
            "event_id": ident,
            "event_developer_id": codes.TENANT_ID,
            "event_category": kind.split(".", 1)[0],
            "event_type": kind,
            "event_object_id": subject,
            "event_object_status": status,
            "event_object": thing,
            "event_created_at": moment(self._clock.now()),
        }
        body = json.dumps(envelope, separators=(",", ":"), ensure_ascii=False).encode()
        return Event(ident, kind, subject, body)

    def tell(self, event: Event) -> None:
        """Send an event the way the switches say."""
        switches = self._switches()
        if switches.subscriptions_deliver:
            self._to_subscriptions(event)
        if not switches.webhooks:
            return
        if self._is_lost(event, switches):
            self.send(event, state=DeliveryState.LOST)
        elif switches.hold_webhooks:
            self._send_all(event, state=DeliveryState.HELD)
        elif switches.webhook_order == "swapped":
            self._overtake(event)
        else:
            self._send_all(event)

    def _is_lost(self, event: Event, switches: Switches) -> bool:
        number = next(self._numbers)
        nth = switches.webhook_loss_nth
        words = {event.kind, event.kind.rsplit(".", 1)[-1]}
        return bool(words & set(switches.webhook_loss)) or (nth > 0 and number % nth == 0)

    def _send_all(self, event: Event, state: DeliveryState = DeliveryState.WAITING) -> None:
        switches = self._switches()
        for _ in range(max(1, switches.webhook_duplicates)):
            self.send(event, after_s=switches.webhook_delay_s, state=state)

    def send(
        self,
        event: Event,
        *,
        signature: Signature = "good",
        after_s: float = 0.0,
        state: DeliveryState = DeliveryState.WAITING,
    ) -> Delivery:
        """One delivery to the service, whatever its signature is worth."""

        def headers(_delivery: Delivery, at: datetime) -> Mapping[str, str]:
            return self._headers(event, at, signature)

        return self.deliveries.send(
            self.url, event.kind, event.subject, event.body, headers, after_s=after_s, state=state
        )

    def _headers(self, event: Event, at: datetime, signature: Signature) -> dict[str, str]:
        body = event.body + b" " if signature == "other_body" else event.body
        if (self._scheme == "svix") != (signature == "other_scheme"):
            key = svix_key(self._secret) if self._scheme == "svix" else self._secret.encode()
            if signature == "wrong":
                key = hashlib.sha256(key).digest()
            headers = svix_headers(key, event.ident, body, at - OLD if signature == "old" else at)
        else:
            secret = self._secret + ("-wrong" if signature == "wrong" else "")
            headers = hmac_headers(secret, event.ident, body, self._switches())
        if signature == "missing":
            headers.pop("svix-signature", None)
            headers.pop("X-Webhook-Signature", None)
        return headers

    def _overtake(self, event: Event) -> None:
        """Hold every other event of a subject back until the following one has been sent."""
        with self._lock:
            before = self._overtaken.pop(event.subject, None)
            if before is None:
                self._overtaken[event.subject] = event
        if before is None:
            wait = self._clock.wait(OVERTAKE_S)
            self._scheduler.after(wait, lambda: self._overdue(event), owner=OWNER)
        else:
            self._send_all(event)
            self._send_all(before)

    def _overdue(self, event: Event) -> None:
        with self._lock:
            if self._overtaken.get(event.subject) is not event:
                return
            del self._overtaken[event.subject]
        self._send_all(event)

    def _to_subscriptions(self, event: Event) -> None:
        for url, kinds, secret in self.subscriptions():
            if event.kind not in kinds and "all" not in kinds:
                continue

            def headers(_delivery: Delivery, _at: datetime, secret: str = secret) -> Mapping[str, str]:
                return hmac_headers(secret, event.ident, event.body, self._switches())

            self.deliveries.send(url, event.kind, f"{url}:{event.subject}", event.body, headers)

    def clear(self) -> None:
        with self._lock:
            self._overtaken.clear()
            self._numbers = itertools.count(1)
        self.deliveries.clear()

    def close(self) -> None:
        self.deliveries.close()
