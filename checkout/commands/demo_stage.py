"""The stage of the demo: a temporary directory with an installation of its own, and the processes that play in it.

Everything runs through the public commands, as processes. Whatever happens, no process stays behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from checkout.app import ROOT
from checkout.commands.place import Place, free_port, is_free, url_of
from checkout.commands.supervision import stop
from checkout.rules.urls import read_url

LOOK_EVERY_S: Final = 0.05
STOP_S: Final = 10.0
TAIL_LINES: Final = 15
HOST: Final = "127.0.0.1"
#: Ports a person may remember; free ones are taken instead where these are in use, and always with ``--once``.
USUAL: Final = {"service": 8000, "stable_mint": 8101, "stables": 8102, "shop": 8103}
#: Variables that may name a file relative to the directory the demo was started in.
PATHS: Final = ("STABLE_MINT_PRIVATE_KEY", "STABLE_MINT_WEBHOOK_PUBLIC_KEY")
SQLITE: Final = "sqlite:///"


class DemoFailed(Exception):
    """The story ended badly; the message says where. ``code`` is the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Setting:
    """Where everything is, and what the environment has replaced."""

    service: Place  #: where `serve` listens
    shop: Place
    stable_mint: Place | None  #: None: the environment names a provider
    stables: Place | None
    stable_mint_url: str
    stables_url: str
    variables: Mapping[str, str]  #: of every process

    @property
    def own_providers(self) -> bool:
        return self.stable_mint is not None and self.stables is not None


def set_up(given: Mapping[str, str], *, speed: float, usual_ports: bool) -> Setting:
    """Places and variables. Provider bases in the environment replace our simulator; so does a public URL our own."""

    def place(name: str) -> Place:
        usual = (HOST, USUAL[name])
        return usual if usual_ports and is_free(usual) else (HOST, free_port(HOST))

    variables = _absolute(given)
    mint = None if given.get("STABLE_MINT_API_URL", "").strip() else place("stable_mint")
    stables = None if given.get("STABLES_API_URL", "").strip() else place("stables")
    if mint is not None:
        variables |= {"STABLE_MINT_API_URL": url_of(mint), "STABLE_MINT_PAGE_DOMAINS": url_of(mint)}
        variables.pop("STABLE_MINT_WIDGET_URL", None)  # `init` writes our simulator's
        variables.pop("STABLE_MINT_WEBHOOK_PUBLIC_KEY", None)  # our simulator signs with a key of its own
    if stables is not None:
        variables["STABLES_API_URL"] = url_of(stables)
    if mint is not None and stables is not None:
        variables.setdefault("CHECKOUT_SPEED", f"{speed:g}")
    service = _bound(given.get("CHECKOUT_PUBLIC_URL", "")) or place("service")
    variables.setdefault("CHECKOUT_PUBLIC_URL", url_of(service))
    # the commands are found also where the package runs from a checkout that is not installed
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), given.get("PYTHONPATH", ""))))
    return Setting(
        service, place("shop"), mint, stables, variables["STABLE_MINT_API_URL"].rstrip("/"),
        variables["STABLES_API_URL"].rstrip("/"), variables,
    )  # fmt: skip


def _bound(public_url: str) -> Place | None:
    """Where to listen for a public URL on this machine; None for one elsewhere, which something forwards to us."""
    url = read_url(public_url.strip())
    return (url.host.strip("[]"), url.port) if url is not None and url.loopback and url.port is not None else None


def _absolute(given: Mapping[str, str]) -> dict[str, str]:
    """The variables, with paths that hold in another working directory too."""
    variables = dict(given)
    database = given.get("CHECKOUT_DATABASE_URL", "")
    if database.startswith(SQLITE) and not database.startswith(SQLITE + "/"):
        variables["CHECKOUT_DATABASE_URL"] = SQLITE + str(Path(database.removeprefix(SQLITE)).resolve())
    for name in PATHS:
        value = given.get(name, "")
        if 0 < len(value) < 1024 and "\n" not in value and Path(value).is_file():
            variables[name] = str(Path(value).resolve())
    return variables


class Stage:
    """Processes in a directory of their own, until a deadline; a context manager that clears everything away."""

    def __init__(self, setting: Setting, *, timeout_s: float | None) -> None:
        self.setting = setting
        self._folder = tempfile.TemporaryDirectory(prefix="checkout-demo-")
        self.path = Path(self._folder.name)
        self._end = None if timeout_s is None else time.monotonic() + timeout_s
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop(list(self._children.values()), wait_s=STOP_S)
        self._folder.cleanup()

    def left_s(self) -> float:
        """Seconds until the deadline; DemoFailed after it."""
        if self._end is None:
            return 3600.0
        left = self._end - time.monotonic()
        if left <= 0:
            raise DemoFailed("the time for the demo is over")
        return left

    def pause(self, seconds: float = LOOK_EVERY_S) -> None:
        """Wait a little; DemoFailed when the time is over, or a process has ended that should be playing."""
        time.sleep(min(seconds, self.left_s()))
        for name, child in self._children.items():
            if child.poll() is not None:
                raise DemoFailed(f"`checkout {name}` ended by itself with code {child.returncode}")

    def run(self, *words: str) -> Any:
        """One command to its end; its document. DemoFailed with the command's own words when it fails."""
        command = [sys.executable, "-m", "checkout", *words, "--json"]
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter and module
                command, cwd=self.path, env=dict(self.setting.variables), stdin=subprocess.DEVNULL,
                capture_output=True, timeout=self.left_s(), check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise DemoFailed(f"`checkout {' '.join(words[:2])}` took too long") from None
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().removeprefix("checkout: ")
            raise DemoFailed(f"`checkout {' '.join(words[:2])}` failed: {said}", code=done.returncode)
        return json.loads(done.stdout)

    def run_together(self, *commands: Sequence[str]) -> list[Any]:
        """Several commands that do not wait for each other, at once; their documents, in order."""
        with ThreadPoolExecutor(len(commands)) as pool:
            return list(pool.map(lambda words: self.run(*words), commands))

    def start(self, name: str, *words: str) -> None:
        """A command that goes on running; it ends with us, however we end."""
        command = [sys.executable, "-m", "checkout", name, *words, "--json", "--parent", str(os.getpid())]
        with (self.path / f"{name}.out").open("wb") as out, (self.path / f"{name}.log").open("wb") as errors:
            self._children[name] = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command, cwd=self.path, env=dict(self.setting.variables), stdin=subprocess.DEVNULL, stdout=out,
                stderr=errors,
            )  # fmt: skip

    def ready(self, name: str) -> Any:
        """What a started command says once it is ready."""
        while True:
            said = (self.path / f"{name}.out").read_bytes()
            if said.endswith(b"\n") and self._children[name].poll() is None:
                return json.loads(said)
            self.pause()

    def tails(self) -> str:
        """The end of every log, for whoever has to find out."""
        parts = []
        for log in sorted(self.path.glob("*.log")):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
            if lines:
                parts.append("\n".join([f"--- {log.stem} ---", *lines]))
        return "\n".join(parts)
