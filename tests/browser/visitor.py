"""A person with a browser: one context of Chromium that notes everything which goes wrong in it.

A console error, a policy violation, a script that throws, a request that fails or is refused: each fails the test,
unless the test said beforehand that it has to come.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Frame,
    FrameLocator,
    Locator,
    Page,
    Request,
    Response,
    TimeoutError,
    WebError,
)

from tests.browser.installation import PATIENCE_S

PATIENCE_MS: Final = PATIENCE_S * 1000
#: A navigation cancels what is still loading; the page that asked is gone.
_GONE: Final = "net::ERR_ABORTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What somebody browses with."""

    width: int = 1280
    height: int = 800
    theme: Literal["light", "dark"] = "light"
    script: bool = True
    calm: bool = False  #: asked their system for less motion
    locale: str = "en-GB"


DESKTOP: Final = Device()
PHONE: Final = Device(width=320, height=640)


@dataclass  # without slots: Playwright keeps its wrappers of our handlers in the instance
class Visitor:
    """One browser context and its first page."""

    context: BrowserContext
    page: Page
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)  #: method and address of each, in order
    _expected: list[re.Pattern[str]] = field(default_factory=list)

    @classmethod
    def arrive(cls, browser: Browser, device: Device) -> Visitor:
        """Open a browser window of its own: no cookie, no cache of anybody else's."""
        context = browser.new_context(
            viewport={"width": device.width, "height": device.height},
            color_scheme=device.theme,
            java_script_enabled=device.script,
            reduced_motion="reduce" if device.calm else "no-preference",
            locale=device.locale,
            has_touch=device.width < 500,
        )
        context.set_default_timeout(PATIENCE_MS)
        context.set_default_navigation_timeout(PATIENCE_MS)
        one = cls(context, context.new_page())
        context.on("console", one._console)
        context.on("weberror", one._threw)
        context.on("request", lambda request: one.requests.append(f"{request.method} {request.url}"))
        context.on("requestfailed", one._failed)
        context.on("response", one._answered)
        return one

    def leave(self) -> None:
        """Close everything; AssertionError when anything went wrong that was not expected."""
        self.context.close()
        unexpected = [one for one in self.problems if not any(known.search(one) for known in self._expected)]
        assert not unexpected, "the browser complained:\n" + "\n".join(unexpected)

    def expect(self, pattern: str) -> None:
        """A problem that has to come, as a regular expression over what would be noted."""
        self._expected.append(re.compile(pattern))

    def noted(self, pattern: str) -> bool:
        """Whether a problem like this was noted."""
        return any(re.search(pattern, one) for one in self.problems)

    def goto(self, url: str) -> Response:
        """Type an address."""
        answer = self.page.goto(url)
        assert answer is not None, f"{url}: no answer"
        return answer

    def another_tab(self) -> Page:
        """Open one more tab in the same window."""
        return self.context.new_page()

    def tells(self, text: str | re.Pattern[str]) -> Locator:
        """Wait for a main heading that says this."""
        return says(self.page, text)

    def press(self, name: str | re.Pattern[str]) -> None:
        """Click the button or the link that is called this."""
        control(self.page, name).click()

    def until(self, reached: Callable[[], bool]) -> None:
        """Wait while the browser goes on working."""
        end = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < end, f"it never came, at {self.page.url}"
            self.page.wait_for_timeout(50)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" or (message.type == "warning" and "Content Security Policy" in message.text):
            self.problems.append(f"console: {message.text} ({message.location['url']})")

    def _threw(self, error: WebError) -> None:
        self.problems.append(f"script: {error.error}")

    def _failed(self, request: Request) -> None:
        if request.failure != _GONE:
            self.problems.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"answered {response.status}: {response.request.method} {response.url}")


def says(page: Page, text: str | re.Pattern[str]) -> Locator:
    """Wait for a page's main heading to say this; AssertionError with what it says instead."""
    heading = page.get_by_role("heading", level=1, name=text)
    try:
        heading.wait_for()
    except TimeoutError:
        raise AssertionError(f"no {text!r} at {page.url}, but:\n{page.locator('body').inner_text()[:1000]}") from None
    return heading


def control(place: Page | Frame | FrameLocator | Locator, name: str | re.Pattern[str]) -> Locator:
    """A button or a link, whichever is called this."""
    return place.get_by_role("button", name=name).or_(place.get_by_role("link", name=name)).first


def described(device: Device) -> str:
    """A device as a test's name shows it."""
    plain = asdict(DESKTOP)
    odd: dict[str, Any] = {name: value for name, value in asdict(device).items() if value != plain[name]}
    return "-".join(f"{name}={value}" for name, value in odd.items()) or "desktop"
