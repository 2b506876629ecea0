"""The limit inside which a store's own requests for refunds are approved without a person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from checkout.context import Context
from checkout.errors import NotFound
from checkout.rules.money import Money
from checkout.rules.refunds import RefundState
from checkout.store import explaining, refunds, stores
from checkout.store.engine import Unit
from checkout.store.moves import record_act
from checkout.store.records import DepositRow, PaymentRow, RefundRow
from checkout.store.refunds import BY_LIMIT

#: The span over which a store's refund limit counts.
LIMIT_SPAN: Final = timedelta(hours=24)
#: Why a limit leaves it to a person: what was asked for after a backup was made is no row in it, and a shop may repeat it.
MAY_BE_FORGOTTEN: Final = (
    "the database was restored since this payment was made and may have forgotten a refund of it: look in Stable Mint's "
    "dashboard before it is approved"
)


def approve_by_limit(
    unit: Unit, context: Context, payment: PaymentRow, deposit: DepositRow, row: RefundRow, *, now: datetime
) -> RefundRow:
    """Approve inside the store's limit (default 0): all that it has approved in 24 hours, this one included.

    A sum over time, not a size: a lost store key must not be able to send any number of small refunds.
    """
    if row.refund_state is not RefundState.REQUESTED or row.approved_by is not None or deposit.failed:
        return row
    if row.in_doubt_since is not None:  # the limit may have approved it before, and what was sent then is forgotten
        return row
    rule = refunds.rule_of(unit, payment.store_id, row.currency, lock=True)
    if rule is None or stores.why_paused(unit, payment.store_id) is not None:
        return row
    since = now - context.scaled(LIMIT_SPAN)
    spent = refunds.spent_by_limit(unit, payment.store_id, row.currency, since=since)
    if spent + row.amount_minor > rule["limit_minor"]:
        return row
    reconciled = explaining.reconciled_at(unit)
    if reconciled is not None and payment.created_at < reconciled:
        refunds.update_refund(unit, row.id, note=MAY_BE_FORGOTTEN)
        return _read(unit, row.id)
    refunds.update_refund(unit, row.id, approved_by=BY_LIMIT, approved_at=now, due_at=now)
    record_act(
        unit, context.new_id("act"), who=BY_LIMIT, action="refund approved", subject=row.id, at=now,
        detail={"limit": Money(rule["limit_minor"], row.currency).fixed(), "set_by": rule["created_by"]},
    )  # fmt: skip
    return _read(unit, row.id)


def _read(unit: Unit, ident: str) -> RefundRow:
    row = refunds.refund_by_id(unit, ident)
    if row is None:  # pragma: no cover - refunds are never deleted
        raise NotFound("refund", ident)
    return row
