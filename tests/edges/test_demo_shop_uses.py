"""The demo shop's three uses: redirect, inside the page, returning customer; each with the code that really runs."""

from __future__ import annotations

import html
import inspect
import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from checkout.simulator.shop import uses
from tests.demo_shop import KEY, WHOLE, FakeService, Visitor

pytest_plugins = ("tests.demo_shop_fixtures",)


def listings(visitor: Visitor) -> list[str]:
    """Every piece of code the basket page shows."""
    page = visitor.http.get("/basket").text
    return [html.unescape(one) for one in re.findall(r"<code>(.*?)</code>", page, re.DOTALL)]


def bodies(service: FakeService) -> list[dict[str, Any]]:
    return [request["body"] for request in service.requests if request["path"] == "/v1/payments"]


def buy_again(visitor: Visitor, order: str, once: str = "") -> Any:
    page = visitor.http.get(f"/orders/{order}").text
    found = re.search(r'name="once" value="([^"]+)"', page)
    assert found is not None
    return visitor.http.post(f"/orders/{order}/buy", data={"once": once or found[1]})


def test_the_basket_offers_three_ways_side_by_side(visitor: Visitor) -> None:
    visitor.pick("pencils")
    page = visitor.http.get("/basket").text
    assert re.findall(r'<button[^>]* name="way" value="(\w+)"', page) == ["hosted", "embedded", "returning"]


def test_a_way_that_does_not_exist_is_refused(visitor: Visitor, service: FakeService) -> None:
    assert visitor.pay(visitor.pick("pencils"), way="credit").status_code == 400
    assert service.requests == []


# The code that is shown


@pytest.mark.parametrize("use", list(uses.SHOWN))
def test_the_server_code_shown_is_the_source_of_what_runs(visitor: Visitor, use: str) -> None:
    visitor.pick("pencils")
    shown = "\n".join(listings(visitor))
    for function in uses.SHOWN[use]:
        assert inspect.getsource(function).strip() in shown


def test_the_shown_server_code_runs_as_it_is_copied(visitor: Visitor, service: FakeService) -> None:
    visitor.pick("pencils")
    python = "\n\n".join(code for code in listings(visitor) if code.startswith("def "))
    beginning = (
        "from collections.abc import Mapping\nfrom urllib.parse import quote\nfrom httpx import Client, Response\n"
    )
    copied: dict[str, Any] = {}
    exec(f"{beginning}Texts = Mapping[str, str]\n{python}", copied)  # noqa: S102 - what the page shows
    ada = {"id": "c-17", "name": "Ada Example", "email": "ada@example.com"}
    with copied["connect"](service.url, KEY) as http:
        assert copied["pay_by_redirect"](http, "A-1", "9.00", {}).json()["checkout_url"]
        assert copied["pay_in_page"](http, "A-2", "9.00", {}, ada).json()["client_token"]
        assert copied["remember"](http, ada).is_success
        assert copied["pay_again"](http, "A-3", "9.00", {}, "c-17").json()["checkout_url"]
        assert [one["order"] for one in copied["history"](http, "c-17").json()["data"]] == ["A-3", "A-2"]
        assert copied["how_it_stands"](http, "pay_1").json()["status"] == "open"


def test_the_shown_page_code_is_what_the_pages_are_made_of(visitor: Visitor, service: FakeService) -> None:
    basket = visitor.pick("pencils")
    page = visitor.http.get("/basket").text
    forms = [code for code in listings(visitor) if code.startswith("<form")]
    assert len(forms) == 2
    for form in forms:
        assert form in page
    widget = visitor.http.get(visitor.pay(basket, way="embedded").location).text
    (shown,) = [code for code in listings(visitor) if code.startswith("<stable-checkout")]
    for line in shown.splitlines():
        pattern = ".*".join(re.escape(part) for part in line.split("…"))
        assert re.search(pattern, widget), line
    (script,) = [code for code in listings(visitor) if "addEventListener" in code]
    found = re.search(r'src="(/static/shop-widget\.js[^"]*)"', widget)
    assert found is not None
    with visitor.http.get(found[1]) as sent:
        assert sent.data.decode().strip() == script
    assert service.url in shown


def test_no_code_that_is_shown_has_a_secret_or_a_token_in_it(visitor: Visitor, service: FakeService) -> None:
    visitor.pay(visitor.pick("pencils"), way="embedded")
    shown = "".join(listings(visitor))
    assert KEY not in shown
    assert "token-" not in shown


# Inside the page


def test_the_payment_inside_the_page_is_opened_for_the_customer_and_shown_there(
    visitor: Visitor, service: FakeService
) -> None:
    answer = visitor.pay(visitor.pick(*WHOLE), way="embedded")
    (body,) = bodies(service)
    order = body["order"]
    assert (answer.status_code, answer.location) == (303, f"/orders/{order}/widget")
    assert body["flow"] == "embedded"
    assert set(body["customer"]) == {"id", "email"}
    page = visitor.http.get(answer.location).text
    assert f'<stable-checkout client-token="token-{order}"' in page
    assert f'<script src="{service.url}/embed.js" async>' in page
    assert f'href="{service.url}/pay/token-{order}"' in page, "the way on for whom no script runs"


def test_only_the_page_with_the_payment_lets_the_service_in(visitor: Visitor, service: FakeService) -> None:
    order = visitor.order(way="embedded")
    policy = visitor.http.get(f"/orders/{order}/widget").headers["Content-Security-Policy"]
    assert f"script-src 'self' {service.url};" in policy
    assert f"frame-src {service.url};" in policy
    assert "unsafe" not in policy
    for path in ("/", "/basket", f"/orders/{order}", "/account"):
        policy = visitor.http.get(path).headers["Content-Security-Policy"]
        assert "script-src 'self';" in policy
        assert "frame-src" not in policy


@pytest.mark.parametrize("outcome", ["success", "exit"])
def test_where_the_widget_leads_proves_nothing(visitor: Visitor, outcome: str) -> None:
    order = visitor.order(way="embedded")
    visitor.http.get(f"/orders/{order}/back/{outcome}")
    assert visitor.told(order)["paid"] is False
    assert "Waiting for your payment" in visitor.http.get(f"/orders/{order}").text


def test_the_widgets_order_turns_paid_on_the_signed_notification(visitor: Visitor) -> None:
    order = visitor.order(way="embedded")
    visitor.notify(order, "accepted", 3)
    assert visitor.told(order)["paid"] is True
    assert visitor.http.get(f"/orders/{order}/widget").location == f"/orders/{order}", "nothing is left to pay"


def test_continuing_leads_back_into_the_page(visitor: Visitor, service: FakeService) -> None:
    order = visitor.order(way="embedded")
    assert visitor.http.post(f"/orders/{order}/pay").location == f"/orders/{order}/widget"
    assert len(bodies(service)) == 1


def test_an_answer_without_a_client_token_is_no_payment_in_the_page(visitor: Visitor, service: FakeService) -> None:
    service.answer = 201, {"id": "pay_1", "status": "open", "checkout_url": "https://pay.test/pay/x"}
    assert visitor.pay(visitor.pick("pencils"), way="embedded").status_code == 504


def test_an_order_of_another_way_has_no_widget(visitor: Visitor) -> None:
    order = visitor.order()
    assert visitor.http.get(f"/orders/{order}/widget").location == f"/orders/{order}"
    assert visitor.http.get("/orders/PP-GONE/widget").status_code == 404


# A customer who comes again


def test_a_customer_is_stored_once_and_from_then_on_named_by_the_id_alone(
    visitor: Visitor, service: FakeService
) -> None:
    first = visitor.order(way="returning")
    visitor.notify(first, "settled", 2)
    answer = buy_again(visitor, first)
    assert answer.location.startswith(f"{service.url}/pay/token-")
    stored = [request for request in service.requests if request["path"].startswith("/v1/customers/")]
    assert len(stored) == 1
    assert stored[0]["body"] == {
        "email": "ada@example.com",
        "country": "DE",
        "kyc": {"full_name": "Ada Example"},
    }
    (one, two) = bodies(service)
    assert one["flow"] == two["flow"] == "hosted_partner"
    assert one["customer"] == two["customer"] == {"id": stored[0]["path"].rpartition("/")[2]}
    assert (one["amount"], one["order"]) != (two["amount"], two["order"])
    assert "country" not in two


def test_buying_again_with_a_double_click_is_one_order(visitor: Visitor, service: FakeService) -> None:
    order = visitor.order("pencils")
    visitor.notify(order, "settled", 2, amount="3.00")
    page = visitor.http.get(f"/orders/{order}").text
    once = re.findall(r'name="once" value="([^"]+)"', page)[0]
    cookie = visitor.http.get_cookie("demo_shop_customer")
    assert cookie is not None

    def click(_: int) -> str:
        client = visitor.app.test_client()
        client.set_cookie("demo_shop_customer", cookie.value)
        return client.post(f"/orders/{order}/buy", data={"once": once}).location

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(click, range(8)))) == 1
    assert len(service.payments) == 2


@pytest.mark.parametrize("once", ["x", "../../etc", "a" * 80, "PP-TEST0001~pencils"])
def test_buying_again_takes_no_other_basket_id_than_one_of_ours(visitor: Visitor, once: str) -> None:
    order = visitor.order("pencils")
    assert visitor.http.post(f"/orders/{order}/buy", data={"once": once}).status_code == 400


def test_a_customer_the_service_has_forgotten_is_stored_again(visitor: Visitor, service: FakeService) -> None:
    first = visitor.order("pencils", way="returning")
    visitor.notify(first, "settled", 2, amount="3.00")
    service.customers.clear()
    refused = buy_again(visitor, first)
    assert refused.status_code == 502
    second = bodies(service)[-1]["order"]
    assert visitor.http.post(f"/orders/{second}/pay").location == f"{service.url}/pay/token-{second}"


def test_the_payments_of_a_customer_come_from_the_api_and_can_be_bought_again(
    visitor: Visitor, service: FakeService
) -> None:
    assert "No payments yet" in visitor.http.get("/account").text
    order = visitor.order("pencils", way="returning")
    service.payments[order]["status"] = "settled"
    page = visitor.http.get("/account").text
    assert "€3.00" in page
    assert f'action="/orders/{order}/buy"' in page
    assert ", settled" in page
    stranger = Visitor(visitor.app)
    assert order not in stranger.http.get("/account").text


def test_a_history_that_cannot_be_read_is_an_honest_page(visitor: Visitor, service: FakeService) -> None:
    service.answer = 503, {}
    answer = visitor.http.get("/account")
    assert answer.status_code == 502
    assert "not there right now" in answer.text


@pytest.mark.parametrize("cookie", ["", "x", "C-", "C-<b>x</b>xxxxx", "C-" + "a" * 60])
def test_a_cookie_that_is_not_ours_is_a_new_customer(visitor: Visitor, cookie: str) -> None:
    visitor.http.set_cookie("demo_shop_customer", cookie)
    visitor.http.get("/account")
    kept = visitor.http.get_cookie("demo_shop_customer")
    assert kept is not None
    assert re.fullmatch(r"C-PP-TEST\d{4}", kept.value)


# One basket, several ways


def test_each_way_is_an_order_of_its_own_until_one_is_paid(visitor: Visitor, service: FakeService) -> None:
    basket = visitor.pick("pencils")
    hosted = visitor.pay(basket).location.rpartition("token-")[2]
    assert visitor.pay(basket, way="embedded").location != f"/orders/{hosted}/widget"
    visitor.notify(hosted, "settled", 2, amount="3.00")
    assert visitor.pay(basket, way="returning").location == f"/orders/{hosted}"
    assert len(service.payments) == 2


def test_the_keys_of_the_shop_never_reach_a_page(visitor: Visitor, service: FakeService) -> None:
    order = visitor.order(way="embedded")
    for path in ("/basket", "/account", f"/orders/{order}/widget", f"/orders/{order}.json"):
        assert KEY not in visitor.http.get(path).text
    assert KEY in json.dumps(service.requests)
    assert isinstance(uses.connect(service.url, KEY), httpx.Client)
