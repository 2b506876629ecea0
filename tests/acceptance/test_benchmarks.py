"""The benchmarks run, and say what their figures mean."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import payouts, report
from benchmarks.listing import QUESTIONS

ROOT = Path(__file__).resolve().parents[2]


def way(ratio: float, *, growth: float = 1.0) -> payouts.Result:
    return payouts.Result(
        database="sqlite", delay_ms=0, deposits=100, payouts=1, steps_s=ratio, floor_s=1.0, ratio=ratio, driver_s=2.0,
        cpu_ms=1.0, statement_ms=1.0, growth=growth,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ratio", "said"),
    [(2.0, "meets the goal"), (2.01, "above the goal"), (2.51, "warning"), (4.01, "FAILS")],
)
def test_a_cost_is_judged_by_its_ratio_to_the_floor(ratio: float, said: str) -> None:
    assert report.verdict(ratio).startswith(said)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (way(0.7), "meets the goal"), (way(0.69), "below the goal"), (way(0.49), "warning: below"),
        (way(0.9, growth=1.11), "warning: the worker's memory grows"),
    ],
)  # fmt: skip
def test_payouts_are_judged_by_their_steps_and_by_the_memory_of_the_worker(result: payouts.Result, said: str) -> None:
    assert report.payouts_verdict(result).startswith(said)


def test_reading_among_many_may_take_twice_as_long_as_among_few() -> None:
    assert report.reading_verdict(2.0) == "meets the goal"
    assert report.reading_verdict(2.01).startswith("warning")


def test_a_short_run_pays_out_and_reads_and_prints_its_figures_as_one_document() -> None:
    """Every statement that the run draws is checked by the run itself; it ends with an error where one is wrong."""
    command = [
        sys.executable, "-m", "benchmarks", "--quick", "--json", "--database", "sqlite", "--only", "payouts", "--only",
        "payments",
    ]  # fmt: skip
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert ended.returncode == 0, ended.stderr[-3000:]
    document: dict[str, Any] = json.loads(ended.stdout)
    (read,) = document["payments"]
    assert [paid["delay_ms"] for paid in document["payouts"]] == list(payouts.DELAYS_MS)
    for paid in document["payouts"]:
        assert paid["deposits"] == paid["payouts"] * payouts.BATCH == payouts.QUICK.payouts * payouts.BATCH
        assert paid["ratio"] == pytest.approx(paid["steps_s"] / paid["floor_s"])
        assert paid["growth"] < 2
    assert {one["name"] for one in read["questions"]} == set(QUESTIONS) == set(read["verdicts"])
    assert all(one["small_ms"] > 0 and one["large_ms"] > 0 for one in read["questions"])
