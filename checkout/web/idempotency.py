"""The Idempotency-Key of a write: which operations need one, how it is documented, and what is wrong with a request's own.

What is wrong with headers and addresses is noted before the body is read, and told together with the body's bad fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import g, request

from checkout.store.request_keys import Keyed
from checkout.web.reading import PLAIN_NAME
from checkout.web.schemas import KEY_MAX

HEADER: Final = "Idempotency-Key"
_KEY: Final = re.compile(rf"[ -~]{{1,{KEY_MAX}}}")


@dataclass(frozen=True, slots=True)
class KeyRule:
    """What an operation says of the header."""

    required: bool
    description: str
    example: str

    def parameter(self) -> dict[str, Any]:
        """The header as the document describes it."""
        return {
            "in": "header",
            "name": HEADER,
            "required": self.required,
            "description": self.description,
            "schema": {"type": "string", "minLength": 1, "maxLength": KEY_MAX, "pattern": "^[ -~]+$"},
            "example": self.example,
        }


def each_makes_one(what: str, example: str) -> KeyRule:
    """For an operation that makes one ``what`` for each key."""
    return KeyRule(
        True,
        f"Chosen by the shop, one per {what}. The same request under the same key is the same {what}, however often it is "
        "sent; other content under it is refused.",
        example,
    )


def once_if_given(example: str) -> KeyRule:
    """For an operation that may be repeated anyway; under a key the repeat does not act on what has changed since."""
    return KeyRule(
        False,
        "With a key, the same request acts once, however late a repeat of it comes: the repeat is answered with what there is "
        "by then. Other content under the same key is refused.",
        example,
    )


def note(rule: KeyRule | None, *, takes_query: bool) -> None:
    """Look at the request's header and address; what is wrong waits for the body's bad fields."""
    g.header_problems = _header_problems(rule)
    g.query_problems = {} if takes_query else _query_problems(request.args)


def _header_problems(rule: KeyRule | None) -> dict[str, list[str]]:
    if rule is None:
        return {}
    key = request.headers.get(HEADER)
    if key is None:
        return {HEADER: ["is required"]} if rule.required else {}
    if _KEY.fullmatch(key) is None:
        return {HEADER: [f"must have 1 to {KEY_MAX} printable ASCII characters"]}
    return {}


def _query_problems(given: Mapping[str, str]) -> dict[str, list[str]]:
    """An operation without parameters in its address refuses each by its name."""
    said = "is not a parameter of this request; it takes none in its address"
    return {(name if PLAIN_NAME.fullmatch(name) else "query"): [said] for name in given}


def idempotency_key() -> str:
    """The request's key, where one is required."""
    return request.headers[HEADER]


def keyed(store_id: str, **content: Any) -> Keyed | None:
    """The write that this request asks for under its key, or None without one. ``content``: what it names and says."""
    key = request.headers.get(HEADER)
    return None if key is None else Keyed.of(store_id, str(request.endpoint), key, content)
