"""Everybody around the service, in one process of their own: both simulated providers and a small shop.

The shop is ours to kill from as well: it runs on the simulator's own HTTP server with its kill switch, so the worker that
delivers a notification can be ended at the same four moments as one that calls a provider. It checks each notification by
the Standard Webhooks library, as a shop would, and keeps what it heard.
"""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Any, Final

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue
from standardwebhooks import Webhook, WebhookVerificationError

from checkout.simulator.moments import Kills
from checkout.simulator.options import Options
from checkout.simulator.server import Servers
from checkout.simulator.wire import HttpServer

ANY_PORT: Final = ("127.0.0.1", 0)
HOOKS: Final = "/hooks"


def serve(order: dict[str, Any]) -> None:
    """Start everything, write the addresses to the file the order names, and run until killed."""
    options = Options(stable_mint=ANY_PORT, stables=ANY_PORT, **order["options"])
    shop = HttpServer(ANY_PORT)
    shop.kills = kills = Kills()
    shop.application = shop_app(kills)
    shop.start()
    with Servers(options) as servers:
        addresses = {"stable_mint": servers.stable_mint_url, "stables": servers.stables_url, "shop": shop.url}
        whole = Path(order["addresses"])
        draft = whole.with_suffix(".draft")
        draft.write_text(json.dumps(addresses), encoding="utf-8")
        draft.rename(whole)
        signal.pause()


def shop_app(kills: Kills) -> Flask:
    """The shop's endpoint and its control plane, of the same form as the providers'."""
    app = Flask("tiny_shop")
    heard: list[dict[str, Any]] = []
    secrets: list[str] = []
    lock = threading.Lock()

    @app.post(HOOKS)
    def hear() -> ResponseReturnValue:
        headers = {name.lower(): value for name, value in request.headers}
        body = request.get_data(as_text=True)
        if not any(_is_signed(secret, body, headers) for secret in secrets):
            return "", 401
        content = json.loads(body)
        told = {
            "id": headers["webhook-id"], "type": content["type"], "sequence": content["sequence"],
            "subject": content["data"]["id"], "status": content["data"]["status"],
        }  # fmt: skip
        with lock:
            heard.append(told)
        return "", 204

    @app.get("/_control/heard")
    def show() -> ResponseReturnValue:
        with lock:
            return jsonify(heard)

    @app.post("/_control/secret")
    def learn() -> ResponseReturnValue:
        secrets.append(str(request.get_json()["secret"]))
        return jsonify(len(secrets))

    @app.post("/_control/kill")
    def arm() -> ResponseReturnValue:
        return jsonify(kills.arm(request.get_json()).report()), 201

    @app.get("/_control/kills")
    def show_kills() -> ResponseReturnValue:
        return jsonify(kills.report())

    return app


def _is_signed(secret: str, body: str, headers: dict[str, str]) -> bool:
    """Whether one of the shop's stores signed it."""
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True
