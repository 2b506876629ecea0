"""``python -m benchmarks``: CPU per request of create-session and webhook-intake, over the floor of the same run.

Method. Floor (:mod:`benchmarks.floor`) and service (``wsgi:app``) run side by side, each as one gunicorn process of
the kind ``checkout serve`` starts, on the same database and before the same upstream, and get requests of the same
form, one at a time on one connection. The figure is user and system time of the serving process, every thread, read
from its CPU clock before and after a round: not wall time, and nothing of the client, the upstream or a PostgreSQL
server. After a warm-up the rounds alternate between floor and service; each round gives a ratio, and the median counts.
Neither runs a worker. Goal 2.0, a warning above 2.5, failure (exit 1) above 4.0.

Latency is what a client sees with an upstream that takes 50 ms to answer: it depends on the machine and is only printed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.measure import FULL, QUICK, SLOW_MS, Result, measure
from tests.postgres import server_or_reason

GOAL: Final = 2.0
WARN: Final = 2.5
FAIL: Final = 4.0


def verdict(ratio: float) -> str:
    if ratio > FAIL:
        return f"FAILS: above {FAIL}"
    if ratio > WARN:
        return f"warning: above {WARN}"
    return "meets the goal" if ratio <= GOAL else f"above the goal of {GOAL}"


def table(results: list[Result]) -> str:
    """What a person reads."""
    lines = [f"{'CPU per request':<34}{'floor':>10}{'service':>11}{'ratio':>8}"]
    for result in results:
        lines += [
            f"{result.database + ' ' + cost.name:<34}{cost.floor_ms:>7.2f} ms{cost.service_ms:>8.2f} ms"
            f"{cost.ratio:>8.2f}  {verdict(cost.ratio)}"
            for cost in result.costs
        ]
    lines += ["", f"{'Latency, upstream ' + str(SLOW_MS) + ' ms':<44}{'p50':>10}{'p99':>11}"]
    for result in results:
        lines += [
            f"{result.database + ' ' + one.name:<44}{one.p50_ms:>7.1f} ms{one.p99_ms:>8.1f} ms"
            for one in result.latencies
        ]
    return "\n".join(lines)


def run(databases: list[str], quick: bool) -> list[Result]:
    """Measure the named databases, each on a fresh one of its kind."""
    plan = QUICK if quick else FULL
    results = []
    with tempfile.TemporaryDirectory(prefix="checkout-bench-") as name:
        folder = Path(name)
        log = folder / "servers.log"
        log.touch()
        if "sqlite" in databases:
            results.append(measure("sqlite", f"sqlite:///{folder / 'checkout.db'}", plan, log))
        if "postgresql" in databases:
            server, reason = server_or_reason(folder / "postgresql")
            if server is None:
                raise SystemExit(f"no PostgreSQL server: {reason}")
            try:
                results.append(measure("postgresql", server.new_database(), plan, log))
            finally:
                server.stop()
    return results


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append", help="default: both")
    options = parser.parse_args()
    results = run(options.database or ["sqlite", "postgresql"], options.quick)
    worst = max(cost.ratio for result in results for cost in result.costs)
    if options.json:
        print(json.dumps({"goal": GOAL, "fail": FAIL, "worst": worst, "results": [one.plain() for one in results]}))
    else:
        print(table(results))
    return 1 if worst > FAIL else 0


if __name__ == "__main__":
    sys.exit(main())
