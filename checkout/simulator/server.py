"""The simulator process: three HTTP servers and one scheduler.

``Servers`` runs them inside the present process (tests); ``run`` runs them until the process is told to end.
Neither starts in live mode.
"""

from __future__ import annotations

import importlib
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any, Protocol, Self, cast

from flask import Flask

from checkout.simulator.clock import FastClock
from checkout.simulator.options import Options
from checkout.simulator.scheduler import Scheduler
from checkout.simulator.surroundings import Surroundings
from checkout.simulator.wire import HttpServer


class Provider(Protocol):
    """What a provider's state offers the process around it."""

    def close(self) -> None: ...


class Servers:
    """The servers named in ``options``; ``start`` binds and serves, ``stop`` ends everything it began.

    ``stable_mint`` and ``stables`` are the providers' states (None when not started), for tests that look
    inside.
    """

    def __init__(self, options: Options) -> None:
        options.check()
        self.options = options
        self.scheduler = Scheduler()
        self.clock = FastClock(options.speed)
        self._stopping = threading.Event()
        self._servers: dict[str, HttpServer] = {}
        self._providers: dict[str, Any] = {}

    def start(self) -> Self:
        """Bind every port first (so that each part knows the others' addresses), then build and serve."""
        try:
            for name in ("stable_mint", "stables", "shop"):
                place = getattr(self.options, name)
                if place is not None:
                    self._servers[name] = HttpServer(place)
            bound = {name: (getattr(self.options, name)[0], one.port) for name, one in self._servers.items()}
            self.options = replace(self.options, **cast("dict[str, Any]", bound))
            for name, server in self._servers.items():
                self._build(name, server)
            self.scheduler.start()
            for server in self._servers.values():
                server.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        self._stopping.set()
        for server in self._servers.values():
            server.stop()
        self.scheduler.stop()
        for provider in self._providers.values():
            provider.close()
        self._servers.clear()
        self._providers.clear()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def stable_mint_url(self) -> str:
        return self._servers["stable_mint"].url

    @property
    def stables_url(self) -> str:
        return self._servers["stables"].url

    @property
    def shop_url(self) -> str:
        return self._servers["shop"].url

    @property
    def stable_mint(self) -> Any:
        return self._providers.get("stable_mint")

    @property
    def stables(self) -> Any:
        return self._providers.get("stables")

    def _build(self, name: str, server: HttpServer) -> None:
        # By name and only when asked for: each part can be worked on, and started, without the others.
        part = importlib.import_module(f"checkout.simulator.{name}")
        if name == "shop":
            server.application = cast("Flask", part.create_app(self.options))
            return
        around = Surroundings(self.options, server.url, self.clock, self.scheduler, self._stopping)
        state = {"stable_mint": "StableMintState", "stables": "StablesState"}[name]
        self._providers[name] = provider = cast("Provider", getattr(part, state)(around))
        server.recorder, server.kills = around.recorder, around.kills
        server.application = cast("Flask", part.create_app(provider))


def run(options: Options, ready: Callable[[Servers], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. ``ready`` is called once every port answers; main thread only.

    Raises :class:`checkout.errors.NotPossible` outside sandbox, :class:`checkout.errors.SettingsRefused` for
    options that are missing, and OSError for a port that cannot be bound; all before anything is served.
    """
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    with Servers(options) as servers:
        before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            if ready is not None:
                ready(servers)
            ended.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
