"""What tests of refunds share: a paid order, good details, a Stable Mint that takes withdrawals, its events."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from checkout.inbox import Receipt
from checkout.paying.customers import Person
from checkout.refunding.refunds import NewRefund, RefundAnswer
from checkout.rules.money import parse_amount
from checkout.store import payments, refunds
from checkout.store.records import AttemptRow, DepositRow, RefundRow, StoreRow
from tests.system import System

IBAN = "DE89370400440532013000"
DETAILS = {
    "user_ip": "203.0.113.7", "creditor_account": "DE89 3704 0044 0532 0130 00", "creditor_name": "Ada Lovelace",
    "creditor_country": "DE", "remittance": "Refund of PP-1042",
}  # fmt: skip
PERSON = Person("shopper-1", "ada@shop.example", "DE", {})


def paid(system: System, *words: str, amount: str = "9.00", **fields: Any) -> DepositRow:
    """The first deposit of a partner-managed payment, after these words (settled when there are none)."""
    answer = system.pay(amount, flow="hosted_partner", customer=PERSON)
    session = system.sessions(answer.payment.id)[0]
    system.hear(session, *(words or ("completed",)), **{"amount": float(amount), **fields})
    return deposit(system, answer.payment.id)


def deposit(system: System, payment_id: str) -> DepositRow:
    with system.database.read() as unit:
        return payments.deposits_of(unit, payment_id)[0]


def wanted(amount: str = "9.00", currency: str = "EUR", **changes: Any) -> NewRefund:
    values = {"amount": parse_amount(amount, currency), "idempotency_key": uuid.uuid4().hex, "details": DETAILS}
    return NewRefund(**{**values, **changes})


def ask(
    system: System, payment_id: str, amount: str = "9.00", *, store: StoreRow | None = None, **changes: Any
) -> RefundAnswer:
    answer, _ = system.services.refunds.request(payment_id, wanted(amount, **changes), who="ann", store=store)
    return answer


def approved(system: System, payment_id: str, amount: str = "9.00", **changes: Any) -> str:
    """A refund that the worker has dealt with; its id."""
    ident = ask(system, payment_id, amount, **changes).row.id
    system.services.refunds.approve(ident, who="ann")
    system.work()
    return ident


def row(system: System, ident: str) -> RefundRow:
    with system.database.read() as unit:
        found = refunds.refund_by_id(unit, ident)
    assert found is not None
    return found


def state(system: System, ident: str) -> str:
    return row(system, ident).state


def attempt(system: System, ident: str) -> AttemptRow:
    with system.database.read() as unit:
        found = refunds.withdrawal_of(unit, ident)
    assert found is not None
    return found


def withdrawals(system: System) -> list[dict[str, Any]]:
    """Every withdrawal that Stable Mint was asked for."""
    return [one for one in system.mint.requests if "withdrawalReason" in one]


def news(system: System, ident: str, word: str, *, version: str = "v2", **fields: Any) -> bytes:
    """The body of a withdrawal event; a field given as ``...`` is left out."""
    known = row(system, ident)
    content: dict[str, Any] = {
        "reference": known.reference, "amount": float(known.amount.fixed()), "currency": known.currency,
        "idempotencyKey": attempt(system, ident).key, "websiteReference": known.website_reference, "partnerName": "Demo",
        **fields,
    }  # fmt: skip
    content = {name: value for name, value in content.items() if value is not ... and value is not None}
    name = f"partner.customer.withdrawal.{word}"
    if version == "v1":
        return json.dumps({"notificationType": name, **content}).encode()
    stamp = {"eventType": name, "timestamp": "2026-11-21T12:00:00Z"}
    return json.dumps({"eventId": str(uuid.uuid4()), "data": {**stamp, **content}}).encode()


def hear(system: System, ident: str, *words: str, version: str = "v2", **fields: Any) -> None:
    for word in words:
        system.deliver(news(system, ident, word, version=version, **fields))
        system.clock.advance(milliseconds=1)
        system.work()


def deliver(system: System, body: bytes) -> None:
    assert system.deliver(body) is Receipt.STORED
    system.clock.advance(milliseconds=1)
    system.work()


@contextmanager
def answering(system: System, *answers: httpx.Response | Exception) -> Iterator[None]:
    """Stable Mint's next answers."""
    system.mint.next_answers.extend(answers)
    yield
    assert not system.mint.next_answers, "an answer was never asked for"


def taken(reference: str | None = None, **more: Any) -> httpx.Response:
    return httpx.Response(200, json={"reference": reference or uuid.uuid4().hex[:12].upper(), **more})


def later(system: System) -> None:
    """After lease and deadline of whatever was being sent."""
    system.clock.advance(seconds=system.services.context.lease.total_seconds() * 2)


def allow(system: System, limit: str, currency: str = "EUR", **more: Any) -> None:
    system.services.refund_resolving.rule(
        system.store.id, currency=currency, limit=limit, hosted_withdrawal=more.get("hosted_withdrawal"), who="ann"
    )


def record(system: System, *idents: str, amount: str = "9.71") -> str:
    made = system.services.treasury.record(
        system.store.id, asset="USDC", network="polygon", amount=amount, fee="0", deposits=list(idents),
        evidence="a statement", who="ann",
    )  # fmt: skip
    return made.id


Act = Callable[[], Any]
