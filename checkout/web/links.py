"""The page of a payment link: who asks for how much, and one button.

Looking changes nothing. Going on carries a number made for this drawing of the page, so that pressing twice opens
one payment, and coming back tomorrow another.
"""

from __future__ import annotations

import secrets
from typing import cast

from flask import Blueprint, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue

from checkout.errors import LostRace, NotFound, NotPossible, ProviderCallsBusy, StoreUnavailable
from checkout.paying.links import NONCE, Links
from checkout.web import wording
from checkout.web.cards import Facts, Page, Press, checked, missing_page, show, unavailable_page
from checkout.web.language import chosen
from checkout.web.pages import guard

bp = Blueprint("link", __name__)
bp.after_request(guard)


@bp.get("/link/<token>")
def link(token: str) -> ResponseReturnValue:
    """What is asked for, by whom, and until when; or why the link no longer works."""
    return _page(token)


@bp.post("/link/<token>")
def start(token: str) -> ResponseReturnValue:
    """Open the payment and go to its page."""
    nonce = request.form.get("nonce", "")
    if NONCE.fullmatch(nonce) is None:
        return redirect(url_for(".link", token=checked(token)), 303)  # not a page of ours: draw one
    try:
        pay_token = _use_case().start(checked(token), nonce)
    except (NotPossible, LostRace):
        return _page(token, refused=True)
    return redirect(url_for("shopper.pay", token=pay_token), 303)


@bp.errorhandler(NotFound)
def missing(_error: NotFound) -> ResponseReturnValue:
    """No such link."""
    return missing_page()


@bp.errorhandler(ProviderCallsBusy)
@bp.errorhandler(StoreUnavailable)
def unavailable(_error: Exception) -> ResponseReturnValue:
    """Busy: try again soon."""
    return unavailable_page()


def _page(token: str, *, refused: bool = False) -> ResponseReturnValue:
    view = _use_case().view(checked(token))
    _, _from_browser = chosen(view.language)
    ways: tuple[Press, ...] = ()
    if view.usable:
        label = _("Try again") if refused else _("Go on to pay")
        action = url_for(".start", token=token)
        ways = (Press(action, label, fields=(("nonce", secrets.token_urlsafe(18)),)),)
    page = Page(
        name="link",
        words=wording.link_words(view, _, refused=refused),
        store=view.store,
        facts=Facts(view.order, view.amount, title=view.title),
        ways=ways,
    )
    return show(page, 409 if refused else 200, language=view.language)


def _use_case() -> Links:
    return cast("Links", current_app.extensions["checkout"].links)
