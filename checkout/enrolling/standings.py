"""Where a customer stands at Stables, read again when its webhooks say that something has changed.

The events are thin and their words differ from the API's, so they only make the reading due. Nothing is paid out by what is
read here: a payout reads the customer itself. What a person must know becomes a case, or ends one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, assert_never

from checkout.context import Context
from checkout.providers.outcome import Accepted, Declined, Unknown
from checkout.providers.stables import Stables
from checkout.providers.stables_records import CustomerStanding
from checkout.providers.stables_words import standing_words, words_of
from checkout.rules.work import POLL_SLOW, backoff
from checkout.store import merchants
from checkout.store.engine import Unit
from checkout.store.moves import close_by_proof, reopen_case, retell_case
from checkout.store.tables import customer_standing
from checkout.store.work import release

#: Tries without an answer after which the next payout's own reading is waited for.
TRIES_MAX: Final = 12
#: Words of levels and entitlements that wait for a person.
_FOR_A_PERSON: Final = frozenset({"requires_action", "rejected"})


class Standings:
    """The worker's look at a customer of ours."""

    def __init__(self, context: Context, stables: Stables) -> None:
        self._context = context
        self._stables = stables

    def step(self, ident: str, token: str) -> None:
        """Read the customer, and keep what Stables says; without an answer, later again."""
        context = self._context
        outcome = self._stables.read_customer(ident)
        now = context.clock()
        with context.database.write() as unit:
            match outcome:
                case Accepted(value=standing):
                    state = "approved" if standing.base_payout_approved else "refused"
                    release(
                        unit, customer_standing, ident, token, due_at=None, base_payout=state, name=standing.name, read_at=now
                    )  # fmt: skip
                    self._tell(unit, ident, standing, now)
                case Declined():
                    release(unit, customer_standing, ident, token, due_at=None)
                    self._ask(unit, ident, f"Stables does not show the customer: {words_of(outcome)}", now)
                case Unknown(retry_after_s=asked):
                    tries = merchants.tries_of(unit, ident) + 1
                    wait = context.scaled(backoff(tries, longest=POLL_SLOW, jitter=context.jitter()))
                    due_at = now + max(wait, timedelta(seconds=asked or 0)) if tries < TRIES_MAX else None
                    release(unit, customer_standing, ident, token, due_at=due_at, attempts=tries)
                case _:
                    assert_never(outcome)

    def _tell(self, unit: Unit, ident: str, standing: CustomerStanding, now: datetime) -> None:
        """Ask for a person where Stables waits for one; say on held payouts that they may go on."""
        if standing.base_payout_approved:
            close_by_proof(unit, kind="merchant_standing", subject=ident, note="Stables approves payouts now", at=now)
            for payout in merchants.held_for_approval(unit, ident):
                detail = (
                    f"Stables approves payouts for the customer since {now.isoformat()}: retry the payout, or cancel it"
                )
                retell_case(unit, kind="customer_not_approved", subject=payout, detail=detail)
            return
        words = {one.status for one in standing.levels} | {one.status for one in standing.entitlements}
        if words & _FOR_A_PERSON:
            self._ask(unit, ident, f"payouts are not approved: {standing_words(standing)}", now)

    def _ask(self, unit: Unit, ident: str, detail: str, now: datetime) -> None:
        reopen_case(
            unit, self._context.new_id("case"), kind="merchant_standing", subject=ident, detail=detail, at=now
        )  # fmt: skip
