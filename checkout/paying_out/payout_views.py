"""A payout as people and programs are shown it: everything but the address and the bank details."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from checkout.errors import NotFound
from checkout.paying_out.mandates import shown_quote
from checkout.paying_out.price_guard import shown_price
from checkout.providers.stables_codes import word_for
from checkout.rules.ledger import on_network
from checkout.rules.money import Money
from checkout.rules.resolutions import Held
from checkout.store import payouts, resolutions
from checkout.store.engine import Unit
from checkout.store.moves import cases_on, moves_of
from checkout.store.records import PayoutRow, QuoteRow, ResolutionRow


def shown_payout(unit: Unit, ident: str, *, now: datetime) -> dict[str, Any]:
    """One payout with its quotes, mandate, transfer, credit, moves, cases and what was entered about it; NotFound."""
    row = payouts.payout_by_id(unit, ident)
    if row is None:
        raise NotFound("payout", ident)
    quote = None if row.quote_id is None else payouts.quote_by_id(unit, row.quote_id)
    account = payouts.payout_account_by_id(unit, row.payout_account_id)
    return {
        "id": row.id, "store": row.store_id, "state": row.state, "amount": row.amount.plain(), "asset": row.asset,
        "network": row.network, "note": row.note, "policy": row.policy_id, "proposed_by": row.created_by,
        "account": None if account is None else {"id": account.id, "name": account.name, "bank": account.bank_hint},
        "items": [{"source": one["source"], "released": one["released_at"] is not None}
                  for one in payouts.items_of(unit, ident)],
        "quote": None if quote is None else _quote(quote, row),
        "refused_quotes": [
            {"id": one.provider_quote_id, "credit": one.credit.fixed(), "currency": one.credit_currency,
             "why": one.refused, "at": one.created_at.isoformat()}
            for one in payouts.quotes_of(unit, ident) if one.refused
        ],
        "mandate": _mandate(unit, ident),
        "transfer": _transfer(unit, row, now),
        "credit": None if row.credit_minor is None else {
            "amount": Money(row.credit_minor, row.credit_currency or "").fixed(),
            "currency": row.credit_currency, "is": row.credit_is,
        },
        "holds": _held(unit, row),
        "resolutions": [_resolution(one) for one in resolutions.resolutions_of(unit, ident)],
        "moves": [{"from": one["before"], "to": one["after"], "cause": one["cause"], "who": one["who"],
                   "at": one["at"].isoformat()} for one in moves_of(unit, ident)],
        "cases": [{"id": one["id"], "kind": one["kind"], "open": one["closed_at"] is None}
                  for one in cases_on(unit, ident)],
    }  # fmt: skip


def _quote(quote: QuoteRow, row: PayoutRow) -> dict[str, Any]:
    fees = [(str(name), str(currency), str(amount)) for name, currency, amount in json.loads(quote.fees)]
    price = shown_price(Money(quote.source_minor, row.asset), quote.rate, quote.credit, fees)
    return {**shown_quote(quote), "cost": price["cost"], "cost_percent": price["cost_percent"]}


def _mandate(unit: Unit, ident: str) -> dict[str, Any] | None:
    live = payouts.live_mandate(unit, ident)
    if live is None:
        return None
    return {
        "id": live.id, "by": live.created_by, "second_by": live.second_by,
        "waits_for_second": live.two_people and live.second_by is None,
        "min_credit": Money(live.min_credit_minor, live.currency).fixed(), "currency": live.currency,
        "valid_until": live.valid_until.isoformat(),
    }  # fmt: skip


def _transfer(unit: Unit, row: PayoutRow, now: datetime) -> dict[str, Any] | None:
    transfer = payouts.transfer_of(unit, row.id)
    if transfer is None:
        return None
    sent: Mapping[str, Any] | None = payouts.funding_of(unit, transfer.id)
    left = int((transfer.fundable_until - now).total_seconds())
    return {
        "id": transfer.provider_transfer_id, "status": row.provider_status,
        "means": None if row.provider_status is None else word_for(row.provider_status).sentence,
        "fundable_until": transfer.fundable_until.isoformat(), "fundable_for_s": max(left, 0),
        "revealed": transfer.instructions_revealed_at is not None, "revealed_by": transfer.revealed_by,
        "funding": None if sent is None else {
            "kind": sent["kind"], "hash": sent["tx_hash"], "by": sent["created_by"], "at": sent["created_at"].isoformat(),
        },
    }  # fmt: skip


def _held(unit: Unit, row: PayoutRow) -> dict[str, str]:
    """Where the payout's money stands now, by book; empty once it holds none."""
    held = Held.of(resolutions.held_by(unit, row.id, on_network(row.asset, row.network)))
    return {book.value: Money(minor, row.asset).plain() for book, minor in held.books().items() if minor}


def _resolution(one: ResolutionRow) -> dict[str, Any]:
    credit = None if one.credit_minor is None else Money(one.credit_minor, one.credit_currency or "").fixed()
    return {
        "id": one.id, "is": one.kind, "amount": Money(one.amount_minor, one.asset).plain(), "credit": credit,
        "currency": one.credit_currency, "hash": one.tx_hash, "evidence": one.evidence, "by": one.created_by,
        "at": one.created_at.isoformat(),
    }  # fmt: skip
