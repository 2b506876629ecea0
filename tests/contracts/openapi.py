"""Checks recorded requests and answers against the provider's published OpenAPI, plus our overlay where it
is in use.

Requests are held to the letter: what the document does not name may not be sent. Answers are held to it as
published. The overlay (``checkout/providers/stables_overlay.json``) adds what the provider does beyond its
document, each addition with its source; without it this module checks the published document alone.
"""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry
from referencing.jsonschema import DRAFT202012

HERE: Final = Path(__file__).parent
DOCUMENT: Final = HERE / "stables-openapi.json"
OVERLAY: Final = HERE.parents[1] / "checkout" / "providers" / "stables_overlay.json"

#: Longer bodies may have been cut by the recorder; the rest of the exchange is still checked.
BODY_CHARS_MAX: Final = 65_536
_METHODS: Final = frozenset({"get", "put", "post", "patch", "delete"})
_STEP: Final = re.compile(r"\.(\*|[A-Za-z_$][\w$-]*)|\['([^']+)'\]|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the document and the paths that reach it."""

    method: str
    template: str
    pattern: re.Pattern[str]
    operation: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.template}"


class Contract:
    """The provider's promise about its requests and answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        closed = copy.deepcopy(document)
        _close(closed)
        self._documents: Registry[Any] = Registry[Any]().with_resources(
            [
                ("urn:answers", DRAFT202012.create_resource(document)),
                ("urn:requests", DRAFT202012.create_resource(closed)),
            ]
        )
        self._validators: dict[tuple[str, ...], Draft202012Validator] = {}
        self.routes = tuple(sorted(_routes(document), key=lambda route: route.template.count("{")))

    @classmethod
    def load(cls, *, overlay: bool = True) -> Contract:
        """The published document, by default with the overlay applied."""
        document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
        if overlay:
            apply_overlay(document, json.loads(OVERLAY.read_text(encoding="utf-8")))
        return cls(document)

    def route(self, method: str, path: str) -> Route | None:
        """The operation that answers this request; of two, the one with fewer variables in its path."""
        return next((one for one in self.routes if one.method == method.lower() and one.pattern.fullmatch(path)), None)

    def problems(self, exchange: Mapping[str, Any]) -> list[str]:
        """Everything wrong with one recorded exchange, in sentences without its values.

        Looked at: ``method``, ``path``, ``query`` (text or mapping), ``headers``, ``body``, ``status``,
        ``answer``.
        """
        route = self.route(str(exchange["method"]), str(exchange["path"]))
        if route is None:
            return [f"{exchange['method']} {exchange['path']}: the document has no such operation"]
        found = [*self._request(route, exchange), *self._answer(route, exchange)]
        return [f"{route.name}: {problem}" for problem in found]

    def _request(self, route: Route, exchange: Mapping[str, Any]) -> Iterator[str]:
        given = {
            "query": _query(exchange.get("query")),
            "header": [(name.lower(), value) for name, value in dict(exchange.get("headers") or {}).items()],
            "path": _path_values(route, str(exchange["path"])),
        }
        parameters = list(enumerate(route.operation.get("parameters", [])))
        for place in ("path", "query"):
            known = {one["name"] for _, one in parameters if one["in"] == place}
            for name, count in Counter(name for name, _ in given[place]).items():
                if name not in known:
                    yield f"the {place} parameter {name} is not in the document"
                if count > 1:
                    yield f"the {place} parameter {name} is given {count} times"
        for number, parameter in parameters:
            name = parameter["name"]
            values = [value for key, value in given[parameter["in"]] if key == name]
            if not values and parameter.get("required"):
                yield f"the {parameter['in']} parameter {name} is missing"
            pointer = (*_pointer(route), "parameters", str(number), "schema")
            for value in values:
                for problem in self._errors("urn:requests", pointer, _typed(value, parameter["schema"])):
                    yield f"the {parameter['in']} parameter {name} {problem}"
        yield from self._request_body(route, _text(exchange.get("body")))

    def _request_body(self, route: Route, body: str) -> Iterator[str]:
        declared = route.operation.get("requestBody")
        if declared is None:
            if body:
                yield "a body was sent, and the document has none"
            return
        if not body:
            if declared.get("required"):
                yield "the body is missing"
            return
        value, problem = _parsed(body)
        if problem is not None:
            yield f"the request body {problem}"
        elif value is not _CUT:
            pointer = (*_pointer(route), "requestBody", "content", "application/json", "schema")
            for error in self._errors("urn:requests", pointer, value):
                yield f"the request body {error}"

    def _answer(self, route: Route, exchange: Mapping[str, Any]) -> Iterator[str]:
        status = exchange.get("status")
        if status is None:
            return  # the caller or the answer was killed: there is nothing to check
        responses = route.operation["responses"]
        keys = [key for key in (str(status), "default") if key in responses]
        if int(status) < 400:
            keys = [key for key in keys if key != "default"]
        if not keys:
            yield f"the status {status} is not in the document"
            return
        value, problem = _parsed(_text(exchange.get("answer")))
        if problem is not None:
            yield f"the answer {problem}"
        elif value is not _CUT:
            errors = [self._answer_errors(route, key, value) for key in keys]
            if all(errors):
                yield from (f"the answer {status} {error}" for error in errors[0])

    def _answer_errors(self, route: Route, key: str, value: object) -> list[str]:
        pointer = (*_pointer(route), "responses", key, "content", "application/json", "schema")
        return list(self._errors("urn:answers", pointer, value))

    def _errors(self, document: str, pointer: tuple[str, ...], value: object) -> Iterator[str]:
        validator = self._validators.get((document, *pointer))
        if validator is None:
            fragment = "/".join(step.replace("~", "~0").replace("/", "~1") for step in pointer)
            validator = Draft202012Validator(
                {"$ref": f"{document}#/{fragment.replace('{', '%7B').replace('}', '%7D')}"},
                registry=self._documents,
                format_checker=Draft202012Validator.FORMAT_CHECKER,
            )
            self._validators[document, *pointer] = validator
        for error in validator.iter_errors(value):
            yield _sentence(error)


def check_exchanges(exchanges: Iterable[Mapping[str, Any]], *, overlay: bool = True) -> Counter[str]:
    """Assert that every exchange keeps the contract; how many of each operation were checked."""
    contract = loaded(overlay=overlay)
    problems: list[str] = []
    checked: Counter[str] = Counter()
    for exchange in exchanges:
        problems += contract.problems(exchange)
        route = contract.route(str(exchange["method"]), str(exchange["path"]))
        if route is not None:
            checked[route.name] += 1
    assert not problems, "\n".join(dict.fromkeys(problems))
    return checked


@cache
def loaded(*, overlay: bool = True) -> Contract:
    """One contract per process: compiling the validators takes longer than most tests."""
    return Contract.load(overlay=overlay)


def apply_overlay(document: dict[str, Any], overlay: Mapping[str, Any]) -> None:
    """Apply an OpenAPI Overlay 1.0 in place: objects merge, an array gains an entry; targets must exist."""
    for action in overlay["actions"]:
        targets = list(select(document, action["target"]))
        if not targets:
            raise ValueError(f"the overlay's target {action['target']} is not in the document")
        for target in targets:
            update = copy.deepcopy(action["update"])
            if isinstance(target, list):
                target.append(update)
            else:
                _merge(target, update)


def select(document: Any, path: str) -> Iterator[Any]:
    """What the part of JSONPath used in the overlay selects: ``$.name``, ``['name']``, ``[0]``, ``.*``."""
    steps = list(_STEP.finditer(path, 1))
    if not path.startswith("$") or "".join(step[0] for step in steps) != path[1:]:
        raise ValueError(f"{path} is more of JSONPath than is understood here")
    places = [document]
    for step in steps:
        found = []
        for place in places:
            if step[1] == "*":
                found += list(place.values()) if isinstance(place, dict) else list(place)
            elif step[3] is not None:
                found += place[int(step[3]) : int(step[3]) + 1]
            elif (step[1] or step[2]) in place:
                found.append(place[step[1] or step[2]])
        places = found
    yield from places


def _merge(target: dict[str, Any], update: Mapping[str, Any]) -> None:
    for name, value in update.items():
        if isinstance(value, dict) and isinstance(target.get(name), dict):
            _merge(target[name], value)
        else:
            target[name] = value


def _routes(document: Mapping[str, Any]) -> Iterator[Route]:
    for template, item in document["paths"].items():
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))
        for method, operation in item.items():
            if method in _METHODS:
                yield Route(method, template, re.compile(pattern), operation)


def _close(value: Any) -> None:
    """An object with named properties takes no others: what is not in the document is not sent."""
    match value:
        case dict():
            if isinstance(value.get("properties"), dict):
                value.setdefault("additionalProperties", False)
            for item in value.values():
                _close(item)
        case list():
            for item in value:
                _close(item)


def _pointer(route: Route) -> tuple[str, ...]:
    return ("paths", route.template, route.method)


def _path_values(route: Route, path: str) -> list[tuple[str, str]]:
    match = route.pattern.fullmatch(path)
    return [(name, unquote(value)) for name, value in (match.groupdict() if match else {}).items()]


def _query(query: object) -> list[tuple[str, str]]:
    if isinstance(query, Mapping):
        return [(str(name), str(value)) for name, value in query.items()]
    return parse_qsl(_text(query), keep_blank_values=True, strict_parsing=False)


def _typed(value: str, schema: Mapping[str, Any]) -> object:
    if schema.get("type") == "integer" and re.fullmatch(r"-?[0-9]+", value):
        return int(value)
    return value


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return "" if value is None else str(value)


_CUT: Final = object()


def _parsed(text: str) -> tuple[object, str | None]:
    if len(text) >= BODY_CHARS_MAX:
        return _CUT, None
    try:
        return json.loads(text, parse_float=Decimal), None
    except ValueError:
        return None, "is not JSON"


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else []


def _sentence(error: ValidationError) -> str:
    """Where and which rule, never the value: it may be personal."""
    nearest = best_match(error.context) if error.context else None
    deepest = nearest if nearest is not None else error
    place = ".".join(str(step) for step in deepest.absolute_path) or "itself"
    match deepest.validator:
        case "required" | "additionalProperties" | "type" | "enum" | "const" | "pattern" | "format":
            missing = ""
            if deepest.validator == "required" and isinstance(deepest.instance, Mapping):
                missing = f" ({', '.join(n for n in _names(deepest.validator_value) if n not in deepest.instance)})"
            if deepest.validator == "additionalProperties" and isinstance(deepest.instance, Mapping):
                known = deepest.schema.get("properties", {}) if isinstance(deepest.schema, Mapping) else {}
                missing = f" ({', '.join(n for n in deepest.instance if n not in known)})"
            return f"breaks {deepest.validator} at {place}{missing}"
        case _:
            return f"breaks {deepest.validator} at {place}"
