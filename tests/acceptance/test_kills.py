"""Nothing is paid twice, lost or left behind, wherever a process is killed: real processes, real SIGKILL, both databases.

One round per database (``tests.acceptance.torture``): a clean run counts the commits there are; then processes are killed
at each moment of every provider call, before and after each commit, and at random moments; then all rests and is checked.
``TEST_KILLS_SEED`` repeats a run's choices.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.points import Point, call_points, commit_points
from tests.acceptance.torture import COMMITS, RANDOM_KILLS, whole_round

SEED: Final = int(os.environ.get("TEST_KILLS_SEED", "20261121"))

#: What a round must have had for its checks to mean anything.
HAPPENED: Final = (
    "approved by a policy", "deposits at Stables", "keys forgotten", "payout cancelled", "payout completed",
    "refund failed", "refund sent", "resolved by a person",
)  # fmt: skip

#: What each database's round killed, for the count over both.
_killed: dict[str, Counter[Point]] = {}


@pytest.mark.slow
def test_whatever_is_killed_money_moves_once_and_nothing_is_lost(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = database_url.partition(":")[0].partition("+")[0]
    outcome, names = whole_round(database_url, tmp_path, seed=SEED)
    with capsys.disabled():
        print("\n" + outcome.text(f"killed on {kind}, seed {SEED}"))
    struck = set(outcome.kills)
    assert struck >= {*call_points(), *commit_points({*names, *COMMITS})}
    assert outcome.random_kills.total() >= 20
    assert outcome.random_kills.total() <= RANDOM_KILLS
    assert not [name for name in HAPPENED if not outcome.counted[name]]
    _killed[kind] = outcome.kills


@pytest.mark.slow
def test_every_call_and_every_commit_was_killed_three_times_in_all() -> None:
    if set(_killed) != {"sqlite", "postgresql"}:
        pytest.skip("the rounds on both databases have not run before this")
    places: Counter[tuple[str, str]] = Counter()
    for kills in _killed.values():
        for point, count in kills.items():
            places[point.kind, point.where] += count
    common = set.intersection(*({(one.kind, one.where) for one in kills} for kills in _killed.values()))
    assert {place: places[place] for place in common if places[place] < 3} == {}
