"""The figures of the database in the form Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from checkout.errors import StoreUnavailable
from checkout.inbox import STABLE_MINT, STABLES, EventState
from checkout.rules.payments import SessionState, Status
from checkout.rules.payouts import PayoutState
from checkout.store.engine import Database
from checkout.store.metrics import Figures, Waiting, figures


class DatabaseCollector(Collector):
    """Counts at each scrape. A database that is away is a figure too, and hides nothing else."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        now = self._clock()
        up = GaugeMetricFamily("checkout_database_up", "1 when the database answered this scrape.")
        try:
            with self._database.read() as unit:
                found = figures(unit, now=now)
        except StoreUnavailable:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from _families(found, now)


def _families(found: Figures, now: datetime) -> Iterator[Metric]:
    yield _counted("checkout_payments", "Payments, by status.", "status", found.payments, list(Status))
    yield _counted("checkout_sessions", "Sessions, by state.", "state", found.sessions, list(SessionState))
    yield _counted("checkout_payouts", "Payouts, by state.", "state", found.payouts, list(PayoutState))
    yield _counted("checkout_refunds", "Refunds, by state.", "state", found.refunds)
    yield _counted("checkout_notifications", "Notifications to stores, by state.", "state", found.notifications)
    yield from _events(found.events, now)
    yield from _waiting("checkout_open_cases", "Cases that wait for a person", "kind", found.cases, now)
    yield from _waiting("checkout_work_due", "Rows that are due and in nobody's hands", "queue", found.due, now)
    yield _counted("checkout_work_leased", "Rows in a worker's hands.", "queue", found.leased)


def _counted(
    name: str, words: str, label: str, counts: Mapping[str, int], known: Iterable[str] = ()
) -> GaugeMetricFamily:
    """A gauge per value of ``label``; known values without rows are 0, so that an alarm has something to watch."""
    family = GaugeMetricFamily(name, words, labels=[label])
    for value, count in {**{str(one): 0 for one in known}, **counts}.items():
        family.add_metric([value], count)
    return family


def _events(events: Mapping[tuple[str, str], Waiting], now: datetime) -> Iterator[Metric]:
    count = GaugeMetricFamily(
        "checkout_events", "Deliveries kept, by provider and state.", labels=["provider", "state"]
    )
    age = GaugeMetricFamily(
        "checkout_events_oldest_seconds",
        "Age of the oldest delivery that still waits, by provider and state; 0 when none does.",
        labels=["provider", "state"],
    )
    done = (EventState.APPLIED, EventState.IGNORED)
    for provider in (STABLE_MINT, STABLES):
        for state in EventState:
            there = events.get((provider, state.value), Waiting(0, None))
            count.add_metric([provider, state.value], there.count)
            if state not in done:
                age.add_metric([provider, state.value], _age_s(there.since, now))
    yield count
    yield age


def _waiting(name: str, words: str, label: str, waiting: Mapping[str, Waiting], now: datetime) -> Iterator[Metric]:
    count = GaugeMetricFamily(name, f"{words}, by {label}.", labels=[label])
    age = GaugeMetricFamily(f"{name}_oldest_seconds", f"{words}: how long the oldest has.", labels=[label])
    for value, there in waiting.items():
        count.add_metric([value], there.count)
        age.add_metric([value], _age_s(there.since, now))
    yield count
    yield age


def _age_s(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
