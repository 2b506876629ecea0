"""What Stable Mint's withdrawal events do to refunds: bound by reference or by both our identifiers, in any order, once.

The events' fields are UNKNOWN but for their names (providers.md A7): whatever is stated must agree, whatever is absent is not
needed. An event that names no refund of ours waits, like one that names no session.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from checkout.context import Context
from checkout.errors import AmountRefused
from checkout.inbox import EventState, Reading
from checkout.refunding.refund_moves import deposit_of, has_left, locked, moved
from checkout.rules.money import CURRENCY_EXPONENTS, read_provider_amount
from checkout.rules.refunds import UNSENT, News, RefundState, follow, refundable
from checkout.store import events, payments, refunds
from checkout.store.engine import Unit
from checkout.store.moves import WORKER, reopen_case
from checkout.store.records import AttemptRow, EventRow, PaymentRow, RefundRow

PREFIX: Final = "partner.customer.withdrawal."
#: Both generations have the same four words (providers.md A7, CONFIRMED names).
NEWS: Final = MappingProxyType({PREFIX + news.value: news for news in News})


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of a withdrawal event."""

    state: EventState
    note: str = ""
    subject: str | None = None


def hear(unit: Unit, context: Context, event: EventRow, reading: Reading, now: datetime) -> Heard:
    """Apply one withdrawal event, with its refund's payment locked; the event's partner has been checked."""
    content = reading.content
    website, key = _text(content, "websiteReference"), _text(content, "idempotencyKey")
    ours = None if website is None or key is None else (website, key)
    if reading.reference is None and ours is None:  # it never can be bound, however long it waits
        return Heard(EventState.IGNORED, "known; moves nothing")
    named = refunds.refunds_named(unit, reference=reading.reference, ours=ours)
    if not named:
        return Heard(EventState.UNMATCHED, "names no refund of ours yet")
    found, attempt = named[0]
    # in doubt, and yet named by its reference: what this database has forgotten sent it, under identifiers nobody here knows
    forgotten = found.in_doubt_since is not None
    agrees = (
        len(named) == 1
        and (forgotten or website in (None, found.website_reference))
        and (forgotten or key is None or (attempt is not None and key == attempt.key))
        and (reading.reference is None or found.reference in (None, reading.reference))
    )
    if not agrees:
        return Heard(EventState.QUARANTINED, "its identifiers name different withdrawals")
    payment, row = locked(unit, found.id)
    problem = _amount_problem(content, row)
    if problem is not None:
        return Heard(EventState.QUARANTINED, problem, row.id)
    attempt = None if row.in_doubt_since is not None else refunds.withdrawal_of(unit, row.id)
    return _apply(unit, context, event, reading, payment, row, attempt, now)


def _apply(
    unit: Unit, context: Context, event: EventRow, reading: Reading, payment: PaymentRow, row: RefundRow,
    attempt: AttemptRow | None, now: datetime,
) -> Heard:  # fmt: skip
    news = NEWS[reading.event_type]
    cause = f"event {event.id} {reading.event_type}"
    follows = follow(row.refund_state, news, failed_heard=row.failed_heard)
    learnt = _learn(unit, row, attempt, reading, news, cause, now)
    after = follows.after
    if follows.contradiction:
        after = _contradicted(unit, context, payment, row, news, after, now)
    if after is None:
        known = not learnt and not follows.contradiction
        return Heard(EventState.IGNORED if known else EventState.APPLIED, "nothing new" if known else "", row.id)
    moved(unit, context, payment, row, after, cause=cause, who=WORKER, now=now)
    return Heard(EventState.APPLIED, "", row.id)


def _learn(
    unit: Unit, row: RefundRow, attempt: AttemptRow | None, reading: Reading, news: News, cause: str, now: datetime
) -> bool:
    """Keep what the event tells beside the state: the reference, that it exists at all, that it failed."""
    values: dict[str, Any] = {}
    if reading.reference is not None and row.reference is None:
        values["reference"] = reading.reference
    if news is News.FAILED and not row.failed_heard:
        values["failed_heard"] = True
    if values:
        refunds.update_refund(unit, row.id, **values)
    if attempt is not None and attempt.state != "accepted":
        refunds.update_attempt(unit, attempt.id, state="accepted", evidence=cause)
    if "reference" in values:
        events.make_unmatched_due(unit, now=now, reference=reading.reference)
    return bool(values)


def _contradicted(
    unit: Unit, context: Context, payment: PaymentRow, row: RefundRow, news: News, after: RefundState | None,
    now: datetime,
) -> RefundState | None:  # fmt: skip
    """Ask a person; and the state that may be taken all the same: only one that the deposit's money still covers."""
    detail = f"Stable Mint says {news.value} of a refund that is {row.state}; ask them which is true"
    if row.refund_state in UNSENT:  # it was never sent from here: whoever sent it, it must not be sent again unseen
        refunds.update_refund(unit, row.id, approved_by=None, approved_at=None, due_at=None)
    elif after is not None and not _covered(unit, row, payment):
        detail += ". The money that would cover it is spent: if it was sent, it was paid from other money"
        after = None
    reopen_case(unit, context.new_id("case"), kind="refund_contradiction", subject=row.id, detail=detail, at=now)
    return after


def _covered(unit: Unit, row: RefundRow, payment: PaymentRow) -> bool:
    if row.funded_at is None and has_left(deposit_of(unit, row)):
        return False
    facts = [one.facts for one in payments.deposits_of(unit, payment.id)]
    left = refundable(facts, [one.facts for one in refunds.refunds_of(unit, payment.id)])
    return row.amount <= left[row.deposit_id]


def _amount_problem(content: dict[str, Any], row: RefundRow) -> str | None:
    """What an event states of the money must be this withdrawal's; it need not state any."""
    currency = content.get("currency")
    if currency is not None and (not isinstance(currency, str) or currency.upper() not in CURRENCY_EXPONENTS):
        return "the event's currency is not one a refund may have"
    if currency is not None and currency.upper() != row.currency:
        return f"states {currency.upper()}, the refund is in {row.currency}"
    if content.get("amount") is None:
        return None
    try:
        stated = read_provider_amount(content["amount"], row.currency)
    except AmountRefused as problem:
        return str(problem)
    return None if stated == row.amount else f"states {stated}, the refund is {row.amount}"


def _text(content: dict[str, Any], name: str) -> str | None:
    value = content.get(name)
    return value if isinstance(value, str) and value else None
