"""The processes of a run: the upstream, the floors, the service and its worker, with their CPU time and memory."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Threads of the one process that serves, as in ``checkout serve``.
THREADS: Final = 8
START_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """One gunicorn with one worker process."""

    port: int
    worker_pid: int

    def cpu_s(self) -> float:
        return cpu_s(self.worker_pid)


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, in seconds, to the nanosecond.

    Linux names the CPU clock of another process by its id (``clock_getcpuclockid``); all its threads count.
    """
    return time.clock_gettime((~pid << 3) | 2)


def resident_mb(pid: int) -> float:
    """Memory of a process that is in RAM now, in megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def process(command: list[str], environ: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """A child that is ended with the block; it reads what is written to its stdin."""
    with log.open("a") as sink:
        child = subprocess.Popen(
            command, env=dict(environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink, text=True
        )
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def upstream(delay_ms: int, log: Path) -> Iterator[str]:
    """The stand-in for both providers; its base URL."""
    command = [sys.executable, "-m", "benchmarks.upstream", str(delay_ms)]
    with process(command, os.environ, log) as child:
        assert child.stdout is not None
        yield f"http://127.0.0.1:{int(child.stdout.readline())}"


@contextmanager
def outbox(database_url: str, upstream_url: str, log: Path) -> Iterator[Callable[[str, int], float]]:
    """The bare outboxes; a function that has the named one work off so many rows and returns the seconds that took."""
    command = [sys.executable, "-m", "benchmarks.outbox", database_url, upstream_url]
    with process(command, os.environ, log) as child:

        def work_off(kind: str, steps: int) -> float:
            assert child.stdin is not None
            assert child.stdout is not None
            print(kind, steps, file=child.stdin, flush=True)
            return float(child.stdout.readline())

        yield work_off


@contextmanager
def worker(environ: Mapping[str, str], log: Path) -> Iterator[int]:
    """``checkout worker``; its process id, once it works."""
    command = [sys.executable, "-m", "checkout", "worker", "--json"]
    with process(command, {**os.environ, **environ}, log) as child:
        assert child.stdout is not None
        yield int(json.loads(child.stdout.readline())["pid"])


@contextmanager
def gunicorn(application: str, environ: Mapping[str, str], log: Path) -> Iterator[Server]:
    """``application`` (``module:name``) in one process of the kind that ``checkout serve`` starts."""
    port = _free_port()
    command = [
        sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", "1", "--threads", str(THREADS),
        "--bind", f"127.0.0.1:{port}", "--keep-alive", "75", "--log-level", "warning", application,
    ]  # fmt: skip
    with process(command, {**os.environ, **environ}, log) as child:
        _wait_until_it_answers(child, port, log)
        yield Server(port, _only_child(child.pid))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(child: subprocess.Popen[str], port: int, log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and child.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/nothing-here")
            connection.getresponse().read()
            connection.close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"a server did not start; its log ends with:\n{log.read_text()[-3000:]}")


def _only_child(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)
