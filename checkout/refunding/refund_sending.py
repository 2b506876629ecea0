"""The worker's part of a refund: send its one withdrawal, once, and never again.

The attempt, with its own key, is committed before the first byte. What the provider does not answer clearly is ``unknown`` and
is never repeated: nobody promised that Stable Mint deduplicates withdrawals (providers.md A4). Only its events, or a named
person with evidence, say what became of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Protocol, assert_never

from checkout.config import Mode
from checkout.context import Context
from checkout.errors import LostRace, RequestRefused
from checkout.providers.outcome import Accepted, Declined, Outcome, Unknown
from checkout.providers.stable_mint import OpenedWithdrawal
from checkout.providers.withdrawal_request import WithdrawalRequest, check_withdrawal
from checkout.refunding.refund_moves import REFUND_SILENCE, locked, moved
from checkout.refunding.refunds import Refunds, call_of
from checkout.rules.refunds import RefundState
from checkout.rules.work import POLL_SLOW
from checkout.store import events, refunds, stores
from checkout.store.engine import Unit
from checkout.store.moves import WORKER, open_case, reopen_case
from checkout.store.records import AttemptRow, PaymentRow, RefundRow
from checkout.store.tables import refund as refund_table
from checkout.store.work import holds, release

NEVER_AGAIN: Final = (
    "it is not sent again. Look in Stable Mint's dashboard or ask them with the two identifiers of `checkout refunds show "
    "{id}`; then `checkout refunds resolve {id} sent|failed --evidence TEXT`"
)


class Withdrawer(Protocol):
    """Stable Mint, as far as refunds go."""

    def withdraw(self, request: WithdrawalRequest) -> Outcome[OpenedWithdrawal]: ...


class RefundSending:
    """The worker's step for a refund."""

    def __init__(self, context: Context, stable_mint: Withdrawer, refunds_: Refunds) -> None:
        self._context = context
        self._stable_mint = stable_mint
        self._refunds = refunds_

    def step(self, ident: str, token: str) -> None:
        """Send what is approved; say unknown of what a dead process may have sent; notice silence."""
        now = self._context.clock()
        with self._context.database.write() as unit:
            payment, row = self._claimed(unit, ident, token)
            if row.refund_state is RefundState.REQUESTED and row.approved_by is not None:
                request = self._commit(unit, payment, row, token, now)
            else:
                request = None
                self._look(unit, payment, row, token, now)
        if request is not None and self._may_send(payment, ident, token):
            self._record(ident, token, self._stable_mint.withdraw(request))

    def _claimed(self, unit: Unit, ident: str, token: str) -> tuple[PaymentRow, RefundRow]:
        payment, row = locked(unit, ident)
        if row.lease_token != token:
            raise LostRace(f"the lease on refund {ident} was lost")
        return payment, row

    # --- before the first byte -----------------------------------------------------------------------------------

    def _commit(
        self, unit: Unit, payment: PaymentRow, row: RefundRow, token: str, now: datetime
    ) -> WithdrawalRequest | None:
        """Store the attempt and what it will say of itself; None when the refund cannot be sent now."""
        context = self._context
        paused = stores.why_paused(unit, payment.store_id)
        if paused is not None:
            wait = context.scaled(POLL_SLOW)
            release(unit, refund_table, row.id, token, due_at=now + wait, attempts=row.attempts, note=paused[:500])
            return None
        if self._refunds.standing(unit, payment, row) is not RefundState.REQUESTED:
            refunds.update_refund(unit, row.id, approved_by=None, approved_at=None)  # what was approved holds no more
            self._refunds.restand(unit, payment, row, cause="it can no longer be sent as approved", who=WORKER, now=now)
            release(unit, refund_table, row.id, token, due_at=None)
            return None
        request = WithdrawalRequest(
            call=call_of(payment),
            amount=row.amount,
            country=self._country(unit, payment),
            user_id=self._user_id(unit, payment),
            details=self._refunds.known_details(unit, payment, row),
            idempotency_key=context.new_uuid(),
            website_reference=context.new_uuid(),
            custom_fields={"refund": row.id, "order": payment.order_ref},
        )
        try:
            check_withdrawal(request, sandbox=context.settings.mode is Mode.SANDBOX)
        except RequestRefused as refused:
            self._refused(unit, payment, row, f"not sent: {refused}", now)
            release(unit, refund_table, row.id, token, due_at=None)
            return None
        refunds.insert_withdrawal(unit, context.new_id("att"), row.id, request.idempotency_key, at=now)
        # due at once, under the lease: should this process die, the next claim finds an attempt that may have been sent
        moved(
            unit, context, payment, row, RefundState.SENDING, cause=f"approved by {row.approved_by}", who=WORKER, now=now,
            website_reference=request.website_reference, due_at=now, note="",
        )  # fmt: skip
        return request

    def _country(self, unit: Unit, payment: PaymentRow) -> str:
        customer = None if payment.customer_id is None else stores.customer_by_id(unit, payment.customer_id)
        return payment.country if customer is None else customer.country or payment.country

    def _user_id(self, unit: Unit, payment: PaymentRow) -> str | None:
        customer = None if payment.customer_id is None else stores.customer_by_id(unit, payment.customer_id)
        return None if customer is None else customer.provider_user_id

    def _may_send(self, payment: PaymentRow, ident: str, token: str) -> bool:
        """The last look: lease and pause. Paused here, not a byte was sent, and the attempt is void."""
        context = self._context
        now = context.clock()
        with context.database.read() as unit:
            held = holds(unit, refund_table, ident, token, now=now)
            paused = stores.why_paused(unit, payment.store_id)
        if not held:
            raise LostRace(f"the lease on refund {ident} was lost")
        if paused is None:
            return True
        with context.database.write() as unit:
            payment, row = self._claimed(unit, ident, token)
            evidence = f"paused before its first byte: {paused}"
            refunds.update_attempt(unit, self._attempt(unit, ident).id, state="dead", evidence=evidence)
            moved(unit, context, payment, row, RefundState.REQUESTED, cause=paused, who=WORKER, now=now)
            wait = context.scaled(POLL_SLOW)
            release(unit, refund_table, ident, token, due_at=now + wait, attempts=row.attempts + 1, note=paused[:500])
        return False

    def _attempt(self, unit: Unit, ident: str) -> AttemptRow:
        attempt = refunds.withdrawal_of(unit, ident)
        if attempt is None:  # pragma: no cover - it was committed before
            raise LostRace(f"refund {ident} has no attempt")
        return attempt

    # --- after it ------------------------------------------------------------------------------------------------

    def _record(self, ident: str, token: str, outcome: Outcome[OpenedWithdrawal]) -> None:
        """Store the answer. News may have been faster: what it has moved stays."""
        now = self._context.clock()
        with self._context.database.write() as unit:
            payment, row = self._claimed(unit, ident, token)
            attempt = self._attempt(unit, ident)
            open_ = attempt.state == "pending" and row.refund_state is RefundState.SENDING
            match outcome:
                case Accepted(value=opened):
                    self._taken(unit, row, attempt.id, opened, now)
                case Declined(status=status, message=message):
                    if open_:
                        words = f"{status} {outcome.code or ''}: {message}"
                        refunds.update_attempt(unit, attempt.id, state="declined", evidence=words[:500])
                        self._refused(unit, payment, row, f"Stable Mint declined the withdrawal, {words}", now)
                        self._refused_us(unit, status, now)
                case Unknown(reason=reason):
                    if open_:
                        refunds.update_attempt(unit, attempt.id, state="unknown", unknowns=1, evidence=reason[:500])
                        self._unknown(unit, payment, row, reason, now)
                case _:
                    assert_never(outcome)
            row = locked(unit, ident)[1]
            release(unit, refund_table, ident, token, due_at=self._due(row, now), attempts=0)

    def _due(self, row: RefundRow, now: datetime) -> datetime | None:
        waits = row.refund_state in (RefundState.SENDING, RefundState.ACCEPTED)
        return now + self._context.scaled(REFUND_SILENCE) if waits else None

    def _taken(self, unit: Unit, row: RefundRow, attempt_id: str, opened: OpenedWithdrawal, now: datetime) -> None:
        """It is at the provider. Which one it is must be beyond doubt: one withdrawal has one reference."""
        context = self._context
        refunds.update_attempt(unit, attempt_id, state="accepted", evidence=f"reference {opened.reference}")
        owners = refunds.refunds_named(unit, reference=opened.reference, ours=None)
        if row.reference not in (None, opened.reference) or any(one.id != row.id for one, _ in owners):
            reopen_case(
                unit, context.new_id("case"), kind="refund_contradiction", subject=row.id, at=now,
                detail=f"Stable Mint answered with reference {opened.reference}, which is not this withdrawal's: is there a "
                "second one?",
            )  # fmt: skip
            return
        learnt: dict[str, Any] = {"reference": opened.reference, "note": ""}
        if opened.shopper_url is not None:
            learnt["shopper_url_sealed"] = context.sealer.seal_text(opened.shopper_url)
        refunds.update_refund(unit, row.id, **learnt)
        events.make_unmatched_due(unit, now=now, reference=opened.reference)

    def _refused(self, unit: Unit, payment: PaymentRow, row: RefundRow, words: str, now: datetime) -> None:
        context = self._context
        reopen_case(
            unit, context.new_id("case"), kind="refund_declined", subject=row.id, at=now,
            detail=f"{words}; nothing was sent. Its money is refundable again",
        )  # fmt: skip
        moved(unit, context, payment, row, RefundState.FAILED, cause=words, who=WORKER, now=now, note=words[:500])

    def _refused_us(self, unit: Unit, status: int, now: datetime) -> None:
        if status in (401, 403):
            reopen_case(
                unit, self._context.new_id("case"), kind="stable_mint_refuses_us", subject="installation",
                detail=f"Stable Mint answered {status}: check API key, secret, private key and clock", at=now,
            )  # fmt: skip

    def _unknown(self, unit: Unit, payment: PaymentRow, row: RefundRow, reason: str, now: datetime) -> None:
        context = self._context
        note = f"nobody knows whether it was carried out ({reason})"
        reopen_case(
            unit, context.new_id("case"), kind="refund_unknown", subject=row.id, at=now,
            detail=f"{note}; {NEVER_AGAIN.format(id=row.id)}",
        )  # fmt: skip
        moved(unit, context, payment, row, RefundState.UNKNOWN, cause=note, who=WORKER, now=now, note=note[:500])

    # --- what is not to be sent ----------------------------------------------------------------------------------

    def _look(self, unit: Unit, payment: PaymentRow, row: RefundRow, token: str, now: datetime) -> None:
        """An attempt without an answer: the process that made it is gone. One with an answer: no news has come."""
        context = self._context
        attempt = refunds.withdrawal_of(unit, row.id)
        if row.refund_state is RefundState.SENDING and attempt is not None and attempt.state == "pending":
            refunds.update_attempt(
                unit, attempt.id, state="unknown", unknowns=1, evidence="the process that sent it is gone"
            )
            self._unknown(unit, payment, row, "the process that sent it is gone", now)
        elif row.refund_state in (RefundState.SENDING, RefundState.ACCEPTED):
            open_case(
                unit, context.new_id("case"), kind="refund_silent", subject=row.id, at=now,
                detail=f"{row.state} since {(row.updated_at or row.created_at).isoformat()} and no news; ask Stable Mint with "
                f"reference {row.reference or 'none yet'}",
            )  # fmt: skip
        release(unit, refund_table, row.id, token, due_at=None)
