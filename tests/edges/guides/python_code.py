"""The Python of a guide, run from top to bottom as one program: what it prints is what its comments say."""

from __future__ import annotations

import functools
import io
import re
from typing import Any

import httpx
import pytest
from standardwebhooks import WebhookVerificationError

from tests.edges.guides.page import Snippet, same
from tests.edges.guides.receivers import believed
from tests.edges.guides.surroundings import Surroundings


class PythonCode:
    """The program, with every name that the page has given so far."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        #: What the page's own code prints; what other threads log at the same time is not part of it.
        self._said = io.StringIO()
        self._names: dict[str, Any] = {"__name__": "guide", "print": functools.partial(print, file=self._said)}
        around.stands_for("TOKEN", lambda: str(self._names["token"]))

    def close(self) -> None:
        for one in self._names.values():
            if isinstance(one, httpx.Client):  # what a page's program keeps open until it ends
                one.close()

    def run(self, snippet: Snippet) -> None:
        """Run as it stands."""
        exec(compile(snippet.text, "guide", "exec"), self._names)  # noqa: S102 - what the page shows
        documented = re.findall(r"^ *print\(.*\)  # (?!here )(.*)$", snippet.text, re.MULTILINE)
        printed = self._printed()
        assert len(printed) == len(documented)
        for one, other in zip(documented, printed, strict=True):
            assert same(one, other), f"{other} is not {one}"
        if '@app.post("/hooks")' in snippet.text:
            self._receives()
        elif "def hear" in snippet.text:
            self._hears()

    def _printed(self) -> list[str]:
        """The lines printed since this was asked last."""
        lines = self._said.getvalue().splitlines()
        self._said.seek(0)
        self._said.truncate()
        return lines

    def _hears(self) -> None:
        """The page's function reads a notification as it was really sent, and refuses one that somebody has changed."""
        body, headers, order = self._around.sent()
        assert self._names["hear"](body, headers) == order
        with pytest.raises(WebhookVerificationError):
            self._names["hear"](body.replace(b'"9.00"', b'"0.01"'), headers)

    def _receives(self) -> None:
        """The page's view does the same, and stores what is true and nothing else."""
        shop = self._names["app"].test_client()
        order = believed(
            self._around,
            lambda body, headers: int(shop.post("/hooks", data=body, headers=headers).status_code),
        )
        assert self._printed() == [f"payment.settled {order}"]
