"""Identifiers: a short prefix that says what it names, then 26 characters that sort by time and cannot be guessed."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32, lower case
_MILLISECOND_BITS: Final = 48
_RANDOM_BITS: Final = 82  # with the time, 130 bits: 26 characters
_STEP_BITS: Final = 64


def maker(clock: Callable[[], datetime]) -> Callable[[str], str]:
    """``maker(clock)("pay")`` → ``pay_`` and 26 characters: 48 bits of milliseconds, 82 random bits.

    Inside one process and millisecond each is above the one before it, by a random step: rows made together keep the
    order they were made in.
    """
    lock = threading.Lock()
    last = 0

    def new_id(prefix: str) -> str:
        nonlocal last
        milliseconds = int(clock().timestamp() * 1000) & ((1 << _MILLISECOND_BITS) - 1)
        number = (milliseconds << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS - 1)
        with lock:
            if number <= last and number >> _RANDOM_BITS == last >> _RANDOM_BITS:
                number = last + 1 + secrets.randbits(_STEP_BITS)
            last = number
        return f"{prefix}_{_written(number)}"

    return new_id


def earliest(prefix: str, moment: datetime, *, apart: timedelta = timedelta(0)) -> str:
    """What no identifier made at the moment or later sorts before; ``apart`` is added to the moment."""
    milliseconds = int(moment.timestamp() * 1000) + int(apart.total_seconds() * 1000)
    number = min(max(milliseconds, 0), (1 << _MILLISECOND_BITS) - 1) << _RANDOM_BITS
    return f"{prefix}_{_written(number)}"


def _written(number: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
