"""Requests per key and minute: counted in the database, spent from memory a chunk at a time.

A request costs a commit only when this process has nothing left of its chunk. What a process holds is used by nobody else, so
all processes together never pass more than the limit; they may pass a few less.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime

from checkout.context import Context
from checkout.errors import TooManyRequests
from checkout.rules.allowances import PER_MINUTE, WINDOW, counted_in, hand_out, wait_s, window_of
from checkout.store import api_keys as rows


@dataclass(slots=True)
class _Chunk:
    """What this process may still spend of one key's window."""

    left: int = 0
    all_taken: bool = False  #: the database had none left: asking again before the window ends is useless
    lock: threading.Lock = field(default_factory=threading.Lock)


class Allowances:
    """One per process. Threads of a key queue while one of them asks the database for more."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._length = context.scaled(WINDOW)
        self._window: datetime | None = None
        self._chunks: dict[str, _Chunk] = {}  # of this window alone, so only keys used within it
        self._lock = threading.Lock()

    def spend(self, key_id: str, per_minute: int | None) -> None:
        """Let one request of the key pass; TooManyRequests when its minute is used up."""
        now = self._context.clock()
        chunk, window = self._chunk(key_id, now)
        with chunk.lock:
            if chunk.left == 0 and not chunk.all_taken:
                chunk.left = self._take(key_id, per_minute or PER_MINUTE, now)
                chunk.all_taken = chunk.left == 0
            if chunk.left == 0:
                raise TooManyRequests(wait_s(now, window, self._length))
            chunk.left -= 1

    def _chunk(self, key_id: str, now: datetime) -> tuple[_Chunk, datetime]:
        """The key's chunk of the window we are in. A thread that comes late from the one before counts in the new one."""
        mine = window_of(now, self._length)
        with self._lock:
            window = counted_in(mine, self._window, self._length)
            if window != self._window:
                self._window, self._chunks = window, {}
            return self._chunks.setdefault(key_id, _Chunk()), window

    def _take(self, key_id: str, limit: int, now: datetime) -> int:
        """One commit: requests handed out to this process, and the key's last use."""
        with self._context.database.write() as unit:
            tally, granted = hand_out(rows.tally_of(unit, key_id), window_of(now, self._length), self._length, limit)
            if granted:
                rows.keep_tally(unit, key_id, tally, at=now)
        return granted
