"""Shops that are notified, each by its host: what it hears, in which order, and how it answers; and news to tell them."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlalchemy import func, select

from checkout.app import Services, build
from checkout.config import Settings
from checkout.store import endpoints
from checkout.store import notifications as rows
from checkout.store.records import EndpointRow
from checkout.store.tables import notification_delivery
from checkout.telling.announcing import announce
from tests.system import System, environment

Answer = int | Exception | Callable[[httpx.Request], httpx.Response]


@dataclass(frozen=True, slots=True)
class Arrival:
    host: str
    id: str
    type: str
    sequence: int
    signatures: int


@dataclass
class Shops:
    """Every shop there is. ``answers`` has a status, an error or a function per host; 200 for those it does not name."""

    answers: dict[str, Answer] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    _inside: Counter[str] = field(default_factory=Counter)
    most_at_once: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        host, content, headers = request.url.host, json.loads(request.content), request.headers
        signatures = len(headers["webhook-signature"].split(" "))
        arrival = Arrival(host, headers["webhook-id"], content["type"], content["sequence"], signatures)
        with self._lock:
            self.arrivals.append(arrival)
            self._inside[host] += 1
            self.most_at_once[host] = max(self.most_at_once[host], self._inside[host])
        try:
            answer = self.answers.get(host, 200)
            if isinstance(answer, Exception):
                raise answer
            return httpx.Response(answer) if isinstance(answer, int) else answer(request)
        finally:
            with self._lock:
                self._inside[host] -= 1

    def at(self, host: str) -> list[Arrival]:
        with self._lock:
            return [one for one in self.arrivals if one.host == host]

    def ids(self, host: str) -> list[str]:
        return [one.id for one in self.at(host)]


@contextmanager
def telling(system: System, shops: Callable[[httpx.Request], httpx.Response] | None) -> Iterator[System]:
    """A process of the same installation that notifies these shops; None: over the network there is."""
    url = system.database.url.render_as_string(hide_password=False)
    services = build(
        Settings.from_env(environment(url)),
        clock=system.clock,
        stables_transport=httpx.MockTransport(lambda request: httpx.Response(503)),
        storefront_transport=None if shops is None else httpx.MockTransport(shops),
    )
    made = System(services, system.clock, system.mint, system.shop, system.store)
    try:
        yield made
    finally:
        made.close()


def endpoint(system: System, host: str, *, store_id: str | None = None, events: list[str] | None = None) -> str:
    """One more endpoint at this host; its id."""
    found = system.services.endpoints.add(
        store_id or system.store.id, url=f"https://{host}/hooks", events=events, who="ann"
    )
    return found.id


def another_store(system: System, name: str) -> str:
    return system.services.stores.create(name, [f"https://{name.lower()}.example"], who="ann").id


def news(
    system: System, count: int, *, store_id: str | None = None, about: str = "sub", kind: str = "payment.settled"
) -> list[str]:
    """Announce so much, each about something else; the messages' subjects, in order."""
    services: Services = system.services
    subjects = [f"{about}_{number:05}" for number in range(count)]
    with system.database.write() as unit:
        for subject in subjects:
            announce(
                unit, services.context, store_id=store_id or system.store.id, subject=subject, payment_id=None, kind=kind,
                sequence=1, data={"id": subject, "status": "settled"}, now=system.clock.now,
            )  # fmt: skip
    system.clock.advance(milliseconds=1)
    return subjects


def states(system: System, endpoint_id: str) -> dict[str, int]:
    """How many deliveries to an endpoint are in each state."""
    query = (
        select(notification_delivery.c.state, func.count().label("many"))
        .where(notification_delivery.c.endpoint_id == endpoint_id)
        .group_by(notification_delivery.c.state)
    )
    with system.database.read() as unit:
        return {row.state: int(row.many) for row in unit.execute(query)}


def health(system: System, endpoint_id: str) -> EndpointRow:
    with system.database.read() as unit:
        row = endpoints.endpoint_by_id(unit, endpoint_id)
    assert row is not None
    return row


def message_of(system: System, subject: str) -> str:
    """The id of the newest message about something."""
    with system.database.read() as unit:
        return rows.notifications_on(unit, subject)[-1].id


def log_of(system: System, message: str) -> list[dict[str, Any]]:
    """Every try of a message at its one endpoint."""
    (only,) = system.services.resending.show(message)["deliveries"]
    tries: list[dict[str, Any]] = only["tries"]
    return tries
