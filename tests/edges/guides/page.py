"""A guide's page taken apart, and how what it shows is compared with what was said.

Nothing of a page is rewritten but what it marks itself: ``…`` stands for text that is different each time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser


@dataclass(frozen=True)
class Snippet:
    """One piece of code of a page."""

    kind: str
    text: str
    marks: Mapping[str, str]


class Page(HTMLParser):
    """A page taken apart: code, links, ids, table rows, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.snippets: list[Snippet] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.codes = 0  #: blocks of code, whether they say how they are run or not
        self._pre: dict[str, str] | None = None
        self._text: list[str] = []
        self._table = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        assert tag not in ("script", "style", "iframe", "form")
        assert "style" not in found
        assert not any(name.startswith("on") for name in found)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a":
            self.links.append(found["href"])
        if tag == "link":
            self.loads.append(found["href"])
        if tag == "table":
            self._table = found.get("id", "")
            self.tables.setdefault(self._table, [])
        if tag == "tr":
            self.tables[self._table].append([])
        if tag in ("td", "th"):
            self._text = []
        if tag == "pre":
            self.codes += 1
            self._pre, self._text = found, []

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.tables[self._table][-1].append("".join(self._text).strip())
        if tag == "pre" and self._pre is not None:
            if "data-run" in self._pre:
                self.snippets.append(Snippet(self._pre["data-run"], "".join(self._text), self._pre))
            self._pre = None


def same(documented: str, said: str) -> bool:
    """Whether a text is what the page says, ``…`` being anything and any gap being any other gap."""
    parts = (r"\s+".join(re.escape(word) for word in re.split(r"\s+", part)) for part in documented.split("…"))
    return re.fullmatch(".*".join(parts), said) is not None


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command line without its prompt, and the lines of output shown below it."""
    line, shown = "", list[str]()
    for one in text.replace("\\\n", " ").strip().splitlines():
        if one.startswith("$ "):
            if line:
                yield line, shown
            line, shown = one.removeprefix("$ "), []
        else:
            shown.append(one)
    yield line, shown
