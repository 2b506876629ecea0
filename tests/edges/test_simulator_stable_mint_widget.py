"""The simulated widget: its scripts, its calls from a page of another origin, and the embedded session's answer."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from checkout.rules.money import parse_amount
from tests.edges.simulated_partner import EMBEDDED, PARTNER, PREFIX, World, eventually, person, world

ENTRY = "/widget/stable-payment-gateway.js"
PAGE = "http://127.0.0.1:1"
BANKS = {"alder-bank": "Alder Bank", "birch-sons": "Birch & Sons", "cedar-savings": "Cedar Savings"}
PAID = ["created", "initiated", "submitted", "accepted", "completed"]


def embedded(w: World, /, **changes: Any) -> dict[str, Any]:
    """A fresh embedded session's answer."""
    pages = dict.fromkeys(("successUrl", "supportUrl", "exitUrl", "errorUrl"))
    answer = w.call(EMBEDDED, person(**{**pages, **changes}))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def look(w: World, ident: str) -> dict[str, Any]:
    found: dict[str, Any] = w.http.get(f"/widget/sessions/{ident}", headers={"Origin": PAGE}).json()
    return found


def pay(w: World, ident: str, **order: Any) -> httpx.Response:
    body = {"method": "OpenBanking", "bank": "alder-bank", **order}
    return w.http.post(f"/widget/sessions/{ident}/payments", json=body, headers={"Origin": PAGE})


# The script


def test_the_widget_is_a_module_that_any_page_may_import() -> None:
    with world() as w:
        seen, waiting = set[str](), [ENTRY]
        while waiting:
            path = waiting.pop()
            seen.add(path)
            answer = w.http.get(path, headers={"Origin": PAGE})
            assert answer.status_code == 200
            assert answer.headers["Content-Type"].startswith("text/javascript")
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
            found = {f"/widget/{name}" for name in re.findall(r'from "\./([\w-]+\.js)"', answer.text)}
            waiting += found - seen
        assert len(seen) == 5
        assert "export function register(configs)" in w.http.get(ENTRY).text


def test_the_widget_needs_no_inline_style_and_makes_no_markup_from_text() -> None:
    with world() as w:
        names = ("stable-payment-gateway", "screens", "look", "attributes", "wire")
        whole = "".join(w.http.get(f"/widget/{name}.js").text for name in names)
        for forbidden in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            ".style",
            "<style",
            "eval(",
            "document.write",
        ):
            assert forbidden not in whole
        attributes = (
            "session-id", "currency", "country", "deposit-amount", "allowed-payment-methods", "saved-banks",
            "payment-method", "site-id",
        )  # fmt: skip
        for name in (*attributes, "exit", "manual-success-primary-click", "manual-success-secondary-click"):
            assert f'"{name}"' in whole


def test_a_script_is_asked_for_again_but_not_sent_again() -> None:
    with world() as w:
        tag = w.http.get(ENTRY).headers["ETag"]
        assert w.http.get(ENTRY, headers={"If-None-Match": tag}).status_code == 304


def test_there_are_no_other_scripts_and_the_widget_can_be_missing() -> None:
    with world() as w:
        assert w.http.get("/widget/other.js").status_code == 404
        assert w.http.get("/widget/..%2f..%2fstatic%2fshopper.js").status_code == 404
        w.switch(widget="missing")
        assert w.http.get(ENTRY).status_code == 404


# The embedded session's answer


@pytest.mark.parametrize("shape", ["list", "object", "text"])
def test_the_banks_a_customer_paid_from_come_with_the_next_session(shape: str) -> None:
    with world(saved_banks=shape) as w:
        empty: dict[str, Any] = {"list": [], "object": {}, "text": "[]"}
        assert embedded(w)["savedBanks"] == empty[shape]
        for bank in ("birch-sons", "alder-bank", "birch-sons"):
            assert pay(w, embedded(w)["sessionId"], bank=bank).status_code == 201
        banks = [{"id": "birch-sons", "name": "Birch & Sons"}, {"id": "alder-bank", "name": "Alder Bank"}]
        answer = embedded(w)["savedBanks"]
        expected = {"list": banks, "object": {one["id"]: {"name": one["name"]} for one in banks}, "text": banks}
        assert (json.loads(answer) if shape == "text" else answer) == expected[shape]
        assert embedded(w, userId="shopper-2")["savedBanks"] == empty[shape]


def test_a_bank_that_refused_and_a_transfer_by_hand_save_nothing() -> None:
    with world() as w:
        pay(w, embedded(w)["sessionId"], outcome="fail")
        pay(w, embedded(w)["sessionId"], method="ManualBankTransfer")
        assert embedded(w)["savedBanks"] == []


def test_the_hosted_page_saves_banks_too_and_offers_them_first() -> None:
    with world() as w:
        w.http.post(w.open(PARTNER)["url"], data={"choice": "pay", "bank": "Cedar Savings"})
        assert embedded(w)["savedBanks"] == [{"id": "cedar-savings", "name": "Cedar Savings"}]
        page = w.http.get(w.open(PARTNER)["url"]).text
        assert re.findall(r'name="bank" value="([^"]+)"', page)[0] == "Cedar Savings"
        w.http.post(w.open(PARTNER)["url"], data={"choice": "pay", "bank": "Bank of <b>Nowhere"})
        assert len(embedded(w)["savedBanks"]) == 1


@pytest.mark.parametrize(
    ("switches", "changed"),
    [
        ({"embedded_session_id": "missing"}, {"sessionId": None}),
        ({"allowed_payment_methods": ["OpenBanking"]}, {"allowedPaymentMethods": ["OpenBanking"]}),
        ({"embedded_payment_method": None}, {"paymentMethod": None}),
        ({"embedded_extras": "expires_at"}, {"reference": None}),
        ({"embedded_extras": "reference"}, {"expiresAt": None}),
    ],
)
def test_each_unknown_of_the_answer_is_a_switch(switches: dict[str, Any], changed: dict[str, Any]) -> None:
    with world() as w:
        usual = embedded(w)
        w.switch(**switches)
        answer = embedded(w)
        for name in usual:
            if name in changed:
                assert answer.get(name) == changed[name]
            elif name not in ("sessionId", "reference", "expiresAt"):
                assert answer[name] == usual[name]


# What the widget does


def test_the_widget_sees_its_session_and_no_other() -> None:
    with world() as w:
        answer = embedded(w)
        seen = look(w, answer["sessionId"])
        assert seen["state"] == "open"
        assert (seen["merchant"], seen["amount"], seen["currency"]) == ("Harbour Goods", "9", "EUR")
        assert {one["id"]: one["name"] for one in seen["banks"]} == BANKS
        assert "ada@example.org" not in str(seen)
        assert w.http.get("/widget/sessions/00000000-0000-0000-0000-000000000000").status_code == 404
        hosted_ident = w.open(PARTNER)["url"].rpartition("/")[2]
        assert w.http.get(f"/widget/sessions/{hosted_ident}").status_code == 404


def test_a_page_of_another_origin_may_call_after_it_has_asked() -> None:
    with world() as w:
        path = f"/widget/sessions/{embedded(w)['sessionId']}/payments"
        asked = {
            "Origin": PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        answer = w.http.options(path, headers=asked)
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type"
        assert (
            w.http.post(path, content=b'{"method":"OpenBanking"}', headers={"Content-Type": "text/plain"}).status_code
            == 400
        )
        refused = pay(w, "nobody")
        assert refused.headers["Access-Control-Allow-Origin"] == "*", "or the page could not read why"


def test_paying_at_the_bank_is_told_by_signed_webhooks() -> None:
    with world() as w:
        answer = embedded(w)
        paid = pay(w, answer["sessionId"])
        assert (paid.status_code, paid.json()["state"]) == (201, "paid")
        hooks = w.service.wait(5)
        assert [hook.name for hook in hooks] == PAID
        for hook in hooks:
            hook.verify()
            assert hook.fields["sessionId"] == answer["sessionId"]
            assert hook.fields["customerId"] == "shopper-1"
        assert look(w, answer["sessionId"])["state"] == "paid"


def test_a_bank_that_refuses_is_told_and_can_be_followed_by_a_good_try_but_not_by_two() -> None:
    with world() as w:
        ident = embedded(w)["sessionId"]
        assert pay(w, ident, outcome="fail").json()["state"] == "failed"
        assert [hook.name for hook in w.service.wait(4)] == ["created", "initiated", "submitted", "failed"]
        for _ in range(3):
            assert pay(w, ident).json()["state"] == "paid"
        assert [one["outcome"] for one in w.look("sessions")[0]["deposits"]] == ["failed", "paid"]


def test_leaving_is_told_to_nobody() -> None:
    with world() as w:
        ident = embedded(w)["sessionId"]
        assert w.http.post(f"/widget/sessions/{ident}/exit", json={}).json()["state"] == "open"
        assert w.look("sessions")[0]["outcome"] == "left"
        assert w.service.hooks == []
        assert pay(w, ident).json()["state"] == "paid", "whoever left may come back"


def test_a_transfer_by_hand_is_announced_at_once_and_arrives_later() -> None:
    with world(speed=600, manual_transfer_s=600) as w:
        ident = embedded(w)["sessionId"]
        assert pay(w, ident, method="ManualBankTransfer", bank=None).json()["state"] == "transfer_announced"
        assert [hook.name for hook in w.service.wait(2)] == ["created", "initiated"]
        assert w.look("sessions")[0]["deposits"][0]["settled"] is False
        assert [hook.name for hook in w.service.wait(5)] == PAID
        assert look(w, ident)["state"] == "transfer_announced"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_transfer_that_never_arrives_is_never_more_than_begun(version: str) -> None:
    with world(manual_transfer_s=None, webhook_version=version) as w:
        pay(w, embedded(w)["sessionId"], method="ManualBankTransfer")
        begun = ["created"] if version == "v1" else ["created", "initiated"]
        w.service.wait(len(begun))
        eventually(lambda: w.servers.scheduler.idle(3600))
        assert [hook.name for hook in w.service.hooks] == begun
        assert w.look("sessions")[0]["deposits"][0]["settled"] is False


def test_a_session_without_an_amount_takes_what_the_shopper_wrote() -> None:
    with world() as w:
        answer = embedded(w, amount=None)
        assert look(w, answer["sessionId"])["amount"] is None
        for wrong in (None, "", "0.05", "10.01", "1.005", "-1", "1e1", 5, "٣"):
            refused = pay(w, answer["sessionId"], amount=wrong)
            assert refused.status_code == 400
            assert "amount" in refused.json()["errors"]
        assert pay(w, answer["sessionId"], amount="4.20").json()["amount"] == "4.20"
        told = w.service.wait(5)[-1].fields["amount"]
        assert parse_amount(str(told), "EUR") == parse_amount("4.20", "EUR")


def test_a_session_with_an_amount_takes_that_whatever_the_page_says() -> None:
    with world() as w:
        assert pay(w, embedded(w)["sessionId"], amount="0.10").json()["amount"] == "9"


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ({"bank": "bank-of-nowhere"}, "bank"),
        ({"bank": None}, "bank"),
        ({"bank": ["alder-bank"]}, "bank"),
        ({"method": "bank_transfer"}, "method"),
        ({"method": ["OpenBanking"]}, "method"),
        ({"outcome": "settled"}, "outcome"),
        ({"outcome": {}}, "outcome"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(order: dict[str, Any], field: str) -> None:
    with world() as w:
        refused = pay(w, embedded(w)["sessionId"], **order)
        assert refused.status_code == 400
        assert field in refused.json()["errors"]
        assert w.look("sessions")[0]["deposits"] == []


# When the time is over


def test_an_expired_widget_session_says_so_and_takes_no_money() -> None:
    with world(session_life_s=0, session_floor_s=0) as w:
        ident = embedded(w)["sessionId"]
        eventually(lambda: look(w, ident)["state"] == "expired")
        assert look(w, ident)["expiresInSeconds"] == 0
        assert pay(w, ident).status_code == 410
        assert w.look("sessions")[0]["deposits"] == []


def test_late_money_is_taken_where_the_provider_still_takes_it() -> None:
    with world(session_life_s=0, session_floor_s=0) as w:
        ident, page = embedded(w)["sessionId"], w.open(PARTNER)["url"]
        eventually(lambda: look(w, ident)["state"] == "expired" and w.http.get(page).status_code == 410)
        w.switch(late_money=True)
        assert look(w, ident)["state"] == "open"
        assert pay(w, ident).json()["state"] == "paid"
        assert w.http.get(page).status_code == 200
        assert w.http.post(page, data={"choice": "pay"}).status_code == 303
        hooks = w.service.wait(10)
        assert {hook.document["data"]["eventType"].removeprefix(PREFIX) for hook in hooks} == set(PAID)


def test_what_was_paid_in_time_stays_paid_when_the_time_is_over() -> None:
    with world(session_life_s=1, session_floor_s=1) as w:
        ident = embedded(w)["sessionId"]
        pay(w, ident)
        eventually(lambda: bool(w.look("sessions")[0]["expired"]))
        assert look(w, ident)["state"] == "paid"
        assert pay(w, ident).json()["state"] == "paid"
        assert len(w.look("sessions")[0]["deposits"]) == 1


def test_reset_forgets_the_saved_banks() -> None:
    with world() as w:
        pay(w, embedded(w)["sessionId"])
        w.control("reset")
        assert embedded(w)["savedBanks"] == []
