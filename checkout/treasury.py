"""Evidence that settled deposits arrived as stablecoin, and what the treasury holds. No rate exists here.

Every credited amount is one that somebody entered, or a deposit's own amount where the store's rule declares a peg.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from checkout.context import Context
from checkout.errors import AmountRefused, NotFound, NotPossible, RequestRefused
from checkout.paying.reckoning import reckon
from checkout.rules.ages import age_of
from checkout.rules.deposits import Stage
from checkout.rules.ledger import Account, Book, Crossing, cross, move, on_network, reverse
from checkout.rules.money import EXPONENTS, Money, parse_amount, split
from checkout.store import ledger, payments, payouts, stores
from checkout.store.engine import Unit
from checkout.store.ledger_reads import net_by_deposit
from checkout.store.moves import WORKER, record_act
from checkout.store.records import DepositRow, SettlementRecordRow
from checkout.store.tables import settlement_record

#: ``declared`` evidence is only for a deposit in the asset's own peg.
PEGS: Final = {"USDC": "USD", "USDT": "USD"}
DEPOSITS_MAX: Final = 1_000
#: Waiting deposits that an overview lists, the oldest; it counts and sums all of them.
SHOWN_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Recorded:
    """A settlement record as entered."""

    id: str
    received: Money
    free: Money
    deposits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entered:
    """Evidence in the words of whoever enters it, not yet checked."""

    asset: str
    network: str
    amount: str
    fee: str  #: in the deposits' currency
    deposits: tuple[str, ...]  #: our ids or the provider's references
    evidence: str


@dataclass(frozen=True, slots=True)
class _Shares:
    """How a record's deposits divide: counted money, and money that belongs to no order."""

    ours: int
    unallocated: int

    @property
    def total(self) -> int:
        return self.ours + self.unallocated


class Treasury:
    """The operator's verbs."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def record(
        self,
        store_name: str,
        *,
        asset: str,
        network: str,
        amount: str,
        fee: str,
        deposits: Sequence[str],
        evidence: str,
        who: str,
    ) -> Recorded:
        """Enter that these settled deposits arrived as ``amount`` of ``asset`` on ``network``, less ``fee``.

        Deposits are named by id or the provider's reference. Raises RequestRefused with every bad field, NotFound, or
        NotPossible when a deposit is not settled, not ours to move, or already in a record.
        """
        entered = Entered(asset, network, amount, fee, tuple(deposits), evidence)
        with self._context.database.write() as unit:
            store = stores.find_store(unit, store_name)
            if store is None:
                raise NotFound("store", store_name)
            return enter(unit, self._context, store.id, entered, who=who, now=self._context.clock())

    def allocate(self, ident: str, *, evidence: str, who: str) -> None:
        """Say, with evidence, that a deposit's unallocated money is ours after all: it becomes treasury.

        Before a settlement record covers it, its money joins the settled deposits; afterwards its share of the asset
        moves to treasury free.
        """
        if not evidence.strip():
            raise RequestRefused({"evidence": "say why this money is yours to keep"})
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            found = payments.deposit_by_id(unit, ident) or payments.deposit_by_reference(unit, ident)
            if found is None:
                raise NotFound("deposit", ident)
            payment = payments.payment_by_id(unit, found.payment_id, lock=True)
            deposit = payouts.deposits_for_record(unit, [found.id])[0]
            if payment is None or deposit.stage != Stage.SETTLED:
                raise NotPossible(f"deposit {deposit.id} is not settled yet")
            if deposit.allocated_at is not None or deposit.refund_live:
                raise NotPossible(f"deposit {deposit.id} is already allocated or being refunded")
            places, _ = ledger.placed(unit, deposit.id, deposit.currency or "")
            if Book.UNALLOCATED not in places:
                raise NotPossible(f"deposit {deposit.id} has no unallocated money")
            payments.update_deposit(unit, deposit.id, allocated_at=now, allocated_by=who)
            record_act(
                unit, context.new_id("act"), who=who, action="deposit allocated", subject=deposit.id,
                detail={"evidence": evidence}, at=now,
            )  # fmt: skip
            if deposit.settlement_record_id is None:
                reckon(unit, context, payment, cause=f"allocated by {who}", now=now, who=who)
            else:
                self._free_share(unit, deposit, now)

    def _free_share(self, unit: Unit, deposit: DepositRow, now: datetime) -> None:
        record = payouts.settlement_record_by_id(unit, deposit.settlement_record_id or "")
        if record is None:  # pragma: no cover - a foreign key holds it
            raise NotFound("settlement record", deposit.settlement_record_id or "")
        payouts.lock_treasury(unit, record.store_id, record.asset, record.network)
        share = _share_of(unit, record, deposit.id)
        if share:
            asset = on_network(record.asset, record.network)
            posting = move(
                record.store_id,
                asset,
                Book.FREE,
                Book.UNALLOCATED,
                share,
                key=f"{deposit.id}/allocated",
                cause=deposit.id,
            )
            ledger.post(unit, [posting], at=now)

    def overview(self, store_name: str) -> dict[str, Any]:
        """What is free, reserved and in transit per asset, and the settled deposits that wait for evidence, oldest first.

        What was refunded does not wait. Sums and ages are of every waiting deposit; the list has the oldest of them.
        """
        context = self._context
        now = context.clock()
        with context.database.read() as unit:
            store = stores.find_store(unit, store_name)
            if store is None:
                raise NotFound("store", store_name)
            accounts = ledger.balances(unit, store.id)
            waiting = _waiting(unit, payouts.waiting_deposits(unit, store.id))
        ages: dict[str, dict[str, int]] = {}
        for one, left in waiting:
            by_age = ages.setdefault(left.currency, {})
            name = age_of(now - (one.settled_at or one.created_at))
            by_age[name] = by_age.get(name, 0) + left.minor
        balances = {(row["asset"], row["book"]): row["balance"] for row in accounts}
        held = [
            {"book": book.value, "asset": asset, "amount": _shown(balances.get((asset, book.value), 0), asset)}
            for asset in sorted({asset for asset, book in balances if book.startswith("treasury_")})
            for book in (Book.FREE, Book.RESERVED, Book.IN_TRANSIT)
        ]
        held += [
            {"book": book, "asset": asset, "amount": _shown(minor, asset)}
            for (asset, book), minor in sorted(balances.items())
            if book == Book.UNALLOCATED and minor
        ]
        return {
            "store": store.id,
            "treasury": held,
            "waiting_by_age": {
                currency: {name: Money(minor, currency).fixed() for name, minor in by_age.items()}
                for currency, by_age in ages.items()
            },
            "waiting": len(waiting),
            "waiting_for_evidence": [
                {
                    "deposit": one.id,
                    "reference": one.reference,
                    "amount": left.fixed(),
                    "currency": left.currency,
                    "refund_under_way": one.refund_live,
                    "waiting_s": int((now - (one.settled_at or one.created_at)).total_seconds()),
                }
                for one, left in waiting[:SHOWN_MAX]
            ],
        }


def _waiting(unit: Unit, rows: list[DepositRow]) -> list[tuple[DepositRow, Money]]:
    """Each deposit with what of it is still at Stable Mint: less what was refunded, or is kept for a refund."""
    nets = net_by_deposit(unit, [row.id for row in rows])
    found = []
    for row in rows:
        currency = row.currency or ""
        left = sum(nets[row.id].get((book.value, currency), 0) for book in (Book.SETTLED, Book.UNALLOCATED))
        found.append((row, Money(left, currency)))
    return found


def enter(unit: Unit, context: Context, store_id: str, entered: Entered, *, who: str, now: datetime) -> Recorded:
    """Store evidence that a person or the merchant's own system entered, in the caller's transaction.

    Raises RequestRefused with every bad field, NotFound naming a deposit, or NotPossible naming why one cannot be recorded.
    """
    received = _received(entered)
    rows = payouts.deposits_for_record(unit, list(entered.deposits))
    _complete(rows, entered.deposits)
    currency = _recordable(rows, store_id)
    rule = stores.rule_for(unit, store_id, currency)
    asset, network = entered.asset, entered.network
    if rule is None or (rule["asset"], rule["network"]) != (asset, network):
        raise NotPossible(
            f"the store has no settlement rule for {currency} as {asset} on {network}; make one with "
            f"`checkout stores rule {store_id} --currency {currency} --asset {asset} --network {network} "
            "--evidence recorded`"
        )
    shares = _shares(unit, rows)
    if shares.total == 0:
        raise NotPossible("nothing of these deposits is left at Stable Mint: they were refunded")
    kept = _fee(entered.fee, currency, shares)
    return _store(
        unit, context, store_id, rows, shares, received, network, Money(kept, currency), "recorded", entered.evidence,
        who, now,
    )  # fmt: skip


def _received(entered: Entered) -> Money:
    problems: dict[str, str] = {}
    received = Money(1, "USDC")
    if entered.asset not in PEGS:
        problems["asset"] = f"must be one of {', '.join(PEGS)}"
    else:
        try:
            received = parse_amount(entered.amount, entered.asset)
        except AmountRefused as problem:
            problems["amount"] = str(problem)
    if not entered.evidence.strip():
        problems["evidence"] = "say where you saw it: a statement, an advice, a transaction hash"
    if not 1 <= len(entered.deposits) <= DEPOSITS_MAX:
        problems["deposit"] = f"name between 1 and {DEPOSITS_MAX} deposits"
    elif len(set(entered.deposits)) != len(entered.deposits):
        problems["deposit"] = "a deposit is named twice"
    if problems:
        raise RequestRefused(problems)
    return received


def declare(unit: Unit, context: Context, deposit_id: str, *, now: datetime) -> None:
    """A settlement record from the settled event itself, 1:1, where the store's rule says so and the currency is the peg."""
    deposit = payments.deposit_by_id(unit, deposit_id)
    if deposit is None or deposit.settlement_record_id is not None or deposit.foreign or deposit.money is None:
        return
    if deposit.refund_live:  # what is left of it is declared when the refund has ended
        return
    rule = stores.rule_for(unit, deposit.store_id, deposit.money.currency)
    if rule is None or rule["evidence"] != "declared" or not rule["settles_gross"]:
        return
    if PEGS.get(rule["asset"]) != deposit.money.currency:
        return
    scale = EXPONENTS[rule["asset"]] - EXPONENTS[deposit.money.currency]
    rows = payouts.deposits_for_record(unit, [deposit_id])
    shares = _shares(unit, rows)
    if shares.total == 0:  # refunded whole
        return
    received = Money(shares.total * 10**scale, rule["asset"])
    _store(
        unit, context, deposit.store_id, rows, shares, received, rule["network"],
        Money(0, deposit.money.currency), "declared", "the settled event, as the store's rule declares", WORKER, now,
    )  # fmt: skip


def withdraw_declared(unit: Unit, context: Context, deposit_id: str, *, now: datetime) -> None:
    """Take back the record that a rule declared for a deposit whose money turns out to have gone elsewhere.

    Its postings are reversed and the deposit stands where it would have stood had the news come first. What a person has
    allocated stays, and so does what a live payout holds: the case that the news opens asks a person.
    """
    deposit = payments.deposit_by_id(unit, deposit_id)
    if deposit is None or not deposit.foreign or deposit.allocated_at is not None:
        return
    record = payouts.settlement_record_by_id(unit, deposit.settlement_record_id or "")
    if record is None or record.kind != "declared":
        return
    payouts.lock_treasury(unit, record.store_id, record.asset, record.network)
    if payouts.is_held(unit, record.id):
        return
    made = ledger.postings_by(unit, record.id)
    ledger.post(unit, [reverse(one, key=f"{one.key}/withdrawn") for one in made], at=now)
    payouts.withdraw_record(unit, record.id, at=now)
    payments.update_deposit(unit, deposit_id, settlement_record_id=None)
    record_act(
        unit, context.new_id("act"), who=WORKER, action="settlement withdrawn", subject=record.id, at=now,
        detail={"deposit": deposit_id, "because": "its money went to a destination that is not ours"},
    )  # fmt: skip


def _complete(rows: list[DepositRow], named: Sequence[str]) -> None:
    known = {row.id for row in rows} | {row.reference for row in rows}
    for one in named:
        if one not in known:
            raise NotFound("deposit", one)


def _recordable(rows: list[DepositRow], store_id: str) -> str:
    """The deposits' one currency; NotPossible naming the first deposit that cannot be recorded, and why."""
    for row in rows:
        why = None
        if row.store_id != store_id:
            raise NotFound("deposit", row.id)
        if row.stage != Stage.SETTLED:
            why = f"is {row.stage or 'failed'}, not settled"
        elif row.foreign and row.allocated_at is None:
            why = "went to a destination that is not ours"
        elif row.settlement_record_id is not None:
            why = f"is already in settlement record {row.settlement_record_id}"
        elif row.refund_live:
            why = "has a refund under way"
        if why is not None:
            raise NotPossible(f"deposit {row.id} {why}")
    currencies = {row.currency for row in rows}
    if len(currencies) != 1:
        raise NotPossible("the deposits are in different currencies; make one record for each")
    return currencies.pop() or ""


def _shares(unit: Unit, rows: list[DepositRow]) -> _Shares:
    ours = unallocated = 0
    for row in rows:
        places, _ = ledger.placed(unit, row.id, row.currency or "")
        ours += places.get(Book.SETTLED, 0)
        unallocated += places.get(Book.UNALLOCATED, 0)
    return _Shares(ours, unallocated)


def _fee(fee: str, currency: str, shares: _Shares) -> int:
    try:
        kept = parse_amount(fee, currency, positive=False).minor
    except AmountRefused as problem:
        raise RequestRefused({"fee": str(problem)}) from None
    if kept > shares.ours or kept == shares.total:
        raise RequestRefused({"fee": "the fee is more than the deposits' own money"})
    return kept


def _store(
    unit: Unit, context: Context, store_id: str, rows: list[DepositRow], shares: _Shares, received: Money,
    network: str, fee: Money, kind: str, evidence: str, who: str, now: datetime,
) -> Recorded:  # fmt: skip
    """Store a record, its deposits and its postings. The unallocated share stays out of treasury free."""
    payouts.lock_treasury(unit, store_id, received.currency, network)
    ident = context.new_id("set")
    free, held_back = split(received.minor, [shares.ours, shares.unallocated])
    asset = on_network(received.currency, network)
    payouts.insert_row(
        unit,
        settlement_record,
        {
            "id": ident, "store_id": store_id, "asset": received.currency, "network": network,
            "received_minor": received.minor, "free_minor": free, "currency": fee.currency,
            "deposits_minor": shares.total, "fee_minor": fee.minor, "kind": kind, "evidence": evidence,
            "created_at": now, "created_by": who,
        },
    )  # fmt: skip
    for row in rows:
        payments.update_deposit(unit, row.id, settlement_record_id=ident)
    crossing = Crossing(fee.currency, shares.ours, shares.unallocated, fee.minor, asset, received.minor, held_back)
    ledger.post(unit, cross(store_id, crossing, key=ident, cause=ident), at=now)
    record_act(
        unit, context.new_id("act"), who=who, action="settlement recorded", subject=ident, at=now,
        detail={"received": str(received), "network": network, "deposits": [row.id for row in rows], "kind": kind},
    )  # fmt: skip
    return Recorded(ident, received, Money(free, received.currency), tuple(row.id for row in rows))


def _share_of(unit: Unit, record: SettlementRecordRow, deposit_id: str) -> int:
    """The part of a record's held-back asset that belongs to one deposit's unallocated money, with no unit lost."""
    rows = payouts.deposits_in_record(unit, record.id)
    weights = []
    for row in rows:
        places, _ = ledger.placed(unit, row.id, row.currency or "")
        weights.append(places.get(Book.UNALLOCATED, 0))
    shares = split(record.received_minor - record.free_minor, weights)
    return next(share for row, share in zip(rows, shares, strict=True) if row.id == deposit_id)


def _shown(minor: int, asset: str) -> str:
    return Money(minor, asset.split("@")[0]).fixed()


def free_balance(unit: Unit, store_id: str, asset: str, network: str) -> int:
    """Treasury that is free, in minor units; call it under the treasury's lock."""
    return ledger.balance(unit, Account(store_id, Book.FREE, on_network(asset, network)))
