"""The worker: leases decide who records, no failure stops the others' work, and stopping leaves nothing behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from checkout.app import build
from checkout.config import Settings
from checkout.errors import LostRace, StoreUnavailable
from checkout.events import Events
from checkout.store.engine import Taken
from checkout.store.tables import event, notification_delivery, payment, session
from checkout.store.work import Queue, claim, give_back, holds, release, wake
from checkout.worker import Bell, Worker
from tests.deliveries import beside, fates, kept, last
from tests.postgres import Server
from tests.system import System, environment

Step = Callable[[str, str], None]


def lease(system: System, table: Queue, token: str, limit: int = 20) -> list[str]:
    """Claim as a worker does that then dies."""
    with system.database.write() as unit:
        now = system.clock.now
        return claim(unit, table, now=now, lease=system.services.context.lease, token=token, limit=limit)


def work_row(system: System, table: Queue, ident: str) -> Any:
    with system.database.read() as unit:
        return unit.execute(select(table).where(table.c.id == ident)).one()


def worker(system: System, *, events: Events | None = None, **steps: Step) -> Worker:
    """A worker some of whose steps are the test's."""
    services = system.services
    usual: dict[str, Step] = {
        "open_session": services.sessions.step,
        "follow_payout": services.follow_payout,
        "run_policy": services.policies.step,
        "send_refund": services.refund_sending.step,
        "read_customer": services.standings.step,
        "deliver": services.notifications.step,
        "look_at_payment": services.clockwork.step,
    }
    return Worker(services.context, name="odd", events=events or services.events, **{**usual, **steps})


def told(system: System, count: int = 1) -> list[str]:
    """Deliver so many settled events, each about its own payment; their payments."""
    ids = []
    for _ in range(count):
        found = system.sessions(system.pay().payment.id)[0]
        system.deliver(system.event(found, "completed"))
        ids.append(found.payment_id)
    system.clock.advance(milliseconds=1)
    return ids


# --- leases ------------------------------------------------------------------------------------------------------


def test_what_a_dead_worker_had_claimed_goes_on_when_its_lease_runs_out(system: System) -> None:
    told(system)
    assert lease(system, event, "dead") == [last(system).id]
    system.work()
    assert fates(system) == [("received", "")]
    system.clock.advance(seconds=119)
    system.work()
    assert fates(system) == [("received", "")]
    system.clock.advance(seconds=1)
    system.work()
    assert fates(system) == [("applied", "")]


def test_a_step_whose_lease_was_lost_records_nothing(system: System) -> None:
    (paid,) = told(system)
    (ident,) = lease(system, event, "slow")
    system.clock.advance(seconds=121)
    assert lease(system, event, "quick") == [ident]
    with pytest.raises(LostRace):
        system.services.events.step(ident, "slow")
    assert system.balances() == {}
    assert system.payment(paid).status == "open"
    system.services.events.step(ident, "quick")
    assert system.payment(paid).status == "settled"
    with pytest.raises(LostRace):
        system.services.events.step(ident, "quick")  # a lease ends with what it recorded


def test_of_two_workers_in_one_provider_call_only_the_holder_of_the_lease_records(system: System) -> None:
    system.mint.next_answers.append(httpx.ReadTimeout("no answer"))
    opened = system.sessions(system.pay().payment.id)[0]
    system.clock.advance(seconds=5)

    def slow(request: httpx.Request) -> httpx.Response:
        """While this one waits for its answer its lease runs out, and another worker gets another answer."""
        late = system.mint.opened()
        system.clock.advance(seconds=121)
        system.work()
        return late

    process = beside(system, mint=slow)
    process.services.worker("slow").turn()
    process.close()
    found = system.sessions(opened.payment_id)
    assert [one.state for one in found] == ["open"]
    assert found[0].url is not None
    assert len(system.mint.requests) == 2  # the lost one and the other worker's


def test_a_lease_can_be_asked_for_given_back_and_woken(system: System) -> None:
    ident = system.sessions(system.pay().payment.id)[0].id
    now = system.clock.now
    with system.database.write() as unit:
        wake(unit, session, ident, now=now)
        assert claim(unit, session, now=now, lease=timedelta(seconds=10), token="one", limit=5) == [ident]
        assert claim(unit, session, now=now, lease=timedelta(seconds=10), token="two", limit=5) == []
        assert holds(unit, session, ident, "one", now=now)
        assert not holds(unit, session, ident, "two", now=now)
        assert not holds(unit, session, ident, "one", now=now + timedelta(seconds=10))
        give_back(unit, session, ident, "two", due_at=now)
        assert holds(unit, session, ident, "one", now=now)
        give_back(unit, session, ident, "one", due_at=now + timedelta(hours=1))
        assert claim(unit, session, now=now, lease=timedelta(seconds=10), token="three", limit=5) == []
        wake(unit, session, ident, now=now)
        assert claim(unit, session, now=now, lease=timedelta(seconds=10), token="three", limit=5) == [ident]
        release(unit, session, ident, "three", due_at=None)
        with pytest.raises(LostRace):
            release(unit, session, ident, "three", due_at=None)


def test_the_oldest_work_is_claimed_first_and_no_more_than_asked_for(sqlite_system: System) -> None:
    told(sqlite_system, 3)
    ids = [row.id for row in kept(sqlite_system)]
    due = {ident: sqlite_system.clock.now - timedelta(seconds=age) for ident, age in zip(ids, (1, 3, 2), strict=True)}
    with sqlite_system.database.write() as unit:
        for ident, at in due.items():
            unit.execute(event.update().where(event.c.id == ident).values(due_at=at))
    assert lease(sqlite_system, event, "one", limit=2) == [ids[1], ids[2]]
    assert lease(sqlite_system, event, "two", limit=2) == [ids[0]]


# --- failures ----------------------------------------------------------------------------------------------------


def test_a_step_that_fails_is_tried_again_later_and_holds_up_nothing_else(system: System) -> None:
    def broken(ident: str, token: str) -> None:
        raise ZeroDivisionError("our bug")

    (paid,) = told(system)
    odd = worker(system, deliver=broken)
    while odd.turn():
        pass
    assert system.payment(paid).status == "settled"
    with system.database.read() as unit:
        (row,) = unit.execute(select(notification_delivery)).all()
    assert (row.state, row.lease_token, row.due_at) == ("pending", None, system.clock.now + timedelta(seconds=30))
    system.clock.advance(seconds=30)
    system.work()
    assert [one["type"] for one in system.shop.heard] == ["payment.settled"]


@pytest.mark.parametrize("lost", [LostRace("another was faster"), Taken("uq_something")])
def test_a_lost_race_is_no_failure_and_is_decided_again_at_once(sqlite_system: System, lost: Exception) -> None:
    system = sqlite_system

    def beaten(ident: str, token: str) -> None:
        raise lost

    system.mint.next_answers.append(httpx.ReadTimeout("no answer"))
    ident = system.sessions(system.pay().payment.id)[0].id
    system.clock.advance(seconds=5)
    assert worker(system, open_session=beaten).turn() == 1
    row = work_row(system, session, ident)
    assert (row.lease_token, row.due_at) == (None, system.clock.now + timedelta(milliseconds=200))


class LosesItsLease(Events):
    """Events whose step takes longer than its lease and then fails."""

    def __init__(self, system: System) -> None:
        super().__init__(system.services.context)
        self._system = system

    def step(self, ident: str, token: str) -> None:
        self._system.clock.advance(seconds=121)
        self._system.work()
        raise ZeroDivisionError("our bug")


def test_a_step_that_fails_after_its_lease_was_lost_changes_nothing_and_stops_nobody(system: System) -> None:
    (paid,) = told(system)
    assert worker(system, events=LosesItsLease(system)).turn() > 0
    assert fates(system) == [("applied", "")]
    assert system.payment(paid).status == "settled"


def test_a_database_that_is_away_ends_the_turn(sqlite_system: System) -> None:
    def away(ident: str, token: str) -> None:
        raise StoreUnavailable("gone")

    told(sqlite_system)
    odd = worker(sqlite_system, deliver=away)
    with pytest.raises(StoreUnavailable):
        odd.turn()


# --- the loop ----------------------------------------------------------------------------------------------------


@contextmanager
def running(made: Worker) -> Iterator[threading.Thread]:
    """The worker at work in its threads; stopped, and in good time, at the end."""
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        yield thread
    finally:
        made.stop()
        thread.join(timeout=5)
        assert not thread.is_alive()


def until(reached: Callable[[], bool], within_s: float = 10.0) -> None:
    end = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def test_a_running_worker_does_everything_that_becomes_due_and_stops_when_asked(system: System) -> None:
    made = system.services.worker("looping")
    with running(made) as thread:
        (paid,) = told(system)
        made.wake()
        until(lambda: [one["type"] for one in system.shop.heard] == ["payment.settled"])
        assert system.payment(paid).status == "settled"
        made.stop()
        thread.join(timeout=5)
        assert not thread.is_alive()


def test_a_bell_that_rang_before_anybody_rested_is_not_missed() -> None:
    bell = Bell()
    heard = bell.rung
    bell.ring()
    begun = time.monotonic()
    bell.rest(heard, timedelta(seconds=30))
    assert time.monotonic() - begun < 5


def test_waking_one_kind_of_work_leaves_the_others_at_rest(sqlite_system: System) -> None:
    made = sqlite_system.services.worker("looping")
    with running(made):
        (paid,) = told(sqlite_system)
        made.wake("event")
        made.wake("nothing of this name")
        until(lambda: sqlite_system.payment(paid).status == "settled")


def test_a_running_worker_rests_until_work_is_due_by_the_clock(sqlite_system: System) -> None:
    system = sqlite_system
    system.mint.next_answers.append(httpx.ReadTimeout("no answer"))
    found = system.sessions(system.pay().payment.id)[0]
    with running(system.services.worker("looping")):
        time.sleep(0.05)
        assert system.sessions(found.payment_id)[0].state == "sending"
        system.clock.advance(seconds=5)
        until(lambda: system.sessions(found.payment_id)[0].state == "open")


def test_a_running_worker_outlives_a_database_that_was_away(sqlite_system: System) -> None:
    seen: list[datetime] = []

    def away(ident: str, token: str) -> None:
        seen.append(datetime.now().astimezone())
        raise StoreUnavailable("gone")

    told(sqlite_system)
    with running(worker(sqlite_system, deliver=away)) as thread:
        until(lambda: bool(seen))
        assert thread.is_alive()  # and being stopped it does not wait for the database


def test_a_worker_that_is_stopped_gives_back_what_it_has_not_begun(system: System) -> None:
    told(system, 3)
    ids = {row.id for row in kept(system)}
    begun: list[str] = []
    made: list[Worker] = []

    class StopsAtTheFirst(Events):
        def step(self, ident: str, token: str) -> None:
            begun.append(ident)
            made[0].stop()
            super().step(ident, token)

    made.append(worker(system, events=StopsAtTheFirst(system.services.context)))
    made[0].turn()
    assert len(begun) == 1
    for ident in ids - set(begun):
        row = work_row(system, event, ident)
        assert (row.state, row.lease_token, row.due_at) == ("received", None, system.clock.now)
    system.work()  # another worker needs to wait for nobody
    assert [state for state, _ in fates(system)] == ["applied"] * 3


def test_a_payment_that_is_gone_or_an_unknown_row_never_stops_the_worker(sqlite_system: System) -> None:
    system = sqlite_system
    seen: list[str] = []

    def missing(ident: str, token: str) -> None:
        seen.append(ident)
        system.services.clockwork.step("pay_none", token)

    told(system)
    found = system.pay().payment.id
    with system.database.write() as unit:
        wake(unit, payment, found, now=system.clock.now)
    assert worker(system, look_at_payment=missing).turn() >= 2
    assert found in seen


@pytest.mark.postgresql
def test_a_worker_that_cannot_look_for_work_goes_on_trying(running_postgresql: Server) -> None:
    services = build(Settings.from_env(environment(running_postgresql.new_database())))  # a database without tables
    worker = services.worker("hopeful")
    running = threading.Thread(target=worker.run)
    running.start()
    wanted = {"event-0", "session-0", "payout-0", "notification-0", "payment-0"}
    until(lambda: wanted <= {thread.name for thread in threading.enumerate()})
    time.sleep(0.5)  # each has looked by now, in vain
    names = {thread.name for thread in threading.enumerate()}
    worker.stop()
    running.join()
    services.close()
    assert wanted <= names
