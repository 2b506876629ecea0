"""When news never comes: a named person says, with evidence, what Stable Mint's missing event would have said.

The deposit moves exactly as by its event. Should that event still come, it finds nothing new; should it state another amount,
it is parked for a person, as two events would be.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from checkout.context import Context
from checkout.errors import AmountRefused, NotFound, NotPossible, RequestRefused
from checkout.paying.reckoning import reckon
from checkout.rules.deposits import Stage, advance
from checkout.rules.money import Money, parse_amount
from checkout.store import payments
from checkout.store.engine import Unit
from checkout.store.moves import record_act, record_move
from checkout.store.records import DepositRow, PaymentRow
from checkout.treasury import declare

EVIDENCE_MAX: Final = 400


class LateNews:
    """The operator's verb."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def settled(self, ident: str, *, amount: str | None, evidence: str, who: str) -> dict[str, Any]:
        """A deposit that was heard of is settled, as a statement of Stable Mint's shows.

        ``amount``, in the payment's currency, is needed while no event has stated one. RequestRefused names bad fields,
        NotPossible says why this deposit cannot be settled so.
        """
        evidence = evidence.strip()
        if not 1 <= len(evidence) <= EVIDENCE_MAX:
            raise RequestRefused(
                {"evidence": f"say in 1 to {EVIDENCE_MAX} characters which statement or message shows it"}
            )
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            known = payments.deposit_by_id(unit, ident) or payments.deposit_by_reference(unit, ident)
            if known is None:
                raise NotFound("deposit", ident)
            payment = payments.payment_by_id(unit, known.payment_id, lock=True)
            deposit = payments.deposit_by_id(unit, known.id)
            if payment is None or deposit is None:  # pragma: no cover - a foreign key holds it
                raise NotFound("deposit", ident)
            if deposit.stage == Stage.SETTLED:
                raise NotPossible(f"deposit {deposit.id} is settled already")
            money = _stated(deposit, payment, amount)
            self._settle(unit, deposit, payment, money, evidence, who, now)
        return {
            "deposit": deposit.id,
            "stage": Stage.SETTLED.value,
            "amount": money.fixed(),
            "currency": money.currency,
        }

    def _settle(
        self, unit: Unit, deposit: DepositRow, payment: PaymentRow, money: Money, evidence: str, who: str, now: datetime
    ) -> None:
        context = self._context
        before = None if deposit.stage is None else Stage(deposit.stage)
        after = advance(before, Stage.SETTLED)
        cause = f"evidence of {who}: {evidence}"
        values: dict[str, Any] = {"stage": after, "settled_at": now, "moves": deposit.moves + 1}
        if deposit.money is None:
            over = payment.expired_at is not None or payment.cancelled_at is not None
            values |= {"amount_minor": money.minor, "currency": money.currency, "late": over}
        payments.update_deposit(unit, deposit.id, **values)
        record_move(unit, deposit.id, deposit.moves + 1, before, after, cause=cause, who=who, at=now)
        record_act(
            unit, context.new_id("act"), who=who, action="deposit settled by evidence", subject=deposit.id, at=now,
            detail={"evidence": evidence, "amount": money.fixed(), "currency": money.currency},
        )  # fmt: skip
        reckon(unit, context, payment, cause=cause, now=now, who=who, last_news_at=now)
        declare(unit, context, deposit.id, now=now)


def _stated(deposit: DepositRow, payment: PaymentRow, amount: str | None) -> Money:
    """What the deposit brought: as its events stated, else as the person states."""
    if amount is None:
        if deposit.money is None:
            raise RequestRefused({"amount": "no event has stated one; say what Stable Mint's statement shows"})
        return deposit.money
    try:
        stated = parse_amount(amount, deposit.currency or payment.currency)
    except AmountRefused as problem:
        raise RequestRefused({"amount": str(problem)}) from None
    if deposit.money is not None and deposit.money != stated:
        raise RequestRefused({"amount": f"an event has stated {deposit.money}; ask Stable Mint which is true"})
    return stated
