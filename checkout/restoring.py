"""After a restore: no money moves before every transfer that Stables knows has been compared with what is remembered here.

A restored database has forgotten what was done since its backup. A transfer that carries our installation's id and an attempt
that is no row here was made by a later self of this database: what it paid must not be paid again. Stable Mint's withdrawals
cannot be listed: a refund that was not yet sent may have been since. It is in doubt until a person has looked there, and then
approves it anew, or says that it was sent.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from checkout.context import Context
from checkout.errors import NotPossible, RequestRefused
from checkout.paying_out.payout_moves import announce_payout, postpone
from checkout.paying_out.transfers import Stables
from checkout.providers.outcome import Accepted, Outcome, Unknown
from checkout.providers.stables_records import Transfer
from checkout.rules.payouts import FINAL, MOVES, PayoutState, check_move
from checkout.rules.work import POLL_SLOW
from checkout.store import explaining, payouts, refunds, stores
from checkout.store.engine import Unit
from checkout.store.moves import WORKER, record_act, record_move, reopen_case
from checkout.store.records import PayoutRow

EVIDENCE_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Forgotten:
    """A transfer of ours that no attempt here made."""

    transfer: str
    payout: str | None
    attempt: str | None
    status: str
    detail: str


class Restoring:
    """The operator's verbs after a restore, and the worker's look before it lets money move."""

    def __init__(self, context: Context, stables: Stables) -> None:
        self._context = context
        self._stables = stables
        self._looking = threading.Lock()
        self._looked = False

    # --- the worker ----------------------------------------------------------------------------------------------

    def may_move(self, row: PayoutRow, token: str) -> bool:
        """Whether this process has compared Stables' transfers with the rows here; looks once, before its first transfer.

        While Stables cannot be asked the payout waits, its lease given back. What was found pauses everything (``why_paused``).
        """
        with self._looking:
            if self._looked:
                return True
            outcome = self._stables.list_transfers()
            if isinstance(outcome, Accepted):
                self._keep(outcome.value)
                self._looked = True
                return True
        why = f"Stables could not be asked which transfers there are: {_reason(outcome)}"
        postpone(self._context, row, token, self._context.scaled(POLL_SLOW), why)
        return False

    def _keep(self, listed: Sequence[Transfer]) -> list[_Forgotten]:
        """Store what was forgotten; what nobody has confirmed yet marks the database and puts its payout before a person."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            found = self._forgotten(unit, listed)
            known = {one.provider_transfer_id: one for one in explaining.known_transfers(unit)}
            fresh = [one for one in found if one.transfer not in known]
            for one in found:
                explaining.note_transfer(
                    unit,
                    {
                        "provider_transfer_id": one.transfer, "payout": one.payout, "attempt": one.attempt,
                        "status": one.status, "detail": one.detail, "seen_at": now,
                    },
                )  # fmt: skip
            for one in fresh:
                self._put_before_a_person(unit, one, now)
            if fresh and explaining.mark_restored(unit, at=now):
                self._doubt_refunds(unit, WORKER, now)
        return found

    def _doubt_refunds(self, unit: Unit, who: str, now: datetime) -> None:
        context = self._context
        for ident, approved in refunds.put_in_doubt(unit, at=now).items():
            if approved:
                record_act(
                    unit, context.new_id("act"), who=who, action="refund approval taken back", subject=ident,
                    detail={"because": "the database was restored"}, at=now,
                )  # fmt: skip
            was, since = ("approved", "sent") if approved else ("waiting", "approved and sent")
            reopen_case(
                unit, context.new_id("case"), kind="refund_needs_approval", subject=ident, at=now,
                detail=f"it was {was} when the backup was made, and may have been {since} since: look for its order in Stable "
                "Mint's dashboard before it is approved",
            )  # fmt: skip

    def _forgotten(self, unit: Unit, listed: Sequence[Transfer]) -> list[_Forgotten]:
        ours = (stores.installation_row(unit) or {}).get("id")
        mine = [one for one in listed if ours is not None and one.metadata.get("installation") == ours]
        there = explaining.attempts_there(unit, [one.metadata.get("attempt", "") for one in mine])
        return [_as_forgotten(one) for one in mine if one.metadata.get("attempt", "") not in there]

    def _put_before_a_person(self, unit: Unit, one: _Forgotten, now: datetime) -> None:
        """A case, and where the payout is a row here, the payout itself: its money stays where it is until they decide."""
        context = self._context
        row = None if one.payout is None else payouts.payout_by_id(unit, one.payout, lock=True)
        detail = f"Stables has a transfer of ours that this database does not remember: {one.detail}"
        reopen_case(
            unit, context.new_id("case"), kind="forgotten_transfer", subject=(one.transfer if row is None else row.id)[:64],
            detail=detail, at=now,
        )  # fmt: skip
        if row is None or row.payout_state in FINAL or row.payout_state is PayoutState.NEEDS_DECISION:
            return
        payouts.void_mandates(unit, because="the database was restored", at=now, payout_id=row.id)
        states = [PayoutState.NEEDS_DECISION]
        if PayoutState.NEEDS_DECISION not in MOVES[row.payout_state]:
            states.insert(0, PayoutState.ON_HOLD)
        before: PayoutState = row.payout_state
        position = row.moves
        for after in states:
            check_move(before, after)
            position += 1
            record_move(unit, row.id, position, before, after, cause=detail, who=WORKER, at=now)
            before = after
        payouts.update_payout(
            unit, row.id, state=before.value, moves=position, updated_at=now, due_at=None, note=detail[:500]
        )
        announce_payout(unit, context, row, before, now=now)

    # --- the operator --------------------------------------------------------------------------------------------

    def mark(self, *, note: str, who: str) -> dict[str, Any]:
        """Say that this database was restored from a backup: from now on no money moves until it is reconciled."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            new = explaining.mark_restored(unit, at=now)
            if new:
                record_act(
                    unit, context.new_id("act"), who=who, action="database restored", subject="installation",
                    detail={"note": note[:EVIDENCE_MAX]}, at=now,
                )  # fmt: skip
                self._doubt_refunds(unit, who, now)
            marked = (stores.installation_row(unit) or {}).get("restored_at")
        return {"marked_at": None if marked is None else marked.isoformat(), "new": new}

    def reconcile(self) -> dict[str, Any]:
        """Read every transfer there is and compare; nothing is released by reading."""
        outcome = self._stables.list_transfers()
        if not isinstance(outcome, Accepted):
            raise NotPossible(f"Stables could not be asked which transfers there are: {_reason(outcome)}; try again")
        forgotten = self._keep(outcome.value)
        listed = {one.id for one in outcome.value}
        with self._context.database.read() as unit:
            row = stores.installation_row(unit) or {}
            known = explaining.known_transfers(unit)
            mine = explaining.transfers_under_way(unit)
        marked = row.get("restored_at")
        return {
            "marked_at": None if marked is None else marked.isoformat(),
            "read": len(listed),
            "forgotten": [
                {
                    "transfer": one.provider_transfer_id, "payout": one.payout, "attempt": one.attempt,
                    "status": one.status, "detail": one.detail, "confirmed_by": one.confirmed_by,
                }
                for one in known
                if one.provider_transfer_id in {each.transfer for each in forgotten}
            ],
            "missing": [{"transfer": ident, "payout": payout} for ident, payout in mine if ident not in listed],
        }  # fmt: skip

    def confirm(self, *, evidence: str, who: str) -> dict[str, Any]:
        """A named person has looked at what was found: money may move again. What nobody was shown yet is shown first."""
        if not 1 <= len(evidence.strip()) <= EVIDENCE_MAX:
            raise RequestRefused(
                {"evidence": f"say in 1 to {EVIDENCE_MAX} characters how you know where that money is"}
            )
        context = self._context
        with context.database.read() as unit:
            shown = {one.provider_transfer_id for one in explaining.known_transfers(unit)}
            marked = (stores.installation_row(unit) or {}).get("restored_at")
        if marked is None:
            raise NotPossible("the database is not marked as restored; there is nothing to confirm")
        found = self.reconcile()
        unseen = [one["transfer"] for one in found["forgotten"] if one["transfer"] not in shown]
        if unseen:
            raise NotPossible(
                f"Stables has {len(unseen)} transfers of ours that nobody has been shown: {', '.join(unseen)}; look at "
                "`checkout reconcile` and at their cases, then confirm"
            )
        now = context.clock()
        with context.database.write() as unit:
            explaining.confirm_transfers(unit, who=who, at=now)
            explaining.mark_restored(unit, at=None)
            record_act(
                unit, context.new_id("act"), who=who, action="database reconciled", subject="installation", at=now,
                detail={"evidence": evidence, "read": found["read"], "forgotten": len(found["forgotten"])},
            )  # fmt: skip
        return {**found, "marked_at": None, "confirmed_by": who}


def _as_forgotten(transfer: Transfer) -> _Forgotten:
    sends = transfer.instructions.amount if transfer.instructions is not None else None
    parts = [f"transfer {transfer.id}", transfer.status_text]
    parts += [f"made {transfer.created_at.isoformat()}"] if transfer.created_at is not None else []
    parts += [f"asks for {sends}"] if sends is not None else []
    parts += [f"credits {transfer.credit}"] if transfer.credit is not None else []
    payout, attempt = transfer.metadata.get("payout"), transfer.metadata.get("attempt")
    parts += [f"for payout {payout}"] if payout else []
    return _Forgotten(
        transfer.id[:64], payout and payout[:64], attempt and attempt[:64], transfer.status[:40], ", ".join(parts)
    )


def _reason(outcome: Outcome[Any]) -> str:
    if isinstance(outcome, Unknown):
        return outcome.reason
    return "" if isinstance(outcome, Accepted) else f"{outcome.status}: {outcome.message}"
