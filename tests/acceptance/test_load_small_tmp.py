"""Two web processes and three workers on each database, thousands of payments, hundreds of payouts: nothing twice,
nothing stuck.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import pytest

from tests.acceptance.checks import Checks
from tests.acceptance.load import BATCH, Day, LoadWorld, Rates, completed, open_cases

ORDERS = 200


@pytest.mark.slow
def test_under_load_nothing_happens_twice_and_nothing_is_stuck(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = secrets.randbits(32)
    with LoadWorld(database_url, tmp_path) as world:
        world.start()
        day = Day(world, orders=ORDERS, seed=seed)
        checks = Checks(world, day.orders)
        begun = time.monotonic()
        try:
            day.run()
            checks.wait_for_rest()
            seconds = time.monotonic() - begun
            counts = checks.run()
            assert counts["orders"] == ORDERS
            assert len(set(day.payouts)) == len(day.payouts) == ORDERS // BATCH == completed(world)
            assert counts["deposits at Stables"] == len(day.payouts)
            assert open_cases(world) == []
        except BaseException as failure:
            failure.add_note(f"seed {seed}\n{world.tails()}")
            raise
    kind = database_url.partition(":")[0]
    with capsys.disabled():
        print(f"\nload, {kind}: {Rates(ORDERS, counts['event'], len(day.payouts), seconds)}")
