"""An amount is a whole number of minor units; whatever cannot be one exactly is refused, never rounded."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.errors import AmountRefused
from checkout.rules.money import (
    ASSET_EXPONENTS,
    CURRENCY_EXPONENTS,
    EXPONENTS,
    INTEGER_DIGITS_MAX,
    PROVIDER_DIGITS_MAX,
    Money,
    exponent_of,
    parse_amount,
    plain,
    read_provider_amount,
    split,
)

CURRENCIES = st.sampled_from(sorted(EXPONENTS))
MINORS = st.integers(min_value=0, max_value=10**12)
BIGINT_MAX = 2**63 - 1


@pytest.mark.parametrize("minor", [True, 1.0, Decimal(1), "1", None])
def test_only_a_whole_number_stands_for_minor_units(minor: object) -> None:
    with pytest.raises(TypeError, match="whole numbers"):
        Money(minor, "EUR")  # type: ignore[arg-type]


@pytest.mark.parametrize("currency", ["", "eur", "XXX", "EURO", "BTC"])
def test_a_currency_without_a_pinned_exponent_is_refused(currency: str) -> None:
    with pytest.raises(AmountRefused, match="not a currency"):
        Money(1, currency)
    with pytest.raises(AmountRefused, match="not a currency"):
        exponent_of(currency)


def test_the_exponents_are_those_of_iso_4217_and_of_the_tokens() -> None:
    odd = {name: digits for name, digits in CURRENCY_EXPONENTS.items() if digits != 2}
    assert odd == {"BHD": 3, "ISK": 0, "JPY": 0, "KRW": 0, "KWD": 3}
    assert dict(ASSET_EXPONENTS) == {"USDC": 6, "USDT": 6}
    assert exponent_of("EUR") == 2


def test_different_currencies_neither_add_nor_compare() -> None:
    euro, dollar = Money(1, "EUR"), Money(1, "USD")
    for act in (
        lambda: euro + dollar,
        lambda: euro - dollar,
        lambda: euro < dollar,
        lambda: euro <= dollar,
    ):
        with pytest.raises(TypeError, match="different currencies"):
            act()
    assert euro != dollar


@given(MINORS, MINORS, CURRENCIES)
def test_money_adds_and_compares_as_its_minor_units_do(one: int, other: int, currency: str) -> None:
    left, right = Money(one, currency), Money(other, currency)
    assert (left + right).minor == one + other
    assert (left - right).minor == one - other
    assert (left < right, left <= right, left == right) == (one < other, one <= other, one == other)
    assert left.decimal == Decimal(one) / 10 ** EXPONENTS[currency]


@given(st.integers(min_value=-(10**15), max_value=10**15), CURRENCIES)
def test_both_texts_say_exactly_the_amount_in_their_own_form(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    digits = EXPONENTS[currency]
    assert Decimal(money.plain()) == Decimal(money.fixed()) == money.decimal
    assert re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?", money.plain())
    assert re.fullmatch(r"-?(0|[1-9][0-9]*)" + (rf"\.[0-9]{{{digits}}}" if digits else ""), money.fixed())
    assert str(money) == f"{currency} {money.fixed()}"
    assert money.plain() == plain(minor, digits)


@pytest.mark.parametrize(
    ("minor", "exponent", "text"),
    [(1000, 2, "10"), (1050, 2, "10.5"), (1, 2, "0.01"), (0, 2, "0"), (-5, 2, "-0.05"), (7, 0, "7"), (10, 0, "10")],
)
def test_plain_text_has_no_trailing_zero_and_no_exponent(minor: int, exponent: int, text: str) -> None:
    assert plain(minor, exponent) == text


@given(st.integers(min_value=1, max_value=10**12 - 1), CURRENCIES)
def test_what_is_written_is_read_back_the_same(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert parse_amount(money.fixed(), currency) == money
    assert parse_amount(money.plain(), currency) == money
    assert read_provider_amount(money.decimal, currency) == money
    assert read_provider_amount(money.plain(), currency) == money


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "+1", "-1", "1e1", "1E1", ".5", "1.", "01", "1,50", "1_000", "NaN", "Infinity", "١", "²", "1\n", "1" * 41],
)  # fmt: skip
def test_a_person_writes_plain_decimal_text_or_is_told_how(text: str) -> None:
    with pytest.raises(AmountRefused, match="plain decimal text"):
        parse_amount(text, "EUR")


@pytest.mark.parametrize("value", [1, 1.5, Decimal("1.5"), True, None, ["1"], b"1"])
def test_a_number_is_not_decimal_text(value: object) -> None:
    with pytest.raises(AmountRefused, match="decimal text"):
        parse_amount(value, "EUR")


@pytest.mark.parametrize(
    ("text", "currency", "why"),
    [
        ("1.001", "EUR", "at most 2 digits after the point"),
        ("1.0", "JPY", "no digits after the point"),
        ("1.0000001", "USDC", "at most 6 digits after the point"),
        ("1" * (INTEGER_DIGITS_MAX + 1), "EUR", "12 digits before the point"),
        ("0", "EUR", "more than zero"),
        ("0.00", "EUR", "more than zero"),
        ("1", "XAU", "not a currency"),
    ],
)
def test_what_the_currency_cannot_say_is_refused_with_the_reason(text: str, currency: str, why: str) -> None:
    with pytest.raises(AmountRefused, match=why):
        parse_amount(text, currency)


def test_zero_is_an_amount_only_where_it_is_asked_for() -> None:
    assert parse_amount("0", "EUR", positive=False) == Money(0, "EUR")


@pytest.mark.parametrize(
    "value", [Decimal("10.50"), Decimal("10.5"), Decimal("1.05e1"), "10.50", "1.05e1", Decimal("1050e-2")]
)
def test_a_provider_may_spell_one_amount_in_many_ways(value: object) -> None:
    assert read_provider_amount(value, "EUR") == Money(1050, "EUR")


@given(st.integers(min_value=1, max_value=10**12), CURRENCIES, st.integers(0, 12), st.booleans())
def test_trailing_zeros_and_exponents_never_change_what_a_provider_said(
    minor: int, currency: str, zeros: int, as_text: bool
) -> None:
    spelled = Decimal(minor * 10**zeros).scaleb(-EXPONENTS[currency] - zeros)
    assert read_provider_amount(str(spelled) if as_text else spelled, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    "value",
    [
        Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("-Infinity"), Decimal(-1), Decimal("-0"), -1,
        "NaN", "inf", "-1", "abc", "", "1" * 61, "١٢", None, True, False, 1.5, [], {}, b"1",
        "1e99999999999999999999", Decimal("1e400"), Decimal("1e-400"),
    ],
)  # fmt: skip
def test_what_is_no_possible_amount_is_refused(value: object) -> None:
    with pytest.raises(AmountRefused):
        read_provider_amount(value, "EUR")


@pytest.mark.parametrize("value", [0, Decimal("0.00"), Decimal("0e-30"), Decimal("0e30"), "0"])
def test_zero_is_zero_however_it_is_spelled(value: object) -> None:
    assert read_provider_amount(value, "EUR") == Money(0, "EUR")


def test_a_provider_may_state_fifteen_digits_and_not_sixteen() -> None:
    most = Decimal(10**PROVIDER_DIGITS_MAX - 1)
    assert read_provider_amount(most, "EUR").minor == int(most) * 100
    assert read_provider_amount(Decimal("9e14"), "EUR").minor == 9 * 10**16
    for value in (Decimal(10**PROVIDER_DIGITS_MAX), Decimal("1e15"), "1" + "0" * 15, Decimal("1e15") + Decimal("0.01")):
        with pytest.raises(AmountRefused, match="15 digits"):
            read_provider_amount(value, "EUR")


@pytest.mark.parametrize("currency", sorted(CURRENCY_EXPONENTS))
def test_the_largest_amount_of_every_currency_fits_its_column(currency: str) -> None:
    assert read_provider_amount(Decimal(10**PROVIDER_DIGITS_MAX - 1), currency).minor <= BIGINT_MAX


@pytest.mark.parametrize(("value", "currency"), [("10.005", "EUR"), ("1.5", "JPY"), ("1.0001", "KWD"), ("1e-3", "EUR")])
def test_more_decimals_than_the_currency_has_are_never_rounded(value: str, currency: str) -> None:
    with pytest.raises(AmountRefused, match="after the point"):
        read_provider_amount(Decimal(value), currency)


@given(
    st.integers(min_value=0, max_value=10**15),
    st.lists(st.integers(min_value=0, max_value=10**12), min_size=1, max_size=8).filter(any),
)
def test_a_split_loses_nothing_and_gives_each_its_part_within_one_unit(total: int, weights: list[int]) -> None:
    shares = split(total, weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - Fraction(total * weight, sum(weights))) < 1
        assert share == 0 or weight > 0


def test_of_equal_remainders_the_earliest_gets_the_odd_cent() -> None:
    assert split(100, [1, 1, 1]) == [34, 33, 33]
    assert split(2, [1, 1, 1]) == [1, 1, 0]
    assert split(10, [0, 3, 0]) == [0, 10, 0]


@pytest.mark.parametrize(("total", "weights"), [(-1, [1]), (1, []), (1, [0, 0]), (1, [2, -1]), (1, [-1, -1])])
def test_a_split_over_nothing_is_refused(total: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match="positive sum"):
        split(total, weights)
