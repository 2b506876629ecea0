"""Equal requests sent at once: all but one find the payment of the one, instead of being told that we are busy.

At most half of a process's threads may be inside provider calls. Twins take those places for the moment it takes to lose
the race for the row, so a twin that finds them taken asks again shortly: by then the payment is stored, and needs no place.
Requests without a twin are told at once, so that a slow provider never holds the threads that webhooks need.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from checkout.errors import ProviderCallsBusy

R = TypeVar("R")

#: Waits between asking, in seconds; together far less than a caller's patience.
WAITS_S: Final = (0.01, 0.02, 0.05, 0.1, 0.2)


class Twins:
    """Requests under way in this process, by what makes them equal."""

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._lock = threading.Lock()
        self._under_way: Counter[tuple[str, str]] = Counter()
        self._sleep = sleep

    def ask(self, name: tuple[str, str], verb: Callable[[], R]) -> R:
        """Call ``verb``; while it is busy and a twin is under way, a few times more. Raises what the last try raised."""
        with self._counted(name):
            for wait_s in WAITS_S:
                try:
                    return verb()
                except ProviderCallsBusy:
                    if self._under_way[name] < 2:
                        raise
                    self._sleep(wait_s)
            return verb()

    @contextmanager
    def _counted(self, name: tuple[str, str]) -> Iterator[None]:
        with self._lock:
            self._under_way[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[name] -= 1
                if self._under_way[name] == 0:
                    del self._under_way[name]
