"""Driving the simulated Stable Mint without a browser, and the settlement advice a merchant would be sent."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from flask import Blueprint, abort, jsonify, request
from flask.typing import ResponseReturnValue

from checkout.simulator.control import guard, json_object, number
from checkout.simulator.deliveries import KEPT, DeliveryState
from checkout.simulator.stable_mint.events import Step
from checkout.simulator.stable_mint.jsontext import Number, write
from checkout.simulator.stable_mint.sessions import Outcome, Session
from checkout.simulator.stable_mint.state import StableMintState
from checkout.simulator.switches import SwitchRefused

#: Deliveries shown in ``/_control/state``; ``/_control/deliveries`` has them all.
SHOWN: Final = 200
#: What ``POST /_control/events`` understands.
EVENT_FIELDS: Final = (
    "reference", "deposit", "type", "version", "fields", "without", "raw", "event_id", "signature", "after_s",
)  # fmt: skip


def driving_blueprint(state: StableMintState) -> Blueprint:
    """Sessions, paying, webhooks and settlements under ``/_control/``; loopback only."""
    plane = Blueprint("driving", __name__, url_prefix="/_control")
    plane.before_request(guard)

    def session(reference: str) -> Session:
        return state.session(reference) or abort(404, "there is no such session")

    @plane.get("/sessions")
    def list_sessions() -> ResponseReturnValue:
        now = state.surroundings.clock.now()
        return jsonify([one.report(now) for one in state.sessions()])

    @plane.post("/sessions/<reference>/pay")
    def pay(reference: str) -> ResponseReturnValue:
        asked = _known(json_object(), "outcome", "amount", "currency", "version")
        outcome, version = asked.get("outcome", "paid"), asked.get("version")
        if outcome not in list(Outcome):
            raise SwitchRefused({"outcome": "one of " + ", ".join(Outcome)})
        if version not in (None, "v1", "v2", "mixed"):
            raise SwitchRefused({"version": "one of v1, v2, mixed"})
        if not isinstance(asked.get("currency", ""), str):
            raise SwitchRefused({"currency": "text"})
        deposit, deliveries = state.finish(
            session(reference),
            Outcome(outcome),
            amount=_amount(asked.get("amount")),
            currency=asked.get("currency"),
            version=version,
        )
        return jsonify({"deposit": deposit and deposit.reference, "deliveries": deliveries}), 201

    @plane.post("/events")
    def emit() -> ResponseReturnValue:
        return jsonify({"deliveries": _emit(state, json_object(), session)}), 201

    @plane.get("/settlements")
    def settlements() -> ResponseReturnValue:
        return jsonify(state.settlements())

    _webhook_routes(plane, state)
    return plane


def _webhook_routes(plane: Blueprint, state: StableMintState) -> None:
    deliveries = state.news.deliveries

    @plane.get("/deliveries")
    def list_deliveries() -> ResponseReturnValue:
        found = deliveries.log(state=request.args.get("state", ""), newest=number("newest", KEPT))
        return jsonify([one.report() for one in found])

    @plane.get("/webhooks/held")
    def list_held() -> ResponseReturnValue:
        return jsonify([one.report() for one in deliveries.log(state=DeliveryState.HELD)])

    @plane.post("/webhooks/release")
    def release() -> ResponseReturnValue:
        order = _known(json_object(), "order").get("order")
        held = [one.ident for one in deliveries.log(state=DeliveryState.HELD)]
        if order is None or order == "reversed":
            chosen = held if order is None else held[::-1]
        elif isinstance(order, list) and all(type(ident) is int and ident in held for ident in order):
            chosen = list(dict.fromkeys(order))
        else:
            raise SwitchRefused({"order": "a list of ids of held deliveries, or reversed"})
        return jsonify({"released": deliveries.release(chosen)})


def _emit(state: StableMintState, asked: Mapping[str, Any], session: Any) -> list[int]:
    """One event, of any type and content: ``fields`` replace or add (in V2 within ``data``), ``without``
    removes.

    ``raw`` sends that text as it is. ``deposit`` names one of the session's deposits (default: the last, or
    what a first one would be). ``signature``: good, wrong or missing.
    """
    asked = _known(asked, *EVENT_FIELDS)
    subject: Session = session(str(asked.get("reference", "")))
    version, signature = asked.get("version", "v2"), asked.get("signature", "good")
    after_s = asked.get("after_s", 0)
    if version not in ("v1", "v2") or signature not in ("good", "wrong", "missing"):
        raise SwitchRefused({"version": "v1 or v2", "signature": "good, wrong or missing"})
    if not isinstance(after_s, int | float) or not isinstance(asked.get("type"), str):
        raise SwitchRefused({"type": "the event type, in full", "after_s": "a number"})
    if not isinstance(asked.get("fields", {}), dict) or not isinstance(asked.get("without", []), list):
        raise SwitchRefused({"fields": "an object", "without": "a list of names"})
    step = Step(0, version, asked["type"])
    if isinstance(asked.get("raw"), str):
        body = asked["raw"].encode()
    else:
        body = write(_document(state, subject, step, asked)).encode()
    return state.news.send(subject, step, body, after_s=after_s, signature=signature)


def _document(state: StableMintState, subject: Session, step: Step, asked: Mapping[str, Any]) -> dict[str, Any]:
    deposit = state.deposit_of(subject, asked.get("deposit"))
    at = state.surroundings.clock.later(float(asked.get("after_s", 0)))
    document = state.news.narrator.body(step, subject, deposit, state.switches.now, at)
    fields: dict[str, Any] = document["data"] if step.version == "v2" else document
    for name, value in asked.get("fields", {}).items():
        # An exact number cannot travel in this request as a JSON fraction, so text is taken for one.
        fields[name] = Number(value) if name == "amount" and isinstance(value, str) else value
    for name in asked.get("without", []):
        fields.pop(name, None)
    if "event_id" in asked:
        document["eventId"] = asked["event_id"]
    return document


def _known(asked: Mapping[str, Any], *names: str) -> dict[str, Any]:
    unknown = {name: "there is no such field" for name in asked if name not in names}
    if unknown:
        raise SwitchRefused(unknown)
    return dict(asked)


def _amount(value: object) -> Decimal | None:
    if value is None:
        return None
    try:
        if not isinstance(value, str):
            raise TypeError
        amount = Decimal(value)
    except (TypeError, InvalidOperation):
        raise SwitchRefused({"amount": "decimal text"}) from None
    if not amount.is_finite():
        raise SwitchRefused({"amount": "decimal text"})
    return amount
