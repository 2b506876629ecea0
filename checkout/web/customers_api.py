"""The storefront's API on its customers. They are named by the shop's own id; nothing personal is ever answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flask import request

from checkout.errors import NotFound
from checkout.paying.customers import Person
from checkout.store.records import CustomerRow
from checkout.web import problems
from checkout.web.api import ITS_ID
from checkout.web.api import SHOWN as PAYMENT_SHOWN
from checkout.web.api import shown as payment_shown
from checkout.web.callers import caller, guard, instant
from checkout.web.customer_schemas import (
    CUSTOMER_ID_MAX,
    CustomerShownSchema,
    ErasedSchema,
    PutCustomerSchema,
)
from checkout.web.idempotency import keyed, once_if_given
from checkout.web.list_schemas import HistorySchema, page_of
from checkout.web.operations import blueprint, operation
from checkout.web.reading import read_nothing, text_problem
from checkout.web.schemas import PaymentListSchema
from checkout.web.services import wired

bp: Final = blueprint(
    "customers",
    prefix="/v1/customers",
    description="Customers: what you know of them, asked of nobody twice. There is no list of them: a key that got lost must "
    "not tell whom a shop sells to.",
)

PUT: Final[Mapping[str, Any]] = {
    "email": "jo@shop.example",
    "country": "DE",
    "kyc": {"full_name": "Jo Doe", "date_of_birth": "1990-01-31"},
}
SHOWN: Final[Mapping[str, Any]] = {
    "id": "customer-17",
    "country": "DE",
    "kyc_fields": ["date_of_birth", "full_name"],
    "created_at": "2026-11-21T12:00:00Z",
    "updated_at": "2026-11-21T12:00:00Z",
}
CUSTOMER: Final[Mapping[str, Any]] = {
    "in": "path",
    "name": "customer_id",
    "required": True,
    "description": "The shop's own id of the customer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": CUSTOMER_ID_MAX, "pattern": "^[^/]+$"},
    "example": SHOWN["id"],
}

guard(bp)


@operation(
    bp, "PUT", "/<customer_id>", takes=PutCustomerSchema, request_example=PUT, parameters=[CUSTOMER],
    answers=CustomerShownSchema, example=SHOWN, also={201: "The customer is new."},
    keyed=once_if_given("customer-17-v3"),
    leads_to={name: {"customer_id": ITS_ID} for name in ("read_customer", "erase_customer", "list_customer_payments")},
    errors=[problems.UNREADABLE, problems.NOT_FOUND, problems.TOO_LARGE, problems.MEDIA_TYPE, problems.LOST_RACE],
)  # fmt: skip
def put_customer(fields: dict[str, Any], customer_id: str) -> tuple[dict[str, Any], int]:
    """Store a customer.

    Replaces all that was stored. Stored encrypted, told to the payment provider when the customer pays, shown by no answer.
    """
    kyc = {name: value for name, value in (fields["kyc"] or {}).items() if value is not None}
    store = caller()
    person = Person(_checked(customer_id), fields["email"], fields["country"], kyc)
    once = keyed(store.id, customer=person.external_id, email=person.email, country=person.country, kyc=kyc)
    row, new = wired().customers.put(store, person, keyed=once)
    return _shown(row), 201 if new else 200


@operation(
    bp, "GET", "/<customer_id>", answers=CustomerShownSchema, example=SHOWN, parameters=[CUSTOMER],
    errors=[problems.NOT_FOUND],
)  # fmt: skip
def read_customer(customer_id: str) -> dict[str, Any]:
    """Read one customer: what is stored, not what it says."""
    return _shown(wired().customers.get(caller().id, _checked(customer_id)))


@operation(
    bp, "DELETE", "/<customer_id>", answers=ErasedSchema, example={"id": SHOWN["id"], "erased": True},
    parameters=[CUSTOMER], keyed=once_if_given("erase-customer-17"),
    errors=[problems.UNREADABLE, problems.NOT_FOUND, problems.TOO_LARGE],
)  # fmt: skip
def erase_customer(customer_id: str) -> dict[str, Any]:
    """Erase a customer.

    E-mail, country and all personal facts are gone at once; payments stay, under the shop's id. Stable Mint keeps what it was
    told. Erasing twice is once. Storing the customer again makes a new one at the provider.
    """
    read_nothing(request)
    store, ident = caller(), _checked(customer_id)
    wired().customers.erase(store.id, ident, who=f"store {store.name}", keyed=keyed(store.id, customer=ident))
    return {"id": ident, "erased": True}


@operation(
    bp, "GET", "/<customer_id>/payments", takes=HistorySchema, location="query", answers=PaymentListSchema,
    example={"data": [dict(PAYMENT_SHOWN)], "has_more": False}, parameters=[CUSTOMER],
    errors=[problems.NOT_FOUND],
)  # fmt: skip
def list_customer_payments(fields: dict[str, Any], customer_id: str) -> dict[str, Any]:
    """List a customer's payments, newest first."""
    store = caller()
    customer = wired().customers.get(store.id, _checked(customer_id))
    found, more = wired().payments.page(
        store.id, page_of(fields), status=fields["status"], anomaly=fields["anomaly"], order=fields["order"],
        customer_id=customer.id,
    )  # fmt: skip
    return {"data": [payment_shown(one) for one in found], "has_more": more}


def _checked(customer_id: str) -> str:
    """The id if a request could have stored it; nothing else reaches the database."""
    unreadable = "\ufffd" in customer_id  # what was no UTF-8 in the address
    if unreadable or len(customer_id) > CUSTOMER_ID_MAX or text_problem(customer_id) or not customer_id.strip():
        raise NotFound("customer", "of that form")
    return customer_id


def _shown(row: CustomerRow) -> dict[str, Any]:
    return {
        "id": row.external_id,
        "country": row.country,
        "kyc_fields": wired().customers.kyc_fields(row),
        "created_at": instant(row.created_at),
        "updated_at": instant(row.updated_at),
    }
