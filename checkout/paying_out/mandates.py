"""Mandates: exactly what may leave, to whom, for at least how much. Given by one person, by two, or by a policy.

A mandate is given on a displayed quote and stored with what was shown. It holds while every field it binds is what it
was, until its end, and, where two people are asked for, only once both have agreed.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, Final

from checkout.context import Context
from checkout.errors import AmountRefused, NotFound, NotPossible
from checkout.paying_out.price_guard import quote_refused
from checkout.paying_out.proposing import why_unusable
from checkout.people import DEMO
from checkout.rules.money import Money, parse_amount
from checkout.rules.payouts import PayoutState
from checkout.rules.prices import least_credit
from checkout.rules.work import MANDATE_LIFE, MANDATE_LIFE_MAX
from checkout.store import payouts, policies
from checkout.store.engine import Taken, Unit
from checkout.store.moves import record_act
from checkout.store.records import MandateRow, PayoutAccountRow, PayoutRow, PolicyRow, QuoteRow
from checkout.store.tables import mandate as mandate_table

#: A mandate given without a smallest credit takes the displayed credit less this many basis points.
DEFAULT_SLACK_BP: Final = 50
_POLICY: Final = "policy:"


def by_policy(policy_id: str) -> str:
    """Who, when a policy approves."""
    return f"{_POLICY}{policy_id}"


def approve_in(
    unit: Unit, context: Context, row: PayoutRow, *, min_credit: str | None, valid_for: timedelta | None, who: str,
    now: datetime,
) -> tuple[MandateRow, bool]:  # fmt: skip
    """A person's approval: the mandate, and whether it holds now or waits for a second person.

    NotPossible when the payout, its account, its price, a pause or the person does not allow it.
    """
    if row.payout_state is not PayoutState.QUOTED:
        raise NotPossible(f"payout {row.id} is {row.state}; only a quoted payout can be approved")
    why = policies.why_paused(unit, row)
    if why is not None:
        raise NotPossible(why)
    account = payouts.payout_account_by_id(unit, row.payout_account_id)
    quote = payouts.quote_by_id(unit, row.quote_id or "")
    if account is None or quote is None:  # pragma: no cover - what is quoted has both
        raise NotFound("quote", row.quote_id or "")
    why = why_unusable(account, now)
    if why is not None:
        raise NotPossible(why)
    why = quote_refused(unit, row.store_id, row.asset, quote)
    if why is not None:
        raise NotPossible(f"{why}; `checkout payouts retry {row.id}` draws another quote")
    policy = policies.policy_for(unit, row.store_id, row.asset, row.network)
    first = payouts.live_mandate(unit, row.id)
    if first is not None:
        changed = why_void(first, row, account, policy, now)
        if changed is None:
            return _agree(unit, context, row, first, min_credit=min_credit, who=who, now=now), True
        payouts.void_mandates(unit, because=changed[:200], at=now, payout_id=row.id)
    two = needs_two(policy, row)
    if two and who == DEMO:
        raise NotPossible("two people approve a payout of this size, each with a secret; say who you are: --as NAME")
    least = _least_credit(unit, row, quote, min_credit)
    usual = MANDATE_LIFE if policy is None else timedelta(seconds=policy.mandate_life_s)
    life = usual if valid_for is None else valid_for
    given = give(unit, context, row, account, quote, least, two_people=two, life=life, who=who, now=now)
    return given, not two


def give(
    unit: Unit, context: Context, row: PayoutRow, account: PayoutAccountRow, quote: QuoteRow, least: Money, *,
    two_people: bool, life: timedelta, who: str, now: datetime,
) -> MandateRow:  # fmt: skip
    """Store a mandate on this quote, with what was shown. NotPossible when the payout has one already."""
    if not timedelta(0) < life <= MANDATE_LIFE_MAX:
        raise NotPossible(f"a mandate is valid for at most {int(MANDATE_LIFE_MAX.total_seconds()) // 3600} hours")
    standing = payouts.standing_of(unit, account.stables_customer_id)
    shown = shown_quote(quote) | {"customer": None if standing is None else standing["name"]}
    ident = context.new_id("man")
    try:
        payouts.insert_row(
            unit,
            mandate_table,
            {
                "id": ident, "payout_id": row.id, "payout_account_id": account.id, "asset": row.asset,
                "network": row.network, "amount_minor": row.amount_minor,
                "stables_customer_id": account.stables_customer_id, "bank_digest": account.bank_digest,
                "currency": account.currency, "country": account.country, "rail": account.rail,
                "purpose_code": account.purpose_code, "min_credit_minor": least.minor, "quote_id": quote.id,
                "shown": json.dumps(shown), "valid_until": now + context.scaled(life), "two_people": two_people,
                "created_at": now, "created_by": who,
            },
        )  # fmt: skip
    except Taken:  # pragma: no cover - whoever gives one holds the payout's lock and has looked
        raise NotPossible(f"payout {row.id} has a mandate already") from None
    record_act(
        unit, context.new_id("act"), who=who, subject=row.id, at=now,
        action="payout approved by the first of two" if two_people else "payout approved",
        detail={"mandate": ident, "min_credit": least.fixed(), "quote": quote.provider_quote_id},
    )  # fmt: skip
    given = payouts.live_mandate(unit, row.id)
    if given is None:  # pragma: no cover - it was stored above, in this transaction
        raise NotFound("mandate", ident)
    return given


def _agree(
    unit: Unit, context: Context, row: PayoutRow, first: MandateRow, *, min_credit: str | None,
    who: str, now: datetime,
) -> MandateRow:  # fmt: skip
    """The second person's approval of the first one's mandate, as it is."""
    least = Money(first.min_credit_minor, first.currency)
    if first.created_by == who:
        raise NotPossible(f"{who} has approved payout {row.id}; it waits for a second person")
    if who == DEMO:
        raise NotPossible("the second person needs a secret too; say who you are: --as NAME")
    if min_credit is not None and parse_credit(min_credit, first.currency) != least:
        raise NotPossible(f"{first.created_by} approved it for at least {least}; approve that, or stop it")
    payouts.agree_to_mandate(unit, first.id, who=who, at=now)
    record_act(
        unit, context.new_id("act"), who=who, action="payout approved by the second of two", subject=row.id,
        detail={"mandate": first.id, "first": first.created_by, "min_credit": least.fixed()}, at=now,
    )  # fmt: skip
    return first


def needs_two(policy: PolicyRow | None, row: PayoutRow) -> bool:
    """Whether the store's policy asks for two people for this amount."""
    return policy is not None and policy.two_people_from_minor is not None and (
        row.amount_minor >= policy.two_people_from_minor
    )  # fmt: skip


def why_void(
    mandate: MandateRow | None, row: PayoutRow, account: PayoutAccountRow, policy: PolicyRow | None, now: datetime
) -> str | None:
    """Why the mandate does not hold (any more): any bound field that changed voids it."""
    if mandate is None:
        return "there is no mandate"
    if now >= mandate.valid_until:
        return f"the mandate ended at {mandate.valid_until.isoformat()}"
    if account.retired_at is not None:  # pragma: no cover - retiring one voids its mandates, and this holds even so
        return "the payout account has been replaced"
    bound = (
        (mandate.payout_account_id, row.payout_account_id), (mandate.asset, row.asset), (mandate.network, row.network),
        (mandate.amount_minor, row.amount_minor), (mandate.stables_customer_id, account.stables_customer_id),
        (mandate.bank_digest, account.bank_digest), (mandate.currency, account.currency),
        (mandate.country, account.country), (mandate.rail, account.rail), (mandate.purpose_code, account.purpose_code),
    )  # fmt: skip
    if any(approved != present for approved, present in bound):
        return "the payout account has changed since it was approved"
    if needs_two(policy, row) and not mandate.two_people:
        return "the policy asks for two people now, and one approved it"
    return None


def why_not_by_policy(
    unit: Unit, row: PayoutRow, account: PayoutAccountRow, quote: QuoteRow, now: datetime
) -> tuple[PolicyRow | None, str | None]:
    """The policy that may approve this payout by itself; or why a person must."""
    policy = policies.policy_by_id(unit, row.policy_id or "")
    if policy is None or policy.approve_below_minor is None:
        return None, "the policy leaves approval to people"
    amount = row.amount_minor
    limits = policies.limits_of(unit, row.store_id, quote.credit_currency)
    checks = (
        (amount >= policy.approve_below_minor, "it is not below the policy's limit for automatic approval"),
        (needs_two(policy, row), "two people approve a payout of this size"),
        (limits is None, f"the store has no price guard for {quote.credit_currency}"),
        (not policies.has_paid(unit, account.id), "it is the first payout to this account"),
    )
    for refuses, why in checks:
        if refuses:
            return None, why
    why_not = (
        policies.why_paused(unit, row)
        or why_unusable(account, now)
        or quote_refused(unit, row.store_id, row.asset, quote)
    )
    return (None, why_not) if why_not is not None else (policy, None)


def least_by_default(unit: Unit, row: PayoutRow, quote: QuoteRow) -> Money:
    """The displayed credit less the slack, and never below what the price guard allows."""
    slack = -(-quote.credit_minor * DEFAULT_SLACK_BP // 10_000)
    return Money(max(quote.credit_minor - slack, _floor(unit, row, quote), 1), quote.credit_currency)


def _least_credit(unit: Unit, row: PayoutRow, quote: QuoteRow, asked: str | None) -> Money:
    if asked is None:
        return least_by_default(unit, row, quote)
    least = parse_credit(asked, quote.credit_currency)
    floor = _floor(unit, row, quote)
    if least.minor < floor:
        raise NotPossible(
            f"--min-credit: the price guard allows {Money(floor, least.currency)} or more for this amount"
        )
    return least


def _floor(unit: Unit, row: PayoutRow, quote: QuoteRow) -> int:
    limits = policies.limits_of(unit, row.store_id, quote.credit_currency)
    return 0 if limits is None else least_credit(limits, row.amount) or 0


def parse_credit(text: str, currency: str) -> Money:
    """A smallest credit as a person writes it."""
    try:
        return parse_amount(text, currency)
    except AmountRefused as problem:
        raise NotPossible(f"--min-credit: {problem}") from None


def shown_quote(quote: QuoteRow) -> dict[str, Any]:
    """A quote as it is displayed, and stored with the mandate given on it."""
    return {
        "id": quote.provider_quote_id, "credit": quote.credit.fixed(), "currency": quote.credit_currency,
        "rate": quote.rate, "fees": json.loads(quote.fees), "expires_at": quote.expires_at.isoformat(),
    }  # fmt: skip
