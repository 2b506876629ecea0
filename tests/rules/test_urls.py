"""Redirects go to allowed places only, and a look-alike is not one."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.rules.urls import (
    URL_CHARS_MAX,
    PageDomain,
    is_loopback,
    normal_origin,
    origin_allowed,
    page_allowed,
    page_domain,
    read_url,
    return_url_problems,
    shop_url_problem,
    web_url_problem,
)

LIVE = (PageDomain(scheme="https", host="stablemint.io", port=None),)
LOCAL = (PageDomain(scheme="http", host="127.0.0.1", port=9001),)
ORIGINS = {"https://shop.example", "https://shop.example:8443", "http://localhost:9003"}


@pytest.mark.parametrize(
    "url",
    [
        "https://checkout.stablemint.io/sessions/0b8b/?requireAuth=true",
        "https://payments.stablemint.io/partner-sessions/0b8b",
        "https://stablemint.io",
        "https://stablemint.io/",
        "https://a.b.c.stablemint.io/#step-1",
        "HTTPS://CHECKOUT.StableMint.IO/x",
        "https://checkout.stablemint.io:443/x",
        "https://checkout.stablemint.io/x?back=https://evil.example/@/",
        "https://xn--caf-dma.stablemint.io/",
        "https://checkout.stablemint.io?x=1",
    ],
)
def test_a_page_on_the_domain_or_below_it_is_allowed(url: str) -> None:
    assert page_allowed(url, LIVE)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://checkout.stablemint.io/x",
        "https://stablemint.io.evil.com/x",
        "https://evilstablemint.io/x",
        "https://evil-stablemint.io/x",
        "https://stablemint.io.",
        "https://checkout.stablemint.io./x",
        "https://.stablemint.io/",
        "https://a..stablemint.io/",
        "https://-a.stablemint.io/",
        "https://stablemint.net/x",
        "https://stablemint.i/o",
        "https://io/",
        "https://evil.com/stablemint.io",
        "https://evil.com?https://stablemint.io/",
        "https://evil.com#https://stablemint.io/",
        "https://stablemint.io@evil.com/",
        "https://user@stablemint.io/",
        "https://user:pass@stablemint.io/",
        "https://@stablemint.io/",
        "https://stablemint.io%40evil.com/",
        "https://evil.com%2f.stablemint.io/",
        "https://evil.com\\.stablemint.io/",
        "https://evil.com\\@stablemint.io/",
        "https:\\\\stablemint.io/",
        "https://stablemint.io\\.evil.com",
        "https:/stablemint.io/",
        "https:stablemint.io/",
        "https:///stablemint.io/",
        "//checkout.stablemint.io/x",
        "/x",
        "checkout.stablemint.io/x",
        "javascript:alert(1)//https://stablemint.io/",
        "javascript://stablemint.io/%0aalert(1)",
        "data:text/html,https://stablemint.io/",
        "ftp://stablemint.io/",
        "https://stablemint.io:8443/",
        "https://stablemint.io:80/",
        "https://stablemint.io:/",
        "https://stablemint.io:0443/",
        "https://stablemint.io:99999/",
        "https://stablemint.io:443@evil.com/",
        "https://stablemint.io:443:443/",
        "https://ѕtablemint.io/",
        "https://stablemint。io/",
        "https://xn--tablemint-jxg.io/",
        "https://stablemınt.io/",
        "https://STABLEM\u0130NT.io/",
        "https://checkout.stablemint.io/é",
        "https://evil.com\n.stablemint.io/",
        "https://evil.com\t.stablemint.io/",
        "https://stablemint.io/\r\nSet-Cookie: a=b",
        "https://stablemint.io/\n",
        "\nhttps://stablemint.io/",
        " https://stablemint.io/",
        "https://stablemint.io/ x",
        "https://stablemint.io/\x00",
        "https://stablemint.io/\x7f",
        'https://stablemint.io/"onload=x',
        "https://stablemint.io/<script>",
        "https://[::1].stablemint.io/",
        "https://[stablemint.io]/",
        "https://stablemint.io/" + "a" * URL_CHARS_MAX,
        "https://" + "a" * 64 + ".stablemint.io/",
        "https://" + "a." * 130 + "stablemint.io/",
        "\udcff",
    ],
)
def test_a_look_alike_is_refused(url: str) -> None:
    assert not page_allowed(url, LIVE)


def test_no_domains_allow_nothing() -> None:
    assert not page_allowed("https://stablemint.io/", ())


def test_a_domain_with_a_port_means_that_port() -> None:
    domain = (PageDomain(scheme="https", host="pay.example", port=8443),)

    assert page_allowed("https://eu.pay.example:8443/x", domain)
    assert not page_allowed("https://eu.pay.example/x", domain)


def test_loopback_is_matched_exactly() -> None:
    assert page_allowed("http://127.0.0.1:9001/x", LOCAL)
    assert not page_allowed("http://127.0.0.1:9002/x", LOCAL)
    assert not page_allowed("http://127.0.0.2:9001/x", LOCAL)
    assert not page_allowed("http://localhost:9001/x", LOCAL)
    assert not page_allowed("http://a.127.0.0.1:9001/x", LOCAL)
    any_port = (PageDomain(scheme="http", host="localhost", port=None),)
    assert page_allowed("http://localhost:1/x", any_port)
    assert page_allowed("https://localhost/x", any_port)
    assert not page_allowed("http://a.localhost/x", any_port)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("shop.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("0.0.0.0", True),  # noqa: S104 - read as text, bound to by nobody
        ("[::1]", True),
        ("[::]", True),
        ("[::ffff:127.0.0.1]", True),
        ("128.0.0.1", False),
        ("[2001:db8::1]", False),
        ("localhost.example", False),
        ("notlocalhost", False),
    ],
)
def test_loopback_is_this_machine_only(host: str, here: bool) -> None:
    assert is_loopback(host) is here


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f.0.0.1", "0x7f000001", "0177.0.0.1", "1.2.3.0x4", "1.2.3.256"]
)
def test_numbers_that_browsers_read_as_addresses_are_no_hosts(host: str) -> None:
    assert read_url(f"http://{host}/") is None


def test_a_url_is_read_into_its_parts() -> None:
    url = read_url("HTTPS://Shop.Example:8443/A/b?c=D#e")
    assert url is not None
    assert (url.scheme, url.host, url.port) == ("https", "shop.example", 8443)
    assert (url.path, url.query, url.fragment) == ("/A/b", "?c=D", "#e")
    assert url.origin == "https://shop.example:8443"
    plain = read_url("http://[::1]:80")
    assert plain is not None
    assert (plain.origin, plain.loopback) == ("http://[::1]", True)


@given(
    st.text(max_size=60),
    st.sampled_from(["", "https://", "https://stablemint.io", "http://[", "//", "https://a@"]),
)
def test_reading_never_raises_and_agrees_with_the_standard_library(rest: str, start: str) -> None:
    url = read_url(start + rest)

    if url is not None:
        parts = urlsplit(start + rest)
        assert (parts.scheme, parts.hostname) == (url.scheme, url.host.strip("[]"))
        assert parts.username is None
        assert parts.password is None


@given(st.from_regex(r"\A[a-z.:@/\\?#%0-9-]{0,20}\Z"), st.from_regex(r"\A[a-z.:@/\\?#%0-9-]{0,20}\Z"))
def test_whatever_surrounds_the_domain_an_allowed_page_is_on_it(before: str, after: str) -> None:
    url = f"https://{before}stablemint.io{after}"

    if page_allowed(url, LIVE):
        host = urlsplit(url).hostname or ""
        assert host == "stablemint.io" or host.endswith(".stablemint.io")


@pytest.mark.parametrize(
    ("text", "sandbox", "domain"),
    [
        ("stablemint.io", False, ("https", "stablemint.io", None)),
        ("StableMint.IO", False, ("https", "stablemint.io", None)),
        ("https://pay.example/", False, ("https", "pay.example", None)),
        ("https://pay.example:8443", False, ("https", "pay.example", 8443)),
        ("pay.example:8443", False, ("https", "pay.example", 8443)),
        ("http://127.0.0.1:9001", True, ("http", "127.0.0.1", 9001)),
        ("http://[::1]:9001", True, ("http", "[::1]", 9001)),
        ("127.0.0.1:9001", True, ("http", "127.0.0.1", 9001)),
        ("localhost", True, ("http", "localhost", None)),
        ("https://localhost:9443", True, ("https", "localhost", 9443)),
        ("http://127.0.0.1:9001", False, None),
        ("https://127.0.0.1", False, None),
        ("localhost", False, None),
        ("http://pay.example", True, None),
        ("http://pay.example", False, None),
        ("io", True, None),
        ("*.stablemint.io", True, None),
        ("stablemint.io.", True, None),
        (".stablemint.io", True, None),
        ("https://pay.example/path", True, None),
        ("https://pay.example?x", True, None),
        ("https://pay.example#x", True, None),
        ("ftp://pay.example", True, None),
        ("user@pay.example", True, None),
        ("", True, None),
    ],
)
def test_a_page_domain_is_a_host_or_an_origin(
    text: str, sandbox: bool, domain: tuple[str, str, int | None] | None
) -> None:
    read = page_domain(text, sandbox=sandbox)

    assert (read and (read.scheme, read.host, read.port)) == domain


@pytest.mark.parametrize(
    ("text", "live", "sandbox"),
    [
        ("https://shop.example", "https://shop.example", "https://shop.example"),
        ("https://Shop.Example:443/", "https://shop.example", "https://shop.example"),
        ("https://shop.example:8443", "https://shop.example:8443", "https://shop.example:8443"),
        ("http://localhost:9003", None, "http://localhost:9003"),
        ("http://shop.example", None, None),
        ("https://shop.example/path", None, None),
        ("https://shop.example?x", None, None),
        ("https://shop.example#x", None, None),
        ("shop.example", None, None),
        ("null", None, None),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(text: str, live: str | None, sandbox: str | None) -> None:
    assert normal_origin(text, sandbox=False) == live
    assert normal_origin(text, sandbox=True) == sandbox


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://shop.example", True),
        ("https://shop.example:8443", True),
        ("HTTPS://shop.example", True),
        ("https://shop.example:443", False),
        ("https://shop.example/", False),
        ("https://shop.example:8444", False),
        ("http://shop.example", False),
        ("https://a.shop.example", False),
        ("https://shop.example.evil.com", False),
        ("null", False),
        ("*", False),
        ("", False),
    ],
)
def test_an_origin_header_must_be_exactly_one_of_the_stores(origin: str, allowed: bool) -> None:
    assert origin_allowed(origin, ORIGINS) is allowed


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://shop.example/thanks?order=1", None),
        ("https://shop.example", None),
        ("https://shop.example:8443/x", None),
        ("http://localhost:9003/thanks", None),
        ("https://SHOP.example/thanks", None),
        ("https://shop.example:8444/x", "allowed origins"),
        ("https://a.shop.example/x", "allowed origins"),
        ("https://shop.example.evil.com/x", "allowed origins"),
        ("http://localhost:9004/x", "allowed origins"),
        ("https://shop.example/x#y", "fragment"),
        ("http://shop.example/x", "use https"),
        ("https://shop.example@evil.com/", "absolute https URL"),
        ("https://user@shop.example/", "absolute https URL"),
        ("https://shop.example/\n", "absolute https URL"),
        ("https://shop.example/größe", "absolute https URL"),
        ("//shop.example/x", "absolute https URL"),
        ("/thanks", "absolute https URL"),
        ("javascript:alert(1)", "absolute https URL"),
        ("https://shop.example\\@evil.com", "absolute https URL"),
    ],
)
def test_a_return_url_is_at_exactly_one_of_the_stores_origins(url: str, problem: str | None) -> None:
    found = shop_url_problem(url, ORIGINS, sandbox=True)

    assert (found is None) == (problem is None)
    assert problem is None or (found is not None and problem in found)


def test_plain_http_is_for_loopback_in_the_sandbox() -> None:
    assert shop_url_problem("http://localhost:9003/x", ORIGINS, sandbox=False) is not None
    assert web_url_problem("http://localhost:9003/x", sandbox=True) is None
    assert web_url_problem("https://anywhere.example/notify", sandbox=False) is None
    assert web_url_problem("http://anywhere.example/notify", sandbox=True) is not None


def test_each_return_url_is_told_by_its_name_and_other_names_are_passed_over() -> None:
    asked = {
        "success_url": "https://evil.example/", "exit_url": "https://shop.example/cart", "error_url": None,
        "support_url": "ftp://shop.example", "notify_url": "not a url",
    }  # fmt: skip
    found = return_url_problems(asked, ORIGINS, sandbox=False)
    assert set(found) == {"success_url", "support_url"}
    assert found["success_url"] == "its origin is not one of the store's allowed origins"
    assert return_url_problems({}, ORIGINS, sandbox=True) == {}
