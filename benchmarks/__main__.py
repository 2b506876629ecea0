"""``python -m benchmarks``: what the service costs against the least it could cost, in one run on one machine.

Three parts, each on both databases (``--only`` and ``--database`` choose):

``requests``: CPU per create-session and webhook-intake over the floor's. Floor (:mod:`benchmarks.floor`) and service
(``wsgi:app``) run side by side, each as one gunicorn process of the kind ``checkout serve`` starts, on the same database
and before the same upstream, and get requests of the same form, one at a time on one connection. The figure is user and
system time of the serving process, every thread, read from its CPU clock before and after a round: not wall time, and
nothing of the client, the upstream or a PostgreSQL server. After a warm-up the rounds alternate between floor and service;
each round gives a ratio, and the median counts. Neither runs a worker. Goal 2.0, a warning above 2.5, failure (exit 1)
above 4.0. Latency, with an upstream that takes 50 ms to answer, depends on the machine and is only printed.

``payouts``: steps per second of payouts over those of a bare outbox (:mod:`benchmarks.payouts`), and the worker's memory
after the first tenth against the end. Goal 0.7, a warning below 0.5; memory may grow by a tenth. Twice: the upstream answers
at once, or takes 20 ms.

``payments``: p95 of each way to read payments among very many over its own among a thousand (:mod:`benchmarks.listing`).
Goal 2.0; 200,000 payments, or a million with ``--full``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks import listing, measure, payouts, report
from tests.postgres import server_or_reason

PARTS: Final = ("requests", "payouts", "payments")
DATABASES: Final = ("sqlite", "postgresql")


@contextmanager
def fresh_databases(kind: str, folder: Path) -> Iterator[Callable[[], str]]:
    """A function that makes an empty database of this kind and returns its URL."""
    if kind == "sqlite":
        made: list[str] = []

        def new() -> str:
            made.append(f"sqlite:///{folder / f'checkout-{len(made)}.db'}")
            return made[-1]

        yield new
        return
    server, reason = server_or_reason(folder / "postgresql")
    if server is None:
        raise SystemExit(f"no PostgreSQL server: {reason}")
    try:
        yield server.new_database
    finally:
        server.stop()


def run(parts: Sequence[str], databases: Sequence[str], *, quick: bool, full: bool) -> dict[str, list[Any]]:
    """Measure the named parts on the named databases, each on fresh ones."""
    found: dict[str, list[Any]] = {part: [] for part in parts}
    lists = listing.FULL if full else listing.QUICK if quick else listing.USUAL
    for kind in databases:
        for part in parts:
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="checkout-bench-")))
                new = stack.enter_context(fresh_databases(kind, folder))
                log = folder / "servers.log"
                log.touch()
                match part:
                    case "requests":
                        plan = measure.QUICK if quick else measure.FULL
                        found[part].append(measure.measure(kind, new(), plan, log))
                    case "payouts":
                        way = payouts.QUICK if quick else payouts.FULL
                        found[part] += [
                            payouts.measure(kind, new(), way, log, delay_ms=delay) for delay in payouts.DELAYS_MS
                        ]
                    case _:
                        found[part].append(listing.measure(kind, (new(), new()), lists, log))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="little of everything: to see that it runs")
    size.add_argument("--full", action="store_true", help="a million payments")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the tables")
    parser.add_argument("--only", choices=PARTS, action="append", help="default: every part")
    parser.add_argument("--database", choices=DATABASES, action="append", help="default: both")
    options = parser.parse_args()
    found = run(options.only or PARTS, options.database or DATABASES, quick=options.quick, full=options.full)
    print(json.dumps(report.plain(found)) if options.json else report.tables(found))
    return 1 if report.failed(found) else 0


if __name__ == "__main__":
    sys.exit(main())
