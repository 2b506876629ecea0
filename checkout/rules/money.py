"""Exact amounts: whole minor units of one currency or asset.

Nothing else in the package may stand for an amount. There is no conversion here and no rate: an amount of one
currency never becomes an amount of another except by a settlement record or a bank credit that somebody stated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Final

from checkout.errors import AmountRefused

#: Minor-unit digits of every currency a payment or a bank credit may have (ISO 4217). Unknown is refused.
CURRENCY_EXPONENTS: Final = MappingProxyType(
    {
        "AED": 2, "AUD": 2, "BGN": 2, "BHD": 3, "BRL": 2, "CAD": 2, "CHF": 2, "CNY": 2, "CZK": 2, "DKK": 2,
        "EUR": 2, "GBP": 2, "HKD": 2, "HUF": 2, "IDR": 2, "INR": 2, "ISK": 0, "JPY": 0, "KRW": 0, "KWD": 3,
        "MXN": 2, "NOK": 2, "NZD": 2, "PLN": 2, "RON": 2, "SEK": 2, "SGD": 2, "THB": 2, "USD": 2, "ZAR": 2,
    }
)  # fmt: skip

#: Decimals of the stablecoins Stables pays out from, on every network it offers (6 throughout: no 18-decimal chain).
ASSET_EXPONENTS: Final = MappingProxyType({"USDC": 6, "USDT": 6})

EXPONENTS: Final = MappingProxyType({**CURRENCY_EXPONENTS, **ASSET_EXPONENTS})

#: More integer digits than any order has, and far inside a 64-bit column at every exponent used with money.
INTEGER_DIGITS_MAX: Final = 12
#: What a provider may state before the number is called impossible (money.md: over 15 integer digits).
PROVIDER_DIGITS_MAX: Final = 15

_PLAIN = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """A whole number of the smallest unit: ``Money(1250, "EUR")`` is EUR 12.50, ``Money(1, "USDC")`` a millionth."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:  # bool is an int, and True is not one cent
            raise TypeError(f"minor units are whole numbers, not {type(self.minor).__name__}")
        if self.currency not in EXPONENTS:
            raise AmountRefused(f"{self.currency!r} is not a currency this service knows")

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise TypeError(f"{self.currency} and {other.currency} are different currencies")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        self._same(other)
        return self.minor < other.minor

    def __le__(self, other: Money) -> bool:
        self._same(other)
        return self.minor <= other.minor

    @property
    def decimal(self) -> Decimal:
        """The amount in major units, exactly."""
        return Decimal(self.minor).scaleb(-EXPONENTS[self.currency])

    def plain(self) -> str:
        """Shortest exact decimal text: ``10``, ``10.5``. Never an exponent, never a trailing zero."""
        return plain(self.minor, EXPONENTS[self.currency])

    def fixed(self) -> str:
        """Decimal text with all the digits of the currency: ``10.00``."""
        sign, digits = ("-" if self.minor < 0 else ""), str(abs(self.minor))
        exponent = EXPONENTS[self.currency]
        if exponent == 0:
            return sign + digits
        digits = digits.rjust(exponent + 1, "0")
        return f"{sign}{digits[:-exponent]}.{digits[-exponent:]}"

    def __str__(self) -> str:
        return f"{self.currency} {self.fixed()}"


def plain(minor: int, exponent: int) -> str:
    """``plain(1050, 2)`` is ``"10.5"``: a JSON number or text written from the integer alone."""
    sign, digits = ("-" if minor < 0 else ""), str(abs(minor)).rjust(exponent + 1, "0")
    if exponent == 0:
        return sign + digits
    whole, fraction = digits[:-exponent], digits[-exponent:].rstrip("0")
    return sign + whole + ("." + fraction if fraction else "")


def exponent_of(currency: str) -> int:
    """Digits after the point of a currency or asset; :class:`AmountRefused` for one not in the table."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise AmountRefused(f"{currency!r} is not a currency this service knows") from None


def parse_amount(text: object, currency: str, *, positive: bool = True) -> Money:
    """Read what a person or a shop wrote: plain decimal text, no sign, no exponent, no more digits than the currency.

    Raises :class:`AmountRefused` with a sentence that says what to write instead.
    """
    exponent = exponent_of(currency)
    if not isinstance(text, str):
        raise AmountRefused('write the amount as decimal text, for example "10.50"')
    if len(text) > 40 or _PLAIN.fullmatch(text) is None or not text.isascii():
        raise AmountRefused('write the amount as plain decimal text, for example "10.50"')
    whole, _, fraction = text.partition(".")
    if len(whole) > INTEGER_DIGITS_MAX:
        raise AmountRefused(f"an amount has at most {INTEGER_DIGITS_MAX} digits before the point")
    if len(fraction) > exponent:
        digits = "no digits" if exponent == 0 else f"at most {exponent} digits"
        raise AmountRefused(f"{currency} has {digits} after the point")
    minor = int(whole + fraction.ljust(exponent, "0"))
    if positive and minor == 0:
        raise AmountRefused("the amount must be more than zero")
    return Money(minor, currency)


def read_provider_amount(value: object, currency: str) -> Money:
    """Read a provider's number (Decimal, int or decimal text): ``10.50`` = ``10.5`` = ``1.05e1``; never rounded.

    Raises :class:`AmountRefused` for NaN, infinity, a negative, too many digits on either side, or another type.
    """
    exponent = exponent_of(currency)
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise AmountRefused("the amount is not a number")
    if isinstance(value, str) and (len(value) > 60 or not value.isascii()):
        raise AmountRefused("the amount is not a number")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise AmountRefused("the amount is not a number") from None
    if not number.is_finite() or number.is_signed():
        raise AmountRefused("the amount is not a finite number of zero or more")
    digits, power = _parts(number)
    if number != 0 and len(digits) + power > PROVIDER_DIGITS_MAX:
        raise AmountRefused(f"the amount has more than {PROVIDER_DIGITS_MAX} digits before the point")
    if number == 0:
        return Money(0, currency)
    trailing = len(digits) - len(digits.rstrip("0"))
    if -(power + trailing) > exponent:
        raise AmountRefused(f"the amount has more digits after the point than {currency} has")
    shift = power + exponent
    whole = int(digits)
    return Money(whole * 10**shift if shift >= 0 else whole // 10**-shift, currency)


def _parts(number: Decimal) -> tuple[str, int]:
    """Digits and power of ten of a finite number."""
    _, digits, power = number.as_tuple()
    return "".join(map(str, digits)), int(power)


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Share ``total`` minor units by weight with no cent lost: largest remainders first, earliest wins a tie.

    Weights are whole numbers of zero or more with a positive sum; the shares are in their order and add up exactly.
    """
    whole = sum(weights)
    if total < 0 or whole <= 0 or min(weights) < 0:
        raise ValueError("a split needs a total of zero or more and weights with a positive sum")
    shares = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in order[: total - sum(shares)]:
        shares[i] += 1
    return shares
