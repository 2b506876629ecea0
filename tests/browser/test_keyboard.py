"""With the keyboard alone: from the shop to the receipt, seeing at each step where one is."""

from __future__ import annotations

import re

from tests.browser.conftest import Visit
from tests.browser.installation import Installation, Storefront
from tests.browser.shop import order
from tests.browser.visitor import DESKTOP, PHONE, Visitor

#: The element that has the focus, through shadow roots: what it says, and how it shows that it has it.
FOCUSED = """
    () => {
        let one = document.activeElement;
        while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
        if (!one || one === document.body) return null;
        const style = getComputedStyle(one.type === "radio" ? one.closest("label") ?? one : one);
        const own = getComputedStyle(one);
        const ring = [style, own].some((look) =>
            (look.outlineStyle !== "none" && parseFloat(look.outlineWidth) >= 2) || look.boxShadow !== "none");
        return { says: one.innerText || one.labels?.[0]?.innerText || "", ring, tag: one.localName };
    }
"""
STEPS_MAX = 60


def tab_to(shopper: Visitor, says: str) -> None:
    """Press Tab until what has the focus says this; every stop on the way shows that it has the focus."""
    for _ in range(STEPS_MAX):
        shopper.page.keyboard.press("Tab")
        found = shopper.page.evaluate(FOCUSED)
        if found is None or found["tag"] == "iframe":
            continue
        assert found["ring"], f"nobody sees the focus on {found}"
        if re.search(says, " ".join(found["says"].split())):
            return
    raise AssertionError(f"no stop says {says!r} at {shopper.page.url}")


def press_by_keyboard(shopper: Visitor, says: str, key: str = "Enter") -> None:
    """Go there by Tab, and press it."""
    tab_to(shopper, says)
    shopper.page.keyboard.press(key)


def test_a_whole_payment_by_redirect(installation: Installation, store: Storefront, visit: Visit) -> None:
    shopper = visit()
    shopper.goto(installation.shop_url)
    press_by_keyboard(shopper, "Add to basket.*Pencil trio")
    shopper.page.get_by_role("link", name="View basket").wait_for()
    press_by_keyboard(shopper, "View basket")
    shopper.tells("Your basket")
    press_by_keyboard(shopper, "Go to the payment")
    shopper.page.locator("main[data-page=ready]").wait_for()
    press_by_keyboard(shopper, "Continue to payment")
    shopper.page.get_by_role("button", name=re.compile("^Pay EUR")).wait_for()
    press_by_keyboard(shopper, "^Pay EUR", key="Space")
    shopper.tells("Payment confirmed")
    press_by_keyboard(shopper, "Back to Demo shop")
    shopper.tells("Paid. Thank you!")
    assert store.until_status(order(shopper)["payment_id"], "settled")["anomaly"] is None


def test_a_whole_payment_in_the_widget(store: Storefront, visit: Visit) -> None:
    payment = store.open_embedded()
    shopper = visit(PHONE)
    shopper.goto(payment["checkout_url"])
    shopper.page.get_by_role("button", name="Continue to your bank").wait_for()
    tab_to(shopper, "Alder Bank|Birch|Cedar")
    shopper.page.keyboard.press("ArrowDown")
    press_by_keyboard(shopper, "Continue to your bank")
    shopper.page.get_by_role("button", name=re.compile("^Approve")).wait_for()
    press_by_keyboard(shopper, "^Approve")
    shopper.tells("Payment confirmed")
    assert store.until_status(payment["id"], "settled")["anomaly"] is None


def test_the_first_stop_of_a_page_skips_to_its_content(store: Storefront, visit: Visit) -> None:
    shopper = visit(DESKTOP)
    shopper.goto(store.open()["checkout_url"])
    press_by_keyboard(shopper, "Skip to content")
    assert shopper.page.evaluate("document.activeElement.id") == "content"
    shopper.page.keyboard.press("Tab")
    assert "Continue to payment" in shopper.page.evaluate(FOCUSED)["says"]
