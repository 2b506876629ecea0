"""The ledger's accounts and the postings each event makes. A posting is one transfer between two accounts of one asset.

Debit receives, credit gives. Crossing assets is two postings through ``exchange``, so nothing ever adds EUR to USDC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from checkout.rules.deposits import Stage
from checkout.rules.money import Money
from checkout.rules.payments import DepositFacts


class Book(StrEnum):
    """The kinds of account. Each exists once per store, asset and (for stablecoins) network."""

    SHOPPER = "shopper_receivable"  #: what shoppers have paid, counted downwards: always the negative of the rest
    ACCEPTED = "stable_mint_accepted"  #: accepted, not yet settled
    SETTLED = "stable_mint_settled"  #: settled, waiting for evidence of where it went
    MINT_FEE = "stable_mint_fee"  #: what Stable Mint kept, as a settlement record states
    FREE = "treasury_free"
    RESERVED = "treasury_reserved"
    IN_TRANSIT = "treasury_in_transit"
    GAS = "gas"
    STABLES_COST = "stables_cost"
    BANK = "bank"
    REFUNDS_PAYABLE = "refunds_payable"
    UNALLOCATED = "unallocated"  #: arrived, but not for an order: waits for a person
    RETURNED = "returned"
    EXCHANGE = "exchange"  #: the crossing between assets; its balances are the recorded conversions


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """One account: ``store/stable_mint_settled/EUR`` or ``store/treasury_free/USDC@polygon``."""

    store_id: str
    book: Book
    asset: str  #: ``EUR``, or ``USDC@polygon``: an asset on another network is another asset

    @property
    def id(self) -> str:
        return f"{self.store_id}/{self.book}/{self.asset}"


@dataclass(frozen=True, slots=True)
class Posting:
    """One transfer: whole minor units, more than zero, under a key that can post only once."""

    key: str
    debit: Account
    credit: Account
    minor: int
    cause: str  #: id of the event, record, payout or act that caused it

    def __post_init__(self) -> None:
        if self.minor <= 0:
            raise ValueError(f"a posting moves more than zero, not {self.minor}")
        if self.debit.asset != self.credit.asset:
            raise ValueError(f"{self.debit.asset} cannot become {self.credit.asset} in one posting")
        if self.debit == self.credit:
            raise ValueError("a posting needs two accounts")


def on_network(asset: str, network: str) -> str:
    """The ledger's name of a stablecoin on a network: ``USDC@polygon``."""
    return f"{asset}@{network}"


def place(deposit: DepositFacts, *, counted: bool, asked: Money | None) -> dict[Book, int]:
    """Where a deposit's money stands, in minor units per book, before any settlement record.

    The counted deposit stands for the asked amount; what exceeds it, and every other deposit, is unallocated. So is money
    that went to an address that is not ours: the order is honoured, the treasury is not. What a person has allocated is
    ours whole.
    """
    if not deposit.has_money or deposit.money is None or deposit.money.minor == 0:
        return {}
    whole = deposit.money.minor
    if deposit.allocated:
        return {Book.SETTLED: whole}
    if not counted or deposit.foreign:
        return {Book.UNALLOCATED: whole}
    ours = whole if asked is None else asked.minor
    book = Book.SETTLED if deposit.stage is Stage.SETTLED else Book.ACCEPTED
    return {book: ours, **({Book.UNALLOCATED: whole - ours} if whole > ours else {})}


def shift(
    store_id: str, asset: str, before: dict[Book, int], after: dict[Book, int], *, key: str, cause: str
) -> list[Posting]:
    """Postings that take a deposit's money from one place to another; new money comes from the shopper's account.

    ``key`` is unique per cause; each leg adds its own number to it.
    """
    gives = {book: minor - after.get(book, 0) for book, minor in before.items() if minor > after.get(book, 0)}
    takes = {book: minor - before.get(book, 0) for book, minor in after.items() if minor > before.get(book, 0)}
    fresh = sum(takes.values()) - sum(gives.values())
    if fresh < 0:
        raise ValueError("money that has arrived cannot leave by itself")
    if fresh:
        gives[Book.SHOPPER] = fresh
    postings: list[Posting] = []
    givers = sorted(gives.items())
    for taker, wanted in sorted(takes.items()):
        while wanted:
            giver, available = givers.pop(0)
            moved = min(wanted, available)
            if available > moved:
                givers.insert(0, (giver, available - moved))
            wanted -= moved
            postings.append(
                Posting(
                    f"{key}/{len(postings)}",
                    Account(store_id, taker, asset),
                    Account(store_id, giver, asset),
                    moved,
                    cause,
                )
            )
    return postings


@dataclass(frozen=True, slots=True)
class Crossing:
    """A settlement record's money: what left Stable Mint and what arrived on chain, both as stated by somebody."""

    currency: str
    ours: int  #: minor units of counted (or allocated) deposits
    unallocated: int  #: minor units of deposits that belong to no order
    fee: int  #: kept by Stable Mint, in the deposits' currency
    asset: str  #: ``USDC@polygon``
    received: int  #: minor units that arrived
    received_unallocated: int  #: the share of it that belongs to unallocated money


def cross(store_id: str, crossing: Crossing, *, key: str, cause: str) -> list[Posting]:
    """Postings of a settlement record: the fee, the rest out through ``exchange``, the asset in through ``exchange``."""

    def leg(name: str, debit: Book, credit: Book, asset: str, minor: int) -> list[Posting]:
        if minor == 0:
            return []
        return [
            Posting(
                f"{key}/{name}",
                Account(store_id, debit, asset),
                Account(store_id, credit, asset),
                minor,
                cause,
            )
        ]

    currency, asset = crossing.currency, crossing.asset
    return [
        *leg("fee", Book.MINT_FEE, Book.SETTLED, currency, crossing.fee),
        *leg("out", Book.EXCHANGE, Book.SETTLED, currency, crossing.ours - crossing.fee),
        *leg("out_unallocated", Book.EXCHANGE, Book.UNALLOCATED, currency, crossing.unallocated),
        *leg("in", Book.FREE, Book.EXCHANGE, asset, crossing.received - crossing.received_unallocated),
        *leg("in_unallocated", Book.UNALLOCATED, Book.EXCHANGE, asset, crossing.received_unallocated),
    ]


def move(store_id: str, asset: str, debit: Book, credit: Book, minor: int, *, key: str, cause: str) -> Posting:
    """One posting inside a store and asset."""
    return Posting(key, Account(store_id, debit, asset), Account(store_id, credit, asset), minor, cause)


def reverse(posting: Posting, *, key: str) -> Posting:
    """The same money back the way it came."""
    return Posting(key, posting.credit, posting.debit, posting.minor, posting.cause)


def totals(postings: Sequence[Posting]) -> dict[Account, int]:
    """Balance of every account the postings touch: received minus given."""
    balances: dict[Account, int] = {}
    for posting in postings:
        balances[posting.debit] = balances.get(posting.debit, 0) + posting.minor
        balances[posting.credit] = balances.get(posting.credit, 0) - posting.minor
    return balances
