"""JSON with exact numbers: read into Decimal, written as compact text, key order as built, non-ASCII left
alone.

That is what the documentation's ``JSON.stringify`` samples produce. A body with a duplicate key, NaN or a
lone surrogate is refused, so that the service's mistakes are found here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NoReturn


class NotJson(ValueError):
    """The text is not one well-formed JSON document."""


class Number(str):
    """A JSON number written exactly as spelled: ``Number("9.50")``."""

    __slots__ = ()


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise NotJson(f"{name!r} occurs twice")
        found[name] = value
    return found


def _constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not JSON")


def read(body: bytes) -> Any:
    """The document in ``body``: fractions as Decimal, whole numbers as int. NotJson when there is none."""
    try:
        text = body.decode("utf-8")
        document = json.loads(text, parse_float=Decimal, parse_constant=_constant, object_pairs_hook=_once)
        json.dumps(document, ensure_ascii=False, default=str).encode("utf-8")  # finds a lone surrogate
    except NotJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJson("not a JSON document in UTF-8") from error
    return document


def write(value: object) -> str:
    """``value`` as compact JSON text."""
    if isinstance(value, Number | Decimal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{write(str(name))}:{write(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(write(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
