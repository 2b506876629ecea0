"""Two kinds of child of `checkout serve`: the web server, without which there is no service, and the worker, which is
started again whenever it dies.

Both are made by exec, so neither inherits a connection, a lock or a thread. Everything ends together: a signal to the
supervisor stops both; its own death, whatever the cause, stops both too (:mod:`checkout.commands.parent`).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from checkout.commands.parent import Asked

log = structlog.get_logger("checkout.serve")

#: Web processes; each has ``app.THREADS`` threads.
PROCESSES: Final = 2
#: What a request under way is given to end when the service stops.
GRACE_S: Final = 20
TICK_S: Final = 0.05
#: Waits before a dead worker is started again: doubling from the first, at most the last.
RESTART_FIRST_S: Final = 0.2
RESTART_MAX_S: Final = 5.0
#: A worker that lived this long had a good start: the waits begin anew.
GOOD_LIFE_S: Final = 20.0
#: A worker ends after the step it is in, and a step has its own deadline (design, section 6).
STOP_S: Final = GRACE_S + 5.0


@dataclass(slots=True)
class WorkerChild:
    """The one worker: running, or waiting to be started again."""

    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    wait_s: float = field(default=RESTART_FIRST_S)

    def tend(self, now: float) -> None:
        """Start it when it is time; note its death, and when it may live again."""
        if self.process is None:
            if now >= self.start_at:
                self.process = subprocess.Popen(self.command)  # noqa: S603 - our own interpreter and module
                self.started_at = now
            return
        code = self.process.poll()
        if code is None:
            return
        self.wait_s = RESTART_FIRST_S if now - self.started_at >= GOOD_LIFE_S else self.wait_s
        log.warning("worker died; it is started again", exit_code=code, wait_s=round(self.wait_s, 1))
        self.process, self.start_at = None, now + self.wait_s
        self.wait_s = min(self.wait_s * 2, RESTART_MAX_S)


def supervise(listener: socket.socket, *, with_worker: bool, ready: Callable[[int, int | None], None]) -> int:
    """Run the web server, and a worker, until a signal comes: 0. The web server ending by itself: 1.

    ``ready`` is called once, with the process ids of web server and worker, when the first web process can answer.
    """
    with Asked() as asked:
        return _supervise(asked, listener, with_worker=with_worker, ready=ready)


def _supervise(
    asked: Asked, listener: socket.socket, *, with_worker: bool, ready: Callable[[int, int | None], None]
) -> int:
    ready_in, ready_out = os.pipe()
    os.set_blocking(ready_in, False)
    me = str(os.getpid())
    web = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "checkout.commands.web_server", str(listener.fileno()), str(ready_out), me],
        pass_fds=(listener.fileno(), ready_out),
    )
    # Ours would keep the port open, and its callers waiting, after the web server's end.
    listener.close()
    os.close(ready_out)
    worker = WorkerChild([sys.executable, "-m", "checkout", "worker", "--parent", me]) if with_worker else None
    told = False
    try:
        while not asked and web.poll() is None:
            if worker is not None:
                worker.tend(time.monotonic())
            if not told and _is_ready(ready_in):
                told = True
                ready(web.pid, worker.process.pid if worker is not None and worker.process is not None else None)
            time.sleep(TICK_S)
        if not asked:
            log.error("the web server ended by itself", exit_code=web.returncode)
        return 0 if asked else 1
    finally:
        os.close(ready_in)
        children = [web, *([worker.process] if worker is not None and worker.process is not None else [])]
        stop(children, wait_s=STOP_S)


def _is_ready(descriptor: int) -> bool:
    try:
        return bool(os.read(descriptor, 1))
    except BlockingIOError:
        return False


def stop(children: Sequence[subprocess.Popen[bytes]], *, wait_s: float) -> None:
    """Ask all of them to end, together; kill what is still there after ``wait_s``."""
    for child in children:
        if child.poll() is None:
            child.terminate()
    end = time.monotonic() + wait_s
    for child in children:
        try:
            child.wait(timeout=max(end - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
