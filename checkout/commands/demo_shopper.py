"""The demo's shopper without a browser: opens our payment page, follows its link, fills in the bank's form, comes back.

It reads pages as a browser would and knows nothing else of whoever made them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin

import httpx

HOPS_MAX: Final = 5
PAGE_TIMEOUT_S: Final = 10.0
#: The value of the button that pays; a page without such a button gets its first one pressed.
PAY: Final = "pay"

Fields = list[tuple[str, str]]


class NoForm(Exception):
    """The provider's page has nothing a shopper without a browser could press."""


@dataclass(slots=True)
class Form:
    action: str
    method: str
    fields: Fields = field(default_factory=list)
    buttons: Fields = field(default_factory=list)

    def filled(self) -> dict[str, str]:
        """What pressing the pay button sends."""
        pressed = next((one for one in self.buttons if one[1] == PAY), self.buttons[0] if self.buttons else None)
        return dict([*self.fields, *([pressed] if pressed is not None and pressed[0] else [])])


class Page(HTMLParser):
    """The links and forms of one page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.onward: str | None = None
        self.forms: list[Form] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "a" and found.get("data-role") == "onward":
            self.onward = self.onward or found.get("href")
        elif tag == "form":
            self.forms.append(Form(found.get("action", ""), found.get("method", "get").lower()))
        elif tag in ("input", "button") and self.forms:
            self._control(tag, found, "checked" in found)

    def _control(self, tag: str, found: dict[str, str], checked: bool) -> None:
        form, kind = self.forms[-1], found.get("type", "submit" if tag == "button" else "text")
        pair = (found.get("name", ""), found.get("value", ""))
        if kind == "submit":
            form.buttons.append(pair)
        elif pair[0] and (kind not in ("radio", "checkbox") or checked):
            form.fields.append(pair)


def pay(checkout_url: str, wait: Callable[[], None]) -> str:
    """Pay as a shopper does; the address where it ended. NoForm when the provider's page has no form.

    ``wait`` is called between looks while our page is still opening the session; it raises when time is over.
    """
    with httpx.Client(timeout=PAGE_TIMEOUT_S, trust_env=False) as browser:
        onward = None
        while onward is None:
            onward = Page(_open(browser, checkout_url).text).onward
            if onward is None:
                wait()
        shown = _open(browser, urljoin(checkout_url, onward))
        form = next((one for one in Page(shown.text).forms if one.method == "post"), None)
        if form is None:
            raise NoForm
        address = urljoin(str(shown.url), form.action or str(shown.url))
        answer = browser.post(address, data=form.filled())
        if not answer.is_redirect:
            answer.raise_for_status()
            return str(answer.url)
        return str(_open(browser, urljoin(address, answer.headers["location"])).url)


def _open(browser: httpx.Client, url: str) -> httpx.Response:
    answer = browser.get(url)
    for _ in range(HOPS_MAX):
        if not answer.is_redirect:
            break
        answer = browser.get(urljoin(str(answer.url), answer.headers["location"]))
    answer.raise_for_status()
    return answer
