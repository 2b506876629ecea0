"""The fields of the refunds' part of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from checkout.providers.withdrawal_request import OPTIONAL, REQUIRED, detail_problems
from checkout.rules.money import CURRENCY_EXPONENTS
from checkout.rules.refunds import RefundState
from checkout.web.list_schemas import ListSchema
from checkout.web.schemas import Strict, amount_field, amount_problem, country_known, length, one_of, shown, text

#: Fields that are about a person: stored encrypted, shown by no answer.
PERSONAL: Final = (
    "user_ip", "user_email", "user_unique_id", "creditor_account", "creditor_bic", "creditor_name", "creditor_country",
    "creditor_address", "remittance",
)  # fmt: skip


class RefundDetailsSchema(Strict):
    """What the payment provider requires to pay a shopper back. Stored encrypted; no answer shows it."""

    user_ip = text("The shopper's IP address.", length(2, 45))
    user_email = text("Only where none is stored of the payment's customer.", length(3, 254))
    user_unique_id = text("Flow `hosted` alone: the id the provider knows its customer by.", length(1, 200), shown)
    creditor_account = text("The shopper's IBAN or account number.", length(4, 64))
    creditor_bic = text("Of the shopper's bank.", length(8, 11))
    creditor_name = text("Who owns the account.", length(1, 140), shown)
    creditor_country = text("ISO 3166-1 alpha-2, in capitals.", country_known)
    creditor_address = text("Of the owner.", length(1, 200), shown)
    remittance = text("What the shopper's statement says.", length(1, 140), shown)

    def rest(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        """By the call that takes the detail: which of them a payment's refund is, only the payment says."""
        takes = {name: call for call in REQUIRED for name in (*REQUIRED[call], *OPTIONAL[call])}
        given = {name: data[name] for name in PERSONAL if data.get(name) is not None}
        return {
            field: said
            for name, value in given.items()
            for field, said in detail_problems(takes[name], {name: value}).items()
        }


class NewRefundSchema(RefundDetailsSchema):
    """A request to pay back some or all of what was received. It is sent when a person approves it."""

    amount = amount_field()
    currency = text(
        "ISO 4217, in capitals. Default: the payment's.",
        validate.OneOf(
            sorted(CURRENCY_EXPONENTS),
            error='must be an ISO 4217 code that this service knows, in capitals, for example "EUR"',
        ),
    )
    deposit = text(
        "Which receipt to pay it from, by the provider's reference, when the payment has several.",
        length(1, 200),
        shown,
    )

    @validates_schema(skip_on_field_errors=False)
    def _whole(self, data: Mapping[str, Any], **_: object) -> None:
        if problems := amount_problem(data):
            raise ValidationError(problems)


class RefundSchema(Schema):
    """A refund as it stands."""

    id = fields.String(required=True)
    payment = fields.String(required=True)
    status = fields.String(
        required=True,
        validate=validate.OneOf([state.value for state in RefundState]),
        metadata={
            "description": "`requested`: waits for approval or the worker. `needs_details`: give what is `missing`. "
            "`unknown`: nobody knows whether it was sent; a person finds out. `sent`: on its way to the shopper's account."
        },
    )
    amount = fields.String(required=True, metadata={"description": "Decimal text."})
    currency = fields.String(required=True)
    approved = fields.Boolean(required=True)
    missing = fields.List(
        fields.String(), required=True, metadata={"description": "Names of the fields that somebody has to give."}
    )
    reference = fields.String(
        required=True, allow_none=True, metadata={"description": "The provider's; null until it has answered."}
    )
    shopper_url = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Where the shopper names an account, if it is asked there."},
    )
    created_at = fields.String(required=True, metadata={"format": "date-time"})


class RefundListSchema(Schema):
    """Newest first."""

    data = fields.List(fields.Nested(RefundSchema), required=True)
    has_more = fields.Boolean(
        required=True,
        metadata={"description": "Whether there are more: older ones, or newer ones with `ending_before`."},
    )


class RefundPageSchema(ListSchema):
    """Which refunds to list."""

    status = text("Only refunds with this status.", one_of(*(state.value for state in RefundState)), allow_none=False)
