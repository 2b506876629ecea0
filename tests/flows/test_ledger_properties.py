"""The ledger against a second bookkeeper, step by step; and what no path may do to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import CheckConstraint, inspect, text
from sqlalchemy.exc import DBAPIError

from checkout.inbox import Receipt as Answer
from checkout.rules.ledger import Book, move
from checkout.rules.money import parse_amount
from checkout.store import ledger, payments, payouts
from checkout.store.engine import Taken
from checkout.store.records import DepositRow, SessionRow
from checkout.store.tables import metadata
from tests.bookkeeper import SETTLED, WORDS, Bookkeeper, Receipt
from tests.system import System, make_system

ASSET = "USDC@polygon"
#: The currency of a second rule, whose settled deposits are declared to be USDC one to one.
PEG = "USD"


class TwoBookkeepers(RuleBasedStateMachine):
    """A shop's days: orders, odd deposits, evidence, allocations. After each step both bookkeepers agree."""

    def __init__(self, system: System) -> None:
        super().__init__()
        self._system = system
        self._orders: list[tuple[SessionRow, int, str]] = []
        self._entered: dict[str, int] = {}  # settlement record → minor units a person entered
        self._closing: dict[str, tuple[int, int, int]] = {}

    @initialize()
    def open_a_shop(self) -> None:
        system = self._system
        made = system.services.stores.create(
            system.services.context.new_id("shop"), ["https://shop.example"], who="ann"
        )
        for currency, evidence in (("EUR", "recorded"), (PEG, "declared")):
            system.services.stores.rule(
                made.id, currency=currency, asset="USDC", network="polygon", evidence=evidence,
                settles_gross=evidence == "declared", who="ann",
            )  # fmt: skip
        self._store = system.store = system.services.stores.find(made.id)
        self._books = Bookkeeper(self._pays, lambda one: self._deposit(one).id, frozenset({PEG}))

    def _deposit(self, reference: str) -> DepositRow:
        with self._system.database.read() as unit:
            found = payments.deposit_by_reference(unit, reference)
        assert found is not None
        return found

    def _pays(self, reference: str) -> bool:
        deposit = self._deposit(reference)
        return self._system.payment(deposit.payment_id).counted_deposit_id == deposit.id

    @precondition(lambda self: len(self._orders) < 4)
    @rule(cents=st.sampled_from([900, 901, 333, 1000]), currency=st.sampled_from(["EUR", "EUR", PEG]))
    def order(self, cents: int, currency: str) -> None:
        answer = self._system.pay(f"{cents // 100}.{cents % 100:02}", currency)
        self._orders.append((self._system.sessions(answer.payment.id)[0], cents, currency))

    @precondition(lambda self: self._orders)
    @rule(
        which=st.integers(0, 3),
        attempt=st.integers(0, 1),
        words=st.lists(st.sampled_from([*WORDS, "v2 failed"]), min_size=1, max_size=3),
        amount=st.sampled_from([0, 0, 0, -1, -433, 1, 100]),
        other_currency=st.sampled_from([False, False, False, True]),
        elsewhere=st.sampled_from([False, False, False, False, True]),
    )
    def hear(
        self, which: int, attempt: int, words: list[str], amount: int, other_currency: bool, elsewhere: bool
    ) -> None:
        session, asked, currency = self._orders[which % len(self._orders)]
        stated = (asked + amount) if asked + amount > 0 else asked
        known: dict[str, Any] = {"blockchainDestinationType": "Customer"} if elsewhere else {}
        for one in words:
            version, word = one.split()
            body = self._system.event(
                session, word, version=version, reference=f"{session.reference}{'-2' * attempt}", amount=stated / 100,
                currency=({"EUR": PEG, PEG: "EUR"}[currency] if other_currency else currency), **known,
            )  # fmt: skip
            if self._system.deliver(body) is not Answer.STORED:
                continue  # a V1 event said twice in the same bytes is one event
            self._system.work()
            self._books.hear(body, asked=asked, asked_currency=currency)

    def _settled(self, *, recorded: bool) -> list[Receipt]:
        return [
            one
            for one in self._books.receipts.values()
            if one.come == SETTLED and (one.recorded is not None) == recorded and not one.allocated
        ]

    def _recordable(self) -> list[Receipt]:
        waiting = [one for one in self._books.receipts.values() if one.come == SETTLED and one.recorded is None]
        return [one for one in waiting if one.currency == "EUR" and (one.allocated or not one.foreign)]

    @precondition(lambda self: self._recordable())
    @rule(
        picks=st.sets(st.integers(0, 5), min_size=1, max_size=3),
        arrived=st.integers(1, 30_000_000),
        fee=st.integers(0, 90),
    )
    def enter_evidence(self, picks: set[int], arrived: int, fee: int) -> None:
        waiting = self._recordable()
        chosen = [waiting[i] for i in sorted({pick % len(waiting) for pick in picks})]
        ours = sum(self._books.stands(one)[0] for one in chosen)
        kept = min(fee, max(0, ours - 1))
        made = self._system.services.treasury.record(
            self._store.id, asset="USDC", network="polygon", amount=f"{arrived // 10**6}.{arrived % 10**6:06}",
            fee=f"0.{kept:02}", deposits=[one.reference for one in chosen], evidence="a statement", who="ann",
        )  # fmt: skip
        self._entered[made.id] = arrived
        self._books.record(chosen, asset=ASSET, arrived=arrived, fee=kept)

    def _nobodys(self) -> list[Receipt]:
        before = [one for one in self._settled(recorded=False) if self._books.stands(one)[1]]
        return before + [one for one in self._settled(recorded=True) if one.unallocated_then]

    @precondition(lambda self: self._nobodys())
    @rule(pick=st.integers(0, 5))
    def allocate(self, pick: int) -> None:
        waiting = self._nobodys()
        chosen = waiting[pick % len(waiting)]
        self._system.services.treasury.allocate(chosen.reference, evidence="the shopper agreed", who="ann")
        self._books.allocate(chosen)

    @invariant()
    def both_agree(self) -> None:
        if not self._orders:
            return
        with self._system.database.read() as unit:
            rows = ledger.balances(unit, self._store.id)
        assert {
            f"{row['book']}/{row['asset']}": row["balance"] for row in rows if row["balance"]
        } == self._books.balances()
        for row in rows:
            opening, received, given = self._closing.get(row["account"], (0, 0, 0))
            assert opening + (row["received"] - received) - (row["given"] - given) == row["balance"]
            self._closing[row["account"]] = (row["balance"], row["received"], row["given"])

    def teardown(self) -> None:
        if not self._orders:
            return
        with self._system.database.read() as unit:
            rows = [row._mapping for row in unit.execute(text("SELECT * FROM posting"))]
            records = {
                row.id: row
                for row in unit.execute(text("SELECT * FROM settlement_record"))
                if row.store_id == self._store.id
            }
        arrived: dict[str, int] = {}
        for row in rows:
            if not row["credit"].startswith(f"{self._store.id}/") or "@" not in row["asset"]:
                continue
            giver = row["credit"].split("/")[1]
            assert giver in ("exchange", "unallocated"), "stablecoin comes from a record, or was held back by one"
            if giver == "exchange":
                arrived[row["cause"]] = arrived.get(row["cause"], 0) + row["amount_minor"]
        declared = {ident: row.deposits_minor * 10_000 for ident, row in records.items() if row.kind == "declared"}
        assert {row.currency for row in records.values() if row.kind == "declared"} <= {PEG}
        assert arrived == {**self._entered, **declared}


def prove(system: System, *, examples: int) -> None:
    run_state_machine_as_test(
        lambda: TwoBookkeepers(system),  # type: ignore[arg-type]  # any maker will do, its documentation says
        settings=settings(
            max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    assert system.services.report.balance()["balanced"]


@pytest.fixture
def system_on_sqlite(fast_folder: Path) -> Iterator[System]:
    made = make_system(f"sqlite:///{fast_folder / 'books.db'}")
    yield made
    made.close()


@pytest.mark.slow
def test_two_bookkeepers_agree_after_every_step_on_sqlite(system_on_sqlite: System) -> None:
    prove(system_on_sqlite, examples=40)


@pytest.mark.slow
@pytest.mark.postgresql
def test_two_bookkeepers_agree_after_every_step_on_postgresql(postgresql_server: Callable[[], str]) -> None:
    system = make_system(postgresql_server())
    prove(system, examples=5)
    system.close()


# --- what no path may do -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE posting SET amount_minor = 1",
        "UPDATE posting SET credit = debit",
        "DELETE FROM posting",
        "UPDATE move SET who = 'nobody'",
        "DELETE FROM move",
    ],
)
def test_the_database_itself_refuses_to_change_what_was_posted(system: System, statement: str) -> None:
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, "completed")
    before = system.balances()
    with pytest.raises((DBAPIError, Taken), match="append-only"), system.database.write() as unit:
        unit.execute(text(statement))
    assert system.balances() == before


def test_a_posting_key_posts_once(system: System) -> None:
    posting = move(system.store.id, "EUR", Book.SETTLED, Book.SHOPPER, 5, key="one/1", cause="one")
    with system.database.write() as unit:
        ledger.post(unit, [posting], at=system.clock())
        assert ledger.has_posting(unit, "one/1")
    with pytest.raises(Taken), system.database.write() as unit:
        ledger.post(unit, [posting], at=system.clock())
    assert system.balances() == {"shopper_receivable/EUR": -5, "stable_mint_settled/EUR": 5}


def test_a_row_that_is_empty_or_between_assets_cannot_exist(system: System) -> None:
    session = system.sessions(system.pay().payment.id)[0]
    system.hear(session, "completed")
    store = system.store.id
    columns = "INSERT INTO posting (key, debit, credit, asset, amount_minor, cause, at) VALUES "
    settled, shopper = f"{store}/stable_mint_settled/EUR", f"{store}/shopper_receivable/EUR"
    for values in (
        f"('a', '{settled}', '{shopper}', 'EUR', 0, 'c', '2026-11-21')",
        f"('b', '{settled}', '{settled}', 'EUR', 1, 'c', '2026-11-21')",
        f"('c', '{settled}', '{shopper}', 'USD', 1, 'c', '2026-11-21')",
        f"('d', '{settled}', '{store}/nowhere/EUR', 'EUR', 1, 'c', '2026-11-21')",
    ):
        with pytest.raises(Taken), system.database.write() as unit:
            unit.execute(text(columns + values))
    with system.database.read() as unit:
        assert ledger.unexplained(unit) == []


def test_two_settlements_of_one_deposit_post_once(system: System) -> None:
    session = system.sessions(system.pay().payment.id)[0]
    for version, word in (("v2", "completed"), ("v1", "accepted"), ("v2", "completed"), ("v2", "accepted")):
        system.hear(session, word, version=version)
    assert system.balances() == {"shopper_receivable/EUR": -900, "stable_mint_settled/EUR": 900}
    with system.database.read() as unit:
        deposit = payments.deposits_of(unit, session.payment_id)[0]
        assert [row["key"] for row in ledger.postings_of(unit, deposit.id)] == [f"{deposit.id}/settled/0"]


def test_an_overpaid_and_a_duplicate_share_stay_out_of_free_treasury_until_a_person_allocates_them(
    system: System,
) -> None:
    session = system.sessions(system.pay("9.00").payment.id)[0]
    system.hear(session, "completed", amount=10)
    system.hear(session, "completed", reference="SECOND")
    made = system.services.treasury.record(
        system.store.id, asset="USDC", network="polygon", amount="20", fee="0.50",
        deposits=[str(session.reference), "SECOND"], evidence="a statement", who="ann",
    )  # fmt: skip
    # 9.00 of 19.00 is the order's: 20 USDC × 9/19, and the rest is held back
    assert made.free == parse_amount("9.473684", "USDC")
    assert system.balances() == {
        "shopper_receivable/EUR": -1900, "stable_mint_fee/EUR": 50, "exchange/EUR": 1850,
        f"exchange/{ASSET}": -20_000_000, f"treasury_free/{ASSET}": 9_473_684, f"unallocated/{ASSET}": 10_526_316,
    }  # fmt: skip
    system.services.treasury.allocate("SECOND", evidence="the shopper ordered twice", who="ann")
    assert system.balances()[f"treasury_free/{ASSET}"] == 9_473_684 + 9_473_684
    system.services.treasury.allocate(str(session.reference), evidence="a tip", who="ann")
    assert system.balances()[f"treasury_free/{ASSET}"] == 20_000_000
    assert f"unallocated/{ASSET}" not in system.balances()
    with system.database.read() as unit:
        assert [minor for _, minor in payouts.allocated_shares(unit, system.store.id, "USDC", "polygon")] == [
            10_526_316 - 9_473_684, 9_473_684,
        ]  # fmt: skip


def test_what_is_allocated_before_its_record_is_treasury_like_the_rest(system: System) -> None:
    session = system.sessions(system.pay("9.00").payment.id)[0]
    system.hear(session, "completed", amount=10)
    system.services.treasury.allocate(str(session.reference), evidence="a tip", who="ann")
    assert system.balances() == {"shopper_receivable/EUR": -1000, "stable_mint_settled/EUR": 1000}
    made = system.services.treasury.record(
        system.store.id, asset="USDC", network="polygon", amount="10.79", fee="0",
        deposits=[str(session.reference)], evidence="a statement", who="ann",
    )  # fmt: skip
    assert made.free == made.received
    assert system.balances()[f"treasury_free/{ASSET}"] == 10_790_000


def test_every_check_that_the_tables_declare_is_in_the_database(system: System) -> None:
    declared = {
        str(check.name)
        for table in metadata.tables.values()
        for check in (*table.constraints, *(one for column in table.columns for one in column.constraints))
        if isinstance(check, CheckConstraint)
    }
    inspector = inspect(system.database.engine)
    there = {check["name"] for table in metadata.tables for check in inspector.get_check_constraints(table)}
    assert declared
    assert declared <= there
