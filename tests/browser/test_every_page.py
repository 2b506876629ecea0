"""What holds for every page: nothing for axe to find, small, still, fit for a phone and for a finger."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Visit
from tests.browser.installation import Installation, Storefront
from tests.browser.scenes import SCENES, look, opened, returned
from tests.browser.visitor import DESKTOP, PHONE, Device, Visitor

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
#: Bytes of a first load, headers included.
FIRST_LOAD_MAX = 30_000
#: Small things settle down in this time.
SETTLE_MS = 300
#: What stands below a heading may move up by the line that a shorter heading no longer has; a tenth of "good" (0.1).
NEWS_SHIFT_MAX = 0.01
WATCH_SHIFTS = """
    window.shifts = [];
    new PerformanceObserver((list) => list.getEntries().forEach((one) => window.shifts.push(
        one.value + " " + one.sources.map((source) => source.node?.outerHTML?.slice(0, 120)).join(" | "))))
        .observe({ type: "layout-shift", buffered: true });
"""
#: Everything that can be pressed and is narrower or lower than 24 px; links inside a sentence are exempt (WCAG 2.5.8).
SMALL_TARGETS = """
    () => [...document.querySelectorAll("a[href], button, input:not([type=hidden]), summary")]
        .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest(".skip, p, li > div"))
        .map((one) => [one.closest("label") ?? one, one.outerHTML.slice(0, 120)])
        .map(([one, text]) => [one.getBoundingClientRect(), text])
        .filter(([box]) => box.width < 24 || box.height < 24)
        .map(([box, text]) => `${box.width} x ${box.height}: ${text}`)
"""
TOO_WIDE = """
    () => [...document.querySelectorAll("body *")]
        .filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5 && !one.closest("pre, .wide"))
        .map((one) => one.outerHTML.slice(0, 120)).slice(0, 5)
"""

every_scene = pytest.mark.parametrize("name", SCENES)


def prepared(visitor: Visitor, name: str) -> Visitor:
    """A visitor who expects the scene's own answer, and what it does to a browser."""
    scene = SCENES[name]
    for pattern in (str(scene.code) if scene.code >= 400 else "", scene.noted):
        if pattern:
            visitor.expect(pattern)
    return visitor


@every_scene
def test_axe_finds_nothing_in_either_theme(
    name: str, installation: Installation, visit: Visit, made: dict[str, str]
) -> None:
    visitor = prepared(visit(Device(calm=True)), name)
    with opened(SCENES[name], installation, made, name) as url:
        look(visitor.page, SCENES[name], url)
        found = violations(visitor.page)
        visitor.page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        found += [f"dark: {one}" for one in violations(visitor.page)]
    assert not found, "\n".join(found)


def violations(page: Page) -> list[str]:
    """What axe finds wrong with the page as it is."""
    results: dict[str, Any] = Axe().run(page, options={"resultTypes": ["violations"], **RULES}).response
    assert len(results["passes"]) > 5, "axe has looked at nothing"
    return [
        f"{one['id']}: {node['target']} {node['html'][:150]} {node.get('failureSummary', '')}"
        for one in results["violations"]
        for node in one["nodes"]
    ]


@every_scene
def test_the_first_load_is_small_and_nothing_moves(
    name: str, installation: Installation, visit: Visit, made: dict[str, str]
) -> None:
    visitor = prepared(visit(DESKTOP), name)
    visitor.page.add_init_script(WATCH_SHIFTS)
    wire = visitor.context.new_cdp_session(visitor.page)
    wire.send("Network.enable")
    sent: dict[str, float] = {}
    hosts: dict[str, str] = {}
    wire.on("Network.requestWillBeSent", lambda event: hosts.update({event["requestId"]: event["request"]["url"]}))
    wire.on("Network.loadingFinished", lambda event: sent.update({event["requestId"]: event["encodedDataLength"]}))
    with opened(SCENES[name], installation, made, name) as url:
        look(visitor.page, SCENES[name], url)
        visitor.page.wait_for_timeout(SETTLE_MS)
    own = {hosts.get(ident, ident): size for ident, size in sent.items() if is_own(hosts.get(ident, ""), url)}
    assert sum(own.values()) <= FIRST_LOAD_MAX, own
    assert len(own) > 1
    assert visitor.page.evaluate("window.shifts") == []


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_news_that_arrive_on_a_return_page_move_no_more_than_a_line(
    device: Device, installation: Installation, store: Storefront, visit: Visit
) -> None:
    payment = store.open()
    visitor = visit(device)
    visitor.page.add_init_script(WATCH_SHIFTS)
    visitor.goto(returned(installation, payment, "success"))
    installation.mint(f"sessions/{store.payment(payment['id'])['provider']['reference']}/pay", {"outcome": "paid"})
    visitor.page.get_by_role("heading", name="Payment confirmed").wait_for()
    visitor.page.wait_for_timeout(SETTLE_MS)
    shifts: list[str] = visitor.page.evaluate("window.shifts")
    assert sum(float(one.split(" ", 1)[0]) for one in shifts) <= NEWS_SHIFT_MAX, shifts


def is_own(address: str, page: str) -> bool:
    """Whether this comes from where the page does; the provider's widget is not ours to make small."""
    return address.split("/")[2:3] == page.split("/")[2:3]


@every_scene
def test_a_small_phone_shows_it_without_scrolling_sideways(
    name: str, installation: Installation, visit: Visit, made: dict[str, str]
) -> None:
    visitor = prepared(visit(PHONE), name)
    with opened(SCENES[name], installation, made, name) as url:
        look(visitor.page, SCENES[name], url)
        page = visitor.page
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE.width, page.evaluate(TOO_WIDE)
        assert page.evaluate(TOO_WIDE) == []
        assert page.evaluate(SMALL_TARGETS) == []


@pytest.mark.parametrize("name", [name for name, scene in SCENES.items() if scene.ours])
def test_a_page_is_useful_before_any_script_runs(
    name: str, installation: Installation, visit: Visit, made: dict[str, str]
) -> None:
    visitor = prepared(visit(Device(script=False)), name)
    with opened(SCENES[name], installation, made, name) as url:
        answer = visitor.page.goto(url)
        assert answer is not None
        assert visitor.page.get_by_role("heading", level=1).inner_text()
        ways_on = visitor.page.locator("main a[href], main form button, noscript p").count()
        assert ways_on > 0 or name in DEAD_ENDS


@pytest.mark.parametrize("name", ["pay-preparing", "return-success-waiting", "embed-preparing", "shop-order-waiting"])
def test_a_page_that_waits_turns_nothing_for_who_wants_less_motion(
    name: str, installation: Installation, visit: Visit, made: dict[str, str]
) -> None:
    lively, calm = visit(DESKTOP), visit(Device(calm=True))
    with opened(SCENES[name], installation, made, name) as url:
        for visitor in (lively, calm):
            look(visitor.page, SCENES[name], url)
        assert lively.page.evaluate(MOVING) > 0  # there is something to turn off
        assert calm.page.evaluate(MOVING) == 0


#: How much of a page moves now.
MOVING = "document.getAnimations().filter((one) => one.playState === 'running').length"

#: Here nothing more can be done, and the page says what to do elsewhere.
DEAD_ENDS = frozenset({"return-receipt", "link-ended", "link-closed", "link-used", "missing"})
