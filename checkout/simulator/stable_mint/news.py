"""When which webhook leaves, how it is signed, and which of them never do."""

from __future__ import annotations

import base64
import random
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from checkout.simulator.clock import FastClock
from checkout.simulator.deliveries import Deliveries, Delivery, DeliveryState
from checkout.simulator.scheduler import Scheduler
from checkout.simulator.stable_mint.events import Narrator, Step, settles, steps
from checkout.simulator.stable_mint.jsontext import write
from checkout.simulator.stable_mint.sessions import Deposit, Session
from checkout.simulator.stable_mint.switches import StableMintSwitches
from checkout.simulator.switches import Switchboard

#: Waits after each attempt without a 2xx; after the last the delivery has failed. CONFIRMED
#: (receive-webhooks).
RETRIES_S: Final = tuple(60.0 * minutes for minutes in (5, 10, 30, 60, 90))


def stamp(at: datetime, form: str) -> str:
    """StableMint-Timestamp in one of the forms ISO 8601 allows."""
    text = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    match form:
        case "milliseconds":
            return f"{text}.{at.microsecond // 1000:03d}Z"
        case "seven_digits":
            return f"{text}.{at.microsecond:06d}7Z"
        case "no_zone":
            return f"{text}.{at.microsecond:06d}7"
        case "offset":
            return f"{text}+00:00"
        case _:
            return f"{text}Z"


class Subject(Protocol):
    """What an event is about: a session or a withdrawal."""

    @property
    def reference(self) -> str: ...


class News:
    """Sends the events of deposits to the service's webhook endpoint."""

    def __init__(
        self,
        *,
        url: str,
        key: RSAPrivateKey,
        narrator: Narrator,
        switches: Switchboard[StableMintSwitches],
        clock: FastClock,
        scheduler: Scheduler,
    ) -> None:
        self.deliveries = Deliveries(clock, scheduler, RETRIES_S, "stable_mint")
        self.narrator = narrator
        self._url = url
        self._key = key
        self._switches = switches
        self._clock = clock
        self._lock = threading.Lock()
        self._sent = 0

    def announce(self, session: Session, deposit: Deposit, version: str | None = None) -> list[int]:
        """Plan every event of a deposit; sets when it is settled. Answers the deliveries' ids."""
        switches = self._switches.now
        # Repeatable by design: the same seed tells the same story.
        chance = random.Random(f"{switches.seed}/{session.number}/{len(session.deposits)}")  # noqa: S311
        told_in = version or switches.webhook_version
        plan = steps(
            deposit,
            lambda _: chance.choice(("v1", "v2")) if told_in == "mixed" else told_in,
            switches.manual_transfer_s,
        )
        times = [step.at_s for step in plan]
        order = list(plan)
        if switches.webhook_order == "reversed":
            order.reverse()
        elif switches.webhook_order == "shuffled":
            chance.shuffle(order)
        idents = []
        for step, at_s in zip(order, times, strict=True):
            wait_s = at_s + switches.webhook_delay_s
            if settles(step):
                # Somebody who has heard of it must find it; held news may be let go at any moment.
                deposit.settled_at = self._clock.later(0 if switches.hold_webhooks else wait_s)
            document = self.narrator.body(step, session, deposit, switches, self._clock.later(wait_s))
            idents += self.send(session, step, write(document).encode(), after_s=wait_s)
        return idents

    def send(
        self, session: Subject, step: Step, body: bytes, *, after_s: float = 0, signature: str = "good"
    ) -> list[int]:
        """Send one event as often as the switches say, or lose or hold it. Answers the deliveries' ids."""
        switches = self._switches.now
        with self._lock:
            self._sent += 1
            number = self._sent
        state = DeliveryState.HELD if switches.hold_webhooks else DeliveryState.WAITING
        if _lost(step.kind, number, switches):
            state = DeliveryState.LOST
        copies = 1 if state is DeliveryState.LOST else switches.webhook_duplicates
        return [
            self.deliveries.send(
                self._url,
                step.kind,
                session.reference,
                body,
                lambda delivery, at: self._headers(delivery, at, signature),
                after_s=after_s,
                lane=session.reference if copy == 0 else f"{session.reference}#{copy}",
                state=state,
            ).ident
            for copy in range(copies)
        ]

    def _headers(self, delivery: Delivery, at: datetime, signature: str) -> Mapping[str, str]:
        switches = self._switches.now
        if switches.retry_timestamp == "old" and delivery.first_at is not None:
            at = delivery.first_at
        text = stamp(at, switches.webhook_timestamp)
        if signature == "missing":
            return {"StableMint-Timestamp": text}
        signed = delivery.body if signature == "good" else delivery.body + b" "
        made = self._key.sign(text.encode() + b"," + signed, PKCS1v15(), SHA256())
        return {
            "StableMint-Timestamp": text,
            "StableMint-Signature": base64.b64encode(made).decode("ascii"),
        }


def _lost(kind: str, number: int, switches: StableMintSwitches) -> bool:
    if switches.webhook_loss_nth and number % switches.webhook_loss_nth == 0:
        return True
    return any(kind == name or kind.endswith("." + name) for name in switches.webhook_loss)
