"""Without JavaScript: from the shop to a confirmed order by links, forms and refreshes alone."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.installation import Installation, Storefront
from tests.browser.shop import check_out, fill_basket, order, pay_at_the_bank
from tests.browser.visitor import Device

NO_SCRIPT = Device(script=False)


def test_a_basket_becomes_a_paid_order_without_script(
    installation: Installation, store: Storefront, visit: Visit
) -> None:
    shopper = visit(NO_SCRIPT)
    with installation.switched(hold_webhooks=True):
        fill_basket(shopper, installation)
        check_out(shopper)
        shopper.press("Continue to payment")
        pay_at_the_bank(shopper)
        shopper.tells("We are confirming your payment")
        installation.mint("webhooks/release", {})
    shopper.tells("Payment confirmed")  # the page has refreshed itself
    shopper.tells("Paid. Thank you!")  # and has gone on to the shop
    bought = order(shopper)
    assert store.until_status(bought["payment_id"], "settled")["anomaly"] is None


def test_a_returning_customer_pays_without_script(installation: Installation, store: Storefront, visit: Visit) -> None:
    shopper = visit(NO_SCRIPT)
    fill_basket(shopper, installation)
    check_out(shopper, "returning")
    shopper.press("Continue to payment")
    pay_at_the_bank(shopper)
    shopper.tells("Payment confirmed")
    shopper.press("Back to Demo shop")
    shopper.tells("Paid. Thank you!")
    assert store.until_status(order(shopper)["payment_id"], "settled")["anomaly"] is None


def test_a_payment_page_that_is_still_opening_goes_on_by_itself(
    installation: Installation, store: Storefront, visit: Visit
) -> None:
    with installation.switched(session_outcome="error_500_before_work", session_outcome_times=1):
        payment = store.open()
    shopper = visit(NO_SCRIPT)
    shopper.goto(payment["checkout_url"])
    shopper.press("Continue to payment")
    pay_at_the_bank(shopper)
    shopper.tells("Payment confirmed")
    assert store.until_status(payment["id"], "settled")["anomaly"] is None


def test_the_shop_s_own_page_offers_the_payment_page_instead_of_the_frame(
    installation: Installation, visit: Visit
) -> None:
    shopper = visit(NO_SCRIPT)
    fill_basket(shopper, installation)
    check_out(shopper, "embedded")
    link = shopper.page.get_by_role("link", name="Pay on the payment page")
    expect(link).to_be_visible()
    link.click()
    expect(shopper.page.locator("noscript p")).to_contain_text("needs JavaScript")
    shopper.press("Back to Demo shop")
    shopper.page.wait_for_url(f"{installation.shop_url}/**")
