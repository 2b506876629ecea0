"""The simulated hosted page: plain forms that work without script, and where each button leads."""

from __future__ import annotations

import re

import pytest

from tests.edges.simulated_partner import PARTNER, eventually, world


def test_the_page_says_who_is_paid_how_much_and_for_what() -> None:
    with world() as w:
        page = w.http.get(w.open(customFields={"order": "<b>1042</b>", "nested": {"a": 1}})["url"])
        assert page.status_code == 200
        for text in ("Harbour Goods", "EUR 9.00", "&lt;b&gt;1042&lt;/b&gt;", "Sandbox"):
            assert text in page.text
        assert "nested" not in page.text
        assert set(re.findall(r'name="choice" value="(\w+)"', page.text)) == {
            "pay",
            "fail",
            "leave",
            "support",
            "pay_and_close",
        }
        assert "<script" not in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["Cache-Control"] == "no-store"
        assert w.http.get("/static/simulator.css").status_code == 200


def test_a_manual_transfer_shows_the_account_to_pay_to() -> None:
    with world() as w:
        answer = w.open(paymentMethod="ManualBankTransfer")
        page = w.http.get(answer["url"]).text
        assert "IBAN" in page
        assert page.count(answer["reference"]) == 2


@pytest.mark.parametrize(
    ("choice", "destination", "outcome", "news"),
    [
        ("pay", "http://127.0.0.1:1/success", "paid", 5),
        ("fail", "http://127.0.0.1:1/error", "failed", 4),
        ("leave", "http://127.0.0.1:1/exit", "left", 0),
        ("support", "http://127.0.0.1:1/support", None, 0),
    ],
)
def test_each_button_leads_where_the_session_call_said(
    choice: str, destination: str, outcome: str | None, news: int
) -> None:
    with world() as w:
        answer = w.http.post(w.open(PARTNER)["url"], data={"choice": choice, "bank": "Alder Bank"})
        assert answer.status_code == 303
        assert answer.headers["Location"] == destination
        w.service.wait(news)
        eventually(lambda: w.servers.scheduler.idle(60))
        assert len(w.service.hooks) == news
        assert w.look("sessions")[0]["outcome"] == outcome


def test_paying_and_closing_the_window_pays_and_leads_nowhere() -> None:
    with world() as w:
        answer = w.http.post(w.open()["url"], data={"choice": "pay_and_close"})
        assert answer.status_code == 200
        assert "/success" not in answer.text
        assert "window is closed" in answer.text
        w.service.wait(5)


def test_a_double_click_is_one_payment_and_a_failed_try_can_be_followed_by_a_good_one() -> None:
    with world() as w:
        url = w.open()["url"]
        for choice in ("fail", "pay", "pay", "fail"):
            assert w.http.post(url, data={"choice": choice}).status_code == 303
        (session,) = w.look("sessions")
        assert [one["outcome"] for one in session["deposits"]] == ["failed", "paid"]
        assert session["outcome"] == "paid"
        assert "has been made" in w.http.get(url).text


def test_an_expired_session_shows_so_and_takes_no_payment() -> None:
    with world(session_life_s=0, session_floor_s=0) as w:
        url = w.open()["url"]
        eventually(lambda: w.http.get(url).status_code == 410)
        page = w.http.get(url).text
        assert "expired" in page
        assert "http://127.0.0.1:1/exit" in page
        assert w.http.post(url, data={"choice": "pay"}).status_code == 410
        assert w.look("sessions")[0]["deposits"] == []
        assert w.http.post(url, data={"choice": "leave"}).status_code == 303


def test_money_may_still_come_after_the_session_expired() -> None:
    with world(session_life_s=0, session_floor_s=0) as w:
        answer = w.open()
        eventually(lambda: w.http.get(answer["url"]).status_code == 410)
        w.pay(answer["reference"])
        w.service.wait(5)


def test_an_unknown_page_or_button_is_not_found_or_refused() -> None:
    with world() as w:
        url = w.open()["url"]
        assert w.http.post(url, data={"choice": "steal"}).status_code == 400
        assert w.http.get(url.replace("/sessions/", "/partner-sessions/")).status_code == 404
        assert w.http.get("/sessions/00000000-0000-0000-0000-000000000000").status_code == 404
