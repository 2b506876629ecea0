"""The arithmetic of a statement: from orders to the bank credit, to the last minor unit, and what the provider's words leave.

Our part is exact by construction: every amount is shared by largest remainders and the shares add up. The provider's rate
and fees are quoted here as they stated them, never used to post anything; what they leave is a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

from checkout.rules.money import EXPONENTS, Money, split

#: The line's name, wherever it is shown.
UNEXPLAINED: Final = "not explained by the provider"
#: A remainder above both of these asks for a person: a share of the credit, and what rounding alone can leave.
UNEXPLAINED_BP: Final = 25
UNEXPLAINED_ROUNDING: Final = 10
#: The provider's name of the sum of its other lines.
TOTAL: Final = "total_fee"

#: Wide enough that a stated rate times any amount is exact before it is rounded once.
_EXACT: Final = Context(prec=80, rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Part:
    """One deposit's stake in a source: what of it, in its own currency, the source's asset stands for."""

    deposit: str
    reference: str
    payment: str
    order: str
    minor: int


@dataclass(frozen=True, slots=True)
class Source:
    """One item of a payout: a settlement record's free share, or a share that a person allocated afterwards."""

    id: str
    currency: str
    fee_minor: int  #: what Stable Mint kept of the parts, in their currency
    asset_minor: int  #: what of the source the payout took
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One order's way to the bank, in each currency it was in."""

    source: str
    part: Part
    currency: str
    fee_minor: int
    asset_minor: int
    credit_minor: int | None  #: None while the bank credit is not known

    @property
    def crossed_minor(self) -> int:
        """What left Stable Mint for this order."""
        return self.part.minor - self.fee_minor


def lines(sources: Sequence[Source], *, credit_minor: int | None) -> list[Line]:
    """Share fees, asset and bank credit among the orders; each sum is exact, ties go to the earlier line."""
    shared: list[tuple[Source, Part, int, int]] = []
    for source in sources:
        weights = [part.minor for part in source.parts]
        fees, assets = split(source.fee_minor, weights), split(source.asset_minor, weights)
        shared += [(source, part, fee, asset) for part, fee, asset in zip(source.parts, fees, assets, strict=True)]
    credits: Sequence[int | None] = [None] * len(shared)
    if credit_minor is not None and shared:
        credits = split(credit_minor, [asset for _, _, _, asset in shared])
    return [
        Line(source.id, part, source.currency, fee, asset, credit)
        for (source, part, fee, asset), credit in zip(shared, credits, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class StatedFee:
    """One fee line in the provider's words."""

    name: str
    currency: str
    amount: str


@dataclass(frozen=True, slots=True)
class Fee:
    """A stated fee and what it takes from the credit; None for one that its own rate does not convert."""

    stated: StatedFee
    minor: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The provider's account of a credit: gross at its rate, its fees, and the remainder; together exactly the credit."""

    rate: str
    gross_minor: int
    fees: tuple[Fee, ...]
    unexplained_minor: int
    notes: tuple[str, ...]


def explain(sent: Money, credit: Money, *, rate: str, fees: Iterable[StatedFee]) -> Explanation:
    """Lay the provider's rate and fee lines beside the credit. Its total counts only where it gives no other line.

    A fee in the credit's currency is taken as it is; one in USD, or in the asset itself, at the provider's own rate for the
    asset. A fee in anything else is shown and left in the remainder.
    """
    stated = list(fees)
    at = Decimal(rate)
    gross = _minor(_EXACT.multiply(sent.decimal, at), credit.currency)
    single = [one for one in stated if one.name != TOTAL] or stated
    counted = tuple(Fee(one, _fee_minor(one, sent.currency, credit.currency, at)) for one in single)
    taken = sum(fee.minor for fee in counted if fee.minor is not None)
    return Explanation(rate, gross, counted, credit.minor - gross + taken, tuple(_notes(stated, counted)))


def _fee_minor(fee: StatedFee, asset: str, currency: str, rate: Decimal) -> int | None:
    amount = Decimal(fee.amount)
    if fee.currency == currency:
        return _minor(amount, currency)
    if fee.currency in ("USD", asset):
        return _minor(_EXACT.multiply(amount, rate), currency)
    return None


def _minor(amount: Decimal, currency: str) -> int:
    return int(_EXACT.quantize(_EXACT.scaleb(amount, EXPONENTS[currency]), Decimal(1)))


def _notes(stated: Sequence[StatedFee], counted: Sequence[Fee]) -> Iterable[str]:
    totals: dict[str, Decimal] = {}
    for fee in counted:
        totals[fee.stated.currency] = totals.get(fee.stated.currency, Decimal(0)) + Decimal(fee.stated.amount)
        if fee.minor is None:
            yield f"{fee.stated.name} is stated in {fee.stated.currency}, for which the provider gives no rate"
    for one in stated:
        sums = totals.get(one.currency, Decimal(0))
        if one.name == TOTAL and sums != Decimal(one.amount):
            yield f"the provider's total of {one.currency} {one.amount} is not the sum of its lines, {sums}"


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of a credit the provider may leave unexplained before a person is asked; a store may set its own."""

    bp: int = UNEXPLAINED_BP  #: basis points of the credit
    minor: int = UNEXPLAINED_ROUNDING  #: so many minor units are let pass, however small the credit


DEFAULT_LIMIT: Final = Limit()


def over_limit(unexplained_minor: int, credit_minor: int, limit: Limit = DEFAULT_LIMIT) -> bool:
    """Whether the remainder, which may be negative, asks for a person."""
    left = abs(unexplained_minor)
    return left > limit.minor and left * 10_000 > credit_minor * limit.bp


def differences(expected: Mapping[str, int], found: Mapping[str, int]) -> dict[str, int]:
    """What does not agree, by name; empty when every figure is the same in both."""
    names = sorted({*expected, *found})
    return {
        name: found.get(name, 0) - expected.get(name, 0)
        for name in names
        if found.get(name, 0) != expected.get(name, 0)
    }
