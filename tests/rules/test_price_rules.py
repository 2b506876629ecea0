"""What a quote costs by its own words, to the last fraction, and what a store's limits make of it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.rules.money import Money
from checkout.rules.prices import Limits, cost_of, least_credit, outside

SENT = Money(100_000_000, "USDC")  # 100
RATE = "0.92"
GROSS = Money(9200, "EUR")
NO_FEES: list[tuple[str, str, str]] = []


def test_the_cost_is_what_the_rate_promises_less_the_credit() -> None:
    cost = cost_of(SENT, RATE, Money(9150, "EUR"), NO_FEES)
    assert cost is not None
    assert (cost.minor, cost.of) == (Fraction(50), Fraction(9200))
    assert cost.shown("EUR") == Money(50, "EUR")
    assert cost.percent == Decimal("0.55")  # 0.543… upwards


def test_the_stated_fees_count_where_they_are_more() -> None:
    lines = [("fx_fee", "usd", "0.19"), ("platform_fee", "usd", "0.81"), ("total_fee", "usd", "1.00")]
    cost = cost_of(SENT, RATE, Money(9150, "EUR"), lines)
    assert cost is not None
    assert cost.minor == 92  # USD 1.00 at the quote's own rate; the lines and their total are the same money
    more = cost_of(SENT, RATE, Money(9150, "EUR"), [*lines, ("odd_fee", "EUR", "0.50")])
    assert more is not None
    assert more.minor == 142


def test_a_pegged_currency_is_held_against_par() -> None:
    cost = cost_of(SENT, "0.99", Money(9890, "USD"), NO_FEES)
    assert cost is not None
    assert (cost.minor, cost.of) == (Fraction(110), Fraction(10_000))


@pytest.mark.parametrize(
    ("rate", "fees"),
    [("nothing", NO_FEES), ("NaN", NO_FEES), (RATE, [("fee", "GBP", "1")]), (RATE, [("fee", "EUR", "a lot")])],
)
def test_what_cannot_be_read_is_outside_every_limit_of_cost(rate: str, fees: list[tuple[str, str, str]]) -> None:
    assert cost_of(SENT, rate, GROSS, fees) is None
    assert "cannot be read" in str(outside(Limits("EUR", worst_cost_bp=10_000), SENT, rate, GROSS, fees))
    assert outside(Limits("EUR", least_credit=GROSS), SENT, rate, GROSS, fees) is None


@given(st.integers(0, 9200), st.integers(0, 9200))
def test_a_worst_cost_is_met_to_the_cent(credit: int, worst: int) -> None:
    why = outside(Limits("EUR", worst_cost=Money(worst, "EUR")), SENT, RATE, Money(credit, "EUR"), NO_FEES)
    assert (why is None) == (9200 - credit <= worst)


@given(st.integers(0, 9200), st.integers(0, 10_000))
def test_a_worst_percentage_is_met_exactly(credit: int, bp: int) -> None:
    why = outside(Limits("EUR", worst_cost_bp=bp), SENT, RATE, Money(credit, "EUR"), NO_FEES)
    assert (why is None) == (Fraction(9200 - credit, 9200) <= Fraction(bp, 10_000))


@given(st.integers(1, 10**12), st.decimals("0.000001", "100000", places=6))
def test_a_smallest_credit_per_unit_is_never_rounded_in_the_providers_favour(sent: int, per_unit: Decimal) -> None:
    source = Money(sent, "USDC")
    least = least_credit(Limits("EUR", least_per_unit=per_unit), source)
    assert least is not None
    exact = Fraction(sent, 10**6) * Fraction(per_unit) * 100
    assert exact <= least < exact + 1


def test_the_larger_of_two_floors_holds_and_no_floor_is_none() -> None:
    assert least_credit(Limits("EUR"), SENT) is None
    both = Limits("EUR", least_credit=Money(9000, "EUR"), least_per_unit=Decimal("0.91"))
    assert least_credit(both, SENT) == 9100
    why = outside(both, SENT, RATE, Money(9099, "EUR"), NO_FEES)
    assert why == "it credits EUR 90.99, the smallest allowed is EUR 91.00"
    assert outside(both, SENT, RATE, Money(9100, "EUR"), NO_FEES) is None


def test_every_limit_that_is_broken_is_named() -> None:
    limits = Limits("EUR", Money(100, "EUR"), 50, Money(9190, "EUR"))
    why = str(outside(limits, SENT, RATE, Money(9000, "EUR"), NO_FEES))
    assert why == (
        "it credits EUR 90.00, the smallest allowed is EUR 91.90; it costs EUR 2.00, the most allowed is EUR 1.00; "
        "it costs 2.18 %, the most allowed is 0.5 %"
    )


def test_nothing_sent_costs_nothing() -> None:
    cost = cost_of(SENT, "0", Money(0, "EUR"), NO_FEES)
    assert cost is not None
    assert cost.percent == 0
