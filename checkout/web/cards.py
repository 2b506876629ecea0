"""The card that every page of a shopper's is: words, facts, ways on. Views fill it in; one template draws it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import Response, make_response, render_template, request, url_for

from checkout.errors import NotFound
from checkout.rules.money import Money
from checkout.store.records import StoreRow
from checkout.web import wording
from checkout.web.language import Tongue, chosen
from checkout.web.looks import logo_url, theme_url
from checkout.web.pages import FORM_POLICY
from checkout.web.wording import Words

#: Seconds between looks of a page that has no script, by how often it has looked; the last one stays.
REFRESH_S: Final = (3, 3, 5, 8, 13, 20, 30, 60)
#: From this look on the page says that it takes longer than most.
SLOW_FROM: Final = 6
STORE_RETRY_S: Final = 5

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}")


@dataclass(frozen=True, slots=True)
class Link:
    """One way on. ``kind`` is how it looks and what the script may do with it."""

    href: str
    label: str
    kind: str  #: main (the button) or quiet
    role: str = ""  #: onward: where the script may go by itself; check: look again


@dataclass(frozen=True, slots=True)
class Press:
    """One thing a shopper may do that changes something: a form with a button and hidden fields."""

    action: str
    label: str
    kind: str = "main"
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What a shopper can check against their basket and tell the store."""

    order: str
    amount: Money | None
    title: str | None = None
    reference: str | None = None
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Widget:
    """The provider's element and what our script needs to bring it to life."""

    attributes: dict[str, str]
    module_url: str
    api_base: str
    exit_url: str | None  #: where "exit" leads at the top level
    done_url: str | None  #: where a confirmed payment leads at the top level
    sent: bool  #: the money is on its way: what happens next is shown first, the form on demand


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that the templates need."""

    name: str  #: ready, preparing, return, receipt, link, embed or message: what the script may do here
    words: Words
    store: StoreRow | None = None
    facts: Facts | None = None
    ways: tuple[Link | Press, ...] = ()
    host: str | None = None  #: the host name that the main link leads to
    refresh_s: int | None = None
    refresh_url: str | None = None
    poll_url: str | None = None
    slow: str | None = None  #: what is added when it takes long
    is_slow: bool = False
    leaves: str | None = None  #: said while the script follows the onward link by itself; None: it stays
    next_steps: bool = False  #: what happens next, for a bank transfer that takes days
    frame: FrameTalk | None = None
    widget: Widget | None = None


@dataclass(frozen=True, slots=True)
class FrameTalk:
    """What a page that may stand in a store's frame tells that store's page."""

    origins: tuple[str, ...]
    payment_id: str
    status: str
    paid: bool
    final: bool
    inside: bool  #: asked for by a frame: drawn without the room around the card
    nonce: str


def show(page: Page, code: int = 200, *, language: str | None = None, template: str = "shopper/page.html") -> Response:
    """Draw a page in the payment's language, else in the browser's."""
    tongue, from_browser = chosen(language)
    html = render_template(
        template,
        page=page,
        _=tongue,
        lang=tongue.code,
        theme=theme_url(page.store) if page.store else None,
        logo=logo_url(page.store) if page.store else None,
    )
    response = make_response(html, code)
    response.headers["Content-Language"] = tongue.code
    if any(isinstance(way, Press) for way in page.ways):
        response.headers["Content-Security-Policy"] = FORM_POLICY
    if from_browser:
        response.vary.add("Accept-Language")
    return response


def checked(token: str) -> str:
    """The token if it has the form of one; nothing else reaches a use case."""
    if _TOKEN.fullmatch(token) is None:
        raise NotFound("payment", "link")
    return token


def looks() -> int:
    """How often a page without script has looked already: our own parameter, worth nothing to a forger."""
    return max(0, min(request.args.get("checked", default=0, type=int), len(REFRESH_S)))


def refresh_s(looked: int) -> int:
    """How long a page without script waits before it looks again."""
    return REFRESH_S[min(looked, len(REFRESH_S) - 1)]


def renewal(token: str, status: str, _: Tongue, *, framed: bool | None = None) -> Press:
    """The button that opens a fresh session. Pressing it twice opens one: the use case sees to it."""
    fields = () if framed is None else (("page", "frame" if framed else "embed"),)
    # Where money may be on its way the button is there, but it is not what the page is about.
    kind = "quiet" if status in wording.UNDER_WAY else "main"
    return Press(url_for("shopper.renew", token=token), _("Open a fresh payment page"), kind, fields)


def missing_page(code: int = 404) -> Response:
    """An address that leads nowhere, in the same design. It says nothing about which part was wrong."""
    _, _from_browser = chosen()
    return show(Page(name="message", words=wording.missing_words(_)), code)


def unavailable_page(code: int = 503) -> Response:
    """Busy, or broken here: try again soon; a page that only shows does so by itself without a script."""
    _, _from_browser = chosen()
    again = request.path
    page = Page(
        name="message",
        words=wording.unavailable_words(_),
        ways=(Link(again, _("Try again"), "main"),),
        refresh_s=10 if request.method == "GET" else None,
        refresh_url=again,
    )
    response = show(page, code)
    response.headers["Retry-After"] = str(STORE_RETRY_S)
    return response
