"""The Flask application of the simulated Stables: its API, its control plane, its errors."""

from __future__ import annotations

import logging

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from checkout.simulator.control import answer_refusals, control_blueprint
from checkout.simulator.stables.control import stables_control
from checkout.simulator.stables.exchange import Dropping, Exchange, correlate
from checkout.simulator.stables.refusals import Refusal
from checkout.simulator.stables.routes import api_blueprint, no_route
from checkout.simulator.stables.state import StablesState
from checkout.simulator.wire import CONTROL

log = logging.getLogger(__name__)


def create_app(state: StablesState) -> Flask:
    """The application of one Stables port; ``state`` outlives it and is closed by whoever made it."""
    app = Flask(__name__)
    exchange = Exchange(state)
    app.register_blueprint(api_blueprint(state, exchange))
    app.register_blueprint(stables_control(state))
    app.register_blueprint(control_blueprint(state.around, state.board, state=state.report, reset=state.reset))
    answer_refusals(app)
    app.after_request(correlate)
    app.register_error_handler(Refusal, exchange.refused)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response | HTTPException:
        if request.path.startswith(CONTROL):
            return error
        if error.code == 404 or error.code == 405:  # its framework knows no 405: another method is another route
            return exchange.refused(no_route())
        return exchange.refused(Refusal(error.code or 500, error.description or error.name))

    @app.errorhandler(Exception)
    def broken(error: Exception) -> Response:
        log.exception("the simulator itself failed", exc_info=error)
        return exchange.refused(Refusal(500, "The simulator itself failed; see its log"))

    @app.get("/kyc/<ident>")
    def kyc_page(ident: str) -> Response:
        """Where a verification link leads; the review needs nobody to fill anything in."""
        state.customer(ident)
        return Response("Verification runs by itself in the simulator.", content_type="text/plain")

    app.wsgi_app = Dropping(app.wsgi_app)  # type: ignore[method-assign]  # Flask's documented way to wrap it
    return app
