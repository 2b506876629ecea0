"""Statements: one payout, or a store's payouts of a period, from the orders to the bank credit, to the last minor unit.

Figures come from the stored rows and are compared with what the ledger posted: a difference in our own arithmetic is named
and is a bug. The credit is ``quoted`` until the provider's own figure or a bank-statement line makes it ``confirmed``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from checkout.context import Context
from checkout.errors import AmountRefused, NotFound, NotPossible, RequestRefused
from checkout.explaining.statement_facts import (
    CREDITED,
    Credit,
    CreditFacts,
    Facts,
    check,
    credit_facts_of,
    credit_of,
    credited,
    explanation,
    facts_of,
)
from checkout.rules.ledger import Book, move, on_network
from checkout.rules.money import Money, parse_amount
from checkout.rules.payouts import PayoutState
from checkout.rules.statements import (
    DEFAULT_LIMIT,
    UNEXPLAINED,
    Explanation,
    Limit,
    Line,
    lines,
    over_limit,
)
from checkout.store import explaining, ledger, ledger_reads, payouts, stores
from checkout.store.engine import Unit
from checkout.store.ledger_reads import Turnover
from checkout.store.moves import WORKER, cases_on, close_by_proof, record_act, reopen_case
from checkout.store.records import PayoutRow, SettlementRecordRow, StoreRow

EVIDENCE_MAX: Final = 1000
LIMIT_MINOR_MAX: Final = 1_000_000


class Statements:
    """The operator's reads, and the one act: saying what the bank statement shows."""

    def __init__(self, context: Context) -> None:
        self._context = context

    # --- reading -------------------------------------------------------------------------------------------------

    def payout(self, ident: str) -> dict[str, Any]:
        """One payout's statement; its ``differences`` are empty unless our own arithmetic is wrong."""
        with self._context.database.read() as unit:
            facts = facts_of(unit, ident)
        return _document(facts)

    def period(self, store_name: str, *, start: datetime, end: datetime) -> dict[str, Any]:
        """A store's accounts over a period and the statement of every payout credited in it."""
        if end <= start:
            raise RequestRefused({"to": "must be after --from"})
        with self._context.database.read() as unit:
            store = _store(unit, store_name)
            accounts = ledger_reads.turnover(unit, store.id, start, end)
            made = [
                _document(facts_of(unit, one)) for one in ledger_reads.payouts_sent_between(unit, store.id, start, end)
            ]
        found = {
            f"{one.account} closing": [one.opening + one.received - one.given, one.closing]
            for one in accounts
            if one.opening + one.received - one.given != one.closing
        }
        found |= {f"{one['id']} {name}": value for one in made for name, value in one["differences"].items()}
        return {
            "store": store.id, "name": store.name, "from": start.isoformat(), "to": end.isoformat(),
            "accounts": [_account(one) for one in accounts], "payouts": made, "totals": _totals(made),
            "differences": found,
        }  # fmt: skip

    # --- what a worker does after each step of a payout ----------------------------------------------------------

    def look(self, ident: str) -> None:
        """Bring a completed payout's posted credit to the provider's own figure, and ask for a person where its lines leave
        too much unexplained."""
        with self._context.database.read() as unit:
            row = payouts.payout_by_id(unit, ident)
            if row is None or row.payout_state is not PayoutState.COMPLETED or row.credit_minor is None:
                return
            if not _needs_a_look(credit_facts_of(unit, row), cases_on(unit, ident)):
                return
        now = self._context.clock()
        with self._context.database.write() as unit:
            locked = payouts.payout_by_id(unit, ident, lock=True)
            if locked is None or locked.credit_minor is None:  # pragma: no cover - a payout is never deleted
                return
            said = explaining.confirmations_of(unit, ident)
            if said:  # what a bank statement showed is not unsaid by later news of the quote
                payouts.update_payout(unit, ident, credit_minor=said[-1].amount_minor, credit_is="confirmed")
            else:
                self._post_credit(unit, locked, Money(locked.credit_minor, locked.credit_currency or ""), now)
            self._judge(unit, ident, now)

    # --- acting --------------------------------------------------------------------------------------------------

    def confirm(self, ident: str, *, amount: str, evidence: str, who: str) -> dict[str, Any]:
        """Say what the bank statement shows for a completed payout; the ledger's credit becomes exactly that.

        Saying the same twice is once. Another amount than was said before replaces it and opens a case.
        """
        evidence = evidence.strip()
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            row = payouts.payout_by_id(unit, ident, lock=True)
            if row is None:
                raise NotFound("payout", ident)
            if row.payout_state is not PayoutState.COMPLETED or row.credit_currency is None:
                raise NotPossible(f"payout {ident} is {row.state}; a credit is confirmed when it is completed")
            arrived = _entered(amount, row.credit_currency, evidence)
            before = credit_of(unit, row)
            known = explaining.confirmations_of(unit, ident)
            if not known or known[-1].amount_minor != arrived.minor:
                explaining.insert_confirmation(
                    unit,
                    {
                        "id": context.new_id("cfm"), "payout_id": ident, "amount_minor": arrived.minor,
                        "currency": arrived.currency, "evidence": evidence, "created_at": now, "created_by": who,
                    },
                )  # fmt: skip
                self._post_credit(unit, row, arrived, now)
                payouts.update_payout(unit, ident, credit_minor=arrived.minor, credit_is="confirmed")
                record_act(
                    unit, context.new_id("act"), who=who, action="credit confirmed", subject=ident, at=now,
                    detail={"amount": arrived.fixed(), "currency": arrived.currency, "evidence": evidence},
                )  # fmt: skip
                self._compare(unit, row, before, arrived, now)
                self._judge(unit, ident, now)
        return self.payout(ident)

    def set_limit(self, store_name: str, *, percent: str, minor: int, who: str) -> dict[str, Any]:
        """Say how much of a credit the provider may leave unexplained: ``percent`` of it (at most two decimals, ``0`` to
        ``100``), and in any case ``minor`` of the credit's smallest units. What waits for a person is judged again.
        """
        context = self._context
        limit = _read_limit(percent, minor)
        now = context.clock()
        with context.database.write() as unit:
            store = _store(unit, store_name)
            before = explaining.limit_of(unit, store.id)
            explaining.keep_limit(unit, store.id, limit, who=who, at=now)
            record_act(
                unit, context.new_id("act"), who=who, action="statement limit set", subject=store.id, at=now,
                detail={"before": asdict(before), "after": asdict(limit)},
            )  # fmt: skip
            for ident in explaining.unexplained_payouts(unit, store.id):
                self._judge(unit, ident, now)
        return self.limit(store_name)

    def limit(self, store_name: str) -> dict[str, Any]:
        """The store's limit of what the provider may leave unexplained."""
        with self._context.database.read() as unit:
            store = _store(unit, store_name)
            limit = explaining.limit_of(unit, store.id)
        return {
            "store": store.id, "name": store.name, "percent": f"{Decimal(limit.bp) / 100:f}", "minor": limit.minor,
            "default": limit == DEFAULT_LIMIT,
        }  # fmt: skip

    def _compare(self, unit: Unit, row: PayoutRow, before: Credit | None, arrived: Money, now: datetime) -> None:
        """A case when the bank shows other than what somebody had said, or less than was approved."""
        approved = [one["min_credit_minor"] for one in payouts.mandates_of(unit, row.id)]
        why = None
        if before is not None and before.is_ == "confirmed" and before.money != arrived:
            why = f"{arrived} is confirmed now, {before.money} was before ({before.evidence})"
        elif approved and arrived.minor < approved[-1]:
            least = Money(approved[-1], arrived.currency)
            why = f"{arrived} arrived, the mandate allowed no less than {least}"
        if why is not None:
            reopen_case(unit, self._context.new_id("case"), kind="credit_differs", subject=row.id, detail=why, at=now)

    def _post_credit(self, unit: Unit, row: PayoutRow, credit: Money, now: datetime) -> None:
        """Post what takes the bank account from what was posted to what arrived; each correction has its own key."""
        posted = credited(ledger.postings_of(unit, row.id), credit.currency)
        if posted == credit.minor:
            return
        number = 1
        while ledger.has_posting(unit, f"{row.id}/credit/{number}"):
            number += 1
        more = credit.minor > posted
        debit, given = (Book.BANK, Book.EXCHANGE) if more else (Book.EXCHANGE, Book.BANK)
        leg = move(
            row.store_id, credit.currency, debit, given, abs(credit.minor - posted), key=f"{row.id}/credit/{number}",
            cause=row.id,
        )  # fmt: skip
        ledger.post(unit, [leg], at=now)

    def _judge(self, unit: Unit, ident: str, now: datetime) -> None:
        """Open the case of a remainder above the limit, or close it when later news has explained it."""
        row = payouts.payout_by_id(unit, ident)
        if row is None:  # pragma: no cover - a payout is never deleted
            return
        facts = credit_facts_of(unit, row)
        told = explanation(facts)
        if told is None or facts.credit is None:
            return
        credit = facts.credit.money
        if over_limit(told.unexplained_minor, credit.minor, facts.limit):
            left = Money(told.unexplained_minor, credit.currency)
            reopen_case(
                unit, self._context.new_id("case"), kind="credit_unexplained", subject=ident, at=now,
                detail=f"{left} of {credit} is {UNEXPLAINED}: its rate {told.rate} and its fee lines do not lead there",
            )  # fmt: skip
        else:
            close_by_proof(
                unit,
                kind="credit_unexplained",
                subject=ident,
                note=f"explained within the limit, {WORKER} found",
                at=now,
            )


def _needs_a_look(facts: CreditFacts, cases: Sequence[Mapping[str, Any]]) -> bool:
    """Whether anything of a completed payout is other than it should be stored: most are not, and cost no commit."""
    told, credit = explanation(facts), facts.credit
    if credit is None:  # pragma: no cover - its row has one
        return False
    row, money = facts.row, credit.money
    stored = row.credit_minor == money.minor and row.credit_is == credit.is_
    posted = credited(facts.postings, money.currency) == money.minor
    above = told is not None and over_limit(told.unexplained_minor, money.minor, facts.limit)
    is_open = any(one["kind"] == "credit_unexplained" and one["closed_at"] is None for one in cases)
    return not stored or not posted or above != is_open


def _store(unit: Unit, name: str) -> StoreRow:
    store = stores.find_store(unit, name)
    if store is None:
        raise NotFound("store", name)
    return store


def _read_limit(percent: str, minor: int) -> Limit:
    problems: dict[str, str] = {}
    if not re.fullmatch(r"(100(\.00?)?|[0-9]{1,2}(\.[0-9]{1,2})?)", percent):
        problems["percent"] = "write 0 to 100 with at most two decimals, for example 0.25"
    if not 0 <= minor <= LIMIT_MINOR_MAX:
        problems["minor"] = f"must be from 0 to {LIMIT_MINOR_MAX}, in the smallest units of the credit's currency"
    if problems:
        raise RequestRefused(problems)
    return Limit(int(Decimal(percent) * 100), minor)


def _entered(amount: str, currency: str, evidence: str) -> Money:
    problems: dict[str, str] = {}
    arrived = Money(1, currency)
    try:
        arrived = parse_amount(amount, currency)
    except AmountRefused as problem:
        problems["amount"] = str(problem)
    if not 1 <= len(evidence) <= EVIDENCE_MAX:
        problems["evidence"] = f"say in 1 to {EVIDENCE_MAX} characters which statement line shows it"
    if problems:
        raise RequestRefused(problems)
    return arrived


# --- showing -----------------------------------------------------------------------------------------------------


def _document(facts: Facts) -> dict[str, Any]:
    row, credit = facts.row, facts.credit
    told = explanation(facts)
    made = lines(facts.sources, credit_minor=None if credit is None else credit.money.minor)
    return {
        "id": row.id, "store": row.store_id, "state": row.state, "created_at": row.created_at.isoformat(),
        "asset": row.asset, "network": row.network, "sent": row.amount.fixed(),
        "lines": [_line(one, row, credit) for one in made],
        "records": [_record(one) for one in facts.records],
        "asset_is": {
            book.replace("_", " "): Money(minor, row.asset).fixed()
            for (book, asset), minor in sorted(facts.posted.items())
            if asset == on_network(row.asset, row.network) and book != Book.FREE and minor
        },
        "beyond_the_payout": Money(facts.drawn_minor, row.asset).fixed() if facts.drawn_minor else None,
        "totals": _sums(made, row, credit),
        "credit": None if credit is None else {
            "amount": credit.money.fixed(), "currency": credit.money.currency, "is": credit.is_,
            "evidence": credit.evidence, "posted": row.payout_state in CREDITED,
        },
        "provider": None if told is None or credit is None else _told(told, row, credit.money, facts.limit),
        "differences": check(facts, made, told),
    }  # fmt: skip


def _line(line: Line, row: PayoutRow, credit: Credit | None) -> dict[str, Any]:
    def own(minor: int) -> str:
        return Money(minor, line.currency).fixed()

    return {
        "order": line.part.order, "payment": line.part.payment, "deposit": line.part.deposit,
        "reference": line.part.reference, "record": line.source, "currency": line.currency,
        "settled": own(line.part.minor), "stable_mint_fee": own(line.fee_minor), "crossed": own(line.crossed_minor),
        "asset": row.asset, "asset_share": Money(line.asset_minor, row.asset).fixed(),
        "credit_currency": None if credit is None else credit.money.currency,
        "credit_share": None if credit is None or line.credit_minor is None
        else Money(line.credit_minor, credit.money.currency).fixed(),
    }  # fmt: skip


def _record(record: SettlementRecordRow) -> dict[str, Any]:
    return {
        "id": record.id, "received": Money(record.received_minor, record.asset).fixed(), "asset": record.asset,
        "network": record.network, "free": Money(record.free_minor, record.asset).fixed(), "currency": record.currency,
        "deposits": Money(record.deposits_minor, record.currency).fixed(),
        "fee": Money(record.fee_minor, record.currency).fixed(), "kind": record.kind, "evidence": record.evidence,
        "by": record.created_by, "at": record.created_at.isoformat(),
    }  # fmt: skip


def _sums(made: Sequence[Line], row: PayoutRow, credit: Credit | None) -> dict[str, Any]:
    currencies = sorted({line.currency for line in made})
    by_currency = []
    for currency in currencies:
        mine = [line for line in made if line.currency == currency]
        settled, fee = sum(one.part.minor for one in mine), sum(one.fee_minor for one in mine)
        by_currency.append(
            {
                "currency": currency, "settled": Money(settled, currency).fixed(),
                "stable_mint_fee": Money(fee, currency).fixed(), "crossed": Money(settled - fee, currency).fixed(),
            }
        )  # fmt: skip
    shared = None if credit is None else Money(sum(one.credit_minor or 0 for one in made), credit.money.currency)
    return {
        "orders": by_currency,
        "asset": Money(sum(one.asset_minor for one in made), row.asset).fixed(),
        "credit": None if shared is None else shared.fixed(),
    }


def _told(told: Explanation, row: PayoutRow, credit: Money, limit: Limit) -> dict[str, Any]:
    def in_credit(minor: int) -> str:
        return Money(minor, credit.currency).fixed()

    return {
        "rate": told.rate, "rate_of": f"{credit.currency} per {row.asset}", "gross": in_credit(told.gross_minor),
        "fees": [
            {"name": fee.stated.name, "currency": fee.stated.currency, "amount": fee.stated.amount,
             "in_credit": None if fee.minor is None else in_credit(fee.minor)}
            for fee in told.fees
        ],
        "unexplained": in_credit(told.unexplained_minor), "unexplained_is": UNEXPLAINED,
        "over_limit": over_limit(told.unexplained_minor, credit.minor, limit), "notes": list(told.notes),
    }  # fmt: skip


def _account(one: Turnover) -> dict[str, Any]:
    def amount(minor: int) -> str:
        return Money(minor, one.asset.split("@")[0]).fixed()

    shown = asdict(one)
    figures = ("opening", "received", "given", "closing")
    return {name: amount(value) if name in figures else value for name, value in shown.items()}


def _totals(made: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What was sent and credited in a period, per pair of asset and currency: nothing is added across currencies."""
    sums: dict[tuple[str, str, str], list[Any]] = {}
    for one in made:
        if one["credit"] is None:
            continue
        currency = one["credit"]["currency"]
        known = sums.setdefault(
            (one["asset"], one["network"], currency), [Money(0, one["asset"]), Money(0, currency), 0]
        )
        known[0] += parse_amount(one["sent"], one["asset"], positive=False)
        known[1] += parse_amount(one["credit"]["amount"], currency, positive=False)
        known[2] += 1
    return [
        {"asset": asset, "network": network, "sent": sent.fixed(), "currency": currency, "credited": credited.fixed(),
         "payouts": count}
        for (asset, network, currency), (sent, credited, count) in sorted(sums.items())
    ]  # fmt: skip
