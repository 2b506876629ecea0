"""Commands as real processes, and a way to see what is left of them: every descendant carries a mark in its environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from checkout.environment import VARIABLES

ROOT: Final = Path(__file__).resolve().parents[2]
MARK: Final = "CHECKOUT_TEST_MARK"


class Running:
    """One command, started in its own process group and directory; ``document`` is its one line on stdout."""

    def __init__(self, folder: Path, environ: Mapping[str, str], *words: str) -> None:
        self.mark = uuid.uuid4().hex
        clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        self._out, self._log = folder / f"{self.mark}.out", folder / f"{self.mark}.log"
        with self._out.open("wb") as out, self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "checkout", *words],
                cwd=folder,
                env={**clean, **environ, MARK: self.mark, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def out(self) -> str:
        return self._out.read_text(encoding="utf-8")

    def document(self, within: float = 60) -> Any:
        """The line that a command which goes on running says once it is ready."""
        self.until(lambda: self.out.endswith("\n"), within)
        return json.loads(self.out)

    def until(self, reached: Callable[[], bool], within: float = 60) -> None:
        until(lambda: reached() or self.process.poll() is not None, within, lambda: self.log)
        assert reached(), f"it ended with {self.process.returncode}: {self.log}"

    def end(self, number: int = signal.SIGTERM, within: float = 60) -> int:
        """Send a signal to the command alone; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(within)

    def family(self) -> dict[int, str]:
        """Every living process that descends from the command, itself included: pid and command line."""
        return marked(self.mark)

    def of(self, words: str) -> list[int]:
        """Those of the family whose command line has ``words``."""
        return sorted(pid for pid, line in self.family().items() if words in line)

    def clear(self) -> None:
        """Kill whatever is left."""
        for pid in self.family():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(10)


def marked(mark: str) -> dict[int, str]:
    """Every living process whose environment has the mark: pid and command line."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            has_it = f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0")
            state = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue
        if has_it and state != "Z":
            found[int(entry.name)] = words
    return found


@contextmanager
def signalled(number: int, reached: Callable[[], bool]) -> Iterator[None]:
    """Send this process a signal, as an operator would, as soon as ``reached``: for commands run inside a test."""
    over = threading.Event()

    def send() -> None:
        while not over.wait(0.05):
            if reached():
                os.kill(os.getpid(), number)
                return

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def until(reached: Callable[[], bool], within: float, saying: Callable[[], str] = str) -> None:
    end = time.monotonic() + within
    while not reached():
        assert time.monotonic() < end, f"it never came: {saying()}"
        time.sleep(0.05)
