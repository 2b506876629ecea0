"""Who lets a refund go: a person, a store's own limit, and nobody while it is paused."""

from __future__ import annotations

import pytest

from checkout.errors import NotFound, NotPossible, RequestRefused
from tests.flows.refund_days import (
    DETAILS,
    allow,
    ask,
    paid,
    state,
    withdrawals,
)
from tests.system import System


def test_approving_twice_is_one_approval(sqlite_system: System) -> None:
    system = sqlite_system
    ident = ask(system, paid(system).payment_id).row.id
    system.services.refunds.approve(ident, who="ann")
    with pytest.raises(NotPossible, match="approved by ann already"):
        system.services.refunds.approve(ident, who="bob")
    system.work()
    with pytest.raises(NotPossible, match="is sending; only a requested"):
        system.services.refunds.approve(ident, who="bob")
    assert len(withdrawals(system)) == 1


def test_a_stores_own_requests_wait_for_a_person_by_default(sqlite_system: System) -> None:
    system = sqlite_system
    asked = ask(system, paid(system).payment_id, store=system.store)
    system.work()
    assert (asked.row.approved_by, withdrawals(system)) == (None, [])


def test_a_limit_approves_so_much_in_a_day_and_no_more(system: System) -> None:
    allow(system, "10.00")
    first = ask(system, paid(system).payment_id, store=system.store)
    second = ask(system, paid(system).payment_id, "1.00", store=system.store)
    third = ask(system, paid(system).payment_id, "0.10", store=system.store)
    assert [one.row.approved_by for one in (first, second, third)] == ["limit", "limit", None]
    system.work()
    assert [one["amount"] for one in withdrawals(system)] == [9, 1]
    system.clock.advance(hours=25)
    assert ask(system, paid(system).payment_id, store=system.store).row.approved_by == "limit"


def test_a_limit_is_for_the_stores_own_requests_and_never_for_a_contradiction_or_a_pause(sqlite_system: System) -> None:
    system = sqlite_system
    allow(system, "100.00")
    assert ask(system, paid(system).payment_id).row.approved_by is None, "a person asked: a person approves"
    doubtful = paid(system)
    system.hear(system.sessions(doubtful.payment_id)[0], "failed")
    assert ask(system, doubtful.payment_id, store=system.store).row.approved_by is None
    waiting = ask(system, paid(system).payment_id, "2.00", store=system.store, details={})
    assert (waiting.row.state, waiting.row.approved_by) == ("needs_details", None)
    system.services.stores.pause(system.store.id, reason="audit", who="ann")
    assert ask(system, paid(system).payment_id, store=system.store).row.approved_by is None
    system.services.stores.resume(system.store.id, who="ann")
    done = system.services.refunds.give_details(waiting.row.id, DETAILS, who="shop", store=system.store)
    assert done.row.approved_by == "limit"


def test_a_rule_is_checked_and_kept(sqlite_system: System) -> None:
    system = sqlite_system
    rule = system.services.refund_resolving.rule
    allow(system, "5.00")
    shown = rule(system.store.id, currency="EUR", limit=None, hosted_withdrawal=True, who="ann")
    assert shown == {"store": system.store.id, "currency": "EUR", "limit": "5.00", "hosted_withdrawal": True}
    for currency, limit in (("XXX", "1"), ("EUR", "-1"), ("EUR", "1.001")):
        with pytest.raises(RequestRefused):
            rule(system.store.id, currency=currency, limit=limit, hosted_withdrawal=None, who="ann")
    with pytest.raises(NotFound):
        rule("nowhere", currency="EUR", limit="1", hosted_withdrawal=None, who="ann")


def test_a_pause_holds_what_was_approved_and_lets_it_go_again(sqlite_system: System) -> None:
    system = sqlite_system
    ident = ask(system, paid(system).payment_id).row.id
    system.services.refunds.approve(ident, who="ann")
    system.services.stores.pause("all", reason="audit", who="ann")
    with pytest.raises(NotPossible, match="audit"):
        system.services.refunds.approve(ask(system, paid(system).payment_id).row.id, who="ann")
    system.work()
    assert (state(system, ident), withdrawals(system)) == ("requested", [])
    system.services.stores.resume("all", who="ann")
    system.clock.advance(minutes=6)
    system.work()
    assert (state(system, ident), len(withdrawals(system))) == ("sending", 1)
