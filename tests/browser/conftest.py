"""A running installation and a Chromium that all browser tests share; each test gets visitors of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.chromium import NoChromium, launch
from tests.browser.installation import Installation, Storefront
from tests.browser.visitor import DESKTOP, Device, Visitor

Visit = Callable[..., Visitor]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; a loud skip without one, a failure where nothing may be skipped."""
    with sync_playwright() as playwright:
        try:
            found = launch(playwright)
        except NoChromium as problem:
            if os.environ.get("CI"):
                pytest.fail(str(problem))
            pytest.skip(str(problem))
        yield found
        found.close()


@pytest.fixture(scope="session")
def installation(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Everything running, once for all tests: each uses orders of its own. Nothing in it may log an error."""
    with Installation(tmp_path_factory.mktemp("installation")) as one:
        yield one
        complaints = one.complaints()
    assert not complaints, "\n".join(complaints)


@pytest.fixture(scope="session")
def store(installation: Installation) -> Storefront:
    """The demo shop's side of our API."""
    return installation.store


@pytest.fixture(scope="session")
def made() -> dict[str, str]:
    """Addresses of the scenes that were made so far."""
    return {}


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """``visit(device)`` opens a browser window; whatever goes wrong in one, and was not expected, fails the test."""
    visitors: list[Visitor] = []

    def arrive(device: Device = DESKTOP) -> Visitor:
        visitors.append(Visitor.arrive(browser, device))
        return visitors[-1]

    yield arrive
    for one in visitors:
        one.leave()
