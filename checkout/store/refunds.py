"""Refunds, the one withdrawal attempt of each, and what an operator allows a store's requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, or_, select, update

from checkout.rules.refunds import ENDED, UNSENT
from checkout.store.engine import Unit, by_id, change_by_id
from checkout.store.pages import Page, turn
from checkout.store.records import AttemptRow, RefundRow, record
from checkout.store.tables import attempt, payment, refund, refund_rule

_BY_KEY = select(refund).where(
    refund.c.payment_id == bindparam("payment"), refund.c.idempotency_key == bindparam("key")
)
_OF = select(refund).where(refund.c.payment_id == bindparam("payment")).order_by(refund.c.created_at, refund.c.id)

#: Approved by the store's limit and not by a person.
BY_LIMIT = "limit"


def insert_refund(unit: Unit, values: Mapping[str, Any]) -> None:
    """Add a refund; :class:`Taken` when the payment's Idempotency-Key has one already."""
    unit.execute(insert(refund), dict(values))


def update_refund(unit: Unit, ident: str, **values: Any) -> None:
    """:class:`Taken` when the provider's reference already belongs to another refund."""
    unit.execute(change_by_id(refund), {"row": ident, **values})


def refund_by_id(unit: Unit, ident: str) -> RefundRow | None:
    row = unit.execute(by_id(refund), {"row": ident}).first()
    return None if row is None else record(RefundRow, row)


def refund_by_key(unit: Unit, payment_id: str, idempotency_key: str) -> RefundRow | None:
    row = unit.execute(_BY_KEY, {"payment": payment_id, "key": idempotency_key}).first()
    return None if row is None else record(RefundRow, row)


def refunds_of(unit: Unit, payment_id: str) -> list[RefundRow]:
    """Every refund of a payment, oldest first."""
    return [record(RefundRow, row) for row in unit.execute(_OF, {"payment": payment_id})]


def refunds_named(
    unit: Unit, *, reference: str | None, ours: tuple[str, str] | None
) -> Sequence[tuple[RefundRow, AttemptRow | None]]:
    """Every refund that an identifier of a withdrawal names; ``ours`` is (websiteReference, idempotencyKey), both needed."""
    found: dict[str, RefundRow] = {}
    if reference is not None:
        for row in unit.execute(select(refund).where(refund.c.reference == reference)):
            found[row.id] = record(RefundRow, row)
    if ours is not None:
        website, key = ours
        query = (
            select(refund)
            .join(attempt, attempt.c.subject == refund.c.id)
            .where(refund.c.website_reference == website, attempt.c.kind == "withdrawal", attempt.c.key == key)
        )
        for row in unit.execute(query):
            found[row.id] = record(RefundRow, row)
    return [(one, withdrawal_of(unit, one.id)) for one in found.values()]


def list_refunds(
    unit: Unit, *, store_id: str | None = None, payment_id: str | None = None, states: Sequence[str] = (), limit: int,
    after: str | None = None,
) -> list[RefundRow]:  # fmt: skip
    """Newest first, those before ``after`` in that order."""
    query = select(refund).order_by(refund.c.id.desc()).limit(limit)
    if store_id is not None:
        query = query.join(payment, payment.c.id == refund.c.payment_id).where(payment.c.store_id == store_id)
    if payment_id is not None:
        query = query.where(refund.c.payment_id == payment_id)
    if states:
        query = query.where(refund.c.state.in_(states))
    if after is not None:
        query = query.where(refund.c.id < after)
    return [record(RefundRow, row) for row in unit.execute(query)]


def refunds_on_page(
    unit: Unit, payment_id: str, page: Page, *, states: Sequence[str] = ()
) -> tuple[list[RefundRow], bool]:
    """A page of a payment's refunds, and whether there are more."""
    query = select(refund).where(refund.c.payment_id == payment_id)
    if states:
        query = query.where(refund.c.state.in_(states))
    found, more = turn(unit, query, refund, "ref", page)
    return [record(RefundRow, row) for row in found], more


def put_in_doubt(unit: Unit, *, at: datetime) -> dict[str, bool]:
    """Whatever is not sent may have been sent: none goes out without being approved anew. Each, and whether it was approved."""
    unsent = refund.c.state.in_([state.value for state in UNSENT])
    if not unit.is_sqlite:  # whoever is approving one has done so before, or finds the database marked as restored
        theirs = payment.c.id.in_(select(refund.c.payment_id).where(unsent))
        unit.execute(select(payment.c.id).where(theirs).order_by(payment.c.id).with_for_update())
    found = unit.execute(select(refund.c.id, refund.c.approved_by).where(unsent).order_by(refund.c.id)).all()
    for row in found:
        update_refund(unit, row.id, approved_by=None, approved_at=None, due_at=None, in_doubt_since=at)
    return {str(row.id): row.approved_by is not None for row in found}


def any_live(unit: Unit, deposit_id: str) -> bool:
    """Whether a refund of the deposit has not ended: the lock between refund and payout."""
    ended = [state.value for state in ENDED]
    query = select(refund.c.id).where(refund.c.deposit_id == deposit_id, refund.c.state.not_in(ended)).limit(1)
    return unit.execute(query).first() is not None


def withdrawal_of(unit: Unit, refund_id: str) -> AttemptRow | None:
    """The refund's withdrawal attempt that may have been sent: the newest; an earlier one never left this process."""
    row = unit.execute(
        select(attempt)
        .where(attempt.c.subject == refund_id, attempt.c.kind == "withdrawal")
        .order_by(attempt.c.created_at.desc(), attempt.c.id.desc())
        .limit(1)
    ).first()
    return None if row is None else record(AttemptRow, row)


def insert_withdrawal(unit: Unit, ident: str, refund_id: str, key: str, *, at: datetime) -> None:
    """The attempt, before its first byte; :class:`Taken` when the refund has one already."""
    unit.execute(
        insert(attempt),
        {
            "id": ident, "kind": "withdrawal", "subject": refund_id, "key": key, "state": "pending", "sends": 1,
            "unknowns": 0, "first_sent_at": at, "created_at": at,
        },
    )  # fmt: skip


def update_attempt(unit: Unit, ident: str, **values: Any) -> None:
    unit.execute(change_by_id(attempt), {"row": ident, **values})


# --- what an operator allows ----------------------------------------------------------------------------------------


def rule_of(unit: Unit, store_id: str, currency: str, *, lock: bool = False) -> dict[str, Any] | None:
    """A store's refund rule; with ``lock`` no other request spends its limit until the transaction ends."""
    query = select(refund_rule).where(refund_rule.c.store_id == store_id, refund_rule.c.currency == currency)
    row = unit.execute(query.with_for_update() if lock and not unit.is_sqlite else query).first()
    return None if row is None else dict(row._mapping)


def set_rule(unit: Unit, values: Mapping[str, Any]) -> None:
    """Make or replace the refund rule of a store and currency."""
    where = (refund_rule.c.store_id == values["store_id"], refund_rule.c.currency == values["currency"])
    if unit.execute(update(refund_rule).where(*where).values(**values)).rowcount == 0:
        unit.execute(insert(refund_rule).values(**values))


def spent_by_limit(unit: Unit, store_id: str, currency: str, *, since: datetime) -> int:
    """Minor units that the store's limit alone has approved since then, of refunds that have not failed."""
    query = (
        select(func.coalesce(func.sum(refund.c.amount_minor), 0))
        .select_from(refund.join(payment, payment.c.id == refund.c.payment_id))
        .where(
            payment.c.store_id == store_id,
            refund.c.currency == currency,
            refund.c.approved_by == BY_LIMIT,
            refund.c.approved_at > since,
            refund.c.state != "failed",
        )
    )
    return int(unit.execute(query).scalar_one())


def forget_creditors(unit: Unit, customer_id: str) -> int:
    """Erase what ended refunds of an erased person say of their account; money rows stay. How many there were."""
    owned = select(payment.c.id).where(payment.c.customer_id == customer_id)
    ended = [state.value for state in ENDED]
    gone = unit.execute(
        update(refund)
        .where(
            refund.c.payment_id.in_(owned),
            refund.c.state.in_(ended),
            or_(refund.c.creditor_sealed.is_not(None), refund.c.shopper_url_sealed.is_not(None)),
        )
        .values(creditor_sealed=None, shopper_url_sealed=None)
    )
    return int(gone.rowcount)
