"""The requests of a guide, sent as they stand, and the answers that it promises."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.edges.guides.page import Snippet, same
from tests.edges.guides.surroundings import Surroundings


class ApiCalls:
    """Each request has its answer below it."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._answer: httpx.Response | None = None

    def ask(self, snippet: Snippet) -> None:
        head, _, body = self._around.filled(snippet.text).partition("\n\n")
        first, *lines = head.splitlines()
        method, path = first.split(" ")
        headers = dict(line.split(": ", 1) for line in lines)
        content = body.encode() if body else None
        world = self._around.world
        self._answer = world.http.request(method, world.base + path, headers=headers, content=content)

    def compare(self, snippet: Snippet) -> None:
        assert self._answer is not None
        head, _, body = snippet.text.partition("\n\n")
        assert head == f"HTTP/1.1 {self._answer.status_code}", self._answer.text
        agrees(json.loads(body), self._answer.json())
        self._answer = None


def agrees(documented: Any, answered: Any, at: str = "") -> None:
    """Every field that the page names is in the answer with that value; others may be there too."""
    if isinstance(documented, dict):
        assert isinstance(answered, dict), at
        for name, value in documented.items():
            assert name in answered, f"{at}.{name}"
            agrees(value, answered[name], f"{at}.{name}")
    elif isinstance(documented, list):
        assert isinstance(answered, list), at
        assert len(documented) == len(answered), f"{at}: {answered}"
        for number, (one, other) in enumerate(zip(documented, answered, strict=True)):
            agrees(one, other, f"{at}[{number}]")
    elif isinstance(documented, str) and "…" in documented:
        assert isinstance(answered, str), at
        assert same(documented, answered), f"{at}: {answered}"
    else:
        assert documented == answered, at
