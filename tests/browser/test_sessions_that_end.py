"""Sessions end and shoppers come back: a fresh one by a button, late money, two tabs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import Visit
from tests.browser.installation import Installation, Storefront
from tests.browser.shop import bank_button, pay_at_the_bank, pay_in_the_widget, see_confirmation
from tests.browser.visitor import control, says

#: How long a session lives in these tests, in real seconds.
LIFE_S = 2


Payment = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def short_lived(installation: Installation, store: Storefront) -> dict[str, Payment]:
    """Payments whose first session ends almost at once, opened together so that the wait is one."""
    with installation.switched(session_life_s=1, session_floor_s=LIFE_S):
        opened = {name: store.open() for name in ("redirect", "late", "tabs")}
        return {**opened, "widget": store.open_embedded()}


def test_two_tabs_pay_and_the_second_money_is_named(
    installation: Installation, store: Storefront, visit: Visit
) -> None:
    payment = store.open()
    shopper = visit()
    shopper.goto(payment["checkout_url"])
    shopper.press("Continue to payment")
    bank_button(shopper.page).wait_for()
    store.ask("POST", f"payments/{payment['id']}/sessions")
    other = shopper.another_tab()
    other.goto(payment["checkout_url"])
    control(other, "Continue to payment").click()
    bank_button(other).wait_for()
    assert other.url != shopper.page.url  # two sessions of one order
    bank_button(shopper.page).click()
    see_confirmation(shopper)
    bank_button(other).click()
    says(other, "Payment confirmed")
    assert store.until_anomaly(payment["id"], "duplicate")["amount"] == "9.00"
    store.until_status(payment["id"], "settled")
    counted = sorted(one["counted"] for one in installation.deposits(payment["id"]))
    assert counted == [False, True]


def test_two_tabs_of_one_session_are_one_payment(installation: Installation, store: Storefront, visit: Visit) -> None:
    payment = store.open()
    shopper = visit()
    tabs = [shopper.page, shopper.another_tab()]
    for tab in tabs:
        tab.goto(payment["checkout_url"])
        control(tab, "Continue to payment").click()
        bank_button(tab).wait_for()
    for tab in tabs:
        bank_button(tab).click()
    for tab in tabs:
        says(tab, "Payment confirmed")
    assert store.until_status(payment["id"], "settled")["anomaly"] is None
    assert [one["counted"] for one in installation.deposits(payment["id"])] == [True]


def test_who_stayed_at_the_bank_too_long_finds_the_way_on(
    installation: Installation, store: Storefront, visit: Visit
) -> None:
    with installation.switched(session_life_s=1, session_floor_s=LIFE_S):
        payment = store.open()
        shopper = visit()
        shopper.expect("answered 410|410")
        shopper.goto(payment["checkout_url"])
        shopper.press("Continue to payment")
        bank_button(shopper.page).wait_for()
    shopper.page.wait_for_timeout((LIFE_S + 1.5) * 1000)  # an end is told in whole seconds, rounded up
    bank_button(shopper.page).click()
    shopper.tells("This payment session has expired")
    shopper.press("Back to the shop")
    shopper.press("Open a fresh payment page")
    shopper.press("Continue to payment")
    pay_at_the_bank(shopper)
    see_confirmation(shopper)
    assert store.until_status(payment["id"], "settled")["anomaly"] is None


def test_an_expired_payment_is_paid_in_a_fresh_session(
    store: Storefront, short_lived: dict[str, Payment], visit: Visit
) -> None:
    payment = short_lived["redirect"]
    shopper = visit()
    store.until_status(payment["id"], "expired")
    shopper.goto(payment["checkout_url"])
    shopper.tells("Your payment page has run out")
    shopper.press("Open a fresh payment page")
    shopper.press("Continue to payment")
    pay_at_the_bank(shopper)
    see_confirmation(shopper)
    assert store.until_status(payment["id"], "settled")["anomaly"] is None


def test_an_expired_widget_is_opened_afresh(store: Storefront, short_lived: dict[str, Payment], visit: Visit) -> None:
    payment = short_lived["widget"]
    shopper = visit()
    store.until_status(payment["id"], "expired")
    shopper.goto(payment["checkout_url"])
    shopper.tells("Your payment page has run out")
    shopper.press("Open a fresh payment page")
    pay_in_the_widget(shopper.page)
    see_confirmation(shopper)
    assert store.until_status(payment["id"], "settled")["anomaly"] is None


def test_the_old_session_s_money_is_seen_for_what_it_is(
    installation: Installation, store: Storefront, short_lived: dict[str, Payment], visit: Visit
) -> None:
    payment = short_lived["late"]
    old = payment["provider"]["reference"]
    store.until_status(payment["id"], "expired")
    shopper = visit()
    shopper.goto(payment["checkout_url"])
    shopper.press("Open a fresh payment page")
    control(shopper.page, "Continue to payment").wait_for()
    installation.mint(f"sessions/{old}/pay", {"outcome": "paid"})
    assert store.until_anomaly(payment["id"], "late")["status"] in ("accepted", "settled")
    shopper.page.reload()
    see_confirmation(shopper)
    assert not control(shopper.page, "Continue to payment").is_visible()


def test_two_tabs_that_ask_for_a_fresh_page_get_the_same_one(
    store: Storefront, short_lived: dict[str, Payment], visit: Visit
) -> None:
    payment = short_lived["tabs"]
    store.until_status(payment["id"], "expired")
    shopper = visit()
    tabs = [shopper.page, shopper.another_tab()]
    for tab in tabs:
        tab.goto(payment["checkout_url"])
        control(tab, "Open a fresh payment page").wait_for()
    for tab in tabs:
        control(tab, "Open a fresh payment page").dblclick()
    for tab in tabs:
        control(tab, "Continue to payment").click()
        bank_button(tab).wait_for()
    assert tabs[0].url == tabs[1].url
