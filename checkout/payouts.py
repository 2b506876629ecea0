"""The operator's verbs on payouts: propose, approve, cancel, reveal, say what was sent, show.

Only these, and only from the command line, let money leave. Everything else about a payout is the worker's
(:mod:`checkout.offramp`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from checkout.config import Mode
from checkout.context import Context
from checkout.errors import AmountRefused, NotFound, NotPossible
from checkout.payout_moves import announce_payout, post_reserved
from checkout.providers.outcome import Accepted, Declined, Unknown
from checkout.rules.ledger import Book, move, on_network
from checkout.rules.money import Money, parse_amount
from checkout.rules.payouts import DEAD, PROVIDER_STATES, PayoutState, check_move
from checkout.rules.work import MANDATE_LIFE, REVEAL_MARGIN
from checkout.store import ledger, payouts, stores
from checkout.store.engine import Taken, Unit
from checkout.store.moves import cases_on, moves_of, record_act, record_move
from checkout.store.records import PayoutAccountRow, PayoutRow, QuoteRow, TransferRow
from checkout.store.tables import attempt, funding, mandate, payout, payout_item
from checkout.store.work import wake
from checkout.transfers import Stables, instructions_differ
from checkout.treasury import free_balance

#: A mandate given without a smallest credit takes the displayed credit less this many basis points.
DEFAULT_SLACK_BP: Final = 50


@dataclass(frozen=True, slots=True)
class Instructions:
    """What to send, where, until when. Shown once asked for by name, never logged."""

    payout_id: str
    asset: str
    network: str
    amount: str
    address: str = field(repr=False)
    fundable_until: datetime


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
            account = self._account(unit, store.id, account_id)
            _usable(account, now)
            payouts.lock_treasury(unit, store.id, account.asset, account.network)
            sources = [
                (one.id, one.free_minor) for one in payouts.free_records(unit, store.id, account.asset, account.network)
            ]
            sources += payouts.allocated_shares(unit, store.id, account.asset, account.network)
            total = sum(minor for _, minor in sources)
            if total == 0 or total > free_balance(unit, store.id, account.asset, account.network):
                raise NotPossible(
                    f"there is no free {account.asset} on {account.network}; record what Stable Mint delivered with "
                    "`checkout treasury record`"
                )
            ident = context.new_id("out")
            self._insert(unit, ident, account, sources, total, who, now)
        return ident

    def _insert(
        self, unit: Unit, ident: str, account: PayoutAccountRow, sources: list[tuple[str, int]], total: int, who: str,
        now: datetime,
    ) -> None:  # fmt: skip
        context = self._context
        payouts.insert_row(
            unit,
            payout,
            {
                "id": ident, "store_id": account.store_id, "payout_account_id": account.id, "asset": account.asset,
                "network": account.network, "amount_minor": total, "state": PayoutState.PROPOSED.value, "moves": 1,
                "created_at": now, "created_by": who, "updated_at": now, "due_at": now,
            },
        )  # fmt: skip
        for source, minor in sources:
            payouts.insert_row(
                unit,
                payout_item,
                {"id": context.new_id("itm"), "payout_id": ident, "source": source, "amount_minor": minor},
            )
        record_move(unit, ident, 1, None, PayoutState.PROPOSED, cause="proposed", who=who, at=now)
        asset = on_network(account.asset, account.network)
        reserve = move(account.store_id, asset, Book.RESERVED, Book.FREE, total, key=f"{ident}/reserved", cause=ident)
        ledger.post(unit, [reserve], at=now)
        record_act(
            unit,
            context.new_id("act"),
            who=who,
            action="payout proposed",
            subject=ident,
            detail={"amount": total},
            at=now,
        )

    def approve(self, ident: str, *, min_credit: str | None, who: str) -> dict[str, Any]:
        """Give a mandate on the displayed quote, expired or not: exactly what may leave, to whom, for at least how much.

        NotPossible unless the payout is quoted; approving twice leaves one mandate.
        """
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            row = self._locked(unit, ident)
            if row.payout_state is not PayoutState.QUOTED:
                raise NotPossible(f"payout {ident} is {row.state}; only a quoted payout can be approved")
            self._not_paused(unit, row.store_id)
            account = payouts.payout_account_by_id(unit, row.payout_account_id)
            quote = payouts.quote_by_id(unit, row.quote_id or "")
            if account is None or quote is None:
                raise NotFound("quote", row.quote_id or "")
            _usable(account, now)
            least = _least_credit(quote, min_credit)
            standing = payouts.standing_of(unit, account.stables_customer_id)
            shown = _shown_quote(quote) | {"customer": None if standing is None else standing["name"]}
            valid_until = now + context.scaled(MANDATE_LIFE)
            mandate_id = context.new_id("man")
            try:
                payouts.insert_row(
                    unit,
                    mandate,
                    {
                        "id": mandate_id, "payout_id": ident, "payout_account_id": account.id, "asset": row.asset,
                        "network": row.network, "amount_minor": row.amount_minor,
                        "stables_customer_id": account.stables_customer_id, "bank_digest": account.bank_digest,
                        "currency": account.currency, "country": account.country, "rail": account.rail,
                        "purpose_code": account.purpose_code, "min_credit_minor": least.minor, "quote_id": quote.id,
                        "shown": json.dumps(shown), "valid_until": valid_until, "created_at": now, "created_by": who,
                    },
                )  # fmt: skip
            except Taken:
                raise NotPossible(f"payout {ident} has a mandate already") from None
            self._move(unit, row, PayoutState.APPROVED, cause=f"mandate {mandate_id}", who=who, now=now, due_at=now)
            record_act(
                unit, context.new_id("act"), who=who, action="payout approved", subject=ident,
                detail={"mandate": mandate_id, "min_credit": least.fixed(), "quote": quote.provider_quote_id}, at=now,
            )  # fmt: skip
        return {
            "id": ident, "state": PayoutState.APPROVED.value, "mandate": mandate_id, "min_credit": least.fixed(),
            "currency": least.currency, "valid_until": valid_until.isoformat(),
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
        ended = PROVIDER_STATES.get(heard.status) in DEAD
        difference = f"it is {heard.status_text}" if ended else instructions_differ(heard, row, address)
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
        return Instructions(ident, row.asset, row.network, row.amount.plain(), address, transfer.fundable_until)

    def _revealable(self, unit: Unit, ident: str) -> tuple[PayoutRow, TransferRow]:
        context = self._context
        row = payouts.payout_by_id(unit, ident)
        if row is None:
            raise NotFound("payout", ident)
        transfer = payouts.transfer_of(unit, ident)
        if transfer is None or transfer.checked_at is None or row.payout_state is not PayoutState.AWAITING_FUNDING:
            raise NotPossible(f"payout {ident} is {row.state}; its address can be revealed while it awaits funding")
        self._not_paused(unit, row.store_id)
        left = transfer.fundable_until - context.clock()
        if left < context.scaled(REVEAL_MARGIN):
            raise NotPossible(
                f"only {max(int(left.total_seconds()), 0)} s of the funding window are left; let the transfer expire and "
                "propose again"
            )
        return row, transfer

    def _customer_of(self, row: PayoutRow) -> str:
        with self._context.database.read() as unit:
            account = payouts.payout_account_by_id(unit, row.payout_account_id)
        return "" if account is None else account.stables_customer_id

    def funded(self, ident: str, *, tx_hash: str | None, who: str) -> None:
        """Store that a person sent the funds, with the transaction's hash if known. The provider's state still decides."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            self._locked(unit, ident)
            transfer = self._revealed(unit, ident)
            values = {
                "id": context.new_id("fun"), "transfer_id": transfer.id, "kind": "sent", "tx_hash": tx_hash,
                "created_at": now, "created_by": who,
            }  # fmt: skip
            try:
                payouts.insert_row(unit, funding, values)
            except Taken:
                raise NotPossible("a funding is already stored for this transfer, or under this hash") from None
            record_act(
                unit, context.new_id("act"), who=who, action="funding recorded", subject=ident, detail={"hash": tx_hash},
                at=now,
            )  # fmt: skip
            wake(unit, payout, ident, now=now)

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

    def _deposit_attempt(self, ident: str, who: str) -> tuple[TransferRow, str, str]:
        """Commit the one attempt before its first byte. Nobody promised that the sandbox deduplicates it (UNKNOWN)."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            self._locked(unit, ident)
            transfer = self._revealed(unit, ident)
            earlier = [one for one in payouts.attempts_of(unit, transfer.id, "deposit") if one.state != "declined"]
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
            row = payouts.payout_by_id(unit, ident)
            if row is None:
                raise NotFound("payout", ident)
            quote = None if row.quote_id is None else payouts.quote_by_id(unit, row.quote_id)
            transfer = payouts.transfer_of(unit, ident)
            account = payouts.payout_account_by_id(unit, row.payout_account_id)
            return {
                "id": row.id, "store": row.store_id, "state": row.state, "amount": row.amount.plain(),
                "asset": row.asset, "network": row.network, "note": row.note,
                "account": None if account is None else {"id": account.id, "name": account.name, "bank": account.bank_hint},
                "items": [{"source": one["source"], "released": one["released_at"] is not None}
                          for one in payouts.items_of(unit, ident)],
                "quote": None if quote is None else _shown_quote(quote),
                "transfer": None if transfer is None else {
                    "id": transfer.provider_transfer_id, "status": row.provider_status,
                    "fundable_until": transfer.fundable_until.isoformat(),
                    "revealed": transfer.instructions_revealed_at is not None,
                },
                "credit": None if row.credit_minor is None else {
                    "amount": Money(row.credit_minor, row.credit_currency or "").fixed(),
                    "currency": row.credit_currency, "is": row.credit_is,
                },
                "moves": [{"from": one["before"], "to": one["after"], "cause": one["cause"], "who": one["who"],
                           "at": one["at"].isoformat()} for one in moves_of(unit, ident)],
                "cases": [{"id": one["id"], "kind": one["kind"], "open": one["closed_at"] is None}
                          for one in cases_on(unit, ident)],
            }  # fmt: skip

    def _account(self, unit: Unit, store_id: str, account_id: str | None) -> PayoutAccountRow:
        accounts = payouts.payout_accounts(unit, store_id)
        if account_id is not None:
            accounts = [one for one in accounts if account_id in (one.id, one.name)]
        if not accounts:
            raise NotPossible("the store has no such payout account; add one with `checkout accounts add`")
        if len(accounts) > 1:
            names = ", ".join(one.name for one in accounts)
            raise NotPossible(f"the store has several payout accounts ({names}); choose one with --account")
        return accounts[0]

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


def _usable(account: PayoutAccountRow, now: datetime) -> None:
    if account.retired_at is not None:
        raise NotPossible(f"payout account {account.name} has been replaced")
    if account.confirmed_at is None and now < account.usable_at:
        left = timedelta(seconds=int((account.usable_at - now).total_seconds()))
        raise NotPossible(
            f"payout account {account.name} is new: a second person confirms it with `checkout accounts confirm "
            f"{account.id}`, or {left} pass"
        )


def _least_credit(quote: QuoteRow, asked: str | None) -> Money:
    if asked is None:
        least = quote.credit_minor - -(-quote.credit_minor * DEFAULT_SLACK_BP // 10_000)
        return Money(max(least, 1), quote.credit_currency)
    try:
        return parse_amount(asked, quote.credit_currency)
    except AmountRefused as problem:
        raise NotPossible(f"--min-credit: {problem}") from None


def _shown_quote(quote: QuoteRow) -> dict[str, Any]:
    return {
        "id": quote.provider_quote_id, "credit": quote.credit.fixed(), "currency": quote.credit_currency,
        "rate": quote.rate, "fees": json.loads(quote.fees), "expires_at": quote.expires_at.isoformat(),
    }  # fmt: skip
