"""The fields of the payment links' part of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema

from checkout.paying.links import expiry_problem
from checkout.paying.payments import FLOWS
from checkout.providers.session_request import NOT_ONBOARDED
from checkout.rules.urls import URL_CHARS_MAX
from checkout.web.list_schemas import ListSchema, moment
from checkout.web.schemas import (
    LANGUAGES,
    METADATA_MAX,
    ORDER_MAX,
    Strict,
    Text,
    absent,
    amount_field,
    amount_problem,
    country_known,
    currency_field,
    few,
    length,
    one_of,
    shown,
    text,
    url_problems,
    widget_problem,
)
from checkout.web.services import wired


class Flag(fields.Boolean):
    """true or false, and nothing that only Python would read as one."""

    truthy = {True}  # noqa: RUF012 - marshmallow's form
    falsy = {False}  # noqa: RUF012 - marshmallow's form
    default_error_messages = {"invalid": "must be true or false"}  # noqa: RUF012 - marshmallow's form

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=None)
        return value


class NewLinkSchema(Strict):
    """An address that asks for money, to be sent by mail, printed as a QR code or put on a page."""

    flow = text("As of a payment; the partner-managed ones need a stored customer.", one_of(*FLOWS), required=True)
    amount = amount_field()
    currency = currency_field()
    country = text("The shopper's country: ISO 3166-1 alpha-2, in capitals.", country_known, required=True)
    order = text("The shop's order number; shown to the shopper.", length(1, ORDER_MAX), shown, required=True)
    title = text("What is being paid for, in a few words; shown to the shopper.", length(1, 200), shown)
    customer = text("The shop's id of a stored customer.", length(1, 200), shown)
    language = text("Of the shopper's pages; else the browser's.", one_of(*LANGUAGES))
    success_url = text("Where the shopper goes on to after paying; else a receipt.", length(1, URL_CHARS_MAX))
    exit_url = text("Where the shopper goes on to after leaving the payment page.", length(1, URL_CHARS_MAX))
    error_url = text("Where the shopper goes on to after an error.", length(1, URL_CHARS_MAX))
    support_url = text("Where the shopper goes on to for help.", length(1, URL_CHARS_MAX))
    single_use = Flag(
        load_default=False, metadata={"description": "Whether it can be paid once only. A donation page is not."}
    )
    expires_at = moment("From when on it opens no payment any more.", allow_none=True)
    metadata = fields.Dict(
        keys=Text(validate=[length(1, 40)]),
        values=Text(validate=[length(0, 500)]),
        load_default=absent,
        allow_none=True,
        validate=few,
        error_messages={"invalid": "must be an object of texts"},
        metadata={"description": "Given to each payment it opens.", "maxProperties": METADATA_MAX},
    )

    @validates_schema(skip_on_field_errors=False)
    def _whole(self, data: Mapping[str, Any], **_: object) -> None:
        problems = {**amount_problem(data), **url_problems(data)}
        if problems:
            raise ValidationError(problems)

    def rest(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        problems = widget_problem(data)
        flow, settings = data.get("flow"), wired().settings
        if flow is not None and flow not in settings.stable_mint.flows:
            problems["flow"] = [NOT_ONBOARDED]
        if data.get("amount", "") is None and flow in ("hosted", "hosted_partner"):
            problems["amount"] = ["is required"]
        if problem := expiry_problem(data.get("expires_at"), now=wired().context.clock()):
            problems["expires_at"] = [problem]
        return problems


class LinkSchema(Schema):
    """A payment link."""

    id = fields.String(required=True)
    url = fields.String(required=True, metadata={"description": "Give this to the shopper.", "format": "uri"})
    active = fields.Boolean(required=True)
    inactive_because = fields.String(
        required=True, allow_none=True, metadata={"enum": ["expired", "used", "deactivated", None]}
    )
    flow = fields.String(required=True)
    amount = fields.String(required=True, allow_none=True)
    currency = fields.String(required=True)
    order = fields.String(required=True)
    title = fields.String(required=True, allow_none=True)
    single_use = fields.Boolean(required=True)
    expires_at = fields.String(required=True, allow_none=True, metadata={"format": "date-time"})
    metadata = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    created_at = fields.String(required=True, metadata={"format": "date-time"})


class LinkListSchema(Schema):
    """Newest first."""

    data = fields.List(fields.Nested(LinkSchema), required=True)
    has_more = fields.Boolean(
        required=True,
        metadata={"description": "Whether there are more: older ones, or newer ones with `ending_before`."},
    )


class LinkPageSchema(ListSchema):
    """Which links to list."""

    order = text("Only links for this order.", length(1, ORDER_MAX), shown, allow_none=False)
    customer = text("Only links for this customer: the shop's own id.", length(1, 200), shown, allow_none=False)
