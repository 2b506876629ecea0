"""The demo shop: what is picked is paid for once, and a service that says no, or nothing, loses no order."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from checkout.rules.money import Money
from checkout.simulator.shop import create_app
from checkout.simulator.shop.catalogue import PRODUCTS, total_of
from tests.demo_shop import KEY, WHOLE, Clock, FakeService, Options, Visitor

pytest_plugins = ("tests.demo_shop_fixtures",)


def test_everything_together_stays_within_the_sandbox_limit() -> None:
    assert [str(product.price) for product in PRODUCTS] == ["EUR 2.50", "EUR 3.00", "EUR 3.50"]
    assert total_of(PRODUCTS) == Money(900, "EUR") < Money(1000, "EUR")


def test_a_basket_holds_one_of_each_and_can_be_emptied(visitor: Visitor) -> None:
    visitor.pick("pencils", "pencils", "notebook", "yacht")
    page = visitor.http.get("/basket").text
    assert "€6.50" in page
    visitor.http.post("/basket", data={"remove": "pencils"})
    visitor.http.post("/basket", data={"remove": "notebook"})
    assert "Nothing is in it yet" in visitor.http.get("/basket").text


@pytest.mark.parametrize("cookie", ["", "x", "PP-TEST0001~yacht", "PP-TEST0001~pencils~pencils", "~" * 99, "é" * 20])
def test_a_cookie_that_is_not_ours_is_an_empty_basket(visitor: Visitor, cookie: str) -> None:
    visitor.http.set_cookie("demo_shop_basket", cookie)
    assert "Nothing is in it yet" in visitor.http.get("/basket").text


def test_paying_opens_one_hosted_payment_and_sends_the_shopper_there(visitor: Visitor, service: FakeService) -> None:
    answer = visitor.pay(visitor.pick(*WHOLE))
    (request,) = service.requests
    order = request["body"]["order"]
    assert (answer.status_code, answer.location) == (303, f"{service.url}/pay/token-{order}")
    assert request["path"] == "/v1/payments"
    assert request["headers"]["Authorization"] == f"Bearer {KEY}"
    assert request["headers"]["Idempotency-Key"] == order
    back = f"http://127.0.0.1:8103/orders/{order}/back/"
    assert request["body"] == {
        "flow": "hosted",
        "amount": "9.00",
        "currency": "EUR",
        "country": "DE",
        "order": order,
        "success_url": back + "success",
        "exit_url": back + "exit",
        "error_url": back + "error",
        "support_url": back + "support",
    }


def test_addresses_come_from_the_options_and_not_from_the_host_header(visitor: Visitor, service: FakeService) -> None:
    basket = visitor.pick("pencils")
    headers = {"Host": "evil.test", "Cookie": f"demo_shop_basket={basket}~pencils"}
    stranger = visitor.app.test_client(use_cookies=False)
    assert stranger.post("/checkout", data={"basket": basket}, headers=headers).status_code == 303
    assert service.requests[0]["body"]["exit_url"].startswith("http://127.0.0.1:8103/")
    assert "evil" not in json.dumps(service.requests)


def test_a_double_click_is_one_order_and_one_payment(visitor: Visitor, service: FakeService) -> None:
    basket = visitor.pick(*WHOLE)
    cookie = visitor.http.get_cookie("demo_shop_basket")
    assert cookie is not None

    def click(_: int) -> str:
        client = visitor.app.test_client()
        client.set_cookie("demo_shop_basket", cookie.value)
        return client.post("/checkout", data={"basket": basket}).location

    with ThreadPoolExecutor(8) as pool:
        places = set(pool.map(click, range(16)))
    assert len(places) == len(service.payments) == 1
    assert len({request["headers"]["Idempotency-Key"] for request in service.requests}) == 1


def test_a_basket_that_changed_in_another_tab_is_shown_again_before_it_is_paid(
    visitor: Visitor, service: FakeService
) -> None:
    seen = visitor.pick("pencils")
    visitor.pick("notebook")
    assert visitor.pay(seen).location == "/basket"
    assert service.requests == []


def test_an_empty_basket_cannot_be_paid(visitor: Visitor, service: FakeService) -> None:
    assert visitor.http.post("/checkout", data={"basket": "PP-TEST0001"}).location == "/basket"
    assert service.requests == []


# When the service says no, or nothing


def test_a_refusal_is_shown_with_every_bad_field_and_without_the_key(visitor: Visitor, service: FakeService) -> None:
    fields = {"amount": ["the sandbox takes at most EUR 10"], "country": "<b>unknown</b>"}
    service.answer = 422, {"title": "Bad request", "detail": "two fields", "errors": fields}
    answer = visitor.pay(visitor.pick(*WHOLE))
    assert answer.status_code == 502
    for said in ("Bad request: two fields", "the sandbox takes at most EUR 10", "&lt;b&gt;unknown"):
        assert said in answer.text
    assert KEY not in answer.text


@pytest.mark.parametrize(
    "answer",
    [
        (503, {"title": "busy"}),
        (201, b"not json"),
        (201, {}),
        (201, {"id": "x", "status": "open"}),
        (429, {}),
    ],
)
def test_no_usable_answer_keeps_the_order_and_trying_again_uses_the_same_key(
    visitor: Visitor, service: FakeService, answer: tuple[int, Any]
) -> None:
    service.answer = answer
    page = visitor.pay(visitor.pick(*WHOLE))
    assert page.status_code == 504
    order = service.requests[0]["body"]["order"]
    assert order in page.text
    service.answer = None
    assert visitor.http.post(f"/orders/{order}/pay").location == f"{service.url}/pay/token-{order}"
    assert {request["headers"]["Idempotency-Key"] for request in service.requests} == {order}


def test_a_service_that_is_not_there_is_an_honest_page(clock: Clock) -> None:
    app = create_app(Options("http://127.0.0.1:1"), clock=clock)
    visitor = Visitor(app)
    answer = visitor.pay(visitor.pick("pencils"))
    assert answer.status_code == 504
    assert "did not answer" in answer.text


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.test/", ""])
def test_a_payment_page_that_is_no_web_address_is_not_followed(
    visitor: Visitor, service: FakeService, url: str
) -> None:
    service.answer = 201, {"id": "pay_1", "status": "open", "checkout_url": url}
    assert visitor.pay(visitor.pick("pencils")).status_code == 504
