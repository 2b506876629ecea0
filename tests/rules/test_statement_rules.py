"""The arithmetic of statements: whatever the figures, our sums are exact and the provider's lines end at the credit."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.rules.money import Money
from checkout.rules.statements import (
    UNEXPLAINED_BP,
    UNEXPLAINED_ROUNDING,
    Limit,
    Part,
    Source,
    StatedFee,
    differences,
    explain,
    lines,
    over_limit,
)

FEES = st.builds(
    StatedFee,
    name=st.sampled_from(["fx_fee", "platform_fee", "network_fee", "total_fee"]),
    currency=st.sampled_from(["EUR", "USD", "USDC", "GBP"]),
    amount=st.decimals(0, 1000, places=6).map(lambda one: format(one, "f")),
)
SOURCES = st.lists(
    st.tuples(st.lists(st.integers(1, 10**9), min_size=1, max_size=8), st.integers(1, 10**12), st.integers(0, 100)),
    min_size=1,
    max_size=4,
)


def source(number: int, minors: list[int], asset: int, fee: int) -> Source:
    parts = tuple(Part(f"dep_{number}_{i}", f"r{i}", f"pay_{i}", f"o{i}", minor) for i, minor in enumerate(minors))
    return Source(f"set_{number}", "EUR", min(fee, sum(minors)), asset, parts)


@given(given=SOURCES, credit=st.integers(0, 10**12))
def test_every_sum_is_exact_whatever_is_shared(given: list[tuple[list[int], int, int]], credit: int) -> None:
    sources = [source(number, *one) for number, one in enumerate(given)]
    made = lines(sources, credit_minor=credit)
    for one in sources:
        mine = [line for line in made if line.source == one.id]
        assert sum(line.asset_minor for line in mine) == one.asset_minor
        assert sum(line.fee_minor for line in mine) == one.fee_minor
        assert sum(line.crossed_minor for line in mine) == sum(part.minor for part in one.parts) - one.fee_minor
    assert sum(line.credit_minor or 0 for line in made) == credit
    assert all(line.credit_minor is not None and line.credit_minor >= 0 for line in made)
    assert lines(sources, credit_minor=credit) == made  # the same question, the same answer


@given(
    sent=st.integers(1, 10**13), credit=st.integers(1, 10**12), fees=st.lists(FEES, max_size=6),
    rate=st.decimals(0, 20_000, places=12).map(lambda one: format(one, "f")),
)  # fmt: skip
def test_the_providers_lines_and_the_remainder_end_at_the_credit(
    sent: int, credit: int, fees: list[StatedFee], rate: str
) -> None:
    told = explain(Money(sent, "USDC"), Money(credit, "EUR"), rate=rate, fees=fees)
    assert told.gross_minor - sum(fee.minor or 0 for fee in told.fees) + told.unexplained_minor == credit
    exact = Money(sent, "USDC").decimal * Decimal(rate) * 100
    assert abs(Decimal(told.gross_minor) - exact) <= Decimal("0.5")
    assert {fee.stated for fee in told.fees} <= set(fees)


def test_without_a_credit_no_share_of_it_is_known() -> None:
    assert [one.credit_minor for one in lines([source(0, [1, 2], 3, 0)], credit_minor=None)] == [None, None]
    assert lines([], credit_minor=5) == []


def test_a_tie_goes_to_the_earlier_order() -> None:
    made = lines([source(0, [1, 1, 1], 10, 2)], credit_minor=2)
    assert [one.asset_minor for one in made] == [4, 3, 3]
    assert [one.fee_minor for one in made] == [1, 1, 0]
    assert [one.credit_minor for one in made] == [1, 1, 0]


@pytest.mark.parametrize(
    ("left", "credit", "above"),
    [
        (UNEXPLAINED_ROUNDING, 1, False),
        (UNEXPLAINED_ROUNDING + 1, 1, True),
        (25, 10_000, False),
        (26, 10_000, True),
        (-26, 10_000, True),
        (0, 0, False),
    ],
)
def test_a_remainder_asks_for_a_person_above_a_share_of_the_credit_and_above_rounding(
    left: int, credit: int, above: bool
) -> None:
    assert UNEXPLAINED_BP == 25
    assert over_limit(left, credit) is above


def test_the_total_counts_only_where_it_is_the_only_line() -> None:
    sent, credit = Money(100_000_000, "USDC"), Money(9_000, "EUR")
    lines_ = [StatedFee("fx_fee", "EUR", "1"), StatedFee("total_fee", "EUR", "2")]
    told = explain(sent, credit, rate="0.92", fees=lines_)
    assert [fee.minor for fee in told.fees] == [100]
    assert told.notes == ("the provider's total of EUR 2 is not the sum of its lines, 1",)
    assert [fee.minor for fee in explain(sent, credit, rate="0.92", fees=lines_[1:]).fees] == [200]
    foreign = explain(sent, credit, rate="0.92", fees=[StatedFee("network_fee", "GBP", "1")])
    assert [fee.minor for fee in foreign.fees] == [None]
    assert "gives no rate" in foreign.notes[0]


def test_differences_name_what_is_not_the_same() -> None:
    assert differences({"a": 1, "b": 2}, {"a": 1, "c": 3}) == {"b": -2, "c": 3}


@pytest.mark.parametrize(
    ("limit", "above"), [(Limit(0, 0), True), (Limit(0, 5), False), (Limit(500, 0), False), (Limit(499, 4), True)]
)
def test_a_store_may_have_a_limit_of_its_own(limit: Limit, above: bool) -> None:
    assert over_limit(-5, 100, limit) is above
