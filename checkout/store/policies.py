"""Payout policies and price guards, and what is asked before one may approve by itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from checkout.rules.money import Money
from checkout.rules.payouts import PayoutState
from checkout.rules.prices import Limits
from checkout.store import stores
from checkout.store.engine import Unit, by_id
from checkout.store.records import PayoutRow, PolicyRow, record
from checkout.store.tables import payout, payout_policy, price_guard

_POLICY_FOR = select(payout_policy).where(
    payout_policy.c.store_id == bindparam("store"),
    payout_policy.c.asset == bindparam("asset"),
    payout_policy.c.network == bindparam("network"),
)
_GUARD = select(price_guard).where(
    price_guard.c.store_id == bindparam("store"), price_guard.c.currency == bindparam("currency")
)


def policy_by_id(unit: Unit, ident: str, *, lock: bool = False) -> PolicyRow | None:
    row = unit.execute(by_id(payout_policy, lock=lock and not unit.is_sqlite), {"row": ident}).first()
    return None if row is None else record(PolicyRow, row)


def policy_for(unit: Unit, store_id: str, asset: str, network: str) -> PolicyRow | None:
    row = unit.execute(_POLICY_FOR, {"store": store_id, "asset": asset, "network": network}).first()
    return None if row is None else record(PolicyRow, row)


def list_policies(unit: Unit, store_id: str | None) -> list[PolicyRow]:
    query = select(payout_policy).order_by(payout_policy.c.store_id, payout_policy.c.asset, payout_policy.c.network)
    if store_id is not None:
        query = query.where(payout_policy.c.store_id == store_id)
    return [record(PolicyRow, row) for row in unit.execute(query)]


def insert_policy(unit: Unit, values: dict[str, Any]) -> None:
    """:class:`Taken` when this treasury has a policy already."""
    unit.execute(insert(payout_policy).values(**values))


def update_policy(unit: Unit, ident: str, **values: Any) -> None:
    unit.execute(update(payout_policy).where(payout_policy.c.id == ident).values(**values))


def guard_row(unit: Unit, store_id: str, currency: str) -> dict[str, Any] | None:
    row = unit.execute(_GUARD, {"store": store_id, "currency": currency}).first()
    return None if row is None else dict(row._mapping)


def limits_of(unit: Unit, store_id: str, currency: str) -> Limits | None:
    """The store's price limits for this currency of bank credits, or None when it has none."""
    row = guard_row(unit, store_id, currency)
    if row is None:
        return None
    cost, least, per_unit = row["worst_cost_minor"], row["least_credit_minor"], row["least_per_unit"]
    return Limits(
        currency,
        None if cost is None else Money(cost, currency),
        row["worst_cost_bp"],
        None if least is None else Money(least, currency),
        None if per_unit is None else Decimal(per_unit),
    )


def guards_of(unit: Unit, store_id: str) -> list[str]:
    """The currencies for which a store has price limits."""
    rows = unit.execute(
        select(price_guard.c.currency).where(price_guard.c.store_id == store_id).order_by(price_guard.c.currency)
    )
    return [str(row.currency) for row in rows]


def keep_guard(unit: Unit, store_id: str, currency: str, values: dict[str, Any]) -> None:
    """Set a store's limits for a currency, whatever they were."""
    where = (price_guard.c.store_id == store_id, price_guard.c.currency == currency)
    if unit.execute(update(price_guard).where(*where).values(**values)).rowcount == 0:
        unit.execute(insert(price_guard).values(store_id=store_id, currency=currency, **values))


def why_paused(unit: Unit, row: PayoutRow) -> str | None:
    """Why this payout's money may not leave now, or None: a pause of the store, of all, or of the policy that made it."""
    why = stores.why_paused(unit, row.store_id)
    if why is not None or row.policy_id is None:
        return why
    policy = policy_by_id(unit, row.policy_id)
    return None if policy is None or policy.paused_because is None else f"its policy is paused: {policy.paused_because}"


def has_paid(unit: Unit, payout_account_id: str) -> bool:
    """Whether a payout to this account has ever completed."""
    paid = (payout.c.payout_account_id == payout_account_id, payout.c.state == PayoutState.COMPLETED.value)
    return unit.execute(select(payout.c.id).where(*paid).limit(1)).first() is not None
