"""Moving a refund: the state, its stored move, its postings, its deposit's lock and its notification, always together.

Called with the payment's row locked. The reservation takes the money out of the deposit's own places, so that whatever the
deposit hears later, no settlement record can take what a refund holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from checkout.context import Context
from checkout.errors import NotFound
from checkout.paying.reckoning import reckon
from checkout.rules.deposits import Stage
from checkout.rules.ledger import Book, move, place, shift
from checkout.rules.refunds import ENDED, RefundState, check_move, less_refunds
from checkout.store import ledger, payments, refunds
from checkout.store.engine import Unit
from checkout.store.moves import close_by_proof, record_move
from checkout.store.records import DepositRow, PaymentRow, RefundRow
from checkout.telling.announcing import announce
from checkout.treasury import declare

#: Without news for this long a person asks Stable Mint; banks take days.
REFUND_SILENCE: Final = timedelta(days=3)


def locked(unit: Unit, ident: str) -> tuple[PaymentRow, RefundRow]:
    """A refund with its payment locked: nothing else moves it, or its deposits, until the transaction ends. NotFound."""
    found = refunds.refund_by_id(unit, ident)
    payment = None if found is None else payments.payment_by_id(unit, found.payment_id, lock=True)
    row = None if payment is None else refunds.refund_by_id(unit, ident)
    if payment is None or row is None:
        raise NotFound("refund", ident)
    return payment, row


def deposit_of(unit: Unit, row: RefundRow) -> DepositRow:
    deposit = payments.deposit_by_id(unit, row.deposit_id)
    if deposit is None:  # pragma: no cover - a foreign key holds it
        raise NotFound("deposit", row.deposit_id)
    return deposit


def has_left(deposit: DepositRow) -> bool:
    """Whether the deposit's funds are no longer at Stable Mint for us: recorded as arrived on chain, or sent elsewhere."""
    return deposit.settlement_record_id is not None or (deposit.foreign and deposit.allocated_at is None)


def moved(
    unit: Unit,
    context: Context,
    payment: PaymentRow,
    row: RefundRow,
    after: RefundState,
    *,
    cause: str,
    who: str,
    now: datetime,
    missing: Sequence[str] = (),
    **values: Any,
) -> RefundRow:
    """Move a refund; the refund as it then stands. ``missing``: names of details to ask for, never their values."""
    check_move(row.refund_state, after, in_doubt=row.in_doubt_since is not None)
    position = row.moves + 1
    record_move(unit, row.id, position, row.state, after, cause=cause, who=who, at=now)
    row = replace(row, **{name: value for name, value in values.items() if name in RefundRow.__slots__})
    reserved = _post(unit, payment, row, after, position, now)
    row = replace(row, state=after.value, moves=position, reserved=reserved, updated_at=now)
    changes = {"due_at": _due(context, after, now), **values}
    refunds.update_refund(unit, row.id, state=after.value, moves=position, reserved=reserved, updated_at=now, **changes)
    payment = tell(unit, context, payment, row, missing=missing, now=now)
    settle_lock(unit, context, payment, row, cause=cause, who=who, now=now)
    if after in ENDED or after is RefundState.SENDING:
        close_by_proof(unit, kind="refund_needs_approval", subject=row.id, note=f"it is {after.value}", at=now)
    if after in ENDED or after is RefundState.ACCEPTED:
        for kind in ("refund_unknown", "refund_silent"):
            close_by_proof(unit, kind=kind, subject=row.id, note=f"it is {after.value}", at=now)
    return row


def _due(context: Context, after: RefundState, now: datetime) -> datetime | None:
    """When the worker looks again by itself: only to notice that no news came."""
    return now + context.scaled(REFUND_SILENCE) if after in (RefundState.SENDING, RefundState.ACCEPTED) else None


def _post(unit: Unit, payment: PaymentRow, row: RefundRow, after: RefundState, position: int, now: datetime) -> bool:
    """The postings of a move; whether the refund's amount then stands in refunds payable."""
    covered = after is not RefundState.NEEDS_DETAILS or row.funded_at is not None or not has_left(deposit_of(unit, row))
    claims = covered and after not in (RefundState.FAILED, RefundState.NEEDS_FUNDING)
    if row.reserved and not claims:
        release(unit, payment, row, name=f"released-{position}", now=now)
    if claims and not row.reserved:
        reserve(unit, payment, row, name=f"reserved-{position}", now=now)
    if after is not RefundState.SENT:
        return claims
    paid = move(
        payment.store_id, row.currency, Book.SHOPPER, Book.REFUNDS_PAYABLE, row.amount_minor, key=f"{row.id}/sent",
        cause=row.id,
    )  # fmt: skip
    ledger.post(unit, [paid], at=now)
    return False


def reserve(unit: Unit, payment: PaymentRow, row: RefundRow, *, name: str, now: datetime) -> None:
    """Set the refund's amount aside: from the deposit's own money, or from what a person has brought for it."""
    _shift(unit, payment, row, row.amount_minor, name=name, now=now)


def release(unit: Unit, payment: PaymentRow, row: RefundRow, *, name: str, now: datetime) -> None:
    """The amount is nobody's claim any more: back to where it would stand without the refund."""
    _shift(unit, payment, row, -row.amount_minor, name=name, now=now)


def _shift(unit: Unit, payment: PaymentRow, row: RefundRow, change: int, *, name: str, now: datetime) -> None:
    key = f"{row.id}/{name}"
    if row.funded_at is not None:
        # brought from outside: it crosses into the currency as what leaves for a settlement record crosses out of it
        sides = (Book.REFUNDS_PAYABLE, Book.EXCHANGE) if change > 0 else (Book.EXCHANGE, Book.REFUNDS_PAYABLE)
        ledger.post(unit, [move(payment.store_id, row.currency, *sides, abs(change), key=key, cause=row.id)], at=now)
        return
    deposit = deposit_of(unit, row)
    before, _ = ledger.placed(unit, row.deposit_id, row.currency)
    whole = 0 if deposit.money is None else deposit.money.minor
    stands = place(deposit.facts, counted=payment.counted_deposit_id == deposit.id, asked=payment.asked)
    after = less_refunds(stands, held=before.get(Book.REFUNDS_PAYABLE, 0) + change, sent=whole - sum(before.values()))
    ledger.post(unit, shift(payment.store_id, row.currency, before, after, key=key, cause=row.id), at=now)


def settle_lock(
    unit: Unit, context: Context, payment: PaymentRow, row: RefundRow, *, cause: str, who: str, now: datetime
) -> None:
    """Keep the deposit's lock true. Once no refund of it lives, what is left may be declared, as its event would have been."""
    deposit = deposit_of(unit, row)
    live = refunds.any_live(unit, deposit.id)
    if live == deposit.refund_live:
        return
    payments.update_deposit(unit, deposit.id, refund_live=live)
    if live:
        return
    reckon(unit, context, payment, cause=cause, now=now, who=who)
    if deposit.stage == Stage.SETTLED:
        declare(unit, context, deposit.id, now=now)


def tell(
    unit: Unit, context: Context, payment: PaymentRow, row: RefundRow, *, missing: Sequence[str], now: datetime
) -> PaymentRow:
    """Notify the store, in the payment's own sequence; the payment as it then stands."""
    sequence = payment.sequence + 1
    payments.update_payment(unit, payment.id, sequence=sequence)
    announce(
        unit, context, store_id=payment.store_id, subject=row.id, payment_id=payment.id, kind=f"refund.{row.state}",
        sequence=sequence, data=refund_data(payment, row, missing=missing), now=now,
    )  # fmt: skip
    return replace(payment, sequence=sequence)


def refund_data(payment: PaymentRow, row: RefundRow, *, missing: Sequence[str]) -> dict[str, Any]:
    """The state of a refund as a notification shows it: nothing personal, nothing secret."""
    return {
        "id": row.id,
        "payment": payment.id,
        "status": row.state,
        "amount": row.amount.fixed(),
        "currency": row.currency,
        "order": payment.order_ref,
        "missing": list(missing),
    }
