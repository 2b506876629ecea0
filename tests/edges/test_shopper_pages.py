"""The pages a shopper sees: honest, strict, light, and useful without a script."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from flask import Flask
from flask.testing import FlaskClient

from checkout.errors import NotFound, StoreUnavailable
from checkout.rules.money import Money
from checkout.shopper import PayView, ReturnView
from checkout.web import pages, shopper

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "templates" / "static"
TOKEN = "pT0k3n_-aaaaaaaaaaaaaa"
STATUSES = (
    "created", "open", "initiated", "submitted", "accepted", "settled", "failed", "expired", "cancelled",
)  # fmt: skip
PAID = ("accepted", "settled")
OUTCOMES = ("success", "exit", "error", "support")


def pay_view(**changes: Any) -> PayView:
    """A payment that can be paid, but for the changes."""
    view = PayView(
        payment_id="pay_01jexample",
        store_name="Paper & Post",
        order="PP-1042",
        amount=Money(900, "EUR"),
        status="open",
        session_url="https://pay.stablemint.test/session/s-1",
        exit_url="https://shop.test/orders/1?payment_id=pay_01jexample&outcome=exit",
        preparing=False,
        ended=False,
        paid=False,
    )
    return replace(view, **changes)


def return_view(**changes: Any) -> ReturnView:
    """A shopper who is back while nothing is known yet, but for the changes."""
    view = ReturnView(
        payment_id="pay_01jexample",
        store_name="Paper & Post",
        order="PP-1042",
        amount=Money(900, "EUR"),
        status="open",
        outcome="success",
        onward_url="https://shop.test/orders/1?payment_id=pay_01jexample&outcome=success",
        pay_again_url="https://checkout.test/pay/again",
        final=False,
    )
    return replace(view, **changes)


V = TypeVar("V", PayView, ReturnView)


@dataclass
class FakeShopper:
    """Answers what a test put in; remembers what was asked."""

    paying: PayView = field(default_factory=pay_view)
    returning: ReturnView = field(default_factory=return_view)
    error: Exception | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def pay(self, token: str) -> PayView:
        return self._answer(self.paying, "pay", token)

    def came_back(self, token: str, outcome: str) -> ReturnView:
        return self._answer(replace(self.returning, outcome=outcome), "came_back", token, outcome)

    def status(self, token: str) -> ReturnView:
        return self._answer(self.returning, "status", token)

    def _answer(self, view: V, *asked: str) -> V:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return view


@pytest.fixture
def use_case() -> FakeShopper:
    return FakeShopper()


@pytest.fixture
def client(use_case: FakeShopper) -> FlaskClient:
    app = Flask("test", template_folder=str(ROOT / "templates"), static_folder=None)
    app.testing = True
    pages.install(app, STATIC)
    app.register_blueprint(shopper.bp)
    app.extensions["checkout"] = SimpleNamespace(shopper=use_case)
    return app.test_client()


class Reader(HTMLParser):
    """A page as tags and words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def hrefs(self) -> list[str | None]:
        return [link["href"] for link in self.all("a") if link["href"] != "#content"]


def read(client: FlaskClient, path: str, code: int = 200) -> Reader:
    answer = client.get(path)
    assert answer.status_code == code
    return Reader(answer.text)


def every_page() -> list[tuple[str, PayView, ReturnView]]:
    """Each page in each state that looks different."""
    pays = [
        pay_view(),
        pay_view(amount=None),
        pay_view(preparing=True, session_url=None, status="created"),
        pay_view(status="submitted"),
        pay_view(status="settled", paid=True, session_url=None),
        pay_view(session_url=None, ended=True),
        pay_view(session_url=None, ended=True, status="submitted"),
        *(pay_view(status=status, ended=True, session_url=None) for status in ("expired", "cancelled", "failed")),
    ]
    plain = return_view()
    cases = [(f"/pay/{TOKEN}", view, plain) for view in pays]
    for status, outcome in itertools.product(STATUSES, OUTCOMES):
        view = return_view(status=status, final=status in (*PAID, "failed", "expired", "cancelled"))
        cases.append((f"/return/{TOKEN}/{outcome}", pay_view(), view))
    return cases


# The way to the payment page


def test_the_pay_page_says_what_is_paid_to_whom_and_where_the_button_leads(client: FlaskClient) -> None:
    page = read(client, f"/pay/{TOKEN}")
    for said in ("Paper & Post", "PP-1042", "EUR", "9.00", "pay.stablemint.test", "Continue to payment"):
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
    assert page.all("main")[0]["data-page"] == "preparing"
    assert [meta["content"] for meta in page.all("meta") if "http-equiv" in meta] == [f"3;url=/pay/{TOKEN}?checked=1"]
    assert f"/pay/{TOKEN}?checked=1" in page.hrefs()


def test_a_page_without_script_looks_less_and_less_often(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.paying = pay_view(preparing=True, session_url=None)
    waits = []
    for looked in ("0", "3", "7", "8", "9999999", "-4", "x", "1" * 5000):
        page = read(client, f"/pay/{TOKEN}?checked={looked}")
        (refresh,) = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
        assert refresh is not None
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
    assert "data-leaves" not in page.all("main")[0]


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


# The way back


@pytest.mark.parametrize(("status", "outcome"), list(itertools.product(STATUSES, OUTCOMES)))
def test_a_page_says_confirmed_or_paid_only_when_the_payment_is(
    client: FlaskClient, use_case: FakeShopper, status: str, outcome: str
) -> None:
    use_case.returning = return_view(status=status, outcome=outcome)
    words = read(client, f"/return/{TOKEN}/{outcome}").words
    for harmless in (
        "not paid in time",
        "no longer be paid",
        "when the payment is confirmed",
        "no confirmed",
    ):
        words = words.replace(harmless, "")
    assert bool(re.search(r"\bconfirmed\b|\bpaid\b", words)) == (status in PAID)
    news = client.get(f"/return/{TOKEN}/status?page={outcome}").get_json()
    assert news["paid"] == (status in PAID)
    assert news["heading"] in words
    assert (news["tone"] == "good") == (status in PAID)


def test_coming_back_is_recorded_once_and_looking_again_is_only_a_look(
    client: FlaskClient, use_case: FakeShopper
) -> None:
    page = read(client, f"/return/{TOKEN}/success")
    (refresh,) = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert refresh is not None
    client.get(refresh.partition("url=")[2])
    client.get(f"/return/{TOKEN}/status")
    client.head(f"/return/{TOKEN}/success")
    assert use_case.asked == [("came_back", TOKEN, "success"), *[("status", TOKEN)] * 3]


def test_a_success_page_waits_and_updates_itself_with_and_without_script(client: FlaskClient) -> None:
    page = read(client, f"/return/{TOKEN}/success")
    main = page.all("main")[0]
    assert "We are confirming your payment" in page.words
    assert main["data-poll"] == f"/return/{TOKEN}/status?page=success"
    assert any(div.get("aria-live") == "polite" and div.get("role") == "status" for div in page.all("div"))
    assert f"/return/{TOKEN}/success?checked=1" in page.hrefs()


def test_a_confirmed_payment_sends_the_shopper_on_to_the_store(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.returning = return_view(status="accepted", final=True)
    page = read(client, f"/return/{TOKEN}/success")
    assert "data-leaves" in page.all("main")[0]
    (refresh,) = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert refresh == f"6;url={use_case.returning.onward_url}"
    assert page.hrefs() == [use_case.returning.onward_url]


def test_a_confirmed_payment_without_a_store_page_is_a_receipt(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.returning = return_view(status="settled", final=True, onward_url=None, pay_again_url=None)
    page = read(client, f"/return/{TOKEN}/success")
    assert page.hrefs() == []
    assert "EUR 9.00" in page.words
    assert "pay_01jexample" in page.words


def test_a_failed_payment_offers_another_try_and_moves_nobody(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.returning = return_view(status="failed", final=True)
    page = read(client, f"/return/{TOKEN}/success")
    assert page.hrefs() == [use_case.returning.pay_again_url, use_case.returning.onward_url]
    assert "data-leaves" not in page.all("main")[0]
    assert not [meta for meta in page.all("meta") if "http-equiv" in meta]


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
    assert "data-poll" in page.all("main")[0]
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


# What must never happen


@pytest.mark.parametrize("path", [f"/pay/{TOKEN}", f"/return/{TOKEN}/success", f"/return/{TOKEN}/status"])
def test_an_unknown_token_is_404_in_the_same_design(client: FlaskClient, use_case: FakeShopper, path: str) -> None:
    use_case.error = NotFound("payment", TOKEN)
    answer = client.get(path)
    assert answer.status_code == 404
    assert TOKEN not in answer.text
    assert answer.headers["Content-Security-Policy"] == pages.CONTENT_SECURITY_POLICY


@pytest.mark.parametrize("path", ["/pay/a b", "/pay/%00", "/pay/" + "a" * 201, "/pay/%ff", "/return/é/success"])
def test_what_cannot_be_a_token_is_404_and_asks_nobody(client: FlaskClient, use_case: FakeShopper, path: str) -> None:
    assert client.get(path).status_code == 404
    assert use_case.asked == []


def test_an_outcome_that_does_not_exist_is_404_and_records_nothing(client: FlaskClient, use_case: FakeShopper) -> None:
    read(client, f"/return/{TOKEN}/paid", 404)
    assert use_case.asked == []


@pytest.mark.parametrize("path", [f"/pay/{TOKEN}", f"/return/{TOKEN}/success", f"/return/{TOKEN}/status"])
def test_a_busy_database_is_503_and_try_again(client: FlaskClient, use_case: FakeShopper, path: str) -> None:
    use_case.error = StoreUnavailable("the database is locked")
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "locked" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "//evil.test", "https://a@evil.test", "https:\\evil", "data:,x"]
)
def test_a_hostile_address_is_never_a_link(client: FlaskClient, use_case: FakeShopper, url: str) -> None:
    use_case.paying = pay_view(session_url=url, exit_url=url)
    use_case.returning = return_view(onward_url=url, pay_again_url=url)
    for path in (
        f"/pay/{TOKEN}",
        f"/return/{TOKEN}/exit",
        f"/return/{TOKEN}/success",
        f"/return/{TOKEN}/status",
    ):
        assert url not in client.get(path).text


def test_html_in_every_field_is_text(client: FlaskClient, use_case: FakeShopper) -> None:
    mark = "<img src=x onerror=alert(1)>\"'%s%(store)s"
    use_case.paying = pay_view(store_name=mark, order=mark, payment_id=mark)
    use_case.returning = return_view(store_name=mark, order=mark, payment_id=mark)
    for path in (f"/pay/{TOKEN}", f"/return/{TOKEN}/success", f"/return/{TOKEN}/support"):
        page = read(client, path)
        assert page.all("img") == []
        assert mark in page.words


@pytest.mark.parametrize(("path", "paying", "returning"), every_page())
def test_every_page_is_strict_whole_and_named(
    client: FlaskClient, use_case: FakeShopper, path: str, paying: PayView, returning: ReturnView
) -> None:
    use_case.paying, use_case.returning = paying, returning
    answer = client.get(path)
    for name, value in pages.STRICT_HEADERS.items():
        assert answer.headers[name] == value
    page = Reader(answer.text)
    for _, attributes in page.tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
    assert page.all("style") == []
    assert all(script.get("src") for script in page.all("script"))
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
    assert not re.search(r"\{\{|None|%\(", answer.text)


def test_the_policy_allows_our_own_files_and_no_frame() -> None:
    policy = pages.CONTENT_SECURITY_POLICY
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy


# Static files


def assets_of(client: FlaskClient, path: str) -> list[str]:
    page = read(client, path)
    found = [link["href"] for link in page.all("link")] + [script["src"] for script in page.all("script")]
    return [url for url in found if url is not None]


def test_static_files_have_hashed_names_and_stay_for_a_year(client: FlaskClient) -> None:
    urls = assets_of(client, f"/pay/{TOKEN}")
    assert len(urls) == 4
    for url in urls:
        assert re.fullmatch(r"/assets/[a-z]+\.[0-9a-f]{12}\.(css|js|svg)", url)
        answer = client.get(url)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]


def test_an_older_hash_gets_todays_file_uncached_and_a_strange_name_nothing(client: FlaskClient) -> None:
    answer = client.get("/assets/tokens.000000000000.css")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-cache")
    for name in ("tokens.css", "nothing.000000000000.css", "..%2fbase.html", "tokens.000000000000.html"):
        assert client.get(f"/assets/{name}").status_code == 404


def test_a_name_that_changes_with_the_content_is_a_new_name(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("a{}")
    before = pages.Assets.read(tmp_path).hashed("a.css")
    (tmp_path / "a.css").write_text("b{}")
    assert pages.Assets.read(tmp_path).hashed("a.css") != before


def test_an_app_without_static_files_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        pages.install(Flask("test"), tmp_path)


@pytest.mark.parametrize("path", [f"/pay/{TOKEN}", f"/return/{TOKEN}/success", f"/return/{TOKEN}/exit"])
def test_a_first_load_weighs_at_most_30_kilobytes_uncompressed(client: FlaskClient, path: str) -> None:
    weight = len(client.get(path).data) + sum(len(client.get(url).data) for url in assets_of(client, path))
    assert weight <= 30_000
