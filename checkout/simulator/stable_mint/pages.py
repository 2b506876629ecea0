"""The hosted checkout page with its mock bank: plain forms and no script, where the session's URL leads."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from checkout.errors import AmountRefused
from checkout.rules.money import read_provider_amount
from checkout.simulator.stable_mint.sessions import MANUAL, OPEN_BANKING, Outcome, Session
from checkout.simulator.stable_mint.state import StableMintState

#: Banks that nobody has an account with.
BANKS: Final = ("Alder Bank", "Birch & Sons", "Cedar Savings")

#: What each button does: the outcome (None: nothing happened) and the address the shopper is sent on to.
CHOICES: Final[dict[str, tuple[Outcome | None, str | None]]] = {
    "pay": (Outcome.PAID, "successUrl"),
    "pay_and_close": (Outcome.PAID, None),
    "fail": (Outcome.FAILED, "errorUrl"),
    "leave": (Outcome.LEFT, "exitUrl"),
    "support": (None, "supportUrl"),
}


def page_blueprint(state: StableMintState) -> Blueprint:
    """The pages of one simulated Stable Mint; hosted sessions only (an embedded one has no page)."""
    pages = Blueprint("pages", __name__)

    def found(kind: str, ident: str) -> Session:
        session = state.session_at(ident)
        if session is None or session.flow == "embedded" or session.path != f"/{kind}/{ident}":
            abort(404)
        return session

    def show(kind: str, ident: str) -> ResponseReturnValue:
        session = found(kind, ident)
        if session.outcome is Outcome.PAID:
            return _page(state, session, "paid")
        if state.closed(session):
            return _page(state, session, "expired", 410)
        return _page(state, session, "open")

    def choose(kind: str, ident: str) -> ResponseReturnValue:
        session = found(kind, ident)
        choice = request.form.get("choice", "")
        if choice not in CHOICES:
            abort(400, "choose one of the buttons")
        outcome, destination = CHOICES[choice]
        pays = outcome in (Outcome.PAID, Outcome.FAILED)
        if pays and session.outcome is not Outcome.PAID and state.closed(session):
            return _page(state, session, "expired", 410)
        if outcome is not None:
            bank = request.form.get("bank")
            # A double click on the pay button is one payment.
            state.finish(
                session, outcome, method=_method(session), bank=bank if bank in BANKS else None, once=True
            )  # fmt: skip
        if destination is None:
            return _page(state, session, "closed")
        return redirect(session.asked[destination], code=303)

    for kind in ("sessions", "partner-sessions"):
        path, kinds = f"/{kind}/<ident>", {"kind": kind}
        pages.add_url_rule(path, f"show_{kind}", show, methods=["GET"], defaults=kinds)
        pages.add_url_rule(path, f"choose_{kind}", choose, methods=["POST"], defaults=kinds)

    @pages.after_request
    def harden(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response

    return pages


def banks_for(state: StableMintState, session: Session) -> list[str]:
    """Every bank, those the customer has paid from first."""
    saved = state.saved_banks(session.user_id)
    return saved + [bank for bank in BANKS if bank not in saved]


def _method(session: Session) -> str:
    return MANUAL if session.asked.get("paymentMethod") == MANUAL else OPEN_BANKING


def _shown_amount(session: Session) -> str:
    if session.amount is None:
        return session.currency
    try:
        return str(read_provider_amount(session.amount, session.currency))
    except AmountRefused:
        return f"{session.currency} {session.amount}"


def _page(state: StableMintState, session: Session, view: str, status: int = 200) -> Response:
    fields = session.asked.get("customFields", {})
    page = render_template(
        "simulator/hosted.html",
        view=view,
        merchant=state.surroundings.options.partner_name,
        amount=_shown_amount(session),
        reference=session.reference,
        details=[(name, str(value)) for name, value in fields.items() if not isinstance(value, dict | list)],
        method=_method(session),
        email=session.asked.get("userEmail"),
        banks=banks_for(state, session),
        expires_at=session.expires_at,
        pages=session.asked,
    )
    return make_response(page, status)
