"""In which words an age is told, wherever something waits."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

#: Upper ends of the ages that are told apart; what is older has no end.
AGES: Final = (
    ("under a day", timedelta(days=1)), ("1 to 3 days", timedelta(days=3)), ("3 to 7 days", timedelta(days=7)),
    ("7 to 30 days", timedelta(days=30)),
)  # fmt: skip
OLDEST: Final = "over 30 days"


def age_of(age: timedelta) -> str:
    """``under a day``, ``1 to 3 days``, …"""
    return next((name for name, end in AGES if age < end), OLDEST)
