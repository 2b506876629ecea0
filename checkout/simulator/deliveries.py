"""Webhooks on their way to the service: attempts, retries on the fast clock, and the log of both.

Signing is the provider's own business: it hands in a function that makes the headers of one attempt. A
delivery that is held waits for a person's (or a test's) order to go.
"""

from __future__ import annotations

import itertools
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Final

import httpx

from checkout.simulator.clock import FastClock
from checkout.simulator.scheduler import Scheduler

#: Deliveries kept in the log of one provider.
KEPT: Final = 20_000
#: Seconds (real) a receiver has to answer.
TIMEOUT_S: Final = 10.0


class DeliveryState(StrEnum):
    WAITING = "waiting"  #: due later, or being tried again
    HELD = "held"  #: waits to be released
    LOST = "lost"  #: never sent, as a switch asked
    DELIVERED = "delivered"  #: answered with a 2xx
    FAILED = "failed"  #: every attempt was answered with something else, or not at all


@dataclass(slots=True)
class Attempt:
    at: datetime
    status: int | None  #: None when there was no answer
    error: str = ""


@dataclass(slots=True)
class Delivery:
    """One webhook to one URL; duplicates are deliveries of their own with the same body."""

    ident: int
    url: str
    kind: str
    subject: str
    body: bytes
    headers: Callable[[Delivery, datetime], Mapping[str, str]] = field(repr=False)
    state: DeliveryState = DeliveryState.WAITING
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def first_at(self) -> datetime | None:
        """When it was first tried."""
        return self.attempts[0].at if self.attempts else None

    def report(self) -> dict[str, object]:
        return {
            "id": self.ident,
            "event_type": self.kind,
            "subject": self.subject,
            "state": self.state.value,
            "body": self.body.decode("utf-8", "replace"),
            "attempts": [{"at": one.at.isoformat(), "status": one.status, "error": one.error} for one in self.attempts],
        }


@cache
def _trust() -> ssl.SSLContext:
    """One for the process: reading the certificates takes longer than starting everything else."""
    return httpx.create_ssl_context()


class Deliveries:
    """Sends one provider's webhooks. ``retries_s``: nominal waits after each attempt that got no 2xx."""

    def __init__(self, clock: FastClock, scheduler: Scheduler, retries_s: Sequence[float], owner: str) -> None:
        self._clock = clock
        self._scheduler = scheduler
        self._retries_s = tuple(retries_s)
        self._owner = owner
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._log: deque[Delivery] = deque(maxlen=KEPT)
        # The environment's proxies are for the outside world; webhooks go to the service beside us.
        self._http = httpx.Client(
            timeout=TIMEOUT_S,
            verify=_trust(),
            trust_env=False,
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16),
        )

    def send(
        self,
        url: str,
        kind: str,
        subject: str,
        body: bytes,
        headers: Callable[[Delivery, datetime], Mapping[str, str]],
        *,
        after_s: float = 0.0,
        lane: str | None = None,
        state: DeliveryState = DeliveryState.WAITING,
    ) -> Delivery:
        """Send ``body`` after a nominal wait, in line with the subject's others; or only note it."""
        with self._lock:
            delivery = Delivery(next(self._numbers), url, kind, subject, body, headers, state)
            self._log.append(delivery)
        if state is DeliveryState.WAITING:
            self._plan(delivery, after_s, lane)
        return delivery

    def release(self, idents: Iterable[int] | None = None) -> list[int]:
        """Send held deliveries one by one in the order given (None: as they came); answers their ids."""
        with self._lock:
            held = {one.ident: one for one in self._log if one.state is DeliveryState.HELD}
            chosen = [held[ident] for ident in (held if idents is None else idents) if ident in held]
            for delivery in chosen:
                delivery.state = DeliveryState.WAITING
        for delivery in chosen:
            self._plan(delivery, 0.0, lane="released")
        return [delivery.ident for delivery in chosen]

    def log(self, *, state: str = "", newest: int = KEPT) -> list[Delivery]:
        """Oldest first: the newest so many deliveries, of one state when given."""
        with self._lock:
            found = [one for one in self._log if not state or one.state == state]
        return found[-newest:] if newest else []

    def counts(self) -> dict[str, int]:
        with self._lock:
            states = [one.state for one in self._log]
        return {state.value: states.count(state) for state in DeliveryState}

    def clear(self) -> None:
        """Forget everything, also what is on its way."""
        self._scheduler.cancel(self._owner)
        with self._lock:
            self._log.clear()

    def close(self) -> None:
        self._http.close()

    def _plan(self, delivery: Delivery, after_s: float, lane: str | None = None) -> None:
        self._scheduler.after(
            self._clock.wait(after_s),
            lambda: self._attempt(delivery),
            lane=f"{self._owner}:{delivery.subject if lane is None else lane}",
            owner=self._owner,
        )

    def _attempt(self, delivery: Delivery) -> None:
        at = self._clock.now()
        attempt = Attempt(at, None)
        delivery.attempts.append(attempt)
        try:
            answer = self._http.post(
                delivery.url,
                content=delivery.body,
                headers={"Content-Type": "application/json", **delivery.headers(delivery, at)},
            )
            attempt.status = answer.status_code
        except (
            httpx.HTTPError,
            RuntimeError,
        ) as error:  # RuntimeError: the client was closed under a running job
            attempt.error = type(error).__name__
        with self._lock:
            if attempt.status is not None and 200 <= attempt.status < 300:
                delivery.state = DeliveryState.DELIVERED
                return
            tried = len(delivery.attempts)
            if tried > len(self._retries_s):
                delivery.state = DeliveryState.FAILED
                return
        # A lane of its own: what is tried again holds up nothing that comes after it.
        self._plan(delivery, self._retries_s[tried - 1], lane=f"{delivery.subject}:again:{delivery.ident}")
