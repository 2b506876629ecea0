"""The way to the payment page: what is paid to whom, where it leads, and what when it has run out."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from checkout.errors import LostRace, NotPossible, ProviderCallsBusy
from tests.edges.page_fixtures import PAID, TOKEN, FakeShopper, client, linking, pay_view, read, store_row, use_case

__all__ = ["client", "linking", "use_case"]


def test_the_pay_page_says_what_is_paid_to_whom_and_where_the_button_leads(client: FlaskClient) -> None:
    page = read(client, f"/pay/{TOKEN}")
    for said in ("Paper & Post", "PP-1042", "€9.00", "pay.stablemint.test", "Continue to payment"):
        assert said in page.words
    (button,) = [link for link in page.all("a") if link.get("data-role") == "onward"]
    assert button["href"] == "https://pay.stablemint.test/session/s-1"
    assert button["rel"] == "noreferrer"


def test_the_pay_page_is_a_plain_link_and_no_form_no_timer_and_no_redirect(client: FlaskClient) -> None:
    answer = client.get(f"/pay/{TOKEN}")
    assert answer.status_code == 200
    assert "http-equiv" not in answer.text
    assert "<form" not in answer.text


def test_a_session_that_is_being_opened_is_a_page_that_looks_again_by_itself(
    client: FlaskClient, use_case: FakeShopper
) -> None:
    use_case.paying = pay_view(preparing=True, session_url=None, status="created")
    page = read(client, f"/pay/{TOKEN}")
    assert page.main["data-page"] == "preparing"
    assert page.refreshes() == [f"3;url=/pay/{TOKEN}?checked=1"]
    assert f"/pay/{TOKEN}?checked=1" in page.hrefs()


def test_a_page_without_script_looks_less_and_less_often(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.paying = pay_view(preparing=True, session_url=None)
    waits = []
    for looked in ("0", "3", "7", "8", "9999999", "-4", "x", "1" * 5000):
        page = read(client, f"/pay/{TOKEN}?checked={looked}")
        (refresh,) = page.refreshes()
        waits.append(int(refresh.partition(";")[0]))
    assert waits == [3, 8, 60, 60, 60, 3, 3, 3]


@pytest.mark.parametrize("status", PAID)
def test_a_paid_payment_cannot_be_paid_again_from_its_link(
    client: FlaskClient, use_case: FakeShopper, status: str
) -> None:
    use_case.paying = pay_view(status=status, paid=True)
    page = read(client, f"/pay/{TOKEN}")
    assert "Payment confirmed" in page.words
    assert page.hrefs() == [use_case.paying.exit_url]


@pytest.mark.parametrize("status", ["expired", "cancelled", "failed"])
def test_an_ended_payment_says_so_and_leads_back(client: FlaskClient, use_case: FakeShopper, status: str) -> None:
    use_case.paying = pay_view(status=status, ended=True)
    page = read(client, f"/pay/{TOKEN}")
    assert page.hrefs() == [use_case.paying.exit_url]
    assert "pay_01jexample" in page.words  # what to tell the shop


@pytest.mark.parametrize("status", ["initiated", "submitted"])
def test_a_payment_under_way_warns_before_a_second_one_and_never_goes_on_by_itself(
    client: FlaskClient, use_case: FakeShopper, status: str
) -> None:
    use_case.paying = pay_view(status=status)
    page = read(client, f"/pay/{TOKEN}")
    assert "do not pay a second time" in page.words
    assert "data-leaves" not in page.main


def test_a_session_page_that_is_no_longer_allowed_is_not_linked(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.paying = pay_view(session_url=None)
    page = read(client, f"/pay/{TOKEN}")
    assert "This payment link has run out" in page.words
    assert page.hrefs() == [use_case.paying.exit_url]


def test_a_payment_under_way_whose_page_has_run_out_is_not_called_ended(
    client: FlaskClient, use_case: FakeShopper
) -> None:
    use_case.paying = pay_view(status="submitted", session_url=None, ended=True)
    page = read(client, f"/pay/{TOKEN}")
    assert "may already be on its way" in page.words
    assert page.hrefs() == [use_case.paying.exit_url]


# A payment page that has run out


@pytest.mark.parametrize("status", ["open", "expired", "failed"])
def test_a_page_that_has_run_out_offers_a_fresh_one_by_a_button_that_needs_no_script(
    client: FlaskClient, use_case: FakeShopper, status: str
) -> None:
    use_case.paying = pay_view(status=status, session_url=None, ended=True, can_renew=True)
    answer = client.get(f"/pay/{TOKEN}")
    page = read(client, f"/pay/{TOKEN}")
    assert page.all("form") == [{"class": "way", "method": "post", "action": f"/pay/{TOKEN}"}]
    assert "Open a fresh payment page" in page.words
    assert "pay_01jexample" in page.words
    assert page.hrefs() == [use_case.paying.exit_url]
    assert "form-action 'self'" in answer.headers["Content-Security-Policy"]


def test_pressing_the_button_twice_asks_for_a_fresh_page_and_shows_it_both_times(
    client: FlaskClient, use_case: FakeShopper
) -> None:
    first = client.post(f"/pay/{TOKEN}")
    use_case.error = NotPossible("a session is open")  # what the use case says to the second
    second = client.post(f"/pay/{TOKEN}")
    for answer in (first, second):
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/pay/{TOKEN}")
    assert use_case.asked == [("renew", TOKEN)] * 2


def test_a_race_for_the_fresh_page_is_no_error(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.error = LostRace("the other click was faster")
    assert client.post(f"/pay/{TOKEN}").status_code == 303


def test_a_fresh_page_that_cannot_be_opened_now_says_try_again(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.error = ProviderCallsBusy(2)
    answer = client.post(f"/pay/{TOKEN}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "http-equiv" not in answer.text  # a refresh would not press the button again


def test_a_payment_under_way_that_may_be_renewed_still_warns_first(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.paying = pay_view(status="submitted", session_url=None, ended=True, can_renew=True)
    page = read(client, f"/pay/{TOKEN}")
    assert "do not pay a second time" in page.words
    assert [button["class"] for button in page.all("button")] == ["button quiet"]


def test_the_link_of_an_embedded_payment_leads_to_the_widgets_page(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.paying = pay_view(flow="embedded", session_url=None)
    answer = client.get(f"/pay/{TOKEN}")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/embed/{TOKEN}")


def test_a_customer_the_shop_knows_is_told_that_less_is_asked(client: FlaskClient, use_case: FakeShopper) -> None:
    assert "already knows you" not in read(client, f"/pay/{TOKEN}").words
    use_case.paying = pay_view(customer_known=True)
    assert "already knows you" in read(client, f"/pay/{TOKEN}").words


def test_a_long_name_of_a_store_stays_out_of_heading_and_buttons(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.paying = pay_view(store=store_row(name="A store with a name that does not fit a button"))
    words = read(client, f"/pay/{TOKEN}").words
    assert "Pay by bank" in words
    assert "Back to the store" in words
