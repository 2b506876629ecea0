"""Reading a request strictly: bounded bytes, then one JSON object in which nothing is ambiguous.

Two programs that read the same bytes differently are how an amount changes between a check and its use, so what JSON
leaves open (repeated names, NaN, numbers of any size, half a surrogate pair) is refused here, by the name of the field,
before a schema looks at it. Problems are collected, not raised, so that a shop hears of all of them at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from flask import Request
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.wsgi import get_input_stream

#: The largest body of any request (design, section 8).
BODY_MAX: Final = 64 * 1024
#: Far deeper than any request of ours; a bomb is thousands deep.
DEPTH_MAX: Final = 8

#: A path to a field: names and list positions.
Path = tuple[str | int, ...]

_CHUNK: Final = 16 * 1024
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
#: Names that may be quoted; another may be a person's data in the wrong place.
PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Number:
    """A JSON number, or NaN and its kin, as it was written. No field of ours is a number: money is decimal text."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Object(dict[str, Any]):
    """A JSON object. ``repeated`` names came more than once; ``problems`` are those of the whole body, on its root."""

    __slots__ = ("problems", "repeated")

    def __init__(self, pairs: Sequence[tuple[str, Any]] = ()) -> None:
        super().__init__(pairs)
        self.problems: dict[Path, list[str]] = {}
        self.repeated: list[str] = []
        if len(self) != len(pairs):
            seen: set[str] = set()
            for name, _ in pairs:
                if name in seen and name not in self.repeated:
                    self.repeated.append(name)
                seen.add(name)


def read_bytes(request: Request) -> bytes:
    """The whole body, exactly; 413 beyond :data:`BODY_MAX`, 400 when it was cut short.

    Not ``request.get_data()``: for a chunked body that is too long it returns the first part without a word.
    """
    declared = request.content_length
    if declared is not None and declared > BODY_MAX:
        raise RequestEntityTooLarge
    stream = get_input_stream(request.environ)
    parts: list[bytes] = []
    size = 0
    while size <= BODY_MAX:
        try:
            part = stream.read(min(_CHUNK, BODY_MAX + 1 - size))
        except HTTPException:
            raise
        except Exception:  # the server's own errors of a broken connection or chunk have no class we could name
            raise BadRequest("The body could not be read to its end.") from None
        if not part:
            break
        parts.append(part)
        size += len(part)
    if size > BODY_MAX:
        raise RequestEntityTooLarge
    if declared is not None and size < declared:
        raise BadRequest("The body ended before its Content-Length.")
    return b"".join(parts)


def read_object(request: Request) -> Object:
    """The body as one JSON object. What cannot be read at all is 400, 413 or 415; the rest is in its ``problems``."""
    charset = request.mimetype_params.get("charset", "utf-8")
    if request.mimetype != "application/json" or charset.lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType("Send the body as application/json.")
    return parse_object(read_bytes(request))


def read_nothing(request: Request) -> None:
    """For requests that take no fields: an empty body or an empty object."""
    if request.content_length or request.headers.get("Transfer-Encoding"):
        body = read_bytes(request)
        if body and parse_object(body):
            raise BadRequest("This request takes no fields: send no body, or {}.")


def parse_object(body: bytes) -> Object:
    """Parse a body; :class:`BadRequest` says what is wrong with the JSON itself, and where, without quoting it."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8 (byte {error.start}).") from None
    try:
        found = json.loads(text, object_pairs_hook=Object, parse_float=Number, parse_int=Number, parse_constant=Number)
    except json.JSONDecodeError as error:
        raise BadRequest(f"The body is not JSON (line {error.lineno}, column {error.colno}).") from None
    except RecursionError:
        raise BadRequest("The body is nested too deeply.") from None
    if not isinstance(found, Object):
        raise BadRequest("The body must be a JSON object.")
    _inspect(found, (), found.problems)
    return found


def _inspect(value: object, path: Path, problems: dict[Path, list[str]]) -> None:
    """Note what no field may hold, at its path. Depth is bounded, so this recursion is."""
    if isinstance(value, str):
        problem = text_problem(value)
        if problem is not None:
            problems.setdefault(path, []).append(problem)
    elif isinstance(value, Number):
        if value.text.strip("-").isalpha():  # NaN, Infinity
            problems.setdefault(path, []).append("is not a value of JSON")
    elif isinstance(value, dict | list):
        if len(path) >= DEPTH_MAX:
            problems.setdefault(path, []).append("is nested too deeply")
        elif isinstance(value, list):
            for position, item in enumerate(value):
                _inspect(item, (*path, position), problems)
        else:
            _inspect_object(value, path, problems)


def _inspect_object(value: Mapping[str, object], path: Path, problems: dict[Path, list[str]]) -> None:
    for name in value.repeated if isinstance(value, Object) else ():
        problems.setdefault((*path, name), []).append("is there more than once")
    for name, item in value.items():
        problem = text_problem(name)
        if problem is not None:
            problems.setdefault((*path, name), []).append(f"its name {problem}")
        _inspect(item, (*path, name), problems)


def text_problem(text: str) -> str | None:
    """Why no text of ours may be this, or None: it could not be stored, sent or shown as it is."""
    if _SURROGATE.search(text):
        return "has half of a surrogate pair"
    if _CONTROL.search(text):
        return "must not contain control characters"
    return None


def flatten(messages: object, path: Path = ()) -> dict[str, list[str]]:
    """Nested error messages of a schema as field names with dots: ``{"customer.kyc.gender": ["…"]}``."""
    if isinstance(messages, Mapping):
        found: dict[str, list[str]] = {}
        for key, inner in messages.items():
            for name, reasons in flatten(inner, _step(path, key)).items():
                found.setdefault(name, []).extend(one for one in reasons if one not in found.get(name, []))
        return found
    listed = messages if isinstance(messages, list) else [messages]
    return {field_name(path): [str(reason) for reason in listed]}


def _step(path: Path, key: object) -> Path:
    if isinstance(key, tuple):
        return (*path, *key)
    if key == "_schema" or (path[:1] == ("metadata",) and len(path) == 2 and key in ("key", "value")):
        return path  # marshmallow's own levels, not the shop's
    return (*path, key if isinstance(key, int) else str(key))


def field_name(path: Path) -> str:
    """A path as the shop knows it. A name that is not plain may be a person's data in the wrong place: its parent's."""
    names: list[str] = []
    for step in path:
        if isinstance(step, str) and PLAIN_NAME.fullmatch(step) is None:
            break
        names.append(str(step))
    return ".".join(names) or "body"
