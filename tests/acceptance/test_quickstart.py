"""The quickstart as somebody new follows it: its commands and its shop, as they stand on the page, in real processes.

Two things alone are different. ``make setup`` has been done already; and the page's ports are others here, because
somebody may really be following it on this machine.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx
import pytest

from checkout.app import create_app
from checkout.commands.demo_shopper import Page as ShownPage
from checkout.commands.demo_shopper import pay
from checkout.commands.place import free_port
from checkout.environment import VARIABLES
from tests.acceptance.running import ROOT, until
from tests.edges.guides.page import Page, Snippet, commands, same
from tests.system import make_system

PAGE: Final = "/docs/quickstart"
PORTS: Final = ("8000", "8101", "8102", "8104")
#: Lines of the shop that are not empty.
LINES_MAX: Final = 30
#: The machine may be doing other things too.
PATIENCE_S: Final = 60
#: What `init` must know when the ports are others.
PLACES: Final = {
    "CHECKOUT_PUBLIC_URL": "http://127.0.0.1:8000",
    "STABLE_MINT_API_URL": "http://127.0.0.1:8101",
    "STABLES_API_URL": "http://127.0.0.1:8102",
}


class Newcomer:
    """Does what the page says, from top to bottom, in terminals of one directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ends = ExitStack()
        self._ports = {port: str(free_port()) for port in PORTS}
        self._copied: dict[str, str] = {}  #: what an earlier command has printed, by how the page writes it
        self._order = ""
        self._terminals: list[subprocess.Popen[bytes]] = []
        self._starting: list[Callable[[], None]] = []  #: each waits until what a terminal has started answers
        clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environ = {**clean, "PATH": tools, "NO_PROXY": "127.0.0.1", "PYTHONUNBUFFERED": "1"}
        self._environ |= {name: self._here(url) for name, url in PLACES.items()}

    def __enter__(self) -> Newcomer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            for terminal in reversed(self._terminals):  # the shop before the service that it talks to
                os.killpg(terminal.pid, signal.SIGINT)
                terminal.wait(PATIENCE_S)
        finally:
            for terminal in self._terminals:
                if terminal.poll() is None:
                    os.killpg(terminal.pid, signal.SIGKILL)
                    terminal.wait(10)
            self._ends.close()

    def _here(self, text: str) -> str:
        for port, ours in self._ports.items():
            text = re.sub(rf"(?<!\d){port}(?!\d)", ours, text)
        for shown, said in self._copied.items():
            text = text.replace(shown, said)
        return text

    # --- each kind of snippet ----------------------------------------------------------------------------------------

    def install(self, snippet: Snippet) -> None:
        """The target is there; running it would only be slow, and the rest is about the reader's own directories."""
        for line, shown in commands(snippet.text):
            assert not shown
            if line.startswith("make "):
                subprocess.run([*line.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)
            else:
                assert line in (". .venv/bin/activate", "mkdir ~/first-shop", "cd ~/first-shop")

    def file(self, snippet: Snippet) -> None:
        (self._folder / snippet.marks["data-name"]).write_text(snippet.text, encoding="utf-8")

    def console(self, snippet: Snippet) -> None:
        if "data-stays" in snippet.marks:
            self._stays(snippet)
            return
        for line, shown in commands(snippet.text):
            done = subprocess.run(
                ["bash", "-c", self._here(line)], cwd=self._folder, env=self._environ, timeout=PATIENCE_S,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
            for one in shown:
                said = next((other for other in done.stdout.splitlines() if same(f"…{one}…", other)), None)
                assert said is not None, f"{one!r} is not in what `{line}` says:\n{done.stdout}"
                if "_…" in one:
                    self._copied[one.split()[-1]] = said.split()[-1]

    def _stays(self, snippet: Snippet) -> None:
        """A terminal of its own, interrupted at the end, as by Ctrl-C. It is waited for before the shopper comes."""
        script = self._here("\n".join(line for line, _ in commands(snippet.text)))
        log = self._ends.enter_context((self._folder / f"{time.monotonic_ns()}.log").open("w+"))
        terminal = subprocess.Popen(
            ["bash", "-c", script], cwd=self._folder, env=self._environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        self._terminals.append(terminal)
        url = self._here(snippet.marks["data-stays"])

        def answers() -> bool:
            assert terminal.poll() is None, Path(log.name).read_text(encoding="utf-8")
            try:
                return httpx.get(url, trust_env=False).is_success
            except httpx.TransportError:
                return False

        self._starting.append(lambda: until(answers, PATIENCE_S, lambda: Path(log.name).read_text(encoding="utf-8")))

    def page(self, snippet: Snippet) -> None:
        """What the shopper sees who has bought and paid; looking again is all they do."""
        if not self._order:
            self._order = self._buys()
        wanted = snippet.text.strip()
        until(lambda: _seen(self._order) == wanted, PATIENCE_S, lambda: _seen(self._order))

    def _buys(self) -> str:
        """Buy, pay at the bank, come back; the address in the shop where that ends."""
        for ready in self._starting:
            ready()
        with httpx.Client(trust_env=False, timeout=PATIENCE_S) as browser:
            shop = self._here("http://127.0.0.1:8104/")
            assert "<form method=post>" in browser.get(shop).text
            answer = browser.post(shop)
            assert answer.status_code == 303, answer.text
            came_back = pay(answer.headers["location"], lambda: time.sleep(0.1))
            onward = ShownPage(browser.get(came_back).text).onward
        assert onward is not None
        assert onward.startswith(shop + "orders/")
        return onward


def _seen(url: str) -> str:
    return httpx.get(url, trust_env=False).raise_for_status().text


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    with Newcomer(tmp_path) as one:
        yield one


@pytest.fixture
def quickstart(tmp_path: Path) -> Page:
    """The page as a service shows it."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    system = make_system(f"sqlite:///{folder / 'checkout.db'}")
    try:
        return Page(create_app(system.services).test_client().get(PAGE).text)
    finally:
        system.close()


def test_who_follows_it_has_a_shop_that_learns_of_its_first_payment(newcomer: Newcomer, quickstart: Page) -> None:
    assert len(quickstart.snippets) == quickstart.codes
    for snippet in quickstart.snippets:
        getattr(newcomer, snippet.kind)(snippet)
    assert next(one.text for one in quickstart.snippets if one.kind == "page") == "The payment is accepted"


def test_the_shop_has_thirty_lines(quickstart: Page) -> None:
    (shop,) = [snippet for snippet in quickstart.snippets if snippet.kind == "file"]
    assert len([line for line in shop.text.splitlines() if line.strip()]) <= LINES_MAX
