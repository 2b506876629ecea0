"""The storefront's API: views that read a request, call one verb and show the answer. No decision about money is made here.

A store is known by its key; another store's payment does not exist for it. No answer holds a secret or personal data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from flask import Response, request

from checkout.errors import NotFound
from checkout.paying.customers import Person
from checkout.paying.payments import NewPayment, PaymentAnswer
from checkout.rules.money import Money, parse_amount
from checkout.rules.urls import RETURN_URLS
from checkout.web import problems
from checkout.web.callers import base_url, caller, guard, instant
from checkout.web.idempotency import each_makes_one, idempotency_key, keyed, once_if_given
from checkout.web.list_schemas import PaymentPageSchema, page_of
from checkout.web.operations import blueprint, operation
from checkout.web.reading import read_nothing
from checkout.web.schemas import ID_PATTERN, NewPaymentSchema, PaymentListSchema, PaymentSchema
from checkout.web.services import wired
from checkout.web.twins import Twins

bp: Final = blueprint("payments", prefix="/v1/payments", description="Payments: one for each order.")

_twins: Final = Twins()

ASKED: Final[Mapping[str, Any]] = {
    "flow": "hosted",
    "amount": "9.00",
    "currency": "EUR",
    "country": "DE",
    "order": "PP-1042",
    "success_url": "https://shop.example/thanks",
    "metadata": {"basket": "7f3a"},
}
SHOWN: Final[Mapping[str, Any]] = {
    "id": "pay_01k9z5x0c8m4v2t6r1q3w7y9ab",
    "status": "open",
    "anomaly": None,
    "anomalies": [],
    "amount": "9.00",
    "currency": "EUR",
    "order": "PP-1042",
    "checkout_url": "https://pay.shop.example/pay/Zk3v9yQmT1uW8xR2sN5aBg",
    "client_token": None,
    "expires_at": "2026-11-21T12:30:00Z",
    "provider": {"reference": "F3A9C27B1"},
    "metadata": {"basket": "7f3a"},
    "created_at": "2026-11-21T12:00:00Z",
}
PAYMENT: Final[Mapping[str, Any]] = {
    "in": "path",
    "name": "payment_id",
    "required": True,
    "description": "The id of a payment.",
    "schema": {"type": "string", "pattern": ID_PATTERN},
    "example": SHOWN["id"],
}


#: Where an answer has the id of what it shows.
ITS_ID: Final = "$response.body#/id"

guard(bp)


@operation(
    bp, "POST", "", takes=NewPaymentSchema, request_example=ASKED,
    keyed=each_makes_one("payment", "order-PP-1042"), answers=PaymentSchema, status=201, located=True,
    leads_to={
        name: {"payment_id": ITS_ID}
        for name in ("read_payment", "open_session", "cancel_payment", "request_refund", "list_refunds")
    },
    also={200: "The Idempotency-Key is known: its payment as it stands."}, example=SHOWN,
    errors=[
        problems.UNREADABLE, problems.TOO_LARGE, problems.MEDIA_TYPE, problems.DECLINED, problems.BUSY,
        problems.LOST_RACE,
    ],
)  # fmt: skip
def open_payment(fields: dict[str, Any]) -> Response | tuple[dict[str, Any], int, dict[str, str]]:
    """Open a payment.

    Send the shopper to the answer's `checkout_url`. When the payment provider gives no answer in time the payment is
    `created` and its page waits; it goes on by itself.
    """
    store, wanted = caller(), _wanted(fields, idempotency_key())
    answer, new = _twins.ask((store.id, wanted.idempotency_key), lambda: wired().payments.open(store, wanted))
    if answer.declined is not None:
        return _declined(answer)
    return shown(answer), 201 if new else 200, {"Location": f"{base_url()}/v1/payments/{answer.payment.id}"}


@operation(
    bp, "GET", "", takes=PaymentPageSchema, location="query", answers=PaymentListSchema,
    example={"data": [dict(SHOWN)], "has_more": False}, errors=[],
)  # fmt: skip
def list_payments(fields: dict[str, Any]) -> dict[str, Any]:
    """List payments, newest first.

    For the next page give the last id of this one as `starting_after`; new payments do not shift pages. Conditions can be
    combined; a payment is listed that fits all of them.
    """
    found, more = wired().payments.page(
        caller().id, page_of(fields), status=fields["status"], anomaly=fields["anomaly"], order=fields["order"],
        customer=fields["customer"],
    )  # fmt: skip
    return {"data": [shown(one) for one in found], "has_more": more}


@operation(
    bp, "GET", "/<payment_id>", answers=PaymentSchema, example=SHOWN, errors=[problems.NOT_FOUND], parameters=[PAYMENT]
)
def read_payment(payment_id: str) -> dict[str, Any]:
    """Read one payment."""
    return shown(wired().payments.get(caller().id, _checked(payment_id)))


@operation(
    bp, "POST", "/<payment_id>/sessions", answers=PaymentSchema, example=SHOWN, parameters=[PAYMENT],
    keyed=each_makes_one("session", "session-PP-1042-2"),
    errors=[
        problems.UNREADABLE, problems.NOT_FOUND, problems.NOT_POSSIBLE, problems.DECLINED, problems.TOO_LARGE,
        problems.BUSY, problems.LOST_RACE,
    ],
)  # fmt: skip
def open_session(payment_id: str) -> Response | dict[str, Any]:
    """Open a fresh session.

    For a payment whose page has run out or failed; `checkout_url` stays the same and leads to the new session. Refused when
    the payment is paid or ended, or when money may be on its way.
    """
    read_nothing(request)
    store, ident = caller(), _checked(payment_id)
    once = keyed(store.id, payment=ident)
    answer = _twins.ask(
        (store.id, f"{ident} {idempotency_key()}"), lambda: wired().payments.fresh_session(store.id, ident, keyed=once)
    )
    return shown(answer) if answer.declined is None else _declined(answer)


@operation(
    bp, "POST", "/<payment_id>/cancel", answers=PaymentSchema, example={**SHOWN, "status": "cancelled"},
    parameters=[PAYMENT], keyed=once_if_given("cancel-PP-1042"),
    errors=[problems.UNREADABLE, problems.NOT_FOUND, problems.NOT_POSSIBLE, problems.TOO_LARGE, problems.LOST_RACE],
)  # fmt: skip
def cancel_payment(payment_id: str) -> dict[str, Any]:
    """Cancel a payment.

    No new session opens for it. A shopper who is at the bank already may still pay; such money is honoured, and the payment
    says so. Cancelling twice is once.
    """
    read_nothing(request)
    store, ident = caller(), _checked(payment_id)
    once = keyed(store.id, payment=ident)
    return shown(wired().payments.cancel(store.id, ident, who=f"store {store.name}", keyed=once))


def _checked(payment_id: str) -> str:
    """The id if it has the form of one; nothing else reaches the database."""
    if re.fullmatch(ID_PATTERN, payment_id) is None:
        raise NotFound("payment", "of that form")
    return payment_id


def _wanted(fields: Mapping[str, Any], idempotency_key: str) -> NewPayment:
    """The request in the use case's words; the schema has checked every type."""
    amount: Money | None = None
    if fields["amount"] is not None:
        amount = parse_amount(fields["amount"], fields["currency"])
    return NewPayment(
        flow=fields["flow"],
        amount=amount,
        currency=fields["currency"],
        country=fields["country"],
        order=fields["order"],
        idempotency_key=idempotency_key,
        customer=_person(fields["customer"], fields["country"]),
        urls={name: fields[name] for name in RETURN_URLS},
        payment_method=fields["payment_method"],
        metadata=fields["metadata"] or {},
        language=fields["language"],
    )


def _person(customer: Mapping[str, Any] | None, country: str | None) -> Person | None:
    """The customer that a payment names, as far as the request says."""
    if customer is None or customer.get("id") is None:
        return None
    kyc = {name: value for name, value in (customer.get("kyc") or {}).items() if value is not None}
    return Person(customer["id"], customer.get("email"), country, kyc or None)


def shown(answer: PaymentAnswer) -> dict[str, Any]:
    """A payment as the API shows it (design, section 8)."""
    payment = answer.payment
    asked, anomalies = payment.asked, payment.anomaly_list
    return {
        "id": payment.id,
        "status": payment.status,
        "anomaly": anomalies[0] if anomalies else None,
        "anomalies": anomalies,
        "amount": None if asked is None else asked.fixed(),
        "currency": payment.currency,
        "order": payment.order_ref,
        "checkout_url": f"{base_url()}/pay/{answer.pay_token}",
        "client_token": answer.pay_token if payment.flow == "embedded" else None,
        "expires_at": None if payment.expires_at is None else instant(payment.expires_at),
        "provider": {"reference": answer.reference},
        "metadata": json.loads(payment.metadata),
        "created_at": instant(payment.created_at),
    }


def _declined(answer: PaymentAnswer) -> Response:
    """The payment is stored, and the provider has just said no: its words, and which payment."""
    return problems.problem(problems.DECLINED, detail=answer.declined or None, payment_id=answer.payment.id)
