"""The web processes: gunicorn over a socket that the supervisor has bound. Run as a module, by `checkout serve` alone.

The application is built in each process after the fork, never before: an engine's connections and a client's pool must
not be shared between processes.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from checkout import logs
from checkout.app import THREADS, Services, build, create_app
from checkout.commands import parent
from checkout.commands.installation import present_settings
from checkout.commands.supervision import GRACE_S, PROCESSES
from checkout.config import Settings

#: Longer than a load balancer keeps an idle connection costs nothing here: idle ones wait in the poller, not in a thread.
KEEPALIVE_S: Final = 65
#: A process that has not answered the arbiter for this long is replaced. Slow requests do not count: they have threads.
STUCK_S: Final = 60
#: Shared memory where there is some: on a disk, gunicorn's heartbeat could block with the disk.
HEARTBEATS: Final = Path("/dev/shm")  # noqa: S108 - a file without a name, made by gunicorn


class JsonLog(Logger):  # type: ignore[misc]
    """Gunicorn's own log goes the way of ours: JSON on stderr, redacted. No access log."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in list(self.error_log.handlers):
            self.error_log.removeHandler(handler)
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)


class WebServer(BaseApplication):  # type: ignore[misc]
    """Gunicorn without its command line, its configuration file and its control socket."""

    def __init__(self, settings: Settings, listener: int, ready: Callable[[], None]) -> None:
        self._settings = settings
        self._listener = listener
        self._ready = ready
        self._services: Services | None = None
        super().__init__()

    def load_config(self) -> None:
        options: dict[str, Any] = {
            "bind": f"fd://{self._listener}",
            "worker_class": "gthread",
            "workers": PROCESSES,
            "threads": THREADS,
            "worker_connections": 500,
            "keepalive": KEEPALIVE_S,
            "timeout": STUCK_S,
            "graceful_timeout": GRACE_S,
            "limit_request_line": 4094,
            "limit_request_fields": 64,
            "limit_request_field_size": 8190,
            "logger_class": JsonLog,
            "accesslog": None,
            "preload_app": False,
            # who a request came from and under which scheme is decided by CHECKOUT_TRUSTED_PROXIES alone
            "forwarded_allow_ips": "",
            # they would notice by themselves a second later, and hold the port until then
            "post_fork": lambda server, _worker: parent.follow(server.pid),
            "post_worker_init": lambda _worker: self._ready(),
            "worker_exit": lambda _server, _worker: self._close(),
        }
        if HEARTBEATS.is_dir() and os.access(HEARTBEATS, os.W_OK):
            options["worker_tmp_dir"] = str(HEARTBEATS)
        if "control_socket_disable" in self.cfg.settings:  # gunicorn 25.1 and newer open one by default
            options["control_socket_disable"] = True
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Called in each web process, after the fork."""
        self._services = build(self._settings)
        return create_app(self._services)

    def _close(self) -> None:
        if self._services is not None:
            self._services.close()


def main(listener: int, ready: int, supervisor: int) -> None:
    """Serve on the inherited descriptor ``listener``; write one byte to ``ready`` whenever a process can answer."""
    logs.configure(sys.stderr)
    parent.follow(supervisor)
    WebServer(present_settings(), listener, lambda: _tell(ready)).run()


def _tell(ready: int) -> None:
    try:
        os.write(ready, b"+")
    except OSError:  # the supervisor stops listening after the first
        return


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
