"""Settlement records, payout accounts, payouts with their items, quotes, mandates, attempts and transfers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, and_, bindparam, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from checkout.store.engine import Unit, add_to, by_id, change_by_id
from checkout.store.pages import Page, aside, turn
from checkout.store.records import (
    AttemptRow,
    DepositRow,
    MandateRow,
    PayoutAccountRow,
    PayoutRow,
    QuoteRow,
    SettlementRecordRow,
    TransferRow,
    record,
)
from checkout.store.tables import (
    attempt,
    customer_standing,
    deposit,
    funding,
    mandate,
    payment,
    payout,
    payout_account,
    payout_item,
    posting,
    quote,
    refund,
    settlement_record,
    transfer,
    treasury,
)

_ITEMS_OF = (
    select(payout_item)
    .where(payout_item.c.payout_id == bindparam("payout"), payout_item.c.drawn_by.is_(None))
    .order_by(payout_item.c.id)
)
_STANDING_OF = select(customer_standing).where(customer_standing.c.id == bindparam("customer"))
_ATTEMPTS_OF = (
    select(attempt)
    .where(attempt.c.subject == bindparam("subject"), attempt.c.kind == bindparam("kind"))
    .order_by(attempt.c.created_at, attempt.c.id)
)
_LIVE_MANDATE = select(mandate).where(mandate.c.payout_id == bindparam("payout"), mandate.c.voided_at.is_(None))
_MANDATES_OF = (
    select(mandate).where(mandate.c.payout_id == bindparam("payout")).order_by(mandate.c.created_at, mandate.c.id)
)
_TRANSFER_OF = (
    select(transfer).where(transfer.c.payout_id == bindparam("payout")).order_by(transfer.c.created_at.desc()).limit(1)
)
_TRANSFER_BY_ADDRESS = select(transfer).where(transfer.c.address_hash == bindparam("address"))
_RECORDS = select(settlement_record).where(settlement_record.c.id.in_(bindparam("some", expanding=True)))
#: Parameters of one statement, well below what either database takes.
CHUNK = 500


def insert_row(unit: Unit, table: Table, values: Mapping[str, Any]) -> None:
    """Add a row; :class:`Taken` when one of its keys is in use."""
    unit.execute(add_to(table), dict(values))


def insert_rows(unit: Unit, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows of the same columns in one go; :class:`Taken` when a key of any is in use."""
    unit.execute(add_to(table), [dict(one) for one in rows])


def lock_treasury(unit: Unit, store_id: str, asset: str, network: str) -> None:
    """Hold the treasury of a store, asset and network until the transaction ends."""
    values = {"store_id": store_id, "asset": asset, "network": network}
    dialect = sqlite.insert if unit.is_sqlite else postgresql.insert
    unit.execute(dialect(treasury).values(**values).on_conflict_do_nothing())
    query = select(treasury.c.store_id).where(*(treasury.c[name] == value for name, value in values.items()))
    unit.execute(query if unit.is_sqlite else query.with_for_update())


def deposits_for_record(unit: Unit, idents: Sequence[str]) -> list[DepositRow]:
    """Deposits by id or reference, with their payments locked first, in one order.

    Whatever changes a deposit holds its payment's lock, so nothing can re-place its money while a record is made of it.
    """
    named = or_(deposit.c.id.in_(idents), deposit.c.reference.in_(idents))
    if not unit.is_sqlite:
        owners = select(deposit.c.payment_id).where(named)
        unit.execute(select(payment.c.id).where(payment.c.id.in_(owners)).order_by(payment.c.id).with_for_update())
    rows = unit.execute(select(deposit).where(named).order_by(deposit.c.id))
    return [record(DepositRow, row) for row in rows]


def settlement_record_by_id(unit: Unit, ident: str) -> SettlementRecordRow | None:
    row = unit.execute(by_id(settlement_record), {"row": ident}).first()
    return None if row is None else record(SettlementRecordRow, row)


def settlement_records(unit: Unit, idents: Sequence[str]) -> dict[str, SettlementRecordRow]:
    """Those of the ids that are settlement records, in the order given."""
    found: dict[str, SettlementRecordRow] = {}
    for start in range(0, len(idents), CHUNK):
        rows = unit.execute(_RECORDS, {"some": idents[start : start + CHUNK]})
        found |= {str(row.id): record(SettlementRecordRow, row) for row in rows}
    return {ident: found[ident] for ident in idents if ident in found}


def records_on_page(
    unit: Unit, store_id: str, page: Page, *, asset: str | None, network: str | None
) -> tuple[list[SettlementRecordRow], bool]:
    """A page of a store's settlement records, and whether there are more. A store has few assets and networks."""
    query = select(settlement_record).where(settlement_record.c.store_id == store_id)
    for column, wanted in ((settlement_record.c.asset, asset), (settlement_record.c.network, network)):
        if wanted is not None:
            query = query.where(aside(unit, column) == wanted)
    found, more = turn(unit, query, settlement_record, "set", page)
    return [record(SettlementRecordRow, row) for row in found], more


def deposits_of_each(unit: Unit, record_ids: Sequence[str]) -> dict[str, list[str]]:
    """The deposits of several settlement records, by record."""
    query = select(deposit.c.id, deposit.c.settlement_record_id).where(deposit.c.settlement_record_id.in_(record_ids))
    found: dict[str, list[str]] = {}
    for row in unit.execute(query.order_by(deposit.c.id)) if record_ids else ():
        found.setdefault(row.settlement_record_id, []).append(row.id)
    return found


def withdraw_record(unit: Unit, ident: str, *, at: datetime) -> None:
    unit.execute(update(settlement_record).where(settlement_record.c.id == ident).values(withdrawn_at=at))


def is_held(unit: Unit, source: str) -> bool:
    """Whether a live payout holds this settlement record or deposit."""
    live = and_(payout_item.c.source == source, payout_item.c.released_at.is_(None))
    return unit.execute(select(payout_item.c.id).where(live)).first() is not None


def deposits_in_record(unit: Unit, ident: str) -> list[DepositRow]:
    rows = unit.execute(select(deposit).where(deposit.c.settlement_record_id == ident).order_by(deposit.c.id))
    return [record(DepositRow, row) for row in rows]


def free_records(unit: Unit, store_id: str, asset: str, network: str) -> list[tuple[str, int]]:
    """Settlement records with a free share that no live payout holds, oldest first: (id, minor)."""
    held = select(payout_item.c.id).where(
        payout_item.c.source == settlement_record.c.id, payout_item.c.released_at.is_(None)
    )
    rows = unit.execute(
        select(settlement_record.c.id, settlement_record.c.free_minor)
        .where(
            settlement_record.c.store_id == store_id,
            settlement_record.c.asset == asset,
            settlement_record.c.network == network,
            settlement_record.c.free_minor > 0,
            settlement_record.c.withdrawn_at.is_(None),
            # one index probe a record: as NOT EXISTS, PostgreSQL reads every held item for each where it has no statistics
            held.limit(1).scalar_subquery().is_(None),
        )
        .order_by(settlement_record.c.id)
    )
    return [(str(row.id), int(row.free_minor)) for row in rows]


def allocated_shares(unit: Unit, store_id: str, asset: str, network: str) -> list[tuple[str, int]]:
    """Deposits whose share of a settlement record a person has allocated, and that no live payout holds: (id, minor)."""
    held = select(payout_item.c.source).where(payout_item.c.source == deposit.c.id, payout_item.c.released_at.is_(None))
    rows = unit.execute(
        select(deposit.c.id, posting.c.amount_minor)
        .join(posting, posting.c.key == deposit.c.id + "/allocated")
        .where(deposit.c.store_id == store_id, posting.c.asset == f"{asset}@{network}", ~held.exists())
        .order_by(deposit.c.id)
    )
    return [(str(row.id), int(row.amount_minor)) for row in rows]


def waiting_deposits(unit: Unit, store_id: str) -> list[DepositRow]:
    """Settled deposits without a settlement record, oldest first: money that waits for evidence, none of it refunded whole."""
    back = select(func.coalesce(func.sum(refund.c.amount_minor), 0)).where(
        refund.c.deposit_id == deposit.c.id, refund.c.state == "sent", refund.c.funded_at.is_(None)
    )
    rows = unit.execute(
        select(deposit)
        .where(
            deposit.c.store_id == store_id,
            deposit.c.stage == "settled",
            deposit.c.settlement_record_id.is_(None),
            deposit.c.amount_minor > back.scalar_subquery(),
        )
        .order_by(deposit.c.settled_at, deposit.c.id)
    )
    return [record(DepositRow, row) for row in rows]


def payout_account_by_id(unit: Unit, ident: str) -> PayoutAccountRow | None:
    row = unit.execute(by_id(payout_account), {"row": ident}).first()
    return None if row is None else record(PayoutAccountRow, row)


def payout_accounts(unit: Unit, store_id: str, *, include_retired: bool = False) -> list[PayoutAccountRow]:
    """A store's accounts, oldest first; those in use unless asked for all."""
    query = select(payout_account).where(payout_account.c.store_id == store_id).order_by(payout_account.c.id)
    if not include_retired:
        query = query.where(payout_account.c.retired_at.is_(None))
    return [record(PayoutAccountRow, row) for row in unit.execute(query)]


def update_payout_account(unit: Unit, ident: str, **values: Any) -> None:
    unit.execute(update(payout_account).where(payout_account.c.id == ident).values(**values))


def retire_payout_account(unit: Unit, ident: str, *, at: datetime) -> bool:
    """Take an account out of use; False when somebody has done so already."""
    live = (payout_account.c.id == ident, payout_account.c.retired_at.is_(None))
    return unit.execute(update(payout_account).where(*live).values(retired_at=at)).rowcount == 1


def payout_by_id(unit: Unit, ident: str, *, lock: bool = False) -> PayoutRow | None:
    row = unit.execute(by_id(payout, lock=lock and not unit.is_sqlite), {"row": ident}).first()
    return None if row is None else record(PayoutRow, row)


def list_payouts(unit: Unit, store_id: str | None, *, limit: int) -> list[PayoutRow]:
    query = select(payout).order_by(payout.c.id.desc()).limit(limit)
    if store_id is not None:
        query = query.where(payout.c.store_id == store_id)
    return [record(PayoutRow, row) for row in unit.execute(query)]


def update_payout(unit: Unit, ident: str, **values: Any) -> None:
    unit.execute(change_by_id(payout), {"row": ident, **values})


def items_of(unit: Unit, payout_id: str) -> list[dict[str, Any]]:
    """What the payout's own amount is made of."""
    return [dict(row._mapping) for row in unit.execute(_ITEMS_OF, {"payout": payout_id})]


def payouts_holding(unit: Unit, source: str) -> list[str]:
    """Payouts that hold or held this settlement record or deposit."""
    rows = unit.execute(
        select(payout_item.c.payout_id).where(payout_item.c.source == source).order_by(payout_item.c.id)
    )
    return [str(row.payout_id) for row in rows]


def release_items(unit: Unit, payout_id: str, *, at: datetime) -> None:
    unit.execute(
        update(payout_item)
        .where(
            payout_item.c.payout_id == payout_id, payout_item.c.released_at.is_(None), payout_item.c.drawn_by.is_(None)
        )
        .values(released_at=at)
    )


def keep_standing(unit: Unit, customer_id: str, *, base_payout: str, name: str, at: datetime) -> None:
    """Store what Stables has just said of a customer."""
    values = {"base_payout": base_payout, "name": name, "read_at": at}
    where = customer_standing.c.id == customer_id
    if unit.execute(update(customer_standing).where(where).values(**values)).rowcount == 0:
        dialect = sqlite.insert if unit.is_sqlite else postgresql.insert
        unit.execute(dialect(customer_standing).values(id=customer_id, **values).on_conflict_do_nothing())


def standing_of(unit: Unit, customer_id: str) -> dict[str, Any] | None:
    row = unit.execute(_STANDING_OF, {"customer": customer_id}).first()
    return None if row is None else dict(row._mapping)


def attempts_of(unit: Unit, subject: str, kind: str) -> list[AttemptRow]:
    return [record(AttemptRow, row) for row in unit.execute(_ATTEMPTS_OF, {"subject": subject, "kind": kind})]


def attempt_by_id(unit: Unit, ident: str) -> AttemptRow | None:
    row = unit.execute(by_id(attempt), {"row": ident}).first()
    return None if row is None else record(AttemptRow, row)


def update_attempt(unit: Unit, ident: str, **values: Any) -> None:
    unit.execute(change_by_id(attempt), {"row": ident, **values})


def quote_by_id(unit: Unit, ident: str) -> QuoteRow | None:
    row = unit.execute(by_id(quote), {"row": ident}).first()
    return None if row is None else record(QuoteRow, row)


def quotes_of(unit: Unit, payout_id: str) -> list[QuoteRow]:
    rows = unit.execute(select(quote).where(quote.c.payout_id == payout_id).order_by(quote.c.created_at, quote.c.id))
    return [record(QuoteRow, row) for row in rows]


def update_quote(unit: Unit, ident: str, **values: Any) -> None:
    unit.execute(update(quote).where(quote.c.id == ident).values(**values))


def live_mandate(unit: Unit, payout_id: str) -> MandateRow | None:
    row = unit.execute(_LIVE_MANDATE, {"payout": payout_id}).first()
    return None if row is None else record(MandateRow, row)


def mandates_of(unit: Unit, payout_id: str) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in unit.execute(_MANDATES_OF, {"payout": payout_id})]


def agree_to_mandate(unit: Unit, ident: str, *, who: str, at: datetime) -> None:
    """The second person's agreement."""
    unit.execute(update(mandate).where(mandate.c.id == ident).values(second_by=who, second_at=at))


def void_mandates(unit: Unit, *, because: str, at: datetime, payout_id: str | None = None, account: str = "") -> None:
    """Void the open mandates of a payout, or of every payout to an account."""
    which = mandate.c.payout_account_id == account if payout_id is None else mandate.c.payout_id == payout_id
    unit.execute(
        update(mandate).where(and_(which, mandate.c.voided_at.is_(None))).values(voided_at=at, voided_because=because)
    )


def transfer_of(unit: Unit, payout_id: str) -> TransferRow | None:
    """The payout's transfer; the newest, should an earlier attempt have died."""
    row = unit.execute(_TRANSFER_OF, {"payout": payout_id}).first()
    return None if row is None else record(TransferRow, row)


def transfer_by_provider_id(unit: Unit, provider_transfer_id: str) -> TransferRow | None:
    row = unit.execute(select(transfer).where(transfer.c.provider_transfer_id == provider_transfer_id)).first()
    return None if row is None else record(TransferRow, row)


def transfer_by_address(unit: Unit, address_hash: str) -> TransferRow | None:
    row = unit.execute(_TRANSFER_BY_ADDRESS, {"address": address_hash}).first()
    return None if row is None else record(TransferRow, row)


def update_transfer(unit: Unit, ident: str, **values: Any) -> None:
    """:class:`Taken` when the deposit address already belongs to another transfer."""
    unit.execute(change_by_id(transfer), {"row": ident, **values})


def funding_of(unit: Unit, transfer_id: str) -> dict[str, Any] | None:
    row = unit.execute(select(funding).where(funding.c.transfer_id == transfer_id)).first()
    return None if row is None else dict(row._mapping)


def name_funding(unit: Unit, ident: str, tx_hash: str) -> None:
    """Give a stored funding its transaction's hash; :class:`Taken` when another has it."""
    unit.execute(update(funding).where(funding.c.id == ident, funding.c.tx_hash.is_(None)).values(tx_hash=tx_hash))


def payout_by_hash(unit: Unit, tx_hash: str) -> str | None:
    row = unit.execute(
        select(transfer.c.payout_id)
        .join(funding, funding.c.transfer_id == transfer.c.id)
        .where(funding.c.tx_hash == tx_hash)
    ).first()
    return None if row is None else str(row.payout_id)


def count_payouts(unit: Unit, state: str) -> int:
    return int(unit.execute(select(func.count()).select_from(payout).where(payout.c.state == state)).scalar_one())
