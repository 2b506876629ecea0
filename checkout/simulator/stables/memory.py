"""What Stables remembers about an Idempotency-Key: the first answer, for 24 hours, whatever it was.

CONFIRMED (docs): the first result is stored for 24 h and returned on retries, only the first request
executes. That a 500 is stored as well, that another body under the same key is refused, and what a second
request gets while the first is still at work are not documented; each is a switch. After its 24 hours a key
is forgotten and the request is executed anew, which is how a late retry pays twice.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from checkout.simulator.clock import FastClock
from checkout.simulator.stables.refusals import Refusal
from checkout.simulator.stables.switches import Switches

#: Real seconds a request waits for another one with its key.
PATIENCE_S: Final = 60.0
REUSED: Final = "idempotency_key_reused"
#: Keys kept; the oldest are forgotten first.
KEPT: Final = 200_000


@dataclass(frozen=True, slots=True)
class Kept:
    """One finished answer as bytes, so that a replay is the same to the byte."""

    status: int
    body: bytes = field(repr=False)


@dataclass(slots=True)
class Entry:
    key: str
    method: str
    path: str
    fingerprint: str
    first_at: datetime
    kept: Kept | None = None  #: None while the first request is at work
    over: bool = False  #: forgotten before its time
    replays: int = 0
    refused: int = 0

    def report(self) -> dict[str, object]:
        return {
            "key": self.key,
            "method": self.method,
            "path": self.path,
            "first_at": self.first_at.isoformat(),
            "status": self.kept and self.kept.status,
            "body": self.kept and self.kept.body.decode("utf-8", "replace"),
            "replays": self.replays,
            "refused": self.refused,
        }


def fingerprint(method: str, path: str, body: bytes) -> str:
    """What makes two requests the same one."""
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), body))).hexdigest()


class Memory:
    """Answers by key. After ``begin`` has claimed one, ``finish`` or ``forget`` must follow."""

    def __init__(self, clock: FastClock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._entries: dict[str, Entry] = {}
        #: Entries whose 24 hours are over, kept for the proofs: a key executed twice shows here.
        self._forgotten: list[Entry] = []

    def begin(self, key: str, method: str, path: str, body: bytes, switches: Switches) -> Kept | None:
        """The stored answer, or None when this request is the first and must execute.

        :class:`Refusal` 422 for another request under the same key, 409 when the first is still at work
        (both by switch).
        """
        mark = fingerprint(method, path, body)
        with self._changed:
            while (entry := self._known(key, switches)) is not None:
                if entry.fingerprint != mark and switches.key_reuse == "refuse":
                    entry.refused += 1
                    raise Refusal(422, "Idempotency-Key was used before with another request", code=REUSED)
                if entry.kept is not None:
                    entry.replays += 1
                    return entry.kept
                waits = switches.key_in_flight == "wait"
                if not waits or not self._changed.wait_for(lambda: self._ended(entry), PATIENCE_S):
                    entry.refused += 1
                    raise Refusal(409, "A request with this Idempotency-Key is being processed")
            if len(self._entries) >= KEPT:
                self._entries.pop(next(iter(self._entries)))
            self._entries[key] = Entry(key, method, path, mark, self._clock.now())
            return None

    def _ended(self, entry: Entry) -> bool:
        return entry.kept is not None or self._entries.get(entry.key) is not entry

    def _known(self, key: str, switches: Switches) -> Entry | None:
        """The entry of a key, unless its time is over: then it moves to the forgotten ones."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        life = timedelta(seconds=self._clock.wait(switches.key_memory_s))
        if entry.kept is not None and (entry.over or self._clock.now() - entry.first_at >= life):
            self._forgotten.append(self._entries.pop(key))
            return None
        return entry

    def finish(self, key: str, answer: Kept) -> None:
        """Store the answer of the request that claimed ``key`` and wake whoever waits for it."""
        with self._changed:
            entry = self._entries.get(key)
            if entry is not None:
                entry.kept = answer
            self._changed.notify_all()

    def forget(self, key: str) -> None:
        """Give a claim back without an answer: the next request with this key executes."""
        with self._changed:
            self._entries.pop(key, None)
            self._changed.notify_all()

    def lapse(self) -> int:
        """Forget every finished request now, as after its 24 hours; how many there were."""
        with self._changed:
            finished = [entry for entry in self._entries.values() if entry.kept is not None]
            for entry in finished:
                entry.over = True
            return len(finished)

    def clear(self) -> None:
        with self._changed:
            self._entries.clear()
            self._forgotten.clear()
            self._changed.notify_all()

    def report(self) -> list[dict[str, object]]:
        """Every key, forgotten ones first, marked."""
        with self._changed:
            return [entry.report() | {"forgotten": True} for entry in self._forgotten] + [
                entry.report() | {"forgotten": False} for entry in self._entries.values()
            ]
