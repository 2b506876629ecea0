"""The way back: honest about what is known, never an invitation to pay twice, always with a way on."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from tests.edges.page_fixtures import (
    OUTCOMES,
    PAID,
    STATUSES,
    TOKEN,
    FakeShopper,
    client,
    linking,
    read,
    return_view,
    use_case,
)

__all__ = ["client", "linking", "use_case"]


@pytest.mark.parametrize(("status", "outcome"), list(itertools.product(STATUSES, OUTCOMES)))
def test_a_page_says_confirmed_or_paid_only_when_the_payment_is(
    client: FlaskClient, use_case: FakeShopper, status: str, outcome: str
) -> None:
    use_case.returning = return_view(status=status, outcome=outcome)
    words = read(client, f"/return/{TOKEN}/{outcome}").words
    words = words.replace("when the payment is confirmed", "")
    assert bool(re.search(r"\bconfirmed\b|\bpaid\b", words)) == (status in PAID)
    news = client.get(f"/return/{TOKEN}/status?page={outcome}").get_json()
    assert news["paid"] == (status in PAID)
    assert news["heading"] in words
    assert (news["tone"] == "good") == (status in PAID)


def test_coming_back_is_recorded_once_and_looking_again_is_only_a_look(
    client: FlaskClient, use_case: FakeShopper
) -> None:
    page = read(client, f"/return/{TOKEN}/success")
    (refresh,) = page.refreshes()
    client.get(refresh.partition("url=")[2])
    client.get(f"/return/{TOKEN}/status")
    client.head(f"/return/{TOKEN}/success")
    assert use_case.asked == [("came_back", TOKEN, "success"), *[("status", TOKEN)] * 3]


def test_a_success_page_waits_and_updates_itself_with_and_without_script(client: FlaskClient) -> None:
    page = read(client, f"/return/{TOKEN}/success")
    main = page.main
    assert "We are confirming your payment" in page.words
    assert main["data-poll"] == f"/return/{TOKEN}/status?page=success"
    assert any(div.get("aria-live") == "polite" and div.get("role") == "status" for div in page.all("div"))
    assert f"/return/{TOKEN}/success?checked=1" in page.hrefs()


def test_a_confirmed_payment_sends_the_shopper_on_to_the_store(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.returning = return_view(status="accepted", final=True)
    page = read(client, f"/return/{TOKEN}/success")
    assert "data-leaves" in page.main
    (refresh,) = page.refreshes()
    assert refresh == f"6;url={use_case.returning.onward_url}"
    assert page.hrefs() == [use_case.returning.onward_url]


def test_a_confirmed_payment_without_a_store_page_is_a_receipt(client: FlaskClient, use_case: FakeShopper) -> None:
    paid_at = datetime(2026, 11, 21, 14, 5, tzinfo=UTC)
    use_case.returning = return_view(status="settled", final=True, onward_url=None, pay_again_url=None, paid_at=paid_at)
    page = read(client, f"/return/{TOKEN}/success")
    assert page.main["data-page"] == "receipt"
    assert page.hrefs() == []
    for said in ("Paper & Post", "PP-1042", "€9.00", "21 November 2026, 14:05 UTC", "pay_01jexample", "your receipt"):
        assert said in page.words
    assert any("data-print" in button for button in page.all("button"))
    assert page.refreshes() == []


def test_a_failed_payment_offers_another_try_and_moves_nobody(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.returning = return_view(status="failed", final=True)
    page = read(client, f"/return/{TOKEN}/success")
    assert page.hrefs() == [use_case.returning.pay_again_url, use_case.returning.onward_url]
    assert "data-leaves" not in page.main
    assert page.refreshes() == []


@pytest.mark.parametrize("outcome", ["exit", "error", "support"])
def test_leaving_has_a_way_on_and_a_way_back(client: FlaskClient, use_case: FakeShopper, outcome: str) -> None:
    page = read(client, f"/return/{TOKEN}/{outcome}")
    ways = [use_case.returning.pay_again_url, use_case.returning.onward_url]
    assert page.hrefs() == (ways[::-1] if outcome == "support" else ways)  # who asks for help finds the store first
    assert "We have not seen a payment" in page.words


@pytest.mark.parametrize("outcome", ["exit", "error", "support"])
def test_leaving_after_the_bank_was_reached_does_not_invite_to_pay_twice(
    client: FlaskClient, use_case: FakeShopper, outcome: str
) -> None:
    use_case.returning = return_view(status="submitted")
    page = read(client, f"/return/{TOKEN}/{outcome}")
    assert "do not pay a second time" in page.words
    assert "data-poll" in page.main
    assert [link["href"] for link in page.all("a") if "main" in (link.get("class") or "")] == [
        use_case.returning.onward_url
    ]


def test_unknown_query_parameters_change_nothing(client: FlaskClient) -> None:
    plain = client.get(f"/return/{TOKEN}/success").data
    assert client.get(f"/return/{TOKEN}/success?status=paid&amount=1&checked&x[]=%00").data == plain


def test_the_status_answer_tells_the_script_all_it_shows(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.returning = return_view(status="settled", final=True)
    assert client.get(f"/return/{TOKEN}/status").get_json() == {
        "status": "settled",
        "paid": True,
        "final": True,
        "tone": "good",
        "heading": "Payment confirmed",
        "text": "Thank you. Your payment to Paper & Post is confirmed.",
        "aside": None,
        "onward_url": use_case.returning.onward_url,
    }


@pytest.mark.parametrize("outcome", ["success", "exit", "error", "support"])
def test_a_payment_that_can_be_tried_again_offers_it_by_one_press(
    client: FlaskClient, use_case: FakeShopper, outcome: str
) -> None:
    again = "https://checkout.test/pay/p4y-t0ken"
    use_case.returning = return_view(status="expired", final=True, can_renew=True, pay_again_url=again)
    page = read(client, f"/return/{TOKEN}/{outcome}")
    assert [form["action"] for form in page.all("form")] == ["/pay/p4y-t0ken"]
    assert page.hrefs() == [use_case.returning.onward_url]


def test_a_wait_that_takes_long_says_what_happens_next(client: FlaskClient) -> None:
    assert "What happens next" not in read(client, f"/return/{TOKEN}/success").words
    words = read(client, f"/return/{TOKEN}/success?checked=8").words
    assert "What happens next" in words
    assert "three working days" in words
