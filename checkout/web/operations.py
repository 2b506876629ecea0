"""How an operation of the API is declared: route, schemas, example and errors in one place, validated and documented alike.

The only module that touches flask-smorest, which has no types; what leaves it is typed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeVar

import flask_smorest
from flask import Blueprint, Flask, Request, g
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser

from checkout.errors import RequestRefused
from checkout.web import problems
from checkout.web.problems import Kind
from checkout.web.reading import Object, flatten, read_object
from checkout.web.schemas import ProblemSchema

View = TypeVar("View", bound=Callable[..., Any])

SECURITY: Final = "storeKey"

#: What any operation may answer.
ALWAYS: Final = (problems.NOT_AUTHENTICATED, problems.INTERNAL, problems.STORE_UNAVAILABLE)


class StrictParser(FlaskParser):
    """Reads bodies and queries by our own rules, and refuses with every bad field at once."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {"json": None, "query": RAISE}  # noqa: RUF012 - its base's form

    def load_json(self, req: Request, schema: Schema) -> Object:
        return read_object(req)

    def load_querystring(self, req: Request, schema: Schema) -> dict[str, str]:
        repeated = [name for name, values in req.args.lists() if len(values) > 1]
        if repeated:
            raise RequestRefused(flatten({name: ["is there more than once"] for name in repeated}))
        return req.args.to_dict()

    def handle_error(self, error: ValidationError, *_: Any, **__: Any) -> NoReturn:
        messages = error.messages
        found = flatten(next(iter(messages.values())) if isinstance(messages, dict) and messages else messages)
        headers: Mapping[str, list[str]] = g.get("header_problems") or {}
        if headers:
            raise problems.BadHeader({**headers, **found})
        raise RequestRefused(found)


class Operations(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest has no types
    """A blueprint whose views are documented."""

    ARGUMENTS_PARSER = StrictParser()


class _Api(flask_smorest.Api):  # type: ignore[misc]  # the same
    """The document. Errors are :mod:`checkout.web.problems`' to answer."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """Leave them: one table answers errors, for every blueprint."""

    def _register_responses(self) -> None:
        """Leave them: each operation documents its own, and nothing unused is in the document."""

    _register_etag_headers = _register_pagination_header = _register_responses


def blueprint(name: str, *, prefix: str, description: str) -> Operations:
    return Operations(name, __name__, url_prefix=prefix, description=description)


def operation(
    bp: Operations,
    method: str,
    rule: str,
    *,
    answers: type[Schema],
    example: Mapping[str, Any],
    errors: Sequence[Kind],
    status: int = 200,
    also: Mapping[int, str] | None = None,
    takes: type[Schema] | None = None,
    location: str = "json",
    request_example: Mapping[str, Any] | None = None,
    parameters: Sequence[Mapping[str, Any]] = (),
) -> Callable[[View], View]:
    """Declare a view. ``also`` are other good statuses with the same answer; ``errors`` come on top of :data:`ALWAYS`."""

    def declare(view: View) -> View:
        shape = {"application/json": {"schema": answers, "example": dict(example)}}
        responses: dict[int, Any] = {
            code: {"description": words, "content": shape} for code, words in (also or {}).items()
        }
        responses |= _documented([*errors, *ALWAYS])
        in_path = [dict(one) for one in parameters if one["in"] == "path"]
        others = [dict(one) for one in parameters if one["in"] != "path"]
        more = {"parameters": others} if others else {}
        built: Any = bp.response(status, answers, example=dict(example))(view)
        if takes is not None:
            body = {"example": dict(request_example)} if request_example is not None else {}
            # an instance: a class would be built anew, field by field, for every request
            built = bp.arguments(takes(), location=location, **body)(built)
        built = bp.doc(security=[{SECURITY: []}], operationId=view.__name__, responses=responses, **more)(built)
        bp.add_url_rule(rule, view.__name__, built, methods=[method], parameters=in_path)
        return view

    return declare


def _documented(kinds: Sequence[Kind]) -> dict[int, dict[str, Any]]:
    """The problems of an operation, by status; each kind is an example."""
    found: dict[int, dict[str, Any]] = {}
    for kind in sorted(set(kinds), key=lambda one: (one.status, one.name)):
        there = found.setdefault(
            kind.status,
            {"description": "", "content": {problems.CONTENT_TYPE: {"schema": ProblemSchema, "examples": {}}}},
        )
        there["description"] = f"{there['description']} {kind.title}.".strip()
        there["content"][problems.CONTENT_TYPE]["examples"][kind.name] = {
            "summary": kind.title,
            "value": example_of(kind),
        }
        if kind.retry_after_s is not None:
            wait = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
            there["headers"] = {"Retry-After": wait}
    return found


def example_of(kind: Kind) -> dict[str, Any]:
    """A problem of this kind as it is answered."""
    fields = {
        problems.REFUSED: [{"field": "amount", "message": "EUR has at most 2 digits after the point"}],
        problems.BAD_HEADER: [{"field": "Idempotency-Key", "message": "is required"}],
    }
    body: dict[str, Any] = {
        "type": problems.TYPE_BASE + kind.name,
        "title": kind.title,
        "status": kind.status,
        "detail": kind.meaning,
    }
    if kind is problems.DECLINED:
        body |= {"detail": "Amount is above the limit", "payment_id": "pay_01k9z5x0c8m4v2t6r1q3w7y9ab"}
    return body | {"errors": fields.get(kind, []), "request_id": "9f1c2d7e5a3b48c6a1d0e4f7b2c9d8e3"}


def document(app: Flask, blueprints: Sequence[Blueprint], *, public_url: str, version: str) -> dict[str, Any]:
    """Register the blueprints and return the OpenAPI 3.1 document of their operations."""
    app.config.update(API_TITLE="checkout", API_VERSION=version, OPENAPI_VERSION="3.1.0")
    api = _Api(
        app,
        spec_kwargs={
            "servers": [{"url": public_url}],
            "info": {
                "description": "Open a payment, send the shopper to its `checkout_url`, and hear by a signed notification "
                "when it is paid. Amounts are decimal text. Bodies have at most 64 kB. Every error is a problem (RFC 9457) "
                "that names every bad field."
            },
        },
    )
    api.spec.components.security_scheme(
        SECURITY, {"type": "http", "scheme": "bearer", "description": "A key of the store (`checkout stores create`)."}
    )
    for one in blueprints:
        api.register_blueprint(one)
    found: dict[str, Any] = api.spec.to_dict()
    for item in found["paths"].values():
        for described in item.values():
            if "responses" in described:
                described["responses"] = dict(sorted(described["responses"].items()))
    return found
