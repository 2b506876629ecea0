"""The test's hand on its processes: orders to the launcher, who died of what, and a supervisor that starts them again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
KILLED: Final = -9


def birth(pid: int) -> str | None:
    """When a process was started, in the kernel's ticks; None when it has ended. Process ids are used again, pairs are not."""
    try:
        fields = Path("/proc", str(pid), "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


@dataclass(slots=True)
class Process:
    """One started process; ``code`` is None while it runs, negative when a signal ended it."""

    name: str
    role: str
    pid: int = 0
    code: int | None = None
    cpu_s: float = 0.0  #: what it and its reaped children used; known at its end
    ended: threading.Event = field(default_factory=threading.Event)

    def wait(self, timeout_s: float) -> int:
        """The exit code; AssertionError when it does not end in time."""
        assert self.ended.wait(timeout_s), f"{self.name} has not ended within {timeout_s} s"
        assert self.code is not None
        return self.code


class Launcher:
    """The process that forks ours (``tests.acceptance.launcher``), and the news it sends."""

    def __init__(self, folder: Path, *, sockets: tuple[int, ...] = ()) -> None:
        self.folder = folder
        self._log = (folder / "launcher.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.launcher", str(folder / "pycache")],
            cwd=ROOT, pass_fds=sockets, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self._log, env=_clean({**os.environ, "PYTHONPATH": str(ROOT)}),
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self._news = self._process.stdin, self._process.stdout
        self._sending = threading.Lock()  # one order at a time, so that the next "started" is its answer
        self._started: SimpleQueue[int] = SimpleQueue()
        self._running: dict[int, Process] = {}
        self._early: dict[int, dict[str, Any]] = {}  # ended before the order's own thread knew the pid
        self._lock = threading.Lock()
        self.on_end: Callable[[Process], None] = lambda _: None
        first = json.loads(self._news.readline() or b"{}")
        assert first.get("ready"), f"the launcher did not start; see {folder / 'launcher.log'}"
        self._reader = threading.Thread(target=self._read, name="launcher-news", daemon=True)
        self._reader.start()

    def start(self, name: str, role: str, environ: Mapping[str, str], **order: Any) -> Process:
        """Fork a process; returns once it exists."""
        process = Process(name, role)
        content = {
            "name": name, "role": role, "environ": dict(environ), "folder": str(self.folder),
            "log": str(self.folder / f"{name}.log"), **order,
        }  # fmt: skip
        with self._sending:
            self._orders.write(json.dumps(content).encode() + b"\n")
            self._orders.flush()
            process.pid = self._started.get(timeout=30)
        with self._lock:
            self._running[process.pid] = process
            news = self._early.pop(process.pid, None)
        if news is not None:
            self._end(news)
        return process

    def alive(self) -> list[Process]:
        """What runs now, in order of age."""
        with self._lock:
            return list(self._running.values())

    def close(self) -> None:
        """Kill everything that is left."""
        self.on_end = lambda _: None
        self._orders.close()
        self._process.wait(30)
        self._reader.join(10)
        self._news.close()
        self._log.close()

    def _read(self) -> None:
        for line in self._news:
            news = json.loads(line)
            if "started" in news:
                self._started.put(news["pid"])
            else:
                self._end(news)

    def _end(self, news: dict[str, Any]) -> None:
        with self._lock:
            process = self._running.pop(news["pid"], None)
            if process is None:
                self._early[news["pid"]] = news
                return
        process.code, process.cpu_s = news["code"], news["cpu_s"]
        process.ended.set()
        self.on_end(process)


class Supervisor:
    """Keeps processes running, as an init system would: what dies is started again at once, and counted."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._kept: dict[str, Callable[[], Process]] = {}
        self._dead: SimpleQueue[str | None] = SimpleQueue()
        self.ends: Counter[tuple[str, int]] = Counter()  #: (role, exit code) → how often, commands included
        self.cpu_ms: Counter[str] = Counter()  #: by role, of what has ended
        self.running: dict[str, Process] = {}
        self._changing = threading.Lock()  # what is kept, and what runs of it
        launcher.on_end = self._ended
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    def keep(self, name: str, role: str, environ: Mapping[str, str], **order: Any) -> None:
        """Start a process now, and again whenever it ends."""
        with self._changing:
            self._kept[name] = lambda: self._launcher.start(name, role, environ, **order)
            self.running[name] = self._kept[name]()

    @contextmanager
    def away(self, names: Collection[str]) -> Iterator[None]:
        """Kill these, and start them again only at the end of this block."""
        with self._changing:
            kept = {name: self._kept.pop(name) for name in names}
            dying = [self.running[name] for name in names]
        for one in dying:
            with suppress(ProcessLookupError):  # it was killed this very moment
                if not one.ended.is_set():
                    os.kill(one.pid, signal.SIGKILL)
            one.wait(30)
        try:
            yield
        finally:
            with self._changing:
                for name, start in kept.items():
                    self._kept[name] = start
                    self.running[name] = start()

    def stop(self) -> None:
        """Start nothing again from now on."""
        self._kept.clear()
        self._dead.put(None)
        self._thread.join(10)

    def _ended(self, process: Process) -> None:
        self.ends[process.role, process.code or 0] += 1
        self.cpu_ms[process.role] += round(process.cpu_s * 1000)
        if process.name in self._kept:
            if process.code != KILLED:  # its own fault: do not spin
                time.sleep(0.2)
            self._dead.put(process.name)

    def _run(self) -> None:
        while (name := self._dead.get()) is not None:
            with self._changing:
                start = self._kept.get(name)
                if start is not None:
                    self.running[name] = start()


def _clean(environ: dict[str, str]) -> dict[str, str]:
    """Without what would measure coverage: a killed process saves none, and measuring halves its speed."""
    return {name: value for name, value in environ.items() if not name.startswith("COV")}
