"""A payout at a scripted Stables brought as far as a test needs it, and what Stables answers next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.desk import Desk


@pytest.fixture
def desk(fast_folder: Path) -> Iterator[Desk]:
    """A desk whose treasury has the money of one payment to pay out; at the end its ledger balances."""
    made = Desk(f"sqlite:///{fast_folder / 'desk.db'}")
    made.settled("9.00", received="9.71", fee="0")
    yield made
    balanced = made.system.services.report.balance()
    assert balanced["balanced"], balanced
    made.system.close()


def no(status: int, message: str = "no", **more: Any) -> httpx.Response:
    return httpx.Response(status, json={"statusCode": status, "error": "E", "message": message, **more})


def proposed(desk: Desk) -> str:
    out = desk.system.services.payouts.propose(desk.system.store.id, account_id=None, who="ann")
    desk.system.work()
    return out


def approved(desk: Desk) -> str:
    """Approved, and its transfer asked for."""
    out = proposed(desk)
    desk.system.services.payouts.approve(out, min_credit=None, who="ann")
    desk.system.work()
    return out


def awaiting(desk: Desk) -> str:
    out = approved(desk)
    desk.says(out, "awaiting_funds_collection")
    assert state(desk, out) == "awaiting_funding"
    return out


def shown(desk: Desk, out: str) -> dict[str, Any]:
    return desk.system.services.payouts.show(out)


def state(desk: Desk, out: str) -> str:
    return str(shown(desk, out)["state"])


def wait(desk: Desk, **duration: float) -> None:
    desk.system.clock.advance(**duration)
    desk.system.work()


def answers(desk: Desk, path: str, *given: httpx.Response | Exception) -> None:
    desk.script.next_answers[path] = list(given)
