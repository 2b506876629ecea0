"""The simulator's clock: real time of day, shortened waits.

Timestamps a provider states are never scaled (a signature window or an expiry is compared with real clocks);
only waiting is. A nominal 30 minutes at speed 60 takes half a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class FastClock:
    """``speed`` divides every wait; 1 is real time. ValueError for a speed that is not above zero."""

    speed: float = 1.0

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise ValueError("speed must be a number above zero")

    def now(self) -> datetime:
        """The real time of day, aware, UTC."""
        return datetime.now(UTC)

    def wait(self, nominal_s: float) -> float:
        """How many real seconds a nominal wait takes."""
        return nominal_s / self.speed

    def later(self, nominal_s: float) -> datetime:
        """The real moment at which a nominal wait that starts now is over."""
        return self.now() + timedelta(seconds=self.wait(nominal_s))
