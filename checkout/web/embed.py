"""The provider's widget on a page of ours: whole at the top level, and in a frame of the store's own pages only.

The policy of this page names what the widget needs and nothing else: the origin of its module, the origin of the
service it calls, and the origins that may frame it. What the widget says is never believed: that a payment is paid
comes from our own state alone. That the widget works in a frame, and with this policy, is UNKNOWN (providers.md A8).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, jsonify, make_response, request, url_for
from flask.typing import ResponseReturnValue

from checkout.errors import NotFound, StoreUnavailable
from checkout.paying.shopper import EmbedView
from checkout.rules.payments import PAID
from checkout.web import framing, wording
from checkout.web.cards import (
    SLOW_FROM,
    STORE_RETRY_S,
    Facts,
    FrameTalk,
    Link,
    Page,
    Widget,
    checked,
    looks,
    missing_page,
    refresh_s,
    renewal,
    show,
    unavailable_page,
)
from checkout.web.language import Tongue, chosen
from checkout.web.pages import Assets, guard, web_address
from checkout.web.shopper import news, use_case

bp = Blueprint("embed", __name__)
bp.after_request(framing.unlock)  # runs after the guard: the last one registered is the first to run
bp.after_request(guard)

#: The storefront's script may be five minutes old, never older without asking.
SCRIPT_CACHE: Final = "public, max-age=300"


@bp.get("/embed/<token>")
def widget(token: str) -> ResponseReturnValue:
    """The widget, or how things stand instead of it."""
    view = use_case().embed(checked(token))
    _, _from_browser = chosen(view.language)
    nonce = framing.fresh_nonce()
    response = show(_embed_page(token, view, nonce, _), language=view.language, template="embed/page.html")
    module, api = framing.origins([view.module_url]), framing.origins([view.api_base])
    return framing.allow(response, framing.policy(nonce, view.frame_origins, module=module, api=api))


@bp.get("/embed/<token>/status")
def status(token: str) -> ResponseReturnValue:
    """What the widget's page asks every few seconds. It changes nothing."""
    return news(use_case().embed_status(checked(token)), "success")


@bp.errorhandler(NotFound)
def missing(_error: NotFound) -> ResponseReturnValue:
    """No such payment, or none for a widget."""
    return (jsonify(error="not_found"), 404) if request.endpoint == "embed.status" else missing_page()


@bp.errorhandler(StoreUnavailable)
def unavailable(_error: StoreUnavailable) -> ResponseReturnValue:
    """The database is busy or gone: try again soon."""
    if request.endpoint != "embed.status":
        return unavailable_page()
    response = make_response(jsonify(error="unavailable"), 503)
    response.headers["Retry-After"] = str(STORE_RETRY_S)
    return response


def install_script(app: Flask, assets: Assets) -> None:
    """Serve the storefront's side at an address that never changes."""
    body, digest = assets.read_now("embed.js")

    def script() -> Response:
        response = Response(body, content_type="text/javascript; charset=utf-8")
        response.headers["Cache-Control"] = SCRIPT_CACHE
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.set_etag(digest)
        response.make_conditional(request)
        return response

    app.add_url_rule("/embed.js", "embed_script", script, methods=["GET"])


def _embed_page(token: str, view: EmbedView, nonce: str, _: Tongue) -> Page:
    words = wording.embed_words(view, _)
    paid, inside = view.status in PAID, request.args.get("place") == "frame"
    shown = bool(view.attributes) and not paid and not view.can_renew
    untouched = view.preparing or (shown and view.status not in wording.UNDER_WAY)
    exit_url, onward_url = web_address(view.exit_url), web_address(view.success_url if paid else view.exit_url)
    back_kind = "main" if paid or not (view.can_renew or view.preparing or shown) else "quiet"
    back = (Link(onward_url, wording.back_label(view.store.name, _), back_kind, "onward"),) if onward_url else ()
    page = Page(
        name="message",
        words=words,
        store=view.store,
        facts=Facts(view.order, view.amount, reference=None if untouched else view.payment_id),
        ways=back,
        frame=FrameTalk(
            origins=tuple(framing.origins(view.frame_origins).split()),
            payment_id=view.payment_id,
            status=view.status,
            paid=paid,
            final=paid or view.ended,
            inside=inside,
            nonce=nonce,
        ),
    )
    looked = looks()
    place = "frame" if inside else None
    again = url_for(".widget", token=token, checked=looked + 1, place=place)
    if view.preparing:
        return replace(
            page,
            name="preparing",
            ways=(Link(again, _("Check now"), "quiet", "check"), *back),
            refresh_s=refresh_s(looked),
            refresh_url=again,
            poll_url=url_for(".widget", token=token, place=place),
            slow=wording.slow_opening_words(_),
            is_slow=looked >= SLOW_FROM,
        )
    if shown:
        base = _path(view.return_url)
        return replace(
            page,
            name="embed",
            poll_url=url_for(".status", token=token),
            widget=Widget(
                attributes=dict(view.attributes),
                module_url=view.module_url,
                api_base=view.api_base,
                exit_url=f"{base}/exit" if base else exit_url,
                done_url=f"{base}/success" if base else web_address(view.success_url),
                sent=view.status == "submitted",
            ),
        )
    if view.status in wording.UNDER_WAY:
        check = Link(again, _("Check now"), "quiet", "check")
        renewals = (renewal(token, view.status, _, framed=inside),) if view.can_renew else ()
        return replace(
            page,
            name="embed",
            ways=(*back, check, *renewals),
            poll_url=url_for(".status", token=token),
            refresh_s=refresh_s(looked),
            refresh_url=again,
            next_steps=True,
        )
    return replace(page, ways=(renewal(token, view.status, _, framed=inside), *back)) if view.can_renew else page


def _path(url: str | None) -> str | None:
    """Our own return pages' base as a path, so that it is the same origin wherever this page was opened."""
    return urlsplit(url).path if web_address(url) and url else None
