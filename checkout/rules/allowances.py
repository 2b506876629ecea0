"""How many requests a key may make in a minute, counted so that no number of processes together passes more.

Time is cut into windows of one length, all starting at multiples of it. The database keeps, for each key, the window counted
last and how many requests of it were handed out. A process takes a chunk of them at a time and spends it by itself; what is
left of a chunk when its window ends is lost, so handed out never means more than allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

#: Requests in a window, where a key says nothing else.
PER_MINUTE: Final = 600
PER_MINUTE_MAX: Final = 1_000_000
WINDOW: Final = timedelta(minutes=1)
#: A window's requests are handed out in so many chunks: fewer commits, against requests that another process cannot use.
CHUNKS: Final = 20

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many requests of the window that starts at ``window`` were handed out."""

    window: datetime
    taken: int


def window_of(now: datetime, length: timedelta) -> datetime:
    """The start of the window that ``now`` is in."""
    return _EPOCH + ((now - _EPOCH) // length) * length


def counted_in(mine: datetime, known: datetime | None, length: timedelta) -> datetime:
    """The window to count in: a known one that is the next already, else the clock's own.

    Clocks differ a little, and the faster one must not begin a window that the slower one then begins again. One that is
    further ahead than a window was wrong, or windows were longer then: waiting for it could shut a shop out for hours.
    """
    return known if known is not None and mine < known <= mine + length else mine


def hand_out(kept: Tally | None, mine: datetime, length: timedelta, limit: int) -> tuple[Tally, int]:
    """The tally to keep, and how many requests the process may make of it: at most a chunk, 0 when all are taken."""
    window = counted_in(mine, None if kept is None else kept.window, length)
    taken = kept.taken if kept is not None and kept.window == window else 0
    granted = max(0, min(limit // CHUNKS or 1, limit - taken))
    return Tally(window, taken + granted), granted


def wait_s(now: datetime, window: datetime, length: timedelta) -> int:
    """Whole seconds until the window has ended; at least 1."""
    return max(1, ceil((window + length - now).total_seconds()))
