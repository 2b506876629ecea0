"""The checkout that redirects: from the basket over our page and the bank to the receipt, and every other way back."""

from __future__ import annotations

import re

from tests.browser.conftest import Visit
from tests.browser.installation import PLAIN_STORE, Installation, Storefront
from tests.browser.shop import bank_button, check_out, fill_basket, order, pay_at_the_bank, see_confirmation
from tests.browser.visitor import Device

#: A page goes on by itself after five seconds.
LEAVES_AFTER_MS = 6_000


def test_a_basket_becomes_a_paid_order(installation: Installation, store: Storefront, visit: Visit) -> None:
    shopper = visit()
    fill_basket(shopper, installation)
    check_out(shopper)
    shopper.press("Continue to payment")
    pay_at_the_bank(shopper)
    see_confirmation(shopper)
    shopper.press("Back to Demo shop")
    shopper.tells("Paid. Thank you!")
    bought = order(shopper)
    paid = store.until_status(str(bought["payment_id"]), "settled")
    assert (paid["amount"], paid["order"], paid["anomaly"]) == ("3.00", bought["id"], None)


def test_both_redirects_go_on_by_themselves(installation: Installation, store: Storefront, visit: Visit) -> None:
    shopper = visit()
    shopper.page.clock.install()
    fill_basket(shopper, installation)
    check_out(shopper)
    shopper.page.clock.fast_forward(LEAVES_AFTER_MS)
    pay_at_the_bank(shopper)  # nobody has pressed anything on our page
    see_confirmation(shopper)
    shopper.page.clock.fast_forward(LEAVES_AFTER_MS)
    shopper.tells("Paid. Thank you!")
    store.until_status(str(order(shopper)["payment_id"]), "settled")


def test_who_wants_calm_is_not_moved_on(store: Storefront, visit: Visit) -> None:
    payment = store.open()
    shopper = visit(Device(calm=True))
    shopper.page.clock.install()
    shopper.goto(payment["checkout_url"])
    shopper.page.clock.fast_forward(60_000)
    assert shopper.page.url == payment["checkout_url"]
    assert not shopper.page.locator("[data-leaving]").is_visible()
    moving = "document.getAnimations().filter(one => one.playState === 'running').length"
    assert shopper.page.evaluate(moving) == 0


def test_who_stays_is_not_moved_on(store: Storefront, visit: Visit) -> None:
    payment = store.open()
    shopper = visit()
    shopper.page.clock.install()
    shopper.goto(payment["checkout_url"])
    shopper.press("Stay on this page")
    shopper.page.clock.fast_forward(60_000)
    assert shopper.page.url == payment["checkout_url"]


def test_who_leaves_the_bank_can_go_on_where_they_left(store: Storefront, visit: Visit) -> None:
    payment = store.open()
    shopper = visit()
    shopper.goto(payment["checkout_url"])
    shopper.press("Continue to payment")
    shopper.press("Cancel and go back")
    shopper.tells("You left the payment page")
    assert store.payment(payment["id"])["status"] == "open"
    shopper.press("Continue to payment")
    shopper.press("Continue to payment")
    pay_at_the_bank(shopper)
    see_confirmation(shopper)
    assert store.until_status(payment["id"], "settled")["anomaly"] is None


def test_who_leaves_the_bank_can_go_back_to_the_shop(installation: Installation, visit: Visit) -> None:
    shopper = visit()
    fill_basket(shopper, installation)
    check_out(shopper)
    shopper.press("Continue to payment")
    shopper.press("Cancel and go back")
    shopper.tells("You left the payment page")
    shopper.press("Back to Demo shop")
    shopper.tells("Waiting for your payment")
    assert order(shopper)["paid"] is False


def test_a_refused_payment_says_so_and_a_fresh_page_pays_it(store: Storefront, visit: Visit) -> None:
    payment = store.open()
    shopper = visit()
    shopper.goto(payment["checkout_url"])
    shopper.press("Continue to payment")
    shopper.press("Let the bank refuse")
    shopper.tells(re.compile("wrong|did not go through|already be on its way"))
    store.until_status(payment["id"], "failed")
    shopper.page.reload()
    shopper.tells("The payment did not go through")
    shopper.press("Open a fresh payment page")
    shopper.press("Continue to payment")
    pay_at_the_bank(shopper)
    see_confirmation(shopper)
    assert store.until_status(payment["id"], "settled")["anomaly"] is None


def test_who_asks_for_help_is_told_where_it_is(store: Storefront, visit: Visit) -> None:
    payment = store.open()
    shopper = visit()
    shopper.goto(payment["checkout_url"])
    shopper.press("Continue to payment")
    shopper.press("Get help")
    shopper.tells("You asked for help")
    assert shopper.page.get_by_text(payment["id"]).is_visible()
    shopper.page.get_by_role("link", name="Back to Demo shop").wait_for()


def test_a_store_without_addresses_gets_a_receipt(installation: Installation, visit: Visit) -> None:
    plain = installation.plain_store
    payment = plain.open()
    shopper = visit()
    shopper.goto(payment["checkout_url"])
    shopper.press("Continue to payment")
    pay_at_the_bank(shopper)
    see_confirmation(shopper)
    receipt = shopper.page.get_by_role("main")
    for fact in (payment["order"], payment["id"], "9.00", PLAIN_STORE):
        assert receipt.get_by_text(fact).first.is_visible()
    assert plain.payment(payment["id"])["status"] in ("accepted", "settled")


def test_double_clicks_are_single_orders_and_single_payments(
    installation: Installation, store: Storefront, visit: Visit
) -> None:
    shopper = visit()
    fill_basket(shopper, installation)
    check_out(shopper, clicks=2)
    shopper.page.get_by_role("link", name="Continue to payment").dblclick()
    bank_button(shopper.page).dblclick()
    see_confirmation(shopper)
    shopper.press("Back to Demo shop")
    shopper.tells("Paid. Thank you!")
    bought = order(shopper)
    store.until_status(str(bought["payment_id"]), "settled")
    assert [one["counted"] for one in installation.deposits(str(bought["payment_id"]))] == [True]
    assert len(store.payments_of(str(bought["id"]))) == 1


def test_the_back_button_shows_what_is_true_now(store: Storefront, visit: Visit) -> None:
    payment = store.open()
    shopper = visit()
    shopper.goto(payment["checkout_url"])
    shopper.press("Continue to payment")
    pay_at_the_bank(shopper)
    see_confirmation(shopper)
    shopper.page.go_back()
    shopper.tells("This payment has been made")
    shopper.page.go_back()
    see_confirmation(shopper)
    assert not shopper.page.get_by_role("link", name="Continue to payment").is_visible()
    store.until_status(payment["id"], "settled")
    assert store.payment(payment["id"])["anomaly"] is None


def test_never_to_return_is_a_normal_way_to_pay(installation: Installation, visit: Visit) -> None:
    shopper = visit()
    fill_basket(shopper, installation)
    check_out(shopper)
    bought = shopper.page.get_by_text("PP-").first.inner_text()
    shopper.press("Continue to payment")
    shopper.press("Pay, but close the window")
    shopper.tells("Paid, and the window is closed")
    shopper.page.close()
    paid = installation.until_paid_order(bought)
    assert (paid["came_back"], str(paid["paid_by"]).partition(" ")[0]) == (None, "notification")


def test_news_comes_to_a_page_that_waits_and_is_announced(
    installation: Installation, store: Storefront, visit: Visit
) -> None:
    payment = store.open()
    shopper = visit()
    with installation.switched(hold_webhooks=True):
        shopper.goto(payment["checkout_url"])
        shopper.press("Continue to payment")
        pay_at_the_bank(shopper)
        shopper.tells("We are confirming your payment")
        shopper.page.reload()
        shopper.tells("We are confirming your payment")
        assert store.payment(payment["id"])["status"] == "open"
        installation.mint("webhooks/release", {})
    shopper.tells("Payment confirmed")
    told = shopper.page.get_by_role("status").filter(has_text="Payment confirmed")
    assert told.count() == 1
    store.until_status(payment["id"], "settled")


def test_a_page_that_was_never_ours_is_refused(installation: Installation, visit: Visit) -> None:
    shopper = visit()
    shopper.expect("answered 404")
    shopper.expect("console: Failed to load resource.*404")
    for address in ("pay/not-a-token", "return/not-a-token/success", "pay/" + "A" * 22):
        assert shopper.goto(f"{installation.url}/{address}").status == 404
        shopper.tells("There is no such payment page")
