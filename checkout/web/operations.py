"""How an operation of the API is declared: route, schemas, example and errors in one place, validated and documented alike.

The only module that touches flask-smorest, which has no types; what leaves it is typed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Final, NoReturn, TypeVar

import flask_smorest
from flask import Blueprint, Flask, Request, g
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser

from checkout.api_keys import READ, SCOPES, WRITE
from checkout.errors import RequestRefused, ScopeMissing
from checkout.web import problems
from checkout.web.idempotency import KeyRule, note
from checkout.web.problems import Kind
from checkout.web.reading import Object, flatten, read_object
from checkout.web.requests import REQUEST_ID
from checkout.web.schemas import ProblemSchema, Strict

View = TypeVar("View", bound=Callable[..., Any])

SECURITY: Final = "storeKey"

#: The scope that a key needs, by method, where an operation names no other.
SCOPE_OF: Final[Mapping[str, str]] = {"GET": READ, "POST": WRITE, "PUT": WRITE, "DELETE": WRITE}
#: What any operation may answer.
ALWAYS: Final = (
    problems.NOT_AUTHENTICATED, problems.WRONG_SCOPE, problems.REFUSED, problems.TOO_MANY, problems.INTERNAL,
    problems.STORE_UNAVAILABLE,
)  # fmt: skip


class StrictParser(FlaskParser):
    """Reads bodies and queries by our own rules, and refuses with every bad field at once."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {"json": None, "query": RAISE}  # noqa: RUF012 - its base's form

    def load_json(self, req: Request, schema: Schema) -> Object:
        return read_object(req)

    def load_querystring(self, req: Request, schema: Schema) -> dict[str, str]:
        repeated = [name for name, values in req.args.lists() if len(values) > 1]
        g.query_problems = flatten({name: ["is there more than once"] for name in repeated}) if repeated else {}
        return req.args.to_dict()

    def handle_error(self, error: ValidationError, req: Request, schema: Schema, *_: Any, **__: Any) -> NoReturn:
        messages = error.messages
        found = flatten(next(iter(messages.values())) if isinstance(messages, dict) and messages else messages)
        if isinstance(schema, Strict):
            # what the use case would have found next, so that nobody mends a request twice
            found = {**schema.rest(error.valid_data if isinstance(error.valid_data, dict) else {}), **found}
        _refuse(found)
        raise AssertionError("a schema that refuses says why")


def _refuse(fields: Mapping[str, list[str]]) -> None:
    """Refuse what is wrong with the body's fields, the headers and the address, all at once; nothing when nothing is."""
    headers: Mapping[str, list[str]] = g.header_problems
    found = {**g.query_problems, **fields}
    if headers:
        raise problems.BadHeader({**headers, **found})
    if found:
        raise RequestRefused(found)


class Operations(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest has no types
    """A blueprint whose views are documented. ``scopes`` says what a key needs for each, by the view's name."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.scopes: dict[str, str] = {}


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
    scope: str | None = None,
    keyed: KeyRule | None = None,
    located: bool = False,
    leads_to: Mapping[str, Mapping[str, str]] | None = None,
) -> Callable[[View], View]:
    """Declare a view. ``also`` are other good statuses with the same answer; ``errors`` come on top of :data:`ALWAYS`.

    ``scope`` is what a key needs for it; None: what its method says. :func:`checkout.web.callers.guard` asks for it.
    ``keyed``: what it says of the Idempotency-Key. ``located``: a good answer's Location is the address of what was made.
    ``leads_to``: operations that take something of a good answer, and where each parameter of theirs is found.
    """
    needed = scope or SCOPE_OF[method]
    kinds = [*errors, *ALWAYS] if keyed is None else [*errors, *ALWAYS, problems.BAD_HEADER, problems.KEY_REUSED]

    def declare(view: View) -> View:
        bp.scopes[view.__name__] = needed
        shape = {"application/json": {"schema": answers, "example": dict(example)}}
        good: dict[str, Any] = {"headers": {"Location": _LOCATION}} if located else {}
        if leads_to is not None:
            good["links"] = {name: {"operationId": name, "parameters": dict(where)} for name, where in leads_to.items()}
        responses: dict[int, Any] = {status: good} if good else {}
        responses |= {code: {"description": words, "content": shape, **good} for code, words in (also or {}).items()}
        responses |= _documented(kinds, needed)
        in_path = [dict(one) for one in parameters if one["in"] == "path"]
        more = {} if keyed is None else {"parameters": [keyed.parameter()]}
        built: Any = bp.response(status, answers, example=dict(example))(_looked_through(view))
        if takes is not None:
            body = {"example": dict(request_example)} if request_example is not None else {}
            # an instance: a class would be built anew, field by field, for every request
            built = bp.arguments(takes(), location=location, **body)(built)
        built = _noting(built, keyed, takes_query=takes is not None and location == "query")
        built = bp.doc(security=[{SECURITY: [needed]}], operationId=view.__name__, responses=responses, **more)(built)
        bp.add_url_rule(rule, view.__name__, built, methods=[method], parameters=in_path)
        return view

    return declare


def _noting(view: Callable[..., Any], rule: KeyRule | None, *, takes_query: bool) -> Callable[..., Any]:
    """Look at headers and address before the body is read."""

    @wraps(view)
    def noting(*args: Any, **named: Any) -> Any:
        note(rule, takes_query=takes_query)
        return view(*args, **named)

    return noting


def _looked_through(view: Callable[..., Any]) -> Callable[..., Any]:
    """Call the view only when nothing was noted; its body's fields were good."""

    @wraps(view)
    def looked_through(*args: Any, **named: Any) -> Any:
        _refuse({})
        return view(*args, **named)

    return looked_through


def _documented(kinds: Sequence[Kind], scope: str) -> dict[int, dict[str, Any]]:
    """The problems of an operation that needs ``scope``, by status; each kind is an example."""
    found: dict[int, dict[str, Any]] = {}
    for kind in sorted(set(kinds), key=lambda one: (one.status, one.name)):
        there = found.setdefault(
            kind.status,
            {"description": "", "content": {problems.CONTENT_TYPE: {"schema": ProblemSchema, "examples": {}}}},
        )
        there["description"] = f"{there['description']} {kind.title}.".strip()
        there["content"][problems.CONTENT_TYPE]["examples"][kind.name] = {
            "summary": kind.title,
            "value": example_of(kind, scope),
        }
        if kind.retry_after_s is not None:
            wait = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
            there["headers"] = {"Retry-After": wait}
    return found


def example_of(kind: Kind, scope: str = WRITE) -> dict[str, Any]:
    """A problem of this kind as it is answered, where ``scope`` is what the operation needs."""
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
    if kind is problems.WRONG_SCOPE:
        body |= {"detail": str(ScopeMissing(scope))}
    if kind is problems.DECLINED:
        body |= {"detail": "Amount is above the limit", "payment_id": "pay_01k9z5x0c8m4v2t6r1q3w7y9ab"}
    return body | {"errors": fields.get(kind, []), "request_id": "9f1c2d7e5a3b48c6a1d0e4f7b2c9d8e3"}


#: Of every answer: the id given, or ours. Part of each operation, so written once.
_REQUEST_ID: Final = {
    "description": "The request's id, as it stands in the operator's log.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,64}$"},
}
_GIVEN_ID: Final = {
    "description": "An id of your own for this request: 1 to 64 letters, digits, `.`, `_`, `:` or `-`. It comes back in the "
    "answer and stands in the operator's log; without one, or with one of another form, the request gets an id of ours.",
    "schema": {"type": "string"},
    "example": "shop-7f3a-1",
}
_LOCATION: Final = {"description": "The address of what was made.", "schema": {"type": "string", "format": "uri"}}

_KEYS: Final = (
    "A key of the store, made by `checkout stores create` or `checkout stores key`; it belongs in this header alone. "
    "Each operation names the scope that it needs: "
    + ", ".join(f"`{scope}` ({what})" for scope, what in SCOPES.items())
    + ". A key has a limit of requests in a minute."
)


def document(app: Flask, blueprints: Sequence[Blueprint], *, public_url: str, version: str) -> dict[str, Any]:
    """Register the blueprints and return the OpenAPI 3.1 document of their operations."""
    app.config.update(API_TITLE="checkout", API_VERSION=version, OPENAPI_VERSION="3.1.0")
    api = _Api(
        app,
        spec_kwargs={
            "servers": [{"url": public_url}],
            "info": {
                "description": "Open a payment, send the shopper to its `checkout_url`, and hear by a signed notification "
                "when it is paid. Amounts are decimal text, times RFC 3339. Bodies have at most 64 kB. Every error is a "
                "problem (RFC 9457) that names every bad field; a field or parameter that does not exist is one. Every "
                "write takes an `Idempotency-Key`. Lists are newest first, and pages are cut at ids: what comes meanwhile "
                "shifts none. What stays as it is and what may be added is said at `/docs/versioning`."
            },
        },
    )
    api.spec.components.security_scheme(SECURITY, {"type": "http", "scheme": "bearer", "description": _KEYS})
    for one in blueprints:
        api.register_blueprint(one)
    api.spec.components.parameter(REQUEST_ID, "header", dict(_GIVEN_ID))
    api.spec.components.header(REQUEST_ID, dict(_REQUEST_ID))
    found: dict[str, Any] = api.spec.to_dict()
    for item in found["paths"].values():
        for described in item.values():
            if "responses" in described:
                described["responses"] = dict(sorted(described["responses"].items()))
                described.setdefault("parameters", []).append({"$ref": f"#/components/parameters/{REQUEST_ID}"})
                for response in described["responses"].values():
                    headers = response.setdefault("headers", {})
                    headers[REQUEST_ID] = {"$ref": f"#/components/headers/{REQUEST_ID}"}
    return found
