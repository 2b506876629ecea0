"""The figures of the database in the form Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from checkout.errors import StoreUnavailable
from checkout.inbox import STABLE_MINT, STABLES
from checkout.rules.payments import SessionState
from checkout.store.engine import Database
from checkout.store.metrics import (
    KEPT_EVENTS,
    LIVE_PAYMENTS,
    LIVE_PAYOUTS,
    LIVE_REFUNDS,
    Figures,
    Waiting,
    figures,
)

#: What an alarm may watch is there, at 0, before it first happens.
NONE: Final = Waiting(0, None)
DELIVERY_STATES: Final = ("pending", "abandoned")
ENDPOINT_STATES: Final = ("active", "failing", "disabled")


class DatabaseCollector(Collector):
    """Counts what is not over, at each scrape. A database that is away is a figure too, and hides nothing else."""

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
    yield _counted(
        "checkout_payments", "Payments that are not over, by status.", "status", found.payments, LIVE_PAYMENTS
    )
    yield _counted(
        "checkout_sessions",
        "Sessions that are being opened, by state.",
        "state",
        found.sessions,
        [SessionState.SENDING],
    )
    yield from _waiting("checkout_payouts", "Payouts that are not over", "state", found.payouts, now, LIVE_PAYOUTS)
    yield from _waiting("checkout_refunds", "Refunds that are not over", "state", found.refunds, now, LIVE_REFUNDS)
    yield from _notifications(found.notifications, now)
    yield _counted(
        "checkout_notification_endpoints",
        "Where stores are notified, by how it is.",
        "state",
        found.endpoints,
        ENDPOINT_STATES,
    )
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


def _notifications(found: Mapping[str, Waiting], now: datetime) -> Iterator[Metric]:
    counts = {state: there.count for state, there in found.items()}
    yield _counted(
        "checkout_notifications",
        "Deliveries to stores' endpoints that were not taken, by state.",
        "state",
        counts,
        DELIVERY_STATES,
    )
    age = GaugeMetricFamily(
        "checkout_notifications_oldest_pending_seconds", "Age of the oldest notification that is not delivered yet."
    )
    age.add_metric([], _age_s(found.get("pending", NONE).since, now))
    yield age


def _events(events: Mapping[tuple[str, str], Waiting], now: datetime) -> Iterator[Metric]:
    count = GaugeMetricFamily(
        "checkout_events", "Deliveries that are not applied, by provider and state.", labels=["provider", "state"]
    )
    age = GaugeMetricFamily(
        "checkout_events_oldest_seconds",
        "Age of the oldest delivery that still waits, by provider and state; 0 when none does.",
        labels=["provider", "state"],
    )
    for provider in (STABLE_MINT, STABLES):
        for state in KEPT_EVENTS:
            there = events.get((provider, state), NONE)
            count.add_metric([provider, state], there.count)
            age.add_metric([provider, state], _age_s(there.since, now))
    yield count
    yield age


def _waiting(
    name: str, words: str, label: str, waiting: Mapping[str, Waiting], now: datetime, known: Iterable[str] = ()
) -> Iterator[Metric]:
    count = GaugeMetricFamily(name, f"{words}, by {label}.", labels=[label])
    age = GaugeMetricFamily(f"{name}_oldest_seconds", f"{words}: how long the oldest has.", labels=[label])
    for value, there in {**{str(one): NONE for one in known}, **waiting}.items():
        count.add_metric([value], there.count)
        age.add_metric([value], _age_s(there.since, now))
    yield count
    yield age


def _age_s(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())
