"""The control plane each provider port has under ``/_control/``: loopback only, JSON in, JSON out.

It is how tests and the demo set switches, arm kills and read what happened; no provider has anything like it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flask import Blueprint, Flask, abort, jsonify, request
from flask.typing import ResponseReturnValue

from checkout.simulator.moments import Kills
from checkout.simulator.recorder import KEPT
from checkout.simulator.surroundings import Surroundings
from checkout.simulator.switches import Switchboard, SwitchRefused

S = TypeVar("S")


def json_object() -> dict[str, Any]:
    """The request's JSON object; an empty body is an empty object. 400 for anything else."""
    if not request.data:
        return {}
    # A page of another site can post plain text here, but not JSON: that takes a preflight, which nobody
    # answers.
    document = request.get_json(silent=True) if request.is_json else None
    if not isinstance(document, dict):
        abort(400, "send a JSON object as application/json")
    return document


def number(name: str, default: int) -> int:
    """A whole number of zero or more from the query; 400 otherwise."""
    text = request.args.get(name, "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        abort(400, f"{name} is a whole number")
    return int(text) if text else default


def guard() -> None:
    """403 for a caller from another machine."""
    address = ipaddress.ip_address((request.remote_addr or "").partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if not (mapped or address).is_loopback:
        abort(403, "the control plane answers this machine only")


def control_blueprint(
    surroundings: Surroundings,
    switches: Switchboard[S],
    *,
    state: Callable[[], Mapping[str, object]],
    reset: Callable[[], None],
) -> Blueprint:
    """The routes all providers share. ``state`` adds the provider's own part; ``reset`` forgets it.

    Reset puts the switches back to their positions at start and disarms every kill.
    """
    plane = Blueprint("control", __name__, url_prefix="/_control")
    plane.before_request(guard)
    recorder, kills = surroundings.recorder, surroundings.kills

    @plane.get("/state")
    def show_state() -> ResponseReturnValue:
        return jsonify({"switches": switches.report(), "kills": kills.report(), **state()})

    @plane.get("/switches")
    def show_switches() -> ResponseReturnValue:
        return jsonify(switches.report())

    @plane.post("/switches")
    def set_switches() -> ResponseReturnValue:
        switches.change(json_object())
        return jsonify(switches.report())

    @plane.get("/requests")
    def show_requests() -> ResponseReturnValue:
        found = recorder.matching(
            method=request.args.get("method", ""),
            path=request.args.get("path", ""),
            after=number("after", 0),
            limit=number("limit", KEPT),
        )
        return jsonify([exchange.report() for exchange in found])

    @plane.post("/reset")
    def forget() -> ResponseReturnValue:
        reset()
        switches.reset()
        kills.clear()
        recorder.clear()
        return jsonify({"reset": True})

    _kill_routes(plane, kills)
    return plane


def _kill_routes(plane: Blueprint, kills: Kills) -> None:
    @plane.get("/kills")
    def show_kills() -> ResponseReturnValue:
        return jsonify(kills.report())

    @plane.post("/kill")
    def arm_kill() -> ResponseReturnValue:
        return jsonify(kills.arm(json_object()).report()), 201


def answer_refusals(app: Flask) -> None:
    """Let a refused switch or kill be answered with 400 and every problem by name."""

    @app.errorhandler(SwitchRefused)
    def refused(error: SwitchRefused) -> ResponseReturnValue:
        return jsonify({"refused": error.problems}), 400
