"""The payment widget: its module script, and the calls it makes for itself from a page of another origin.

The element, its attributes and its events are CONFIRMED (widget page). What the real one calls, and how, is
UNKNOWN: these routes are the simulator's own. The session's id is the only key the widget has, as in the real
one, so a call can pay for that one session and see nothing of any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Response, request

from checkout.simulator.stable_mint.api import bank_id, refused
from checkout.simulator.stable_mint.checks import Refusal, check_amount
from checkout.simulator.stable_mint.jsontext import NotJson, read, write
from checkout.simulator.stable_mint.pages import BANKS
from checkout.simulator.stable_mint.sessions import MANUAL, OPEN_BANKING, Deposit, Outcome, Session
from checkout.simulator.stable_mint.state import StableMintState

#: The module a page imports, and what it imports itself.
ENTRY: Final = "stable-payment-gateway.js"
PARTS: Final = frozenset({ENTRY, "attributes.js", "look.js", "screens.js", "wire.js"})
#: Where a transfer by hand would go. Nobody has this account.
ACCOUNT: Final = {"holder": "Stable Mint Sandbox", "iban": "XX00 0000 0000 0000 0000", "bic": "SANDXX00"}
#: How long a browser may remember that it may call.
PREFLIGHT_S: Final = "600"

_METHODS: Final = (OPEN_BANKING, MANUAL)
_OUTCOMES: Final = {"pay": Outcome.PAID, "fail": Outcome.FAILED}
_BY_ID: Final = {bank_id(name): name for name in BANKS}


def widget_blueprint(state: StableMintState, folder: Path) -> Blueprint:
    """The widget of one simulated Stable Mint; ``folder`` holds its scripts."""
    widget = Blueprint("widget", __name__, url_prefix="/widget")

    @widget.get("/<name>.js")
    def script(name: str) -> Response:
        file = f"{name}.js"
        if file not in PARTS or state.switches.now.widget == "missing":
            raise Refusal(404, "NotFound", "There is no such script.")
        answer = Response((folder / file).read_bytes(), content_type="text/javascript; charset=utf-8")
        answer.add_etag()
        answer.cache_control.no_cache = True  # asked for again, and answered 304
        answer.make_conditional(request)
        return answer

    @widget.get("/sessions/<ident>")
    def show(ident: str) -> Response:
        return _answer(_document(state, _found(state, ident)))

    @widget.post("/sessions/<ident>/payments")
    def pay(ident: str) -> Response:
        session = _found(state, ident)
        if state.closed(session) and session.outcome is not Outcome.PAID:
            raise Refusal(410, "SessionExpired", "This session has expired. Nothing was taken.")
        state.finish(session, **_order(_body(), session), once=True)  # a double click is one payment
        return _answer(_document(state, session), 201)

    @widget.post("/sessions/<ident>/exit")
    def leave(ident: str) -> Response:
        session = _found(state, ident)
        state.finish(session, Outcome.LEFT)
        return _answer(_document(state, session))

    @widget.after_request
    def open_to_all(response: Response) -> Response:
        """Any page may show the widget: there are no cookies here, and a session's id is the only key."""
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.headers["X-Content-Type-Options"] = "nosniff"
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "")
            response.headers["Access-Control-Allow-Headers"] = "Content-Type"
            response.headers["Access-Control-Max-Age"] = PREFLIGHT_S
        if "/sessions/" in request.path:
            response.headers["Cache-Control"] = "no-store"
        return response

    @widget.errorhandler(Refusal)
    def refuse(refusal: Refusal) -> Response:
        return refused(refusal, "json")

    return widget


def _found(state: StableMintState, ident: str) -> Session:
    session = state.session_at(ident)
    if session is None or session.flow != "embedded":
        raise Refusal(404, "SessionNotFound", "This session is not known.")
    return session


def _body() -> dict[str, Any]:
    try:
        document = read(request.get_data())
    except NotJson as error:
        raise Refusal(400, "InvalidBody", f"The body is not valid JSON: {error}.") from None
    # Only as JSON: a page that may not ask first (a plain form) can then not pay.
    if not request.is_json or not isinstance(document, dict):
        raise Refusal(400, "InvalidBody", "The body must be a JSON object.")
    return document


def _order(body: dict[str, Any], session: Session) -> dict[str, Any]:
    """What the shopper chose, as the state takes it; a 400 :class:`Refusal` for anything else."""
    method, outcome, bank = body.get("method"), body.get("outcome", "pay"), body.get("bank")
    problems = {}
    if method not in _METHODS:
        problems["method"] = "must be one of " + ", ".join(_METHODS)
    if outcome not in list(_OUTCOMES):  # lists take what no dictionary can look up
        problems["outcome"] = "must be one of " + ", ".join(_OUTCOMES)
    if method == OPEN_BANKING and bank not in list(_BY_ID):
        problems["bank"] = "must be the id of a bank"
    if problems:
        raise Refusal(400, "ValidationError", "One or more fields are not valid.", problems)
    chosen = None if session.amount is not None else check_amount(body.get("amount"), session.currency)
    return {
        "outcome": _OUTCOMES[str(outcome)],
        "method": method,
        "bank": _BY_ID.get(str(bank)),
        "chosen": chosen,
    }


def _document(state: StableMintState, session: Session) -> dict[str, Any]:
    """A session as its widget sees it."""
    last = session.deposits[-1] if session.deposits else None
    now = state.surroundings.clock.now()
    left_s = (session.expires_at - now).total_seconds()
    return {
        "sessionId": session.ident,
        "state": _state(state, session, last),
        "reference": session.reference if last is None else last.reference,
        "merchant": state.surroundings.options.partner_name,
        "amount": format(session.amount, "f") if session.amount is not None else last and format(last.asked, "f"),
        "currency": session.currency,
        "banks": [{"id": ident, "name": name} for ident, name in _BY_ID.items()],
        "account": ACCOUNT,
        # Seconds, and not a time of day: the shopper's clock may be wrong.
        "expiresInSeconds": None if state.switches.now.late_money else max(0, round(left_s, 1)),
    }


def _state(state: StableMintState, session: Session, last: Deposit | None) -> str:
    if session.outcome is Outcome.PAID:
        paid = next(one for one in reversed(session.deposits) if one.outcome is Outcome.PAID)
        return "transfer_announced" if paid.method == MANUAL else "paid"
    if state.closed(session):
        return "expired"
    return "failed" if last is not None and last.outcome is Outcome.FAILED else "open"


def _answer(document: dict[str, Any], status: int = 200) -> Response:
    return Response(write(document), status, mimetype="application/json")
