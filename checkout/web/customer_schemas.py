"""The fields of the customers' part of the API."""

from __future__ import annotations

from typing import Final

from marshmallow import Schema, fields, validate

from checkout.paying.payments import PAGE_MAX
from checkout.web.schemas import (
    PAGE_DEFAULT,
    PAYMENT_ID,
    Count,
    KycSchema,
    Strict,
    absent,
    country_known,
    email,
    like,
    text,
)

CUSTOMER_ID_MAX: Final = 200


class PutCustomerSchema(Strict):
    """All that the shop says of a customer; what is left out is forgotten."""

    email = text(
        "Told to the payment provider.", validate.Length(max=254, error="has at most 254 characters"), email,
        required=True,
    )  # fmt: skip
    country = text("ISO 3166-1 alpha-2, in capitals.", country_known, required=True)
    kyc = fields.Nested(
        KycSchema,
        load_default=absent,
        allow_none=True,
        metadata={"description": "What the provider may be told of a customer, where the shop knows it."},
    )


class CustomerShownSchema(Schema):
    """A customer, without anything personal: the shop knows it, and no answer repeats it."""

    id = fields.String(required=True, metadata={"description": "The shop's own id."})
    country = fields.String(required=True, allow_none=True)
    kyc_fields = fields.List(
        fields.String(), required=True, metadata={"description": "Which facts are stored; never the facts themselves."}
    )
    created_at = fields.String(required=True, metadata={"format": "date-time"})
    updated_at = fields.String(required=True, metadata={"format": "date-time"})


class ErasedSchema(Schema):
    """What is left of an erased customer."""

    id = fields.String(required=True)
    erased = fields.Boolean(required=True)


class HistorySchema(Strict):
    """Which of a customer's payments to list."""

    limit = Count(
        load_default=PAGE_DEFAULT,
        validate=validate.Range(1, PAGE_MAX, error=f"must be from 1 to {PAGE_MAX}"),
        metadata={"description": "How many at most."},
    )
    starting_after = text(
        "The id of the last payment of the page before.", like(PAYMENT_ID, "must be the id of a payment"),
        allow_none=False,
    )  # fmt: skip
