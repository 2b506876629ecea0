"""The control routes only this provider has, beside those every provider port shares.

They show what is kept (whatever the answers pretend), move what a test wants moved, and count what the
proofs count: per transfer the deposits its address received, per key what was executed and what was
replayed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from checkout.simulator.control import guard, json_object, number
from checkout.simulator.deliveries import KEPT, DeliveryState
from checkout.simulator.stables.codes import Status
from checkout.simulator.stables.state import StablesState
from checkout.simulator.stables.webhooks import SIGNATURES
from checkout.simulator.switches import SwitchRefused

_EVENT_FIELDS: Final = frozenset(
    {"event_type", "event_object_id", "event_object_status", "event_object", "event_id"}
    | {"raw", "signature", "copies", "after_s"}
)
_AMOUNT: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?")


def stables_control(state: StablesState) -> Blueprint:
    """Routes under ``/_control/`` of the Stables port."""
    plane = Blueprint("stables_control", __name__, url_prefix="/_control")
    plane.before_request(guard)
    _money(plane, state)
    _misbehaviour(plane, state)
    _webhooks(plane, state)
    return plane


def _money(plane: Blueprint, state: StablesState) -> None:
    @plane.get("/transfers")
    def transfers() -> ResponseReturnValue:
        return jsonify(state.report_transfers())

    @plane.get("/quotes")
    def quotes() -> ResponseReturnValue:
        return jsonify(state.report_quotes())

    @plane.get("/bank")
    def bank() -> ResponseReturnValue:
        """The merchant's bank statement: one credit per completed transfer."""
        done = [one for one in state.report_transfers() if one["status"] == "completed"]
        return jsonify([{"transfer_id": one["id"], "at": one["moves"][-1]["at"], **one["credit"]} for one in done])

    @plane.post("/transfers/<ident>/status")
    def set_status(ident: str) -> ResponseReturnValue:
        return jsonify(state.set_status(ident, _status(json_object().get("status"))))

    @plane.post("/deposits")
    def deposit() -> ResponseReturnValue:
        """``{"transfer": id}`` or ``{"address": …}``, and ``amount`` unless it is the instructed one."""
        asked = json_object()
        where, amount = asked.get("transfer") or asked.get("address"), asked.get("amount")
        problems = {}
        if not isinstance(where, str):
            problems["transfer"] = "the id of a transfer, or its address as address"
        if amount is not None and not (isinstance(amount, str) and _AMOUNT.fullmatch(amount)):
            problems["amount"] = "decimal text"
        if problems:
            raise SwitchRefused(problems)
        return jsonify(state.deposit(str(where), None if amount is None else Decimal(amount))), 201


def _status(word: object) -> Status:
    try:
        return Status(str(word).lower())
    except ValueError:
        raise SwitchRefused({"status": "one of " + ", ".join(Status)}) from None


def _misbehaviour(plane: Blueprint, state: StablesState) -> None:
    @plane.get("/idempotency")
    def idempotency() -> ResponseReturnValue:
        return jsonify(state.memory.report())

    @plane.post("/idempotency/lapse")
    def lapse() -> ResponseReturnValue:
        """A day goes by for every key that was used so far: a request that comes again is executed again."""
        return jsonify({"forgotten": state.memory.lapse()})

    @plane.get("/faults")
    def show_faults() -> ResponseReturnValue:
        return jsonify(state.faults.report())

    @plane.post("/faults")
    def arm_fault() -> ResponseReturnValue:
        return jsonify(state.faults.arm(json_object()).report()), 201

    @plane.delete("/faults")
    def clear_faults() -> ResponseReturnValue:
        state.faults.clear()
        return jsonify([])

    @plane.post("/customers/<ident>")
    def judge(ident: str) -> ResponseReturnValue:
        asked = json_object()
        payout = asked.get("base_payout")
        if payout is not None and payout not in ("submitted", "in_progress", "approved", "rejected"):
            raise SwitchRefused({"base_payout": "submitted, in_progress, approved or rejected"})
        reasons = asked.get("sub_status", [])
        if not isinstance(reasons, list):
            raise SwitchRefused({"sub_status": "a list of reasons"})
        return jsonify(state.judge(ident, str(asked.get("verification", "")), payout, [str(one) for one in reasons]))


def _webhooks(plane: Blueprint, state: StablesState) -> None:
    webhooks = state.webhooks

    @plane.get("/deliveries")
    def list_deliveries() -> ResponseReturnValue:
        log = webhooks.deliveries.log(state=request.args.get("state", ""), newest=number("newest", KEPT))
        return jsonify([one.report() for one in log])

    @plane.get("/webhooks/held")
    def list_held() -> ResponseReturnValue:
        return jsonify([one.report() for one in webhooks.deliveries.log(state=DeliveryState.HELD)])

    @plane.post("/webhooks/release")
    def release() -> ResponseReturnValue:
        """Send what ``hold_webhooks`` kept back, as it came, or in ``order``: ids, or ``reversed``."""
        held = [one.ident for one in webhooks.deliveries.log(state=DeliveryState.HELD)]
        order = json_object().get("order")
        chosen = held if order is None else held[::-1] if order == "reversed" else order
        if not (isinstance(chosen, list) and all(type(one) is int and one in held for one in chosen)):
            raise SwitchRefused({"order": "a list of ids of held deliveries, or reversed"})
        return jsonify({"released": webhooks.deliveries.release(chosen)})

    @plane.post("/events")
    def send_event() -> ResponseReturnValue:
        """Any event: the envelope's ``event_…`` fields, ``signature``, ``copies``, ``after_s``.

        ``raw`` is sent, and signed, instead of the envelope.
        """
        asked = json_object()
        problems = _event_problems(asked)
        if problems:
            raise SwitchRefused(problems)
        event = webhooks.event(
            asked["event_type"],
            asked.get("event_object_id", ""),
            asked.get("event_object_status", ""),
            asked.get("event_object", {}),
            event_id=asked.get("event_id"),
        )
        if "raw" in asked:
            event = replace(event, body=asked["raw"].encode())
        copies = asked.get("copies", 1)
        sent = [
            webhooks.send(event, signature=asked.get("signature", "good"), after_s=asked.get("after_s", 0.0))
            for _ in range(copies)
        ]
        return jsonify({"event_id": event.ident, "deliveries": [one.ident for one in sent]}), 201


def _event_problems(asked: dict[str, Any]) -> dict[str, str]:
    problems = {name: "there is no such field" for name in asked if name not in _EVENT_FIELDS}
    for name in ("event_type", "event_object_id", "event_object_status", "event_id", "raw"):
        if name in asked and not isinstance(asked[name], str):
            problems[name] = "text"
    if not asked.get("event_type"):
        problems["event_type"] = "is needed"
    if not isinstance(asked.get("event_object", {}), dict):
        problems["event_object"] = "an object"
    if asked.get("signature", "good") not in SIGNATURES:
        problems["signature"] = "one of " + ", ".join(SIGNATURES)
    if type(asked.get("after_s", 0)) not in (int, float):
        problems["after_s"] = "nominal seconds"
    copies = asked.get("copies", 1)
    if type(copies) is not int or not 1 <= copies <= 100:
        problems["copies"] = "a whole number from 1 to 100"
    return problems
