"""Random histories of what people say about payouts: a second bookkeeper agrees after each word, and nothing is paid twice."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checkout.errors import CheckoutError
from checkout.paying_out.proposing import sources_of
from checkout.paying_out.resolution_verbs import Said
from checkout.rules.resolutions import Where
from checkout.store import ledger, payouts
from checkout.store.tables import attempt, quote, transfer
from tests.system import BANK, System, make_system

UNIT = 10**6
#: Said of an ended payout or of one that waits; `resumed` asks the provider, which these histories have none of.
WORDS = [where for where in Where if where is not Where.RESUMED]


@dataclass
class Books:
    """The second bookkeeper: whole USDC by place, and per payout what is still out for it."""

    free: int = 0
    spent: int = 0  #: crossed to a bank
    cost: int = 0
    out: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))

    def total(self) -> int:
        return self.free + self.spent + self.cost + sum(sum(one.values()) for one in self.out.values())


class History:
    """One shop whose payouts have all ended badly after their address was shown."""

    def __init__(self, system: System, chance: random.Random) -> None:
        self.system, self.chance, self.books = system, chance, Books()
        made = system.services.stores.create(system.services.context.new_id("s"), ["https://s.example"], who="ann")
        system.services.stores.rule(
            made.id,
            currency="EUR",
            asset="USDC",
            network="polygon",
            evidence="recorded",
            settles_gross=False,
            who="ann",
        )
        self.store = system.store = system.services.stores.find(made.id)
        system.services.payout_accounts.add(self.store.id, BANK, who="ann")
        self.payouts: list[str] = []
        self.lost: dict[str, int] = defaultdict(int)  #: per payout, what was written off

    def receive(self) -> None:
        usdc = self.chance.randint(1, 9)
        session = self.system.sessions(self.system.pay().payment.id)[0]
        self.system.hear(session, "completed")
        self.system.services.treasury.record(
            self.store.id, asset="USDC", network="polygon", amount=str(usdc), fee="0",
            deposits=[str(session.reference)], evidence="advice", who="ann",
        )  # fmt: skip
        self.books.free += usdc

    def propose(self) -> None:
        """A payout of all that is free, brought by hand to where its transfer ended after reveal."""
        if self.books.free == 0:
            return
        out = self.system.services.payouts.propose(self.store.id, account_id=None, who="ann")
        row_amount = self.books.free
        assert self.system.services.payouts.show(out)["amount"] == str(row_amount)
        self._end_badly(out)
        self.books.free = 0
        self.books.out[out]["reserved"] = row_amount
        self.payouts.append(out)

    def _end_badly(self, out: str) -> None:
        context = self.system.services.context
        now = self.system.clock()
        ids = {kind: context.new_id(kind) for kind in ("att", "quo", "trf")}
        with self.system.database.write() as unit:
            row = payouts.payout_by_id(unit, out)
            assert row is not None
            common = {"sends": 1, "unknowns": 0, "first_sent_at": now, "created_at": now}
            payouts.insert_row(
                unit, attempt,
                {**common, "id": ids["att"], "kind": "transfer", "subject": out, "key": context.new_uuid(),
                 "state": "accepted"},
            )  # fmt: skip
            payouts.insert_row(
                unit, quote,
                {"id": ids["quo"], "payout_id": out, "attempt_id": ids["att"], "provider_quote_id": ids["quo"],
                 "source_minor": row.amount_minor, "credit_minor": 100, "credit_currency": "EUR", "rate": "1",
                 "fees": "[]", "expires_at": now, "raw_sealed": b"", "created_at": now},
            )  # fmt: skip
            payouts.insert_row(
                unit, transfer,
                {"id": ids["trf"], "payout_id": out, "attempt_id": ids["att"], "quote_id": ids["quo"],
                 "provider_transfer_id": ids["trf"], "raw_sealed": b"", "provider_created_at": now, "fundable_until": now,
                 "checked_at": now, "instructions_revealed_at": now, "created_at": now},
            )  # fmt: skip
            payouts.update_payout(unit, out, state="needs_decision", due_at=None)

    def say(self) -> None:
        if not self.payouts:
            return
        out, where = self.chance.choice(self.payouts), self.chance.choice(WORDS)
        amount, cost = self.chance.randint(1, 12), self.chance.choice([0, 0, 1])
        said = Said(where, "a ticket", amount=str(amount), credit="1.00", cost=str(cost))
        before = self.system.services.payouts.show(out)
        try:
            after = self.system.services.resolutions.say(out, said, who="ann")
        except CheckoutError:
            return
        self._book(out, where, amount, cost, before["state"], after["state"])

    def _book(self, out: str, where: Where, amount: int, cost: int, before: str, after: str) -> None:
        books, held = self.books, self.books.out[out]
        total = sum(held.values())
        own = held["reserved"] + held["transit"]
        match where:
            case Where.ARRIVED | Where.RETURNED if before == "needs_decision" and total:
                size = int(float(self.system.services.payouts.show(out)["amount"]))
                gone = min(total, size)
                books.spent += gone
                left = total - gone
                held.clear()
                held["astray"] = left
            case Where.NEVER_SENT:
                books.free += total
                held.clear()
            case Where.BACK:
                self._back(out, amount, cost, before)
            case Where.LOST if total:
                live = before == "needs_decision"
                self._take(held, amount, all_of_it=live)
                books.cost += amount
            case Where.AT_PROVIDER:
                held["transit"] += held.pop("reserved", 0)
            case Where.FOUND | Where.LATE:
                part = min(amount, own)
                for place in ("reserved", "transit"):
                    moved = min(part, held[place])
                    held[place] -= moved
                    part -= moved
                held["astray"] += amount
                rest = amount - min(amount, own)
                written_off = min(rest, self._written_off(out))
                books.cost -= written_off
                self.lost[out] -= written_off
                books.free -= rest - written_off
            case Where.UNDER:
                held["reserved"], held["transit"] = 0, amount
                books.free += own - amount
            case Where.OVER:
                size = int(float(self.system.services.payouts.show(out)["amount"]))
                books.free -= amount - size
                held["astray"] += amount - size
        if where is Where.LOST and total:
            self.lost[out] += amount
        if where is Where.BACK and total and cost:
            self.lost[out] += cost
        assert after in ("needs_decision", "completed", "cancelled", "failed", "returned")

    def _written_off(self, out: str) -> int:
        return self.lost[out]

    def _back(self, out: str, amount: int, cost: int, before: str) -> None:
        held = self.books.out[out]
        live = before == "needs_decision"
        within = sum(held.values()) if live else held["astray"]
        if before == "returned" and sum(held.values()) == 0:
            self.books.free += amount
            self.books.spent -= amount  # it comes in again from where it had crossed to
            return
        if within == 0:
            back = min(amount, self._written_off(out))
            self.books.free += back
            self.books.cost -= back
            self.lost[out] -= back
            return
        self._take(held, amount + cost, all_of_it=live)
        self.books.free += amount
        self.books.cost += cost

    @staticmethod
    def _take(held: dict[str, int], amount: int, *, all_of_it: bool) -> None:
        for place in ("astray", "transit", "reserved") if all_of_it else ("astray",):
            moved = min(amount, held[place])
            held[place] -= moved
            amount -= moved
        assert amount == 0

    def check(self) -> None:
        """Both bookkeepers agree, and what may be proposed is exactly what is free."""
        with self.system.database.write() as unit:
            rows = ledger.balances(unit, self.store.id)
            sources = sources_of(unit, self.store.id, "USDC", "polygon")
        there = {row["book"]: row["balance"] for row in rows if row["asset"] == "USDC@polygon"}
        out = list(self.books.out.values())
        told = {
            "treasury_free": self.books.free, "stables_cost": self.books.cost,
            "treasury_reserved": sum(one["reserved"] for one in out),
            "treasury_in_transit": sum(one["transit"] for one in out), "unallocated": sum(one["astray"] for one in out),
        }  # fmt: skip
        assert {book: there.get(book, 0) for book in told} == {book: usdc * UNIT for book, usdc in told.items()}
        assert sum(minor for _, minor in sources) == self.books.free * UNIT
        assert len({source for source, _ in sources}) == len(sources)


def prove(system: System, *, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False), st.lists(st.sampled_from("rpsssss"), min_size=4, max_size=30))
    def histories(chance: random.Random, steps: list[str]) -> None:
        history = History(system, chance)
        for step in ["r", "p", *steps]:
            {"r": history.receive, "p": history.propose, "s": history.say}[step]()
            history.check()

    histories()
    assert system.services.report.balance()["balanced"]


@pytest.mark.slow
def test_two_bookkeepers_agree_whatever_people_say_on_sqlite(sqlite_system: System) -> None:
    prove(sqlite_system, examples=20)


@pytest.mark.slow
@pytest.mark.postgresql
def test_two_bookkeepers_agree_whatever_people_say_on_postgresql(postgresql_server: Callable[[], str]) -> None:
    system = make_system(postgresql_server())
    prove(system, examples=4)
    system.close()
