"""Proof and explanation: the ledger's balance, recomputed, and one line from any id to the bank."""

from __future__ import annotations

from typing import Any

from checkout.context import Context
from checkout.errors import NotFound, NotPossible
from checkout.rules.ledger import Book
from checkout.rules.money import Money
from checkout.store import events, ledger, moves, notifications, payments, payouts, refunds
from checkout.store.engine import Unit
from checkout.store.records import DepositRow, PayoutRow
from checkout.store.tracing import known_otherwise, subject_of


class Report:
    """Read-only; every figure comes from the stored rows."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def balance(self) -> dict[str, Any]:
        """Prove the ledger: per asset all accounts sum to nothing, and no account that holds money is below zero."""
        with self._context.database.read() as unit:
            accounts = ledger.balances(unit)
            bad = ledger.unexplained(unit)
        sums: dict[str, int] = {}
        problems = list(bad)
        for row in accounts:
            sums[row["asset"]] = sums.get(row["asset"], 0) + row["balance"]
            may_be_negative = row["book"] in (Book.SHOPPER, Book.EXCHANGE)
            if row["balance"] < 0 and not may_be_negative:
                problems.append(f"{row['account']} is below zero")
        problems += [f"{asset} does not sum to zero" for asset, total in sums.items() if total]
        return {
            "balanced": not problems,
            "problems": problems,
            "accounts": [
                {
                    "account": row["account"],
                    "asset": row["asset"],
                    "balance": _amount(row["balance"], row["asset"]),
                }
                for row in accounts
            ],
        }

    def trace(self, ident: str) -> dict[str, Any]:
        """The whole line from any id that a person may hold (:func:`checkout.store.tracing.subject_of` lists them)."""
        with self._context.database.read() as unit:
            found = subject_of(unit, ident)
            if found is None:
                known = known_otherwise(unit, ident)
                raise NotFound("id", ident) if known is None else NotPossible(f"{ident} is {known}")
            kind, subjects = found
            if kind == "payment":
                lines = [self._payment(unit, one) for one in subjects]
                payout_ids = sorted({out for line in lines for dep in line["deposits"] for out in dep["payouts"]})
            else:
                payout_ids = list(subjects)
                payment_ids = sorted({one for out in payout_ids for one in self._payments_in(unit, out)})
                lines = [self._payment(unit, one) for one in payment_ids]
            return {
                "asked": ident,
                "payments": lines,
                "payouts": [self._payout(unit, one) for one in payout_ids],
            }

    def _payments_in(self, unit: Unit, payout_id: str) -> set[str]:
        found: set[str] = set()
        for item in payouts.items_of(unit, payout_id):
            deposits = payouts.deposits_in_record(unit, item["source"])
            one = payments.deposit_by_id(unit, item["source"])
            found |= {deposit.payment_id for deposit in deposits}
            if one is not None:
                found.add(one.payment_id)
        return found

    def _payment(self, unit: Unit, ident: str) -> dict[str, Any]:
        payment = payments.payment_by_id(unit, ident)
        if payment is None:
            raise NotFound("payment", ident)
        asked = payment.asked
        return {
            "id": payment.id, "order": payment.order_ref, "status": payment.status, "anomalies": payment.anomaly_list,
            "amount": None if asked is None else asked.fixed(), "currency": payment.currency,
            "moves": _moves(unit, ident),
            "sessions": [
                {"id": one.id, "state": one.state, "reference": one.reference,
                 "came_back": None if one.came_back_at is None else one.came_back_at.isoformat(), "problem": one.problem}
                for one in payments.sessions_of(unit, ident)
            ],
            "deposits": [self._deposit(unit, one, payment.counted_deposit_id) for one in payments.deposits_of(unit, ident)],
            "notifications": [
                {"id": one.id, "type": one.type, "sequence": one.sequence, "state": one.state}
                for one in notifications.notifications_on(unit, ident)
            ],
            "customer": payment.customer_id, "link": payment.link_id,
            "refunds": [
                {
                    "id": one.id, "state": one.state, "amount": one.amount.fixed(), "currency": one.currency,
                    "deposit": one.deposit_id, "reference": one.reference, "moves": _moves(unit, one.id),
                    "postings": _postings(unit, one.id), "cases": _cases(unit, one.id),
                }
                for one in refunds.refunds_of(unit, ident)
            ],
            "cases": _cases(unit, ident),
        }  # fmt: skip

    def _deposit(self, unit: Unit, deposit: DepositRow, counted: str | None) -> dict[str, Any]:
        record = payouts.settlement_record_by_id(unit, deposit.settlement_record_id or "")
        held = [*payouts.payouts_holding(unit, deposit.id)]
        if record is not None:
            held += payouts.payouts_holding(unit, record.id)
        return {
            "id": deposit.id, "reference": deposit.reference, "stage": deposit.stage, "failed": deposit.failed,
            "counted": deposit.id == counted, "amount": None if deposit.money is None else deposit.money.fixed(),
            "currency": deposit.currency, "moves": _moves(unit, deposit.id),
            "events": [
                {"id": one.id, "type": one.event_type, "state": one.state, "received_at": one.received_at.isoformat()}
                for one in events.events_on(unit, deposit.id)
            ],
            "postings": _postings(unit, deposit.id),
            "settlement_record": None if record is None else {
                "id": record.id, "kind": record.kind, "evidence": record.evidence, "by": record.created_by,
                "received": Money(record.received_minor, record.asset).plain(), "asset": record.asset,
                "network": record.network, "fee": Money(record.fee_minor, record.currency).fixed(),
                "postings": _postings(unit, record.id),
            },
            "payouts": sorted(set(held)),
        }  # fmt: skip

    def _payout(self, unit: Unit, ident: str) -> dict[str, Any]:
        row = payouts.payout_by_id(unit, ident)
        if row is None:
            raise NotFound("payout", ident)
        return {
            "id": row.id, "state": row.state, "amount": row.amount.plain(), "asset": row.asset, "network": row.network,
            "credit": _credit(row), "moves": _moves(unit, ident), "postings": _postings(unit, ident),
            "items": [one["source"] for one in payouts.items_of(unit, ident)],
            "quotes": [
                {"id": one.provider_quote_id, "credit": one.credit.fixed(), "currency": one.credit_currency,
                 "rate": one.rate, "refused": one.refused}
                for one in payouts.quotes_of(unit, ident)
            ],
            "attempts": [
                {"id": one.id, "kind": one.kind, "state": one.state, "sends": one.sends, "evidence": one.evidence}
                for one in (*payouts.attempts_of(unit, ident, "quote"), *payouts.attempts_of(unit, ident, "transfer"))
            ],
            "mandates": [
                {"id": one["id"], "by": one["created_by"], "voided": one["voided_because"],
                 "min_credit": Money(one["min_credit_minor"], one["currency"]).fixed()}
                for one in payouts.mandates_of(unit, ident)
            ],
            "transfer": self._transfer(unit, ident, row), "cases": _cases(unit, ident),
            "acts": [{"who": one["who"], "action": one["action"], "at": one["at"].isoformat()}
                     for one in moves.acts_on(unit, ident)],
        }  # fmt: skip

    def _transfer(self, unit: Unit, ident: str, row: PayoutRow) -> dict[str, Any] | None:
        transfer = payouts.transfer_of(unit, ident)
        if transfer is None:
            return None
        sent = payouts.funding_of(unit, transfer.id)
        return {
            "id": transfer.provider_transfer_id, "status": row.provider_status,
            "revealed_by": transfer.revealed_by,
            "funding": None if sent is None else {"kind": sent["kind"], "hash": sent["tx_hash"], "by": sent["created_by"]},
        }  # fmt: skip


def _moves(unit: Unit, ident: str) -> list[dict[str, Any]]:
    return [
        {
            "from": one["before"],
            "to": one["after"],
            "cause": one["cause"],
            "who": one["who"],
            "at": one["at"].isoformat(),
        }
        for one in moves.moves_of(unit, ident)
    ]


def _cases(unit: Unit, ident: str) -> list[dict[str, Any]]:
    return [
        {"id": one["id"], "kind": one["kind"], "detail": one["detail"], "open": one["closed_at"] is None}
        for one in moves.cases_on(unit, ident)
    ]


def _postings(unit: Unit, cause: str) -> list[dict[str, Any]]:
    return [
        {
            "debit": one["debit"].split("/")[1], "credit": one["credit"].split("/")[1], "asset": one["asset"],
            "amount": _amount(one["amount_minor"], one["asset"]),
        }
        for one in ledger.postings_of(unit, cause)
    ]  # fmt: skip


def _credit(row: PayoutRow) -> dict[str, Any] | None:
    if row.credit_minor is None or row.credit_currency is None:
        return None
    credit = Money(row.credit_minor, row.credit_currency)
    return {"amount": credit.fixed(), "currency": credit.currency, "is": row.credit_is}


def _amount(minor: int, asset: str) -> str:
    return Money(minor, asset.split("@")[0]).fixed()
