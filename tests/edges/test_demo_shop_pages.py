"""The demo shop's pages: strict, light, and honest without script."""

from __future__ import annotations

import gzip
import re

import httpx
import pytest

from checkout.simulator.options import Options as SimulatorOptions
from checkout.simulator.server import Servers
from checkout.simulator.shop import create_app
from tests.demo_shop import KEY, SECRET, WHOLE, FakeService, Options, Visitor

pytest_plugins = ("tests.demo_shop_fixtures",)


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


def test_a_first_load_weighs_at_most_30_kilobytes_as_sent(visitor: Visitor) -> None:
    order = visitor.order()
    visitor.pick(*WHOLE)
    packed = {"Accept-Encoding": "gzip"}
    for path in ("/", "/basket", f"/orders/{order}", "/account"):
        page = visitor.http.get(path).text
        weight = len(visitor.http.get(path, headers=packed).data)
        for url in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
            with visitor.http.get(url, headers=packed) as answer:
                assert answer.headers["Content-Encoding"] == "gzip"
                weight += len(answer.data)
        assert weight <= 30_000


def test_whoever_takes_no_gzip_gets_the_same_page_as_it_is(visitor: Visitor) -> None:
    packed = visitor.http.get("/", headers={"Accept-Encoding": "gzip"})
    plain = visitor.http.get("/")
    assert gzip.decompress(packed.data) == plain.data
    assert "Accept-Encoding" in packed.headers["Vary"]


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
