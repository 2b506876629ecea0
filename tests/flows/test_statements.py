"""Statements: every cent from the order to the bank, and the provider's own words beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import event, insert, select, update

from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.explaining.statement_forms import page, period_page, table
from checkout.paying_out.resolution_verbs import Said
from checkout.rules.resolutions import Where
from checkout.store import payouts
from checkout.store.engine import Unit
from checkout.store.tables import payout, payout_item, transfer
from tests.desk import Desk
from tests.system import System

PAID = ("9.00", "5.00", "3.33")


def test_orders_reach_the_bank_to_the_last_cent(desk: Desk) -> None:
    desk.script.credit = "16.69"
    desk.settled(*PAID)
    out = desk.completed()
    found = desk.system.services.statements.payout(out)
    assert found["differences"] == {}
    assert [(one["settled"], one["stable_mint_fee"], one["asset_share"], one["credit_share"]) for one in found["lines"]] == [
        ("9.00", "0.09", "9.607617", "8.67"),
        ("5.00", "0.05", "5.337565", "4.81"),
        ("3.33", "0.03", "3.554818", "3.21"),
    ]  # fmt: skip
    assert found["totals"] == {
        "orders": [{"currency": "EUR", "settled": "17.33", "stable_mint_fee": "0.17", "crossed": "17.16"}],
        "asset": "18.500000",
        "credit": "16.69",
    }
    # 18.50 at 0.92 is 17.02; USD 0.35 at 0.92 is 0.32; one cent is the provider's own rounding
    assert found["provider"]["gross"] == "17.02"
    assert found["provider"]["fees"] == [
        {"name": "platform_fee", "currency": "USD", "amount": "0.35", "in_credit": "0.32"}
    ]
    assert found["provider"]["unexplained"] == "-0.01"
    assert found["credit"]["is"] == "quoted"
    assert desk.system.cases() == []


def test_a_statement_is_a_page_and_a_csv(sqlite_desk: Desk) -> None:
    sqlite_desk.script.credit = "16.69"
    sqlite_desk.settled(*PAID)
    found = sqlite_desk.system.services.statements.payout(sqlite_desk.completed())
    text = page(found)
    assert "not explained by the provider" in text
    assert "Difference in our own arithmetic: 0" in text
    assert max(map(len, text.splitlines())) <= 120
    rows = list(csv.DictReader(io.StringIO(table([found]))))
    assert [row["kind"] for row in rows] == [
        "order", "order", "order", "record", "sent", "stated rate", "gross at stated rate", "stated fee",
        "not explained by the provider", "credit quoted",
    ]  # fmt: skip
    assert sum(int(row["credit_share"].replace(".", "")) for row in rows[:3]) == 1669


def test_a_cell_that_would_run_in_a_spreadsheet_is_only_text(sqlite_desk: Desk) -> None:
    system = sqlite_desk.system
    session = system.sessions(system.pay("9.00", order="=cmd|' /C calc'!A0").payment.id)[0]
    system.hear(session, "completed", amount=9.0)
    system.services.treasury.record(
        system.store.id, asset="USDC", network="polygon", amount="9.71", fee="0", deposits=[str(session.reference)],
        evidence="@SUM(A1)", who="ann",
    )  # fmt: skip
    found = system.services.statements.payout(sqlite_desk.completed())
    rows = list(csv.DictReader(io.StringIO(table([found]))))
    assert rows[0]["order"] == "'=cmd|' /C calc'!A0"
    assert rows[1]["note"] == "'@SUM(A1)"
    assert rows[-2]["credit_share"].startswith("-0.0") or rows[-2]["credit_share"].startswith("0.0")


def test_before_the_credit_is_known_the_statement_says_so(sqlite_desk: Desk) -> None:
    sqlite_desk.settled("9.00", received="9.71", fee="0")
    out = sqlite_desk.system.services.payouts.propose(sqlite_desk.system.store.id, account_id=None, who="ann")
    found = sqlite_desk.system.services.statements.payout(out)
    assert (found["credit"], found["provider"], found["differences"]) == (None, None, {})
    assert [one["credit_share"] for one in found["lines"]] == [None]
    assert "not known yet" in page(found)
    assert [row["kind"] for row in csv.DictReader(io.StringIO(table([found])))] == ["order", "record", "sent"]
    with pytest.raises(NotPossible, match="is proposed"):
        sqlite_desk.system.services.statements.confirm(out, amount="1.00", evidence="x", who="ann")


def test_a_payout_that_is_not_there_has_no_statement(sqlite_desk: Desk) -> None:
    statements = sqlite_desk.system.services.statements
    with pytest.raises(NotFound):
        statements.payout("out_none")
    with pytest.raises(NotFound):
        statements.confirm("out_none", amount="1", evidence="x", who="ann")
    statements.look("out_none")


# --- confirming --------------------------------------------------------------------------------------------------


def test_a_bank_statement_line_confirms_the_credit_and_the_ledger_follows_it(desk: Desk) -> None:
    desk.settled("9.00", received="9.71", fee="0")
    out = desk.completed()
    statements = desk.system.services.statements
    assert desk.system.balances()["bank/EUR"] == 861
    found = statements.confirm(out, amount="8.60", evidence="statement 11, line 4", who="ann")
    assert (found["credit"]["amount"], found["credit"]["is"]) == ("8.60", "confirmed")
    assert "statement 11, line 4 (ann)" in found["credit"]["evidence"]
    assert found["differences"] == {}
    assert desk.system.balances()["bank/EUR"] == 860
    assert desk.system.services.report.balance()["balanced"]
    again = statements.confirm(out, amount="8.60", evidence="the same line", who="ben")
    assert again["credit"]["evidence"] == found["credit"]["evidence"]
    assert desk.system.cases() == []


def test_another_word_on_what_arrived_replaces_the_first_and_asks_for_a_person(sqlite_desk: Desk) -> None:
    sqlite_desk.settled("9.00", received="9.71", fee="0")
    out = sqlite_desk.completed()
    statements = sqlite_desk.system.services.statements
    statements.confirm(out, amount="8.60", evidence="line 4", who="ann")
    found = statements.confirm(out, amount="8.62", evidence="line 5", who="ben")
    assert found["credit"]["amount"] == "8.62"
    assert sqlite_desk.system.balances()["bank/EUR"] == 862
    assert sqlite_desk.system.cases() == ["credit_differs"]
    assert found["differences"] == {}


def test_less_than_was_approved_asks_for_a_person(sqlite_desk: Desk) -> None:
    sqlite_desk.settled("9.00", received="9.71", fee="0")
    out = sqlite_desk.completed()
    sqlite_desk.system.services.statements.confirm(out, amount="8.00", evidence="line 4", who="ann")
    assert sqlite_desk.system.cases() == ["credit_differs", "credit_unexplained"]


@pytest.mark.parametrize(
    ("amount", "evidence", "fields"), [("8.601", "x", {"amount"}), ("8", " ", {"evidence"}), ("-1", "", {"amount", "evidence"})]
)  # fmt: skip
def test_a_confirmation_needs_an_amount_and_its_evidence(
    sqlite_desk: Desk, amount: str, evidence: str, fields: set[str]
) -> None:
    sqlite_desk.settled("9.00", received="9.71", fee="0")
    out = sqlite_desk.completed()
    with pytest.raises(RequestRefused) as refused:
        sqlite_desk.system.services.statements.confirm(out, amount=amount, evidence=evidence, who="ann")
    assert set(refused.value.fields) == fields


def test_the_providers_own_figure_confirms_and_the_ledger_follows_it_even_when_it_comes_later(desk: Desk) -> None:
    desk.settled("9.00", received="9.71", fee="0")
    out = desk.completed(actual_payout={"amount": "8.60", "currency": "eur"})
    statements = desk.system.services.statements
    found = statements.payout(out)
    assert (found["credit"]["amount"], found["credit"]["is"], found["differences"]) == ("8.60", "confirmed", {})
    assert desk.system.balances()["bank/EUR"] == 860
    # a figure that became known only after completion

    with desk.system.database.write() as unit:
        payouts.update_payout(unit, out, credit_minor=859)
    statements.look(out)
    assert desk.system.balances()["bank/EUR"] == 859
    assert statements.payout(out)["differences"] == {}
    # a person's bank statement is the last word, whatever the provider says
    statements.confirm(out, amount="8.61", evidence="line 9", who="ann")
    with desk.system.database.write() as unit:
        payouts.update_payout(unit, out, credit_minor=859, credit_is="quoted")
    statements.look(out)
    assert statements.payout(out)["credit"]["amount"] == "8.61"
    assert desk.system.services.payouts.show(out)["credit"]["is"] == "confirmed"
    assert desk.system.balances()["bank/EUR"] == 861


# --- what the provider leaves open -------------------------------------------------------------------------------


def test_a_remainder_above_the_limit_opens_a_case_and_closes_it_when_it_is_explained(desk: Desk) -> None:
    desk.script.rate = "0.95"
    desk.settled("9.00", received="9.71", fee="0")
    out = desk.completed()
    found = desk.system.services.statements.payout(out)
    assert found["provider"]["unexplained"] == "-0.28"
    assert found["provider"]["over_limit"]
    assert found["differences"] == {}
    assert "above the limit" in page(found)
    assert desk.system.cases() == ["credit_unexplained"]
    desk.system.services.statements.confirm(out, amount="8.89", evidence="line 1", who="ann")
    assert desk.system.cases() == []


@pytest.mark.parametrize(
    ("fees", "taken", "notes"),
    [
        ({"platform_fee": ("EUR", "0.32"), "total_fee": ("EUR", "0.32")}, ["0.32"], 0),
        ({"platform_fee": ("EUR", "0.32"), "total_fee": ("EUR", "0.50")}, ["0.32"], 1),
        ({"total_fee": ("EUR", "0.32")}, ["0.32"], 0),
        ({"network_fee": ("GBP", "0.30")}, [None], 1),
        ({"network_fee": ("USDC", "0.3478")}, ["0.32"], 0),
        ({}, [], 0),
    ],
)
def test_fee_lines_are_shown_as_stated_whatever_they_are_stated_in(
    sqlite_desk: Desk, fees: dict[str, tuple[str, str]], taken: list[str | None], notes: int
) -> None:
    sqlite_desk.script.fees = fees
    sqlite_desk.settled("9.00", received="9.71", fee="0")
    found = sqlite_desk.system.services.statements.payout(sqlite_desk.completed())
    told = found["provider"]
    assert [one["in_credit"] for one in told["fees"]] == taken
    assert len(told["notes"]) == notes
    assert found["differences"] == {}
    left = int(told["gross"].replace(".", "")) - sum(int((one or "0").replace(".", "")) for one in taken)
    assert left + int(told["unexplained"].replace(".", "")) == 861


# --- what a payout is made of ------------------------------------------------------------------------------------


def test_a_share_that_was_allocated_afterwards_is_a_line_of_its_own_order(desk: Desk) -> None:
    system = desk.system
    session = system.sessions(system.pay("9.00").payment.id)[0]
    system.hear(session, "completed", amount=10)
    system.services.treasury.record(
        system.store.id, asset="USDC", network="polygon", amount="10.79", fee="0.10",
        deposits=[str(session.reference)], evidence="advice", who="ann",
    )  # fmt: skip
    system.services.treasury.allocate(str(session.reference), evidence="a tip", who="ann")
    found = system.services.statements.payout(desk.completed())
    assert [(one["settled"], one["stable_mint_fee"], one["asset_share"]) for one in found["lines"]] == [
        ("9.00", "0.10", "9.711000"),
        ("1.00", "0.00", "1.079000"),
    ]
    assert found["differences"] == {}


def test_a_wrong_sum_would_be_named(sqlite_desk: Desk) -> None:

    sqlite_desk.settled("9.00", received="9.71", fee="0")
    out = sqlite_desk.completed()
    with sqlite_desk.system.database.write() as unit:
        unit.execute(update(payout_item).values(amount_minor=9_700_000))
        payouts.update_payout(unit, out, credit_minor=800)
    found = sqlite_desk.system.services.statements.payout(out)
    assert found["differences"]["EUR credited"] == -61
    assert "OUR OWN ARITHMETIC DIFFERS" in page(found)
    assert [row["kind"] for row in csv.DictReader(io.StringIO(table([found])))].count("difference") >= 2


# --- periods -----------------------------------------------------------------------------------------------------


def test_a_period_shows_every_account_and_the_payouts_credited_in_it(desk: Desk) -> None:
    start = desk.system.clock.now
    desk.settled("9.00", received="9.71", fee="0")
    out = desk.completed()
    middle = desk.system.clock.now + timedelta(seconds=1)
    desk.system.clock.advance(days=1)
    desk.settled("5.00", received="5.40", fee="0")
    desk.script.credit = "4.65"
    second = desk.completed()
    end = desk.system.clock.now + timedelta(seconds=1)
    period = desk.system.services.statements.period
    first = period(desk.system.store.name, start=start, end=middle)
    assert [one["id"] for one in first["payouts"]] == [out]
    later = period(desk.system.store.id, start=middle, end=end)
    assert [one["id"] for one in later["payouts"]] == [second]
    assert first["differences"] == later["differences"] == {}
    closing = {one["account"]: one["closing"] for one in first["accounts"]}
    assert {one["account"]: one["opening"] for one in later["accounts"] if one["account"] in closing} == closing
    whole = period(desk.system.store.id, start=start, end=end)
    assert whole["totals"] == [
        {"asset": "USDC", "network": "polygon", "sent": "15.110000", "currency": "EUR", "credited": "13.26", "payouts": 2}
    ]  # fmt: skip
    text = period_page(whole)
    assert text.count("STATEMENT OF PAYOUT") == 2
    assert "shopper_receivable" in text
    empty = period(desk.system.store.id, start=start - timedelta(days=2), end=start - timedelta(days=1))
    assert "No account moved." in period_page(empty)
    with pytest.raises(RequestRefused):
        period(desk.system.store.id, start=end, end=end)
    with pytest.raises(NotFound):
        period("nobody", start=start, end=end)


def test_reading_is_a_fixed_number_of_questions_however_many_orders(sqlite_desk: Desk) -> None:
    counted: list[int] = []
    system = sqlite_desk.system
    for orders in (2, 12):
        sqlite_desk.settled(*["1.00"] * orders, received=str(orders), fee="0")
        out = system.services.payouts.propose(system.store.id, account_id=None, who="ann")
        counted.append(_statements_of(system, partial(system.services.statements.payout, out)))
    assert counted[0] == counted[1]


def _statements_of(system: System, call: Callable[[], object]) -> int:

    seen: list[object] = []

    def note(*_: object) -> None:
        seen.append(1)

    event.listen(system.database.engine, "before_cursor_execute", note)
    call()
    event.remove(system.database.engine, "before_cursor_execute", note)
    return len(seen)


# --- what came back ----------------------------------------------------------------------------------------------


def test_what_the_bank_returned_goes_out_again_for_the_orders_it_came_from(desk: Desk) -> None:
    desk.script.credit = "13.00"
    desk.settled("9.00", "5.00", received="15.00", fee="0")
    out = desk.completed()
    say = desk.system.services.resolutions.say
    say(out, Said(Where.RETURNED, "statement 12"), who="ann")
    found = desk.system.services.statements.payout(out)
    assert (found["state"], found["credit"]["amount"], found["differences"]) == ("returned", "13.00", {})
    (waiting,) = [
        one
        for one in desk.system.services.reconciling.report(None, start=None, end=None, limit=5)["stores"][0]["stages"]
        if one["stage"] == "returned_by_the_bank"
    ]
    assert waiting["sums"][0]["amount"] == "13.00"
    say(out, Said(Where.BACK, "Stables' mail", amount="14.90"), who="ann")
    desk.script.credit = "12.90"
    again = desk.completed()
    later = desk.system.services.statements.payout(again)
    orders = {one["order"] for one in found["lines"]}
    assert {one["order"] for one in later["lines"]} == orders
    assert [(one["currency"], one["settled"], one["asset_share"]) for one in later["lines"]] == [
        ("USDC", "9.578571", "9.578571"),
        ("USDC", "5.321429", "5.321429"),
    ]
    assert later["differences"] == {}
    assert "USDC" in page(later)
    assert desk.system.services.reconciling.report(None, start=None, end=None, limit=5)["differences"] == []


def test_a_credit_whose_quote_is_not_known_is_shown_without_the_providers_lines(sqlite_desk: Desk) -> None:
    sqlite_desk.settled("9.00", received="9.71", fee="0")
    out = sqlite_desk.completed()
    with sqlite_desk.system.database.write() as unit:
        unit.execute(update(payout).where(payout.c.id == out).values(quote_id=None))
        unit.execute(update(transfer).values(payout_id=_another(unit, out)))
    statements = sqlite_desk.system.services.statements
    found = statements.payout(out)
    assert (found["provider"], found["differences"]) == (None, {})
    assert "quoted (its quote)" in page(found)
    assert [row["kind"] for row in csv.DictReader(io.StringIO(table([found])))][-1] == "credit quoted"
    statements.look(out)
    assert sqlite_desk.system.cases() == []


def _another(unit: Unit, out: str) -> str:
    """A second payout, to which the transfer is moved."""
    values = dict(unit.execute(select(payout).where(payout.c.id == out)).one()._mapping)
    unit.execute(insert(payout).values(**{**values, "id": "out_other", "state": "cancelled"}))
    return "out_other"
