"""Stables behind a transport, on the test's own clock: quotes at any price, transfers in any state the test says.

The running simulator is for whole flows; this is for many small histories in which every figure is the test's.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx

from tests.system import BANK, CUSTOMER, Clock


@dataclass
class StablesScript:
    """What it answers is in its fields; ``transfers`` are those that were created, by id."""

    clock: Clock
    credit: str = "8.61"
    rate: str = "0.92"
    fees: dict[str, tuple[str, str]] = field(default_factory=lambda: {"platform_fee": ("USD", "0.35")})
    quote_life: timedelta = timedelta(minutes=30)
    approved: bool = True
    silent: set[str] = field(default_factory=set)  #: paths that answer 503
    quotes: dict[str, dict[str, Any]] = field(default_factory=dict)
    transfers: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    next_answers: dict[str, list[httpx.Response | Exception]] = field(
        default_factory=dict
    )  #: by path, or its beginning to a /
    before: dict[str, Callable[[], object]] = field(default_factory=dict)  #: what happens once while it is asked
    transfer_says: dict[str, Any] = field(default_factory=dict)  #: in place of what a good new transfer says
    #: the next transfer is made, its answer never comes, and repeats are answered so
    lost: list[httpx.Response | Exception] | None = None
    address: str | None = None  #: of the next transfer, in place of one of its own
    quote_says: dict[str, Any] = field(default_factory=dict)  #: in place of what a good quote says

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/")
        self.asked.append((request.method, path))
        for one in [name for name in self.before if path.startswith(name)]:
            self.before.pop(one)()
        for name, answers in self.next_answers.items():
            if answers and (path == name or (name.endswith("/") and path.startswith(name))):
                answer = answers.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                return answer
        if any(path.startswith(one) for one in self.silent):
            return httpx.Response(503)
        body = json.loads(request.content) if request.content else {}
        if path == f"customers/{CUSTOMER}":
            return httpx.Response(200, json=self._customer())
        if path == "quotes":
            return httpx.Response(201, json=self._quote(body))
        if path == "transfer":
            return httpx.Response(201, json=self._create(body))
        if path == "transfers":
            wanted = request.url.params["status"].lower()
            found = [one for one in self.transfers.values() if one["status"] == wanted]
            return httpx.Response(200, json={"transfers": found, "page": {"total": len(found)}})
        asked = re.fullmatch(r"transfers/([^/]+)(/sandbox/simulate-deposit)?", path)
        if asked is not None and asked[1] in self.transfers:
            if asked[2]:
                return httpx.Response(201, json={"transfer_id": asked[1]})
            return httpx.Response(200, json=self.transfers[asked[1]])
        return httpx.Response(404, json={"message": "not found"})

    def _customer(self) -> dict[str, Any]:
        status = "APPROVED" if self.approved else "IN_PROGRESS"
        return {
            "customer_id": CUSTOMER, "customer_type": "business", "company_name": "Demo GmbH",
            "entitlements": [{"name": "base_payout", "status": status}],
        }  # fmt: skip

    def _quote(self, asked: dict[str, Any]) -> dict[str, Any]:
        ident = str(uuid.uuid4())
        now = self.clock.now
        self.quotes[ident] = {
            "quote_id": ident,
            "source": asked["source"],
            "destination": {"currency": "eur", "network": "bank", "amount": self.credit},
            "fees": {name: {"currency": of.lower(), "amount": amount} for name, (of, amount) in self.fees.items()},
            "exchange_rate": self.rate,
            "expires_at": (now + self.quote_life).isoformat(),
            "created_at": now.isoformat(),
            "status": "active",
            **self.quote_says,
        }
        return self.quotes[ident]

    def _create(self, asked: dict[str, Any]) -> dict[str, Any]:
        quote = self.quotes[asked["quote_id"]]
        ident = str(uuid.uuid4())
        bank = {name: value for name, value in BANK["bank"].items() if name != "type"}  # type: ignore[attr-defined]
        self.transfers[ident] = {
            "id": ident, "customer_id": CUSTOMER, "quote_id": asked["quote_id"], "status": "created",
            "created_at": self.clock.now.isoformat(), "updated_at": self.clock.now.isoformat(),
            "metadata": asked.get("metadata", {}),
            "source_deposit_instructions": {
                "wallet_address": self.address or f"0x{uuid.uuid4().hex}{uuid.uuid4().hex[:8]}", "currency": "USDC",
                "network": "polygon", "amount": quote["source"]["amount"],
            },
            "destination": {**bank, "amount": quote["destination"]["amount"], "network": "bank"},
            "fees": quote["fees"], "exchange_rate": quote["exchange_rate"],
            **self.transfer_says,
        }  # fmt: skip
        if self.lost is not None:
            self.next_answers["transfer"], self.lost = self.lost, None
            raise httpx.ReadTimeout("the answer is lost")
        return self.transfers[ident]

    def only(self) -> dict[str, Any]:
        """The one transfer there is."""
        (one,) = self.transfers.values()
        return one

    def of(self, payout: str) -> dict[str, Any]:
        """The newest transfer of a payout."""
        return [one for one in self.transfers.values() if one["metadata"].get("payout") == payout][-1]
