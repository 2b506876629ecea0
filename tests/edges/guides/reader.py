"""A reader of the guides who does what each page says, snippet by snippet, against a running service and simulators."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any, Final, Self

from tests.edges.guides.api_calls import ApiCalls
from tests.edges.guides.console import Console
from tests.edges.guides.page import Page, Snippet
from tests.edges.guides.python_code import PythonCode
from tests.edges.guides.receivers import Receivers, keep_the_newest
from tests.edges.guides.shop_page import ShopPage
from tests.edges.guides.surroundings import SHOP, Surroundings
from tests.world import SPEED, World


class Reader:
    """Follows one guide from top to bottom, as the shop ``My shop``; the working directory is the test's own.

    ``tool`` finds what a page needs beside Python: ``node``, ``node_modules``, ``php``.
    """

    def __init__(self, world: World, url: str, tool: Callable[[str], Any], *, speed: float = SPEED) -> None:
        self._ends = ExitStack()
        self._around = self._ends.enter_context(closing(Surroundings(world, url, speed)))
        python = self._ends.enter_context(closing(PythonCode(self._around)))
        api, page = ApiCalls(self._around), ShopPage(self._around, tool)
        receivers = Receivers(self._around, tool)
        self._follow: Final[dict[str, Callable[[Snippet], None]]] = {
            "console": Console(self._around).follow,
            "python": python.run,
            "http": api.ask,
            "answer": api.compare,
            "html": page.hold,
            "js": page.listen,
            "file": receivers.write,
            "node": receivers.run_node,
            "php": receivers.run_php,
            "sql": keep_the_newest,
        }
        self.ran: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ends.close()

    def follow(self, page: Page) -> None:
        """Do everything that the page says."""
        if not any(f'stores create "{SHOP}"' in snippet.text for snippet in page.snippets):
            self._around.has_a_store()
        for snippet in page.snippets:
            if "data-when" in snippet.marks:
                self._around.wait_for(snippet.marks["data-when"])
            self._follow[snippet.kind](snippet)
            self.ran.append(snippet.kind)
