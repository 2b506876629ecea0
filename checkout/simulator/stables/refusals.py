"""How Stables says no, in each of the shapes its documentation and its sandbox show.

The OpenAPI and the 401 sample are flat (``statusCode, error, message``); the documentation's prose nests
everything under ``error``; the sandbox was OBSERVED to add ``code`` and ``fields[]`` to the flat form.
Which one a live account gets is UNKNOWN, so the shape is a switch and only ``flat`` matches the published
OpenAPI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from checkout.errors import CheckoutError

#: CONFIRMED (docs, errors): the codes of the nested form.
_NESTED_CODES: Final = MappingProxyType(
    {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 422: "validation_error"}
)


class Refusal(CheckoutError):
    """A request is answered with an error; ``fields`` are (field path, what is wrong with it)."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        fields: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.fields = tuple(fields)
        self.headers = dict(headers or {})


def flat(status: int, message: str) -> dict[str, Any]:
    """The OpenAPI's error body."""
    # Newer Pythons call 422 "Unprocessable Content"; the provider's constant is the older phrase.
    phrase = "Unprocessable Entity" if status == 422 else HTTPStatus(status).phrase
    return {"statusCode": status, "error": phrase, "message": message}


def error_body(refusal: Refusal, shape: str, *, fields_documented: bool) -> dict[str, Any]:
    """The body of a refusal. ``fields_documented``: the OpenAPI lets this operation's 400 list fields."""
    fields = [{"field": name, "message": reason} for name, reason in refusal.fields]
    if refusal.status == 401:
        return flat(401, refusal.message)  # CONFIRMED (docs, authentication): the one error with a sample
    if shape == "nested":
        code = refusal.code or _NESTED_CODES.get(refusal.status, "internal_error")
        details: dict[str, Any] = {"fields": fields} if fields else {}
        return {"error": {"code": code, "message": refusal.message, "details": details}}
    if shape == "code_fields":
        body = flat(refusal.status, refusal.message)
        if refusal.code:
            body["code"] = refusal.code
        if fields:
            body["fields"] = fields
        return body
    body = flat(refusal.status, f"{refusal.code}: {refusal.message}" if refusal.code else refusal.message)
    if fields and fields_documented and refusal.status == 400:
        body["fields"] = fields
    return body
