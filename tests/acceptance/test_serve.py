"""`checkout serve` and `checkout worker` as real processes: they start together, and nothing of them stays behind."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.running import Running, until
from tests.system import environment, make_system

Start = Callable[..., Running]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_system(f"sqlite:///{tmp_path / 'checkout.db'}").close()
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start a command over a migrated database; whatever is left of it is killed."""
    started: list[Running] = []

    def make(*words: str, **changes: str) -> Running:
        one = Running(folder, environment(f"sqlite:///{folder / 'checkout.db'}", **changes), *words)
        started.append(one)
        return one

    yield make
    for one in started:
        one.clear()


def serving(start: Start, *words: str) -> tuple[Running, str]:
    one = start("serve", "--bind", "127.0.0.1:0", "--json", *words)
    return one, one.document()["url"]


def healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_it_serves_until_it_is_asked_to_end_and_leaves_nothing(start: Start) -> None:
    one, url = serving(start)
    assert healthy(url)
    assert httpx.get(f"{url}/readyz", trust_env=False).json()["ready"]
    assert len(one.of("web_server")) == 3  # gunicorn's own process and two that answer
    (worker,) = one.of("checkout worker")
    os.kill(worker, signal.SIGKILL)
    until(lambda: one.of("checkout worker") not in ([], [worker]), 30)
    assert "worker died" in one.log
    assert healthy(url)
    assert one.end(signal.SIGTERM) == 0
    assert one.family() == {}
    assert json.loads(one.out)["url"] == url  # one document, and nothing after it
    assert "Traceback" not in one.log


def test_the_worker_can_run_elsewhere(start: Start) -> None:
    one = start("serve", "--bind", "127.0.0.1:0", "--json", "--no-worker")
    worker = start("worker", "--id", "second", "--json")
    assert one.document()["worker_pid"] is None
    assert one.of("checkout worker") == []
    assert worker.document() == {"worker": "second", "pid": worker.process.pid}
    worker.until(lambda: "worker started" in worker.log)
    assert worker.end(signal.SIGTERM) == 0
    lines = [json.loads(line) for line in worker.log.splitlines()]
    assert [line["event"] for line in lines] == ["worker started", "worker stopped"]
    assert one.end(signal.SIGINT) == 0
    assert one.family() == {}


def test_nothing_outlives_a_supervisor_that_was_killed(start: Start) -> None:
    one, _ = serving(start)
    assert len(one.family()) == 5
    one.process.kill()
    until(lambda: one.family() == {}, 30, lambda: str(one.family()))


def test_nothing_outlives_its_group(start: Start) -> None:
    one, _ = serving(start)
    os.killpg(one.process.pid, signal.SIGKILL)
    until(lambda: one.family() == {}, 10, lambda: str(one.family()))


def test_without_its_web_server_it_ends_as_failed(start: Start) -> None:
    one, _ = serving(start)
    os.kill(one.document()["pid"], signal.SIGKILL)
    assert one.process.wait(60) == 1
    until(lambda: one.family() == {}, 10, lambda: str(one.family()))
    assert "the web server ended by itself" in one.log
