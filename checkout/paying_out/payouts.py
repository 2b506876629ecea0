"""The operator's verbs on payouts: propose, approve, cancel, reveal, say what was sent, show.

Only these, and only from the command line, let money leave. Everything else about a payout is the worker's
(:mod:`checkout.paying_out.offramp`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, assert_never

from checkout.config import Mode
from checkout.context import Context
from checkout.errors import NotFound, NotPossible
from checkout.paying_out.funding_instructions import Instructions, instructions, read_hash
from checkout.paying_out.mandates import approve_in
from checkout.paying_out.payout_moves import announce_payout, end_wait_for_approval, post_reserved
from checkout.paying_out.payout_views import shown_payout
from checkout.paying_out.policies import account_of
from checkout.paying_out.proposing import propose_in, sources_of, why_unusable
from checkout.paying_out.transfers import Stables, instructions_differ
from checkout.providers.outcome import Accepted, Declined, Unknown
from checkout.rules.ledger import Book
from checkout.rules.money import Money
from checkout.rules.payouts import PAYABLE, PROVIDER_STATES, PayoutState, check_move
from checkout.rules.work import REVEAL_MARGIN
from checkout.store import payouts, policies, resolutions, stores
from checkout.store.engine import Taken, Unit
from checkout.store.moves import record_act, record_move
from checkout.store.records import PayoutRow, TransferRow
from checkout.store.tables import attempt, funding, payout
from checkout.store.work import wake
from checkout.treasury import free_balance


class Payouts:
    """Verbs that need a named person."""

    def __init__(self, context: Context, stables: Stables) -> None:
        self._context = context
        self._stables = stables

    def propose(self, store_name: str, *, account_id: str | None, who: str) -> str:
        """Reserve all free treasury of a payout account's asset and network for one payout; its id."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            store = stores.find_store(unit, store_name)
            if store is None:
                raise NotFound("store", store_name)
            self._not_paused(unit, store.id)
            account = account_of(unit, store.id, account_id)
            why = why_unusable(account, now)
            if why is not None:
                raise NotPossible(why)
            sources = sources_of(unit, store.id, account.asset, account.network)
            free = free_balance(unit, store.id, account.asset, account.network)
            return propose_in(unit, context, account, sources, free=free, who=who, now=now)

    def approve(
        self, ident: str, *, min_credit: str | None, who: str, valid_for: timedelta | None = None
    ) -> dict[str, Any]:
        """Give a mandate on the displayed quote, expired or not: exactly what may leave, to whom, for at least how much.

        Where the policy asks for two people, the first one's mandate waits for the second one. NotPossible unless the
        payout is quoted; approving twice leaves one mandate.
        """
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            row = self._locked(unit, ident)
            given, holds = approve_in(
                unit, context, row, min_credit=min_credit, valid_for=valid_for, who=who, now=now
            )  # fmt: skip
            if holds:
                self._move(unit, row, PayoutState.APPROVED, cause=f"mandate {given.id}", who=who, now=now, due_at=now)
        least = Money(given.min_credit_minor, given.currency)
        return {
            "id": ident, "state": (PayoutState.APPROVED if holds else PayoutState.QUOTED).value, "mandate": given.id,
            "min_credit": least.fixed(), "currency": least.currency, "valid_until": given.valid_until.isoformat(),
            "waits_for_second": not holds,
        }  # fmt: skip

    def cancel(self, ident: str, *, who: str) -> None:
        """Stop a payout that has no transfer, and free its treasury. Stables has no cancel: after it, let it expire."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            row = self._locked(unit, ident)
            may_exist = any(
                one.state in ("pending", "unknown", "accepted") for one in payouts.attempts_of(unit, ident, "transfer")
            )
            if may_exist:
                raise NotPossible(
                    f"a transfer for payout {ident} may exist at Stables, which cannot cancel; do not reveal its address "
                    "and it expires by itself"
                )
            check_move(row.payout_state, PayoutState.CANCELLED)
            payouts.void_mandates(unit, because=f"cancelled by {who}", at=now, payout_id=ident)
            post_reserved(unit, row, Book.FREE, at=now)
            payouts.release_items(unit, ident, at=now)
            self._move(unit, row, PayoutState.CANCELLED, cause="cancelled", who=who, now=now, due_at=None)
            record_act(
                unit,
                context.new_id("act"),
                who=who,
                action="payout cancelled",
                subject=ident,
                detail={},
                at=now,
            )

    def retry(self, ident: str, *, who: str) -> None:
        """Take a payout on hold, without a transfer, back to the beginning: its standing is read and it is quoted anew."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            row = self._locked(unit, ident)
            if payouts.transfer_of(unit, ident) is not None:
                raise NotPossible(f"payout {ident} has a transfer; it goes on with the provider")
            check_move(row.payout_state, PayoutState.PROPOSED)
            payouts.void_mandates(unit, because=f"started again by {who}", at=now, payout_id=ident)
            self._move(unit, row, PayoutState.PROPOSED, cause="started again", who=who, now=now, due_at=now)
            record_act(
                unit,
                context.new_id("act"),
                who=who,
                action="payout retried",
                subject=ident,
                detail={},
                at=now,
            )

    def reveal(self, ident: str, *, who: str) -> Instructions:
        """Show the deposit address: from here on somebody may pay, and the payout goes forward or waits for a person.

        A stored act. Refused with little of the funding window left, when paused, or when a fresh read disagrees.
        """
        context = self._context
        with context.database.read() as unit:
            row, transfer = self._revealable(unit, ident)
        address = context.sealer.open_text(transfer.address_sealed or b"")
        outcome = self._stables.read_transfer(transfer.provider_transfer_id, customer_id=self._customer_of(row))
        if not isinstance(outcome, Accepted):
            raise NotPossible("Stables could not be asked whether the instructions still hold; try again")
        heard = outcome.value
        # funded already, or ended, or a word nobody knows: whoever saw the address could pay a second time
        payable = PROVIDER_STATES.get(heard.status) in PAYABLE
        difference = instructions_differ(heard, row, address) if payable else f"it is {heard.status_text}"
        if difference is not None:
            raise NotPossible(f"a fresh read of the transfer disagrees: {difference}")
        now = context.clock()
        with context.database.write() as unit:
            row = self._locked(unit, ident)
            _, transfer = self._revealable(unit, ident)
            if transfer.instructions_revealed_at is None:
                payouts.update_transfer(unit, transfer.id, instructions_revealed_at=now, revealed_by=who)
            record_act(
                unit, context.new_id("act"), who=who, action="instructions revealed", subject=ident,
                detail={"transfer": transfer.provider_transfer_id}, at=now,
            )  # fmt: skip
            wake(unit, payout, ident, now=now)
        return instructions(
            ident, row.amount, row.network, address, fundable_until=transfer.fundable_until, now=now
        )  # fmt: skip

    def _revealable(self, unit: Unit, ident: str) -> tuple[PayoutRow, TransferRow]:
        context = self._context
        row = payouts.payout_by_id(unit, ident)
        if row is None:
            raise NotFound("payout", ident)
        transfer = payouts.transfer_of(unit, ident)
        if transfer is None or transfer.checked_at is None or row.payout_state is not PayoutState.AWAITING_FUNDING:
            raise NotPossible(f"payout {ident} is {row.state}; its address can be revealed while it awaits funding")
        why = policies.why_paused(unit, row) or self._mandate_gone(unit, row)
        if why is not None:
            raise NotPossible(why)
        left = transfer.fundable_until - context.clock()
        if left < context.scaled(REVEAL_MARGIN):
            raise NotPossible(
                f"only {max(int(left.total_seconds()), 0)} s of the funding window are left; let the transfer expire and "
                "propose again"
            )
        return row, transfer

    def _mandate_gone(self, unit: Unit, row: PayoutRow) -> str | None:
        """A transfer made under a mandate that was voided since is never shown: it expires, and its treasury is free."""
        if payouts.live_mandate(unit, row.id) is not None:
            return None
        voided = payouts.mandates_of(unit, row.id)
        why = voided[-1]["voided_because"] if voided else "there is none"
        return f"the mandate of payout {row.id} holds no more: {why}; let the transfer expire and propose again"

    def _customer_of(self, row: PayoutRow) -> str:
        with self._context.database.read() as unit:
            account = payouts.payout_account_by_id(unit, row.payout_account_id)
        return "" if account is None else account.stables_customer_id

    def funded(self, ident: str, *, tx_hash: str | None, who: str) -> None:
        """Store that a person sent the funds, with the transaction's hash if known. The provider's state still decides.

        A hash left out may be given later; one that is stored is never changed, and serves one payout only.
        """
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            row = self._locked(unit, ident)
            transfer = self._revealed(unit, ident)
            read = None if tx_hash is None else read_hash(tx_hash, row.network)
            other = None if read is None else resolutions.payout_of_hash(unit, read)
            if other is not None:
                raise NotPossible(f"this transaction's hash is stored for payout {other}; a payout has its own")
            self._keep_funding(unit, transfer, read, who, now)
            record_act(
                unit, context.new_id("act"), who=who, action="funding recorded", subject=ident, detail={"hash": read},
                at=now,
            )  # fmt: skip
            wake(unit, payout, ident, now=now)

    def _keep_funding(self, unit: Unit, transfer: TransferRow, tx_hash: str | None, who: str, now: datetime) -> None:
        known = payouts.funding_of(unit, transfer.id)
        if known is not None:
            if tx_hash is None or known["tx_hash"] is not None:
                raise NotPossible("a funding is already stored for this transfer; a payout is paid once")
            payouts.name_funding(unit, known["id"], tx_hash)
            return
        values = {
            "id": self._context.new_id("fun"), "transfer_id": transfer.id, "kind": "sent", "tx_hash": tx_hash,
            "created_at": now, "created_by": who,
        }  # fmt: skip
        try:
            payouts.insert_row(unit, funding, values)
        except Taken:  # pragma: no cover - two people at one moment, with one hash for two payouts
            raise NotPossible("a funding is already stored for this transfer, or under this hash") from None

    def simulate_deposit(self, ident: str, *, who: str) -> str:
        """Sandbox only, after reveal: ask Stables' sandbox to act as if the funds had come, once, under one key."""
        context = self._context
        if context.settings.mode is not Mode.SANDBOX:
            raise NotPossible("only the sandbox can simulate a deposit")
        transfer, key, attempt_id = self._deposit_attempt(ident, who)
        outcome = self._stables.simulate_deposit(transfer.provider_transfer_id, key=key)
        now = context.clock()
        states = {Accepted: "accepted", Declined: "declined", Unknown: "unknown"}
        with context.database.write() as unit:
            payouts.update_attempt(unit, attempt_id, state=states[type(outcome)])
            wake(unit, payout, ident, now=now)
        match outcome:
            case Accepted():
                return "the sandbox acts as if the funds had come"
            case Declined(message=message):
                raise NotPossible(f"the sandbox refused: {message}")
            case Unknown(reason=reason):
                raise NotPossible(f"the sandbox did not answer ({reason}); watch the payout, this is not sent twice")
            case _:
                assert_never(outcome)

    def _deposit_attempt(self, ident: str, who: str) -> tuple[TransferRow, str, str]:
        """Commit the one attempt before its first byte. Nobody promised that the sandbox deduplicates it (UNKNOWN)."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            self._locked(unit, ident)
            transfer = self._revealed(unit, ident)
            earlier = [one for one in payouts.attempts_of(unit, transfer.id, "deposit") if one.state != "declined"]
            if transfer.collected_at is not None:
                raise NotPossible(f"Stables has the funds of payout {ident} already")
            if earlier:
                raise NotPossible(
                    f"a deposit for payout {ident} was already asked for ({earlier[-1].state}); it is never asked for twice"
                )
            key, attempt_id = context.new_uuid(), context.new_id("att")
            payouts.insert_row(
                unit,
                attempt,
                {
                    "id": attempt_id, "kind": "deposit", "subject": transfer.id, "key": key, "state": "pending",
                    "sends": 1, "unknowns": 0, "first_sent_at": now, "created_at": now,
                },
            )  # fmt: skip
            if payouts.funding_of(unit, transfer.id) is None:
                payouts.insert_row(
                    unit,
                    funding,
                    {
                        "id": context.new_id("fun"), "transfer_id": transfer.id, "kind": "simulated", "tx_hash": None,
                        "created_at": now, "created_by": who,
                    },
                )  # fmt: skip
            record_act(
                unit,
                context.new_id("act"),
                who=who,
                action="deposit simulated",
                subject=ident,
                detail={},
                at=now,
            )
        return transfer, key, attempt_id

    def _revealed(self, unit: Unit, ident: str) -> TransferRow:
        transfer = payouts.transfer_of(unit, ident)
        if transfer is None or transfer.instructions_revealed_at is None:
            raise NotPossible(f"the address of payout {ident} was never revealed, so nobody can have paid it")
        return transfer

    def show(self, ident: str) -> dict[str, Any]:
        """Everything about a payout but the address and the bank details."""
        with self._context.database.read() as unit:
            return shown_payout(unit, ident, now=self._context.clock())

    def _not_paused(self, unit: Unit, store_id: str) -> None:
        why = stores.why_paused(unit, store_id)
        if why is not None:
            raise NotPossible(why)

    def _locked(self, unit: Unit, ident: str) -> PayoutRow:
        row = payouts.payout_by_id(unit, ident, lock=True)
        if row is None:
            raise NotFound("payout", ident)
        return row

    def _move(
        self, unit: Unit, row: PayoutRow, after: PayoutState, *, cause: str, who: str, now: datetime,
        due_at: datetime | None,
    ) -> None:  # fmt: skip
        check_move(row.payout_state, after)
        record_move(unit, row.id, row.moves + 1, row.state, after, cause=cause, who=who, at=now)
        payouts.update_payout(
            unit, row.id, state=after.value, moves=row.moves + 1, updated_at=now, due_at=due_at, attempts=0
        )
        announce_payout(unit, self._context, row, after, now=now)
        end_wait_for_approval(unit, row, after, now=now)
