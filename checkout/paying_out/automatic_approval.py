"""The worker's step for a payout that a policy proposed and that is quoted: the policy's own mandate, or a person's turn."""

from __future__ import annotations

from datetime import timedelta

from checkout.context import Context
from checkout.paying_out.mandates import by_policy, give, least_by_default, why_not_by_policy
from checkout.paying_out.payout_moves import claimed, conclude
from checkout.rules.payouts import PayoutState
from checkout.store import payouts
from checkout.store.records import PayoutAccountRow, PayoutRow
from checkout.store.tables import payout as payout_table
from checkout.store.work import release


def let_policy_approve(context: Context, row: PayoutRow, token: str, account: PayoutAccountRow) -> None:
    """Give the mandate that the policy may give by itself; else the payout waits for a person, and says why."""
    now = context.clock()
    with context.database.write() as unit:
        current = claimed(unit, row.id, token, PayoutState.QUOTED)
        quote = payouts.quote_by_id(unit, current.quote_id or "")
        asked = quote is None or row.policy_id is None or payouts.live_mandate(unit, row.id) is not None
        if quote is None or asked:
            release(unit, payout_table, row.id, token, due_at=None, note=row.note)
            return
        policy, why = why_not_by_policy(unit, current, account, quote, now)
        if policy is None:
            release(unit, payout_table, row.id, token, due_at=None, note=f"waits for a person: {why}"[:500])
            return
        given = give(
            unit, context, current, account, quote, least_by_default(unit, current, quote), two_people=False,
            life=timedelta(seconds=policy.mandate_life_s), who=by_policy(policy.id), now=now,
        )  # fmt: skip
        conclude(
            unit, context, current, token, PayoutState.APPROVED, cause=f"mandate {given.id} of policy {policy.id}",
            now=now, due_at=now, note="",
        )  # fmt: skip
