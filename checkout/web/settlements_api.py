"""The merchant's own treasury system says what arrived. Its key has the scope ``treasury`` and can do nothing else.

A storefront's key cannot make evidence, and this key cannot open a payment: whoever runs the shop's server does not move what
counts as treasury.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from marshmallow import Schema, fields, validate

from checkout.api_keys import TREASURY
from checkout.errors import AmountRefused, NotFound
from checkout.evidence_import import EVIDENCE_MAX
from checkout.rules.money import ASSET_EXPONENTS, Money, parse_amount
from checkout.store.records import SettlementRecordRow
from checkout.treasury import DEPOSITS_MAX, Entered
from checkout.web import problems
from checkout.web.api import ITS_ID
from checkout.web.callers import base_url, caller, guard, instant
from checkout.web.idempotency import each_makes_one, idempotency_key
from checkout.web.list_schemas import ListSchema, page_of
from checkout.web.operations import blueprint, operation
from checkout.web.schemas import ID_PATTERN, Strict, Text, length, like, one_of, shown, text
from checkout.web.services import wired

bp: Final = blueprint(
    "settlement_records",
    prefix="/v1/settlement_records",
    description="Evidence that settled deposits arrived as stablecoin. Needs a key of the scope `treasury`.",
)

_AMOUNT: Final = r"^(0|[1-9][0-9]{0,11})(\.[0-9]+)?$"
_PLAIN: Final = 'must be plain decimal text, for example "9.71"'
ASKED: Final[Mapping[str, Any]] = {
    "asset": "USDC",
    "network": "polygon",
    "amount": "9.71",
    "fee": "0.17",
    "deposits": ["F3A9C27B1"],
    "evidence": "Stable Mint advice 2026-11-21, page 2",
}
SHOWN: Final[Mapping[str, Any]] = {
    "id": "set_01k9z5x0c8m4v2t6r1q3w7y9ab",
    "asset": "USDC",
    "network": "polygon",
    "received": "9.71",
    "free": "9.71",
    "currency": "EUR",
    "fee": "0.17",
    "deposits": ["dep_01k9z5x0c8m4v2t6r1q3w7y9ab"],
    "evidence": "Stable Mint advice 2026-11-21, page 2",
    "withdrawn": False,
    "created_at": "2026-11-21T12:30:00Z",
}
RECORD: Final[Mapping[str, Any]] = {
    "in": "path",
    "name": "record_id",
    "required": True,
    "description": "The id of a settlement record.",
    "schema": {"type": "string", "pattern": ID_PATTERN},
    "example": SHOWN["id"],
}


class NewSettlementRecordSchema(Strict):
    """What arrived for which settled deposits, and where it was seen."""

    asset = text("The stablecoin.", one_of(*ASSET_EXPONENTS), required=True)
    network = text("Where it arrived, as in the store's settlement rule.", length(1, 20), shown, required=True)
    amount = text(
        "Exactly what arrived, in the asset: decimal text.", like(_AMOUNT, _PLAIN), length(1, 40), required=True
    )
    fee = text("What Stable Mint kept, in the deposits' currency; left out is 0.", like(_AMOUNT, _PLAIN), length(1, 40))
    deposits = fields.List(
        Text(validate=[length(1, 200), shown]),
        required=True,
        validate=validate.Length(1, DEPOSITS_MAX, error=f"must name 1 to {DEPOSITS_MAX} deposits"),
        error_messages={"required": "is required", "null": "must not be null", "invalid": "must be a list of texts"},
        metadata={"description": "Settled deposits of this store, by our id or the provider's reference; each once."},
    )
    evidence = text(
        "Where it was seen: an advice, a statement line, a transaction hash.", length(1, EVIDENCE_MAX), shown,
        required=True,
    )  # fmt: skip

    def rest(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        if data.get("amount") is None or data.get("asset") is None:
            return {}
        try:
            parse_amount(data["amount"], data["asset"])
        except AmountRefused as refused:
            return {"amount": [str(refused)]}
        return {}


class SettlementRecordSchema(Schema):
    """Evidence as it was stored. It never changes; one that later news proved wrong is `withdrawn`."""

    id = fields.String(required=True)
    asset = fields.String(required=True)
    network = fields.String(required=True)
    received = fields.String(required=True, metadata={"description": "What arrived."})
    free = fields.String(required=True, metadata={"description": "What of it payouts may take."})
    currency = fields.String(required=True, metadata={"description": "The deposits' currency."})
    fee = fields.String(required=True)
    deposits = fields.List(fields.String(), required=True)
    evidence = fields.String(required=True)
    withdrawn = fields.Boolean(required=True)
    created_at = fields.String(required=True, metadata={"format": "date-time"})


class SettlementRecordListSchema(Schema):
    """Newest first."""

    data = fields.List(fields.Nested(SettlementRecordSchema), required=True)
    has_more = fields.Boolean(
        required=True,
        metadata={"description": "Whether there are more: older ones, or newer ones with `ending_before`."},
    )


class SettlementRecordPageSchema(ListSchema):
    """Which settlement records to list."""

    asset = text("Only records of this stablecoin.", one_of(*ASSET_EXPONENTS), allow_none=False)
    network = text("Only what arrived on this network.", length(1, 20), shown, allow_none=False)


guard(bp)


@operation(
    bp, "POST", "", scope=TREASURY, takes=NewSettlementRecordSchema, request_example=ASKED,
    keyed=each_makes_one("settlement record", "advice-2026-11-21-2"), answers=SettlementRecordSchema, status=201,
    located=True, leads_to={"read_settlement": {"record_id": ITS_ID}}, example=SHOWN,
    also={200: "The Idempotency-Key is known: its record as it was made."},
    errors=[
        problems.UNREADABLE, problems.NOT_POSSIBLE, problems.TOO_LARGE, problems.MEDIA_TYPE, problems.LOST_RACE,
    ],
)  # fmt: skip
def record_settlement(asked: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Enter a settlement record.

    Settled deposits become treasury: exactly the amount you state, less the share of deposits that belong to no order. Needs a
    key made by `checkout stores key STORE --scope treasury`; a storefront's key is answered 403.
    """
    store = caller()
    entered = Entered(
        asset=asked["asset"],
        network=asked["network"],
        amount=asked["amount"],
        fee=asked["fee"] or "0",
        deposits=tuple(asked["deposits"]),
        evidence=asked["evidence"],
    )
    who = f"treasury of {store.name}"[:80]
    row, new = wired().evidence_import.request(store, idempotency_key(), entered, who=who)
    _, deposits = wired().evidence_import.read(store, row.id)
    return _shown(row, deposits), 201 if new else 200, {"Location": f"{base_url()}/v1/settlement_records/{row.id}"}


@operation(
    bp, "GET", "/<record_id>", scope=TREASURY, answers=SettlementRecordSchema, example=SHOWN, parameters=[RECORD],
    errors=[problems.NOT_FOUND],
)  # fmt: skip
def read_settlement(record_id: str) -> dict[str, Any]:
    """Read one settlement record."""
    if re.fullmatch(ID_PATTERN, record_id) is None:
        raise NotFound("settlement record", "of that form")
    row, deposits = wired().evidence_import.read(caller(), record_id)
    return _shown(row, deposits)


@operation(
    bp, "GET", "", scope=TREASURY, takes=SettlementRecordPageSchema, location="query",
    answers=SettlementRecordListSchema, example={"data": [dict(SHOWN)], "has_more": False}, errors=[],
)  # fmt: skip
def list_settlements(given: dict[str, Any]) -> dict[str, Any]:
    """List settlement records, newest first: those that were declared by settled events too."""
    found, more = wired().evidence_import.page(caller(), page_of(given), asset=given["asset"], network=given["network"])
    return {"data": [_shown(row, deposits) for row, deposits in found], "has_more": more}


def _shown(row: SettlementRecordRow, deposits: list[str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "asset": row.asset,
        "network": row.network,
        "received": Money(row.received_minor, row.asset).plain(),
        "free": Money(row.free_minor, row.asset).plain(),
        "currency": row.currency,
        "fee": Money(row.fee_minor, row.currency).fixed(),
        "deposits": deposits,
        "evidence": row.evidence,
        "withdrawn": row.withdrawn_at is not None,
        "created_at": instant(row.created_at),
    }
