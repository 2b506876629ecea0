"""Starts the service's processes for tests, each a real process that a real SIGKILL can end; nothing of it is in the package.

Run as a program it imports everything once, then forks a child per order: starting one takes a tenth of a second, which
is what lets one test run kill hundreds. It has no thread, socket or database connection of its own; a child makes all of
its own after the fork. Orders come as JSON lines on stdin, news goes out as JSON lines on stdout; at the end of stdin
every child is killed. Linux only, as the simulator's kill switch is.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import random
import select
import signal
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

from tests.acceptance.processes import birth

PR_SET_PDEATHSIG: Final = 1
CHILDREN_NEED: Final = (
    "checkout.cli", "checkout.commands.web_server", "checkout.web", "gunicorn.workers.gthread", "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite", "tests.acceptance.commits",
    "tests.acceptance.outside",
)  # fmt: skip


def main() -> None:
    """Serve orders until stdin ends."""
    _import_everything()
    wake_in, wake_out = os.pipe()
    os.set_blocking(wake_out, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_out)
    children: dict[int, str] = {}
    _tell(ready=True)
    pending = b""
    while True:
        readable, _, _ = select.select([0, wake_in], [], [])
        if wake_in in readable:
            os.read(wake_in, 512)
            _reap(children)
        if 0 in readable:
            chunk = os.read(0, 65_536)
            if not chunk:
                break
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                _start(json.loads(line), children)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _import_everything() -> None:
    """What children need, so that none of them has to import it."""
    for name in CHILDREN_NEED:
        importlib.import_module(name)
    # every child reads the migrations: what the first one compiles serves the others, whatever this machine's habits
    sys.dont_write_bytecode, sys.pycache_prefix = False, sys.argv[1]
    gc.collect()
    gc.freeze()  # else every child would go through all of this again, and copy the memory by doing so


def _start(order: dict[str, Any], children: dict[int, str]) -> None:
    pid = os.fork()
    if pid == 0:
        _be(order)
    children[pid] = order["name"]
    _tell(started=order["name"], pid=pid)


def _reap(children: dict[int, str]) -> None:
    while True:
        try:
            pid, status, used = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        name = children.pop(pid, None)
        if name is not None:
            cpu_s = used.ru_utime + used.ru_stime
            _tell(ended=name, pid=pid, code=os.waitstatus_to_exitcode(status), cpu_s=round(cpu_s, 3))


def _tell(**news: object) -> None:
    os.write(1, json.dumps(news).encode() + b"\n")


# --- in the child ----------------------------------------------------------------------------------------------------


def _be(order: dict[str, Any]) -> NoReturn:
    """Become the process that was ordered; never returns to the launcher's loop."""
    code = 1
    try:
        _settle(order)
        code = ROLES[order["role"]](order)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _settle(order: dict[str, Any]) -> None:
    """The child's own surroundings: environment, folder, output, chance, and the listener at its commits."""
    end_with_parent()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(order["environ"])
    os.chdir(order["folder"])
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    output = (
        log if order.get("output") is None else os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    )
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (log, 2)):
        os.dup2(source, target)
    random.seed()
    seen, armed = (os.environ.get(name) for name in ("TEST_COMMITS_SEEN", "TEST_COMMITS_ARMED"))
    if seen or armed:
        from tests.acceptance.commits import watch

        watch(Path(seen) if seen else None, Path(armed) if armed else None)
    note_role(order["role"])


def end_with_parent() -> None:
    """Have the kernel end this process with its parent, so that no test run leaves any behind."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def note_role(role: str) -> None:
    """Leave a file that says what this process is: whoever kills by connection knows only the process's id."""
    folder = os.environ.get("TEST_ROLES")
    if folder:
        Path(folder, str(os.getpid())).write_text(f"{role} {birth(os.getpid())}", encoding="utf-8")


def _web(order: dict[str, Any]) -> int:
    """The web server of `checkout serve`, on a socket that is open already: a restart refuses no connection."""
    from checkout import logs
    from checkout.commands.installation import present_settings
    from checkout.commands.web_server import WebServer

    class NotedWebServer(WebServer):
        """Its processes leave a note of what they are, for whoever kills by connection."""

        def load_config(self) -> None:
            super().load_config()
            self.cfg.set("post_fork", lambda _arbiter, _process: forked())

    def forked() -> None:
        random.seed()
        note_role("web")

    logs.configure(sys.stderr)
    NotedWebServer(present_settings(), order["socket"], lambda: None).run()
    return 0


def _command(order: dict[str, Any]) -> NoReturn:
    """One command line of `checkout`, as a person or an init system starts it."""
    from checkout.cli import cli

    cli.main(order["arguments"])


def _outside(order: dict[str, Any]) -> int:
    from tests.acceptance.outside import serve

    serve(order)
    return 0


ROLES: Final = {"worker": _command, "web": _web, "command": _command, "outside": _outside}


if __name__ == "__main__":
    main()
