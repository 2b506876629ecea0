"""A second bookkeeper: recomputes every balance from raw event bodies and entered evidence, sharing no code with the ledger.

It hears what the service heard, in the same order, and is told of each record and allocation as a person entered it. It asks
the service one thing only: which deposit pays an order, because of two equal ones either may.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

#: How far a word says a deposit has come; 3 and 4 bring money. The first letter pair is the event's version.
WORDS = {
    "v2 created": 0, "v2 initiated": 1, "v2 submitted": 2, "v2 accepted": 3, "v2 completed": 4,
    "v1 created": 0, "v1 submitted": 2, "v1 reconciled": 3, "v1 accepted": 4,
}  # fmt: skip
ACCEPTED, SETTLED = 3, 4


@dataclass
class Receipt:
    """A deposit as the bookkeeper knows it."""

    reference: str
    asked: int
    asked_currency: str
    come: int = -1
    cents: int | None = None
    currency: str = ""
    foreign: bool = False
    allocated: bool = False
    recorded: Evidence | None = None
    unallocated_then: int = 0  #: what of it belonged to no order when it was recorded


@dataclass
class Evidence:
    """A settlement record: what arrived for which deposits."""

    receipts: Sequence[Receipt]
    asset: str
    arrived: int
    fee: int
    ours: int = 0
    nobodys: int = 0
    freed: int = 0


@dataclass
class Bookkeeper:
    """``pays(reference)``: is it the deposit its order counts? ``rank`` orders deposits as the service does."""

    pays: Callable[[str], bool]
    rank: Callable[[str], str]
    pegged: frozenset[str]  #: currencies whose settled deposits are their own evidence, as USDC on polygon
    receipts: dict[str, Receipt] = field(default_factory=dict)
    records: list[Evidence] = field(default_factory=list)

    def hear(self, body: bytes, *, asked: int, asked_currency: str) -> None:
        """One event of a payment that asks so many cents. Amounts have two decimals here."""
        heard = json.loads(body, parse_float=Decimal, parse_int=Decimal)
        content = heard.get("data", heard)
        name = content.get("eventType") or content["notificationType"]
        word = f"{'v2' if 'data' in heard else 'v1'} {name.rsplit('.', 1)[1]}"
        receipt = self.receipts.setdefault(content["reference"], Receipt(content["reference"], asked, asked_currency))
        come = WORDS.get(word, -1)
        if come >= ACCEPTED:
            stated = (int(content["amount"] * 100), content["currency"])
            if receipt.cents is not None and stated != (receipt.cents, receipt.currency):
                return  # it contradicts what was stated before: a person looks
            receipt.cents, receipt.currency = stated
        receipt.foreign |= content.get("blockchainDestinationType", "Partner") != "Partner"
        settles = come == SETTLED > receipt.come
        receipt.come = max(receipt.come, come)
        if settles and receipt.currency in self.pegged and not receipt.foreign:
            assert receipt.cents is not None
            self.record([receipt], asset="USDC@polygon", arrived=receipt.cents * 10_000, fee=0)

    def stands(self, receipt: Receipt) -> tuple[int, int]:
        """How much of a deposit is the order's (or allocated), and how much is nobody's."""
        if receipt.cents is None:
            return 0, 0
        if receipt.allocated:
            return receipt.cents, 0
        if receipt.foreign or not self.pays(receipt.reference):
            return 0, receipt.cents
        return receipt.asked, receipt.cents - receipt.asked

    def record(self, receipts: Sequence[Receipt], *, asset: str, arrived: int, fee: int) -> None:
        """Evidence as entered: so much of the asset arrived for these deposits, so much was kept on the way."""
        made = Evidence(sorted(receipts, key=lambda one: self.rank(one.reference)), asset, arrived, fee)
        for receipt in made.receipts:
            ours, nobodys = self.stands(receipt)
            receipt.recorded, receipt.unallocated_then = made, nobodys
            made.ours += ours
            made.nobodys += nobodys
        self.records.append(made)

    def allocate(self, receipt: Receipt) -> None:
        """A person says that the deposit is the shop's to keep."""
        made = receipt.recorded
        receipt.allocated = True
        if made is None:
            return
        held = made.arrived - shares(made.arrived, [made.ours, made.nobodys])[0]
        parts = shares(held, [one.unallocated_then for one in made.receipts])
        made.freed += parts[list(made.receipts).index(receipt)]

    def balances(self) -> dict[str, int]:
        """Every account that is not zero."""
        books: dict[str, int] = defaultdict(int)
        for receipt in self.receipts.values():
            if receipt.cents is None:
                continue
            books[f"shopper_receivable/{receipt.currency}"] -= receipt.cents
            if receipt.recorded is None:
                ours, nobodys = self.stands(receipt)
                book = "stable_mint_settled" if receipt.come == SETTLED else "stable_mint_accepted"
                books[f"{book}/{receipt.currency}"] += ours
                books[f"unallocated/{receipt.currency}"] += nobodys
        for made in self.records:
            currency = made.receipts[0].currency
            free, held = shares(made.arrived, [made.ours, made.nobodys])
            books[f"stable_mint_fee/{currency}"] += made.fee
            books[f"exchange/{currency}"] += made.ours + made.nobodys - made.fee
            books[f"exchange/{made.asset}"] -= made.arrived
            books[f"treasury_free/{made.asset}"] += free + made.freed
            books[f"unallocated/{made.asset}"] += held - made.freed
        return {name: minor for name, minor in books.items() if minor}


def shares(total: int, weights: Iterable[int]) -> list[int]:
    """A total by weight, odd units to the largest fractions and among equals to the first."""
    parts = list(weights)
    exact = [Fraction(total * one, sum(parts)) for one in parts]
    given = [int(one) for one in exact]
    by_fraction = sorted(range(len(parts)), key=lambda i: (given[i] - exact[i], i))
    for i in by_fraction[: total - sum(given)]:
        given[i] += 1
    return given
