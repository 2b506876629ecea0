"""What a quote says: rate, fee lines, bank credit.

The only table of rates in the whole package, and it is the provider's side: the service itself never
converts (a property test there says so). The figures are invented and fixed, so that a test can compute a
credit by hand. CONFIRMED (docs): the fee lines' names, and that fees are "based on the USD value"; how they
are computed is UNKNOWN.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from types import MappingProxyType
from typing import Final

from checkout.simulator.stables.refusals import Refusal

#: One USDC or USDT in each currency.
RATES: Final = MappingProxyType(
    {
        "USD": Decimal("0.9995"), "EUR": Decimal("0.92"), "AUD": Decimal("1.53"), "AED": Decimal("3.671"),
        "GBP": Decimal("0.787"), "HKD": Decimal("7.79"), "INR": Decimal("84.1"), "IDR": Decimal("15850"),
        "SGD": Decimal("1.34"), "THB": Decimal("34.2"), "CNY": Decimal("7.21"), "NGN": Decimal("1540"),
        "MXN": Decimal("18.4"), "KES": Decimal("129"), "BRL": Decimal("5.62"),
    }
)  # fmt: skip

FX_PERCENT: Final = Decimal("0.19")
PLATFORM_PERCENT: Final = Decimal("0.12")
#: USD per payout, by rail.
RAIL_FEES: Final = MappingProxyType({"swift": Decimal("5.00"), "bank": Decimal("0.25")})
#: USD per collection, by network; others cost 0.05.
NETWORK_FEES: Final = MappingProxyType({"ethereum": Decimal("1.20"), "tron": Decimal("1.00")})
NETWORK_FEE: Final = Decimal("0.05")

_CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """Fee lines in major units of one currency; ``total`` is their sum to the cent."""

    currency: str
    fx: Decimal
    integrator: Decimal
    platform: Decimal
    payment_method: Decimal
    network: Decimal

    @property
    def total(self) -> Decimal:
        return self.fx + self.integrator + self.platform + self.payment_method + self.network

    def lines(self) -> dict[str, Decimal]:
        """The documented names, in the documented order."""
        return {
            "fx_fee": self.fx,
            "integrator_fee": self.integrator,
            "platform_fee": self.platform,
            "payment_method_fee": self.payment_method,
            "network_fee": self.network,
            "total_fee": self.total,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What the bank account is credited for one source amount, and why."""

    credit: Decimal
    rate: Decimal
    fees: Fees


def _percent(amount: Decimal, percent: Decimal) -> Decimal:
    return (amount * percent / 100).quantize(_CENT, ROUND_HALF_UP)


def price(
    amount: Decimal,
    network: str,
    fiat: str,
    rail: str,
    *,
    integrator_percent: Decimal = Decimal(0),
    rate_shift_percent: Decimal = Decimal(0),
    fees_in_destination: bool = False,
    unexplained: Decimal = Decimal(0),
) -> Price:
    """Price ``amount`` of a stablecoin into ``fiat``.

    ``credit = (amount − total fee) × rate``, rounded down to the cent, less ``unexplained`` (the sandbox's
    lines were sometimes OBSERVED not to tie to its own rate). :class:`Refusal` 422 when the fees leave
    nothing.
    """
    rate = RATES[fiat] * (100 + rate_shift_percent) / 100
    in_usd = Fees(
        currency="USD",
        fx=_percent(amount, FX_PERCENT),
        integrator=_percent(amount, integrator_percent),
        platform=_percent(amount, PLATFORM_PERCENT),
        payment_method=RAIL_FEES[rail],
        network=NETWORK_FEES.get(network, NETWORK_FEE),
    )
    credit = ((amount - in_usd.total) * rate).quantize(_CENT, ROUND_DOWN) - unexplained
    if credit <= 0:
        raise Refusal(422, f"The amount is too small for its fees of USD {in_usd.total}")
    fees = _converted(in_usd, fiat, rate) if fees_in_destination else in_usd
    return Price(credit=credit, rate=rate.normalize(), fees=fees)


def _converted(fees: Fees, fiat: str, rate: Decimal) -> Fees:
    """The same lines in the destination currency, each rounded by itself; the total is their sum."""

    def into(line: Decimal) -> Decimal:
        return (line * rate).quantize(_CENT, ROUND_HALF_UP)

    return Fees(
        currency=fiat,
        fx=into(fees.fx),
        integrator=into(fees.integrator),
        platform=into(fees.platform),
        payment_method=into(fees.payment_method),
        network=into(fees.network),
    )


def major(amount: Decimal) -> str:
    """An amount as the provider writes it: no trailing zeros, no exponent (``100``, ``0.1``)."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
