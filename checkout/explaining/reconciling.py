"""What waits where, since when, tied to the ledger; and what moved in a period. Read-only.

The rows say what waits, the ledger says what it holds: where the two do not add up to the same, this says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from checkout.context import Context
from checkout.errors import NotFound, RequestRefused
from checkout.rules.ages import AGES, OLDEST, age_of
from checkout.rules.money import Money
from checkout.store import ledger_reads, stores
from checkout.store.engine import Unit
from checkout.store.records import StoreRow
from checkout.store.waiting import STAGES, Waiting, waiting

#: What a person does about each stage.
NEXT: Final = {
    "accepted_not_settled": "ask Stable Mint when it settles; cases name the references",
    "settled_without_evidence": "enter what arrived: `checkout treasury record`, or `checkout treasury import FILE`",
    "record_not_in_a_payout": "`checkout payouts propose STORE`",
    "payout_under_way": "`checkout payouts show ID`; those on hold or before a person have a case",
    "refund_under_way": "an unknown refund is ended by its event, or by a named person with evidence",
    "returned_by_the_bank": "say where it went: `checkout payouts` has a verb for each place; the case names them",
    "nobodys_money": "`checkout deposits allocate ID --evidence TEXT`, or a refund",
}


class Reconciling:
    """The operator's question: what has not arrived yet, and why not?"""

    def __init__(self, context: Context) -> None:
        self._context = context

    def report(
        self, store_name: str | None, *, start: datetime | None, end: datetime | None, limit: int
    ) -> dict[str, Any]:
        """What waits now by stage and age in one store or all, and every account's turnover from ``start`` to ``end``."""
        now = self._context.clock()
        end = end or now + timedelta(microseconds=1)  # what has just been posted is part of "until now"
        start = start or end - timedelta(days=30)
        if end <= start:
            raise RequestRefused({"to": "must be after --from"})
        with self._context.database.read() as unit:
            if store_name is None:
                chosen = stores.list_stores(unit)
            else:
                store = stores.find_store(unit, store_name)
                if store is None:
                    raise NotFound("store", store_name)
                chosen = [store]
            made = [_store(unit, one, start, end, now, limit) for one in chosen]
        return {
            "now": now.isoformat(), "from": start.isoformat(), "to": end.isoformat(), "stores": made,
            "differences": [line for one in made for line in one["differences"]],
        }  # fmt: skip


def _store(unit: Unit, store: StoreRow, start: datetime, end: datetime, now: datetime, limit: int) -> dict[str, Any]:
    found = waiting(unit, store.id)
    stages, problems = [], []
    for name, books in STAGES.items():
        held: dict[str, int] = {}
        for (_, asset), minor in ledger_reads.held_in(unit, store.id, books).items():
            held[asset] = held.get(asset, 0) + minor
        sums = _sums(found[name], held, now)
        problems += [
            f"{store.name}: {name} has {one['amount']} {one['asset']}, the ledger {one['ledger']}"
            for one in sums
            if one["amount"] != one["ledger"]
        ]
        stages.append(
            {
                "stage": name, "count": len(found[name]), "next": NEXT[name], "sums": sums,
                "items": [_item(one, now) for one in found[name][:limit]],
            }
        )  # fmt: skip
    accounts = ledger_reads.turnover(unit, store.id, start, end)
    problems += [
        f"{one.account} does not close" for one in accounts if one.opening + one.received - one.given != one.closing
    ]
    figures = ("opening", "received", "given", "closing")
    return {
        "store": store.id, "name": store.name, "stages": stages, "differences": problems,
        "turnover": [
            {"account": one.book, "asset": one.asset, **{name: _fixed(getattr(one, name), one.asset) for name in figures}}
            for one in accounts
        ],
    }  # fmt: skip


def _sums(found: Sequence[Waiting], held: dict[str, int], now: datetime) -> list[dict[str, Any]]:
    """Per asset: what the rows add up to, what the ledger holds, and the same by age."""
    assets = sorted({*(one.asset for one in found if one.minor), *held})
    sums = []
    for asset in assets:
        mine = [one for one in found if one.asset == asset]
        ages: dict[str, int] = {}
        for one in mine:
            name = age_of(now - one.since)
            ages[name] = ages.get(name, 0) + one.minor
        names = [*(name for name, _ in AGES), OLDEST]
        sums.append(
            {
                "asset": asset, "amount": _fixed(sum(one.minor for one in mine), asset),
                "ledger": _fixed(held.get(asset, 0), asset),
                "by_age": {name: _fixed(ages[name], asset) for name in names if name in ages},
            }
        )  # fmt: skip
    return sums


def _item(one: Waiting, now: datetime) -> dict[str, Any]:
    return {
        "id": one.id, "state": one.state, "about": one.about, "asset": one.asset, "amount": _fixed(one.minor, one.asset),
        "since": one.since.isoformat(), "age_s": max(int((now - one.since).total_seconds()), 0),
    }  # fmt: skip


def _fixed(minor: int, asset: str) -> str:
    return Money(minor, asset.split("@")[0]).fixed()
