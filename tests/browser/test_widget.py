"""The payment in the shop's own page: framed, on a page of its own, left, refused, slow, and never believed."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.installation import Installation, Storefront
from tests.browser.shop import check_out, fill_basket, order, pay_in_the_widget, see_confirmation, widget
from tests.browser.visitor import DESKTOP, PHONE, control


def test_a_basket_is_paid_without_leaving_the_shop(installation: Installation, store: Storefront, visit: Visit) -> None:
    for device in (DESKTOP, PHONE):
        shopper = visit(device)
        fill_basket(shopper, installation)
        check_out(shopper, "embedded")
        pay_in_the_widget(widget(shopper))
        shopper.tells("Paid. Thank you!")
        assert all(tab.url.startswith(installation.shop_url) for tab in shopper.context.pages)
        bought = order(shopper)
        paid = store.until_status(bought["payment_id"], "settled")
        assert (paid["amount"], paid["order"], paid["anomaly"]) == ("3.00", bought["id"], None)


def test_the_frame_is_as_high_as_what_is_in_it(installation: Installation, visit: Visit) -> None:
    shopper = visit(PHONE)
    fill_basket(shopper, installation)
    check_out(shopper, "embedded")
    inside = widget(shopper)
    control(inside, "Continue to your bank").wait_for()
    frame = shopper.page.locator("stable-checkout iframe")
    height = "document.documentElement.scrollHeight - document.documentElement.clientHeight"
    shopper.until(lambda: inside.locator("html").evaluate(height) == 0)
    expect(frame).to_be_visible()


def test_the_widget_works_on_a_page_of_its_own(store: Storefront, visit: Visit) -> None:
    payment = store.open_embedded()
    shopper = visit()
    shopper.goto(payment["checkout_url"])
    assert "/embed/" in shopper.page.url
    pay_in_the_widget(shopper.page)
    shopper.page.wait_for_url("**/return/*/success")
    shopper.tells("Payment confirmed")
    shopper.page.get_by_role("link", name="Back to Demo shop").wait_for()
    assert store.until_status(payment["id"], "settled")["anomaly"] is None


def test_what_the_widget_says_is_not_what_the_page_says(
    installation: Installation, store: Storefront, visit: Visit
) -> None:
    shopper = visit()
    with installation.switched(hold_webhooks=True):
        fill_basket(shopper, installation)
        check_out(shopper, "embedded")
        inside = widget(shopper)
        pay_in_the_widget(inside)
        inside.get_by_role("heading", name="Payment sent").wait_for()
        shopper.page.wait_for_timeout(4_000)  # the page has asked our service at least once
        shopper.tells("Pay here")
        assert not inside.get_by_text("Payment confirmed").is_visible()
        installation.mint("webhooks/release", {})
    shopper.tells("Paid. Thank you!")
    store.until_status(order(shopper)["payment_id"], "settled")


def test_who_leaves_the_widget_is_back_at_the_order_and_can_pay_it(installation: Installation, visit: Visit) -> None:
    shopper = visit()
    fill_basket(shopper, installation)
    check_out(shopper, "embedded")
    control(widget(shopper), "Cancel and go back").click()
    shopper.tells("Waiting for your payment")
    assert order(shopper)["came_back"] == "exit"
    shopper.press("Continue to payment")
    pay_in_the_widget(widget(shopper))
    shopper.tells("Paid. Thank you!")


def test_who_leaves_the_widget_s_own_page_can_go_on(store: Storefront, visit: Visit) -> None:
    payment = store.open_embedded()
    shopper = visit()
    shopper.goto(payment["checkout_url"])
    control(shopper.page, "Cancel and go back").click()
    shopper.tells("You left the payment page")
    shopper.press("Continue to payment")
    pay_in_the_widget(shopper.page)
    see_confirmation(shopper)
    assert store.until_status(payment["id"], "settled")["anomaly"] is None


def test_a_bank_s_refusal_can_be_answered_with_another_bank(store: Storefront, visit: Visit) -> None:
    payment = store.open_embedded()
    shopper = visit()
    shopper.goto(payment["checkout_url"])
    control(shopper.page, "Continue to your bank").click()
    control(shopper.page, "Let the bank refuse").click()
    shopper.tells("The payment did not go through")
    assert store.payment(payment["id"])["status"] == "failed"
    shopper.press("Open a fresh payment page")
    pay_in_the_widget(shopper.page)
    see_confirmation(shopper)
    assert store.until_status(payment["id"], "settled")["anomaly"] is None


def test_a_long_wait_says_what_happens_next_and_survives_a_reload(
    installation: Installation, store: Storefront, visit: Visit
) -> None:
    payment = store.open_embedded()
    shopper = visit()
    with installation.switched(hold_webhooks=True):
        shopper.goto(payment["checkout_url"])
        shopper.page.get_by_text("Make a bank transfer yourself").click()
        control(shopper.page, "Show the transfer details").click()
        control(shopper.page, "I have sent it").click()
        for _ in range(2):
            sent = shopper.page.get_by_role("heading", name="Your payment is on its way")
            sent.wait_for()
            assert shopper.page.get_by_role("heading", name="What happens next").first.is_visible()
            expect(shopper.page.get_by_text("we are waiting to hear how it went")).to_be_visible()
            shopper.page.reload()
        assert store.payment(payment["id"])["status"] == "open"
        installation.mint("webhooks/release", {})
    shopper.tells("Payment confirmed")
    assert store.until_status(payment["id"], "settled")["anomaly"] is None


def test_a_widget_that_cannot_be_loaded_says_that_nothing_was_taken(installation: Installation, visit: Visit) -> None:
    shopper = visit()
    shopper.expect("404.*stable-payment-gateway.js|stable-payment-gateway.js.*404|Failed to load resource")
    with installation.switched(widget="missing"):
        fill_basket(shopper, installation)
        check_out(shopper, "embedded")
        inside = widget(shopper)
        alert = inside.get_by_role("alert").filter(has_text="could not be loaded")
        alert.wait_for()
        assert re.search("Nothing was taken|no money", alert.inner_text())
        expect(inside.get_by_role("status").filter(has_text="you can go back to Demo shop")).to_be_visible()
        shopper.page.get_by_text(re.compile("cannot be shown here")).wait_for()
    control(inside, "Try again").click()
    pay_in_the_widget(inside)
    shopper.tells("Paid. Thank you!")


def test_a_double_click_in_the_widget_is_one_payment(
    installation: Installation, store: Storefront, visit: Visit
) -> None:
    payment = store.open_embedded()
    shopper = visit()
    shopper.goto(payment["checkout_url"])
    control(shopper.page, "Continue to your bank").click()
    control(shopper.page, re.compile("^Approve ")).dblclick()
    see_confirmation(shopper)
    assert store.until_status(payment["id"], "settled")["anomaly"] is None
    assert [one["counted"] for one in installation.deposits(payment["id"])] == [True]
