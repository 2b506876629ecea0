"""What time alone decides about a payment: expiry, the news of a failure, and silence that needs a person."""

from __future__ import annotations

from datetime import datetime, timedelta

from checkout.context import Context
from checkout.errors import NotFound
from checkout.paying.reckoning import expires_at, next_look, reckon, silent_since, tell_by_clock
from checkout.rules.payments import NOTIFIED_BY_CLOCK, Status
from checkout.rules.work import SENDER_LAST_TRY
from checkout.store import payments
from checkout.store.engine import Unit
from checkout.store.moves import reopen_case
from checkout.store.records import PaymentRow
from checkout.store.tables import payment as payment_table
from checkout.store.work import release


class Clockwork:
    """The worker's look at a payment whose time has come."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def step(self, ident: str, token: str) -> None:
        """Expire it, tell of its failure, or open a case about its silence; then say when to look again."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            payment = self._read(unit, ident, lock=True)
            status = payment.state
            if status in (Status.CREATED, Status.OPEN) and now >= expires_at(context, payment):
                payment = reckon(unit, context, payment, cause="the clock", now=now, expired_at=now)
                status = payment.state
            if status in NOTIFIED_BY_CLOCK:
                tell_by_clock(unit, context, payment, now=now)
            due_at = self._look_for_silence(unit, payment, status, now)
            release(unit, payment_table, ident, token, due_at=due_at, attempts=0)

    def _read(self, unit: Unit, ident: str, *, lock: bool = False) -> PaymentRow:
        payment = payments.payment_by_id(unit, ident, lock=lock)
        if payment is None:
            raise NotFound("payment", ident)
        return payment

    def _look_for_silence(self, unit: Unit, payment: PaymentRow, status: Status, now: datetime) -> datetime | None:
        context = self._context
        deadline = silent_since(context, payment, status)
        if deadline is None:
            notified = status.value if status in NOTIFIED_BY_CLOCK else payment.notified_status
            return next_look(context, payment, status, notified, now=now)
        if now < deadline:
            return deadline
        since = payment.last_news_at or payment.created_at
        last_try = since + context.scaled(SENDER_LAST_TRY)
        told = [f"{one.reference} ({one.stage or 'failed'})" for one in payments.deposits_of(unit, payment.id)]
        reopen_case(
            unit, context.new_id("case"), kind=f"silent_{status.value}", subject=payment.id, at=now,
            detail=f"{status.value} with no news since {_minute(since)}; had Stable Mint sent any then, its last try would "
            f"have been at {_minute(last_try)}. Ask them by: {', '.join(told)[:400]}",
        )  # fmt: skip
        return None


def _minute(moment: datetime) -> str:
    return (moment - timedelta(seconds=moment.second, microseconds=moment.microsecond)).isoformat()
