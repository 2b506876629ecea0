"""How much of a bank credit a store lets the provider leave unexplained, and what happens when it changes its mind."""

from __future__ import annotations

import pytest

from checkout.errors import NotFound, RequestRefused
from checkout.store import moves
from tests.desk import Desk


def unexplained(desk: Desk) -> str:
    """A completed payout whose provider leaves EUR 0.28 of EUR 8.61 unexplained."""
    desk.script.rate = "0.95"
    desk.settled("9.00", received="9.71", fee="0")
    return desk.completed()


def test_a_store_says_how_much_may_stay_unexplained_and_what_waits_is_judged_again(desk: Desk) -> None:
    statements, store = desk.system.services.statements, desk.system.store.id
    assert statements.limit(store)["default"]
    assert (statements.limit("Shop")["percent"], statements.limit("Shop")["minor"]) == ("0.25", 10)
    out = unexplained(desk)
    assert desk.system.cases() == ["credit_unexplained"]
    told = statements.set_limit("Shop", percent="3.26", minor=10, who="ann")
    assert (told["percent"], told["minor"], told["default"]) == ("3.26", 10, False)
    assert desk.system.cases() == []
    assert not statements.payout(out)["provider"]["over_limit"]
    statements.set_limit("Shop", percent="3.25", minor=10, who="ann")  # 0.28 of 8.61 is 3.252 %
    assert statements.payout(out)["provider"]["over_limit"]
    statements.look(out)
    assert desk.system.cases() == ["credit_unexplained"]
    statements.set_limit("Shop", percent="0", minor=28, who="ann")
    assert desk.system.cases() == []
    with desk.system.database.read() as unit:
        acts = [one for one in moves.acts_on(unit, store) if one["action"] == "statement limit set"]
    assert [one["who"] for one in acts] == ["ann"] * 3
    assert '"before": {"bp": 326, "minor": 10}' in acts[1]["detail"]


def test_one_stores_limit_is_not_anothers(sqlite_desk: Desk) -> None:
    services = sqlite_desk.system.services
    services.stores.create("Other", ["https://other.example"], who="ann")
    unexplained(sqlite_desk)
    services.statements.set_limit("Other", percent="100.00", minor=0, who="ann")
    assert sqlite_desk.system.cases() == ["credit_unexplained"]
    assert services.statements.limit("Shop")["default"]


@pytest.mark.parametrize("percent", ["", "-1", "101", "0.001", "1e1", "100.5", "٣", "NaN"])
def test_a_limit_that_is_none_is_refused_by_name(sqlite_desk: Desk, percent: str) -> None:
    statements = sqlite_desk.system.services.statements
    with pytest.raises(RequestRefused) as refused:
        statements.set_limit("Shop", percent=percent, minor=-1, who="ann")
    assert set(refused.value.fields) == {"percent", "minor"}
    with pytest.raises(NotFound):
        statements.limit("Nobody")
