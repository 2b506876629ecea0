"""Which Chromium the browser tests drive: one on PATH, else Playwright's own, installed when it can be."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Error, Playwright

#: What distributions call it.
NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Playwright's download is some 150 MB; without a network it must not hold everybody up.
INSTALL_S: Final = 180
INSTALL: Final = (sys.executable, "-m", "playwright", "install", "chromium")
#: The one command for a person: it also brings the libraries that Chromium needs.
COMMAND: Final = ".venv/bin/python -m playwright install --with-deps chromium"


class NoChromium(Exception):
    """There is no browser to test with; the message says why and what to do."""


def launch(playwright: Playwright) -> Browser:
    """Start the Chromium that is here or can be had; NoChromium otherwise."""
    try:
        return playwright.chromium.launch(executable_path=_found(playwright))
    except Error as problem:
        raise NoChromium(f"Chromium does not start; run {COMMAND} ({problem.message.splitlines()[0]})") from None


def _found(playwright: Playwright) -> str:
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    own = Path(playwright.chromium.executable_path)
    if not own.exists():
        _install()
    return str(own)


def _install() -> None:
    try:
        done = subprocess.run(INSTALL, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        raise NoChromium(f"no Chromium, and installing one took more than {INSTALL_S} s; run {COMMAND}") from None
    if done.returncode:
        raise NoChromium(f"no Chromium, and none could be installed; run {COMMAND}")
