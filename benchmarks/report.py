"""What the figures mean: goals, warnings, and the tables a person reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from benchmarks import listing, payouts
from benchmarks.measure import SLOW_MS
from benchmarks.measure import Result as Requests

GOAL: Final = 2.0
WARN: Final = 2.5
FAIL: Final = 4.0
#: Steps of payouts over those of the bare outbox.
PAYOUTS_GOAL: Final = 0.7
PAYOUTS_WARN: Final = 0.5
#: The worker's memory at the end over that after the first tenth.
GROWTH_MAX: Final = 1.1
#: p95 among very many over that among a thousand.
READING_GOAL: Final = 2.0

Found = Mapping[str, Sequence[Any]]


def verdict(ratio: float) -> str:
    if ratio > FAIL:
        return f"FAILS: above {FAIL}"
    if ratio > WARN:
        return f"warning: above {WARN}"
    return "meets the goal" if ratio <= GOAL else f"above the goal of {GOAL}"


def payouts_verdict(result: payouts.Result) -> str:
    if result.growth > GROWTH_MAX:
        return "warning: the worker's memory grows"
    if result.ratio < PAYOUTS_WARN:
        return f"warning: below {PAYOUTS_WARN}"
    return "meets the goal" if result.ratio >= PAYOUTS_GOAL else f"below the goal of {PAYOUTS_GOAL}"


def reading_verdict(ratio: float) -> str:
    return "meets the goal" if ratio <= READING_GOAL else f"warning: above {READING_GOAL}"


def failed(found: Found) -> bool:
    """Whether anything is so bad that the run has failed."""
    return any(cost.ratio > FAIL for result in found.get("requests", ()) for cost in result.costs)


def plain(found: Found) -> dict[str, Any]:
    """The figures as JSON has them, each with its verdict."""
    document: dict[str, Any] = {}
    for part, results in found.items():
        document[part] = [one.plain() for one in results]
    for shown in document.get("requests", ()):
        shown["verdicts"] = {one["name"]: verdict(one["ratio"]) for one in shown["costs"]}
    for shown, result in zip(document.get("payouts", ()), found.get("payouts", ()), strict=True):
        shown["verdict"] = payouts_verdict(result)
    for shown in document.get("payments", ()):
        shown["verdicts"] = {one["name"]: reading_verdict(one["ratio"]) for one in shown["questions"]}
    return document


def tables(found: Found) -> str:
    """What a person reads."""
    drawn: dict[str, Callable[[Any], list[str]]] = {
        "requests": _requests, "payouts": _payouts, "payments": _payments,
    }  # fmt: skip
    return "\n\n".join("\n".join(drawn[part](results)) for part, results in found.items())


def _requests(results: Sequence[Requests]) -> list[str]:
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
    return lines


def _payouts(results: Sequence[payouts.Result]) -> list[str]:
    lines = [f"{'Payouts of ' + str(payouts.BATCH) + ' deposits':<34}{'outbox':>10}{'payouts':>11}{'ratio':>8}"]
    for result in results:
        named = f"{result.database}, {result.deposits:,}, {result.delay_ms} ms"
        lines += [
            f"{named:<34}{result.floor_s:>8.0f}/s{result.steps_s:>9.0f}/s"
            f"{result.ratio:>8.2f}  {payouts_verdict(result)}",
            f"{'  (an outbox on the bare driver)':<34}{result.driver_s:>8.0f}/s{'':>11}"
            f"{result.steps_s / result.driver_s:>8.2f}",
            f"  the worker: {result.cpu_ms:.1f} ms of CPU a step, memory at the end {result.growth:.2f} of the first tenth's; "
            f"a statement is drawn in {result.statement_ms:.0f} ms",
        ]
    return lines


def _payments(results: Sequence[listing.Result]) -> list[str]:
    lines: list[str] = []
    for result in results:
        among = f"{result.database}, p95 among"
        lines += [f"{among:<34}{listing.SMALL:>10,}{result.payments:>11,}{'ratio':>8}"]
        lines += [
            f"  {one.name:<32}{one.small_ms:>7.1f} ms{one.large_ms:>8.1f} ms{one.ratio:>8.2f}  {reading_verdict(one.ratio)}"
            for one in result.questions
        ]
        few, many = result.metrics_ms
        lines += [f"  {'(a scrape of /metrics, p50)':<32}{few:>7.1f} ms{many:>8.1f} ms"]
    return lines
