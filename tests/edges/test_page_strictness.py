"""What must never happen on any page: inline code, a hostile link, a token that leaks, a frame that was not allowed."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from checkout.errors import NotFound, StoreUnavailable
from checkout.web import pages
from tests.edges.page_fixtures import (
    TOKEN,
    FakeLinks,
    FakeShopper,
    Reader,
    Shown,
    client,
    embed_view,
    every_page,
    link_view,
    linking,
    pay_view,
    read,
    return_view,
    store_row,
    use_case,
)

__all__ = ["client", "linking", "use_case"]

EVERYWHERE = [
    f"/pay/{TOKEN}",
    f"/return/{TOKEN}/success",
    f"/return/{TOKEN}/status",
    f"/embed/{TOKEN}",
    f"/embed/{TOKEN}/status",
]


@pytest.mark.parametrize("path", EVERYWHERE)
def test_an_unknown_token_is_404_in_the_same_design(client: FlaskClient, use_case: FakeShopper, path: str) -> None:
    use_case.error = NotFound("payment", TOKEN)
    answer = client.get(path)
    assert answer.status_code == 404
    assert TOKEN not in answer.text
    assert answer.headers["Content-Security-Policy"] == pages.CONTENT_SECURITY_POLICY


@pytest.mark.parametrize(
    "path", ["/pay/a b", "/pay/%00", "/pay/" + "a" * 201, "/pay/%ff", "/return/é/success", "/embed/a.b", "/link/a%2fb"]
)
def test_what_cannot_be_a_token_is_404_and_asks_nobody(client: FlaskClient, use_case: FakeShopper, path: str) -> None:
    assert client.get(path).status_code == 404
    assert use_case.asked == []


def test_an_outcome_that_does_not_exist_is_404_and_records_nothing(client: FlaskClient, use_case: FakeShopper) -> None:
    read(client, f"/return/{TOKEN}/paid", 404)
    assert use_case.asked == []


@pytest.mark.parametrize("path", EVERYWHERE)
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
    use_case.embedding = embed_view(exit_url=url, success_url=url, return_url=url)
    for path in (
        f"/embed/{TOKEN}",
        f"/pay/{TOKEN}",
        f"/return/{TOKEN}/exit",
        f"/return/{TOKEN}/success",
        f"/return/{TOKEN}/status",
    ):
        assert url not in client.get(path).text


def test_html_in_every_field_is_text(client: FlaskClient, use_case: FakeShopper, linking: FakeLinks) -> None:
    mark = "<img src=x onerror=alert(1)>\"'%s%(store)s{{7*7}}"
    store = store_row(name=mark)
    use_case.paying = pay_view(store=store, order=mark, payment_id=mark)
    use_case.returning = return_view(store=store, order=mark, payment_id=mark)
    use_case.embedding = embed_view(
        store=store, order=mark, payment_id=mark, attributes={"session-id": mark, "saved-banks": f'["{mark}"]'}
    )
    linking.view_ = link_view(store=store, order=mark, title=mark)
    for path in (
        f"/pay/{TOKEN}",
        f"/return/{TOKEN}/success",
        f"/return/{TOKEN}/support",
        f"/embed/{TOKEN}",
        f"/link/{TOKEN}",
    ):
        page = read(client, path)
        assert page.all("img") == []
        assert mark in page.words
    (element,) = read(client, f"/embed/{TOKEN}").all("stable-payment-gateway")
    assert element == {"session-id": mark, "saved-banks": f'["{mark}"]'}


@pytest.mark.parametrize("shown", list(every_page()), ids=lambda shown: shown.path)
def test_every_page_is_strict_whole_and_named(
    client: FlaskClient, use_case: FakeShopper, linking: FakeLinks, shown: Shown
) -> None:
    shown.put(use_case, linking)
    answer = client.get(shown.path)
    assert answer.status_code == 200
    page = Reader(answer.text)
    framed = shown.path.startswith("/embed/")
    for name, value in pages.STRICT_HEADERS.items():
        if name == "Content-Security-Policy":
            plain = pages.FORM_POLICY if page.all("form") else pages.CONTENT_SECURITY_POLICY
            assert answer.headers[name] == plain or framed
        elif name == "X-Frame-Options":
            assert answer.headers.get(name) == (None if framed else value)
        elif not (framed and name.startswith("Cross-Origin")):
            assert answer.headers[name] == value
    for _, attributes in page.tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
    assert page.all("style") == []
    assert all(script.get("src") for script in page.all("script"))
    assert [html["lang"] for html in page.all("html")] == ["en"]
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("title")) == 1
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert not re.search(r"\{\{|None|%\(", answer.text)


@pytest.mark.parametrize("shown", list(every_page()), ids=lambda shown: shown.path)
def test_every_page_has_a_way_on_or_is_the_last(
    client: FlaskClient, use_case: FakeShopper, linking: FakeLinks, shown: Shown
) -> None:
    shown.put(use_case, linking)
    page = read(client, shown.path)
    last = page.main["data-page"] == "receipt" or "no longer works" in page.words
    assert last or page.hrefs() or page.all("form") or page.main.get("data-exit") or page.all("stable-payment-gateway")


@pytest.mark.parametrize("path", [f"/pay/{TOKEN}", f"/return/{TOKEN}/success", f"/embed/{TOKEN}", f"/link/{TOKEN}"])
def test_a_head_request_answers_as_a_get_without_a_body(client: FlaskClient, path: str) -> None:
    answer = client.head(path)
    assert answer.status_code == 200
    assert answer.data == b""
    assert int(answer.headers["Content-Length"]) > 1000


def test_the_policy_allows_our_own_files_and_no_frame() -> None:
    for policy in (pages.CONTENT_SECURITY_POLICY, pages.FORM_POLICY):
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
