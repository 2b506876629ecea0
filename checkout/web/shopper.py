"""The pages a shopper sees: the way to the payment page, and an honest status afterwards.

A view asks one use case, chooses words and answers. No page here marks anything paid: the return pages write
nothing but "the shopper came back", and what they say comes from the payment's own state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, cast

from flask import Blueprint, Response, current_app, jsonify, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from checkout.errors import NotFound, StoreUnavailable
from checkout.rules.money import Money
from checkout.rules.payments import PAID
from checkout.shopper import OUTCOMES, PayView, ReturnView, Shopper
from checkout.web import wording
from checkout.web.pages import guard, host_shown, web_address
from checkout.web.wording import Tone, Words

bp = Blueprint("shopper", __name__)
bp.after_request(guard)

#: Seconds between looks of a page that has no script, by how often it has looked; the last one stays.
REFRESH_S: Final = (3, 3, 5, 8, 13, 20, 30, 60)
#: From this look on the page says that it takes longer than most.
SLOW_FROM: Final = 6
#: How long a shopper may read that the payment is confirmed before a page without script goes to the store.
LEAVE_S: Final = 6
STORE_RETRY_S: Final = 5

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}")


@dataclass(frozen=True, slots=True)
class Link:
    """One way on. ``kind`` is how it looks and what the script may do with it."""

    href: str
    label: str
    kind: str  #: main (the button) or quiet
    role: str = ""  #: onward: where the script may go by itself


@dataclass(frozen=True, slots=True)
class Facts:
    """What a shopper can check against their basket and tell the store."""

    store: str
    order: str
    amount: Money | None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """All that the templates need."""

    name: str  #: ready, preparing, return or message: what the script may do here
    words: Words
    facts: Facts | None = None
    links: tuple[Link, ...] = ()
    host: str | None = None  #: the host name that the main link leads to
    refresh_s: int | None = None
    refresh_url: str | None = None
    poll_url: str | None = None
    slow: str | None = None  #: what is added when it takes long
    is_slow: bool = False
    leaves: bool = False  #: the script may follow the onward link after a few seconds


@bp.get("/pay/<token>")
def pay(token: str) -> ResponseReturnValue:
    """The last page of ours before the provider's: says where it leads, and goes there by a plain link."""
    return _show(_pay_page(token, _use_case().pay(_checked(token)), _looks()))


@bp.get("/return/<token>/<outcome>")
def came_back(token: str, outcome: str) -> ResponseReturnValue:
    """Where the provider's page sends a shopper back. Others' query parameters are ignored (A9: UNKNOWN)."""
    if outcome not in OUTCOMES:
        raise NotFound("page", "return")
    looks = _looks()
    again = looks > 0 or request.method == "HEAD"
    shopper = _use_case()
    view = shopper.status(_checked(token)) if again else shopper.came_back(_checked(token), outcome)
    return _show(_return_page(token, outcome, view, looks))


@bp.get("/return/<token>/status")
def status(token: str) -> ResponseReturnValue:
    """What a return page asks every few seconds; ``page`` is the outcome it was opened with."""
    view = _use_case().status(_checked(token))
    shown = request.args.get("page", "")
    words = wording.return_words(view, shown if shown in OUTCOMES else view.outcome)
    return jsonify(
        status=view.status,
        paid=view.status in PAID,
        final=_done(view),
        tone=words.tone,
        heading=words.heading,
        text=words.text,
        aside=words.aside,
        onward_url=web_address(view.onward_url),
    )


@bp.errorhandler(NotFound)
def missing(error: NotFound) -> ResponseReturnValue:
    """An address that leads nowhere, in the same design. It says nothing about which part was wrong."""
    if request.endpoint == "shopper.status":
        return jsonify(error="not_found"), 404
    return _show(Page("message", wording.missing_words()), 404)


@bp.errorhandler(StoreUnavailable)
def unavailable(error: StoreUnavailable) -> ResponseReturnValue:
    """The database is busy or gone: try again soon; the page does so by itself without a script."""
    if request.endpoint == "shopper.status":
        response = make_response(jsonify(error="unavailable"), 503)
    else:
        links = (Link(request.path, wording.LABELS["again"], "main"),)
        page = Page("message", wording.unavailable_words(), links=links, refresh_s=10, refresh_url=request.path)
        response = _show(page, 503)
    response.headers["Retry-After"] = str(STORE_RETRY_S)
    return response


def _use_case() -> Shopper:
    return cast("Shopper", current_app.extensions["checkout"].shopper)


def _checked(token: str) -> str:
    """The token if it has the form of one; nothing else reaches the use case."""
    if _TOKEN.fullmatch(token) is None:
        raise NotFound("payment", "link")
    return token


def _looks() -> int:
    """How often a page without script has looked already: our own parameter, worth nothing to a forger."""
    return max(0, min(request.args.get("checked", default=0, type=int), len(REFRESH_S)))


def _refresh_s(looks: int) -> int:
    return REFRESH_S[min(looks, len(REFRESH_S) - 1)]


def _pay_page(token: str, view: PayView, looks: int) -> Page:
    session_url = web_address(view.session_url)
    words = wording.pay_words(view, can_go_on=session_url is not None)
    facts = Facts(view.store_name, view.order, view.amount, view.payment_id if words.tone is Tone.STOPPED else None)
    opening = words.tone is Tone.WAITING
    closed = words.tone in (Tone.STOPPED, Tone.GOOD)
    exit_url = web_address(view.exit_url)
    back_kind = "main" if closed or (session_url is None and not opening) else "quiet"
    back = (Link(exit_url, wording.back_label(view.store_name), back_kind),) if exit_url else ()
    if opening:
        again = url_for(".pay", token=token, checked=looks + 1)
        check = Link(again, wording.LABELS["check"], "quiet", "check")
        return Page(
            "preparing",
            words,
            facts,
            (check, *back),
            refresh_s=_refresh_s(looks),
            refresh_url=again,
            poll_url=url_for(".pay", token=token),
            slow=wording.slow_opening_words(),
            is_slow=looks >= SLOW_FROM,
        )
    if closed or session_url is None:
        return Page("message", words, facts, back)
    ready = words.tone is Tone.READY
    label = wording.LABELS["continue" if ready else "open_again"]
    onward = Link(session_url, label, "main" if ready else "quiet", "onward")
    return Page("ready", words, facts, (onward, *back), host=host_shown(session_url), leaves=ready)


def _return_page(token: str, outcome: str, view: ReturnView, looks: int) -> Page:
    words = wording.return_words(view, outcome)
    paid = view.status in PAID
    onward_url = web_address(view.onward_url)
    page = Page(
        "return",
        words,
        Facts(view.store_name, view.order, view.amount, view.payment_id),
        _return_links(view, outcome, words.tone),
    )
    if _done(view):
        leaves = paid and outcome == "success" and onward_url is not None
        # The only refresh of a final page is the way to the store, for a shopper without script.
        return replace(page, leaves=leaves, refresh_s=LEAVE_S if leaves else None, refresh_url=onward_url)
    if outcome != "success" and view.status in ("created", "open"):
        return replace(page, name="message")  # nothing is on its way: the shopper decides
    again = url_for(".came_back", token=token, outcome=outcome, checked=looks + 1)
    return replace(
        page,
        links=(*page.links, Link(again, wording.LABELS["check"], "quiet", "check")),
        refresh_s=_refresh_s(looks),
        refresh_url=again,
        poll_url=url_for(".status", token=token, page=outcome),
        slow=wording.slow_words(),
        is_slow=looks >= SLOW_FROM,
    )


def _return_links(view: ReturnView, outcome: str, tone: Tone) -> tuple[Link, ...]:
    """The ways on, the likeliest as the button first; none is a button while there is nothing to do but wait."""
    again_url, onward_url = web_address(view.pay_again_url), web_address(view.onward_url)
    under_way = view.status in wording.UNDER_WAY
    if tone in (Tone.GOOD, Tone.WAITING):
        again_url = None
    # Paying again is the likeliest wish only of somebody who has not paid, and did not ask for help.
    again_first = again_url is not None and not under_way and outcome != "support"
    links: list[Link] = []
    if onward_url:
        kind = "quiet" if again_first or tone is Tone.WAITING else "main"
        links.append(Link(onward_url, wording.back_label(view.store_name), kind, "onward"))
    if again_url:
        name = "open_again" if under_way else "resume" if outcome == "exit" else "again"
        again = Link(again_url, wording.LABELS[name], "main" if again_first else "quiet")
        links.insert(0 if again_first else len(links), again)
    return tuple(links)


def _done(view: ReturnView) -> bool:
    return view.final or view.status in PAID


def _show(page: Page, code: int = 200) -> Response:
    amount = wording.amount_shown(page.facts.amount) if page.facts and page.facts.amount else None
    return make_response(render_template("shopper/page.html", page=page, amount=amount, labels=wording.LABELS), code)
