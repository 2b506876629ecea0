"""A second bookkeeper: recomputes every balance from raw event bodies and entered evidence, sharing no code with the ledger.

It hears what the service heard, in the same order, and is told of each record, allocation, refund and payout as a person
entered it, and of the provider's word on each transfer. It asks the service one thing only: which deposit pays an order,
because of two equal ones either may.
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
    held: int = 0  #: asked back, not sent yet
    sent_back: int = 0
    lent: int = 0  #: asked back and not sent yet, from money that was brought for it
    lent_back: int = 0  #: sent back from such money
    failed: bool = False


@dataclass
class Evidence:
    """A settlement record: what arrived for which deposits."""

    receipts: Sequence[Receipt]
    asset: str
    arrived: int
    fee: int
    declared: bool = False
    ours: int = 0
    nobodys: int = 0
    freed: int = 0


#: How far a provider's word on a transfer says the funds have come; these say where they end without arriving.
COLLECTED = ("funds_collected", "payment_submitted", "payment_processed", "completed")
DEAD = ("expired", "failed", "cancelled")


@dataclass
class Sending:
    """A payout as the bookkeeper knows it: where its asset is, and what the bank shows for it."""

    asset: str
    amount: int
    holds: list[Evidence]
    place: str = "treasury_reserved"
    exposed: bool = False  #: its address was revealed, or its funds collected
    waits: bool = False  #: for a person
    currency: str = "EUR"
    credit: int = 0  #: as last stated by anybody
    bank: str = "bank"  #: the book its credit stands in
    came_back: int = 0  #: of the asset, after the bank had returned the credit

    def hear(self, word: str) -> None:
        """The provider's word on its transfer."""
        if self.waits or self.place in ("exchange", "treasury_free"):
            return
        if word in COLLECTED:
            self.exposed = True
            self.place = "exchange" if word == "completed" else "treasury_in_transit"
        elif word in DEAD:
            self.waits = self.exposed
            self.place = self.place if self.exposed else "treasury_free"


@dataclass
class Bookkeeper:
    """``pays(reference)``: is it the deposit its order counts? ``rank`` orders deposits as the service does."""

    pays: Callable[[str], bool]
    rank: Callable[[str], str]
    pegged: frozenset[str]  #: currencies whose settled deposits are their own evidence, as USDC on polygon
    receipts: dict[str, Receipt] = field(default_factory=dict)
    records: list[Evidence] = field(default_factory=list)
    payouts: dict[str, Sending] = field(default_factory=dict)

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
        elsewhere = content.get("blockchainDestinationType", "Partner") != "Partner"
        fails = name.endswith(".failed") and not receipt.failed
        fresh = fails or come > receipt.come or (elsewhere and not receipt.foreign)
        receipt.foreign |= elsewhere
        receipt.failed |= fails
        made = receipt.recorded
        doubted = fresh and receipt.foreign and not receipt.allocated
        if doubted and made is not None and made.declared and not self.held(made):
            # it was declared on the strength of an event that was not the last word
            self.records = [one for one in self.records if one is not made]
            receipt.recorded = None
        settles = come == SETTLED > receipt.come
        receipt.come = max(receipt.come, come)
        if settles and receipt.currency in self.pegged and not receipt.foreign:
            assert receipt.cents is not None
            self.record([receipt], asset="USDC@polygon", arrived=receipt.cents * 10_000, fee=0, declared=True)

    def held(self, made: Evidence) -> bool:
        """Whether a payout that was or may still be paid holds it: what was declared then stays as it is."""
        return any(
            one.place != "treasury_free" and any(made is each for each in one.holds) for one in self.payouts.values()
        )

    def propose(self, out: str, *, asset: str, credit: int) -> None:
        """A payout of all that is free."""
        holds = [made for made in self.records if not self.held(made)]
        self.payouts[out] = Sending(asset, self.free(asset), holds, credit=credit)

    def stands(self, receipt: Receipt) -> tuple[int, int]:
        """How much of a deposit is the order's (or allocated), and how much is nobody's."""
        if receipt.cents is None:
            return 0, 0
        if receipt.allocated:
            ours, nobodys = receipt.cents, 0
        elif receipt.foreign or not self.pays(receipt.reference):
            ours, nobodys = 0, receipt.cents
        else:
            ours, nobodys = receipt.asked, receipt.cents - receipt.asked
        gone = receipt.held + receipt.sent_back  # what is nobody's goes back first
        return ours - max(0, gone - nobodys), max(0, nobodys - gone)

    def record(
        self, receipts: Sequence[Receipt], *, asset: str, arrived: int, fee: int, declared: bool = False
    ) -> None:
        """Evidence as entered: so much of the asset arrived for these deposits, so much was kept on the way."""
        made = Evidence(sorted(receipts, key=lambda one: self.rank(one.reference)), asset, arrived, fee, declared)
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
            books[f"shopper_receivable/{receipt.currency}"] -= receipt.cents - receipt.sent_back - receipt.lent_back
            books[f"refunds_payable/{receipt.currency}"] += receipt.held + receipt.lent
            books[f"exchange/{receipt.currency}"] -= receipt.lent + receipt.lent_back
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
        for one in self.payouts.values():
            books[f"treasury_free/{one.asset}"] -= one.amount - one.came_back
            books[f"{one.place}/{one.asset}"] += one.amount
            books[f"exchange/{one.asset}"] -= one.came_back
            if one.place == "exchange":
                books[f"exchange/{one.currency}"] -= one.credit
                books[f"{one.bank}/{one.currency}"] += one.credit
        return {name: minor for name, minor in books.items() if minor}

    def free(self, asset: str) -> int:
        """What a payout may take."""
        return self.balances().get(f"treasury_free/{asset}", 0)


def shares(total: int, weights: Iterable[int]) -> list[int]:
    """A total by weight, odd units to the largest fractions and among equals to the first."""
    parts = list(weights)
    exact = [Fraction(total * one, sum(parts)) for one in parts]
    given = [int(one) for one in exact]
    by_fraction = sorted(range(len(parts)), key=lambda i: (given[i] - exact[i], i))
    for i in by_fraction[: total - sum(given)]:
        given[i] += 1
    return given
