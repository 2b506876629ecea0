"""On what grounds a quote or a transfer is refused.

Unsupported routes and expired or used quotes are documented; which status and code each ground has is not,
but for the OBSERVED routing codes (422) and the documented example of an exceeded limit (400).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from checkout.simulator.stables import codes
from checkout.simulator.stables.customers import Customer
from checkout.simulator.stables.refusals import Refusal
from checkout.simulator.stables.requests import QuoteRequest, TransferRequest
from checkout.simulator.stables.switches import Switches
from checkout.simulator.stables.transfers import Quote

#: GBP amounts the sandbox was OBSERVED to pay: multiples of this, from :data:`GBP_LEAST`.
GBP_STEP: Final = Decimal(20)
GBP_LEAST: Final = Decimal(60)


def _refuse_route(request: QuoteRequest, switches: Switches) -> None:
    fiat = codes.FIAT + codes.SANDBOX_FIAT if switches.sandbox_corridors else codes.FIAT
    if request.network not in codes.NETWORKS.get(request.asset, frozenset()):
        message = f"{request.asset} on {request.network} is not supported"
    elif request.fiat not in fiat:
        message = f"Payouts in {request.fiat} are not supported"
    else:
        return
    raise Refusal(422, message, code="ROUTING_ROUTE_NOT_CONFIGURED")


def refuse_quote(request: QuoteRequest, switches: Switches) -> None:
    """Corridor, routing, limits: :class:`Refusal` 422; 500 for the pounds the sandbox chokes on."""
    _refuse_route(request, switches)
    if switches.routing_error != "none" and switches.routing_error_at == "quotes":
        raise Refusal(422, "This route cannot be quoted", code=switches.routing_error)
    if switches.gbp_500 == "quotes":
        _refuse_odd_pounds(request)
    if switches.quote_min is not None and request.amount < switches.quote_min:
        raise Refusal(422, f"Amount is below the minimum of {switches.quote_min} {request.asset}")
    if switches.quote_max is not None and request.amount > switches.quote_max:
        raise Refusal(422, f"Amount is above the maximum of {switches.quote_max} {request.asset}")


def _refuse_odd_pounds(request: QuoteRequest) -> None:
    odd = request.amount % GBP_STEP != 0 or request.amount < GBP_LEAST
    if request.fiat == "GBP" and odd:
        raise Refusal(500, "An unexpected error occurred")


def refuse_customer(customer: Customer, switches: Switches) -> None:
    """:class:`Refusal` for a customer who is not verified or not entitled to payouts."""
    if customer.verification != "approved" or customer.entitlements.get("base_payout") != "approved":
        raise Refusal(switches.not_entitled_answer, "Customer is not entitled to base_payout")


def refuse_transfer(request: TransferRequest, quote: Quote, switches: Switches) -> None:
    """What only shows with the transfer: "limits are always evaluated at execution time" (docs)."""
    if request.destination.currency.upper() != quote.request.fiat:
        reason = f"Must be the quote's currency, {quote.request.fiat}"
        raise Refusal(400, "Validation failed", fields=[("destination.currency", reason)])
    if switches.transfer_max is not None and quote.request.amount > switches.transfer_max:
        raise Refusal(400, "The monthly limit has been exceeded for the user", code="amount_limit_exceeded")
    if switches.risk_error != "none":
        raise Refusal(422, "The transfer was refused by a risk rule", code=switches.risk_error)
    if switches.routing_error != "none" and switches.routing_error_at == "transfers":
        raise Refusal(422, "This route cannot be used", code=switches.routing_error)
    if switches.gbp_500 == "transfers":
        _refuse_odd_pounds(quote.request)
