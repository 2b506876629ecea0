"""What a quote costs by its own words, and whether a store's limits allow it. Exact; no rate but the quote's own.

The cost is the larger of two figures, both in the currency of the bank credit: what the stated rate makes of the amount
sent, less the credit; and the fees as stated. Where the asset is pegged to that currency, par takes the rate's place if
it is worse. A quote that cannot be judged is outside every limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from math import ceil
from typing import Final

from checkout.rules.money import EXPONENTS, Money

#: The currency each asset is pegged to; fee lines are stated in it or in the destination's.
PEGS: Final = {"USDC": "USD", "USDT": "USD"}
TOTAL: Final = "total_fee"
BASIS_POINTS: Final = 10_000

#: One fee line: name, currency, exact decimal text.
FeeLine = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a quote costs: exact, in minor units of the credit's currency."""

    minor: Fraction
    of: Fraction  #: what the amount sent would bring without any cost

    @property
    def percent(self) -> Decimal:
        """For reading: to a hundredth of a percent, upwards."""
        if self.of == 0:
            return Decimal(0)
        return Decimal(ceil(self.minor * BASIS_POINTS / self.of)) / 100

    def shown(self, currency: str) -> Money:
        """For reading: to the next whole minor unit, upwards."""
        return Money(ceil(self.minor), currency)


@dataclass(frozen=True, slots=True)
class Limits:
    """A store's limits for one currency of bank credits. None: not limited."""

    currency: str
    worst_cost: Money | None = None
    worst_cost_bp: int | None = None
    least_credit: Money | None = None
    least_per_unit: Decimal | None = None


def cost_of(source: Money, rate: str, credit: Money, fees: Sequence[FeeLine]) -> Cost | None:
    """The quote's total cost, or None when its rate or a fee cannot be read or is in a third currency."""
    stated_rate = _exact(rate)
    if stated_rate is None:
        return None
    unit = _in_minor(Fraction(source.minor, 10 ** EXPONENTS[source.currency]), credit.currency)
    gross = unit * stated_rate
    if PEGS.get(source.currency) == credit.currency:
        gross = max(gross, unit)
    stated = _stated(source.currency, stated_rate, credit.currency, fees)
    return None if stated is None else Cost(max(gross - credit.minor, stated, Fraction(0)), gross)


def outside(limits: Limits, source: Money, rate: str, credit: Money, fees: Sequence[FeeLine]) -> str | None:
    """Why the quote is outside the limits, in words, or None."""
    why: list[str] = []
    floor = least_credit(limits, source)
    if floor is not None and credit.minor < floor:
        why.append(f"it credits {credit}, the smallest allowed is {Money(floor, credit.currency)}")
    if limits.worst_cost is not None or limits.worst_cost_bp is not None:
        cost = cost_of(source, rate, credit, fees)
        if cost is None:
            why.append("what it costs cannot be read from it")
        else:
            why += _too_dear(limits, cost, credit.currency)
    return "; ".join(why) or None


def _too_dear(limits: Limits, cost: Cost, currency: str) -> list[str]:
    why = []
    if limits.worst_cost is not None and cost.minor > limits.worst_cost.minor:
        why.append(f"it costs {cost.shown(currency)}, the most allowed is {limits.worst_cost}")
    if limits.worst_cost_bp is not None and cost.minor * BASIS_POINTS > cost.of * limits.worst_cost_bp:
        why.append(f"it costs {cost.percent} %, the most allowed is {Decimal(limits.worst_cost_bp) / 100} %")
    return why


def least_credit(limits: Limits, source: Money) -> int | None:
    """The smallest credit the limits allow for this amount, in minor units, upwards; None without such a limit."""
    floors = [] if limits.least_credit is None else [limits.least_credit.minor]
    if limits.least_per_unit is not None:
        units = Fraction(source.minor, int(10 ** EXPONENTS[source.currency]))
        floors.append(ceil(_in_minor(units * Fraction(limits.least_per_unit), limits.currency)))
    return max(floors, default=None)


def _stated(asset: str, rate: Fraction, currency: str, fees: Sequence[FeeLine]) -> Fraction | None:
    """The fees as stated: the line that calls itself the total, and the sum of the others if that is more."""
    lines = total = Fraction(0)
    for name, stated_in, text in fees:
        amount = _exact(text)
        if amount is None:
            return None
        if stated_in.upper() == currency:
            minor = _in_minor(amount, currency)
        elif stated_in.upper() in (asset, PEGS.get(asset)):
            minor = _in_minor(amount * rate, currency)
        else:
            return None
        if name == TOTAL:
            total += minor
        else:
            lines += minor
    return max(lines, total)


def _exact(text: str) -> Fraction | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return Fraction(number) if number.is_finite() and number >= 0 else None


def _in_minor(major: Fraction, currency: str) -> Fraction:
    return major * int(10 ** EXPONENTS[currency])
