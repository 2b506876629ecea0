"""Rows that exist to explain: confirmed credits, where a settlement record was entered from, transfers nobody remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update

from checkout.rules.payouts import FINAL
from checkout.rules.statements import DEFAULT_LIMIT, Limit
from checkout.store.engine import Unit
from checkout.store.records import record
from checkout.store.tables import (
    act,
    attempt,
    case,
    credit_confirmation,
    evidence_line,
    installation,
    known_transfer,
    payout,
    statement_limit,
    store,
    transfer,
)


@dataclass(frozen=True, slots=True)
class ConfirmationRow:
    id: str
    payout_id: str
    amount_minor: int
    currency: str
    evidence: str
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class EvidenceLineRow:
    store_id: str
    source: str
    key: str
    content_hash: str
    settlement_record_id: str
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class KnownTransferRow:
    provider_transfer_id: str
    payout: str | None
    attempt: str | None
    status: str
    detail: str
    seen_at: datetime
    confirmed_at: datetime | None
    confirmed_by: str | None


_LIMIT_OF = select(statement_limit).where(statement_limit.c.store_id == bindparam("store"))
_CONFIRMATIONS_OF = (
    select(credit_confirmation)
    .where(credit_confirmation.c.payout_id == bindparam("payout"))
    .order_by(credit_confirmation.c.created_at, credit_confirmation.c.id)
)


def limit_of(unit: Unit, store_id: str) -> Limit:
    """How much of a credit the store lets the provider leave unexplained."""
    row = unit.execute(_LIMIT_OF, {"store": store_id}).first()
    return DEFAULT_LIMIT if row is None else Limit(row.unexplained_bp, row.unexplained_minor)


def keep_limit(unit: Unit, store_id: str, limit: Limit, *, who: str, at: datetime) -> None:
    """Set a store's limit, whatever it was."""
    values = {
        "unexplained_bp": limit.bp, "unexplained_minor": limit.minor, "created_at": at, "created_by": who,
    }  # fmt: skip
    if (
        unit.execute(update(statement_limit).where(statement_limit.c.store_id == store_id).values(**values)).rowcount
        == 0
    ):
        unit.execute(insert(statement_limit).values(store_id=store_id, **values))


def unexplained_payouts(unit: Unit, store_id: str) -> list[str]:
    """The store's payouts with an open case about a remainder."""
    query = (
        select(payout.c.id)
        .join(case, case.c.subject == payout.c.id)
        .where(payout.c.store_id == store_id, case.c.kind == "credit_unexplained", case.c.closed_at.is_(None))
    )
    return [row.id for row in unit.execute(query.order_by(payout.c.id))]


def insert_confirmation(unit: Unit, values: Mapping[str, Any]) -> None:
    unit.execute(insert(credit_confirmation).values(**values))


def confirmations_of(unit: Unit, payout_id: str) -> list[ConfirmationRow]:
    """What was said to have arrived for a payout, oldest first; the last counts."""
    return [record(ConfirmationRow, row) for row in unit.execute(_CONFIRMATIONS_OF, {"payout": payout_id})]


def insert_line(unit: Unit, values: Mapping[str, Any]) -> None:
    """Say which line made a settlement record; :class:`Taken` when the line has made one already."""
    unit.execute(insert(evidence_line).values(**values))


def line_of(unit: Unit, store_id: str, source: str, key: str) -> EvidenceLineRow | None:
    row = unit.execute(
        select(evidence_line).where(
            evidence_line.c.store_id == store_id, evidence_line.c.source == source, evidence_line.c.key == key
        )
    ).first()
    return None if row is None else record(EvidenceLineRow, row)


def mark_restored(unit: Unit, *, at: datetime | None) -> bool:
    """Set (or, with None, take away) the mark of a restored database; whether that changed anything."""
    marked = installation.c.restored_at.is_not(None)
    where = marked if at is None else ~marked
    return unit.execute(update(installation).where(where).values(restored_at=at)).rowcount == 1


def reconciled_at(unit: Unit) -> datetime | None:
    """When a person last confirmed what a restored database had forgotten; None when it never was restored."""
    when = select(func.max(act.c.at).label("at")).where(
        act.c.subject == "installation", act.c.action == "database reconciled"
    )
    found: datetime | None = unit.execute(when).scalar_one()
    return found


def attempts_there(unit: Unit, idents: list[str]) -> set[str]:
    """Which of these attempts are rows here."""
    found: set[str] = set()
    for start in range(0, len(idents), 500):
        rows = unit.execute(select(attempt.c.id).where(attempt.c.id.in_(idents[start : start + 500])))
        found |= {str(row.id) for row in rows}
    return found


def note_transfer(unit: Unit, values: Mapping[str, Any]) -> None:
    """Keep a transfer that this database does not remember, or what it has become since."""
    ident = values["provider_transfer_id"]
    changes = {name: values[name] for name in ("status", "detail")}
    where = known_transfer.c.provider_transfer_id == ident
    if unit.execute(update(known_transfer).where(where).values(**changes)).rowcount == 0:
        unit.execute(insert(known_transfer).values(**values))


def known_transfers(unit: Unit) -> list[KnownTransferRow]:
    rows = unit.execute(
        select(known_transfer).order_by(known_transfer.c.seen_at, known_transfer.c.provider_transfer_id)
    )
    return [record(KnownTransferRow, row) for row in rows]


def confirm_transfers(unit: Unit, *, who: str, at: datetime) -> int:
    """A named person has seen every transfer that was found; how many were new to them."""
    confirmed = unit.execute(
        update(known_transfer).where(known_transfer.c.confirmed_at.is_(None)).values(confirmed_at=at, confirmed_by=who)
    )
    return int(confirmed.rowcount)


def lock_store(unit: Unit, store_id: str) -> None:
    """Hold a store against other evidence of the same key until the transaction ends; its payments go on meanwhile."""
    if not unit.is_sqlite:
        unit.execute(select(store.c.id).where(store.c.id == store_id).with_for_update(key_share=True))


def transfers_under_way(unit: Unit) -> list[tuple[str, str]]:
    """Our transfers whose payout has not ended: (the provider's id, payout)."""
    over = [state.value for state in FINAL]
    rows = unit.execute(
        select(transfer.c.provider_transfer_id, transfer.c.payout_id)
        .join(payout, payout.c.id == transfer.c.payout_id)
        .where(payout.c.state.not_in(over))
        .order_by(transfer.c.provider_transfer_id)
    )
    return [(str(row.provider_transfer_id), str(row.payout_id)) for row in rows]
