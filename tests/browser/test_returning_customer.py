"""A customer who comes back: known, with the banks used before, and one click from buying again."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.installation import Installation, Storefront
from tests.browser.shop import (
    bank_button,
    check_out,
    fill_basket,
    order,
    pay_at_the_bank,
    pay_in_the_widget,
    see_confirmation,
)
from tests.browser.visitor import control


def test_a_known_customer_pays_and_buys_again_in_one_click(
    installation: Installation, store: Storefront, visit: Visit
) -> None:
    shopper = visit()
    fill_basket(shopper, installation)
    check_out(shopper, "returning")
    shopper.press("Continue to payment")
    pay_at_the_bank(shopper)
    see_confirmation(shopper)
    shopper.press("Back to Demo shop")
    shopper.tells("Paid. Thank you!")
    first = order(shopper)
    store.until_status(first["payment_id"], "settled")

    control(shopper.page, "Buy again in one click").dblclick()
    expect(shopper.page.get_by_text("already knows you")).to_be_visible()
    shopper.press("Continue to payment")
    bank_button(shopper.page).click()
    see_confirmation(shopper)
    shopper.press("Back to Demo shop")
    shopper.tells("Paid. Thank you!")
    second = order(shopper)
    assert second["payment_id"] != first["payment_id"]
    assert second["total"] == first["total"]
    paid = store.until_status(second["payment_id"], "settled")
    assert (paid["order"], paid["anomaly"]) == (second["id"], None)

    shopper.press("Your payments")
    shopper.tells("Your payments")
    for one in (first, second):
        expect(shopper.page.get_by_text(one["id"]).first).to_be_visible()
        assert len(store.payments_of(one["id"])) == 1


def test_the_widget_offers_the_banks_a_customer_has_used(store: Storefront, visit: Visit) -> None:
    first = store.open_embedded("regular")
    shopper = visit()
    shopper.goto(first["checkout_url"])
    control(shopper.page, "Continue to your bank").wait_for()
    assert not shopper.page.get_by_text("Banks you have used").is_visible()
    shopper.page.get_by_text("Birch & Sons").click()
    pay_in_the_widget(shopper.page)
    see_confirmation(shopper)
    store.until_status(first["id"], "settled")

    again = store.open_embedded("regular")
    shopper.goto(again["checkout_url"])
    used = shopper.page.get_by_role("group", name="Banks you have used")
    expect(used.get_by_role("radio", name="Birch & Sons")).to_be_visible()
    pay_in_the_widget(shopper.page)
    see_confirmation(shopper)
    assert store.until_status(again["id"], "settled")["anomaly"] is None


def test_one_customer_s_banks_are_not_another_s(store: Storefront, visit: Visit) -> None:
    first = store.open_embedded("somebody")
    shopper = visit()
    shopper.goto(first["checkout_url"])
    pay_in_the_widget(shopper.page)
    see_confirmation(shopper)
    store.until_status(first["id"], "settled")

    other = visit()
    other.goto(store.open_embedded("somebody-else")["checkout_url"])
    control(other.page, "Continue to your bank").wait_for()
    assert not other.page.get_by_text("Banks you have used").is_visible()


def test_an_erased_customer_is_a_stranger_again(store: Storefront, visit: Visit) -> None:
    store.ask("PUT", "customers/leaving", {"email": "leaving@example.com", "country": "DE"})
    payment = store.open(flow="hosted_partner", customer={"id": "leaving"})
    shopper = visit()
    shopper.goto(payment["checkout_url"])
    expect(shopper.page.get_by_text("already knows you")).to_be_visible()
    store.ask("DELETE", "customers/leaving")
    store.ask("PUT", "customers/leaving", {"email": "new@example.com", "country": "DE"})
    fresh = store.open(flow="hosted_partner", customer={"id": "leaving"})
    assert fresh["id"] != payment["id"]
    assert store.ask("GET", "customers/leaving/payments")["data"][0]["id"] == fresh["id"]
