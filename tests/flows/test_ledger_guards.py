"""What no path may do to the ledger: change a row, post twice, post nothing, or let money in without a person."""

from __future__ import annotations

import pytest
from sqlalchemy import CheckConstraint, inspect, text
from sqlalchemy.exc import DBAPIError

from checkout.rules.ledger import Book, move
from checkout.rules.money import parse_amount
from checkout.store import ledger, payments, payouts
from checkout.store.engine import Taken
from checkout.store.tables import metadata
from tests.system import System

ASSET = "USDC@polygon"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE posting SET amount_minor = 1",
        "UPDATE posting SET credit = debit",
        "DELETE FROM posting",
        "UPDATE move SET who = 'nobody'",
        "DELETE FROM move",
        "TRUNCATE posting",
    ],
)
def test_the_database_itself_refuses_to_change_what_was_posted(system: System, statement: str) -> None:
    if statement.startswith("TRUNCATE") and system.database.engine.dialect.name == "sqlite":
        statement = "DELETE FROM posting WHERE 1"  # SQLite's TRUNCATE
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
