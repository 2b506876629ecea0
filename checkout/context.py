"""What every use case is given: settings, the database, sealing, and the sources of time, names and chance.

Nothing in a use case reads a clock or makes an id by itself; tests hand in their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from checkout.config import Settings
from checkout.sealing import Sealer
from checkout.store.engine import Database


@dataclass(frozen=True, slots=True)
class Context:
    """Handed to every use case by the composition root (``app.build``)."""

    settings: Settings
    database: Database
    sealer: Sealer
    clock: Callable[[], datetime]
    new_id: Callable[[str], str]  #: ``new_id("pay")`` → ``pay_01j…``: unique, and in order of time
    new_uuid: Callable[[], str]  #: random UUID v4 text, for providers
    jitter: Callable[[], float]  #: 0..1

    def scaled(self, duration: timedelta) -> timedelta:
        """A duration of our own rules, shortened by CHECKOUT_SPEED in the sandbox."""
        return self.settings.scaled(duration)

    @property
    def lease(self) -> timedelta:
        return self.settings.lease
