"""One dead endpoint holds nobody up: not when it refuses, not when it hangs with thousands due, not many of them together."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select

from checkout.errors import LostRace
from checkout.store import endpoints
from checkout.store import notifications as rows
from checkout.store.tables import notification_delivery
from checkout.telling.turns import BATCH, Turns
from checkout.worker import SENDERS, Worker
from tests.flows.notification_days import Shops, another_store, endpoint, health, message_of, news, states, telling
from tests.system import System, make_system

LEASE = timedelta(seconds=120)
SHARE = SENDERS // 2
FAILING_SHARE = SENDERS // 3
THOUSANDS = 2_000


@contextmanager
def running(made: Worker) -> Iterator[None]:
    """The worker at work in all its threads."""
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        yield
    finally:
        made.stop()
        thread.join(20)
        assert not thread.is_alive()


def until(reached: Callable[[], bool], within_s: float = 90.0) -> None:
    end = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def fail(system: System, endpoint_id: str, *, rest: timedelta = timedelta(0)) -> None:
    """As if the endpoint had failed, and had so much of its rest left."""
    now = system.clock.now
    with system.database.write() as unit:
        endpoints.update_endpoint(unit, endpoint_id, failures=1, failing_since=now, resting_until=now + rest)


def claim(system: System, turns: Turns, token: str) -> str | None:
    """What a thread gets: the endpoint whose deliveries it may send."""
    with system.database.write() as unit:
        ids = turns.claim(unit, now=system.clock.now, lease=LEASE, token=token)
        letters = [rows.letter(unit, ident) for ident in ids]
    found = {letter.endpoint_id for letter in letters if letter is not None}
    assert len(found) <= 1, "a thread sends to one endpoint at a time"
    return next(iter(found), None)


def claims(system: System, turns: Turns, threads: int = SENDERS) -> Counter[str]:
    """What all threads of a process get, who come one after another and stay."""
    got = [claim(system, turns, f"thread-{number}") for number in range(threads)]
    return Counter(one for one in got if one is not None)


# --- a shop that hangs -------------------------------------------------------------------------------------------


def test_an_endpoint_that_hangs_with_thousands_due_holds_half_the_threads_and_no_other_shop(system: System) -> None:
    """Measured in counts: what the other shop gets while the first holds on, and how often the first is asked."""
    let_go = threading.Event()

    def hang(_request: httpx.Request) -> httpx.Response:
        assert let_go.wait(120)
        raise httpx.ReadTimeout("it never answered")

    shops = Shops({"hangs.example": hang})
    other = another_store(system, "Other")
    hanging, working = endpoint(system, "hangs.example", store_id=other), endpoint(system, "works.example")
    with telling(system, shops) as ours, running(ours.services.worker("sender")):
        news(ours, THOUSANDS, store_id=other, about="stuck")
        until(lambda: len(shops.at("hangs.example")) == SHARE)
        told = news(ours, 100, about="fine")
        until(lambda: states(system, working) == {"delivered": len(told)})
        assert len(shops.at("hangs.example")) == SHARE, (
            "the other shop has everything, and this one still its first few"
        )
        assert not let_go.is_set()

        let_go.set()
        until(lambda: health(system, hanging).resting_until is not None)
        until(lambda: states(system, hanging) == {"pending": THOUSANDS} and _in_hand(system) == 0)
        assert len(shops.at("hangs.example")) == SHARE, "nothing more is sent to it before its rest is over"
        for probe in (1, 2, 3):
            system.clock.advance(minutes=5)
            until(lambda probe=probe: len(shops.at("hangs.example")) == SHARE + probe)  # type: ignore[misc]
            until(lambda: _in_hand(system) == 0)
            assert len(shops.at("hangs.example")) == SHARE + probe, "one try on behalf of all, each time"
    assert shops.most_at_once["hangs.example"] == SHARE
    assert states(system, hanging) == {"pending": THOUSANDS}


def _in_hand(system: System) -> int:
    """How many deliveries a thread holds."""
    held = select(func.count()).where(notification_delivery.c.lease_until > system.clock.now)
    with system.database.read() as unit:
        return int(unit.execute(held).scalar_one())


def test_when_it_works_again_one_try_finds_out_and_everything_follows(system: System) -> None:
    shops = Shops({"shop.example": httpx.ConnectError("down")})
    with telling(system, shops) as ours:
        told = news(ours, 60)
        ours.work()
        first = len(shops.arrivals)
        assert first == 1, "the others of the batch were not even tried"
        shops.answers["shop.example"] = 200
        ours.work()
        assert len(shops.arrivals) == first, "it is left alone"
        system.clock.advance(seconds=5)
        ours.work()
    assert len(shops.arrivals) == first + len(told)
    assert shops.ids("shop.example")[1] != shops.ids("shop.example")[0], "it is tried with what was not tried yet"


# --- many that fail ----------------------------------------------------------------------------------------------


def test_all_that_fail_together_get_no_more_than_their_share(system: System) -> None:
    failing = []
    for number in range(8):
        store = another_store(system, f"Dead{number}")
        failing.append(endpoint(system, f"dead{number}.example", store_id=store))
        news(system, 30, store_id=store, about=f"dead{number}")
        fail(system, failing[-1])
    works = endpoint(system, "works.example")
    news(system, 30, about="fine")
    got = claims(system, Turns(SENDERS))
    assert sum(got[one] for one in failing) == FAILING_SHARE
    assert max(got[one] for one in failing) == 1, "one try each"
    assert got[works] + got[_shop(system)] == SENDERS - FAILING_SHARE


def _shop(system: System) -> str:
    return str(system.services.endpoints.all(system.store.id)[0]["id"])


def test_an_endpoint_at_its_rest_is_passed_over_and_says_when_it_is_due(system: System) -> None:
    news(system, 3)
    turns = Turns(SENDERS)
    fail(system, _shop(system), rest=timedelta(seconds=30))
    with system.database.read() as unit:
        due_at = turns.next_due(unit, now=system.clock.now)
    assert due_at == system.clock.now + timedelta(seconds=30)
    assert claim(system, turns, "thread") is None
    system.clock.advance(seconds=30)
    assert claim(system, turns, "thread") == _shop(system)


def test_of_several_processes_one_makes_the_try_and_a_dead_one_s_is_made_by_another(system: System) -> None:
    news(system, 5)
    fail(system, _shop(system))
    first, second = Turns(SENDERS), Turns(SENDERS)
    assert claim(system, first, "a") == _shop(system)
    assert (claim(system, first, "b"), claim(system, second, "c")) == (None, None)
    system.clock.advance(seconds=119)
    assert claim(system, second, "d") is None
    system.clock.advance(seconds=1)
    assert claim(system, second, "e") == _shop(system)


@pytest.mark.postgresql
def test_a_try_that_cannot_have_its_delivery_is_nobody_s_and_stays_due(postgresql_server: Callable[[], str]) -> None:
    """Another process is looking at the only row that is due: it is passed over, and the rest of its endpoint is as it was."""
    system = make_system(postgresql_server())
    try:
        news(system, 1)
        fail(system, _shop(system))
        before = health(system, _shop(system))
        with system.database.write() as other:
            other.execute(select(notification_delivery).with_for_update())
            assert claim(system, Turns(SENDERS), "a") is None
        assert health(system, _shop(system)) == before
        assert claim(system, Turns(SENDERS), "b") == _shop(system)
    finally:
        system.close()


def test_a_share_is_free_again_when_its_thread_is_done(sqlite_system: System) -> None:
    system = sqlite_system
    news(system, BATCH * 10)
    turns = Turns(SENDERS)
    assert claims(system, turns) == {_shop(system): SHARE}
    with system.database.read() as unit:
        assert turns.next_due(unit, now=system.clock.now) is None, "nothing that a further thread could do"
    turns.done("thread-0")
    with system.database.read() as unit:
        assert turns.next_due(unit, now=system.clock.now) is not None
    assert claim(system, turns, "again") == _shop(system)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_process_with_few_threads_still_sends(sqlite_system: System, threads: int) -> None:
    news(sqlite_system, 1)
    assert claim(sqlite_system, Turns(threads), "only") == _shop(sqlite_system)


# --- what happens between claim and try --------------------------------------------------------------------------


def test_what_was_claimed_before_the_endpoint_failed_goes_back_untried(system: System) -> None:
    shops = Shops()
    with telling(system, shops) as ours:
        news(ours, 3)
        with system.database.write() as unit:
            ids = Turns(SENDERS).claim(unit, now=system.clock.now, lease=LEASE, token="slow")
        fail(system, _shop(system), rest=timedelta(minutes=1))
        for ident in ids:
            ours.services.notifications.step(ident, "slow")
        assert shops.arrivals == []
        assert states(system, _shop(system)) == {"pending": 3}
        system.clock.advance(minutes=1)
        ours.work()
    assert states(system, _shop(system)) == {"delivered": 3}


def test_what_was_claimed_before_the_endpoint_was_disabled_is_missed_and_can_be_sent_again(system: System) -> None:
    shops = Shops()
    with telling(system, shops) as ours:
        news(ours, 2)
        with system.database.write() as unit:
            ids = Turns(SENDERS).claim(unit, now=system.clock.now, lease=LEASE, token="slow")
        assert ours.services.endpoints.disable(_shop(system), reason="moving house", who="ann") == 0
        for ident in ids:
            ours.services.notifications.step(ident, "slow")
        assert (shops.arrivals, states(system, _shop(system))) == ([], {"abandoned": 2})


def test_what_a_lease_has_no_time_left_for_goes_back(sqlite_system: System) -> None:
    system, shops = sqlite_system, Shops()
    with telling(system, shops) as ours:
        (subject,) = news(ours, 1)
        with system.database.write() as unit:
            (ident,) = Turns(SENDERS).claim(unit, now=system.clock.now, lease=LEASE, token="slow")
        system.clock.advance(seconds=115)
        ours.services.notifications.step(ident, "slow")
        assert shops.arrivals == []
        ours.work()
    assert shops.ids("shop.example") == [message_of(system, subject)]


def test_what_another_worker_has_delivered_meanwhile_is_not_sent_again(system: System) -> None:
    """A process that stood still for longer than its lease wakes up with a delivery that is done."""
    shops = Shops()
    with telling(system, shops) as ours:
        (subject,) = news(ours, 1)
        with system.database.write() as unit:
            (ident,) = Turns(SENDERS).claim(unit, now=system.clock.now, lease=LEASE, token="slow")
        system.clock.advance(minutes=3)
        ours.work()
        with pytest.raises(LostRace):
            ours.services.notifications.step(ident, "slow")
    assert shops.ids("shop.example") == [message_of(system, subject)]


def test_failures_of_the_same_moment_count_once(system: System) -> None:
    """Three threads were sending when the shop went away: that is one failure, not three."""
    shops = Shops({"shop.example": httpx.ConnectError("down")})
    with telling(system, shops) as ours:
        news(ours, 3)
        with system.database.write() as unit:
            ids = Turns(SENDERS).claim(unit, now=system.clock.now, lease=LEASE, token="t")
        letters = []
        with system.database.read() as unit:
            letters = [rows.letter(unit, ident) for ident in ids]
        assert len(letters) == 3
        answers = threading.Barrier(3)

        def together(_request: httpx.Request) -> httpx.Response:
            answers.wait(20)
            raise httpx.ConnectError("down")

        shops.answers["shop.example"] = together
        step = ours.services.notifications.step
        threads = [threading.Thread(target=step, args=(ident, "t")) for ident in ids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    row = health(system, _shop(system))
    assert (row.failures, len(shops.arrivals)) == (1, 3)
    assert row.resting_until is not None
    assert row.resting_until - system.clock.now <= timedelta(seconds=5)


def test_success_beside_failure_ends_the_rest(system: System) -> None:
    """A message that was under way when another failed gets through: the endpoint works."""
    shops = Shops()
    with telling(system, shops) as ours:
        news(ours, 2)
        with system.database.write() as unit:
            first, second = Turns(SENDERS).claim(unit, now=system.clock.now, lease=LEASE, token="t")
        shops.answers["shop.example"] = httpx.ConnectError("down")

        def slow(_request: httpx.Request) -> httpx.Response:
            shops.answers["shop.example"] = httpx.ConnectError("down")
            ours.services.notifications.step(second, "t")
            return httpx.Response(200)

        shops.answers["shop.example"] = slow
        ours.services.notifications.step(first, "t")
        assert health(system, _shop(system)).failures == 1, "its own knowledge was older than the failure"
        shops.answers["shop.example"] = 200
        system.clock.advance(seconds=5)
        ours.work()
    row = health(system, _shop(system))
    assert (row.failures, row.resting_until, row.probe_token) == (0, None, None)
    assert states(system, _shop(system)) == {"delivered": 2}
