"""JSON as we write it (exactly one form, amounts from whole minor units) and as we hear it (numbers as
Decimal).

Written: compact, keys in the order given, non-ASCII unescaped, as ``JSON.stringify`` would (providers.md
A1). An amount is a :class:`Money` and becomes ``10`` or ``10.5``; floats and Decimals are refused, so
nothing is rounded by accident. Heard: duplicate keys and a byte-order mark are tolerated, NaN and Infinity
are not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NoReturn

from checkout.rules.money import Money

#: No store keeps these: a surrogate without its partner has no UTF-8 form, and PostgreSQL refuses NUL in a
#: text.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
#: Exponents beyond this belong to no amount, rate or time, and would make huge texts.
_EXPONENT_MAX: Final = 60
#: Characters of a time in text.
_TIME_CHARS_MAX: Final = 40

_write_text = json.JSONEncoder(ensure_ascii=False).encode


def write_json(value: object) -> bytes:
    """The one form of ``value``.

    Raises ValueError for a lone surrogate, TypeError for a type that has no exact form.
    """
    return _written(value).encode("utf-8")  # UnicodeEncodeError is a ValueError


def as_heard(value: object) -> bytes:
    """A part of what :func:`read_json` read, with every number exact: for keeping, never for sending."""
    return _written(value, decimals=True).encode("utf-8")


def _written(value: object, *, decimals: bool = False) -> str:
    match value:
        case Money():
            return value.plain()
        case Decimal() if decimals:
            return str(value)  # every finite Decimal's text is a JSON number
        case str() | bool() | None:
            return _write_text(value)
        case int():
            return str(value)
        case Mapping():
            if not all(isinstance(name, str) for name in value):
                raise TypeError("a JSON object has text for names")
            items = (f"{_write_text(k)}:{_written(v, decimals=decimals)}" for k, v in value.items())
            return "{" + ",".join(items) + "}"
        case Sequence() if not isinstance(value, bytes | bytearray | memoryview):
            return "[" + ",".join(_written(item, decimals=decimals) for item in value) + "]"
        case _:
            raise TypeError(f"{type(value).__name__} is never sent")


def read_json(body: bytes) -> Any:
    """What a provider said: whole numbers as int, others as Decimal. Raises ValueError for anything that is
    not JSON.

    Text that no database can keep (NUL, lone surrogates) is replaced by U+FFFD.
    """
    try:
        text = body.decode("utf-8-sig")
        heard = json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except (ArithmeticError, RecursionError) as exc:
        raise ValueError("the answer is not JSON that can be read") from exc
    return _storable(heard) if "\\u" in text else heard


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _storable(value: Any) -> Any:
    match value:
        case str():
            return _UNSTORABLE.sub("\ufffd", value)
        case dict():
            return {_UNSTORABLE.sub("\ufffd", name): _storable(item) for name, item in value.items()}
        case list():
            return [_storable(item) for item in value]
        case _:
            return value


def number_text(value: object) -> str | None:
    """Exact decimal text of a JSON number or of decimal text; None for anything else.

    ``1.5e1`` is ``"15"``.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    if isinstance(value, str) and (len(value) > 2 * _EXPONENT_MAX or not value.isascii()):
        return None
    try:
        number = Decimal(value)
    except ArithmeticError:
        return None
    if not number.is_finite() or (number and abs(number.adjusted()) > _EXPONENT_MAX):
        return None
    return format(number, "f")


def read_time(value: object) -> datetime | None:
    """ISO 8601 text as aware UTC time (no zone means UTC); None for anything else."""
    if not isinstance(value, str) or len(value) > _TIME_CHARS_MAX:
        return None
    try:
        at = datetime.fromisoformat(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
