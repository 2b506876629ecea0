"""Other people's pages: they may not frame a payment, and what they say is heard by nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Visit
from tests.browser.installation import Installation, Storefront
from tests.browser.shop import check_out, fill_basket, order, pay_in_the_widget, widget
from tests.browser.stranger import Stranger
from tests.browser.visitor import control

#: Keeps what the window is told by others.
LISTEN = """
    <script>
        window.heard = [];
        addEventListener("message", (event) => heard.push(event.data));
    </script>
"""
GREET = '{ stableCheckout: 1, type: "hello" }'
FORGED = '{ stableCheckout: 1, type: "paid", payment_id: "pay_forged", status: "settled" }'
#: Counts the events of the shop's element, and keeps it from leading anywhere.
COUNT = """
    () => {
        window.told = [];
        for (const type of ["paid", "exit", "submitted", "failed", "error", "ready"])
            addEventListener(type, (event) => { told.push(type); event.stopImmediatePropagation(); }, true);
    }
"""
A_WHILE_MS = 700


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    one = Stranger()
    yield one
    one.close()


def in_the_shop(visit: Visit, installation: Installation) -> Page:
    """A shopper's tab in which the widget is framed by the shop, ready to pay."""
    shopper = visit()
    fill_basket(shopper, installation)
    check_out(shopper, "embedded")
    control(widget(shopper), "Continue to your bank").wait_for()
    return shopper.page


def test_another_site_may_not_frame_a_payment(store: Storefront, stranger: Stranger, visit: Visit) -> None:
    payment = store.open_embedded()
    stranger.pages["/"] = f'<iframe src="{payment["checkout_url"].replace("/pay/", "/embed/")}"></iframe>'
    visitor = visit()
    visitor.expect("frame-ancestors|ERR_BLOCKED_BY_RESPONSE")
    visitor.goto(stranger.url)
    visitor.until(lambda: visitor.noted("frame-ancestors"))
    assert visitor.page.frame_locator("iframe").locator("stable-payment-gateway").count() == 0
    assert store.payment(payment["id"])["status"] == "open"


def test_no_page_but_the_widget_s_may_be_framed_by_a_stranger(
    installation: Installation, store: Storefront, stranger: Stranger, visit: Visit
) -> None:
    address = store.open()["checkout_url"]
    stranger.pages["/"] = f'<iframe src="{address}"></iframe>'
    visitor = visit()
    visitor.expect("frame-ancestors|X-Frame-Options|ERR_BLOCKED_BY_RESPONSE")
    visitor.goto(stranger.url)
    visitor.until(lambda: visitor.noted("frame-ancestors|X-Frame-Options"))


def test_the_element_on_a_site_that_may_not_frame_becomes_a_link(
    installation: Installation, store: Storefront, stranger: Stranger, visit: Visit
) -> None:
    payment = store.open_embedded()
    element = f'<stable-checkout client-token="{payment["client_token"]}"></stable-checkout>'
    stranger.pages["/"] = f'<!doctype html><html lang="en">{element}<script src="{installation.url}/embed.js"></script>'
    visitor = visit()
    visitor.expect("frame-ancestors|ERR_BLOCKED_BY_RESPONSE")
    visitor.goto(stranger.url)
    visitor.press("Continue to payment")
    pay_in_the_widget(visitor.page)
    visitor.tells("Payment confirmed")
    assert store.until_status(payment["id"], "settled")["anomaly"] is None


def test_a_refused_token_becomes_a_link_too(installation: Installation, stranger: Stranger, visit: Visit) -> None:
    element = '<stable-checkout client-token="never-given"></stable-checkout>'
    stranger.pages["/"] = f'<!doctype html><html lang="de">{element}<script src="{installation.url}/embed.js"></script>'
    visitor = visit()
    visitor.expect("frame-ancestors|X-Frame-Options|404|ERR_BLOCKED_BY_RESPONSE")
    visitor.goto(stranger.url)
    expect(visitor.page.get_by_role("link", name="Weiter zur Zahlung")).to_be_visible()


def test_the_widget_s_page_answers_no_parent_but_the_store_s(
    installation: Installation, store: Storefront, stranger: Stranger, visit: Visit
) -> None:
    """A browser that did not know frame-ancestors would show the frame: then the frame must still keep silent."""
    payment = store.open_embedded()
    address = f"{installation.url}/embed/{payment['client_token']}?place=frame"
    stranger.pages["/"] = f'<!doctype html>{LISTEN}<iframe src="{address}"></iframe>'
    visitor = visit()

    def without_policy(route: Route) -> None:
        answer = route.fetch()
        kept = {name: value for name, value in answer.headers.items() if name != "content-security-policy"}
        route.fulfill(response=answer, headers=kept)

    # what is served from here is of no address space, from which a browser reaches this machine only when allowed
    visitor.context.grant_permissions(["local-network-access"])
    visitor.context.route(f"{installation.url}/embed/**", without_policy)
    visitor.goto(stranger.url)
    inside = visitor.page.frame_locator("iframe")
    control(inside, "Continue to your bank").wait_for()
    visitor.page.evaluate(f"frames[0].postMessage({GREET}, '*')")
    control(inside, "Cancel and go back").click()  # something to tell
    visitor.page.wait_for_timeout(A_WHILE_MS)
    assert visitor.page.evaluate("heard") == []


def test_the_shop_hears_its_own_frame_and_nobody_else(installation: Installation, visit: Visit) -> None:
    page = in_the_shop(visit, installation)
    page.evaluate(COUNT)
    address = page.url
    page.evaluate(f"window.postMessage({FORGED}, '*')")  # from the shop's page itself
    page.wait_for_timeout(A_WHILE_MS)
    assert page.evaluate("told") == []
    control(page.frame_locator("stable-checkout iframe"), "Cancel and go back").click()
    page.wait_for_function("told.includes('exit')")
    assert page.url == address


def test_another_window_s_word_is_not_heard_by_the_shop(
    installation: Installation, stranger: Stranger, visit: Visit
) -> None:
    page = in_the_shop(visit, installation)
    stranger.pages["/"] = "<!doctype html><title>Stranger</title>"
    thief = page.context.new_page()
    thief.goto(stranger.url)
    with thief.expect_popup() as popup:
        thief.evaluate(f"window.theirs = window.open({page.url!r})")
    shop = popup.value
    control(shop.frame_locator("stable-checkout iframe"), "Continue to your bank").wait_for()
    shop.evaluate(COUNT)
    address = shop.url
    thief.evaluate(f"for (let times = 0; times < 3; times += 1) theirs.postMessage({FORGED}, '*')")
    assert thief.evaluate("theirs.length") == 0  # the frame is out of reach in the element's shadow
    shop.wait_for_timeout(A_WHILE_MS)
    assert shop.evaluate("told") == []
    assert shop.url == address


def test_a_shop_s_page_cannot_be_made_to_believe_a_browser(installation: Installation, visit: Visit) -> None:
    """Whoever opens the address of success by hand has still not paid."""
    shopper = visit()
    fill_basket(shopper, installation)
    check_out(shopper, "embedded")
    bought = shopper.page.url.rpartition("/")[0]
    shopper.goto(f"{bought}/back/success")
    shopper.tells("Waiting for your payment")
    assert order(shopper)["paid"] is False
