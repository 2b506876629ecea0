"""What a payout's statement is made of, read at one moment, and the proof that our own arithmetic is right."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from checkout.errors import NotFound
from checkout.rules.ledger import Book, on_network
from checkout.rules.money import Money, split
from checkout.rules.payouts import PayoutState
from checkout.rules.statements import Explanation, Limit, Line, Part, Source, StatedFee, differences, explain, lines
from checkout.store import explaining, ledger, ledger_reads, payouts, resolutions
from checkout.store.engine import Unit
from checkout.store.ledger_reads import OrderedDeposit
from checkout.store.records import PayoutRow, QuoteRow, ResolutionRow, SettlementRecordRow

#: States in which the bank has been credited, as far as anybody has said.
CREDITED: Final = frozenset({PayoutState.COMPLETED, PayoutState.RETURNED})


@dataclass(frozen=True, slots=True)
class Credit:
    """What arrived, as far as is known."""

    money: Money
    is_: str
    evidence: str


@dataclass(frozen=True, slots=True)
class CreditFacts:
    """What explains a payout's credit, whatever it was made of, read at one moment."""

    row: PayoutRow
    credit: Credit | None
    quote: QuoteRow | None
    limit: Limit  #: of what the provider may leave unexplained
    postings: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Facts(CreditFacts):
    """Everything a payout's statement is made of, read at one moment."""

    sources: tuple[Source, ...]
    records: tuple[SettlementRecordRow, ...]
    drawn_minor: int  #: left beyond the payout's own amount, as a person has found
    posted: Mapping[tuple[str, str], int]
    posted_by_source: Mapping[str, Mapping[tuple[str, str], int]]


def credit_facts_of(unit: Unit, row: PayoutRow) -> CreditFacts:
    transfer = payouts.transfer_of(unit, row.id)
    quote_id = row.quote_id if transfer is None else transfer.quote_id
    return CreditFacts(
        row=row,
        credit=credit_of(unit, row),
        quote=None if quote_id is None else payouts.quote_by_id(unit, quote_id),
        limit=explaining.limit_of(unit, row.store_id),
        postings=ledger.postings_of(unit, row.id),
    )


def facts_of(unit: Unit, ident: str) -> Facts:
    """Raises NotFound without such a payout."""
    row = payouts.payout_by_id(unit, ident)
    if row is None:
        raise NotFound("payout", ident)
    known = credit_facts_of(unit, row)
    everything = payouts.items_of(unit, ident)
    items = [item for item in everything if item["drawn_by"] is None]
    records = payouts.settlement_records(unit, [item["source"] for item in items])
    alone = [item["source"] for item in items if item["source"] not in records]
    rests = {one.id: one for source in alone if (one := resolutions.resolution_by_id(unit, source)) is not None}
    alone = [source for source in alone if source not in rests]
    deposits = ledger_reads.ordered_deposits(unit, records=list(records), idents=alone)
    nets = ledger_reads.net_by_cause(unit, [ident, *records, *rests])
    nets |= ledger_reads.net_by_deposit(unit, [one.id for one in deposits])
    sources = tuple(
        _rest(unit, item, rests[item["source"]], row.asset)
        if item["source"] in rests
        else _source(item, records.get(item["source"]), deposits, nets)
        for item in items
    )
    return Facts(
        row=row,
        credit=known.credit,
        quote=known.quote,
        limit=known.limit,
        postings=known.postings,
        sources=sources,
        records=tuple(records.values()),
        drawn_minor=sum(item["amount_minor"] for item in everything if item["drawn_by"] is not None),
        posted=nets[ident],
        posted_by_source={
            item["source"]: {(Book.FREE.value, on_network(row.asset, row.network)): rests[item["source"]].free_minor}
            if item["source"] in rests
            else nets[item["source"]]
            for item in items
        },
    )


def _source(
    item: Mapping[str, Any],
    record: SettlementRecordRow | None,
    deposits: Sequence[OrderedDeposit],
    nets: Mapping[str, Mapping[tuple[str, str], int]],
) -> Source:
    """A payout's item with the deposits it stands for, each by what of it had a place among our own money."""
    if record is None:
        chosen, book, fee = [one for one in deposits if one.id == item["source"]], Book.UNALLOCATED, 0
    else:
        chosen = [one for one in deposits if one.settlement_record_id == record.id]
        book, fee = Book.SETTLED, record.fee_minor
    parts = []
    for one in chosen:
        minor = nets[one.id].get((book.value, one.currency or ""), 0)
        if minor > 0:
            parts.append(Part(one.id, one.reference, one.payment_id, one.order_ref, minor))
    currency = chosen[0].currency or "" if chosen else ""
    return Source(item["source"], currency, fee, item["amount_minor"], tuple(parts))


def _rest(unit: Unit, item: Mapping[str, Any], rest: ResolutionRow, asset: str) -> Source:
    """What came back of an earlier payout, for the orders that payout was made of, in the asset it came back as."""
    earlier = lines(facts_of(unit, rest.payout_id).sources, credit_minor=None)
    shares = split(item["amount_minor"], [one.asset_minor for one in earlier])
    parts = tuple(replace(one.part, minor=share) for one, share in zip(earlier, shares, strict=True) if share)
    return Source(item["source"], asset, 0, item["amount_minor"], parts)


def credit_of(unit: Unit, row: PayoutRow) -> Credit | None:
    """The newest word on what arrived: a bank-statement line, else the provider's own figure, else the quote."""
    said = explaining.confirmations_of(unit, row.id)
    if said:
        last = said[-1]
        return Credit(Money(last.amount_minor, last.currency), "confirmed", f"{last.evidence} ({last.created_by})")
    if row.credit_minor is None or row.credit_currency is None:
        return None
    confirmed = row.credit_is == "confirmed"
    money = Money(row.credit_minor, row.credit_currency)
    return Credit(
        money, "confirmed" if confirmed else "quoted", "the provider's own figure" if confirmed else "its quote"
    )


def _moved(postings: Sequence[Mapping[str, Any]], asset: str, taker: Book, giver: Book) -> int:
    """What went from one book to another, less what went the other way."""
    minor: int = 0
    for one in postings:
        pair = (one["debit"].split("/")[1], one["credit"].split("/")[1])
        if one["asset"] == asset and pair in ((taker, giver), (giver, taker)):
            minor += one["amount_minor"] if pair == (taker, giver) else -one["amount_minor"]
    return minor


def credited(postings: Sequence[Mapping[str, Any]], currency: str) -> int:
    """What a payout has brought to the bank across ``exchange``, also what the bank has returned since."""
    back: int = sum(
        one["amount_minor"]
        for one in postings
        if one["asset"] == currency
        and (one["debit"].split("/")[1], one["credit"].split("/")[1]) == (Book.RETURNED, Book.EXCHANGE)
    )
    return _moved(postings, currency, Book.BANK, Book.EXCHANGE) + back


def explanation(facts: CreditFacts) -> Explanation | None:
    if facts.quote is None or facts.credit is None:
        return None
    stated = [StatedFee(name, currency, amount) for name, currency, amount in json.loads(facts.quote.fees)]
    row = facts.row
    crossed = _moved(facts.postings, on_network(row.asset, row.network), Book.EXCHANGE, Book.IN_TRANSIT)
    sent = Money(crossed, row.asset) if crossed > 0 else row.amount
    return explain(sent, facts.credit.money, rate=facts.quote.rate, fees=stated)


def check(facts: Facts, made: Sequence[Line], told: Explanation | None) -> dict[str, int]:
    """Every sum of the statement against what the ledger posted for it; what is not the same, in minor units."""
    row = facts.row
    asset = on_network(row.asset, row.network)
    reserved = sum(one["amount_minor"] for one in facts.postings if one["key"] == f"{row.id}/reserved")
    expected: dict[str, int] = {f"{asset} of the payout": reserved}
    found: dict[str, int] = {f"{asset} of the payout": sum(line.asset_minor for line in made)}
    expected[f"{asset} accounted for"] = -facts.posted.get((Book.FREE.value, asset), 0)
    found[f"{asset} accounted for"] = sum(
        minor for (book, held), minor in facts.posted.items() if held == asset and book != Book.FREE
    )
    for source in facts.sources:
        mine = [line for line in made if line.source == source.id]
        found[f"{source.currency} of {source.id}"] = sum(line.part.minor for line in mine)
        found[f"{source.currency} fee of {source.id}"] = sum(line.fee_minor for line in mine)
        posted = facts.posted_by_source[source.id]
        is_record = any(one.id == source.id for one in facts.records)
        left = -posted.get((Book.SETTLED.value, source.currency), 0) if is_record else None
        expected[f"{source.currency} of {source.id}"] = (
            sum(part.minor for part in source.parts) if left is None else left
        )
        expected[f"{source.currency} fee of {source.id}"] = (
            posted.get((Book.MINT_FEE.value, source.currency), 0) if is_record else 0
        )
        expected[f"{asset} of {source.id}"] = posted.get((Book.FREE.value, asset), 0)
        found[f"{asset} of {source.id}"] = sum(line.asset_minor for line in mine)
    if facts.credit is not None and row.payout_state in CREDITED:
        currency = facts.credit.money.currency
        expected[f"{currency} credited"] = credited(facts.postings, currency)
        found[f"{currency} credited"] = sum(line.credit_minor or 0 for line in made)
    if facts.credit is not None and told is not None:
        taken = sum(fee.minor or 0 for fee in told.fees)
        expected["the provider's lines"] = facts.credit.money.minor
        found["the provider's lines"] = told.gross_minor - taken + told.unexplained_minor
    return differences(expected, found)
