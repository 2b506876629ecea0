"""Making a payout of free treasury: a person's verb and a policy's, in the caller's transaction and under one lock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from checkout.context import Context
from checkout.errors import NotPossible
from checkout.rules.ledger import Book, move, on_network
from checkout.rules.payouts import PayoutState
from checkout.rules.policies import Source
from checkout.store import ledger, payouts, resolutions
from checkout.store.engine import Unit
from checkout.store.moves import record_act, record_move
from checkout.store.records import PayoutAccountRow
from checkout.store.tables import payout, payout_item


def sources_of(unit: Unit, store_id: str, asset: str, network: str) -> list[Source]:
    """Everything free that a payout may be made of, under the treasury's lock: records, allocated shares, rests."""
    payouts.lock_treasury(unit, store_id, asset, network)
    records = payouts.free_records(unit, store_id, asset, network)
    shares = payouts.allocated_shares(unit, store_id, asset, network)
    return [*records, *shares, *resolutions.free_rests(unit, store_id, asset, network)]


def propose_in(
    unit: Unit, context: Context, account: PayoutAccountRow, sources: Sequence[Source], *, free: int, who: str,
    now: datetime, policy_id: str | None = None,
) -> str:  # fmt: skip
    """Reserve these sources for one payout to the account; its id. NotPossible when the treasury does not hold them.

    ``free`` is what the treasury has free at this moment, in minor units, read under its lock.
    """
    total = sum(minor for _, minor in sources)
    if total == 0 or total > free:
        raise NotPossible(
            f"there is no free {account.asset} on {account.network}; record what Stable Mint delivered with "
            "`checkout treasury record`"
        )
    ident = context.new_id("out")
    payouts.insert_row(
        unit,
        payout,
        {
            "id": ident, "store_id": account.store_id, "payout_account_id": account.id, "asset": account.asset,
            "network": account.network, "amount_minor": total, "state": PayoutState.PROPOSED.value, "moves": 1,
            "policy_id": policy_id, "created_at": now, "created_by": who, "updated_at": now, "due_at": now,
        },
    )  # fmt: skip
    items = [
        {"id": context.new_id("itm"), "payout_id": ident, "source": source, "amount_minor": minor}
        for source, minor in sources
    ]
    payouts.insert_rows(unit, payout_item, items)
    record_move(unit, ident, 1, None, PayoutState.PROPOSED, cause="proposed", who=who, at=now)
    asset = on_network(account.asset, account.network)
    reserve = move(account.store_id, asset, Book.RESERVED, Book.FREE, total, key=f"{ident}/reserved", cause=ident)
    ledger.post(unit, [reserve], at=now)
    record_act(
        unit, context.new_id("act"), who=who, action="payout proposed", subject=ident,
        detail={"amount": total, "policy": policy_id}, at=now,
    )  # fmt: skip
    return ident


def why_unusable(account: PayoutAccountRow, now: datetime) -> str | None:
    """Why nothing may be paid out to the account yet, or any more; None when it may."""
    if account.retired_at is not None:
        return f"payout account {account.name} has been replaced; cancel the payout and propose again"
    if account.confirmed_at is None and now < account.usable_at:
        left = timedelta(seconds=int((account.usable_at - now).total_seconds()))
        return (
            f"payout account {account.name} is new: a second person confirms it with `checkout accounts confirm "
            f"{account.id}`, or {left} pass"
        )
    return None
