"""What a shopper does in the demo shop and at the simulated bank, in words, whatever the pages look like."""

from __future__ import annotations

import re
import time
from typing import Any, Final, Literal

from playwright.sync_api import FrameLocator, Locator, Page, TimeoutError

from tests.browser.installation import PATIENCE_S, Installation
from tests.browser.visitor import Visitor, control

Way = Literal["hosted", "embedded", "returning"]

LOOK_MS: Final = 400


def fill_basket(shopper: Visitor, installation: Installation, product: str = "Pencil trio") -> None:
    """Look around, pick something, and look into the basket."""
    shopper.goto(installation.shop_url)
    shopper.press(re.compile(f"Add to basket ?: {product}"))
    shopper.press("View basket")
    shopper.tells("Your basket")


def check_out(shopper: Visitor, way: Way = "hosted", *, clicks: int = 1) -> None:
    """Press the basket's button of one way to pay, and wait for where it leads."""
    shopper.page.locator(f"button[name=way][value={way}]").click(click_count=clicks)
    if way == "embedded":
        shopper.tells("Pay here")
    else:
        shopper.page.locator("main[data-page=ready]").wait_for()


def order(shopper: Visitor) -> dict[str, Any]:
    """The order whose page the shopper looks at, as the shop knows it."""
    found: dict[str, Any] = shopper.context.request.get(shopper.page.url.partition("?")[0] + ".json").json()
    return found


def bank_button(page: Page) -> Locator:
    """The button that pays on the simulated provider's hosted page."""
    return page.get_by_role("button", name=re.compile("^Pay EUR"))


def pay_at_the_bank(shopper: Visitor) -> None:
    """Approve the payment on the simulated provider's hosted page."""
    bank_button(shopper.page).click()


def see_confirmation(shopper: Visitor) -> None:
    """Look at our page until it says that the payment is confirmed: it would by itself, only later."""
    heading = shopper.page.get_by_role("heading", level=1, name="Payment confirmed")
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            heading.wait_for(timeout=LOOK_MS)
        except TimeoutError:
            assert time.monotonic() < end, f"not confirmed: {shopper.page.locator('body').inner_text()[:500]}"
            shopper.page.reload()
        else:
            return


def widget(shopper: Visitor) -> FrameLocator:
    """The payment's frame in the shop's page."""
    return shopper.page.frame_locator("stable-checkout iframe")


def pay_in_the_widget(place: Page | FrameLocator) -> None:
    """Choose the first bank in the simulated widget and approve the payment there."""
    control(place, "Continue to your bank").click()
    control(place, re.compile("^Approve ")).click()
