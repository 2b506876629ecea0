"""Whose turn it is: no endpoint, and not all that fail together, may hold every sending thread of a process.

An endpoint that does not answer holds a thread for as long as a delivery may take. So each has a share of the threads, and
those that have failed have a share between them; whoever works is never behind them. An endpoint that has failed is left
alone until its rest is over; then one delivery tries it, in one process of all, on behalf of the rest.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from checkout.store.endpoints import DueEndpoint, begin_probe, claim_deliveries, due_endpoints, update_endpoint
from checkout.store.engine import Unit

#: Deliveries to one endpoint that a thread takes at once: fewer commits, and nobody else waits behind them.
BATCH: Final = 10


@dataclass(frozen=True, slots=True)
class _Turn:
    endpoint_id: str
    failing: bool


class Turns:
    """Claims deliveries for the threads of one process. Each claim ends with :meth:`done`, whatever came of it."""

    def __init__(self, threads: int) -> None:
        self._share = max(1, threads // 2)
        self._failing_share = max(1, threads // 3)
        self._held: dict[str, _Turn] = {}
        self._lock = threading.Lock()

    def next_due(self, unit: Unit, *, now: datetime) -> datetime | None:
        """When there is something for a further thread to do: a read, so that idle threads do not queue for the writer."""
        found = due_endpoints(unit, now=now)
        with self._lock:
            return next((one.due_at for one in found if self._may(one)), None)

    def claim(self, unit: Unit, *, now: datetime, lease: timedelta, token: str) -> list[str]:
        """Lease some deliveries of the endpoint that has waited longest and may have another thread; their ids."""
        with self._lock:  # between looking at what is held and adding to it no other thread of this process claims
            for one in due_endpoints(unit, now=now):
                if one.due_at > now:
                    return []
                ids = self._claim(unit, one, now=now, until=now + lease, token=token) if self._may(one) else []
                if ids:
                    self._held[token] = _Turn(one.id, failing=one.resting_until is not None)
                    return ids
        return []

    def done(self, token: str) -> None:
        """The thread that claimed under this token is free again."""
        with self._lock:
            self._held.pop(token, None)

    def _claim(self, unit: Unit, one: DueEndpoint, *, now: datetime, until: datetime, token: str) -> list[str]:
        seen = one.resting_until
        if seen is None:
            return claim_deliveries(unit, one.id, now=now, until=until, token=token, most=BATCH, least_tried=False)
        if not begin_probe(unit, one.id, seen=seen, until=until, token=token):
            return []
        ids = claim_deliveries(unit, one.id, now=now, until=until, token=token, most=1, least_tried=True)
        if not ids:  # another process is looking at the very row: nobody tries, so the rest is over as it was
            update_endpoint(unit, one.id, resting_until=seen, probe_token=None)
        return ids

    def _may(self, one: DueEndpoint) -> bool:
        held = self._held.values()
        if one.resting_until is not None and sum(turn.failing for turn in held) >= self._failing_share:
            return False
        return sum(turn.endpoint_id == one.id for turn in held) < self._share
