"""The three session calls, answered as documented: ``url``, ``expiresAt`` in Unix seconds, ``reference``."""

from __future__ import annotations

import re
from typing import Any, Final

from flask import Blueprint, Response, request

from checkout.simulator.stable_mint.checks import Refusal, check_body, check_caller
from checkout.simulator.stable_mint.jsontext import write
from checkout.simulator.stable_mint.state import Opened, StableMintState

#: Each call's path. CONFIRMED.
PATHS: Final = {
    "hosted": "/session/hosted",
    "hosted_partner": "/session/hosted/partner-managed-customer",
    "embedded": "/session/embedded/partner-managed-customer",
}
#: Where ``foreign_url`` leads: it only looks like the provider.
FOREIGN: Final = "https://checkout.stablemint.net.pay-here.example"


def api_blueprint(state: StableMintState) -> Blueprint:
    """The session calls of one simulated Stable Mint."""
    api = Blueprint("api", __name__)

    def answer(flow: str) -> Response:
        body = request.get_data()
        switches = state.switches.now
        options = state.surroundings.options
        now = state.surroundings.clock.now()
        names = ("ApiKey", "Timestamp", "Signature")
        check_caller(
            {name: request.headers.get(name, "") for name in names},
            body,
            api_key=options.stable_mint_api_key,
            api_secret=options.stable_mint_api_secret,
            partner_key=state.partner_key,
            now=now,
            tolerance_s=switches.timestamp_tolerance_s,
        )
        if flow not in switches.flows:
            raise Refusal(403, "FlowNotEnabled", "The partner is not configured for this flow.")
        opened = state.open(flow, check_body(flow, body), body, now)
        return _spoilt(state, opened)

    for flow, path in PATHS.items():
        api.add_url_rule(path, f"open_{flow}", answer, methods=["POST"], defaults={"flow": flow})

    @api.errorhandler(Refusal)
    def refuse(refusal: Refusal) -> Response:
        return refused(refusal, state.switches.now.error_body)

    return api


def _spoilt(state: StableMintState, opened: Opened) -> Response:
    """The answer, or what is left of it after the fault a switch asked for."""
    document = _document(state, opened)
    match opened.fault:
        case "error_500_after_work":
            raise Refusal(500, "InternalError", "An unexpected error occurred.")
        case "hang":
            state.surroundings.stopping.wait(state.switches.now.hang_s)
        case "foreign_url" if "url" in document:
            document["url"] = FOREIGN + opened.session.url_path
        case "no_url":
            document.pop("url", None)
            document.pop("sessionId", None)
        case "unparseable":
            return Response(write(document)[:-2], mimetype="application/json")
    return Response(write(document), mimetype="application/json")


def _document(state: StableMintState, opened: Opened) -> dict[str, Any]:
    session, switches = opened.session, state.switches.now
    expires = int(session.expires_at.timestamp())
    if switches.expires_at == "milliseconds":
        expires *= 1000
    if session.flow != "embedded":
        url = state.surroundings.url + session.url_path
        return {"url": url, "expiresAt": expires, "reference": session.reference}
    # INFERRED: the properties the widget binds. Whether reference and expiresAt come too is UNKNOWN.
    document: dict[str, Any] = {
        "sessionId": session.ident,
        "currency": session.currency,
        "country": session.asked["userCountryCode"],
        "amount": session.asked.get("amount"),
        "allowedPaymentMethods": list(switches.allowed_payment_methods),
        "savedBanks": _saved_banks(state.saved_banks(session.user_id), switches.saved_banks),
        "paymentMethod": switches.embedded_payment_method,
    }
    if switches.embedded_session_id == "missing":
        del document["sessionId"]
    if switches.embedded_extras in ("both", "reference"):
        document["reference"] = session.reference
    if switches.embedded_extras in ("both", "expires_at"):
        document["expiresAt"] = expires
    return document


def _saved_banks(names: list[str], shape: str) -> Any:
    """The customer's banks in one of the shapes nobody has confirmed."""
    banks = [{"id": bank_id(name), "name": name} for name in names]
    if shape == "object":
        return {bank["id"]: {"name": bank["name"]} for bank in banks}
    return write(banks) if shape == "text" else banks


def bank_id(name: str) -> str:
    """``Birch & Sons`` is ``birch-sons``."""
    return "-".join(re.findall(r"[a-z]+", name.lower()))


def refused(refusal: Refusal, form: str) -> Response:
    """A refusal in one of the plausible forms: the documentation shows none (UNKNOWN)."""
    headers = {"Retry-After": "5"} if refusal.status == 429 else {}
    if form == "empty":
        return Response(b"", refusal.status, headers)
    if form == "html":
        page = f"<!doctype html><title>{refusal.status}</title><h1>{refusal.status}</h1>"
        return Response(page, refusal.status, headers, mimetype="text/html")
    document = {"code": refusal.code, "message": refusal.message, "errors": refusal.fields}
    return Response(write(document), refusal.status, headers, mimetype="application/json")
