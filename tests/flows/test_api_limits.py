"""A key's limit holds however many threads and processes ask at once, and costs a commit a chunk."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime

import pytest
from sqlalchemy import event

from checkout.api_keys import READ, ApiKeys
from checkout.app import build
from checkout.config import Settings
from checkout.errors import ScopeMissing, TooManyRequests
from tests.system import START, System, environment, make_system

THREADS = 4
PROCESSES = 2
_start = threading.Barrier(1)


def passed(keys: ApiKeys, api_key: str, *, at_most: int = 1_000_000) -> int:
    """Ask until refused; how many requests passed."""
    for count in range(at_most):
        try:
            keys.admit(api_key, scope=READ)
        except TooManyRequests:
            return count
    return at_most


def passed_by_threads(everyone: list[ApiKeys], api_key: str) -> list[int]:
    """Every one of them asks in a thread of its own, all at once, until it is refused."""
    counts: list[int] = []
    gate = threading.Barrier(len(everyone))

    def ask(keys: ApiKeys) -> None:
        gate.wait()
        counts.append(passed(keys, api_key))

    threads = [threading.Thread(target=ask, args=(keys,)) for keys in everyone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == len(everyone)
    return counts


def limited(system: System, per_minute: int | None) -> str:
    return system.services.api_keys.create(system.store.id, who="ann", per_minute=per_minute).api_key


@contextmanager
def another(system: System) -> Iterator[ApiKeys]:
    """What a second process has: its own connections and its own memory."""
    services = build(system.services.settings, clock=system.clock)
    try:
        yield services.api_keys
    finally:
        services.close()


@contextmanager
def commits(system: System) -> Iterator[list[int]]:
    """Counts the commits of this process."""
    count = [0]

    def seen(_connection: object) -> None:
        count[0] += 1

    event.listen(system.database.engine, "commit", seen)
    yield count
    event.remove(system.database.engine, "commit", seen)


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_threads_of_one_process_pass_exactly_the_limit(system: System, limit: int) -> None:
    key = limited(system, limit)
    assert sum(passed_by_threads([system.services.api_keys] * 6, key)) == limit
    system.clock.advance(minutes=1)
    assert sum(passed_by_threads([system.services.api_keys] * 6, key)) == limit


def test_many_memories_over_one_database_pass_exactly_the_limit(system: System) -> None:
    key = limited(system, 90)
    with ExitStack() as stack:
        others = [stack.enter_context(another(system)) for _ in range(2)]
        everyone = [system.services.api_keys, *others]
        assert sum(passed_by_threads(everyone * 2, key)) == 90
        assert sum(passed_by_threads(everyone, key)) == 0
        system.clock.advance(minutes=1)
        assert sum(passed_by_threads(everyone * 2, key)) == 90


def _prepare(start: threading.Barrier) -> None:
    global _start
    _start = start


def _standing_still() -> datetime:
    return START


def _process(environ: Mapping[str, str], api_key: str) -> list[int]:
    """What a web process does: a few threads that ask until they are refused."""
    services = build(Settings.from_env(dict(environ)), clock=_standing_still)
    try:
        _start.wait(60)
        return passed_by_threads([services.api_keys] * THREADS, api_key)
    finally:
        services.close()


def test_real_processes_pass_exactly_the_limit(database_url: str) -> None:
    system = make_system(database_url)
    try:
        key = limited(system, 2000)
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(
            PROCESSES, mp_context=spawn, initializer=_prepare, initargs=(spawn.Barrier(PROCESSES),)
        ) as pool:
            found = list(pool.map(_process, [environment(database_url)] * PROCESSES, [key] * PROCESSES))
        counts = [sum(one) for one in found]
        assert sum(counts) == 2000
        assert all(count > 0 for count in counts), "the processes did not ask at once"
    finally:
        system.close()


def test_requests_cost_a_commit_a_chunk_and_a_refused_key_costs_none(system: System) -> None:
    key = limited(system, None)
    with commits(system) as count:
        assert passed(system.services.api_keys, key, at_most=60) == 60
        assert count == [2]  # 600 in a minute: 30 at a time
        assert passed(system.services.api_keys, key) == 540
        before = count[0]
        assert passed(system.services.api_keys, key) == passed(system.services.api_keys, key) == 0
        assert count[0] == before <= 21


def test_the_next_minute_is_said_and_comes(system: System) -> None:
    key = limited(system, 2)
    system.clock.advance(seconds=12.5)
    assert passed(system.services.api_keys, key) == 2
    with pytest.raises(TooManyRequests) as refused:
        system.services.api_keys.admit(key, scope=READ)
    assert refused.value.retry_after_s == 48
    system.clock.advance(seconds=refused.value.retry_after_s)
    assert passed(system.services.api_keys, key) == 2


def test_keys_do_not_spend_each_others_requests(system: System) -> None:
    one, other = limited(system, 3), limited(system, 5)
    assert passed(system.services.api_keys, one) == 3
    assert passed(system.services.api_keys, other) == 5
    assert passed(system.services.api_keys, one) == 0


def test_a_request_without_the_scope_is_counted_too(sqlite_system: System) -> None:
    made = sqlite_system.services.api_keys.create(sqlite_system.store.id, who="ann", scopes=["treasury"], per_minute=1)
    with pytest.raises(ScopeMissing, match="read"):
        sqlite_system.services.api_keys.admit(made.api_key, scope=READ)
    with pytest.raises(TooManyRequests):
        sqlite_system.services.api_keys.admit(made.api_key, scope=READ)


def test_a_clock_that_steps_back_opens_no_second_window(sqlite_system: System) -> None:
    key = limited(sqlite_system, 4)
    sqlite_system.clock.advance(seconds=60)
    assert passed(sqlite_system.services.api_keys, key) == 4
    sqlite_system.clock.advance(seconds=-30)
    with another(sqlite_system) as other:
        assert passed(sqlite_system.services.api_keys, key) == passed(other, key) == 0
    sqlite_system.clock.advance(seconds=90)
    assert passed(sqlite_system.services.api_keys, key) == 4


def test_a_faster_sandbox_has_shorter_minutes(database_url: str) -> None:
    system = make_system(database_url, CHECKOUT_SPEED="60")
    try:
        key = limited(system, 5)
        assert passed(system.services.api_keys, key) == 5
        system.clock.advance(seconds=1)
        assert passed(system.services.api_keys, key) == 5
    finally:
        system.close()


def test_a_key_in_use_has_a_time_of_last_use(system: System) -> None:
    key = limited(system, None)
    assert system.services.api_keys.of_store("Shop")[-1].last_used_at is None
    system.services.api_keys.admit(key, scope=READ)
    system.clock.advance(minutes=5)
    system.services.api_keys.admit(key, scope=READ)
    assert system.services.api_keys.of_store("Shop")[-1].last_used_at == system.clock.now
