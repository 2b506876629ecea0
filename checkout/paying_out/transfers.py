"""Following a transfer home: adopt it, check what it says against the mandate, poll it until the bank has the money.

Polling is the base, webhooks the speed-up. Nothing of a transfer is shown before it agrees with what was approved.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, assert_never

from checkout.config import Mode
from checkout.context import Context
from checkout.destinations.addresses import address_fits
from checkout.paying_out.payout_moves import claimed, conclude, hold, postpone
from checkout.providers.outcome import Accepted, Declined, Outcome, Unknown
from checkout.providers.stables_records import CustomerStanding, Quote, SimulatedDeposit, Transfer
from checkout.providers.stables_requests import QuoteRequest, TransferRequest
from checkout.rules.money import Money
from checkout.rules.payouts import FINAL, PROVIDER_STATES, PayoutState, follow
from checkout.rules.work import (
    LISTING_AFTER_QUOTE,
    LISTINGS_APART,
    PAYOUT_SILENCE,
    POLL_FAST,
    POLL_SLOW,
    backoff,
)
from checkout.store import payouts, stores
from checkout.store.engine import Unit
from checkout.store.moves import close_by_proof, open_case
from checkout.store.records import AttemptRow, PayoutAccountRow, PayoutRow, QuoteRow, TransferRow
from checkout.store.tables import payout as payout_table
from checkout.store.tables import transfer as transfer_table
from checkout.store.work import release

#: Echoed bank fields that are compared with the account's, letter case and spaces aside.
COMPARED: Final = (
    "account_holder_name", "account_number", "iban", "bank_country", "swift_code", "bic_code", "ifsc_code", "aba_code",
    "sort_code", "bsb_code", "bank_code", "branch_code", "cnaps",
)  # fmt: skip


class Stables(Protocol):
    """Stables, as far as payouts go."""

    def read_customer(self, customer_id: str) -> Outcome[CustomerStanding]: ...
    def create_quote(self, request: QuoteRequest, *, key: str) -> Outcome[Quote]: ...
    def create_transfer(self, request: TransferRequest, *, key: str) -> Outcome[Transfer]: ...
    def read_transfer(self, transfer_id: str, *, customer_id: str | None = None) -> Outcome[Transfer]: ...
    def list_transfers(self, customer_id: str | None = None) -> Outcome[tuple[Transfer, ...]]: ...
    def simulate_deposit(self, transfer_id: str, *, key: str) -> Outcome[SimulatedDeposit]: ...


class Following:
    """The worker's part of a payout from its transfer on."""

    def __init__(self, context: Context, stables: Stables) -> None:
        self._context = context
        self._stables = stables

    # --- adopting ------------------------------------------------------------------------------------------------

    def adopt(self, row: PayoutRow, token: str, attempt_id: str, quote: QuoteRow, transfer: Transfer) -> None:
        """Store the transfer an attempt made, and look at it at once. Which one it is must be beyond doubt."""
        context = self._context
        now = context.clock()
        wrong = self._identity_problem(row, attempt_id, quote, transfer)
        with context.database.write() as unit:
            current = claimed(unit, row.id, token, PayoutState.APPROVED)
            created = transfer.created_at or now
            window = context.settings.stables.funding_window
            fundable_until = quote.expires_at if window is None else created + context.scaled(window)
            payouts.insert_row(
                unit,
                transfer_table,
                {
                    "id": context.new_id("trf"), "payout_id": row.id, "attempt_id": attempt_id, "quote_id": quote.id,
                    "provider_transfer_id": transfer.id, "raw_sealed": context.sealer.seal(transfer.raw),
                    "provider_created_at": created, "fundable_until": fundable_until, "created_at": now,
                },
            )  # fmt: skip
            payouts.update_attempt(unit, attempt_id, state="accepted", evidence=f"transfer {transfer.id}")
            values: dict[str, Any] = {
                "quote_id": quote.id,
                "provider_status": transfer.status,
                "provider_status_at": now,
            }
            if wrong is not None:
                payouts.update_payout(unit, row.id, **values)
                hold(
                    unit,
                    context,
                    current,
                    token,
                    PayoutState.NEEDS_DECISION,
                    kind="transfer_mismatch",
                    why=wrong,
                    now=now,
                )
                return
            conclude(
                unit, context, current, token, PayoutState.TRANSFER_CREATED, cause=f"transfer {transfer.id}", now=now,
                due_at=now, note="", **values,
            )  # fmt: skip

    def _identity_problem(self, row: PayoutRow, attempt_id: str, quote: QuoteRow, transfer: Transfer) -> str | None:
        if transfer.quote_id is not None and transfer.quote_id != quote.provider_quote_id:
            return "the transfer is for another quote"
        with self._context.database.read() as unit:
            installation = (stores.installation_row(unit) or {}).get("id")
        expected = {"installation": installation, "payout": row.id, "attempt": attempt_id}
        for name, value in expected.items():
            if name in transfer.metadata and transfer.metadata[name] != value:
                return f"the transfer's metadata names another {name}"
        return None

    # --- unknown attempts ----------------------------------------------------------------------------------------

    def reconcile(
        self, row: PayoutRow, token: str, account: PayoutAccountRow, attempt: AttemptRow, quote: QuoteRow
    ) -> None:
        """Read instead of sending: adopt the transfer if the complete list has it, else prove, twice, that it has not."""
        context = self._context
        outcome = self._stables.list_transfers(account.stables_customer_id)
        now = context.clock()
        if not isinstance(outcome, Accepted):
            reason = outcome.reason if isinstance(outcome, Unknown) else f"{outcome.status}: {outcome.message}"
            postpone(context, row, token, self._poll_wait(row), f"the list could not be read: {reason}")
            return
        found = [one for one in outcome.value if one.quote_id == quote.provider_quote_id]
        if found:
            self.adopt(row, token, attempt.id, quote, found[0])
            return
        earliest = quote.expires_at + context.scaled(LISTING_AFTER_QUOTE)
        apart = context.scaled(LISTINGS_APART)
        if now < earliest:
            postpone(context, row, token, earliest - now, "not in the list; the quote has not ended long enough")
            return
        if attempt.absent_since is None or now - attempt.absent_since < apart:
            with context.database.write() as unit:
                claimed(unit, row.id, token, PayoutState.APPROVED)
                since = attempt.absent_since or now
                payouts.update_attempt(unit, attempt.id, absent_since=since)
                release(
                    unit, payout_table, row.id, token, due_at=since + apart, attempts=row.attempts + 1,
                    note="not in a complete list; a second one will prove it",
                )  # fmt: skip
            return
        with context.database.write() as unit:
            claimed(unit, row.id, token, PayoutState.APPROVED)
            evidence = (
                f"absent from complete lists at {attempt.absent_since.isoformat()} and {now.isoformat()}; "
                f"the quote ended at {quote.expires_at.isoformat()}"
            )
            payouts.update_attempt(unit, attempt.id, state="dead", evidence=evidence)
            release(
                unit,
                payout_table,
                row.id,
                token,
                due_at=now,
                attempts=0,
                note="the attempt is dead; another is made",
            )

    # --- polling -------------------------------------------------------------------------------------------------

    def step(self, row: PayoutRow, token: str) -> PayoutState:
        """Read the transfer and follow it; where the payout stands now."""
        context = self._context
        with context.database.read() as unit:
            transfer = payouts.transfer_of(unit, row.id)
            account = payouts.payout_account_by_id(unit, row.payout_account_id)
            mandates = payouts.mandates_of(unit, row.id)
        if transfer is None or account is None:
            postpone(context, row, token, context.scaled(POLL_SLOW), "waits for a person")
            return row.payout_state
        outcome = self._stables.read_transfer(transfer.provider_transfer_id, customer_id=account.stables_customer_id)
        match outcome:
            case Accepted(value=heard):
                return self._follow(row, token, transfer, account, mandates[-1] if mandates else None, heard)
            case Declined(status=status, message=message):
                postpone(
                    context, row, token, self._poll_wait(row), f"the transfer could not be read, {status}: {message}"
                )
            case Unknown(reason=reason, retry_after_s=asked):
                wait = max(self._poll_wait(row), timedelta(seconds=asked or 0))
                postpone(context, row, token, wait, f"the transfer could not be read: {reason}")
            case _:
                assert_never(outcome)
        return row.payout_state

    def _follow(
        self, row: PayoutRow, token: str, transfer: TransferRow, account: PayoutAccountRow,
        mandate: Mapping[str, Any] | None, heard: Transfer,
    ) -> PayoutState:  # fmt: skip
        context = self._context
        now = context.clock()
        mismatch = self._mismatch(row, transfer, account, mandate, heard)
        with context.database.write() as unit:
            current = claimed(unit, row.id, token, row.payout_state)
            seen: dict[str, Any] = {}
            if heard.status != current.provider_status:
                seen = {"provider_status": heard.status, "provider_status_at": now}
                if self._is_silent(current, now):  # or else there is no such case
                    note = f"the transfer is {heard.status_text} now"
                    close_by_proof(unit, kind="payout_silent", subject=row.id, note=note, at=now)
            payouts.update_transfer(unit, transfer.id, raw_sealed=context.sealer.seal(heard.raw))
            if mismatch is not None:
                payouts.update_payout(unit, row.id, **({"provider_status": heard.status} | seen))
                hold(
                    unit, context, current, token, PayoutState.NEEDS_DECISION, kind="transfer_mismatch", why=mismatch,
                    now=now,
                )  # fmt: skip
                return PayoutState.NEEDS_DECISION
            checked = transfer.checked_at is not None or self._keep_instructions(unit, transfer, heard, now)
            return self._advance(unit, current, token, transfer, heard, seen, checked=checked, now=now)

    def _keep_instructions(self, unit: Unit, transfer: TransferRow, heard: Transfer, now: datetime) -> bool:
        """Seal the address once everything agrees. An address that served another transfer is never used again."""
        if heard.instructions is None:
            return False
        address = heard.instructions.address
        payouts.update_transfer(
            unit, transfer.id, address_sealed=self._context.sealer.seal_text(address), address_hash=address_hash(address),
            checked_at=now,
        )  # fmt: skip
        return True

    def _advance(
        self, unit: Unit, row: PayoutRow, token: str, transfer: TransferRow, heard: Transfer, seen: dict[str, Any], *,
        checked: bool, now: datetime,
    ) -> PayoutState:  # fmt: skip
        context = self._context
        revealed = transfer.instructions_revealed_at is not None
        exposed = revealed or transfer.collected_at is not None
        after = follow(row.payout_state, heard.status, exposed=exposed) or row.payout_state
        if after is PayoutState.AWAITING_FUNDING and not checked:
            after = row.payout_state  # no instructions yet: keep polling
        values: dict[str, Any] = {**seen}
        if heard.credit is not None:
            values |= {
                "credit_minor": heard.credit.minor,
                "credit_currency": heard.credit.currency,
                "credit_is": "quoted",
            }
        if heard.actual_payout is not None:
            paid = heard.actual_payout
            values |= {"credit_minor": paid.minor, "credit_currency": paid.currency, "credit_is": "confirmed"}
        collected = PROVIDER_STATES.get(heard.status) in (
            PayoutState.FUNDED, PayoutState.SUBMITTED, PayoutState.PROCESSED, PayoutState.COMPLETED,
        )  # fmt: skip
        if collected and transfer.collected_at is None:
            payouts.update_transfer(unit, transfer.id, collected_at=now)
            if not revealed:
                open_case(
                    unit, context.new_id("case"), kind="funded_without_reveal", subject=row.id, at=now,
                    detail="Stables collected funds for an address that was never revealed here; find out who paid it",
                )  # fmt: skip
        if after is not row.payout_state and after in (PayoutState.NEEDS_DECISION, PayoutState.ON_HOLD):
            payouts.update_payout(unit, row.id, **values)
            self._put_before_a_person(unit, row, token, after, heard, now)
            return after
        self._note_silence(unit, row, after, now)
        still = after is row.payout_state
        # an event may have woken what waits for a person: it is looked at once, and goes on waiting for the same reason
        over = after in FINAL or after is PayoutState.NEEDS_DECISION
        due_at = None if over else now + self._poll_wait(row, fresh=not still)
        note = row.note if after in (PayoutState.NEEDS_DECISION, PayoutState.ON_HOLD) else ""
        conclude(
            unit, context, row, token, after, cause=f"transfer is {heard.status_text}", now=now, due_at=due_at,
            attempts=row.attempts + 1 if still else 0, note=note, **values,
        )  # fmt: skip
        return after

    def _put_before_a_person(
        self, unit: Unit, row: PayoutRow, token: str, after: PayoutState, heard: Transfer, now: datetime
    ) -> None:
        context = self._context
        if after is PayoutState.ON_HOLD:
            why = "Stables holds the transfer for compliance; answer what its dashboard asks, then it goes on by itself"
            hold(unit, context, row, token, after, kind="compliance_hold", why=why, now=now)
            payouts.update_payout(unit, row.id, due_at=now + context.scaled(POLL_SLOW))
            return
        why = (
            f"the transfer ended as {heard.status_text} after its address was revealed or funds were collected: find out "
            "where the funds are before anything else is sent"
        )
        hold(unit, context, row, token, after, kind="exposed_transfer_ended", why=why, now=now)

    def _note_silence(self, unit: Unit, row: PayoutRow, after: PayoutState, now: datetime) -> None:
        if after is row.payout_state and self._is_silent(row, now):
            since = row.provider_status_at or row.updated_at
            open_case(
                unit, self._context.new_id("case"), kind="payout_silent", subject=row.id, at=now,
                detail=f"{row.provider_status or row.state} since {since.isoformat()}; ask Stables with the transfer's id",
            )  # fmt: skip

    def _is_silent(self, row: PayoutRow, now: datetime) -> bool:
        return now - (row.provider_status_at or row.updated_at) >= self._context.scaled(PAYOUT_SILENCE)

    def _mismatch(
        self, row: PayoutRow, transfer: TransferRow, account: PayoutAccountRow, mandate: Mapping[str, Any] | None,
        heard: Transfer,
    ) -> str | None:  # fmt: skip
        """Why what the provider says does not equal what was approved, or None."""
        if heard.problems:
            return "; ".join(heard.problems)
        if heard.customer_id is not None and heard.customer_id != account.stables_customer_id:
            return "the transfer is for another customer"
        echoed = heard.destination or {}
        bank: Mapping[str, object] = json.loads(self._context.sealer.open_text(account.bank_sealed))
        for name in COMPARED:
            ours, theirs = bank.get(name), echoed.get(name)
            if ours is not None and theirs is not None and _plain(ours) != _plain(theirs):
                return f"the transfer's {name} is not the payout account's"
        if heard.credit is not None:
            least = None if mandate is None else Money(mandate["min_credit_minor"], mandate["currency"])
            if least is None or heard.credit.currency != least.currency or heard.credit < least:
                return f"the transfer credits {heard.credit}, less than or other than the mandate allows"
        if heard.instructions is None:
            return None
        if transfer.address_hash is not None and address_hash(heard.instructions.address) != transfer.address_hash:
            return "the deposit address has changed"
        if not address_fits(heard.instructions.address, row.network, sandbox=self._sandbox):
            return f"the deposit address is not one of {row.network}"
        if transfer.address_hash is None and self._address_known(heard.instructions.address):
            return "the deposit address has served another transfer"
        return instructions_differ(heard, row, heard.instructions.address)

    @property
    def _sandbox(self) -> bool:
        return self._context.settings.mode is Mode.SANDBOX

    def _address_known(self, address: str) -> bool:
        with self._context.database.read() as unit:
            return payouts.transfer_by_address(unit, address_hash(address)) is not None

    def _poll_wait(self, row: PayoutRow, *, fresh: bool = False) -> timedelta:
        context = self._context
        attempts = 1 if fresh else row.attempts + 1
        return context.scaled(backoff(attempts, first=POLL_FAST, longest=POLL_SLOW, jitter=context.jitter()))


def address_hash(address: str) -> str:
    """How an address is compared and kept unique without being readable."""
    return hashlib.sha256(address.strip().casefold().encode()).hexdigest()


def instructions_differ(heard: Transfer, row: PayoutRow, address: str) -> str | None:
    """Why the provider's deposit instructions are not exactly the payout's, or None."""
    told = heard.instructions
    if told is None:
        return "the provider shows no instructions any more"
    if told.address != address:
        return "the deposit address has changed"
    if told.currency.upper() != row.asset:
        return f"they ask for {told.currency}, the payout is in {row.asset}"
    if told.network.casefold() != row.network:
        return f"they are on {told.network}, the payout is on {row.network}"
    if told.amount != row.amount:
        return f"they ask for {told.amount.plain()}, the payout is {row.amount.plain()}"
    return None


def _plain(value: object) -> str:
    return re.sub(r"[\s-]", "", str(value)).casefold()
