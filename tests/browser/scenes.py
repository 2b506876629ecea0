"""Every page a shopper can come to, by name: what has to happen for it to be seen, and its address.

Tests of what all pages share, and `make screenshots`, walk through these.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from playwright.sync_api import Page

from checkout.web.guides import GUIDES
from tests.acceptance.running import until
from tests.browser.installation import PATIENCE_S, Installation, Storefront

#: How long a session lives whose end is to be seen, in real seconds.
LIFE_S: Final = 1
BASKET_COOKIE: Final = "demo_shop_basket"


@dataclass(frozen=True, slots=True)
class Scene:
    """One page. ``make`` brings it about and gives its address; ``switches`` hold while it is looked at."""

    make: Callable[[Installation], str]
    switches: Mapping[str, Any] = field(default_factory=dict)
    ours: bool = True  #: a page of the service, not of the shop or the simulated provider
    code: int = 200
    shows: str = "main"  #: what is there once the page is whole
    basket: str = ""  #: the shop's cookie
    noted: str = ""  #: what the browser has to complain about there, as a regular expression


@contextmanager
def opened(scene: Scene, installation: Installation, made: dict[str, str], name: str) -> Iterator[str]:
    """The scene's address, valid inside the block. What needs no switch is made once."""
    if scene.switches:
        with installation.switched(**scene.switches):
            yield scene.make(installation)
        return
    if name not in made:
        made[name] = scene.make(installation)
    yield made[name]


def look(page: Page, scene: Scene, url: str) -> None:
    """Go there and wait until the page is whole."""
    if scene.basket:
        page.context.add_cookies([{"name": BASKET_COOKIE, "value": scene.basket, "url": url}])
    answer = page.goto(url)
    assert answer is not None
    assert answer.status == scene.code, f"{url}: {answer.status}"
    page.locator(scene.shows).first.wait_for()
    page.evaluate("document.fonts.ready")


# --- our page before the provider's ------------------------------------------------------------------------------


def _address(payment: Mapping[str, Any]) -> str:
    return str(payment["checkout_url"])


def _short(installation: Installation, open_one: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A payment whose session has ended."""
    with installation.switched(session_life_s=1, session_floor_s=LIFE_S):
        payment = open_one()
    _until_page_says(installation, _address(payment), "run out")
    return payment


def _until_page_says(installation: Installation, url: str, text: str) -> None:
    def found() -> bool:
        return text in installation.http.get(url, follow_redirects=True).text

    until(found, PATIENCE_S, lambda: f"{text!r} at {url}")


def _expired(installation: Installation, store: Storefront) -> dict[str, Any]:
    """A payment that nobody has paid until nobody could any more."""
    return store.until_status(_short(installation, store.open)["id"], "expired")


def _finished(installation: Installation, store: Storefront, payment: dict[str, Any], outcome: str) -> dict[str, Any]:
    installation.mint(f"sessions/{payment['provider']['reference']}/pay", {"outcome": outcome})
    return store.until_status(payment["id"], "settled" if outcome == "paid" else "failed")


def _begun(installation: Installation, store: Storefront, payment: dict[str, Any]) -> dict[str, Any]:
    """A payment that the shopper has begun at the bank, and of which no more is known."""
    for word in ("created", "initiated", "submitted"):
        news = {"reference": payment["provider"]["reference"], "type": f"partner.customer.deposit.{word}"}
        installation.mint("events", news)
    return store.until_status(payment["id"], "submitted")


def _cancelled(installation: Installation) -> str:
    payment = installation.store.open()
    installation.store.ask("POST", f"payments/{payment['id']}/cancel")
    return _address(payment)


# --- our pages afterwards ------------------------------------------------------------------------------------------


def _bank(installation: Installation, payment: Mapping[str, Any]) -> str:
    """The provider's page of a payment."""
    shown = installation.http.get(_address(payment)).text
    found = re.search(r'href="([^"]+)"[^>]*data-role="onward"', shown)
    assert found is not None, shown
    return found[1].replace("&amp;", "&")


def returned(installation: Installation, payment: Mapping[str, Any], outcome: str) -> str:
    """The return page of an open payment: the provider's way to support changes nothing."""
    answer = installation.http.post(_bank(installation, payment), data={"choice": "support"})
    return answer.headers["location"].removesuffix("support") + outcome


def _came_back(outcome: str) -> Callable[[Installation], str]:
    return lambda installation: returned(installation, installation.store.open(), outcome)


def _settled(store_of: Callable[[Installation], Storefront], outcome: str) -> Callable[[Installation], str]:
    def make(installation: Installation) -> str:
        store = store_of(installation)
        payment = store.open()
        url = returned(installation, payment, "success")
        _finished(installation, store, payment, outcome)
        return url

    return make


# --- links, shop, provider -------------------------------------------------------------------------------------------


def _link(installation: Installation, **fields: Any) -> dict[str, Any]:
    order = f"INV-{uuid.uuid4().hex[:8].upper()}"
    body = {"flow": "hosted", "amount": "9.00", "currency": "EUR", "country": "DE", "order": order, "title": "Invoice"}
    made: dict[str, Any] = installation.plain_store.ask("POST", "payment_links", {**body, **fields})
    return made


def _closed_link(installation: Installation) -> str:
    made = _link(installation)
    installation.plain_store.ask("POST", f"payment_links/{made['id']}/deactivate")
    return str(made["url"])


def _ended_link(installation: Installation) -> str:
    end = datetime.now(UTC) + timedelta(seconds=LIFE_S + 1)
    url = str(_link(installation, expires_at=end.isoformat(timespec="milliseconds"))["url"])
    until(lambda: datetime.now(UTC) > end, PATIENCE_S)
    return url


def _used_link(installation: Installation) -> str:
    """A link of single use whose payment the store has cancelled since."""
    made = _link(installation, single_use=True)
    page = installation.http.get(made["url"])
    nonce = re.search(r'name="nonce" value="([^"]+)"', page.text)
    assert nonce is not None, page.text
    installation.http.post(made["url"], data={"nonce": nonce[1]})
    order = installation.plain_store.ask("GET", f"payments?order={made['order']}")["data"][0]
    installation.plain_store.ask("POST", f"payments/{order['id']}/cancel")
    return str(made["url"])


def _guide(name: str) -> Callable[[Installation], str]:
    return lambda installation: f"{installation.url}/docs/{name}"


def _dated_link(installation: Installation) -> str:
    end = datetime.now(UTC) + timedelta(days=30)
    return str(_link(installation, expires_at=end.isoformat(timespec="seconds"))["url"])


def _order(way: str, *, paid: bool = False) -> Callable[[Installation], str]:
    """The shop's page of an order, at first as the shop shows it to whoever has not paid yet."""

    def make(installation: Installation) -> str:
        shop, http = installation.shop_url, installation.http
        http.cookies.clear()
        http.post(f"{shop}/basket", data={"add": "pencils"})
        basket = re.search(r'name="basket" value="([^"]+)"', http.get(f"{shop}/basket").text)
        assert basket is not None
        answer = http.post(f"{shop}/checkout", data={"basket": basket[1], "way": way})
        order = max(installation.store.ask("GET", "payments?limit=1")["data"], key=lambda one: str(one["id"]))
        if paid:
            _finished(installation, installation.store, order, "paid")
            installation.until_paid_order(order["order"])
        location = answer.headers["location"]
        return f"{shop}{location}" if location.startswith("/") else f"{shop}/orders/{order['order']}"

    return make


def _plain(installation: Installation) -> Storefront:
    return installation.plain_store


def _demo(installation: Installation) -> Storefront:
    return installation.store


WIDGET: Final = "stable-payment-gateway button"

SCENES: Final[Mapping[str, Scene]] = {
    "pay-ready": Scene(lambda one: _address(one.store.open())),
    "pay-ready-known-customer": Scene(
        lambda one: _address(one.store.open(flow="hosted_partner", customer={"id": "known", "email": "k@example.com"}))
    ),
    "pay-preparing": Scene(lambda one: _address(one.store.open()), {"session_outcome": "rate_limited"}),
    "pay-run-out": Scene(lambda one: _address(_short(one, one.store.open))),
    "pay-expired": Scene(lambda one: _address(_expired(one, one.store))),
    "pay-failed": Scene(lambda one: _address(_finished(one, one.store, one.store.open(), "failed"))),
    "pay-under-way": Scene(lambda one: _address(_begun(one, one.store, one.store.open()))),
    "pay-cancelled": Scene(_cancelled),
    "pay-confirmed": Scene(lambda one: _address(_finished(one, one.store, one.store.open(), "paid"))),
    "return-success-waiting": Scene(_came_back("success")),
    "return-exit": Scene(_came_back("exit")),
    "return-error": Scene(_came_back("error")),
    "return-support": Scene(_came_back("support")),
    "return-confirmed": Scene(_settled(_demo, "paid")),
    "return-failed": Scene(_settled(_demo, "failed")),
    "return-receipt": Scene(_settled(_plain, "paid")),
    "embed-form": Scene(lambda one: _address(one.store.open_embedded()), shows=WIDGET),
    "embed-form-framed": Scene(lambda one: _address_of_frame(one, one.store.open_embedded()), shows=WIDGET),
    "embed-trouble": Scene(
        lambda one: _address(one.store.open_embedded()),
        {"widget": "missing"},
        shows="[data-panel=trouble]:visible",
        noted="404|stable-payment-gateway",
    ),
    "embed-preparing": Scene(lambda one: _address(one.store.open_embedded()), {"session_outcome": "rate_limited"}),
    "embed-run-out": Scene(lambda one: _address(_short(one, one.store.open_embedded))),
    "embed-under-way": Scene(lambda one: _address(_begun(one, one.store, one.store.open_embedded()))),
    "embed-confirmed": Scene(lambda one: _address(_finished(one, one.store, one.store.open_embedded(), "paid"))),
    "link-open": Scene(lambda one: str(_link(one)["url"])),
    "link-open-until": Scene(_dated_link),
    "link-ended": Scene(_ended_link),
    "link-closed": Scene(_closed_link),
    "missing": Scene(lambda one: f"{one.url}/pay/nothing-here", code=404),
    "unavailable": Scene(lambda one: f"{one.url_without_database}/pay/{'A' * 22}", code=503),
    "bank-open": Scene(lambda one: _bank(one, one.store.open()), ours=False),
    "shop-home": Scene(lambda one: one.shop_url, ours=False),
    "shop-basket": Scene(lambda one: f"{one.shop_url}/basket", ours=False, basket="ABCDEFGHJK~pencils~notebook"),
    "shop-order-waiting": Scene(_order("hosted"), ours=False),
    "shop-order-paid": Scene(_order("hosted", paid=True), ours=False),
    "shop-pay-here": Scene(_order("embedded"), ours=False),
    "shop-account": Scene(lambda one: f"{one.shop_url}/account", ours=False),
    "shop-missing": Scene(lambda one: f"{one.shop_url}/orders/PP-NONE", ours=False, code=404),
    "link-used": Scene(_used_link),
    # for developers, in English: not among the shopper's pages
    "docs": Scene(lambda one: f"{one.url}/docs", ours=False),
    **{f"docs-{guide.name}": Scene(_guide(guide.name), ours=False) for guide in GUIDES},
}


def _address_of_frame(installation: Installation, payment: Mapping[str, Any]) -> str:
    return f"{installation.url}/embed/{payment['client_token']}?place=frame"
