"""The API's description: `/openapi.json` for programs and `/docs` for people, both from the document that validates.

Built once at start and served as it is; the page is plain HTML of ours, with nothing from anywhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from flask import Blueprint, Flask, Response, current_app, render_template

from checkout.web import problems
from checkout.web.guides import GUIDES
from checkout.web.operations import SECURITY, example_of
from checkout.web.pages import compressed, guard

bp = Blueprint("documentation", __name__)
_METHODS: Final = ("post", "get", "put", "delete")


def install(app: Flask, document: Mapping[str, Any]) -> None:
    """Serve the document."""
    app.extensions["checkout-openapi"] = (document, json.dumps(document, indent=1).encode())
    app.register_blueprint(bp)


@bp.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI 3.1 document."""
    return Response(current_app.extensions["checkout-openapi"][1], content_type="application/json")


@bp.get("/docs")
def docs() -> Response:
    """The same, to read."""
    document = current_app.extensions["checkout-openapi"][0]
    page = render_template(
        "docs/page.html",
        info=document["info"],
        guides=GUIDES,
        server=document["servers"][0]["url"],
        operations=list(operations(document)),
        schemas=[(name, list(fields(schema))) for name, schema in document["components"]["schemas"].items()],
        kinds=[(kind, pretty(example_of(kind))) for kind in problems.KINDS],
    )
    return compressed(guard(Response(page, content_type="text/html; charset=utf-8")))


def operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each operation as the page shows it."""
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method not in item:
                continue
            found = item[method]
            body = found.get("requestBody", {}).get("content", {}).get("application/json", {})
            yield {
                "id": found["operationId"],
                "method": method.upper(),
                "path": path,
                "summary": found.get("summary", ""),
                "description": found.get("description", ""),
                "scopes": [scope for one in found["security"] for scope in one[SECURITY]],
                "parameters": [
                    _whole(document, one) for one in (*item.get("parameters", ()), *found.get("parameters", ()))
                ],
                "takes": _name(body.get("schema", {})),
                "asked": pretty(body["example"]) if "example" in body else None,
                "answers": list(_answers(found["responses"])),
            }


def _whole(document: Mapping[str, Any], parameter: Mapping[str, Any]) -> Mapping[str, Any]:
    """A parameter, wherever it is written."""
    if "$ref" not in parameter:
        return parameter
    found: Mapping[str, Any] = document["components"]["parameters"][_name(parameter)]
    return found


def _answers(responses: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for status, response in sorted(responses.items()):
        content = response.get("content", {})
        shape: Mapping[str, Any] = next(iter(content.values()), {})
        yield {
            "status": status,
            "description": response["description"],
            "example": pretty(shape["example"]) if "example" in shape else None,
            "shape": _name(shape.get("schema", {})),
            "kinds": list(shape.get("examples", {})),
        }


def fields(schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The fields of a schema: name, type in words, whether required, description."""
    required: Sequence[str] = schema.get("required", ())
    for name, shape in schema.get("properties", {}).items():
        yield {
            "name": name,
            "type": _type(shape),
            "required": name in required,
            "description": shape.get("description", ""),
            "choices": [one for one in shape.get("enum", ()) if one is not None],
        }


def _type(shape: Mapping[str, Any]) -> str:
    """``string or null``, ``list of Payment``."""
    if "$ref" in shape:
        return _name(shape)
    for word in ("anyOf", "allOf"):
        if word in shape:
            return " or ".join(_type(one) for one in shape[word])
    kind = shape.get("type", "value")
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    return f"list of {_type(shape['items'])}" if kind == "array" else words


def _name(shape: Mapping[str, Any]) -> str:
    return str(shape.get("$ref", "")).rpartition("/")[2]


def pretty(value: object) -> str:
    """JSON to read."""
    return json.dumps(value, indent=2, ensure_ascii=False)
