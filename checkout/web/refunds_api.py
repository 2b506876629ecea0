"""The storefront's API on refunds: it asks, gives details and looks. Nothing here can approve or send one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from checkout.api_keys import REFUNDS
from checkout.errors import AmountRefused, NotFound, RequestRefused
from checkout.refunding.refunds import NewRefund, RefundAnswer
from checkout.rules.money import Money, parse_amount
from checkout.web import problems
from checkout.web.api import ITS_ID, PAYMENT
from checkout.web.callers import base_url, caller, guard, instant
from checkout.web.idempotency import each_makes_one, idempotency_key, keyed, once_if_given
from checkout.web.list_schemas import page_of
from checkout.web.operations import blueprint, operation
from checkout.web.refund_schemas import (
    PERSONAL,
    NewRefundSchema,
    RefundDetailsSchema,
    RefundListSchema,
    RefundPageSchema,
    RefundSchema,
)
from checkout.web.schemas import ID_PATTERN
from checkout.web.services import wired

bp: Final = blueprint("refunds", prefix="/v1/payments", description="Refunds: money back to the shopper.")

DETAILS: Final[Mapping[str, Any]] = {
    "user_ip": "203.0.113.7",
    "creditor_account": "DE89370400440532013000",
    "creditor_name": "Ada Lovelace",
    "creditor_country": "DE",
    "remittance": "Refund of PP-1042",
}
ASKED: Final[Mapping[str, Any]] = {"amount": "4.00", **DETAILS}
SHOWN: Final[Mapping[str, Any]] = {
    "id": "ref_01k9z5x0c8m4v2t6r1q3w7y9ab",
    "payment": PAYMENT["example"],
    "status": "requested",
    "amount": "4.00",
    "currency": "EUR",
    "approved": False,
    "missing": [],
    "reference": None,
    "shopper_url": None,
    "created_at": "2026-11-21T12:30:00Z",
}
REFUND: Final[Mapping[str, Any]] = {
    "in": "path",
    "name": "refund_id",
    "required": True,
    "description": "The id of a refund.",
    "schema": {"type": "string", "pattern": ID_PATTERN},
    "example": SHOWN["id"],
}

guard(bp)


@operation(
    bp, "POST", "/<payment_id>/refunds", scope=REFUNDS, takes=NewRefundSchema, request_example=ASKED,
    parameters=[PAYMENT], keyed=each_makes_one("refund of a payment", "refund-PP-1042-1"),
    answers=RefundSchema, status=201, located=True,
    leads_to={
        name: {"payment_id": "$request.path.payment_id", "refund_id": ITS_ID}
        for name in ("read_refund", "give_refund_details")
    },
    also={200: "The Idempotency-Key is known: its refund as it stands."}, example=SHOWN,
    errors=[
        problems.UNREADABLE, problems.NOT_FOUND, problems.NOT_POSSIBLE, problems.TOO_LARGE, problems.MEDIA_TYPE,
    ],
)  # fmt: skip
def request_refund(fields: dict[str, Any], payment_id: str) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Ask for a refund.

    Reserves the money and asks; a person approves it, or the limit that the operator has set for the store. What the payment
    provider requires and nobody has given yet is named in `missing`.
    """
    key, store = idempotency_key(), caller()
    payment = wired().payments.get(store.id, _checked("payment", payment_id)).payment
    wanted = NewRefund(
        amount=_amount(fields["amount"], fields["currency"] or payment.currency),
        idempotency_key=key,
        deposit=fields["deposit"],
        details=_given(fields),
    )
    answer, new = wired().refunds.request(payment.id, wanted, who=f"store {store.name}", store=store)
    location = f"{base_url()}/v1/payments/{payment.id}/refunds/{answer.row.id}"
    return _shown(answer), 201 if new else 200, {"Location": location}


@operation(
    bp, "GET", "/<payment_id>/refunds", takes=RefundPageSchema, location="query", answers=RefundListSchema,
    example={"data": [dict(SHOWN)], "has_more": False}, parameters=[PAYMENT],
    errors=[problems.NOT_FOUND],
)  # fmt: skip
def list_refunds(fields: dict[str, Any], payment_id: str) -> dict[str, Any]:
    """List a payment's refunds, newest first."""
    states = () if fields["status"] is None else (fields["status"],)
    found, more = wired().refunds.history(caller().id, _checked("payment", payment_id), page_of(fields), states=states)
    return {"data": [_shown(one) for one in found], "has_more": more}


@operation(
    bp, "GET", "/<payment_id>/refunds/<refund_id>", answers=RefundSchema, example=SHOWN, parameters=[PAYMENT, REFUND],
    errors=[problems.NOT_FOUND],
)  # fmt: skip
def read_refund(payment_id: str, refund_id: str) -> dict[str, Any]:
    """Read one refund."""
    return _shown(_found(payment_id, refund_id))


@operation(
    bp, "POST", "/<payment_id>/refunds/<refund_id>/details", scope=REFUNDS, takes=RefundDetailsSchema,
    request_example=DETAILS, answers=RefundSchema, example=SHOWN, parameters=[PAYMENT, REFUND],
    keyed=once_if_given("refund-PP-1042-1-details"),
    errors=[
        problems.UNREADABLE, problems.NOT_FOUND, problems.NOT_POSSIBLE, problems.TOO_LARGE, problems.MEDIA_TYPE,
    ],
)  # fmt: skip
def give_refund_details(fields: dict[str, Any], payment_id: str, refund_id: str) -> dict[str, Any]:
    """Give a refund's details.

    Adds or replaces those that are given. Refused once it is approved: what was approved stays as it was.
    """
    store, given = caller(), _given(fields)
    ident = _found(payment_id, refund_id).row.id
    once = keyed(store.id, refund=ident, details=given)
    return _shown(wired().refunds.give_details(ident, given, who=f"store {store.name}", store=store, keyed=once))


def _found(payment_id: str, refund_id: str) -> RefundAnswer:
    payment_id, refund_id = _checked("payment", payment_id), _checked("refund", refund_id)
    return wired().refunds.get(refund_id, store=caller(), payment_id=payment_id)


def _checked(kind: str, ident: str) -> str:
    """The id if it has the form of one; nothing else reaches the database."""
    if re.fullmatch(ID_PATTERN, ident) is None:
        raise NotFound(kind, "of that form")
    return ident


def _amount(written: str | None, currency: str) -> Money:
    if written is None:
        raise RequestRefused({"amount": "is required"})
    try:
        return parse_amount(written, currency)
    except AmountRefused as problem:
        raise RequestRefused({"amount": str(problem)}) from None


def _given(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: fields[name] for name in PERSONAL if fields.get(name) is not None}


def _shown(answer: RefundAnswer) -> dict[str, Any]:
    row = answer.row
    return {
        "id": row.id,
        "payment": row.payment_id,
        "status": row.state,
        "amount": row.amount.fixed(),
        "currency": row.currency,
        "approved": row.approved_by is not None,
        "missing": list(answer.missing),
        "reference": row.reference,
        "shopper_url": answer.shopper_url,
        "created_at": instant(row.created_at),
    }
