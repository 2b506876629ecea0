"""The second bookkeeper's balances of an installation at rest, from what the providers and the shop say of themselves.

Stable Mint's own webhooks, advices and list of withdrawals, Stables' bank statement, and the shop's orders; of our rows
only which deposit is in a record or a refund, and which payout is how large and stands where.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import select

from checkout.store import tables
from tests.acceptance.storefront import Order
from tests.acceptance.world import World
from tests.bookkeeper import Bookkeeper, Receipt, Sending

ASSET: Final = "USDC@polygon"
#: Settled dollars are their own evidence in the second store.
PEGGED: Final = frozenset({"USD"})
UNSPENT: Final = ("failed", "expired", "cancelled")


def balances(world: World, orders: Sequence[Order]) -> Counter[str]:
    """What every account must hold, by book and asset."""
    by_reference = {row.reference: row for row in _rows(world, tables.deposit)}
    counted = {row.counted_deposit_id for row in _rows(world, tables.payment)}
    book = Bookkeeper(
        lambda reference: by_reference[reference].id in counted,
        lambda reference: str(by_reference[reference].id),
        PEGGED,
    )
    sold = {order.reference: order for order in orders}
    for one in world.ask("stable_mint", "deliveries"):
        order = sold.get(one["subject"])
        if ".deposit." in one["event_type"] and order is not None:
            book.hear(one["body"].encode(), asked=order.cents, asked_currency=order.currency)
    refunds = _refunds(world)
    for receipt in book.receipts.values():
        _refund(receipt, refunds[str(by_reference[receipt.reference].id)])
    _record(world, book, by_reference)
    credits = {one["transfer_id"]: int(Decimal(one["amount"]) * 100) for one in world.ask("stables", "bank")}
    paid = {row.payout_id: credits.get(row.provider_transfer_id, 0) for row in _rows(world, tables.transfer)}
    for row in _rows(world, tables.payout):
        place = "treasury_free" if row.state in UNSPENT else "treasury_reserved"
        place = "exchange" if row.state == "completed" else place
        book.payouts[row.id] = Sending(ASSET, row.amount_minor, [], place, credit=paid.get(row.id, 0))
    return Counter(book.balances())


def _refunds(world: World) -> defaultdict[str, list[tuple[Any, bool]]]:
    """By deposit: each refund that holds or has sent money, and whether Stable Mint says that it was sent."""
    sent = {
        one["custom_fields"]["refund"]
        for one in world.ask("stable_mint", "withdrawals")
        if "failed" not in one["events"]
    }
    found: defaultdict[str, list[tuple[Any, bool]]] = defaultdict(list)
    for row in world.refunds():
        if row.id in sent or row.state != "failed":
            found[row.deposit_id].append((row, row.id in sent))
    return found


def _refund(receipt: Receipt, refunds: list[tuple[Any, bool]]) -> None:
    for row, sent in refunds:
        if row.funded_at is None:
            receipt.sent_back += row.amount_minor if sent else 0
            receipt.held += 0 if sent else row.amount_minor
        else:
            receipt.lent_back += row.amount_minor if sent else 0
            receipt.lent += 0 if sent else row.amount_minor


def _record(world: World, book: Bookkeeper, by_reference: dict[str, Any]) -> None:
    """The advices that people have entered, as they were given."""
    for one in world.ask("stable_mint", "settlements"):
        row = by_reference.get(one["reference"])
        receipt = book.receipts.get(one["reference"])
        if row is None or receipt is None or receipt.recorded is not None or row.settlement_record_id is None:
            continue
        book.record([receipt], asset=ASSET, arrived=int(Decimal(one["delivered"]["amount"]) * 10**6), fee=0)


def _rows(world: World, table: Any) -> list[Any]:
    with world.services.context.database.read() as unit:
        return list(unit.execute(select(table)))
