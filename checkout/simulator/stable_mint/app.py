"""The web application of one simulated Stable Mint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from flask import Flask
from flask.typing import ResponseReturnValue

from checkout.simulator.control import answer_refusals, control_blueprint
from checkout.simulator.stable_mint.api import api_blueprint, refused
from checkout.simulator.stable_mint.checks import Refusal
from checkout.simulator.stable_mint.control import SHOWN, driving_blueprint
from checkout.simulator.stable_mint.pages import page_blueprint
from checkout.simulator.stable_mint.state import StableMintState
from checkout.simulator.stable_mint.widget import widget_blueprint
from checkout.simulator.stable_mint.withdrawals import withdrawal_blueprint, withdrawal_control

#: Templates live beside the package, at the top of the checkout.
TEMPLATES: Final = Path(__file__).resolve().parents[3] / "templates"


def create_app(state: StableMintState) -> Flask:
    """Session calls, hosted pages and the control plane."""
    app = Flask(__name__, template_folder=TEMPLATES, static_folder=TEMPLATES / "static", static_url_path="/static")
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has it
    answer_refusals(app)

    @app.errorhandler(Refusal)
    def refuse(refusal: Refusal) -> ResponseReturnValue:
        return refused(refusal, "json")

    def report() -> Mapping[str, object]:
        now = state.surroundings.clock.now()
        deliveries = state.news.deliveries
        return {
            "sessions": [one.report(now) for one in state.sessions()],
            "deliveries": [one.report() for one in deliveries.log(newest=SHOWN)],
            "delivery_counts": deliveries.counts(),
            "settlements": state.settlements(),
            "withdrawals": [one.report() for one in state.withdrawals.all()],
        }

    app.register_blueprint(api_blueprint(state))
    app.register_blueprint(page_blueprint(state))
    app.register_blueprint(widget_blueprint(state, TEMPLATES / "simulator" / "widget"))
    app.register_blueprint(control_blueprint(state.surroundings, state.switches, state=report, reset=state.reset))
    app.register_blueprint(driving_blueprint(state))
    app.register_blueprint(withdrawal_blueprint(state, refused))
    app.register_blueprint(withdrawal_control(state))
    return app
