"""Stables as the payout benchmark needs it: one customer, any quote, and a transfer that is one state further at each read.

It checks nothing and forgets nothing. Its answers have the fields that the OpenAPI gives them and about their size.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final
from urllib.parse import urlsplit

#: The one customer, approved for payouts.
CUSTOMER: Final = "6f9b0b0e-5a53-4c3a-9a0a-3d6f0f6f2a11"
RATE: Final = Decimal("0.92")
QUOTE_LIFE: Final = timedelta(hours=1)
#: From the transfer's creation to the bank; it rests at the second until its deposit is simulated.
PATH: Final = (
    "CREATED", "AWAITING_FUNDS_COLLECTION", "FUNDS_COLLECTED", "PAYMENT_SUBMITTED", "PAYMENT_PROCESSED", "COMPLETED",
)  # fmt: skip
RESTS_AT: Final = 1


class Stables:
    """Every quote and transfer of a run; one lock, since every connection has its own thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._quotes: dict[str, dict[str, Any]] = {}
        self._transfers: dict[str, dict[str, Any]] = {}
        self._stages: dict[str, int] = {}
        self._paid: set[str] = set()

    def answer(self, method: str, target: str, content: bytes) -> dict[str, Any]:
        """The answer to one request; KeyError for anything the benchmark never asks."""
        _, _, _, kind, *rest = urlsplit(target).path.split("/")
        body: dict[str, Any] = json.loads(content) if content else {}
        with self._lock:
            match method, kind, rest:
                case "GET", "customers", [ident]:
                    return _customer(ident)
                case "POST", "payment-methods", ["validate"]:
                    return {"valid": True, "errors": []}
                case "POST", "quotes", []:
                    return self._quote(body)
                case "POST", "transfer", []:
                    return self._transfer(body)
                case "GET", "transfers", []:
                    return {"transfers": [], "next_page_token": ""}
                case "GET", "transfers", [ident]:
                    return self._read(ident)
                case "POST", "transfers", [ident, *_]:
                    self._paid.add(ident)
                    return {"transfer_id": ident, "simulation_id": str(uuid.uuid4()), "deposit_status": "accepted"}
        raise KeyError(f"{method} {target}")

    def _quote(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        now, ident = datetime.now(UTC), str(uuid.uuid4())
        source, destination = asked["source"], asked["destination"]
        credit = (Decimal(str(source["amount"])) * RATE).quantize(Decimal("0.01"), ROUND_DOWN)
        nothing = {"amount": "0", "currency": "usd"}
        quote = {
            "quote_id": ident,
            "source": {**source, "amount": str(source["amount"])},
            "destination": {
                "currency": destination["currency"].lower(), "network": destination["network"], "amount": str(credit),
            },
            "fees": dict.fromkeys(("fx_fee", "integrator_fee", "platform_fee", "network_fee", "total_fee"), nothing),
            "exchange_rate": float(RATE), "expires_at": _moment(now + QUOTE_LIFE), "created_at": _moment(now),
            "status": "active",
        }  # fmt: skip
        self._quotes[ident] = quote
        return quote

    def _transfer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        now, ident = _moment(datetime.now(UTC)), str(uuid.uuid4())
        quote = self._quotes[asked["quote_id"]]
        self._stages[ident] = 0
        self._transfers[ident] = {
            "id": ident, "tenant_id": CUSTOMER, "customer_id": asked["customer_id"], "quote_id": quote["quote_id"],
            "type": "offramp", "created_at": now, "updated_at": now,
            "source_deposit_instructions": {**quote["source"], "wallet_address": _address(quote["source"]["network"])},
            "destination": {**asked["destination"], "currency": quote["destination"]["currency"].upper(),
                            "amount": quote["destination"]["amount"]},
            "fees": quote["fees"], "exchange_rate": quote["exchange_rate"], "metadata": asked["metadata"],
        }  # fmt: skip
        return self._shown(ident)

    def _read(self, ident: str) -> dict[str, Any]:
        """The transfer, one state further than it was last shown."""
        stage = self._stages[ident]
        if stage < len(PATH) - 1 and (stage < RESTS_AT or ident in self._paid):
            self._stages[ident] = stage + 1
        return self._shown(ident)

    def _shown(self, ident: str) -> dict[str, Any]:
        return {**self._transfers[ident], "status": PATH[self._stages[ident]]}


def _customer(ident: str) -> dict[str, Any]:
    return {
        "customer_id": ident, "external_customer_id": "demo", "customer_type": "business",
        "company_name": "Demo GmbH", "verification_levels": [{"level": "level_2", "status": "approved"}],
        "entitlements": [{"name": "base_payout", "status": "approved"}],
    }  # fmt: skip


def _address(network: str) -> str:
    """A placeholder, as the sandbox shows them."""
    return f"sandbox:{network}:{uuid.uuid4().hex}"


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
