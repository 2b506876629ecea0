"""The fields of the public API: what validates a request is what documents it.

Amounts are decimal text, checked by the same rule as everywhere (:func:`checkout.rules.money.parse_amount`). Nothing here
decides about money; the rules that need more than the request are the use case's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from flask import g, has_request_context
from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from checkout.config import Mode
from checkout.errors import AmountRefused
from checkout.paying.payments import FLOWS, without_widget
from checkout.providers.countries import COUNTRIES
from checkout.providers.session_request import KYC_FIELDS, PAYMENT_METHODS, early_problems
from checkout.rules.money import CURRENCY_EXPONENTS, Money, parse_amount
from checkout.rules.payments import Anomaly, Status
from checkout.rules.urls import RETURN_URLS, URL_CHARS_MAX, return_url_problems
from checkout.web.reading import text_problem
from checkout.web.services import wired

LANGUAGES: Final = ("en", "de", "fr", "es")
ORDER_MAX: Final = 120
METADATA_MAX: Final = 20
KEY_MAX: Final = 200
#: Of every id of ours; a list's page may be cut at any text of that form.
ID_PATTERN: Final = r"^[0-9A-Za-z_-]{1,64}$"

_AMOUNT: Final = r"^(0|[1-9][0-9]{0,11})(\.[0-9]+)?$"
_EMAIL: Final = re.compile(
    r"[^\s@\"<>,;:\\\[\]()]{1,64}@(?:[^\s@.\"<>,;:\\\[\]()]{1,63}\.)+[^\s@.\"<>,;:\\\[\]()]{2,63}"
)
_KYC_HELP: Final = {
    "citizenship_country_code": "ISO 3166-1 alpha-2, in capitals.",
    "date_of_birth": "YYYY-MM-DD.",
    "mobile_phone": "With its country code.",
}
#: The form of some facts; what else they have to be is the provider's part to say.
_KYC_FORM: Final = {
    "date_of_birth": (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", 'write a past date as YYYY-MM-DD, for example "1990-01-31"'),
    "mobile_phone": (
        r"^\+?[0-9][0-9 ().\-]{4,24}$", 'write the number with its country code, for example "+4915112345678"'
    ),
}  # fmt: skip


class Text(fields.String):
    """Text only: a number, a boolean or a list is not turned into one."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's form
        "required": "is required",
        "null": "must not be null",
        "invalid": "must be text",
        "invalid_utf8": "must be text",
    }


def absent() -> None:
    """What an optional field is when it is not there. A function, so that it is not documented as a default."""


def text(description: str, *checks: Any, required: bool = False, **more: Any) -> Text:
    """A text field of a request; an optional one may be null, which is the same as absent."""
    if not required:
        more = {"load_default": absent, "allow_none": True, **more}
    return Text(required=required, validate=list(checks), metadata={"description": description}, **more)


def length(least: int, most: int) -> validate.Length:
    return validate.Length(least, most, error=f"must have {least} to {most} characters")


def one_of(*choices: str) -> validate.OneOf:
    return validate.OneOf(choices, error=f"must be one of {', '.join(choices)}")


def like(pattern: str, error: str) -> validate.Regexp:
    return validate.Regexp(pattern, error=error)


def shown(value: str) -> None:
    """Printable, and not only white space."""
    if not value.isprintable():
        raise ValidationError("must have printable characters only")
    if not value.strip():
        raise ValidationError("must not be blank")


country_known: Final = validate.OneOf(
    sorted(COUNTRIES), error='must be an ISO 3166-1 alpha-2 code in capitals, for example "DE"'
)


def few(value: Mapping[str, str]) -> None:
    if len(value) > METADATA_MAX:
        raise ValidationError(f"has at most {METADATA_MAX} entries")


def email(value: str) -> None:
    if _EMAIL.fullmatch(value) is None:
        raise ValidationError('must be an e-mail address, for example "jo@shop.example"')


def amount_field() -> Text:
    return text(
        "Decimal text in the currency's major unit, with at most the currency's digits after the point: "
        '`"9.00"`, `"10.5"`, JPY `"500"`. Never a number, never an exponent.',
        like(_AMOUNT, 'must be plain decimal text, for example "10.50", with at most 12 digits before the point'),
        validate.Length(max=40, error="has at most 40 characters"),
    )


def currency_field() -> Text:
    return text(
        "ISO 4217, in capitals.",
        validate.OneOf(
            sorted(CURRENCY_EXPONENTS),
            error='must be an ISO 4217 code that this service knows, in capitals, for example "EUR"',
        ),
        required=True,
    )


class Strict(Schema):
    """Refuses unknown fields, and takes over what the reading of the body found."""

    error_messages = {  # noqa: RUF012 - marshmallow's form
        "unknown": "is not a field of this request",
        "type": "must be an object",
    }

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _as_read(self, _data: object, original: object, **_: object) -> None:
        problems = getattr(original, "problems", None)
        if problems:
            raise ValidationError(problems)

    def rest(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        """What else is wrong with the good fields of a bad request: what the use case would say once the others are mended."""
        return {}


def _fact(name: str) -> Text:
    checks: list[Any] = [length(1, 500)]
    if name in _KYC_FORM:
        checks.append(like(*_KYC_FORM[name]))
    if name == "citizenship_country_code":
        checks.append(country_known)
    return text(_KYC_HELP.get(name, ""), *checks)


KycSchema = Strict.from_dict({name: _fact(name) for name in KYC_FIELDS}, name="KycSchema")


class CustomerSchema(Strict):
    """Who pays, as the shop knows them. Stored encrypted; no answer shows it."""

    id = text("The shop's own id of the customer.", length(1, 200), shown)
    email = text(
        "Needed for the partner-managed flows, unless you have stored it.",
        validate.Length(max=254, error="has at most 254 characters"),
        email,
    )
    kyc = fields.Nested(
        KycSchema,
        load_default=absent,
        allow_none=True,
        metadata={"description": "What the provider may be told of a customer, where the shop knows it."},
    )


class NewPaymentSchema(Strict):
    """A request for money for one order."""

    flow = text(
        "`hosted`: the provider knows the shopper. `hosted_partner`: the shop does. `embedded`: a widget in its page.",
        one_of(*FLOWS), required=True,
    )  # fmt: skip
    amount = amount_field()
    currency = currency_field()
    country = text(
        "The shopper's country: ISO 3166-1 alpha-2, in capitals, for example `DE`. May be left out for a customer whose "
        "country you have stored.",
        country_known,
    )
    order = text("The shop's order number; shown to the shopper.", length(1, ORDER_MAX), shown, required=True)
    customer = fields.Nested(CustomerSchema, load_default=absent, allow_none=True)
    success_url = text("Where the shopper goes on to after paying.", length(1, URL_CHARS_MAX))
    exit_url = text("Where the shopper goes on to after leaving the payment page.", length(1, URL_CHARS_MAX))
    error_url = text("Where the shopper goes on to after an error.", length(1, URL_CHARS_MAX))
    support_url = text("Where the shopper goes on to for help.", length(1, URL_CHARS_MAX))
    language = text("Of the shopper's pages; else the browser's.", one_of(*LANGUAGES))
    payment_method = text("Flow `hosted` only: the one method to offer.", one_of(*PAYMENT_METHODS))
    metadata = fields.Dict(
        keys=Text(validate=[length(1, 40)]),
        values=Text(validate=[length(0, 500)]),
        load_default=absent,
        allow_none=True,
        validate=few,
        error_messages={"invalid": "must be an object of texts"},
        metadata={
            "description": f"Up to {METADATA_MAX} texts of the shop; given back as they are.",
            "maxProperties": 20,
        },
    )

    @validates_schema(skip_on_field_errors=False)
    def _whole(self, data: Mapping[str, Any], **_: object) -> None:
        """What one field says about another; every problem, each at its field."""
        problems = {**amount_problem(data), **_flow_problems(data), **url_problems(data)}
        if problems:
            raise ValidationError(problems)

    def rest(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        services = wired()
        kyc = (data.get("customer") or {}).get("kyc") or {}
        kyc = {name: value for name, value in kyc.items() if value is not None}
        mint = services.settings.stable_mint
        problems = early_problems(
            data.get("flow"), _money(data), kyc, flows=mint.flows, sandbox=services.settings.mode is Mode.SANDBOX,
            now=services.context.clock(),
        )  # fmt: skip
        return {**problems, **widget_problem(data)}


def _money(data: Mapping[str, Any]) -> Money | None:
    """The amount, where both its fields are good and fit."""
    if data.get("amount") is None or data.get("currency") is None or amount_problem(data):
        return None
    return parse_amount(data["amount"], data["currency"])


def widget_problem(data: Mapping[str, Any]) -> dict[str, list[str]]:
    """The use case's own rule on the embedded flow."""
    problem = without_widget(data.get("flow"), wired().settings)
    return {} if problem is None else {"flow": [problem]}


def amount_problem(data: Mapping[str, Any]) -> dict[str, list[str]]:
    amount, currency = data.get("amount"), data.get("currency")
    if amount is None or currency is None:
        return {}
    try:
        parse_amount(amount, currency)
    except AmountRefused as refused:
        return {"amount": [str(refused)]}
    return {}


def _flow_problems(data: Mapping[str, Any]) -> dict[str, Any]:
    """Which fields a flow needs and which it cannot take. A field whose own check failed is not in ``data``."""
    flow = data.get("flow")
    found: dict[str, Any] = {}
    if flow in ("hosted", "hosted_partner") and data.get("amount", "") is None:
        found["amount"] = ["is required"]
    customer = data.get("customer", {})
    named = customer is not None and customer.get("id", "") is not None
    if flow in ("hosted_partner", "embedded") and not named:
        missing = ("id", "email") if customer is None or customer.get("email", "") is None else ("id",)
        found["customer"] = {name: ["is required for a partner-managed customer"] for name in missing}
    # whether a customer's country is stored is the use case's to see
    if data.get("country", "") is None and not (flow in ("hosted_partner", "embedded") and named):
        found["country"] = ["is required"]
    if flow in ("hosted_partner", "embedded") and data.get("payment_method") is not None:
        found["payment_method"] = ["is only for flow hosted"]
    return found


def url_problems(data: Mapping[str, Any]) -> dict[str, list[str]]:
    """The rule that the use case asks too: asked here, a bad URL is told together with the other fields."""
    store = g.get("store") if has_request_context() else None
    if store is None:
        return {}
    origins, sandbox = json.loads(store.origins), wired().settings.mode is Mode.SANDBOX
    asked = {name: data[name] for name in RETURN_URLS if data.get(name) is not None and not text_problem(data[name])}
    return {name: [problem] for name, problem in return_url_problems(asked, origins, sandbox=sandbox).items()}


class ProviderSchema(Schema):
    """What Stable Mint calls it."""

    reference = fields.String(allow_none=True, metadata={"description": "The reference of the newest open session."})


class PaymentSchema(Schema):
    """A payment as it stands."""

    id = fields.String(required=True)
    status = fields.String(
        required=True,
        validate=validate.OneOf([status.value for status in Status]),
        metadata={
            "description": "`accepted` and `settled` mean paid. `created`: nothing is at the provider yet; `checkout_url` "
            "works all the same."
        },
    )
    anomaly = fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf([*(anomaly.value for anomaly in Anomaly), None]),
        metadata={"description": "The gravest thing that is odd about it, or null. It never replaces the status."},
    )
    anomalies = fields.List(
        fields.String(validate=validate.OneOf([anomaly.value for anomaly in Anomaly])),
        required=True,
        metadata={"description": "All of them, gravest first."},
    )
    amount = fields.String(
        required=True, allow_none=True, metadata={"description": "Decimal text; what was asked for."}
    )
    currency = fields.String(required=True)
    order = fields.String(required=True)
    checkout_url = fields.String(required=True, metadata={"description": "Send the shopper here.", "format": "uri"})
    client_token = fields.String(
        required=True, allow_none=True, metadata={"description": "For the widget; null unless the flow is `embedded`."}
    )
    expires_at = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Until when it can be paid, as far as the provider said.", "format": "date-time"},
    )
    provider = fields.Nested(ProviderSchema, required=True)
    metadata = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    created_at = fields.String(required=True, metadata={"format": "date-time"})


class PaymentListSchema(Schema):
    """Newest first."""

    data = fields.List(fields.Nested(PaymentSchema), required=True)
    has_more = fields.Boolean(
        required=True,
        metadata={"description": "Whether there are more: older ones, or newer ones with `ending_before`."},
    )


class FieldProblemSchema(Schema):
    """One thing that is wrong with one field."""

    field = fields.String(required=True, metadata={"description": "Its name; dots lead inside: `customer.email`."})
    message = fields.String(required=True)


class ProblemSchema(Schema):
    """Why a request was refused or failed (RFC 9457)."""

    type = fields.String(required=True, metadata={"description": "Which kind of problem; explained on this page."})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    errors = fields.List(fields.Nested(FieldProblemSchema), required=True)
    request_id = fields.String(required=True, allow_none=True, metadata={"description": "For the operator's log."})
    payment_id = fields.String(metadata={"description": "Only on `session-declined`."})
