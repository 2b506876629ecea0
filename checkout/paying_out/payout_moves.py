"""Moving a payout: the state, its stored move, its postings and its notification, always together."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from checkout.context import Context
from checkout.errors import LostRace, NotFound
from checkout.rules.ledger import Book, move, on_network
from checkout.rules.money import Money
from checkout.rules.payouts import DEAD, PROGRESS, PayoutState, check_move
from checkout.store import ledger, notifications, payouts
from checkout.store.engine import Unit
from checkout.store.moves import WORKER, close_by_proof, record_move, reopen_case
from checkout.store.records import PayoutRow
from checkout.store.tables import payout as payout_table
from checkout.store.work import release
from checkout.telling.announcing import announce

#: States a storefront's back office hears about, as ``payout.<state>``.
ANNOUNCED: Final = frozenset(
    {
        PayoutState.APPROVED, PayoutState.FUNDED, PayoutState.COMPLETED, PayoutState.FAILED, PayoutState.EXPIRED,
        PayoutState.CANCELLED, PayoutState.ON_HOLD, PayoutState.NEEDS_DECISION, PayoutState.RETURNED,
    }
)  # fmt: skip


def claimed(unit: Unit, ident: str, token: str, expected: PayoutState) -> PayoutRow:
    """The payout, locked, if the lease is still ours and nobody has moved it meanwhile; else LostRace."""
    row = payouts.payout_by_id(unit, ident, lock=True)
    if row is None:  # pragma: no cover - a payout is never deleted
        raise NotFound("payout", ident)
    if row.lease_token != token or row.payout_state is not expected:
        raise LostRace(f"payout {ident} moved on")
    return row


def conclude(
    unit: Unit,
    context: Context,
    row: PayoutRow,
    token: str,
    after: PayoutState,
    *,
    cause: str,
    now: datetime,
    due_at: datetime | None,
    attempts: int = 0,
    **values: Any,
) -> None:
    """End a worker's step: move (when it is a move), post, tell, and give the lease back, in the caller's transaction."""
    moves = row.moves
    if after is not row.payout_state:
        check_move(row.payout_state, after)
        moves += 1
        record_move(unit, row.id, moves, row.state, after, cause=cause, who=WORKER, at=now)
        _post(unit, row, after, values, now=now)
        announce_payout(unit, context, row, after, now=now)
        end_wait_for_approval(unit, row, after, now=now)
        values["updated_at"] = now
    release(
        unit,
        payout_table,
        row.id,
        token,
        due_at=due_at,
        attempts=attempts,
        state=after.value,
        moves=moves,
        **values,
    )


def postpone(context: Context, row: PayoutRow, token: str, wait: timedelta, note: str) -> None:
    """End a step that changed nothing: say why, and when to look again."""
    now = context.clock()
    with context.database.write() as unit:
        release(unit, payout_table, row.id, token, due_at=now + wait, attempts=row.attempts + 1, note=note[:500])


def hold(
    unit: Unit,
    context: Context,
    row: PayoutRow,
    token: str,
    after: PayoutState,
    *,
    kind: str,
    why: str,
    now: datetime,
) -> None:
    """Put a payout on hold, or before a person, with a case that says why in words."""
    reopen_case(unit, context.new_id("case"), kind=kind, subject=row.id, detail=why, at=now)
    conclude(unit, context, row, token, after, cause=why, now=now, due_at=None, note=why[:500])


def _post(unit: Unit, row: PayoutRow, after: PayoutState, values: dict[str, Any], *, now: datetime) -> None:
    """Postings of a move. Funds leave the reservation once, whichever state first says that they were collected."""
    if after in DEAD:
        post_reserved(unit, row, Book.FREE, at=now)
        payouts.release_items(unit, row.id, at=now)
        return
    collected = PROGRESS.get(after, -1) >= PROGRESS[PayoutState.FUNDED]
    if collected and not ledger.has_posting(unit, f"{row.id}/in_transit"):
        post_reserved(unit, row, Book.IN_TRANSIT, at=now)
    if after is PayoutState.COMPLETED:
        _post_credit(unit, row, values, now=now)


def post_reserved(unit: Unit, row: PayoutRow, to: Book, *, at: datetime) -> None:
    """The reservation ends: back to free, or into transit. Each can happen once."""
    asset = on_network(row.asset, row.network)
    name = "in_transit" if to is Book.IN_TRANSIT else "released"
    posting = move(row.store_id, asset, to, Book.RESERVED, row.amount_minor, key=f"{row.id}/{name}", cause=row.id)
    ledger.post(unit, [posting], at=at)


def _post_credit(unit: Unit, row: PayoutRow, values: dict[str, Any], *, now: datetime) -> None:
    """The two posted facts of a payout: the asset sent and the bank credit, each its own side of ``exchange``."""
    asset = on_network(row.asset, row.network)
    legs = [
        move(
            row.store_id,
            asset,
            Book.EXCHANGE,
            Book.IN_TRANSIT,
            row.amount_minor,
            key=f"{row.id}/sent",
            cause=row.id,
        )
    ]
    minor = values.get("credit_minor", row.credit_minor)
    currency = values.get("credit_currency", row.credit_currency)
    if minor and currency:
        credit = Money(minor, currency)
        legs.append(
            move(
                row.store_id,
                credit.currency,
                Book.BANK,
                Book.EXCHANGE,
                credit.minor,
                key=f"{row.id}/credit",
                cause=row.id,
            )
        )
    ledger.post(unit, legs, at=now)


def end_wait_for_approval(unit: Unit, row: PayoutRow, after: PayoutState, *, now: datetime) -> None:
    """The case of a mandate that no longer held ends with another mandate, or with the payout."""
    if after is PayoutState.APPROVED or after in DEAD:
        close_by_proof(unit, kind="payout_needs_approval", subject=row.id, note=f"it is {after.value}", at=now)


def announce_payout(unit: Unit, context: Context, row: PayoutRow, after: PayoutState, *, now: datetime) -> None:
    """Tell the store, for the states its back office hears about."""
    if after not in ANNOUNCED:
        return
    announce(
        unit, context, store_id=row.store_id, subject=row.id, payment_id=None, kind=f"payout.{after.value}",
        sequence=notifications.next_sequence(unit, row.id),
        data={"id": row.id, "status": after.value, "asset": row.asset, "network": row.network,
              "amount": row.amount.plain()},
        now=now,
    )  # fmt: skip
