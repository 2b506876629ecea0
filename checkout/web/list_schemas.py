"""What every list takes in its address: how many, from which id on, created when."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from marshmallow import ValidationError, fields, validate, validates_schema

from checkout.paying.payments import PAGE_MAX
from checkout.rules.payments import Anomaly, Status
from checkout.store.pages import Page
from checkout.web.customer_schemas import CUSTOMER_ID_MAX
from checkout.web.schemas import ID_PATTERN, ORDER_MAX, Strict, Text, absent, length, like, one_of, shown, text

PAGE_DEFAULT: Final = 20
#: RFC 3339, with T as well as a space between date and time.
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,20})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class Count(fields.Integer):
    """A whole number in a query: plain digits, nothing that only Python would read as one."""

    default_error_messages = {"invalid": "must be a whole number"}  # noqa: RUF012 - marshmallow's form

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        if not isinstance(value, str) or re.fullmatch(r"[0-9]{1,6}", value) is None:
            raise self.make_error("invalid", input=None)
        return int(value)


class Moment(Text):
    """An RFC 3339 time with its offset."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        written = super()._deserialize(value, attr, data, **kwargs)
        try:
            moment = datetime.fromisoformat(written.upper()) if _MOMENT.fullmatch(written) else None
        except ValueError:
            moment = None
        if moment is None:
            raise ValidationError(
                'must be a time with its offset, for example "2026-12-31T23:59:59Z" (in an address, + is written %2B)'
            )
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            raise ValidationError("is too far from now") from None


def moment(description: str, *, allow_none: bool) -> Moment:
    return Moment(
        load_default=absent, allow_none=allow_none, metadata={"description": description, "format": "date-time"}
    )


def cursor(description: str) -> Text:
    return text(description, like(ID_PATTERN, "must be an id, as a page of this list has them"), allow_none=False)


class ListSchema(Strict):
    """Which part of a list."""

    error_messages = {  # noqa: RUF012 - marshmallow's form
        "unknown": "is not a parameter of this list",
        "type": "must be an object",
    }

    limit = Count(
        load_default=PAGE_DEFAULT,
        validate=validate.Range(1, PAGE_MAX, error=f"must be from 1 to {PAGE_MAX}"),
        metadata={"description": "How many at most."},
    )
    starting_after = cursor("For the next page: the last id of this one. What is made meanwhile does not shift pages.")
    ending_before = cursor(
        "For the page before, or for what is new: the first id of this one. Answers with the nearest newer ones."
    )
    created_from = moment("Only what was created then or later: RFC 3339 with its offset.", allow_none=False)
    created_to = moment("Only what was created before then: RFC 3339 with its offset.", allow_none=False)

    @validates_schema(skip_on_field_errors=False)
    def _span(self, data: Mapping[str, Any], **_: object) -> None:
        problems: dict[str, list[str]] = {}
        if data.get("starting_after") is not None and data.get("ending_before") is not None:
            problems["ending_before"] = ["give it or starting_after, not both"]
        since, until = data.get("created_from"), data.get("created_to")
        if since is not None and until is not None and since >= until:
            problems["created_to"] = ["must be later than created_from"]
        if problems:
            raise ValidationError(problems)


def page_of(given: Mapping[str, Any]) -> Page:
    """The page that a list's parameters ask for."""
    return Page(
        limit=given["limit"], after=given["starting_after"], before=given["ending_before"], since=given["created_from"],
        until=given["created_to"],
    )  # fmt: skip


class HistorySchema(ListSchema):
    """Which of a customer's payments to list."""

    status = text("Only payments with this status.", one_of(*(status.value for status in Status)), allow_none=False)
    anomaly = text(
        "Only payments with this anomaly, whatever else is odd about them.",
        one_of(*(anomaly.value for anomaly in Anomaly)), allow_none=False,
    )  # fmt: skip
    order = text("Only payments for this order.", length(1, ORDER_MAX), shown, allow_none=False)


class PaymentPageSchema(HistorySchema):
    """Which payments to list."""

    customer = text(
        "Only this customer's payments: the shop's own id.", length(1, CUSTOMER_ID_MAX), shown, allow_none=False
    )
