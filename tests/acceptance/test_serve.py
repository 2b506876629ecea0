"""`checkout serve` and `checkout worker` as real processes: they start together, and nothing of them stays behind."""

from __future__ import annotations

import json
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from checkout.commands.place import free_port
from checkout.commands.web_server import JsonLog, WebServer
from checkout.config import Settings
from tests.acceptance.running import MARK, ROOT, Running, marked, signalled, until
from tests.edges.command_line import Terminal
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


def test_it_serves_until_it_is_asked_to_end_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor itself runs inside the test here; its children are real."""
    monkeypatch.chdir(folder)
    mark, port = uuid.uuid4().hex, free_port()
    url = f"http://127.0.0.1:{port}"
    seen: dict[str, Any] = {}

    def children(words: str) -> list[int]:
        return sorted(pid for pid, line in marked(mark).items() if words in line)

    def seen_enough() -> bool:
        if not healthy(url) or not children("checkout worker"):
            return False
        seen["ready"] = httpx.get(f"{url}/readyz", trust_env=False).json()["ready"]
        seen["web"] = children("web_server")  # gunicorn's own process and two that answer
        (worker,) = children("checkout worker")
        os.kill(worker, signal.SIGKILL)
        until(lambda: children("checkout worker") not in ([], [worker]), 60)
        seen["healthy"] = healthy(url)
        return True

    terminal = Terminal({**environment(f"sqlite:///{folder / 'checkout.db'}"), "PYTHONPATH": str(ROOT), MARK: mark})
    with signalled(signal.SIGTERM, seen_enough):
        document = terminal.ask("serve", "--bind", f"127.0.0.1:{port}")
    assert document["url"] == url  # one document, and nothing after it
    assert seen["ready"]
    assert len(seen["web"]) == 3
    assert document["pid"] in seen["web"]
    assert seen["healthy"]
    assert marked(mark) == {}


def test_a_worker_ends_after_the_step_in_hand(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    terminal = Terminal(environment(f"sqlite:///{folder / 'checkout.db'}"))
    with signalled(signal.SIGTERM, lambda: any(one.name == "event-0" for one in threading.enumerate())):
        result = terminal.type("worker", "--id", "first")
    assert result.exit_code == 0
    assert result.stdout == "Worker first is working. Ctrl-C stops.\n"
    assert [json.loads(line)["event"] for line in result.stderr.splitlines()] == ["worker started", "worker stopped"]


def test_gunicorn_is_given_its_limits_and_builds_the_app_after_the_fork(folder: Path) -> None:
    settings = Settings.from_env(environment(f"sqlite:///{folder / 'checkout.db'}"))
    server = WebServer(settings, 3, lambda: None)
    assert server.callable is None
    assert (server.cfg.address, server.cfg.workers, server.cfg.threads) == ([3], 2, 8)
    assert server.cfg.worker_class_str == "gthread"
    assert (server.cfg.preload_app, server.cfg.accesslog) == (False, None)
    log = JsonLog(server.cfg)
    assert log.error_log.propagate
    assert log.error_log.handlers == []
    app = server.load()
    assert app.test_client().get("/healthz").status_code == 200
    server.cfg.worker_exit(None, None)


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
