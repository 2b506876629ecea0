"""The table of operations is the provider's OpenAPI, no more, no less; the extras are the overlay's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from checkout.providers.stables_operations import (
    BY_CAMEL_TOKEN,
    BY_LAST_ID,
    BY_TOKEN,
    LISTING_ORDER,
    OPERATIONS,
    PUBLISHED_STATUSES,
    Operation,
    Source,
)
from tests.contracts.openapi import DOCUMENT, OVERLAY, Contract, apply_overlay, select

PUBLISHED: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
OVERLAID: dict[str, Any] = json.loads(OVERLAY.read_text(encoding="utf-8"))
EXTENDED = Contract.load().document

Described = tuple[str, str, dict[str, bool], bool, bool, tuple[str, ...]]


def described(document: Mapping[str, Any]) -> Iterator[Described]:
    """Each operation of a document in the terms of our table."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            parameters = operation.get("parameters", [])
            yield (
                method.upper(),
                path,
                {one["name"]: one.get("required", False) for one in parameters if one["in"] == "query"},
                any(one["name"] == "idempotency-key" and one.get("required") for one in parameters),
                "requestBody" in operation,
                tuple(sorted(one["name"] for one in parameters if one["in"] == "path")),
            )


def in_table(operation: Operation) -> Described:
    return (
        operation.method,
        operation.path,
        dict(operation.query),
        operation.needs_key,
        operation.has_body,
        tuple(sorted(operation.placeholders)),
    )


def table(*, published: bool) -> list[Operation]:
    return [one for one in OPERATIONS.values() if (one.source is Source.OPENAPI) is published]


def by_path(rows: Iterator[Described] | list[Described]) -> list[Described]:
    return sorted(rows, key=lambda row: (row[1], row[0]))


def answer_properties(operation: Operation) -> Mapping[str, Any]:
    """Properties of an operation's 2xx answer, references followed."""
    responses = EXTENDED["paths"][operation.path][operation.method.lower()]["responses"]
    schema = next(body for status, body in responses.items() if status.startswith("2"))
    schema = schema["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = next(iter(select(EXTENDED, "$" + schema["$ref"][1:].replace("/", "."))))
    properties: Mapping[str, Any] = schema.get("properties", {})
    return properties


def test_the_table_is_the_published_document_both_ways() -> None:
    ours = [in_table(one) for one in table(published=True)]
    assert len(ours) == 25
    assert by_path(ours) == by_path(described(PUBLISHED))


def test_the_extras_are_those_of_the_overlay_both_ways_with_the_same_source() -> None:
    extra = {
        path: (operation["operationId"], action["x-source"])
        for action in OVERLAID["actions"]
        if action["target"] == "$.paths"
        for path, item in action["update"].items()
        for operation in item.values()
    }
    ours = table(published=False)
    assert {one.path: (one.name, str(one.source)) for one in ours} == extra
    everything = [in_table(one) for one in OPERATIONS.values()]
    assert by_path(everything) == by_path(described(EXTENDED))


@pytest.mark.parametrize("operation", [one for one in OPERATIONS.values() if one.items], ids=lambda one: one.name)
def test_every_list_says_where_its_items_are_and_how_it_goes_on(operation: Operation) -> None:
    properties = answer_properties(operation)
    assert operation.items is not None
    assert operation.items in properties
    assert properties[operation.items]["type"] == "array"
    if operation.paging is None:
        assert not {"page", "has_more"} & set(properties)
    else:
        assert {operation.paging.size, operation.paging.cursor} <= set(operation.query)
        assert (operation.paging is BY_LAST_ID) == ("page" not in properties)


@pytest.mark.parametrize("operation", [one for one in OPERATIONS.values() if one.paging], ids=lambda one: one.name)
def test_pages_are_as_large_as_the_document_allows(operation: Operation) -> None:
    assert operation.paging is not None
    parameters = EXTENDED["paths"][operation.path]["get"]["parameters"]
    size = next(one["schema"] for one in parameters if one["name"] == operation.paging.size)
    assert size["maximum"] == operation.page_max


def test_the_paging_styles_are_three() -> None:
    assert {one.paging for one in OPERATIONS.values() if one.paging} == {BY_LAST_ID, BY_TOKEN, BY_CAMEL_TOKEN}


def test_no_operation_that_answers_pages_is_read_without_them() -> None:
    for operation in table(published=True):
        if {"page", "has_more"} & set(answer_properties(operation)):
            assert operation.paging is not None, operation.name


def test_every_published_status_is_asked_for_and_in_progress_too() -> None:
    status = PUBLISHED["paths"]["/api/v1/transfers"]["get"]["parameters"][0]
    assert status["name"] == "status"
    assert set(status["schema"]["enum"]) == PUBLISHED_STATUSES
    assert set(LISTING_ORDER) == PUBLISHED_STATUSES | {"IN_PROGRESS"}


def test_every_addition_of_the_overlay_names_its_source() -> None:
    known = {str(source) for source in Source if source is not Source.OPENAPI}
    for action in OVERLAID["actions"]:
        assert action["x-source"] in known
        assert action["description"]


def test_the_overlay_leaves_no_reference_dangling() -> None:
    for reference in re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(EXTENDED)):
        assert reference in EXTENDED["components"]["schemas"]


def test_an_overlay_for_something_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="not in the document"):
        apply_overlay({"paths": {}}, {"actions": [{"target": "$.paths.gone", "update": {}}]})
    with pytest.raises(ValueError, match="JSONPath"):
        list(select({}, "$..deep"))
