"""One piece of news about a deposit, applied: the same whether an event brought it or a person who stands in for the event.

Called with the payment's row locked. What is new moves the deposit forward, and everything that follows from it (the payment's
standing, postings, a declared settlement record) happens in the same transaction; what is not new changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from checkout.context import Context
from checkout.paying.reckoning import reckon
from checkout.rules.deposits import FAILED, Stage, advance
from checkout.rules.money import Money
from checkout.store import events, payments
from checkout.store.engine import Unit
from checkout.store.moves import WORKER, record_move
from checkout.store.records import DepositRow, PaymentRow, SessionRow
from checkout.treasury import declare, withdraw_declared


@dataclass(frozen=True, slots=True)
class News:
    """What is said of a deposit, and by whom."""

    reference: str  #: the provider's, of the deposit
    stated: str  #: a stage, or that it failed
    money: Money | None  #: of a stage at which money has arrived
    foreign: bool  #: it says that the money went to a destination that is not ours
    cause: str
    who: str = WORKER


def receive(
    unit: Unit, context: Context, payment: PaymentRow, session: SessionRow, deposit: DepositRow | None, news: News,
    *, now: datetime,
) -> tuple[bool, str]:  # fmt: skip
    """Store what the news adds, and all that follows; (anything new?, deposit id). ``deposit`` is the one of its reference."""
    changed, ident = _move(unit, context, payment, session, deposit, news, now)
    if not changed:
        return False, ident
    if deposit is not None and deposit.settlement_record_id is not None:
        withdraw_declared(unit, context, ident, now=now)
    reckon(unit, context, payment, cause=news.cause, now=now, who=news.who, last_news_at=now)
    if news.stated == Stage.SETTLED:
        declare(unit, context, ident, now=now)
    return True, ident


def entered_by_hand(unit: Unit, session: SessionRow, *, but: str) -> list[DepositRow]:
    """Deposits of the session with money that no event has named: a person's evidence. The one of reference ``but`` apart."""
    others = [
        one
        for one in payments.deposits_of(unit, session.payment_id)
        if one.session_id == session.id and one.reference != but and one.money is not None
    ]
    return [one for one in others if not events.names_anything(unit, one.id)]


def _move(
    unit: Unit, context: Context, payment: PaymentRow, session: SessionRow, deposit: DepositRow | None, news: News,
    now: datetime,
) -> tuple[bool, str]:  # fmt: skip
    stated, money = news.stated, news.money
    before = None if deposit is None or deposit.stage is None else Stage(deposit.stage)
    after = before if stated == FAILED else advance(before, Stage(stated))
    failed = stated == FAILED or (deposit is not None and deposit.failed)
    foreign = news.foreign or (deposit is not None and deposit.foreign)
    arrives = money is not None and (deposit is None or deposit.money is None)
    values: dict[str, Any] = {"stage": after, "failed": failed, "foreign": foreign}
    if arrives and money is not None:
        over = (payment.expired_at, payment.cancelled_at, session.ended_at)
        late = any(moment is not None for moment in over)
        values |= {"amount_minor": money.minor, "currency": money.currency, "late": late}
    if after is Stage.SETTLED and before is not Stage.SETTLED:
        values["settled_at"] = now
    if deposit is None:
        ident = context.new_id("dep")
        values = {
            "id": ident, "reference": news.reference, "session_id": session.id, "payment_id": payment.id,
            "store_id": payment.store_id, "late": False, "refund_live": False, "created_at": now, "moves": 1, **values,
        }  # fmt: skip
        payments.insert_deposit(unit, values)
        record_move(unit, ident, 1, None, stated, cause=news.cause, who=news.who, at=now)
        events.make_unmatched_due(unit, now=now, reference=news.reference)
        return True, ident
    new_failure = failed and not deposit.failed
    if after is before and not new_failure and not arrives and foreign == deposit.foreign:
        return False, deposit.id
    moved = after is not before or new_failure
    payments.update_deposit(unit, deposit.id, moves=deposit.moves + moved, **values)
    if moved:
        record_move(unit, deposit.id, deposit.moves + 1, before, stated, cause=news.cause, who=news.who, at=now)
    return True, deposit.id
