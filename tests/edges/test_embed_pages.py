"""The widget's page and the storefront's script: whole by itself, framed by the store alone, believed by nobody."""

from __future__ import annotations

import json
import re

import pytest
from flask.testing import FlaskClient

from checkout.errors import NotFound, NotPossible, StoreUnavailable
from checkout.web import pages
from tests.edges.page_fixtures import (
    ENDED,
    PAID,
    SHOP,
    STATUSES,
    TOKEN,
    FakeShopper,
    Reader,
    client,
    embed_view,
    linking,
    read,
    return_view,
    use_case,
)

__all__ = ["client", "linking", "use_case"]

PATH = f"/embed/{TOKEN}"
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}' https://cdn.stablemint.test; "
    "style-src 'self' 'nonce-{nonce}' https://cdn.stablemint.test; img-src 'self' https://cdn.stablemint.test; "
    "font-src https://cdn.stablemint.test; connect-src 'self' https://api.stablemint.test; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'self' https://shop.test https://www.shop.test:8443"
)


def nonce_of(policy: str) -> str:
    (nonce,) = set(re.findall(r"'nonce-([A-Za-z0-9_-]{22})'", policy))
    return str(nonce)


# The widget


def test_the_widget_has_every_attribute_as_the_provider_gave_it(client: FlaskClient, use_case: FakeShopper) -> None:
    (element,) = read(client, PATH).all("stable-payment-gateway")
    assert element == dict(use_case.embedding.attributes)
    assert json.loads(element["saved-banks"] or "") == [{"name": 'B & "C"'}]


def test_the_script_is_told_where_the_module_and_the_service_are_and_where_the_ways_on_lead(
    client: FlaskClient,
) -> None:
    main = read(client, PATH).main
    assert main["data-module"] == "https://cdn.stablemint.test/widget/stable-payment-gateway.js"
    assert main["data-api-base"] == "https://api.stablemint.test/v2"
    assert main["data-frame-origins"] == f"{SHOP} https://www.shop.test:8443"
    assert main["data-poll"] == f"{PATH}/status"
    assert (main["data-exit"], main["data-done"]) == ("/return/r3turn/exit", "/return/r3turn/success")


def test_without_return_pages_of_ours_the_ways_on_are_the_stores(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.embedding = embed_view(return_url=None)
    main = read(client, PATH).main
    assert (main["data-exit"], main["data-done"]) == (use_case.embedding.exit_url, use_case.embedding.success_url)


def test_without_script_the_page_says_what_it_needs_and_leads_back(client: FlaskClient, use_case: FakeShopper) -> None:
    answer = client.get(PATH).text
    (said,) = re.findall(r"<noscript>(.*?)</noscript>", answer, re.DOTALL)
    assert "needs JavaScript" in said
    page = read(client, PATH)
    assert page.hrefs() == [use_case.embedding.exit_url]
    assert "€9.00" in page.words


def test_a_payment_that_was_sent_says_what_happens_next_and_keeps_the_form_at_hand(
    client: FlaskClient, use_case: FakeShopper
) -> None:
    use_case.embedding = embed_view(status="submitted")
    page = read(client, PATH)
    panels = {div["data-panel"]: "hidden" in div for div in page.all("div") if "data-panel" in div}
    assert panels == {"widget": True, "trouble": True, "left": True, "submitted": False}
    for said in ("What happens next", "do not pay a second time", "pay_01jexample", "Show the payment form again"):
        assert said in page.words


def test_a_payment_that_was_sent_and_whose_form_is_gone_still_waits_and_says_what_happens_next(
    client: FlaskClient, use_case: FakeShopper
) -> None:
    use_case.embedding = embed_view(status="submitted", attributes={}, ended=True)
    page = read(client, PATH)
    assert "What happens next" in page.words
    assert page.main["data-poll"] == f"{PATH}/status"
    assert page.all("stable-payment-gateway") == []
    assert page.refreshes() == [f"3;url={PATH}?checked=1"]


def test_a_payment_that_was_begun_keeps_the_form_and_warns(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.embedding = embed_view(status="initiated")
    page = read(client, PATH)
    assert len(page.all("stable-payment-gateway")) == 1
    assert "do not start a second payment" in page.words


@pytest.mark.parametrize("status", PAID)
def test_a_paid_payment_has_no_widget_and_leads_to_the_store(
    client: FlaskClient, use_case: FakeShopper, status: str
) -> None:
    use_case.embedding = embed_view(status=status, paid=True)
    page = read(client, PATH)
    assert "Payment confirmed" in page.words
    assert page.all("stable-payment-gateway") == []
    assert page.hrefs() == [use_case.embedding.success_url]
    assert "data-paid" in page.main


@pytest.mark.parametrize("status", STATUSES)
def test_the_page_calls_itself_paid_only_when_the_payment_is(
    client: FlaskClient, use_case: FakeShopper, status: str
) -> None:
    use_case.embedding = embed_view(status=status, ended=status in ENDED)
    page = read(client, PATH)
    assert ("data-paid" in page.main) == (status in PAID)
    assert ("confirmed" in page.words) == (status in PAID)


def test_a_session_that_has_run_out_offers_a_fresh_one_by_a_button(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.embedding = embed_view(attributes={}, ended=True, can_renew=True)
    page = read(client, PATH)
    assert page.all("form") == [{"class": "way", "method": "post", "action": f"/pay/{TOKEN}"}]
    assert page.all("input") == [{"type": "hidden", "name": "page", "value": "embed"}]
    answer = client.post(f"/pay/{TOKEN}", data={"page": "embed"})
    assert (answer.status_code, answer.headers["Location"]) == (303, PATH)


def test_in_a_frame_the_fresh_session_is_shown_in_the_frame_again(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.embedding = embed_view(attributes={}, ended=True, can_renew=True)
    page = read(client, f"{PATH}?place=frame")
    assert [html.get("class") for html in page.all("html")] == ["framed"]
    assert page.all("input") == [{"type": "hidden", "name": "page", "value": "frame"}]
    use_case.error = NotPossible("paid meanwhile")
    answer = client.post(f"/pay/{TOKEN}", data={"page": "frame"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{PATH}?place=frame")


def test_links_to_the_store_leave_the_frame(client: FlaskClient) -> None:
    (link,) = [link for link in read(client, PATH).all("a") if link.get("data-role") == "onward"]
    assert link["target"] == "_top"


def test_a_session_that_is_being_opened_looks_again_by_itself(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.embedding = embed_view(preparing=True, attributes={}, status="created")
    page = read(client, f"{PATH}?place=frame")
    assert page.main["data-page"] == "preparing"
    assert page.refreshes() == [f"3;url={PATH}?checked=1&place=frame"]


# Who may frame it and what it may load


def test_the_policy_names_the_module_the_service_and_the_stores_origins_and_nothing_else(client: FlaskClient) -> None:
    answer = client.get(PATH)
    policy = answer.headers["Content-Security-Policy"]
    assert policy == POLICY.format(nonce=nonce_of(policy))
    assert "X-Frame-Options" not in answer.headers
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin-allow-popups"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_nonce_is_new_for_every_answer_and_on_every_script(client: FlaskClient) -> None:
    seen = set()
    for _ in range(5):
        answer = client.get(PATH)
        nonce = nonce_of(answer.headers["Content-Security-Policy"])
        scripts = re.findall(r"<script[^>]*>", answer.text)
        assert scripts
        assert all(f'nonce="{nonce}"' in script for script in scripts)
        seen.add(nonce)
    assert len(seen) == 5


@pytest.mark.parametrize(
    "hostile",
    [
        "https://evil.test; script-src *",
        "https://evil.test\r\nX: y",
        "*",
        "null",
        "'unsafe-inline'",
        "data:",
        "https://a@evil.test",
        "",
    ],
)
def test_what_is_not_plainly_an_origin_never_reaches_the_policy(
    client: FlaskClient, use_case: FakeShopper, hostile: str
) -> None:
    use_case.embedding = embed_view(frame_origins=(SHOP, hostile), module_url=hostile, api_base=hostile)
    policy = client.get(PATH).headers["Content-Security-Policy"]
    assert policy.endswith(f"frame-ancestors 'self' {SHOP}")
    assert hostile not in policy or not hostile
    assert "evil" not in policy


def test_a_store_without_origins_is_framed_by_nobody_else(client: FlaskClient, use_case: FakeShopper) -> None:
    use_case.embedding = embed_view(frame_origins=())
    answer = client.get(PATH)
    assert answer.headers["Content-Security-Policy"].endswith("frame-ancestors 'self'")
    assert read(client, PATH).main["data-frame-origins"] == ""


@pytest.mark.parametrize("path", [PATH, f"{PATH}/status"])
def test_an_unknown_token_is_404_and_may_not_be_framed(client: FlaskClient, use_case: FakeShopper, path: str) -> None:
    use_case.error = NotFound("page", "embed")
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Security-Policy"] == pages.CONTENT_SECURITY_POLICY
    assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("path", [PATH, f"{PATH}/status"])
def test_a_busy_database_is_503_and_may_not_be_framed(client: FlaskClient, use_case: FakeShopper, path: str) -> None:
    use_case.error = StoreUnavailable("locked")
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.headers["X-Frame-Options"] == "DENY"


# The bank's way back, when it stays in the frame


def test_a_return_page_in_the_stores_frame_talks_to_the_store_and_goes_nowhere_by_itself(
    client: FlaskClient, use_case: FakeShopper
) -> None:
    use_case.returning = return_view(status="accepted", final=True)
    answer = client.get(f"/return/{TOKEN}/success", headers={"Sec-Fetch-Dest": "iframe"})
    policy = answer.headers["Content-Security-Policy"]
    nonce = nonce_of(policy)
    assert policy == (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self'; "
        f"font-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self' {SHOP}"
    )
    assert "X-Frame-Options" not in answer.headers
    page = Reader(answer.text)
    assert "data-paid" in page.main
    assert "data-leaves" not in page.main
    assert page.refreshes() == []
    assert {link.get("target") for link in page.all("a") if link["href"] != "#content"} == {"_top"}


def test_a_return_page_in_a_frame_asks_on_until_the_payment_is_known(client: FlaskClient) -> None:
    answer = client.get(f"/return/{TOKEN}/success", headers={"Sec-Fetch-Dest": "iframe"})
    page = Reader(answer.text)
    assert (page.main["data-page"], page.main["data-poll"]) == ("embed", f"/return/{TOKEN}/status?page=success")
    assert "data-paid" not in page.main


@pytest.mark.parametrize("destination", [None, "document", "object", "embed"])
def test_a_return_page_anywhere_else_may_not_be_framed(client: FlaskClient, destination: str | None) -> None:
    headers = {} if destination is None else {"Sec-Fetch-Dest": destination}
    answer = client.get(f"/return/{TOKEN}/success", headers=headers)
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Content-Security-Policy"] == pages.CONTENT_SECURITY_POLICY


# How things stand


@pytest.mark.parametrize("status", STATUSES)
def test_the_status_says_paid_only_from_our_own_state(client: FlaskClient, use_case: FakeShopper, status: str) -> None:
    use_case.returning = return_view(status=status, final=status in (*PAID, *ENDED))
    answer = client.get(f"{PATH}/status?paid=true&status=settled")
    news = answer.get_json()
    assert set(news) == {"status", "paid", "final", "tone", "heading", "text", "aside", "onward_url"}
    assert (news["status"], news["paid"]) == (status, status in PAID)
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert use_case.asked == [("embed_status", TOKEN)]


# The storefront's script


def test_the_storefronts_script_may_be_loaded_from_anywhere_and_is_five_minutes_fresh(client: FlaskClient) -> None:
    answer = client.get("/embed.js")
    assert answer.status_code == 200
    assert answer.content_type == "text/javascript; charset=utf-8"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    again = client.get("/embed.js", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_the_storefronts_script_speaks_to_its_own_origin_only(client: FlaskClient) -> None:
    script = client.get("/embed.js").text
    assert "event.origin !== home" in script
    assert "event.source !== this.#frame.contentWindow" in script
    assert re.findall(r"postMessage\([^)]*\)", script) == ['postMessage({ stableCheckout: 1, type: "hello" }, home)']
