"""Which writes of the API were made under which Idempotency-Key: a key is stored in the transaction that makes the write.

The database decides which of several equal requests that is; the others find it and answer with what it wrote, as it stands.
A key belongs to its store and operation, and is kept for as long as the database is: a request that a queue brings back after
a month must not act again either. What opens a payment, a payment link, a refund or a settlement record keeps its key in the
row it makes, with the same promise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from sqlalchemy import bindparam, insert, or_, select, update

from checkout.errors import CheckoutError, IdempotencyReused
from checkout.store.engine import Database, Taken, Unit
from checkout.store.tables import payment, payment_link, refund, request_key

#: Operations whose requests say something of a person.
_PERSONAL: Final = ("customers.put_customer", "refunds.give_refund_details")

_FINGERPRINT: Final = select(request_key.c.fingerprint).where(
    request_key.c.store_id == bindparam("store"),
    request_key.c.operation == bindparam("operation"),
    request_key.c.key == bindparam("key"),
)


class Repeated(CheckoutError):
    """The same request has made this write before; there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request that came with a key. ``fingerprint``: what makes two requests equal, everything but the key."""

    store_id: str
    operation: str
    key: str
    fingerprint: str

    @classmethod
    def of(cls, store_id: str, operation: str, key: str, content: Any) -> Self:
        """``content`` is plain JSON: what the request names and says."""
        text = json.dumps(content, sort_keys=True)
        return cls(store_id, operation, key, hashlib.sha256(text.encode()).hexdigest())


def was_made(database: Database, keyed: Keyed | None) -> bool:
    """Whether the same request was made before. IdempotencyReused when its key was used with other content."""
    if keyed is None:
        return False
    with database.read() as unit:
        row = unit.execute(
            _FINGERPRINT, {"store": keyed.store_id, "operation": keyed.operation, "key": keyed.key}
        ).first()
    if row is not None and row.fingerprint != keyed.fingerprint:
        raise IdempotencyReused("this Idempotency-Key was used with other content; use a new key")
    return row is not None


@contextmanager
def once(database: Database, keyed: Keyed | None, subject: str, *, at: datetime) -> Iterator[Unit]:
    """A transaction for the one write of a key, which is to ``subject``; without a key, any transaction.

    Raises Repeated before the block when the same request has made it (a twin that is under way is waited for), and
    IdempotencyReused for other content.
    """
    with _decided(database, keyed), database.write() as unit:
        if keyed is not None:
            _take(unit, keyed, subject, at)
        yield unit


class _Used(CheckoutError):
    """The key has made a write; which one is read once the transaction has ended."""


def _take(unit: Unit, keyed: Keyed, subject: str, at: datetime) -> None:
    try:
        unit.execute(
            insert(request_key),
            {
                "store_id": keyed.store_id, "operation": keyed.operation, "key": keyed.key,
                "fingerprint": keyed.fingerprint, "subject": subject, "created_at": at,
            },
        )  # fmt: skip
    except Taken:
        raise _Used from None


@contextmanager
def _decided(database: Database, keyed: Keyed | None) -> Iterator[None]:
    try:
        yield
    except _Used:
        was_made(database, keyed)
        raise Repeated("the request was made before") from None


def forget_fingerprints(unit: Unit, customer_id: str) -> None:
    """Erase what could be compared with an erased person's facts, here and in what keeps its key in its own row.

    The keys stay used, for any content.
    """
    refunds = select(refund.c.id).join(payment, payment.c.id == refund.c.payment_id)
    theirs = refunds.where(payment.c.customer_id == customer_id)
    unit.execute(
        update(request_key)
        .where(
            request_key.c.operation.in_(_PERSONAL),
            or_(request_key.c.subject == customer_id, request_key.c.subject.in_(theirs)),
        )
        .values(fingerprint="")
    )
    bought = select(payment.c.id).where(payment.c.customer_id == customer_id)
    unit.execute(update(refund).where(refund.c.payment_id.in_(bought)).values(request_hash=""))
    for table in (payment, payment_link):
        unit.execute(update(table).where(table.c.customer_id == customer_id).values(request_hash=""))
