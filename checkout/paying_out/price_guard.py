"""A store's price guard: the worst cost and the smallest credit at which its money may leave, per currency of the credit.

Every quote is held against it when it is drawn, when it is approved and when it is used. Estimates come from the
provider's preview, which stores nothing there and can buy nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from checkout.context import Context
from checkout.errors import AmountRefused, NotFound, NotPossible, RequestRefused
from checkout.paying_out.transfers import Stables
from checkout.providers.outcome import Accepted, Declined
from checkout.providers.stables_records import Quote
from checkout.providers.stables_requests import QuoteRequest
from checkout.rules.money import CURRENCY_EXPONENTS, Money, parse_amount
from checkout.rules.prices import BASIS_POINTS, FeeLine, cost_of, outside
from checkout.store import payouts, policies, stores
from checkout.store.engine import Unit
from checkout.store.moves import record_act
from checkout.store.records import QuoteRow
from checkout.treasury import free_balance

#: Digits after the point that a smallest credit per unit may have.
PER_UNIT_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class GuardRequest:
    """Limits as a person writes them; None leaves one out."""

    currency: str
    worst_cost: str | None = None
    worst_cost_percent: str | None = None
    least_credit: str | None = None
    least_per_unit: str | None = None


class PriceGuard:
    """Setting and showing limits, and asking what a payout would cost now."""

    def __init__(self, context: Context, stables: Stables) -> None:
        self._context = context
        self._stables = stables

    def set(self, store_name: str, wanted: GuardRequest, *, who: str) -> dict[str, Any]:
        """Set the limits of one currency, all of them at once. RequestRefused with every bad field."""
        context = self._context
        now = context.clock()
        values = _read(wanted)
        with context.database.write() as unit:
            store = stores.find_store(unit, store_name)
            if store is None:
                raise NotFound("store", store_name)
            before = policies.guard_row(unit, store.id, wanted.currency)
            policies.keep_guard(unit, store.id, wanted.currency, {**values, "created_at": now, "created_by": who})
            record_act(
                unit, context.new_id("act"), who=who, action="price guard set", subject=store.id, at=now,
                detail={"currency": wanted.currency, "limits": values,
                        "before": None if before is None else {name: before[name] for name in values}},
            )  # fmt: skip
        return self.show(store_name, wanted.currency)

    def show(self, store_name: str, currency: str) -> dict[str, Any]:
        """The limits in words a person can read; NotFound when there are none."""
        with self._context.database.read() as unit:
            store = stores.find_store(unit, store_name)
            if store is None:
                raise NotFound("store", store_name)
            row = policies.guard_row(unit, store.id, currency)
        if row is None:
            raise NotFound("price guard", currency)
        bp = row["worst_cost_bp"]
        return {
            "store": store.id, "currency": currency, "worst_cost": _fixed(row["worst_cost_minor"], currency),
            "worst_cost_percent": None if bp is None else str(Decimal(bp) / 100),
            "least_credit": _fixed(row["least_credit_minor"], currency), "least_per_unit": row["least_per_unit"],
            "set_by": row["created_by"], "set_at": row["created_at"],
        }  # fmt: skip

    def list(self, store_name: str) -> list[dict[str, Any]]:
        """The limits of every currency that has some."""
        with self._context.database.read() as unit:
            store = stores.find_store(unit, store_name)
            if store is None:
                raise NotFound("store", store_name)
            currencies = policies.guards_of(unit, store.id)
        return [self.show(store_name, one) for one in currencies]

    def estimate(self, account_id: str, *, amount: str | None) -> dict[str, Any]:
        """What a payout to this account would bring now, by the provider's preview. Nothing is stored or bought.

        NotPossible where there is no preview, or when the provider cannot or will not price it.
        """
        with self._context.database.read() as unit:
            account = payouts.payout_account_by_id(unit, account_id)
            if account is None:
                raise NotFound("payout account", account_id)
            free = free_balance(unit, account.store_id, account.asset, account.network)
        try:
            source = Money(free, account.asset) if amount is None else parse_amount(amount, account.asset)
        except AmountRefused as problem:
            raise RequestRefused({"amount": str(problem)}) from None
        if source.minor == 0:
            raise NotPossible(f"there is no free {account.asset} on {account.network}; say how much with --amount")
        request = QuoteRequest(
            source=source, source_network=account.network, currency=account.currency, country=account.country,
            network=account.rail, preview=True,
        )  # fmt: skip
        outcome = self._stables.create_quote(request, key=self._context.new_uuid())
        if isinstance(outcome, Declined):
            raise NotPossible(f"Stables does not price it: {outcome.status} {outcome.code or ''}: {outcome.message}")
        if not isinstance(outcome, Accepted):
            raise NotPossible(f"Stables could not be asked: {outcome.reason}")
        drawn = outcome.value
        with self._context.database.read() as unit:
            refused = why_refused(unit, account.store_id, source, drawn.rate, drawn.credit, fee_lines(drawn))
        return {
            "account": account.id, "sends": source.plain(), "asset": source.currency, "network": account.network,
            **shown_price(source, drawn.rate, drawn.credit, fee_lines(drawn)),
            "outside_the_guard": refused,
        }  # fmt: skip


def why_refused(unit: Unit, store_id: str, source: Money, rate: str, credit: Money, fees: list[FeeLine]) -> str | None:
    """Why the store's guard refuses this price, in words; None when it allows it, or there is no guard."""
    limits = policies.limits_of(unit, store_id, credit.currency)
    if limits is None:
        return None
    why = outside(limits, source, rate, credit, fees)
    return None if why is None else f"outside the price guard: {why}"


def quote_refused(unit: Unit, store_id: str, asset: str, quote: QuoteRow) -> str | None:
    """The same of a stored quote."""
    fees = [(str(name), str(currency), str(amount)) for name, currency, amount in json.loads(quote.fees)]
    return why_refused(unit, store_id, Money(quote.source_minor, asset), quote.rate, quote.credit, fees)


def fee_lines(drawn: Quote) -> list[FeeLine]:
    """A quote's fee lines as they are stored."""
    return [(one.name, one.currency, one.amount) for one in drawn.fees]


def shown_price(source: Money, rate: str, credit: Money, fees: list[FeeLine]) -> dict[str, Any]:
    """A price as a person reads it, with its whole cost by its own words."""
    cost = cost_of(source, rate, credit, fees)
    return {
        "credit": credit.fixed(), "currency": credit.currency, "rate": rate, "fees": fees,
        "cost": None if cost is None else cost.shown(credit.currency).fixed(),
        "cost_percent": None if cost is None else str(cost.percent),
    }  # fmt: skip


def _read(wanted: GuardRequest) -> dict[str, Any]:
    problems: dict[str, str] = {}
    values: dict[str, Any] = dict.fromkeys(
        ("worst_cost_minor", "worst_cost_bp", "least_credit_minor", "least_per_unit")
    )
    if wanted.currency not in CURRENCY_EXPONENTS:
        raise RequestRefused({"currency": "write a currency this service knows, in capitals"})
    amounts = {"worst_cost": wanted.worst_cost, "least_credit": wanted.least_credit}
    for name, text in amounts.items():
        if text is None:
            continue
        try:
            values[f"{name}_minor"] = parse_amount(text, wanted.currency, positive=False).minor
        except AmountRefused as problem:
            problems[name] = str(problem)
    percent = wanted.worst_cost_percent
    if percent is not None:
        number = _decimal(percent, digits=2)
        if number is None or number > 100:
            problems["worst_cost_percent"] = "write a percentage of 0 to 100 with at most two digits after the point"
        else:
            values["worst_cost_bp"] = int(number * BASIS_POINTS / 100)
    if wanted.least_per_unit is not None:
        least = _decimal(wanted.least_per_unit, digits=PER_UNIT_DIGITS)
        if least is None or least == 0:
            problems["least_per_unit"] = f"write plain decimal text, at most {PER_UNIT_DIGITS} digits after the point"
        else:
            values["least_per_unit"] = wanted.least_per_unit
    if not problems and all(value is None for value in values.values()):
        problems["limits"] = "give at least one limit"
    if problems:
        raise RequestRefused(problems)
    return values


def _decimal(text: str, *, digits: int) -> Decimal | None:
    whole, point, fraction = text.partition(".")
    plain = whole.isascii() and whole.isdigit() and len(whole) <= 12
    if not plain or (point and not (fraction.isascii() and fraction.isdigit() and len(fraction) <= digits)):
        return None
    return Decimal(text)


def _fixed(minor: int | None, currency: str) -> str | None:
    return None if minor is None else Money(minor, currency).fixed()
