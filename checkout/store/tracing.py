"""From any identifier that a person may hold to the payments or payouts it belongs to."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import or_, select

from checkout.store.engine import Unit
from checkout.store.tables import deposit, funding, payment, payout, payout_item, quote, session, transfer

SUBJECTS_MAX: Final = 50


def subject_of(unit: Unit, ident: str) -> tuple[str, list[str]] | None:
    """("payment", ids) or ("payout", ids) for an id, reference, order number, transaction hash; None when unknown."""
    for column in (
        select(payment.c.id).where(or_(payment.c.id == ident, payment.c.order_ref == ident)),
        select(session.c.payment_id).where(
            or_(session.c.id == ident, session.c.reference == ident, session.c.provider_session_id == ident)
        ),
        select(deposit.c.payment_id).where(
            or_(deposit.c.id == ident, deposit.c.reference == ident, deposit.c.settlement_record_id == ident)
        ),
    ):
        found = _ids(unit, column)
        if found:
            return "payment", found
    for column in (
        select(payout.c.id).where(payout.c.id == ident),
        select(quote.c.payout_id).where(or_(quote.c.id == ident, quote.c.provider_quote_id == ident)),
        select(transfer.c.payout_id).where(or_(transfer.c.id == ident, transfer.c.provider_transfer_id == ident)),
        select(transfer.c.payout_id)
        .join(funding, funding.c.transfer_id == transfer.c.id)
        .where(funding.c.tx_hash == ident),
        select(payout_item.c.payout_id).where(payout_item.c.source == ident),
    ):
        found = _ids(unit, column)
        if found:
            return "payout", found
    return None


def _ids(unit: Unit, query: Any) -> list[str]:
    rows = unit.execute(query.distinct().limit(SUBJECTS_MAX))
    return sorted(str(row[0]) for row in rows)
