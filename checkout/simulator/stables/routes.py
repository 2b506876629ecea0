"""The operations of the simulated Stables, each a few lines that read a request and call one verb of the
state.

Simulated of the 25 documented operations: customers (five), quotes, transfers (create, list) and webhook
subscriptions (three). The virtual accounts (ten) and API keys (four) answer 501 in the documented flat
shape. Outside the published OpenAPI, and gone when ``list_only`` is set: a transfer by its id,
simulate-deposit, the check of bank details, and the deliveries of a subscription.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from flask import Blueprint, Response, request

from checkout.simulator.deliveries import Delivery, DeliveryState
from checkout.simulator.stables import codes
from checkout.simulator.stables.codes import Status
from checkout.simulator.stables.customers import moment
from checkout.simulator.stables.exchange import Exchange, body_json
from checkout.simulator.stables.fields import UUID_PATTERN, Fields
from checkout.simulator.stables.refusals import Refusal
from checkout.simulator.stables.requests import (
    read_customer,
    read_customer_update,
    read_destination,
    read_quote,
    read_subscription,
    read_transfer,
)
from checkout.simulator.stables.state import StablesState
from checkout.simulator.stables.subscriptions import page
from checkout.simulator.stables.switches import Switches

#: CONFIRMED (OpenAPI) for transfers; the camelCase lists state no bounds.
PAGE_SIZE: Final = 20
PAGE_SIZE_MAX: Final = 100
TRANSFER_TYPES: Final = ("TRANSFER_TYPE_OFFRAMP", "TRANSFER_TYPE_ONRAMP")
#: Documented and not simulated: (methods, path). Nothing in the service's own path needs them.
NOT_SIMULATED: Final = (
    (("GET",), "/virtual-accounts"),
    (("GET", "POST"), "/customers/<ident>/virtual-accounts"),
    (("GET", "POST"), "/customers/<ident>/virtual-accounts/<account>/whitelist-accounts"),
    (("PATCH",), "/customers/<ident>/virtual-accounts/<account>/whitelist-accounts/<source>"),
    (("POST",), "/customers/<ident>/virtual-accounts/<account>/deactivate"),
    (("POST",), "/customers/<ident>/virtual-accounts/<account>/reactivate"),
    (("PUT",), "/customers/<ident>/virtual-accounts/<account>/destination"),
    (("GET",), "/customers/<ident>/virtual-accounts/<account>/history"),
    (("GET", "POST"), "/api-keys"),
    (("GET", "DELETE"), "/api-keys/<key>"),
)


def no_route() -> Refusal:
    return Refusal(404, f"Route {request.method}:{request.path} not found")


def api_blueprint(state: StablesState, exchange: Exchange) -> Blueprint:
    """Every route under ``/api/v1``; all of them need the API key."""
    api = Blueprint("stables", __name__, url_prefix="/api/v1")
    api.before_request(exchange.authenticate)
    api.before_request(lambda: _allowed(state, exchange))
    _customers(api, state, exchange)
    _quotes_and_transfers(api, state, exchange)
    _subscriptions(api, state, exchange)
    _extras(api, state, exchange)
    for methods, path in NOT_SIMULATED:
        api.add_url_rule(path, endpoint=path, view_func=_not_simulated(exchange), methods=methods)
    return api


def _allowed(state: StablesState, exchange: Exchange) -> Response | None:
    """CONFIRMED (production checklist): other addresses are rejected. With which status and words is INFERRED."""
    if state.switches.ip_allowed:
        return None
    return exchange.refused(Refusal(403, "This IP address is not allowed to use this API key"))


def _not_simulated(exchange: Exchange) -> Any:
    def refuse(**_parts: str) -> Response:
        return exchange.refused(Refusal(501, "This operation is documented but not simulated"))

    return refuse


def _customers(api: Blueprint, state: StablesState, exchange: Exchange) -> None:
    @api.post("/customer")
    def create_customer() -> Response:
        return exchange.serve(
            lambda: (200, state.create_customer(read_customer(body_json(), link=False))), keyed="required"
        )

    @api.post("/customer/verification/link")
    def create_link() -> Response:
        def work() -> tuple[int, Any]:
            customer = state.customer_for_link(read_customer(body_json(), link=True))
            link = f"{state.around.url}/kyc/{customer['customer_id']}"
            return 200, {"customer_id": customer["customer_id"], "kyc_link": link}

        return exchange.serve(work, keyed="required")

    @api.get("/customers")
    def list_customers() -> Response:
        return exchange.serve(lambda: (200, {"customers": state.customers()}))

    @api.get("/customers/<ident>")
    def get_customer(ident: str) -> Response:
        return exchange.serve(lambda: (200, state.customer(ident)))

    @api.patch("/customer/<ident>")
    def update_customer(ident: str) -> Response:
        return exchange.serve(
            lambda: (200, state.update_customer(ident, read_customer_update(body_json()))), keyed="optional"
        )


def _quotes_and_transfers(api: Blueprint, state: StablesState, exchange: Exchange) -> None:
    @api.post("/quotes")
    def create_quote() -> Response:
        def work() -> tuple[int, Any]:
            asked = read_quote(body_json())
            if state.switches.list_only:
                asked = replace(asked, preview=False)  # a field the published schema does not know is ignored
            return 200, state.quote(asked)

        return exchange.serve(work, keyed="required")

    @api.post("/transfer")
    def create_transfer() -> Response:
        def work() -> tuple[int, Any]:
            switches = state.switches
            asked = read_transfer(
                body_json(),
                purpose_required=switches.purpose_code_required,
                extras_required=switches.beneficiary_extras_required,
            )
            return switches.transfer_answer, state.create_transfer(asked)

        return exchange.serve(work, keyed="required", fields_documented=True)

    @api.get("/transfers")
    def list_transfers() -> Response:
        return exchange.serve(lambda: (200, _transfer_page(state)))


def _transfer_page(state: StablesState) -> dict[str, Any]:
    """GET /api/v1/transfers: status and type are required (OpenAPI); snake_case pages, newest first."""
    asked = Fields(request.args.to_dict())
    # IN_PROGRESS is the provider's tool list's own addition to the OpenAPI's words.
    words = [status.value.upper() for status in Status]
    status = asked.text("status", required=True, choices=words) or ""
    kind = asked.text("type", required=True, choices=TRANSFER_TYPES)
    customer_id = asked.text("customer_id", pattern=UUID_PATTERN)
    size = _page_size(asked, "page_size")
    asked.refuse_if_wrong()
    found = []
    if kind == "TRANSFER_TYPE_OFFRAMP":
        found = state.list_transfers(Status(status.lower()), customer_id)
    chosen, following = page(found, size, request.args.get("page_token", ""))
    shown = state.transfer_answers(chosen)
    return {"transfers": shown, "page": {"next_page_token": following, "total": len(found)}}


def _page_size(asked: Fields, name: str, *, usual: int = PAGE_SIZE, most: int = PAGE_SIZE_MAX) -> int:
    text = asked.text(name)
    if text is None:
        return usual
    size = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if not 1 <= size <= most:
        asked.wrong(name, f"Expected an integer from 1 to {most}")
    return size


def _subscriptions(api: Blueprint, state: StablesState, exchange: Exchange) -> None:
    @api.post("/webhooks")
    def subscribe() -> Response:
        return exchange.serve(
            lambda: (200, {"subscription": state.subscribe(read_subscription(body_json()))}), keyed="required"
        )

    @api.get("/webhooks")
    def list_subscriptions() -> Response:
        def work() -> tuple[int, Any]:
            asked = Fields(request.args.to_dict())
            size = _page_size(asked, "pageSize")
            asked.refuse_if_wrong()
            rows = [(one.number, one) for one in state.subscriptions()]
            chosen, following = page(rows, size, request.args.get("pageToken", ""))
            pages = {"nextPageToken": following, "total": len(rows)}
            return 200, {"subscriptions": [one.answer() for one in chosen], "page": pages}

        return exchange.serve(work)

    @api.delete("/webhooks/<ident>")
    def unsubscribe(ident: str) -> Response:
        def work() -> tuple[int, Any]:
            state.unsubscribe(ident)
            return 200, {}

        return exchange.serve(work, keyed="required")


def _extras(api: Blueprint, state: StablesState, exchange: Exchange) -> None:
    """Operations outside the published OpenAPI (provider notes, B1 and B3)."""

    def offered() -> None:
        if state.switches.list_only:
            raise no_route()

    @api.get("/transfers/<ident>")
    def get_transfer(ident: str) -> Response:
        def work() -> tuple[int, Any]:
            offered()
            return 200, state.read_transfer(ident)

        return exchange.serve(work)

    @api.post("/transfers/<ident>/sandbox/simulate-deposit")
    def simulate_deposit(ident: str) -> Response:
        def work() -> tuple[int, Any]:
            offered()
            return 202, state.simulate_deposit(ident)

        return exchange.serve(work)

    @api.post("/payment-methods/validate")
    def validate() -> Response:
        def work() -> tuple[int, Any]:
            offered()
            return 200, _checked(body_json(), state.switches)

        return exchange.serve(work)

    @api.get("/webhooks/<ident>/deliveries")
    def deliveries(ident: str) -> Response:
        def work() -> tuple[int, Any]:
            offered()
            one = next((one for one in state.subscriptions() if one.ident == ident.lower()), None)
            if one is None:
                raise Refusal(404, "Webhook subscription not found")
            return 200, _delivery_page(
                [sent for sent in state.webhooks.deliveries.log() if sent.url == one.request.url]
            )

        return exchange.serve(work)

    @api.get("/webhooks/deliveries")
    def all_deliveries() -> Response:
        def work() -> tuple[int, Any]:
            offered()
            urls = {one.request.url for one in state.subscriptions()}
            return 200, _delivery_page([sent for sent in state.webhooks.deliveries.log() if sent.url in urls])

        return exchange.serve(work)


def _delivery_page(log: Sequence[Delivery]) -> dict[str, Any]:
    """Newest first, ten at a time, at most fifty (OBSERVED), with the filters of the provider's tool list."""
    asked = Fields(request.args.to_dict())
    status, event = (
        asked.text("status", choices=sorted(set(_DELIVERY_WORDS.values()) | {"RETRYING"})),
        asked.text("eventType"),
    )
    size = _page_size(asked, "pageSize", usual=10, most=50)
    asked.refuse_if_wrong()
    rows = [
        (sent.ident, shown)
        for sent in log
        if (event is None or sent.kind == event)
        and (status is None or _delivery(sent)["status"] == status)
        and (shown := _delivery(sent))
    ]
    chosen, following = page(rows, size, request.args.get("pageToken", ""))
    return {"deliveries": chosen, "page": {"nextPageToken": following, "total": len(rows)}}


def _checked(body: Any, switches: Switches) -> dict[str, Any]:
    """OBSERVED: always 200, ``{valid, errors[{field?, message, code}]}``."""
    extras_required, bad = switches.beneficiary_extras_required, switches.validate_refuses
    fields = Fields(body)
    errors: list[dict[str, str]] = []
    if fields.text("network") != "bank":
        errors.append({"message": "Only bank is supported", "code": "UNSUPPORTED_PAYMENT_METHOD"})
    destination = fields.inner("destination", required=True)
    if destination is not None:
        if not destination.has("type"):
            # The network says what it is; a transfer's own body repeats it.
            destination = Fields({**body["destination"], "type": "bank"}, "destination", fields.problems)
        currency = read_destination(destination, extras_required=extras_required).currency.upper()
        if currency and currency not in codes.FIAT + codes.SANDBOX_FIAT:
            errors.append({"message": f"{currency} is not supported", "code": "UNSUPPORTED_CURRENCY"})
    errors += [{"field": name, "message": reason, "code": "INVALID_FIELDS"} for name, reason in fields.problems]
    if bad and isinstance(body, dict) and isinstance(body.get("destination"), dict):
        said = f"{body['destination'].get(bad, 'it')} is not known to the bank"
        errors.append({"field": bad, "message": said, "code": "INVALID_FIELDS"})
    return {"valid": not errors, "errors": errors}


#: CONFIRMED (docs, delivery history).
_DELIVERY_WORDS: Final = {
    DeliveryState.WAITING: "PENDING",
    DeliveryState.HELD: "PENDING",
    DeliveryState.LOST: "PENDING",
    DeliveryState.DELIVERED: "SUCCESS",
    DeliveryState.FAILED: "FAILED",
}


def _delivery(sent: Delivery) -> dict[str, Any]:
    word = _DELIVERY_WORDS[sent.state]
    shown: dict[str, Any] = {
        "deliveryId": str(sent.ident),
        "status": "RETRYING" if word == "PENDING" and sent.attempts else word,
        "attemptCount": len(sent.attempts),
    }
    if sent.attempts:
        shown["createdAt"] = moment(sent.attempts[0].at)
        if sent.attempts[-1].status is not None:
            shown["responseCode"] = sent.attempts[-1].status
    return shown
