"""The fields of the customers' part of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import Schema, fields, validate

from checkout.providers.session_request import kyc_problems
from checkout.web.schemas import KycSchema, Strict, absent, country_known, email, text
from checkout.web.services import wired

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

    def rest(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        kyc = {name: value for name, value in (data.get("kyc") or {}).items() if value is not None}
        return kyc_problems(kyc, now=wired().context.clock())


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
