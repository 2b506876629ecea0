"""When we fail, or a person asks again: an event is kept, retried, shown, and applied by the same rules as ever."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from checkout.errors import NotFound
from checkout.rules.work import EVENT_FAILURES_CASE
from checkout.store import moves
from checkout.store.records import SessionRow
from tests.deliveries import beside, fates, kept, last
from tests.system import System


def opened(system: System) -> SessionRow:
    """The session of a fresh payment."""
    return system.sessions(system.pay().payment.id)[0]


# --- our own failures --------------------------------------------------------------------------------------------


def test_an_event_that_we_fail_to_apply_is_kept_retried_and_shown_to_a_person(system: System) -> None:
    session = opened(system)
    system.deliver(system.event(session, "completed"))
    without_its_key = beside(system, CHECKOUT_DATA_KEY=Fernet.generate_key().decode())
    for attempt in range(1, EVENT_FAILURES_CASE + 1):
        assert system.cases() == []
        without_its_key.work()
        row = last(system)
        assert (row.state, row.note, row.attempts) == ("failed", "KeyRefused", attempt)
        system.clock.advance(minutes=31)
    assert system.cases() == ["event_failed"]
    without_its_key.close()
    system.work()  # a process that can open it
    assert fates(system) == [("applied", "")]
    assert system.cases() == []
    assert system.payment(session.payment_id).status == "settled"


def test_a_person_can_have_a_failed_event_applied_and_the_case_closes(sqlite_system: System) -> None:
    system = sqlite_system
    system.deliver(system.event(opened(system), "completed"))
    without_its_key = beside(system, CHECKOUT_DATA_KEY=Fernet.generate_key().decode())
    for _ in range(EVENT_FAILURES_CASE):
        without_its_key.work()
        system.clock.advance(minutes=31)
    without_its_key.close()
    system.services.events.replay(last(system).id, who="ann")
    system.work()
    assert fates(system) == [("applied", "")]
    assert system.cases() == []


# --- replay ------------------------------------------------------------------------------------------------------


def test_a_replay_runs_the_same_rules_and_names_who_asked(system: System) -> None:
    session = opened(system)
    system.hear(session, "completed")
    ident = last(system).id
    before = system.balances()
    system.services.events.replay(ident, who="ann")
    system.work()
    assert system.balances() == before
    assert last(system).state in ("applied", "ignored")
    with system.database.read() as unit:
        assert [(one["who"], one["action"]) for one in moves.acts_on(unit, ident)] == [("ann", "event replayed")]


def test_a_quarantined_event_is_applied_on_replay_once_its_reason_is_gone(system: System) -> None:
    strict = beside(system, STABLE_MINT_PARTNER_NAME="Other")
    session = opened(system)
    system.deliver(system.event(session, "completed"))
    strict.work()
    strict.close()
    assert system.cases() == ["event_quarantined"]
    system.services.events.replay(last(system).id, who="ann")
    system.work()
    assert system.payment(session.payment_id).status == "settled"
    assert system.cases() == []


def test_an_event_that_is_not_there_cannot_be_applied(sqlite_system: System) -> None:
    with pytest.raises(NotFound):
        sqlite_system.services.events.step("evt_none", "token")
    assert kept(sqlite_system) == []
