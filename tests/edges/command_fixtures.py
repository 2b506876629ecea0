"""The command line beside a whole service on one database, with both providers played by scripts of the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edges.command_line import Terminal
from tests.system import RealClock, System, environment, make_system


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory without a ``.env`` of somebody."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'checkout.db'}"


@pytest.fixture
def system(url: str) -> Iterator[System]:
    made = make_system(url, clock=RealClock())
    yield made
    made.close()


@pytest.fixture
def terminal(system: System, url: str) -> Terminal:
    """Its service is not up: port 9 is nobody's, whatever else runs on this machine."""
    return Terminal(environment(url, CHECKOUT_PUBLIC_URL="http://127.0.0.1:9"))
