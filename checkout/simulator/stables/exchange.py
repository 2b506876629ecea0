"""One request and its answer: who asks, under which key, and what goes wrong on the way.

The order is the provider's, as far as it is known: authentication, rate limit, key, work. A key is claimed
before the work and given its answer after it, so that the same key twice at once does the work once.
"""

from __future__ import annotations

import hmac
import json
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Literal

from flask import Response, request

from checkout.simulator.stables.faults import FaultKind, FaultStrike
from checkout.simulator.stables.fields import UUID4_PATTERN
from checkout.simulator.stables.memory import Kept
from checkout.simulator.stables.refusals import Refusal, error_body, flat
from checkout.simulator.stables.state import StablesState

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: What an operation does: answers (status, JSON) or raises a Refusal.
Work = Callable[[], tuple[int, Any]]
#: Whether an operation takes an Idempotency-Key.
Keyed = Literal["required", "optional", "ignored"]

#: Set in the environment of a request whose connection is to be lost without an answer.
DROP: Final = "checkout.simulator.drop"
_GATEWAY_PAGE: Final = b"<html><head><title>503</title></head><body>upstream unavailable</body></html>"
_GARBAGE: Final = b"<!doctype html><title>Please wait</title><p>Checking your browser"

_BEFORE: Final = frozenset({FaultKind.RATE_LIMITED, FaultKind.ERROR_503_BEFORE, FaultKind.DROP_BEFORE})


def encode(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def answered(kept: Kept) -> Response:
    return Response(kept.body, kept.status, content_type="application/json; charset=utf-8")


def body_json() -> Any:
    """The request's JSON. :class:`Refusal` 415 for another type, 400 for what is not JSON."""
    if not request.is_json:
        raise Refusal(415, f"Unsupported Media Type: {request.content_type or 'none'}")
    try:
        return json.loads(request.get_data(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal(400, "Body is not valid JSON") from None


def _no_constant(name: str) -> None:
    raise ValueError(name)


class Exchange:
    """Serves the requests of one port."""

    def __init__(self, state: StablesState) -> None:
        self._state = state

    def authenticate(self) -> Response | None:
        """None for the right key in either header; the documented 401 otherwise."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        offered = token.strip() if scheme.lower() == "bearer" else request.headers.get("X-Api-Key", "")
        expected = self._state.around.options.stables_api_key
        if offered and hmac.compare_digest(offered.encode(), expected.encode()):
            return None
        return answered(Kept(401, encode(flat(401, "Invalid API key"))))

    def serve(self, work: Work, *, keyed: Keyed = "ignored", fields_documented: bool = False) -> Response:
        """Do ``work`` once per key and answer it, unless a fault is armed for this path.

        ``fields_documented``: whether the OpenAPI lets this operation's 400 list its bad fields.
        """
        fault = self._state.faults.meet(request.method, request.path)
        if fault is not None and (early := self._early(fault)) is not None:
            return early
        try:
            response = self._once(work, keyed, fault, fields_documented)
        except Refusal as refusal:
            response = self.refused(refusal, fields_documented=fields_documented)
        return response if fault is None else self._late(fault, response)

    def refused(self, refusal: Refusal, *, fields_documented: bool = False) -> Response:
        """A refusal in the shape the switch says."""
        response = answered(self._kept_refusal(refusal, fields_documented))
        response.headers.extend(refusal.headers)
        return response

    def _kept_refusal(self, refusal: Refusal, fields_documented: bool) -> Kept:
        shape = self._state.switches.error_shape
        return Kept(refusal.status, encode(error_body(refusal, shape, fields_documented=fields_documented)))

    def _once(self, work: Work, keyed: Keyed, fault: FaultStrike | None, fields_documented: bool) -> Response:
        key = None if keyed == "ignored" else _key(required=keyed == "required")
        if key is None:
            return answered(self._do(work, fault, fields_documented))
        memory, switches = self._state.memory, self._state.switches
        stored = memory.begin(key, request.method, request.path, request.get_data(), switches)
        if stored is not None:
            return answered(stored)
        try:
            kept = self._do(work, fault, fields_documented)
        except BaseException:
            memory.forget(key)
            raise
        if kept.status < 500 or switches.keeps_500:
            memory.finish(key, kept)
        else:
            memory.forget(key)
        return answered(kept)

    def _do(self, work: Work, fault: FaultStrike | None, fields_documented: bool) -> Kept:
        broken = Kept(500, encode(flat(500, "An unexpected error occurred")))
        if fault is not None and fault.kind is FaultKind.ERROR_500_BEFORE:
            return broken
        try:
            status, document = work()
            kept = Kept(status, encode(document))
        except Refusal as refusal:
            kept = self._kept_refusal(refusal, fields_documented)
        return broken if fault is not None and fault.kind is FaultKind.ERROR_500_AFTER else kept

    def _early(self, fault: FaultStrike) -> Response | None:
        """What a fault does before the key is looked at; None: go on."""
        if fault.kind is FaultKind.HANG_BEFORE:
            self._state.around.stopping.wait(fault.value)
        if fault.kind not in _BEFORE:
            return None
        if fault.kind is FaultKind.RATE_LIMITED:
            retry_after = {"Retry-After": str(int(fault.value))}
            return self.refused(Refusal(429, "Too many requests", headers=retry_after))
        if fault.kind is FaultKind.DROP_BEFORE:
            request.environ[DROP] = True
        return Response(_GATEWAY_PAGE, 503, content_type="text/html")

    def _late(self, fault: FaultStrike, response: Response) -> Response:
        """What a fault makes of the finished answer."""
        match fault.kind:
            case FaultKind.HANG_AFTER:
                self._state.around.stopping.wait(fault.value)
            case FaultKind.DROP_AFTER:
                request.environ[DROP] = True
            case FaultKind.ERROR_503_AFTER:
                return Response(_GATEWAY_PAGE, 503, content_type="text/html")
            case FaultKind.GARBAGE:
                return Response(_GARBAGE, 200, content_type="text/html")
            case FaultKind.INCOMPLETE:
                return answered(Kept(response.status_code, b"{}"))
            case _:
                pass
        return response


def _key(*, required: bool) -> str | None:
    """The Idempotency-Key, a UUID v4 (docs). :class:`Refusal` 400 when missing or of another form."""
    key = request.headers.get("Idempotency-Key")
    if key is None and not required:
        return None
    if key is None:
        raise Refusal(400, "headers must have required property 'idempotency-key'")
    if UUID4_PATTERN.fullmatch(key) is None:
        raise Refusal(400, "headers/idempotency-key must be a UUID v4")
    return key.lower()


class Dropping:
    """Ends a connection without a byte when the request says so: the server below treats it as gone."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        chunks = self._application(environ, start_response)
        if environ.get(DROP):
            raise ConnectionAbortedError("dropped, as a fault asked")
        return chunks


def correlate(response: Response) -> Response:
    """OBSERVED: every answer carries an id that the provider's support can look up."""
    response.headers["x-correlation-id"] = str(uuid.uuid4())
    return response
