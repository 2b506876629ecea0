"""The shopper's pages over the whole service: opened by the API, paid by signed news, shown by our own state alone."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from checkout.paying.links import NewLink
from checkout.rules.money import parse_amount
from tests.edges.api_fixtures import Api, api, make_api
from tests.edges.page_fixtures import Reader

__all__ = ["api"]

WIDGET = {
    "STABLE_MINT_WIDGET_URL": "http://127.0.0.1:9001/widget/stable-payment-gateway.js",
    "STABLE_MINT_SITE_ID": "3",
}
CUSTOMER = {"id": "cus-7", "email": "a@shop.example"}


def path_of(url: str) -> str:
    return url.removeprefix("http://127.0.0.1:8000")


def return_path(api: Api, outcome: str) -> str:
    """Where the provider was told to send the shopper of the newest session."""
    url = str(api.system.mint.requests[-1][f"{outcome}Url"])
    return path_of(url)


def test_a_german_payment_from_its_link_to_its_receipt(api: Api) -> None:
    opened = api.open(language="de").get_json()
    path = path_of(opened["checkout_url"])
    page = Reader(api.client.get(path, headers={"Accept-Language": "fr"}).text)
    assert "9,00\xa0€" in page.words
    assert "Weiter zur Zahlung" in page.words

    back = return_path(api, "success")
    assert "Wir bestätigen Ihre Zahlung" in api.client.get(back).text
    (session,) = api.system.sessions(opened["id"])
    api.system.hear(session, "created", "initiated", "submitted", "accepted")
    page = Reader(api.client.get(back).text)
    assert page.main["data-page"] == "receipt"
    for said in ("Zahlung bestätigt", "PP-1042", "21. November 2026", opened["id"]):
        assert said in page.words


def test_a_shopper_who_comes_back_too_late_gets_a_fresh_session_by_one_press(api: Api) -> None:
    opened = api.open().get_json()
    path = path_of(opened["checkout_url"])
    api.system.clock.advance(hours=2)
    assert "has run out" in api.client.get(path).text
    for _ in range(2):  # a double click
        assert api.client.post(path).status_code == 303
    page = Reader(api.client.get(path).text)
    assert "Continue to payment" in page.words
    assert len(api.system.sessions(opened["id"])) == 2


@pytest.mark.parametrize("outcome", ["exit", "error", "support"])
def test_each_way_out_has_a_page_with_a_way_on(api: Api, outcome: str) -> None:
    opened = api.open().get_json()
    page = Reader(api.client.get(return_path(api, outcome)).text)
    assert opened["checkout_url"] in page.hrefs()


def test_an_embedded_payment_leads_to_the_widget_with_what_the_provider_gave(tmp_path: Path) -> None:
    api = make_api(tmp_path, **WIDGET)
    answer = api.open(flow="embedded", customer=CUSTOMER, amount=...)
    assert answer.status_code == 201, answer.text
    token = answer.get_json()["client_token"]
    assert api.client.get(f"/pay/{token}").headers["Location"] == f"/embed/{token}"
    shown = api.client.get(f"/embed/{token}")
    (element,) = Reader(shown.text).all("stable-payment-gateway")
    assert element["saved-banks"] == '[{"id":"bank-1"}]'
    assert element["allowed-payment-methods"] == '["OpenBanking","ManualBankTransfer"]'
    assert (element["currency"], element["country"], element["site-id"]) == ("EUR", "DE", "3")
    assert "deposit-amount" not in element
    assert "frame-ancestors 'self' " in shown.headers["Content-Security-Policy"]

    (session,) = api.system.sessions(answer.get_json()["id"])
    assert api.client.get(f"/embed/{token}/status").get_json()["paid"] is False
    assert session.provider_session_id is not None
    api.system.hear(
        session, "created", "initiated", "submitted", "accepted", sessionId=session.provider_session_id
    )  # fmt: skip
    assert api.client.get(f"/embed/{token}/status").get_json()["paid"] is True
    page = Reader(api.client.get(f"/embed/{token}").text)
    assert "Payment confirmed" in page.words
    api.system.close()


def test_a_hosted_payments_token_is_no_widget_and_a_return_token_no_link(api: Api) -> None:
    token = path_of(api.open().get_json()["checkout_url"]).rpartition("/")[2]
    assert api.client.get(f"/embed/{token}").status_code == 404
    back = return_path(api, "exit").split("/")[2]
    for path in (f"/pay/{back}", f"/embed/{back}", f"/embed/{back}/status", f"/link/{back}", f"/link/{token}"):
        assert api.client.get(path).status_code == 404
    assert api.client.post(f"/pay/{back}").status_code == 404


def test_a_payment_link_opens_one_payment_for_each_drawing_of_its_page(api: Api) -> None:
    wanted = NewLink(
        flow="hosted", amount=parse_amount("9.00", "EUR"), currency="EUR", country="DE", order="WS-7",
        idempotency_key="k-1", title="<b>Workshop</b>", expires_at=api.system.clock.now + timedelta(days=2),
    )  # fmt: skip
    answer, _ = api.system.services.links.create(api.system.store, wanted)
    path = f"/link/{answer.token}"
    places = set()
    for _ in range(2):
        html = api.client.get(path).text
        assert "&lt;b&gt;Workshop" in html
        (nonce,) = re.findall(r'name="nonce" value="([^"]+)"', html)
        pressed = [api.client.post(path, data={"nonce": nonce}) for _ in range(2)]
        assert {one.status_code for one in pressed} == {303}
        (place,) = {one.headers["Location"] for one in pressed}
        assert "Continue to payment" in api.client.get(place).text
        places.add(place)
    assert len(places) == api.stored() == 2
    api.system.clock.advance(days=3)
    assert "that date has passed" in api.client.get(path).text


@pytest.mark.parametrize("path", ["/link/a/b", "/embed/a/b", "/link/", "/embed/"])
def test_an_address_below_the_pages_that_leads_nowhere_is_a_page(api: Api, path: str) -> None:
    answer = api.client.get(path)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
