"""The page of a payment link: looking costs nothing, going on opens one payment, a dead link says why."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from checkout.errors import NotFound, NotPossible, ProviderCallsBusy, StoreUnavailable
from checkout.paying.links import NONCE
from checkout.web import pages
from tests.edges.page_fixtures import (
    TOKEN,
    FakeLinks,
    Reader,
    client,
    link_view,
    linking,
    read,
    use_case,
)

__all__ = ["client", "linking", "use_case"]

PATH = f"/link/{TOKEN}"


def nonce_of(page: Reader) -> str:
    (field,) = page.all("input")
    assert (field["type"], field["name"]) == ("hidden", "nonce")
    return field["value"] or ""


def test_the_page_says_who_asks_for_how_much_for_what_and_until_when(client: FlaskClient) -> None:
    page = read(client, PATH)
    for said in (
        "Paper & Post asks you for a payment",
        "€9.00",
        "Workshop, two places",
        "WS-7",
        "24 December 2026, 17:30 UTC",
        "Go on to pay",
    ):
        assert said in page.words


def test_looking_opens_nothing(client: FlaskClient, linking: FakeLinks) -> None:
    client.get(PATH)
    client.head(PATH)
    assert linking.started == []


def test_each_drawing_of_the_page_has_a_number_of_its_own(client: FlaskClient) -> None:
    numbers = {nonce_of(read(client, PATH)) for _ in range(5)}
    assert len(numbers) == 5
    assert all(NONCE.fullmatch(number) for number in numbers)


def test_going_on_opens_the_payment_and_leads_to_its_page(client: FlaskClient, linking: FakeLinks) -> None:
    nonce = nonce_of(read(client, PATH))
    for _ in range(2):  # a double click sends the same number: the use case makes it one payment
        answer = client.post(PATH, data={"nonce": nonce})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/pay/pay-token-of-the-link")
    assert linking.started == [(TOKEN, nonce)] * 2


@pytest.mark.parametrize("form", [{}, {"nonce": ""}, {"nonce": "short"}, {"nonce": "a" * 65}, {"nonce": "é" * 20}])
def test_a_press_that_is_not_of_our_page_gets_the_page_and_opens_nothing(
    client: FlaskClient, linking: FakeLinks, form: dict[str, str]
) -> None:
    answer = client.post(PATH, data=form)
    assert (answer.status_code, answer.headers["Location"]) == (303, PATH)
    assert linking.started == []


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("expired", "that date has passed"),
        ("used", "works once"),
        ("deactivated", "Paper & Post has closed it"),
    ],
)
def test_a_link_that_no_longer_works_says_why_and_has_no_button(
    client: FlaskClient, linking: FakeLinks, why: str, said: str
) -> None:
    linking.view_ = link_view(usable=False, why=why)
    page = read(client, PATH)
    assert said in page.words
    assert "ask Paper & Post for a new link" in page.words
    assert page.all("form") == page.all("button") == []


def test_an_amount_that_the_shopper_chooses_is_said_so(client: FlaskClient, linking: FakeLinks) -> None:
    linking.view_ = link_view(amount=None, expires_at=None)
    assert "You choose the amount" in read(client, PATH).words


def test_a_refusal_while_the_link_still_works_says_so_and_keeps_the_button(
    client: FlaskClient, linking: FakeLinks
) -> None:
    linking.error = NotPossible("the store is paused: internal words")
    answer = client.post(PATH, data={"nonce": "n" * 20})
    assert answer.status_code == 409
    assert "internal words" not in answer.text
    assert "cannot be opened right now" in answer.text
    assert nonce_of(Reader(answer.text))


def test_a_link_that_ended_between_looking_and_pressing_says_why(client: FlaskClient, linking: FakeLinks) -> None:
    linking.error = NotPossible("used")
    linking.view_ = link_view(usable=False, why="used")
    answer = client.post(PATH, data={"nonce": "n" * 20})
    assert answer.status_code == 409
    assert "works once" in answer.text


@pytest.mark.parametrize("error", [ProviderCallsBusy(2), StoreUnavailable()])
def test_when_we_are_busy_the_page_says_try_again_and_presses_nothing_by_itself(
    client: FlaskClient, linking: FakeLinks, error: Exception
) -> None:
    linking.error = error
    answer = client.post(PATH, data={"nonce": "n" * 20})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "http-equiv" not in answer.text


def test_an_unknown_link_is_404_in_the_same_design(client: FlaskClient, linking: FakeLinks) -> None:
    linking.missing = NotFound("page", "link")
    answer = client.get(PATH)
    assert answer.status_code == 404
    assert TOKEN not in answer.text
    assert answer.headers["Content-Security-Policy"] == pages.CONTENT_SECURITY_POLICY


def test_the_form_may_lead_to_us_alone(client: FlaskClient) -> None:
    assert client.get(PATH).headers["Content-Security-Policy"] == pages.FORM_POLICY
    assert re.findall(r"form-action ([^;]+)", pages.FORM_POLICY) == ["'self'"]


def test_the_date_is_written_in_the_links_language(client: FlaskClient, linking: FakeLinks) -> None:
    linking.view_ = link_view(language="de", expires_at=datetime(2026, 12, 24, 17, 30, tzinfo=UTC))
    page = read(client, PATH)
    assert "24. Dezember 2026, 17:30 UTC" in page.words
    assert "9,00\xa0€" in page.words
