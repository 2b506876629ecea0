"""Every refusal and failure of the API in one form, RFC 9457, and the one table from our errors to statuses.

A problem says what the caller can do about it. What went wrong inside is for the log, under the same request id; an
exception's own message reaches neither, because nobody knows what it quotes.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

import structlog
from flask import Response, g, request
from werkzeug.exceptions import BadRequest, HTTPException

from checkout import errors

CONTENT_TYPE: Final = "application/problem+json"
#: Where each type is explained: ``/docs#session-declined``. The same text in every installation.
TYPE_BASE: Final = "/docs#"
#: Bad fields named in one answer; the rest are found when these are mended.
FIELDS_MAX: Final = 100
_FRAMES_MAX: Final = 12

log = structlog.get_logger("checkout.web")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem. ``meaning`` is a sentence for the documentation and the usual detail."""

    name: str
    status: int
    title: str
    meaning: str
    retry_after_s: int | None = None


UNREADABLE: Final = Kind(
    "unreadable", 400, "The request cannot be read", "The body is not one JSON object in UTF-8, or was cut short."
)
BAD_HEADER: Final = Kind(
    "bad-header", 400, "A header is missing or wrong", "A header that this operation needs is missing or wrong."
)
NOT_AUTHENTICATED: Final = Kind(
    "not-authenticated", 401, "Not authenticated",
    "Send a key of the store as `Authorization: Bearer …`; the one sent is missing, wrong or revoked.",
)  # fmt: skip
NOT_ACCEPTED: Final = Kind("not-accepted", 401, "Not accepted", "The delivery was not accepted.")
FORBIDDEN: Final = Kind("forbidden", 403, "Not from here", "Ask from the machine itself, or with the token.")
WRONG_SCOPE: Final = Kind(
    "wrong-scope", 403, "The key is for something else",
    "This needs a key of another scope, which the detail names; `checkout stores key STORE --scope …` makes one.",
)  # fmt: skip
TOO_MANY: Final = Kind(
    "too-many-requests", 429, "Too many requests with this key",
    "The key's requests of this minute are used up. Nothing was stored. Ask again after Retry-After, with the same "
    "Idempotency-Key; `checkout stores key STORE --per-minute N` makes a key that may ask more often.", 30,
)  # fmt: skip
NOT_FOUND: Final = Kind("not-found", 404, "Not found", "There is no such thing, or it belongs to another store.")
METHOD: Final = Kind(
    "method-not-allowed", 405, "Method not allowed", "The header Allow lists the methods of this path."
)
NOT_POSSIBLE: Final = Kind(
    "not-possible", 409, "Not possible now", "The state of the payment does not allow this; the detail says why."
)
KEY_REUSED: Final = Kind(
    "idempotency-key-reused", 409, "Idempotency-Key used before",
    "This Idempotency-Key was used with other content; use a new key for another request.",
)  # fmt: skip
TOO_LARGE: Final = Kind("too-large", 413, "The body is too large", "A body may have 64 kB (65,536 bytes).")
MEDIA_TYPE: Final = Kind("unsupported-media-type", 415, "Not JSON", "Send the body as application/json.")
REFUSED: Final = Kind(
    "request-refused", 422, "The request has bad fields",
    "Each bad field is in `errors`, with what to write instead. Nothing was stored.",
)  # fmt: skip
DECLINED: Final = Kind(
    "session-declined", 422, "The payment provider declined the session",
    "The payment exists (`payment_id`) but the provider refused to open a page for it, in the words of the detail. "
    "Mend the cause and ask for a fresh session, or open a payment under a new Idempotency-Key.",
)  # fmt: skip
INTERNAL: Final = Kind(
    "internal-error", 500, "Something went wrong here",
    "This is our mistake. Asking again with the same Idempotency-Key is safe; tell the operator the request id.",
)  # fmt: skip
LOST_RACE: Final = Kind(
    "lost-race", 503, "Somebody else was faster", "The payment changed at the same moment. Ask again.", 1
)
STORE_UNAVAILABLE: Final = Kind(
    "database-unavailable", 503, "The database is busy or cannot be reached",
    "Nothing was stored. Ask again after Retry-After, with the same Idempotency-Key.", 2,
)  # fmt: skip
BUSY: Final = Kind(
    "busy", 503, "Too many requests at once",
    "Too many requests of this kind are under way. Nothing was stored. Ask again after Retry-After.", 2,
)  # fmt: skip

KINDS: Final = (
    UNREADABLE, BAD_HEADER, NOT_AUTHENTICATED, NOT_ACCEPTED, FORBIDDEN, WRONG_SCOPE, NOT_FOUND, METHOD, NOT_POSSIBLE,
    KEY_REUSED, TOO_MANY,
    TOO_LARGE, MEDIA_TYPE, REFUSED, DECLINED, INTERNAL, LOST_RACE, STORE_UNAVAILABLE, BUSY,
)  # fmt: skip

#: Our errors and what they are over HTTP. Whatever is not here, or below something that is, is a mistake of ours.
TABLE: Final[Mapping[type[Exception], Kind]] = MappingProxyType(
    {
        errors.RequestRefused: REFUSED,
        errors.AmountRefused: REFUSED,
        errors.NotAuthenticated: NOT_AUTHENTICATED,
        errors.NotPermitted: WRONG_SCOPE,
        errors.TooManyRequests: TOO_MANY,
        errors.NotFound: NOT_FOUND,
        errors.NotPossible: NOT_POSSIBLE,
        errors.IdempotencyReused: KEY_REUSED,
        errors.LostRace: LOST_RACE,
        errors.StoreUnavailable: STORE_UNAVAILABLE,
        errors.ProviderCallsBusy: BUSY,
    }
)

#: Flask's own refusals.
BY_STATUS: Final = MappingProxyType({400: UNREADABLE, 404: NOT_FOUND, 405: METHOD, 413: TOO_LARGE, 415: MEDIA_TYPE})


class BadHeader(BadRequest):
    """A header is missing or wrong; ``fields`` may name what is wrong with the body as well."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.fields = fields


def kind_of(error: Exception) -> Kind:
    """The row of the table for an error; the nearest class counts."""
    return next((TABLE[cls] for cls in type(error).__mro__ if cls in TABLE), INTERNAL)


def problem(
    kind: Kind,
    *,
    detail: str | None = None,
    fields: Mapping[str, Sequence[str]] | None = None,
    retry_after_s: int | None = None,
    **extensions: str,
) -> Response:
    """The answer. ``detail`` must be fit for the caller: our own words, or the provider's."""
    body: dict[str, Any] = {
        "type": "about:blank" if kind.name == "http" else TYPE_BASE + kind.name,
        "title": kind.title,
        "status": kind.status,
        "detail": detail or kind.meaning,
        **extensions,
        "errors": field_list(fields or {}),
        "request_id": g.get("request_id"),
    }
    response = Response(json.dumps(body), status=kind.status, content_type=CONTENT_TYPE)
    wait = retry_after_s or kind.retry_after_s
    if wait is not None:
        response.headers["Retry-After"] = str(wait)
    if kind is NOT_AUTHENTICATED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="checkout"'
    return response


def field_list(fields: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Field by field, one entry a reason."""
    found = [{"field": name, "message": reason} for name, reasons in fields.items() for reason in reasons]
    return found[:FIELDS_MAX]


def answer_error(error: errors.CheckoutError) -> Response:
    """The problem of one of our own errors."""
    kind = kind_of(error)
    if kind is INTERNAL:
        return answer_failure(error)
    if isinstance(error, errors.RequestRefused):
        return problem(kind, fields=error.fields)
    if isinstance(error, errors.AmountRefused):
        return problem(kind, fields={"amount": [str(error)]})
    if isinstance(error, errors.NotPossible | errors.KeyOutOfPlace | errors.ScopeMissing):
        return problem(kind, detail=str(error))
    if isinstance(error, errors.ProviderCallsBusy | errors.TooManyRequests):
        return problem(kind, retry_after_s=error.retry_after_s)
    return problem(kind)


def answer_http(error: HTTPException) -> Response:
    """The problem of a refusal that Flask, Werkzeug or our reading raised."""
    if error.response is not None and isinstance(error.response, Response):
        return error.response
    status = error.code or 500
    if isinstance(error, BadHeader):
        return problem(BAD_HEADER, fields=error.fields)
    kind = BY_STATUS.get(status)
    if kind is None:
        if status >= 500:
            return answer_failure(error)
        kind = Kind("http", status, HTTPStatus(status).phrase, HTTPStatus(status).description or "Not accepted.")
    # the words of our reading name the place; those of the framework are for browsers
    response = problem(kind, detail=error.description if kind in (UNREADABLE, MEDIA_TYPE) else None)
    allow = dict(error.get_headers()).get("Allow")
    if allow is not None:
        response.headers["Allow"] = allow
    return response


def answer_failure(error: Exception) -> Response:
    """Our mistake: the caller learns the request id, the log the type and the place. Neither sees the message."""
    note_failure(error)
    return problem(INTERNAL)


def note_failure(error: Exception) -> None:
    """One line of log for an exception nobody expected."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]
    log.error(
        "request failed",
        request_id=g.get("request_id"),
        route=request.url_rule.rule if request.url_rule else None,
        error_type=f"{type(error).__module__}.{type(error).__qualname__}",
        where=[f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames],
    )


def _short(filename: str) -> str:
    return "/".join(filename.split("/")[-3:])
