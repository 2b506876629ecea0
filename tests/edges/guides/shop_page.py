"""What a guide puts into a shop's own page: the elements, and the script beside them. No browser is started."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

from tests.edges.guides.page import Snippet
from tests.edges.guides.surroundings import Surroundings


class Tags(HTMLParser):
    """The elements of a piece of HTML, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


class ShopPage:
    """``tool`` finds Node.js."""

    def __init__(self, around: Surroundings, tool: Callable[[str], Any]) -> None:
        self._around = around
        self._tool = tool

    def hold(self, snippet: Snippet) -> None:
        """Its script is ours, its attributes are those the script takes, and its addresses lead to the payment."""
        world, script = self._around.world, self._script()
        takes = re.search(r"observedAttributes = (\[.*?\])", script)
        assert takes is not None
        for tag, attributes in Tags(self._around.filled(snippet.text)).found:
            if tag == "script":
                assert attributes == {"src": f"{world.base}/embed.js", "async": None}
            elif tag == "stable-checkout":
                assert set(attributes) <= set(json.loads(takes[1]))
                assert attributes["client-token"] == self._around.filled("TOKEN")
                assert f'getAttribute("mode") === "{attributes.get("mode", "page")}"' in script
            else:
                assert tag == "a"
                assert world.http.get(attributes["href"] or "", follow_redirects=True).status_code == 200

    def listen(self, snippet: Snippet) -> None:
        """Run in Node with the page played by a few lines; it listens to nothing that is never said."""
        play = (
            "const element = new EventTarget(), heard = [], listen = element.addEventListener.bind(element);\n"
            "element.addEventListener = (name, act) => { heard.push(name); listen(name, act); };\n"
            "globalThis.document = { querySelector: () => element };\n"
            "globalThis.location = { assign() {} };\n"
            f"{snippet.text}\n"
            "for (const name of heard) element.dispatchEvent(new CustomEvent(name, { detail: { status: null } }));\n"
            "console.log(JSON.stringify(heard));\n"
        )
        done = subprocess.run([self._tool("node"), "-e", play], capture_output=True, text=True, timeout=30, check=True)
        heard = json.loads(done.stdout.splitlines()[-1])
        news = re.search(r"NEWS = (\[.*?\])", self._script())
        assert news is not None
        assert heard
        assert set(heard) <= set(json.loads(news[1]))

    def _script(self) -> str:
        return self._around.world.http.get(f"{self._around.world.base}/embed.js").text
