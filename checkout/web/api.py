"""The storefront's API: views that read a request, call one verb and show the answer. No decision about money is made here.

A store is known by its key; another store's payment does not exist for it. No answer holds a secret or personal data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from flask import Response, g, request

from checkout.errors import NotAuthenticated, NotFound
from checkout.payments import RETURN_URLS, NewPayment, PaymentAnswer
from checkout.rules.money import Money, parse_amount
from checkout.store.records import StoreRow
from checkout.web import problems
from checkout.web.operations import blueprint, operation
from checkout.web.reading import read_nothing
from checkout.web.schemas import KEY_MAX, PAYMENT_ID, NewPaymentSchema, PageSchema, PaymentListSchema, PaymentSchema
from checkout.web.services import wired
from checkout.web.twins import Twins

bp: Final = blueprint("payments", prefix="/v1/payments", description="Payments: one for each order.")

_twins: Final = Twins()
_BEARER: Final = re.compile(r"Bearer +([!-~]{1,200}) *", re.IGNORECASE)
_KEY: Final = re.compile(rf"[ -~]{{1,{KEY_MAX}}}")

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
}
IDEMPOTENCY_KEY: Final[Mapping[str, Any]] = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": True,
    "description": "Chosen by the shop, one per payment (the order number will do). The same request under the same key is "
    "the same payment, however often it is sent.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_MAX, "pattern": "^[ -~]+$"},
    "example": "order-PP-1042",
}
PAYMENT: Final[Mapping[str, Any]] = {
    "in": "path",
    "name": "payment_id",
    "required": True,
    "description": "The id of a payment.",
    "schema": {"type": "string", "pattern": PAYMENT_ID},
    "example": SHOWN["id"],
}


def _authenticate() -> None:
    """Whose key is this? Asked before anything of the body is read."""
    matched = _BEARER.fullmatch(request.headers.get("Authorization", ""))
    if matched is None:
        raise NotAuthenticated("no bearer key")
    g.store = wired().stores.of_key(matched[1])


def _look_at_key() -> None:
    """Note a missing or wrong Idempotency-Key, to be told together with the bad fields of the body."""
    if request.endpoint != "payments.open_payment":
        return
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        g.header_problems = {"Idempotency-Key": ["is required"]}
    elif _KEY.fullmatch(key) is None:
        g.header_problems = {"Idempotency-Key": [f"must have 1 to {KEY_MAX} printable ASCII characters"]}


bp.before_request(_authenticate)
bp.before_request(_look_at_key)


@operation(
    bp, "POST", "", takes=NewPaymentSchema, request_example=ASKED, parameters=[IDEMPOTENCY_KEY],
    answers=PaymentSchema, status=201, also={200: "The Idempotency-Key is known: its payment as it stands."},
    example=SHOWN,
    errors=[
        problems.UNREADABLE, problems.BAD_HEADER, problems.KEY_REUSED, problems.TOO_LARGE, problems.MEDIA_TYPE,
        problems.REFUSED, problems.DECLINED, problems.BUSY, problems.LOST_RACE,
    ],
)  # fmt: skip
def open_payment(fields: dict[str, Any]) -> Response | tuple[dict[str, Any], int, dict[str, str]]:
    """Open a payment.

    Send the shopper to the answer's `checkout_url`. When the payment provider gives no answer in time the payment is
    `created` and its page waits; it goes on by itself.
    """
    if g.get("header_problems"):
        raise problems.BadHeader(g.header_problems)
    store, wanted = _store(), _wanted(fields, request.headers["Idempotency-Key"])
    answer, new = _twins.ask((store.id, wanted.idempotency_key), lambda: wired().payments.open(store, wanted))
    if answer.declined is not None:
        return _declined(answer)
    return shown(answer), 201 if new else 200, {"Location": f"{_base()}/v1/payments/{answer.payment.id}"}


@operation(
    bp, "GET", "", takes=PageSchema, location="query", answers=PaymentListSchema,
    example={"data": [dict(SHOWN)], "has_more": False}, errors=[problems.REFUSED],
)  # fmt: skip
def list_payments(fields: dict[str, Any]) -> dict[str, Any]:
    """List payments, newest first.

    For the next page give the last id of this one as `starting_after`; new payments do not shift pages.
    """
    found, more = wired().payments.page(
        _store().id,
        limit=fields["limit"],
        starting_after=fields["starting_after"],
        filters={"status": fields["status"], "order_ref": fields["order"]},
    )
    return {"data": [shown(one) for one in found], "has_more": more}


@operation(
    bp, "GET", "/<payment_id>", answers=PaymentSchema, example=SHOWN, errors=[problems.NOT_FOUND], parameters=[PAYMENT]
)
def read_payment(payment_id: str) -> dict[str, Any]:
    """Read one payment."""
    return shown(wired().payments.get(_store().id, _checked(payment_id)))


@operation(
    bp, "POST", "/<payment_id>/sessions", answers=PaymentSchema, example=SHOWN, parameters=[PAYMENT],
    errors=[
        problems.UNREADABLE, problems.NOT_FOUND, problems.NOT_POSSIBLE, problems.DECLINED, problems.TOO_LARGE,
        problems.REFUSED, problems.BUSY, problems.LOST_RACE,
    ],
)  # fmt: skip
def open_session(payment_id: str) -> Response | dict[str, Any]:
    """Open a fresh session.

    For a payment whose page has run out or failed; `checkout_url` stays the same and leads to the new session. Refused when
    the payment is paid or ended, or when money may be on its way.
    """
    read_nothing(request)
    answer = wired().payments.fresh_session(_store().id, _checked(payment_id))
    return shown(answer) if answer.declined is None else _declined(answer)


@operation(
    bp, "POST", "/<payment_id>/cancel", answers=PaymentSchema, example={**SHOWN, "status": "cancelled"},
    parameters=[PAYMENT],
    errors=[problems.UNREADABLE, problems.NOT_FOUND, problems.NOT_POSSIBLE, problems.TOO_LARGE, problems.LOST_RACE],
)  # fmt: skip
def cancel_payment(payment_id: str) -> dict[str, Any]:
    """Cancel a payment.

    No new session opens for it. A shopper who is at the bank already may still pay; such money is honoured, and the payment
    says so. Cancelling twice is once.
    """
    read_nothing(request)
    store = _store()
    return shown(wired().payments.cancel(store.id, _checked(payment_id), who=f"store {store.name}"))


def _store() -> StoreRow:
    store: StoreRow = g.store
    return store


def _base() -> str:
    return wired().settings.public_url


def _checked(payment_id: str) -> str:
    """The id if it has the form of one; nothing else reaches the database."""
    if re.fullmatch(PAYMENT_ID, payment_id) is None:
        raise NotFound("payment", "of that form")
    return payment_id


def _wanted(fields: Mapping[str, Any], idempotency_key: str) -> NewPayment:
    """The request in the use case's words; the schema has checked every type."""
    amount: Money | None = None
    if fields["amount"] is not None:
        amount = parse_amount(fields["amount"], fields["currency"])
    customer = fields["customer"] or {}
    kyc = {name: value for name, value in (customer.get("kyc") or {}).items() if value is not None}
    return NewPayment(
        flow=fields["flow"],
        amount=amount,
        currency=fields["currency"],
        country=fields["country"],
        order=fields["order"],
        idempotency_key=idempotency_key,
        customer_id=customer.get("id"),
        customer_email=customer.get("email"),
        kyc=kyc,
        urls={name: fields[name] for name in RETURN_URLS},
        payment_method=fields["payment_method"],
        metadata=fields["metadata"] or {},
    )


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
        "checkout_url": f"{_base()}/pay/{answer.pay_token}",
        "client_token": None,  # the embedded flow is not offered yet
        "expires_at": None if payment.expires_at is None else instant(payment.expires_at),
        "provider": {"reference": answer.reference},
        "metadata": json.loads(payment.metadata),
    }


def instant(moment: datetime) -> str:
    """RFC 3339 in UTC: ``2026-11-21T12:30:00Z``."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _declined(answer: PaymentAnswer) -> Response:
    """The payment is stored, and the provider has just said no: its words, and which payment."""
    return problems.problem(problems.DECLINED, detail=answer.declined or None, payment_id=answer.payment.id)
