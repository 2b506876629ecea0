"""Quotes and transfers as the simulated Stables keeps them, and as its answers show them.

What is kept is never touched by a switch that tampers: only the answer is. The proofs count what is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from checkout.simulator.stables import codes
from checkout.simulator.stables.codes import Status
from checkout.simulator.stables.customers import moment
from checkout.simulator.stables.pricing import Fees, Price, major
from checkout.simulator.stables.requests import QuoteRequest, TransferRequest
from checkout.simulator.stables.switches import Switches

#: Ids answered by the switches that tamper with them; nothing has them.
OTHER_ID: Final = "0f0e0d0c-0b0a-4908-8706-050403020100"


@dataclass(slots=True, kw_only=True)
class Quote:
    ident: str
    request: QuoteRequest
    price: Price
    created_at: datetime
    expires_at: datetime
    used_by: str | None = None  #: the transfer made from it

    def status(self, now: datetime) -> str:
        if self.used_by is not None:
            return "used"
        return "active" if now < self.expires_at else "expired"

    def answer(self, switches: Switches, now: datetime) -> dict[str, Any]:
        """The OpenAPI's quote: lower-case codes, amounts in major units."""
        asked = self.request
        body: dict[str, Any] = {
            "quote_id": self.ident,
            "source": {
                "currency": asked.asset.lower(),
                "network": asked.network,
                "amount": _amount(asked, switches),
            },
            "destination": {
                "currency": asked.fiat.lower(),
                "network": asked.rail,
                "amount": major(self.price.credit),
            },
            "fees": _fees(self.price.fees, lower=True),
            "exchange_rate": float(self.price.rate),
            "expires_at": moment(self.expires_at),
            "created_at": moment(self.created_at),
            "status": "preview" if asked.preview else self.status(now),
        }
        if asked.metadata is not None:
            body["metadata"] = asked.metadata
        return body


def _amount(asked: QuoteRequest, switches: Switches) -> str:
    match switches.amount_form:
        case "as_sent":
            return asked.amount_text
        case "padded":
            return f"{asked.amount:.{codes.ASSET_DECIMALS}f}"
        case "shortest":
            return major(asked.amount)


def _fees(fees: Fees, *, lower: bool) -> dict[str, dict[str, str]]:
    currency = fees.currency.lower() if lower else fees.currency
    return {name: {"amount": major(line), "currency": currency} for name, line in fees.lines().items()}


@dataclass(frozen=True, slots=True)
class Deposit:
    """Money seen at a transfer's address."""

    amount: Decimal
    at: datetime
    source: str  #: ``simulate-deposit`` or ``control``
    status_then: str  #: what the transfer was when it came


@dataclass(slots=True, kw_only=True)
class Transfer:
    ident: str
    number: int  #: in order of creation, from 1
    quote: Quote
    request: TransferRequest
    address: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime  #: the end of its funding window
    nulls_left: int  #: answers still to be given without instructions
    status: Status = Status.CREATED
    moves: list[tuple[Status, datetime]] = field(default_factory=list)
    deposits: list[Deposit] = field(default_factory=list)
    due: tuple[datetime, Status] | None = None  #: the next move, when one is planned
    resumes_to: Status | None = None  #: where the path goes on after a detour

    @property
    def amount(self) -> Decimal:
        """What the instructions ask for, exactly."""
        return self.quote.request.amount

    @property
    def received(self) -> Decimal:
        return sum((one.amount for one in self.deposits), Decimal(0))

    def answer(self, switches: Switches, *, counts: bool) -> dict[str, Any]:
        """The OpenAPI's transfer. ``counts``: this answer uses up one of those without instructions."""
        shown: dict[str, Any] = {
            "id": self.ident,
            "tenant_id": codes.TENANT_ID,
            "customer_id": OTHER_ID if switches.tamper_customer else self.request.customer_id,
            "quote_id": OTHER_ID if switches.tamper_quote else self.quote.ident,
            "type": "offramp",
            "status": self.status.value,
            "created_at": moment(self.created_at),
            "updated_at": moment(self.updated_at),
            "source_deposit_instructions": self._instructions(switches, counts=counts),
            "destination": None if switches.sparse_answers else self._destination(switches),
            "fees": None,
            "exchange_rate": None,
        }
        if not switches.sparse_answers:
            shown["fees"] = _fees(self.quote.price.fees, lower=switches.answer_case == "lower")
            shown["exchange_rate"] = float(self.quote.price.rate)
        metadata = self.request.metadata
        if metadata is not None and switches.metadata_echo != "absent":
            other = switches.metadata_echo == "other"
            shown["metadata"] = dict.fromkeys(metadata, "somebody-else") if other else metadata
        if self.status is Status.COMPLETED and switches.actual_payout != "absent":
            shown["actual_payout"] = self._actual_payout(switches)
        return shown

    def _instructions(self, switches: Switches, *, counts: bool) -> dict[str, str] | None:
        if self.nulls_left > 0:
            self.nulls_left -= counts
            return None
        asked = self.quote.request
        return {
            "wallet_address": self.address,
            "currency": switches.tamper_asset or _cased(asked.asset, switches),
            "network": switches.tamper_network or asked.network,
            "amount": switches.tamper_source_amount or _amount(asked, switches),
        }

    def _destination(self, switches: Switches) -> dict[str, Any]:
        asked = self.request.destination
        shown: dict[str, Any] = {
            "amount": switches.tamper_amount or major(self.quote.price.credit),
            "currency": switches.tamper_currency or _cased(asked.currency, switches),
            "network": self.quote.request.rail,
            **asked.bank,
        }
        if asked.address is not None:
            shown["address"] = asked.address
        altered = switches.tamper_destination
        if altered in asked.bank:
            shown[altered] = _altered(altered, asked.bank[altered])
        return shown

    def _actual_payout(self, switches: Switches) -> dict[str, Any]:
        """CONFIRMED (quickstart): amount, amount_minor, currency; a number of minor units is INFERRED."""
        minor = int(self.quote.price.credit.scaleb(codes.FIAT_DECIMALS))
        minor -= switches.actual_payout == "one_cent_less"
        return {
            "amount": major(Decimal(minor).scaleb(-codes.FIAT_DECIMALS)),
            "amount_minor": minor,
            "currency": _cased(self.request.destination.currency, switches),
        }

    def thin(self) -> dict[str, str]:
        """The ``event_object`` of its webhooks: no metadata, no amounts (OBSERVED)."""
        return {
            "transfer_id": self.ident,
            "customer_id": self.request.customer_id,
            "type": "TRANSFER_TYPE_OFFRAMP",
            "status": self.status.upper(),
            "created_at": moment(self.created_at),
            "updated_at": moment(self.updated_at),
        }

    def report(self) -> dict[str, Any]:
        """The counting view of the control plane: what is kept, whatever the answers pretend."""
        return {
            "id": self.ident,
            "quote_id": self.quote.ident,
            "customer_id": self.request.customer_id,
            "purpose_code": self.request.purpose_code,
            "metadata": self.request.metadata,
            "status": self.status.value,
            "created_at": self.created_at.isoformat(),
            "expires_at": self.expires_at.isoformat(),
            "asset": self.quote.request.asset,
            "network": self.quote.request.network,
            "instructed_amount": major(self.amount),
            "address": self.address,
            "credit": {"amount": major(self.quote.price.credit), "currency": self.quote.request.fiat},
            "deposits": {
                "count": len(self.deposits),
                "sum": major(self.received),
                "each": [
                    {
                        "amount": major(one.amount),
                        "at": one.at.isoformat(),
                        "source": one.source,
                        "status_then": one.status_then,
                    }
                    for one in self.deposits
                ],
            },
            "moves": [{"status": status.value, "at": at.isoformat()} for status, at in self.moves],
        }


def _cased(code: str, switches: Switches) -> str:
    return code.lower() if switches.answer_case == "lower" else code.upper()


def _altered(name: str, value: str) -> str:
    """Another value of the same form: the last character is turned into a different one."""
    if name == "account_type":
        return "savings" if value != "savings" else "checking"
    last = value[-1:]
    return value[:-1] + ("1" if last == "0" else "0")
