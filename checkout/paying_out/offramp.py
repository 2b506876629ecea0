"""The worker's part of a payout up to its transfer: standing, quote, mandate, transfer. One decision a step.

Every call that creates something at Stables is an attempt whose key is committed before the first byte. A timeout is
unknown: the same key is sent again while the provider remembers it, afterwards nothing is resent and the provider's list
is read instead (:mod:`checkout.paying_out.transfers`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

from checkout.context import Context
from checkout.errors import LostRace, RequestRefused
from checkout.paying_out.automatic_approval import let_policy_approve
from checkout.paying_out.mandates import why_void
from checkout.paying_out.payout_moves import claimed, conclude, hold, postpone
from checkout.paying_out.price_guard import fee_lines, quote_refused, why_refused
from checkout.paying_out.transfers import Following, Stables
from checkout.providers.outcome import Accepted, Declined, Outcome, Unknown
from checkout.providers.stables_codes import code_in, in_words
from checkout.providers.stables_records import Quote, Transfer
from checkout.providers.stables_requests import QuoteRequest, TransferRequest
from checkout.providers.stables_words import standing_words
from checkout.rules.money import Money
from checkout.rules.payouts import TRANSIENT_CODES, PayoutState
from checkout.rules.work import CUSTOMER_READ_MAX_AGE, POLL_SLOW, UNKNOWNS_MAX, backoff
from checkout.store import payouts, policies, stores
from checkout.store.engine import Unit
from checkout.store.moves import close_by_proof, reopen_case
from checkout.store.records import AttemptRow, MandateRow, PayoutAccountRow, PayoutRow, QuoteRow
from checkout.store.tables import attempt as attempt_table
from checkout.store.tables import payout as payout_table
from checkout.store.tables import quote as quote_table
from checkout.store.work import holds, release

#: Refused quotes or transfers after which a person looks instead of another try.
DECLINES_MAX: Final = 3
#: A quote with less than this left is not worth sending.
QUOTE_MARGIN: Final = timedelta(milliseconds=200)


class Offramp:
    """Takes a payout from proposed to a created transfer."""

    def __init__(self, context: Context, stables: Stables) -> None:
        self._context = context
        self._stables = stables

    def step(self, row: PayoutRow, token: str) -> None:
        """Do the next thing for a claimed payout that is proposed, quoted or approved."""
        with self._context.database.read() as unit:
            account = payouts.payout_account_by_id(unit, row.payout_account_id)
            paused = policies.why_paused(unit, row)
        if account is None:  # pragma: no cover - a foreign key holds it
            raise LostRace(f"payout {row.id} has no account")
        if paused is not None:
            postpone(self._context, row, token, self._context.scaled(POLL_SLOW), paused)
            return
        if not self._in_good_standing(row, token, account):
            return
        match row.payout_state:
            case PayoutState.PROPOSED:
                self.quote(row, token, account)
            case PayoutState.QUOTED:
                let_policy_approve(self._context, row, token, account)
            case _:
                self._execute(row, token, account)

    def _retry_wait(self, row: PayoutRow, asked_s: int | None) -> timedelta:
        context = self._context
        wait = context.scaled(backoff(row.attempts + 1, longest=POLL_SLOW, jitter=context.jitter()))
        return max(wait, timedelta(seconds=asked_s or 0))

    # --- standing ------------------------------------------------------------------------------------------------

    def _in_good_standing(self, row: PayoutRow, token: str, account: PayoutAccountRow) -> bool:
        """Whether Stables said, not long ago, that this customer may be paid out to; reads it again when need be."""
        context = self._context
        with context.database.read() as unit:
            known = payouts.standing_of(unit, account.stables_customer_id)
        oldest = context.clock() - context.scaled(CUSTOMER_READ_MAX_AGE)
        if known is not None and known["read_at"] >= oldest and known["base_payout"] == "approved":
            return True
        outcome = self._stables.read_customer(account.stables_customer_id)
        now = context.clock()
        match outcome:
            case Accepted(value=standing):
                approved = standing.base_payout_approved
                with context.database.write() as unit:
                    payouts.keep_standing(
                        unit, account.stables_customer_id, base_payout="approved" if approved else "refused",
                        name=standing.name, at=now,
                    )  # fmt: skip
                    if approved:
                        return True
                    current = claimed(unit, row.id, token, row.payout_state)
                    why = f"Stables has not approved base_payout for the customer: {standing_words(standing)}"
                    self._hold(unit, current, token, "customer_not_approved", why, now)
            case Declined(status=status, message=message):
                with context.database.write() as unit:
                    current = claimed(unit, row.id, token, row.payout_state)
                    self._refused_us(unit, status, now)
                    self._hold(unit, current, token, "customer_unreadable", f"{status}: {message}", now)
            case Unknown(reason=reason, retry_after_s=asked):
                postpone(
                    self._context, row, token, self._retry_wait(row, asked), f"the customer could not be read: {reason}"
                )
            case _:
                assert_never(outcome)
        return False

    def _hold(self, unit: Unit, row: PayoutRow, token: str, kind: str, why: str, now: datetime) -> None:
        payouts.void_mandates(unit, because=why[:200], at=now, payout_id=row.id)
        hold(unit, self._context, row, token, PayoutState.ON_HOLD, kind=kind, why=why, now=now)

    def _refused_us(self, unit: Unit, status: int, now: datetime) -> None:
        if status in (401, 403):
            reopen_case(
                unit, self._context.new_id("case"), kind="stables_refuses_us", subject="installation", at=now,
                detail=f"Stables answered {status}: check STABLES_API_KEY, and that this server's address is on its allowlist",
            )  # fmt: skip

    # --- quote ---------------------------------------------------------------------------------------------------

    def quote(self, row: PayoutRow, token: str, account: PayoutAccountRow) -> QuoteRow | None:
        """Draw one quote and store it, whatever it says. None when there is none (the row is then released).

        An unknown quote moves nothing: the next step makes a new attempt with a new key at once.
        """
        context = self._context
        key, attempt_id = context.new_uuid(), context.new_id("att")
        now = context.clock()
        with context.database.write() as unit:
            claimed(unit, row.id, token, row.payout_state)
            installation = (stores.installation_row(unit) or {}).get("id", "")
            payouts.insert_row(unit, attempt_table, _attempt(attempt_id, "quote", row.id, key, now))
        request = QuoteRequest(
            source=row.amount, source_network=row.network, currency=account.currency, country=account.country,
            network=account.rail, metadata={"installation": installation, "payout": row.id, "attempt": attempt_id},
        )  # fmt: skip
        outcome = self._stables.create_quote(request, key=key)
        match outcome:
            case Accepted(value=drawn):
                return self._keep_quote(row, token, account, attempt_id, drawn)
            case Declined():
                self._quote_declined(row, token, attempt_id, outcome)
            case Unknown(reason=reason, retry_after_s=asked):
                with context.database.write() as unit:
                    payouts.update_attempt(unit, attempt_id, state="unknown", unknowns=1, evidence=reason)
                postpone(self._context, row, token, self._retry_wait(row, asked), f"the quote is unknown: {reason}")
            case _:
                assert_never(outcome)
        return None

    def _keep_quote(
        self, row: PayoutRow, token: str, account: PayoutAccountRow, attempt_id: str, drawn: Quote
    ) -> QuoteRow | None:
        context = self._context
        now = context.clock()
        ident = context.new_id("quo")
        wrong = _quote_problem(drawn, row, account)
        with context.database.write() as unit:
            current = claimed(unit, row.id, token, row.payout_state)
            dear = None if wrong is not None else why_refused(
                unit, row.store_id, drawn.source, drawn.rate, drawn.credit, fee_lines(drawn)
            )  # fmt: skip
            payouts.insert_row(
                unit,
                quote_table,
                {
                    "id": ident, "payout_id": row.id, "attempt_id": attempt_id, "provider_quote_id": drawn.id,
                    "source_minor": drawn.source.minor, "credit_minor": drawn.credit.minor,
                    "credit_currency": drawn.credit.currency, "rate": drawn.rate,
                    "fees": json.dumps([[one.name, one.currency, one.amount] for one in drawn.fees]),
                    "expires_at": drawn.expires_at, "refused": wrong or dear or "",
                    "raw_sealed": context.sealer.seal(drawn.raw), "created_at": now,
                },
            )  # fmt: skip
            payouts.update_attempt(unit, attempt_id, state="accepted", quote_id=ident)
            if wrong is not None:
                self._hold(unit, current, token, "quote_unfit", f"the quote does not fit the payout: {wrong}", now)
                return None
            payouts.update_payout(unit, row.id, quote_id=ident)
            if row.payout_state is PayoutState.PROPOSED:
                current = claimed(unit, row.id, token, PayoutState.PROPOSED)
                if dear is not None:
                    self._too_dear(unit, current, token, dear, now)
                    return None
                conclude(
                    unit, context, current, token, PayoutState.QUOTED, cause=f"quote {drawn.id}", now=now,
                    due_at=None if row.policy_id is None else now, note="",
                )  # fmt: skip
                close_by_proof(unit, kind="price_guard", subject=row.id, note="a quote is inside the guard", at=now)
            return payouts.quote_by_id(unit, ident)

    def _too_dear(self, unit: Unit, row: PayoutRow, token: str, why: str, now: datetime) -> None:
        """A quote outside the guard is kept and another drawn later; after some of them a person looks."""
        refused = [one for one in payouts.quotes_of(unit, row.id)[-DECLINES_MAX:] if one.refused]
        if len(refused) < DECLINES_MAX:
            wait = self._context.scaled(POLL_SLOW)
            release(
                unit, payout_table, row.id, token, due_at=now + wait, attempts=row.attempts + 1, note=why[:500]
            )  # fmt: skip
            return
        self._hold(unit, row, token, "price_guard", f"{DECLINES_MAX} quotes were refused; the last is {why}", now)

    def _quote_declined(self, row: PayoutRow, token: str, attempt_id: str, outcome: Declined) -> None:
        context = self._context
        now = context.clock()
        words = f"{outcome.status} {outcome.code or ''}: {outcome.message}"
        with context.database.write() as unit:
            current = claimed(unit, row.id, token, row.payout_state)
            payouts.update_attempt(unit, attempt_id, state="declined", evidence=words)
            self._refused_us(unit, outcome.status, now)
            declined = [
                one for one in payouts.attempts_of(unit, row.id, "quote")[-DECLINES_MAX:] if one.state == "declined"
            ]
            if code_in(outcome.code, outcome.message) in TRANSIENT_CODES and len(declined) < DECLINES_MAX:
                wait = self._retry_wait(row, outcome.retry_after_s)
                release(
                    unit,
                    payout_table,
                    row.id,
                    token,
                    due_at=now + wait,
                    attempts=row.attempts + 1,
                    note=words[:500],
                )
                return
            why = f"Stables declined the quote: {in_words(outcome.code, words)}"
            self._hold(unit, current, token, "quote_declined", why, now)

    # --- transfer ------------------------------------------------------------------------------------------------

    def _execute(self, row: PayoutRow, token: str, account: PayoutAccountRow) -> None:
        """Carry out the mandate: one transfer, under one attempt, on a quote inside it."""
        with self._context.database.read() as unit:
            mandate = payouts.live_mandate(unit, row.id)
            policy = policies.policy_for(unit, row.store_id, row.asset, row.network)
            open_attempts = [
                one for one in payouts.attempts_of(unit, row.id, "transfer") if one.state in ("pending", "unknown")
            ]
        wrong = why_void(mandate, row, account, policy, self._context.clock())
        if open_attempts:
            self._again(row, token, account, open_attempts[-1], may_send=wrong is None)
            return
        if mandate is None or wrong is not None:
            self._back_to_quoted(row, token, wrong or "there is no mandate")
            return
        quote = self._quote_to_use(row, token, account, mandate)
        if quote is not None:
            self._send(row, token, account, mandate, quote)

    def _quote_to_use(
        self, row: PayoutRow, token: str, account: PayoutAccountRow, mandate: MandateRow
    ) -> QuoteRow | None:
        """The approved quote while it lives and is unused, else one fresh quote, used only inside the mandate."""
        with self._context.database.read() as unit:
            quote = payouts.quote_by_id(unit, row.quote_id or mandate.quote_id)
            used = {one.quote_id for one in payouts.attempts_of(unit, row.id, "transfer")}
        alive = quote is not None and quote.expires_at > self._context.clock() + QUOTE_MARGIN
        if quote is None or not alive or quote.id in used or quote.refused:
            quote = self.quote(row, token, account)
        if quote is None:
            return None
        refused = self._outside(row, mandate, quote)
        if refused is not None:
            with self._context.database.write() as unit:
                payouts.update_quote(unit, quote.id, refused=refused)
            self._back_to_quoted(row, token, refused)
            return None
        return quote

    def _outside(self, row: PayoutRow, mandate: MandateRow, quote: QuoteRow) -> str | None:
        """Why the quote may not be used: less than was approved, or dearer than the guard allows now."""
        least = Money(mandate.min_credit_minor, mandate.currency)
        if quote.credit_currency != least.currency or quote.credit < least:
            return f"outside the mandate: credits {quote.credit}, at least {least} was approved"
        with self._context.database.read() as unit:
            return quote_refused(unit, row.store_id, row.asset, quote)

    def _back_to_quoted(self, row: PayoutRow, token: str, why: str) -> None:
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            current = claimed(unit, row.id, token, PayoutState.APPROVED)
            payouts.void_mandates(unit, because=why[:200], at=now, payout_id=row.id)
            reopen_case(
                unit, context.new_id("case"), kind="payout_needs_approval", subject=row.id, detail=f"approve again: {why}",
                at=now,
            )  # fmt: skip
            conclude(
                unit,
                context,
                current,
                token,
                PayoutState.QUOTED,
                cause=why,
                now=now,
                due_at=None,
                note=why[:500],
            )

    def _send(
        self, row: PayoutRow, token: str, account: PayoutAccountRow, mandate: MandateRow, quote: QuoteRow
    ) -> None:
        """Commit the attempt, look once more, then call."""
        context = self._context
        key, attempt_id = context.new_uuid(), context.new_id("att")
        now = context.clock()
        with context.database.write() as unit:
            claimed(unit, row.id, token, PayoutState.APPROVED)
            values = _attempt(attempt_id, "transfer", row.id, key, now)
            payouts.insert_row(unit, attempt_table, values | {"quote_id": quote.id, "mandate_id": mandate.id})
        self._call(row, token, account, attempt_id, key, quote, first=True)

    def _again(
        self, row: PayoutRow, token: str, account: PayoutAccountRow, attempt: AttemptRow, *, may_send: bool
    ) -> None:
        """An attempt whose outcome is unknown: the same key while it is good, then reading instead of sending.

        Without a mandate that holds nothing is sent, the same key included.
        """
        context = self._context
        now = context.clock()
        fresh = now - attempt.first_sent_at <= context.scaled(context.settings.stables.key_lifetime)
        with context.database.read() as unit:
            quote = payouts.quote_by_id(unit, attempt.quote_id or "")
        if quote is None:  # pragma: no cover - an attempt at a transfer is stored with its quote
            raise LostRace(f"attempt {attempt.id} has no quote")
        if not (fresh and may_send) or attempt.unknowns >= UNKNOWNS_MAX:
            Following(context, self._stables).reconcile(row, token, account, attempt, quote)
            return
        with context.database.write() as unit:
            claimed(unit, row.id, token, PayoutState.APPROVED)
            payouts.update_attempt(unit, attempt.id, sends=attempt.sends + 1)
        self._call(row, token, account, attempt.id, attempt.key, quote, first=False)

    def _call(
        self, row: PayoutRow, token: str, account: PayoutAccountRow, attempt_id: str, key: str, quote: QuoteRow, *,
        first: bool,
    ) -> None:  # fmt: skip
        context = self._context
        with context.database.read() as unit:
            held = holds(unit, payout_table, row.id, token, now=context.clock())
            paused = policies.why_paused(unit, row)
            installation = (stores.installation_row(unit) or {}).get("id", "")
        if not held:
            raise LostRace(f"the lease on payout {row.id} was lost")
        if paused is not None:
            postpone(self._context, row, token, context.scaled(POLL_SLOW), paused)
            return
        bank: Mapping[str, object] = json.loads(context.sealer.open_text(account.bank_sealed))
        request = TransferRequest(
            quote_id=quote.provider_quote_id, customer_id=account.stables_customer_id, bank=bank,
            purpose_code=account.purpose_code,
            metadata={"installation": installation, "payout": row.id, "attempt": attempt_id},
        )  # fmt: skip
        try:
            outcome: Outcome[Transfer] = self._stables.create_transfer(request, key=key)
        except RequestRefused as refused:
            outcome = Declined(0, f"not sent, the payout account is unfit: {refused}")
        self._record_transfer(row, token, account, attempt_id, quote, outcome, first=first)

    def _record_transfer(
        self, row: PayoutRow, token: str, account: PayoutAccountRow, attempt_id: str, quote: QuoteRow,
        outcome: Outcome[Transfer], *, first: bool,
    ) -> None:  # fmt: skip
        context = self._context
        match outcome:
            case Accepted(value=transfer):
                Following(context, self._stables).adopt(row, token, attempt_id, quote, transfer)
            case Declined() if first:
                self._transfer_declined(row, token, attempt_id, outcome)
            case Declined(status=status, message=message):
                # a refusal of the repeat says nothing about the first try: read instead of sending again
                self._unknown(
                    row, token, attempt_id, f"the repeat was refused, {status}: {message}", None, UNKNOWNS_MAX
                )
            case Unknown(reason=reason, retry_after_s=asked):
                self._unknown(row, token, attempt_id, reason, asked, 1)
            case _:
                assert_never(outcome)

    def _unknown(
        self, row: PayoutRow, token: str, attempt_id: str, reason: str, asked: int | None, counted: int
    ) -> None:
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            claimed(unit, row.id, token, PayoutState.APPROVED)
            known = payouts.attempt_by_id(unit, attempt_id)
            unknowns = (known.unknowns if known else 0) + counted
            payouts.update_attempt(unit, attempt_id, state="unknown", unknowns=unknowns, evidence=reason[:500])
            release(
                unit, payout_table, row.id, token, due_at=now + self._retry_wait(row, asked), attempts=row.attempts + 1,
                note=f"the transfer is unknown: {reason}"[:500],
            )  # fmt: skip

    def _transfer_declined(self, row: PayoutRow, token: str, attempt_id: str, outcome: Declined) -> None:
        """A clear no to the first send: nothing exists. A stale quote is drawn again, anything else waits for a person."""
        context = self._context
        now = context.clock()
        words = f"{outcome.status} {outcome.code or ''}: {outcome.message}"
        with context.database.write() as unit:
            current = claimed(unit, row.id, token, PayoutState.APPROVED)
            payouts.update_attempt(unit, attempt_id, state="declined", evidence=words)
            self._refused_us(unit, outcome.status, now)
            attempt = payouts.attempt_by_id(unit, attempt_id)
            quote = None if attempt is None else payouts.quote_by_id(unit, attempt.quote_id or "")
            stale = code_in(outcome.code, outcome.message) in TRANSIENT_CODES or (
                quote is not None and quote.expires_at <= now
            )
            declined = [one for one in payouts.attempts_of(unit, row.id, "transfer") if one.state == "declined"]
            if stale and len(declined) < DECLINES_MAX:
                release(unit, payout_table, row.id, token, due_at=now, attempts=row.attempts + 1, note=words[:500])
                return
            why = f"Stables declined the transfer: {in_words(outcome.code, words)}"
            self._hold(unit, current, token, "transfer_declined", why, now)


def _attempt(ident: str, kind: str, subject: str, key: str, now: datetime) -> dict[str, Any]:
    return {
        "id": ident, "kind": kind, "subject": subject, "key": key, "state": "pending", "sends": 1, "unknowns": 0,
        "first_sent_at": now, "created_at": now,
    }  # fmt: skip


def _quote_problem(drawn: Quote, row: PayoutRow, account: PayoutAccountRow) -> str | None:
    """What a quote must equal, whatever it costs: source, network, destination currency, rail."""
    if drawn.source != row.amount:
        return f"it is for {drawn.source}, the payout is {row.amount}"
    if drawn.source_network is not None and drawn.source_network.casefold() != row.network:
        return f"it is on {drawn.source_network}, the payout is on {row.network}"
    if drawn.credit.currency != account.currency:
        return f"it credits {drawn.credit.currency}, the account is in {account.currency}"
    if drawn.credit_network is not None and drawn.credit_network.casefold() != account.rail:
        return f"it pays by {drawn.credit_network}, the account asks for {account.rail}"
    if drawn.credit.minor == 0:
        return "it credits nothing"
    return None
