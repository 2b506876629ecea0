"""The verbs by which a named person records, with evidence, where the money of a payout is.

The provider's bad ends, and what has no message at all (returned, under-, over- and late-funded), end here: one stored
resolution, its postings, the payout's move and its cases closed, in one commit. What was found at an old address stays
unallocated against that payout; it never completes another.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from checkout.context import Context
from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.paying_out.funding_instructions import read_hash
from checkout.paying_out.payout_moves import announce_payout
from checkout.paying_out.payout_views import shown_payout
from checkout.paying_out.resolution_verbs import VERBS, WAITING, Resolving, Said, fiat_returned
from checkout.paying_out.transfers import Stables
from checkout.providers.outcome import Accepted
from checkout.rules.ledger import Book, on_network
from checkout.rules.payouts import PROGRESS, PROVIDER_STATES, PayoutState, check_move
from checkout.rules.resolutions import NEED_REVEAL, NEED_TRANSFER, Held, Where, check_sayable
from checkout.store import ledger, payouts, resolutions
from checkout.store.engine import Unit
from checkout.store.moves import cases_on, close_case, record_act, record_move
from checkout.store.tables import payout as payout_table
from checkout.store.work import wake

EVIDENCE_MAX: Final = 1000
S = PayoutState


class Resolutions:
    """One verb for every place money can be."""

    def __init__(self, context: Context, stables: Stables) -> None:
        self._context = context
        self._stables = stables

    def say(self, ident: str, said: Said, *, who: str) -> dict[str, Any]:
        """Record it; the payout as it stands then. RequestRefused for bad words, NotPossible where it cannot be so."""
        if not 1 <= len(said.evidence.strip()) <= EVIDENCE_MAX:
            raise RequestRefused({"evidence": f"say in 1 to {EVIDENCE_MAX} characters where you saw it"})
        resumes_as = self._resumes_as(ident) if said.where is Where.RESUMED else None
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            about = self._begin(unit, ident, said, who, now)
            if resumes_as is not None:
                about.after, about.due_at = resumes_as, now
            VERBS[said.where](about)
            self._keep(about)
        with context.database.read() as unit:
            return shown_payout(unit, ident, now=now)

    def _begin(self, unit: Unit, ident: str, said: Said, who: str, now: datetime) -> Resolving:
        row = payouts.payout_by_id(unit, ident, lock=True)
        if row is None:
            raise NotFound("payout", ident)
        check_sayable(said.where, row.payout_state)
        account = payouts.payout_account_by_id(unit, row.payout_account_id)
        transfer = payouts.transfer_of(unit, ident)
        if account is None:  # pragma: no cover - a foreign key holds it
            raise NotFound("payout account", row.payout_account_id)
        if said.where in NEED_TRANSFER and transfer is None:
            raise NotPossible(f"payout {ident} has no transfer, so nobody can have sent anything for it")
        shown = transfer is not None and (
            transfer.instructions_revealed_at is not None or transfer.collected_at is not None
        )
        if said.where in NEED_REVEAL and not shown:
            raise NotPossible(f"the address of payout {ident} was never revealed, so nobody can have paid it")
        payouts.lock_treasury(unit, row.store_id, row.asset, row.network)
        books = resolutions.held_by(unit, ident, on_network(row.asset, row.network))
        new_id = self._context.new_id
        return Resolving(
            unit, new_id, new_id("res"), who, now, row, account, transfer, Held.of(books),
            books.get(Book.STABLES_COST, 0), said,
        )  # fmt: skip

    def _keep(self, about: Resolving) -> None:
        """Store the resolution with its postings, move the payout, close its cases or open one, tell the store."""
        unit, row, said, context = about.unit, about.row, about.said, self._context
        hash_ = None if said.tx_hash is None else read_hash(said.tx_hash, row.network)
        other = None if hash_ is None else resolutions.payout_of_hash(unit, hash_)
        if other not in (None, row.id):
            raise NotPossible(f"this transaction's hash is stored for payout {other}; it cannot be this one's too")
        ledger.post(unit, about.postings, at=about.now)
        resolutions.insert_resolution(
            unit,
            {
                "id": about.ident, "payout_id": row.id, "store_id": row.store_id, "asset": row.asset,
                "network": row.network, "kind": said.where.value, "amount_minor": about.amount,
                "credit_minor": None if about.credit is None else about.credit.minor,
                "credit_currency": None if about.credit is None else about.credit.currency,
                "free_minor": about.freed, "tx_hash": hash_, "evidence": said.evidence.strip(),
                "created_at": about.now, "created_by": about.who,
            },
        )  # fmt: skip
        if about.after is not None and about.after is not row.payout_state:
            self._move(about, about.after)
        record_act(
            unit, context.new_id("act"), who=about.who, action=f"payout resolved: {said.where}", subject=row.id,
            detail={"resolution": about.ident, "amount": about.amount}, at=about.now,
        )  # fmt: skip
        self._settle_cases(about)
        if about.due_at is not None:
            wake(unit, payout_table, row.id, now=about.now)

    def _move(self, about: Resolving, after: PayoutState) -> None:
        row = about.row
        check_move(row.payout_state, after)
        record_move(
            about.unit, row.id, row.moves + 1, row.state, after, cause=f"{about.said.where}: {about.said.evidence.strip()}",
            who=about.who, at=about.now,
        )  # fmt: skip
        values: dict[str, Any] = {"state": after.value, "moves": row.moves + 1, "updated_at": about.now, "attempts": 0}
        if after is S.COMPLETED and about.credit is not None:
            credit = about.credit
            values |= {"credit_minor": credit.minor, "credit_currency": credit.currency, "credit_is": "confirmed"}
        payouts.update_payout(about.unit, row.id, due_at=about.due_at, note="", **values)
        announce_payout(about.unit, self._context, row, after, now=about.now)

    def _settle_cases(self, about: Resolving) -> None:
        """Once somebody has decided, nobody need decide; what speaks of money astray stays open while it is astray."""
        unit, row, said = about.unit, about.row, about.said
        state = about.after or row.payout_state
        astray = Held.of(resolutions.held_by(unit, row.id, about.asset)).unallocated > 0 or fiat_returned(about) > 0
        note = f"{said.where}: {said.evidence.strip()}"[:1000]
        for one in cases_on(unit, row.id):
            if one["closed_at"] is not None or state is S.NEEDS_DECISION:
                continue
            ends = not astray if one["kind"] in WAITING else about.after is not None
            if ends:
                close_case(unit, one["id"], who=about.who, note=note, at=about.now)
        if about.opens is not None:
            about.opens(about, f"{said.where}, entered by {about.who}: {said.evidence.strip()}")

    def _resumes_as(self, ident: str) -> PayoutState:
        """Where the provider stands with the transfer, read now: only a transfer under way can be resumed."""
        with self._context.database.read() as unit:
            row = payouts.payout_by_id(unit, ident)
            transfer = payouts.transfer_of(unit, ident)
            account = None if row is None else payouts.payout_account_by_id(unit, row.payout_account_id)
        if row is None or transfer is None or account is None:
            raise NotPossible(f"payout {ident} has no transfer that could go on")
        outcome = self._stables.read_transfer(transfer.provider_transfer_id, customer_id=account.stables_customer_id)
        if not isinstance(outcome, Accepted):
            raise NotPossible("Stables could not be asked whether the transfer goes on; try again")
        state = PROVIDER_STATES.get(outcome.value.status)
        if state is S.COMPLETED:
            return S.PROCESSED  # the worker reads it again, and completes it with its credit
        if state is None or state not in PROGRESS or PROGRESS[state] < PROGRESS[S.FUNDED]:
            raise NotPossible(
                f"Stables says that the transfer is {outcome.value.status_text}: it does not go on by itself"
            )
        return state
