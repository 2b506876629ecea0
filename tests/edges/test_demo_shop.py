"""The demo shop: an order turns paid only on our signed word, and one basket is one payment."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest
from flask import Flask

from checkout.rules.money import Money
from checkout.simulator.options import Options as SimulatorOptions
from checkout.simulator.server import Servers
from checkout.simulator.shop import create_app
from checkout.simulator.shop.catalogue import PRODUCTS, total_of
from tests.demo_shop import KEY, SECRET, WHOLE, Clock, FakeService, Options, Visitor


@pytest.fixture(scope="module")
def running_service() -> Iterator[FakeService]:
    service = FakeService()
    thread = threading.Thread(target=service.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield service
    service.server.shutdown()
    service.server.server_close()
    thread.join()


@pytest.fixture
def service(running_service: FakeService) -> FakeService:
    running_service.requests.clear()
    running_service.payments.clear()
    running_service.answer = None
    return running_service


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(service: FakeService, clock: Clock) -> Flask:
    numbers = count(1)
    app = create_app(Options(service.url), clock=clock, new_id=lambda: f"PP-TEST{next(numbers):04}")
    app.testing = True
    return app


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


# Picking and paying


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


# What makes an order paid, and what does not


@pytest.mark.parametrize("outcome", ["success", "exit", "error", "support"])
def test_coming_back_proves_nothing(visitor: Visitor, outcome: str) -> None:
    order = visitor.order()
    back = f"/orders/{order}/back/{outcome}?payment_id=pay_1&outcome=success&status=settled"
    assert visitor.http.get(back).location == f"/orders/{order}"
    page = visitor.http.get(f"/orders/{order}")
    assert "Waiting for your payment" in page.text
    assert "Paid" not in page.text
    told = visitor.told(order)
    assert (told["paid"], told["came_back"]) == (False, outcome)


@pytest.mark.parametrize("status", ["accepted", "settled"])
def test_a_verified_notification_makes_the_order_paid(visitor: Visitor, status: str) -> None:
    order = visitor.order()
    answer = visitor.notify(order, status, 3)
    assert (answer.status_code, answer.get_json()) == (200, {"known": True})
    told = visitor.told(order)
    assert (told["paid"], told["status"], told["paid_by"]) == (True, status, "notification msg_1")
    assert "Paid. Thank you!" in visitor.http.get(f"/orders/{order}").text


@pytest.mark.parametrize("status", ["open", "submitted", "failed", "expired"])
def test_other_news_does_not_make_it_paid(visitor: Visitor, status: str) -> None:
    order = visitor.order()
    visitor.notify(order, status, 2)
    assert (visitor.told(order)["paid"], visitor.told(order)["status"]) == (False, status)


def test_a_paid_order_empties_its_own_basket_and_no_other(visitor: Visitor) -> None:
    first = visitor.order("pencils")
    visitor.notify(first, "settled", 1, amount="3")
    visitor.http.get(f"/orders/{first}")
    assert "Nothing is in it yet" in visitor.http.get("/basket").text
    visitor.pick("notebook")
    visitor.http.get(f"/orders/{first}")
    assert "€3.50" in visitor.http.get("/basket").text


def test_asking_the_api_makes_it_paid_when_no_notification_came(visitor: Visitor, service: FakeService) -> None:
    order = visitor.order()
    service.payments[order]["status"] = "accepted"
    assert visitor.told(order)["paid"] is False
    assert visitor.http.post(f"/orders/{order}/ask").status_code == 303
    assert (visitor.told(order)["paid"], visitor.told(order)["paid_by"]) == (True, "the API")


def test_the_order_page_asks_by_itself_once_the_shopper_is_back_and_not_too_often(
    visitor: Visitor, service: FakeService, clock: Clock
) -> None:
    order = visitor.order()
    asked = f"/v1/payments/{service.payments[order]['id']}"

    def times() -> int:
        visitor.http.get(f"/orders/{order}")
        return sum(request["path"] == asked for request in service.requests)

    assert times() == 0
    visitor.http.get(f"/orders/{order}/back/success")
    assert [times(), times()] == [1, 1]
    clock.now += timedelta(seconds=11)
    service.payments[order]["status"] = "settled"
    assert times() == 2
    clock.now += timedelta(seconds=11)
    assert times() == 2  # paid: nothing more to ask


def test_an_api_that_does_not_answer_changes_nothing(visitor: Visitor, service: FakeService) -> None:
    order = visitor.order()
    service.answer = 500, {}
    visitor.http.post(f"/orders/{order}/ask")
    told = visitor.told(order)
    assert (told["paid"], told["status"]) == (False, "open")
    assert told["timeline"][-1]["kind"] == "trouble"


@pytest.mark.parametrize(
    "changes",
    [{"amount": "0.90"}, {"amount": None}, {"currency": "USD"}, {"amount": "9.00", "currency": "XXX"}],
)
def test_news_that_names_another_amount_is_not_believed(visitor: Visitor, changes: dict[str, Any]) -> None:
    order = visitor.order()
    visitor.notify(order, "settled", 5, **changes)
    told = visitor.told(order)
    assert (told["paid"], told["sequence"]) == (False, 0)
    assert "not believed" in told["timeline"][-1]["text"]


def test_equal_amounts_written_differently_are_equal(visitor: Visitor) -> None:
    order = visitor.order()
    visitor.notify(order, "settled", 5, amount="9")
    assert visitor.told(order)["paid"] is True


# Notifications: repeated, reordered, forged, strange


def test_a_repeated_notification_is_counted_and_changes_nothing(visitor: Visitor) -> None:
    order = visitor.order()
    for _ in range(3):
        assert visitor.notify(order, "accepted", 2).status_code == 200
    (heard,) = visitor.told(order)["notifications"]
    assert {key: heard[key] for key in ("webhook_id", "type", "sequence", "status", "deliveries", "applied")} == {
        "webhook_id": "msg_1",
        "type": "payment.accepted",
        "sequence": 2,
        "status": "accepted",
        "deliveries": 3,
        "applied": True,
    }


def test_the_higher_sequence_wins_whatever_comes_first(visitor: Visitor) -> None:
    order = visitor.order()
    visitor.notify(order, "settled", 7, "msg_b")
    visitor.notify(order, "accepted", 4, "msg_a")
    told = visitor.told(order)
    assert (told["status"], told["sequence"], told["paid_by"]) == ("settled", 7, "notification msg_b")
    assert [one["applied"] for one in told["notifications"]] == [True, False]


def test_a_notification_may_come_before_the_answer_that_opens_the_payment(
    visitor: Visitor, service: FakeService
) -> None:
    service.answer = 503, {}
    visitor.pay(visitor.pick(*WHOLE))
    order = service.requests[0]["body"]["order"]
    visitor.notify(order, "settled", 3)
    assert visitor.told(order)["paid"] is True


def test_a_notification_of_another_payment_with_this_order_number_is_not_taken(visitor: Visitor) -> None:
    order = visitor.order()
    assert visitor.notify(order, "settled", 3, id="pay_of_somebody_else").get_json() == {"known": False}
    assert visitor.told(order)["paid"] is False


def test_a_notification_without_the_order_number_is_matched_by_the_payment(visitor: Visitor) -> None:
    order = visitor.order()
    visitor.notify("", "settled", 3, order_number=None)
    assert visitor.told(order)["paid"] is True


def test_what_is_not_about_an_order_here_is_kept_to_be_seen(visitor: Visitor) -> None:
    visitor.notify("PP-GONE", "settled", 1, "msg_old")
    visitor.deliver(json.dumps({"type": "payout.completed", "sequence": 1, "data": {"id": "po_1"}}), "msg_payout")
    kept = visitor.http.get("/notifications.json").get_json()["notifications"]
    assert [one["webhook_id"] for one in kept] == ["msg_old", "msg_payout"]


@pytest.mark.parametrize("body", ["[]", "nonsense", "{}", '{"type": "payment.settled"}', '{"type": 1, "sequence": 1}'])
def test_signed_content_that_is_no_notification_is_accepted_and_ignored(visitor: Visitor, body: str) -> None:
    assert visitor.deliver(body).status_code == 202


def test_a_notification_signed_by_somebody_else_is_401(visitor: Visitor) -> None:
    order = visitor.order()
    body = json.dumps({"type": "payment.settled", "sequence": 9, "data": {"id": "pay_1", "status": "settled"}})
    assert visitor.deliver(body, secret="whsec_" + "b3RoZXIgc2VjcmV0IGVudGlyZWx5ISEh").status_code == 401
    assert visitor.told(order)["notifications"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-id": "m", "webhook-timestamp": "x", "webhook-signature": "v1,AAAA"},
        {"webhook-id": "m", "webhook-timestamp": "NOW", "webhook-signature": "v1"},
        {"webhook-id": "m", "webhook-timestamp": "NOW", "webhook-signature": "v1,%%%,"},
        {"webhook-id": "m", "webhook-timestamp": "NOW", "webhook-signature": "v1,\u00e9"},
        {"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"},
        {"webhook-id": "m", "webhook-timestamp": "9e99", "webhook-signature": "v1,AAAA"},
    ],
)
def test_every_malformed_signature_is_the_same_refusal(visitor: Visitor, headers: dict[str, str]) -> None:
    now = str(int(datetime.now(UTC).timestamp()))
    sent = {name: value.replace("NOW", now) for name, value in headers.items()}
    assert visitor.app.test_client().post("/notifications", data=b"{}", headers=sent).status_code == 401


def test_a_body_that_is_not_text_or_too_large_is_refused(visitor: Visitor) -> None:
    now = str(int(datetime.now(UTC).timestamp()))
    headers = {"webhook-id": "m", "webhook-timestamp": now, "webhook-signature": "v1,AAAA"}
    assert visitor.http.post("/notifications", data=b"\xff\xfe", headers=headers).status_code == 401
    assert visitor.http.post("/notifications", data=b"x" * 70_000, headers=headers).status_code == 413


def test_a_shop_without_a_secret_believes_nobody(service: FakeService) -> None:
    visitor = Visitor(create_app(Options(service.url, shop_notification_secret="")))
    assert visitor.deliver("{}").status_code == 503


# Pages


def test_an_order_that_ended_can_be_bought_again_as_a_new_order(visitor: Visitor, service: FakeService) -> None:
    first = visitor.order()
    visitor.notify(first, "expired", 4)
    assert "Not paid in time" in visitor.http.get(f"/orders/{first}").text
    visitor.http.post(f"/orders/{first}/again")
    second = visitor.order()
    assert second != first
    assert len(service.payments) == 2


def test_continuing_to_pay_opens_nothing_new(visitor: Visitor, service: FakeService) -> None:
    order = visitor.order()
    assert visitor.http.post(f"/orders/{order}/pay").location == f"{service.url}/pay/token-{order}"
    assert len(service.requests) == 1


@pytest.mark.parametrize("path", ["/orders/PP-GONE", "/orders/PP-GONE.json", "/orders/PP-GONE/back/success", "/x"])
def test_what_is_not_there_is_404(visitor: Visitor, path: str) -> None:
    assert visitor.http.get(path).status_code == 404


def test_a_return_that_does_not_exist_is_404(visitor: Visitor) -> None:
    assert visitor.http.get(f"/orders/{visitor.order()}/back/paid").status_code == 404


@pytest.mark.parametrize("path", ["/basket", "/checkout"])
def test_another_sites_form_is_refused(visitor: Visitor, path: str) -> None:
    answer = visitor.http.post(path, data={"add": "pencils"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_every_page_is_strict_and_lets_a_form_lead_to_the_service_alone(visitor: Visitor, service: FakeService) -> None:
    order = visitor.order()
    for path in ("/", "/basket", f"/orders/{order}", f"/orders/{order}.json", "/nothing"):
        answer = visitor.http.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert f"form-action 'self' {service.url};" in policy
        assert "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert " style=" not in answer.text
        assert not re.search(r" on[a-z]+=", answer.text)
        assert KEY not in answer.text
        assert SECRET not in answer.text


def test_every_page_finds_its_static_files(visitor: Visitor) -> None:
    order = visitor.order()
    for path in ("/", f"/orders/{order}"):
        urls = re.findall(r'(?:href|src)="(/static/[^"]+)"', visitor.http.get(path).text)
        assert len(urls) >= 4
        for url in urls:
            assert re.search(r"\?v=[0-9a-f]{12}$", url)
            with visitor.http.get(url) as answer:
                assert answer.status_code == 200


def test_an_order_page_without_script_looks_again_until_there_is_nothing_to_wait_for(
    visitor: Visitor,
) -> None:
    order = visitor.order()
    assert '<meta http-equiv="refresh" content="4">' in visitor.http.get(f"/orders/{order}").text
    visitor.notify(order, "settled", 9)
    assert "http-equiv" not in visitor.http.get(f"/orders/{order}").text


def test_a_shop_that_does_not_know_its_own_address_does_not_start(service: FakeService) -> None:
    with pytest.raises(ValueError, match="address"):
        create_app(Options(service.url, shop=None))


def test_a_first_load_weighs_at_most_30_kilobytes_uncompressed(visitor: Visitor) -> None:
    order = visitor.order()
    for path in ("/", "/basket", f"/orders/{order}"):
        page = visitor.http.get(path).text
        weight = len(page.encode())
        for url in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
            with visitor.http.get(url) as answer:
                weight += len(answer.data)
        assert weight <= 30_000


def test_the_simulator_serves_the_shop_at_the_address_it_hands_out(service: FakeService) -> None:
    options = SimulatorOptions(
        shop=("127.0.0.1", 0), service_url=service.url, shop_api_key=KEY, shop_notification_secret=SECRET
    )
    with Servers(options) as servers, httpx.Client(base_url=servers.shop_url, trust_env=False) as browser:
        browser.post("/basket", data={"add": "pencils"})
        found = re.search(r'name="basket" value="([^"]+)"', browser.get("/basket").text)
        assert found is not None
        assert browser.post("/checkout", data={"basket": found[1]}).status_code == 303
        assert service.requests[0]["body"]["success_url"].startswith(f"{servers.shop_url}/orders/")
