"""What only a named person may say of a refund, with evidence; and what an operator allows a store's own requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, assert_never

from checkout.context import Context
from checkout.errors import AmountRefused, NotFound, NotPossible, RequestRefused
from checkout.inbox import IDENT_CHARS_MAX
from checkout.refunding.refund_moves import locked, moved
from checkout.refunding.refunds import RefundAnswer, Refunds
from checkout.rules.money import CURRENCY_EXPONENTS, Money, parse_amount
from checkout.rules.refunds import UNDER_WAY, UNSENT, RefundState
from checkout.rules.work import step_deadline
from checkout.store import events, payments, refunds, stores
from checkout.store.engine import Taken, Unit
from checkout.store.moves import record_act
from checkout.store.records import PaymentRow, RefundRow

EVIDENCE_MAX: Final = 500


class Resolution(StrEnum):
    """What a person may say."""

    SENT = "sent"  #: the shopper's money has left: a statement, Stable Mint's word
    FAILED = "failed"  #: no withdrawal exists, or it came to nothing: its money is refundable again
    FUNDED = "funded"  #: money was brought to Stable Mint for it
    STOPPED = "stopped"  #: it was not sent and is given up


class RefundResolving:
    """Verbs that need a named person and evidence."""

    def __init__(self, context: Context, refunds_: Refunds) -> None:
        self._context = context
        self._refunds = refunds_

    def resolve(
        self, ident: str, resolution: Resolution, *, evidence: str, who: str, withdrawal: str | None = None
    ) -> RefundAnswer:
        """Say what became of a refund. Raises RequestRefused without evidence, NotPossible when it cannot be so.

        ``withdrawal``: Stable Mint's reference of what was sent, so that its news finds the refund.
        """
        evidence = evidence.strip()
        if not 1 <= len(evidence) <= EVIDENCE_MAX:
            raise RequestRefused({"evidence": f"say in 1 to {EVIDENCE_MAX} characters where you saw it"})
        withdrawal = _reference(withdrawal, resolution)
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            payment, row = locked(unit, ident)
            cause = f"{resolution.value}, by {who}: {evidence}"
            match resolution:
                case Resolution.FUNDED:
                    self._funded(unit, payment, row, cause, who, now)
                case Resolution.STOPPED:
                    if row.refund_state not in UNSENT:
                        raise NotPossible(
                            f"refund {ident} is {row.state}: it may have been sent, and cannot be stopped"
                        )
                    moved(unit, context, payment, row, RefundState.FAILED, cause=cause, who=who, now=now)
                case Resolution.SENT if row.refund_state is RefundState.REQUESTED and row.in_doubt_since is not None:
                    moved(unit, context, payment, row, RefundState.SENT, cause=cause, who=who, now=now)
                case Resolution.SENT | Resolution.FAILED:
                    self._became(unit, payment, row, resolution, cause, who, now)
                case _:
                    assert_never(resolution)
            named = {} if withdrawal is None else {"withdrawal": withdrawal}
            if withdrawal is not None:
                self._name(unit, row, withdrawal, now)
            record_act(
                unit, context.new_id("act"), who=who, action=f"refund resolved {resolution.value}", subject=ident,
                detail={"evidence": evidence, "amount": row.amount.fixed(), "currency": row.currency, **named}, at=now,
            )  # fmt: skip
        return self._refunds.get(ident)

    def _name(self, unit: Unit, row: RefundRow, withdrawal: str, now: datetime) -> None:
        """Keep the reference of the withdrawal that was made; what had come of it before is looked at again."""
        if row.reference not in (None, withdrawal):
            raise NotPossible(
                f"Stable Mint's news names the withdrawal of refund {row.id} {row.reference}; ask them about both"
            )
        theirs = payments.sessions_named(unit, reference=withdrawal, provider_session_id=None, ours=None)
        if theirs or payments.deposit_by_reference(unit, withdrawal) is not None:
            raise NotPossible(f"{withdrawal} is the reference of a deposit; give the withdrawal's own")
        try:
            refunds.update_refund(unit, row.id, reference=withdrawal)
        except Taken:
            raise NotPossible(
                f"{withdrawal} is the withdrawal of another refund, and one withdrawal pays one: `checkout trace {withdrawal}`"
            ) from None
        events.make_unmatched_due(unit, now=now, reference=withdrawal)

    def _funded(self, unit: Unit, payment: PaymentRow, row: RefundRow, cause: str, who: str, now: datetime) -> None:
        """Money brought from outside; from here on the refund is paid from it and no longer from its deposit."""
        if row.refund_state is not RefundState.NEEDS_FUNDING:
            raise NotPossible(f"refund {row.id} is {row.state}; only one that needs funding can be funded")
        refunds.update_refund(unit, row.id, funded_at=now)
        found = refunds.refund_by_id(unit, row.id)
        if found is None:  # pragma: no cover - refunds are never deleted
            raise NotFound("refund", row.id)
        self._refunds.restand(unit, payment, found, cause=cause, who=who, now=now)

    def _became(
        self, unit: Unit, payment: PaymentRow, row: RefundRow, resolution: Resolution, cause: str, who: str,
        now: datetime,
    ) -> None:  # fmt: skip
        attempt = refunds.withdrawal_of(unit, row.id)
        if row.refund_state not in UNDER_WAY or attempt is None:
            raise NotPossible(_why_not(row, resolution))
        # a process frozen between its last look and the first byte may still send, until its lease and its call are over
        lease = self._context.lease
        over = attempt.first_sent_at + lease + step_deadline(lease)
        if now < over:
            raise NotPossible(f"it may still be on its way; say so from {over.isoformat(timespec='seconds')} on")
        gone = resolution is Resolution.FAILED
        refunds.update_attempt(unit, attempt.id, state="dead" if gone else "accepted", evidence=cause[:500])
        after = RefundState.FAILED if gone else RefundState.SENT
        moved(unit, self._context, payment, row, after, cause=cause, who=who, now=now)

    # --- what a store's own requests may do ----------------------------------------------------------------------

    def rule(
        self, store_name: str, *, currency: str, limit: str | None, hosted_withdrawal: bool | None, who: str
    ) -> Mapping[str, Any]:
        """Set how much a store's API may have sent in 24 hours without a person (default 0), and whether its account may use
        ``/withdrawal/hosted``. What is None stays. RequestRefused with bad fields.
        """
        context = self._context
        now = context.clock()
        problems: dict[str, str] = {}
        amount: Money | None = None
        if currency not in CURRENCY_EXPONENTS:
            problems["currency"] = "it is not a currency this service knows"
        elif limit is not None:
            try:
                amount = parse_amount(limit, currency, positive=False)
            except AmountRefused as problem:
                problems["limit"] = str(problem)
        if problems:
            raise RequestRefused(problems)
        with context.database.write() as unit:
            store = stores.find_store(unit, store_name)
            if store is None:
                raise NotFound("store", store_name)
            before = refunds.rule_of(unit, store.id, currency, lock=True) or {
                "limit_minor": 0,
                "hosted_withdrawal": False,
            }
            values: dict[str, Any] = {
                "store_id": store.id, "currency": currency,
                "limit_minor": before["limit_minor"] if amount is None else amount.minor,
                "hosted_withdrawal": before["hosted_withdrawal"] if hosted_withdrawal is None else hosted_withdrawal,
                "created_at": now, "created_by": who,
            }  # fmt: skip
            refunds.set_rule(unit, values)
            shown = {
                "store": store.id, "currency": currency, "limit": Money(values["limit_minor"], currency).fixed(),
                "hosted_withdrawal": values["hosted_withdrawal"],
            }  # fmt: skip
            record_act(
                unit, context.new_id("act"), who=who, action="refund rule set", subject=store.id, detail=shown, at=now
            )
        return shown


def _reference(text: str | None, resolution: Resolution) -> str | None:
    if text is None:
        return None
    text = text.strip()
    if resolution is not Resolution.SENT:
        raise RequestRefused({"withdrawal": "only a refund that was sent has one"})
    if not 1 <= len(text) <= IDENT_CHARS_MAX or not text.isprintable():
        raise RequestRefused(
            {"withdrawal": f"give Stable Mint's reference in 1 to {IDENT_CHARS_MAX} printable characters"}
        )
    return text


def _why_not(row: RefundRow, resolution: Resolution) -> str:
    """Why nobody can say this of a refund of which no withdrawal is known here, and what may be done instead."""
    stopped = f"`checkout refunds resolve {row.id} stopped --evidence TEXT`"
    if row.refund_state not in UNSENT:
        return f"refund {row.id} is {row.state}; nobody has to say what became of it"
    if row.in_doubt_since is None:
        how = "waits for a worker to send it" if row.approved_by else "was not sent"
        return (
            f"refund {row.id} is {row.state} and {how}; nobody has to say what became of it, and {stopped} gives it up"
        )
    if resolution is Resolution.FAILED:
        return (
            f"refund {row.id} is {row.state}: if no withdrawal of it was sent, have one made with `checkout refunds approve "
            f"{row.id}`, or give it up with {stopped}"
        )
    first = (
        f"give what is missing first, with `checkout refunds details {row.id}`"
        if row.refund_state is RefundState.NEEDS_DETAILS
        else f"say first that it was funded, with `checkout refunds resolve {row.id} funded --evidence TEXT`"
    )
    return f"refund {row.id} is {row.state}; {first}, and then that it was sent"
