"""``make screenshots``: every page, on a desktop and a phone, light and dark, into ``screenshots/`` to be looked at."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from tests.acceptance.running import ROOT
from tests.browser.chromium import NoChromium, launch
from tests.browser.installation import Installation
from tests.browser.scenes import SCENES, look, opened
from tests.browser.visitor import Device, Visitor

FOLDER: Final = ROOT / "screenshots"
#: A phone of 2026 for looking at; the tests use a smaller one.
DEVICES: Final = {
    f"{kind}-{theme}": Device(width=width, height=height, theme=theme, calm=True)
    for kind, width, height in (("desktop", 1280, 800), ("phone", 375, 720))
    for theme in ("light", "dark")
}
SETTLE_MS: Final = 400


def main(wanted: list[str]) -> int:
    """Take the pictures of these scenes, or of all; the exit code."""
    unknown = set(wanted) - SCENES.keys()
    if unknown:
        print(f"no such page: {', '.join(sorted(unknown))}; there are {', '.join(SCENES)}")
        return 2
    if not wanted:
        shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(prefix="checkout-screenshots-") as folder:
        try:
            browser = launch(playwright)
        except NoChromium as problem:
            print(problem)
            return 1
        with Installation(Path(folder)) as installation:
            take(browser, installation, wanted or list(SCENES))
        browser.close()
    print(f"{len(list(FOLDER.glob('*.png')))} pictures are in {FOLDER}")
    return 0


def take(browser: Browser, installation: Installation, names: list[str]) -> None:
    """One picture per page and device."""
    visitors = {kind: Visitor.arrive(browser, device) for kind, device in DEVICES.items()}
    made: dict[str, str] = {}
    for name in names:
        scene = SCENES[name]
        with opened(scene, installation, made, name) as url:
            for kind, visitor in visitors.items():
                look(visitor.page, scene, url)
                visitor.page.wait_for_timeout(SETTLE_MS)
                visitor.page.screenshot(path=FOLDER / f"{name}-{kind}.png", full_page=True)
                visitor.context.clear_cookies()
        print(name)
    for visitor in visitors.values():
        visitor.context.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
