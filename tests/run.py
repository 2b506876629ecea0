"""``make test``: every test on both databases, the coverage gates, and a count of skips by reason.

With ``CI=true`` a skip is a failure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: Branch coverage in percent: money, state, signing, inbox, worker and ledger have no untested branch.
OVERALL = 95.0
COMPLETE = (
    "checkout/rules/",
    "checkout/signing.py",
    "checkout/inbox.py",
    "checkout/events.py",
    "checkout/worker.py",
    "checkout/store/ledger.py",
    "checkout/receiving.py",
    "checkout/late_news.py",
    "checkout/treasury.py",
    "checkout/paying/clockwork.py",
    "checkout/paying/reckoning.py",
    "checkout/paying_out/mandates.py",
    "checkout/paying_out/offramp.py",
    "checkout/paying_out/payout_moves.py",
    "checkout/paying_out/payouts.py",
    "checkout/paying_out/resolution_verbs.py",
    "checkout/paying_out/resolutions.py",
    "checkout/paying_out/transfers.py",
    "checkout/refunding/",
)


class Skips:
    """Collects why tests were skipped."""

    def __init__(self) -> None:
        self.reasons: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.reasons[reason.removeprefix("Skipped: ")] += 1


def coverage_problems() -> list[str]:
    """Combine what every process measured, and compare it with the gates."""
    coverage = [sys.executable, "-m", "coverage"]
    subprocess.run([*coverage, "json", "--quiet", "-o", ".coverage.json"], cwd=ROOT, check=True)
    content = json.loads((ROOT / ".coverage.json").read_text(encoding="utf-8"))
    (ROOT / ".coverage.json").unlink()
    total = content["totals"]["percent_covered"]
    print(f"coverage: {total:.1f} % of lines and branches")
    problems = [] if total >= OVERALL else [f"coverage is {total:.1f} %, the gate is {OVERALL:.0f} %"]
    for name, figures in sorted(content["files"].items()):
        missing = figures["summary"]["percent_covered"] < 100
        if missing and name.startswith(COMPLETE):
            lines, branches = figures["missing_lines"], figures["missing_branches"]
            problems.append(f"{name} must be covered completely; missing lines {lines}, branches {branches}")
    return problems


#: Tests that start no processes of their own run beside one another: they wait now and then, so one more than there are
#: cores.
#: The longest files come first, so that none waits for the others at the end.
SIDE_BY_SIDE = [
    "tests/flows/test_order_independence.py", "tests/flows/test_unknowns.py", "tests/flows/test_ledger_properties.py",
    "tests/flows/test_payout_stories.py", "tests/flows/test_payout_troubles.py", "tests/flows", "tests/edges", "tests/rules",
    "-n", "3", "--dist", "loadfile", "--no-loadscope-reorder", "--durations", "25",
]  # fmt: skip
#: What fills the machine by itself, and measures what comes of it.
ALONE = [
    "tests/acceptance/test_kills.py", "tests/acceptance/test_load.py", "tests/acceptance/test_storm.py", "-s",
    "--durations", "10",
]  # fmt: skip
#: Browsers and whole installations mostly wait: two at a time, each with an installation of its own that all its tests share.
WAITING = ["tests/acceptance", "tests/browser", *(f"--ignore={path}" for path in ALONE[:3])]
WAITING += ["-n", "2", "--dist", "loadfile", "--durations", "10"]


def main(arguments: list[str]) -> int:
    """Run pytest with coverage; the exit code says whether everything passed and nothing was hidden."""
    skips = Skips()
    runs = [arguments] if arguments else [SIDE_BY_SIDE, ALONE, WAITING]
    measured = ["--cov=checkout", "--cov-branch", "--cov-report="]
    codes = []
    for position, run in enumerate(runs):
        appended = ["--cov-append"] if position else []
        codes.append(int(pytest.main([*measured, *appended, *run], plugins=[skips])))
    print(f"skips: {sum(skips.reasons.values())}")
    for reason, count in skips.reasons.most_common():
        print(f"  {count} x {reason}")
    failed = next((code for code in codes if code), 0)
    if failed:
        return failed
    if skips.reasons and os.environ.get("CI"):
        print("a skip is a failure when CI is set")
        return 1
    problems = [] if arguments else coverage_problems()
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
