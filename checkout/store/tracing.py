"""From any identifier that a person may hold to the payments or payouts it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Select, func, or_, select

from checkout.store.engine import Unit
from checkout.store.tables import (
    attempt,
    case,
    customer,
    deposit,
    event,
    funding,
    mandate,
    notification,
    payment,
    payment_link,
    payout,
    payout_item,
    quote,
    refund,
    session,
    settlement_record,
    transfer,
)

SUBJECTS_MAX: Final = 50
#: A case or event names a subject, which may name another: no chain of ours is longer.
STEPS_MAX: Final = 3


def subject_of(unit: Unit, ident: str) -> tuple[str, list[str]] | None:
    """("payment", ids) or ("payout", ids) for whatever a person may hold; None when nothing of ours has it.

    An order, payment, session or deposit by our id or the provider's reference, a settlement record, quote, mandate, attempt,
    transfer (ours or the provider's id), payout, transaction hash, refund, payment link, customer (ours or the shop's id),
    delivery, notification or case.
    """
    for _ in range(STEPS_MAX):
        for kind, queries in (("payment", _payments(ident)), ("payout", _payouts(ident))):
            for query in queries:
                found = _ids(unit, query)
                if found:
                    return kind, found
        further = _further(unit, ident)
        if further is None:
            return None
        ident = further
    return None


def _payments(ident: str) -> Iterator[Select[Any]]:
    yield select(payment.c.id).where(or_(payment.c.id == ident, payment.c.order_ref == ident))
    yield select(session.c.payment_id).where(
        or_(
            session.c.id == ident, session.c.reference == ident, session.c.provider_session_id == ident,
            session.c.website_reference == ident, session.c.provider_key == ident,
        )
    )  # fmt: skip
    yield select(deposit.c.payment_id).where(
        or_(deposit.c.id == ident, deposit.c.reference == ident, deposit.c.settlement_record_id == ident)
    )
    yield select(refund.c.payment_id).where(
        or_(refund.c.id == ident, refund.c.reference == ident, refund.c.website_reference == ident)
    )
    yield (
        select(refund.c.payment_id)
        .join(attempt, attempt.c.subject == refund.c.id)
        .where(or_(attempt.c.id == ident, attempt.c.key == ident))
    )
    yield select(payment.c.id).where(payment.c.link_id == ident)
    yield (
        select(payment.c.id)
        .join(customer, customer.c.id == payment.c.customer_id)
        .where(or_(customer.c.id == ident, customer.c.external_id == ident, customer.c.provider_user_id == ident))
    )


def _payouts(ident: str) -> Iterator[Select[Any]]:
    yield select(payout.c.id).where(payout.c.id == ident)
    yield select(quote.c.payout_id).where(or_(quote.c.id == ident, quote.c.provider_quote_id == ident))
    yield select(mandate.c.payout_id).where(mandate.c.id == ident)
    yield select(transfer.c.payout_id).where(or_(transfer.c.id == ident, transfer.c.provider_transfer_id == ident))
    yield (
        select(transfer.c.payout_id)
        .join(funding, funding.c.transfer_id == transfer.c.id)
        .where(func.lower(funding.c.tx_hash) == ident.lower())
    )
    yield (
        select(payout.c.id)
        .join(attempt, attempt.c.subject == payout.c.id)
        .where(or_(attempt.c.id == ident, attempt.c.key == ident))
    )
    yield select(payout_item.c.payout_id).where(payout_item.c.source == ident)


def _further(unit: Unit, ident: str) -> str | None:
    """What a delivery, notification or case is about."""
    for query in (
        select(event.c.subject).where(event.c.id == ident),
        select(notification.c.subject).where(notification.c.id == ident),
        select(case.c.subject).where(case.c.id == ident),
    ):
        row = unit.execute(query).first()
        if row is not None and row.subject not in (None, ident):
            return str(row.subject)
    return None


def known_otherwise(unit: Unit, ident: str) -> str | None:
    """What has this id but no payment or payout to follow yet: a sentence for whoever asked."""
    if unit.execute(select(payment_link.c.id).where(payment_link.c.id == ident)).first() is not None:
        return "a payment link by which nobody has opened a payment yet"
    held = select(customer.c.id).where(or_(customer.c.id == ident, customer.c.external_id == ident))
    if unit.execute(held).first() is not None:
        return "a customer without a payment"
    row = unit.execute(
        select(settlement_record.c.withdrawn_at, settlement_record.c.created_by).where(settlement_record.c.id == ident)
    ).first()
    if row is not None:
        return f"a settlement record made by {row.created_by}, taken back at {row.withdrawn_at}"
    row = unit.execute(select(event.c.event_type, event.c.state).where(event.c.id == ident)).first()
    if row is not None:
        return f"a delivery ({row.event_type or 'unreadable'}) that is {row.state} and names nothing of ours"
    return None


def _ids(unit: Unit, query: Select[Any]) -> list[str]:
    rows = unit.execute(query.distinct().limit(SUBJECTS_MAX))
    return sorted(str(row[0]) for row in rows)
