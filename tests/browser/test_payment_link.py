"""A payment link: money asked for without a storefront, by an address alone."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.installation import PLAIN_STORE, Installation, Storefront
from tests.browser.shop import pay_at_the_bank, see_confirmation
from tests.browser.visitor import control


def make_link(store: Storefront, **fields: Any) -> dict[str, Any]:
    """Ask for EUR 9.00 by a link."""
    order = f"INV-{uuid.uuid4().hex[:8].upper()}"
    body = {"flow": "hosted", "amount": "9.00", "currency": "EUR", "country": "DE", "order": order, "title": "Invoice"}
    made: dict[str, Any] = store.ask("POST", "payment_links", {**body, **fields})
    return made


def test_a_link_becomes_a_receipt(installation: Installation, visit: Visit) -> None:
    plain = installation.plain_store
    link = make_link(plain)
    shopper = visit()
    shopper.goto(link["url"])
    shopper.tells(f"{PLAIN_STORE} asks you for a payment")
    expect(shopper.page.get_by_text(link["order"])).to_be_visible()
    assert plain.payments_of(link["order"]) == []  # looking opens nothing
    shopper.press("Go on to pay")
    shopper.press("Continue to payment")
    pay_at_the_bank(shopper)
    see_confirmation(shopper)
    (payment,) = plain.payments_of(link["order"])
    assert plain.until_status(payment["id"], "settled")["anomaly"] is None
    shopper.page.reload()
    expect(shopper.page.get_by_text("This is your receipt")).to_be_visible()


def test_pressing_twice_opens_one_payment(installation: Installation, visit: Visit) -> None:
    plain = installation.plain_store
    link = make_link(plain)
    shopper = visit()
    shopper.goto(link["url"])
    control(shopper.page, "Go on to pay").dblclick()
    control(shopper.page, "Continue to payment").wait_for()
    assert len(plain.payments_of(link["order"])) == 1


def test_a_link_of_single_use_takes_one_payment(installation: Installation, visit: Visit) -> None:
    plain = installation.plain_store
    link = make_link(plain, single_use=True)
    first, second = visit(), visit()
    first.goto(link["url"])
    second.goto(link["url"])
    first.press("Go on to pay")
    first.press("Continue to payment")
    pay_at_the_bank(first)
    see_confirmation(first)
    second.expect("answered 409|409")
    second.press("Go on to pay")
    second.page.wait_for_load_state()
    assert not second.page.get_by_role("link", name="Continue to payment").is_visible()
    second.goto(link["url"])
    second.tells("This payment link no longer works")
    (payment,) = plain.payments_of(link["order"])
    assert plain.until_status(payment["id"], "settled")["anomaly"] is None


def test_a_link_ends_by_its_date_and_by_the_store(installation: Installation, visit: Visit) -> None:
    plain = installation.plain_store
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat(timespec="seconds")
    short, closed = make_link(plain, expires_at=soon), make_link(plain)
    plain.ask("POST", f"payment_links/{closed['id']}/deactivate")
    shopper = visit()
    shopper.goto(closed["url"])
    shopper.tells("This payment link no longer works")
    shopper.until(lambda: not plain.ask("GET", f"payment_links/{short['id']}")["active"])
    shopper.goto(short["url"])
    shopper.tells("This payment link no longer works")
    assert not control(shopper.page, "Go on to pay").is_visible()
    expect(shopper.page.get_by_role("status")).not_to_contain_text("€9.00")  # nothing is asked for any more
    expect(shopper.page.get_by_role("definition").filter(has_text="€9.00")).to_be_visible()
