"""The pages a shopper sees: the way to the payment page, and an honest status afterwards.

A view asks one use case, chooses words and answers. No page here marks anything paid: the return pages write
nothing but "the shopper came back", and what they say comes from the payment's own state.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

from flask import Blueprint, Response, current_app, jsonify, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from checkout.errors import LostRace, NotFound, NotPossible, ProviderCallsBusy, StoreUnavailable
from checkout.paying.shopper import OUTCOMES, PayView, ReturnView, Shopper
from checkout.rules.payments import PAID
from checkout.web import framing, wording
from checkout.web.cards import (
    SLOW_FROM,
    STORE_RETRY_S,
    Facts,
    FrameTalk,
    Link,
    Page,
    Press,
    checked,
    looks,
    missing_page,
    refresh_s,
    renewal,
    show,
    unavailable_page,
)
from checkout.web.language import Tongue, chosen
from checkout.web.pages import guard, host_shown, web_address
from checkout.web.wording import Tone

bp = Blueprint("shopper", __name__)
bp.after_request(framing.unlock)  # runs after the guard: the last one registered is the first to run
bp.after_request(guard)

#: How long a shopper may read that the payment is confirmed before a page without script goes to the store.
LEAVE_S: Final = 6


@bp.get("/pay/<token>")
def pay(token: str) -> ResponseReturnValue:
    """The last page of ours before the provider's: says where it leads, and goes there by a plain link."""
    view = use_case().pay(checked(token))
    if view.flow == "embedded":
        return redirect(url_for("embed.widget", token=token), 303)
    _, _from_browser = chosen(view.language)
    return show(_pay_page(token, view, looks(), _), language=view.language)


@bp.post("/pay/<token>")
def renew(token: str) -> ResponseReturnValue:
    """Open a fresh session, then show the page again: it says how things stand, whatever came of it."""
    try:
        use_case().renew(checked(token))
    except (NotPossible, LostRace):
        pass  # paid meanwhile, cancelled, or opened by the other click: the page knows
    except (ProviderCallsBusy, StoreUnavailable):
        return unavailable_page()
    shown = request.form.get("page", "")
    if shown in ("embed", "frame"):
        return redirect(url_for("embed.widget", token=token, place="frame" if shown == "frame" else None), 303)
    return redirect(url_for(".pay", token=token), 303)


@bp.get("/return/<token>/<outcome>")
def came_back(token: str, outcome: str) -> ResponseReturnValue:
    """Where the provider's page sends a shopper back. Others' query parameters are ignored (A9: UNKNOWN)."""
    if outcome not in OUTCOMES:
        raise NotFound("page", "return")
    looked = looks()
    again = looked > 0 or request.method == "HEAD"
    shopper = use_case()
    view = shopper.status(checked(token)) if again else shopper.came_back(checked(token), outcome)
    _, _from_browser = chosen(view.language)
    page = _return_page(token, outcome, view, looked, _)
    if request.headers.get("Sec-Fetch-Dest") == "iframe":  # the bank's way back stayed in the widget's frame
        return _in_frame(page, view)
    return show(page, language=view.language)


@bp.get("/return/<token>/status")
def status(token: str) -> ResponseReturnValue:
    """What a return page asks every few seconds; ``page`` is the outcome it was opened with."""
    view = use_case().status(checked(token))
    shown = request.args.get("page", "")
    return news(view, shown if shown in OUTCOMES else view.outcome)


@bp.errorhandler(NotFound)
def missing(error: NotFound) -> ResponseReturnValue:
    """An address that leads nowhere, in the same design."""
    if request.endpoint == "shopper.status":
        return jsonify(error="not_found"), 404
    return missing_page()


@bp.errorhandler(StoreUnavailable)
def unavailable(error: StoreUnavailable) -> ResponseReturnValue:
    """The database is busy or gone: try again soon."""
    if request.endpoint != "shopper.status":
        return unavailable_page()
    response = make_response(jsonify(error="unavailable"), 503)
    response.headers["Retry-After"] = str(STORE_RETRY_S)
    return response


def use_case() -> Shopper:
    return cast("Shopper", current_app.extensions["checkout"].shopper)


def news(view: ReturnView, outcome: str) -> Response:
    """How things stand, as a page's script is told."""
    tongue, from_browser = chosen(view.language)
    words = wording.return_words(view, outcome, tongue)
    response = jsonify(
        status=view.status,
        paid=view.status in PAID,
        final=_done(view),
        tone=words.tone,
        heading=words.heading,
        text=words.text,
        aside=words.aside,
        onward_url=web_address(view.onward_url),
    )
    if from_browser:
        response.vary.add("Accept-Language")
    return response


def _pay_page(token: str, view: PayView, looked: int, _: Tongue) -> Page:
    session_url = web_address(view.session_url)
    words = wording.pay_words(view, _, can_go_on=session_url is not None)
    opening, ready = words.tone is Tone.WAITING, words.tone is Tone.READY
    told = None if opening or ready else view.payment_id
    plain = Page(name="message", words=words, store=view.store, facts=Facts(view.order, view.amount, reference=told))
    exit_url = web_address(view.exit_url)
    can_go_on = session_url is not None and not view.can_renew and words.tone not in (Tone.STOPPED, Tone.GOOD)
    back_kind = "quiet" if opening or ready or can_go_on or view.can_renew else "main"
    back = (Link(exit_url, wording.back_label(view.store.name, _), back_kind),) if exit_url else ()
    if opening:
        again = url_for(".pay", token=token, checked=looked + 1)
        return replace(
            plain,
            name="preparing",
            ways=(Link(again, _("Check now"), "quiet", "check"), *back),
            refresh_s=refresh_s(looked),
            refresh_url=again,
            poll_url=url_for(".pay", token=token),
            slow=wording.slow_opening_words(_),
            is_slow=looked >= SLOW_FROM,
        )
    if can_go_on and session_url is not None:
        label = _("Continue to payment") if ready else _("Open the payment page again")
        onward = Link(session_url, label, "main" if ready else "quiet", "onward")
        leaves = wording.leaving_words(_, to_store=False) if ready else None
        return replace(plain, name="ready", ways=(onward, *back), host=host_shown(session_url), leaves=leaves)
    renewals = (renewal(token, view.status, _),) if view.can_renew else ()
    return replace(plain, ways=(*renewals, *back))


def _return_page(token: str, outcome: str, view: ReturnView, looked: int, _: Tongue) -> Page:
    words = wording.return_words(view, outcome, _)
    onward_url = web_address(view.onward_url)
    page = Page(
        name="return",
        words=words,
        store=view.store,
        facts=Facts(view.order, view.amount, reference=view.payment_id, date=view.paid_at),
        ways=_return_ways(view, outcome, words.tone, _),
    )
    if _done(view):
        if view.status not in PAID or outcome != "success":
            return page
        if onward_url is None:
            return replace(page, name="receipt")
        # The only refresh of a final page is the way to the store, for a shopper without script.
        leaving = wording.leaving_words(_, to_store=True)
        return replace(page, leaves=leaving, refresh_s=LEAVE_S, refresh_url=onward_url)
    if outcome != "success" and view.status in ("created", "open"):
        return replace(page, name="message")  # nothing is on its way: the shopper decides
    again = url_for(".came_back", token=token, outcome=outcome, checked=looked + 1)
    return replace(
        page,
        ways=(*page.ways, Link(again, _("Check now"), "quiet", "check")),
        refresh_s=refresh_s(looked),
        refresh_url=again,
        poll_url=url_for(".status", token=token, page=outcome),
        slow=wording.slow_words(_),
        is_slow=looked >= SLOW_FROM,
        leaves=wording.leaving_words(_, to_store=True) if onward_url else None,
        next_steps=looked >= SLOW_FROM,
    )


def _in_frame(page: Page, view: ReturnView) -> Response:
    """A return page in the frame of a store's page: it tells that page how things stand, and goes nowhere by itself."""
    nonce, framers = framing.fresh_nonce(), framing.origins_of(view.store)
    talk = FrameTalk(
        origins=tuple(framing.origins(framers).split()),
        payment_id=view.payment_id,
        status=view.status,
        paid=view.status in PAID,
        final=_done(view),
        inside=True,
        nonce=nonce,
    )
    name = "embed" if page.poll_url else "message"
    still = replace(page, name=name, frame=talk, leaves=None, refresh_s=None if _done(view) else page.refresh_s)
    response = show(still, language=view.language, template="embed/page.html")
    return framing.allow(response, framing.policy(nonce, framers))


def _return_ways(view: ReturnView, outcome: str, tone: Tone, _: Tongue) -> tuple[Link | Press, ...]:
    """The ways on, the likeliest as the button first; none is a button while there is nothing to do but wait."""
    under_way = view.status in wording.UNDER_WAY
    again = None if tone in (Tone.GOOD, Tone.WAITING) else _again(view, outcome, _)
    onward_url = web_address(view.onward_url)
    # Paying again is the likeliest wish only of somebody who has not paid, and did not ask for help.
    again_first = again is not None and not under_way and outcome != "support"
    ways: list[Link | Press] = []
    if onward_url:
        kind = "quiet" if again_first or tone is Tone.WAITING else "main"
        ways.append(Link(onward_url, wording.back_label(view.store.name, _), kind, "onward"))
    if again is not None:
        again = replace(again, kind="main" if again_first else "quiet")
        ways.insert(0 if again_first else len(ways), again)
    return tuple(ways)


def _again(view: ReturnView, outcome: str, _: Tongue) -> Link | Press | None:
    """The way back to paying: straight to the page that is still open, or by a button that opens a fresh one."""
    url = web_address(view.pay_again_url)
    if url is None:
        return None
    if view.can_renew:
        return renewal(url.rpartition("/")[2], view.status, _)
    if view.status in wording.UNDER_WAY:
        return Link(url, _("Open the payment page again"), "quiet")
    return Link(url, _("Continue to payment") if outcome == "exit" else _("Try again"), "quiet")


def _done(view: ReturnView) -> bool:
    return view.final or view.status in PAID
