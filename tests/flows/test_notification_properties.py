"""Whatever happens to shops and endpoints, in any order: nothing is lost for good, nothing is sent to who is left alone."""

from __future__ import annotations

import uuid
from contextlib import suppress
from pathlib import Path

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from checkout.errors import NotPossible
from checkout.store.tables import notification_delivery
from tests.flows.notification_days import Shops, endpoint, health, message_of, news, states, telling
from tests.system import System, make_system

HOSTS = ("shop.example", "second.example")
ANSWERS = (200, 500, 404, 410, httpx.ConnectError("down"))

step = st.one_of(
    st.tuples(st.just("announce"), st.integers(1, 4)),
    st.tuples(st.just("work"), st.none()),
    st.tuples(st.just("pass time"), st.sampled_from([1, 20, 400, 5_000, 90_000, 300_000])),
    st.tuples(st.just("answer"), st.tuples(st.sampled_from(HOSTS), st.sampled_from(ANSWERS))),
    st.tuples(st.just("disable"), st.sampled_from(HOSTS)),
    st.tuples(st.just("enable"), st.tuples(st.sampled_from(HOSTS), st.booleans())),
    st.tuples(st.just("rotate"), st.sampled_from(HOSTS)),
    st.tuples(st.just("test"), st.sampled_from(HOSTS)),
    st.tuples(st.just("resend"), st.sampled_from(HOSTS)),
)


class Week:
    """A store with two endpoints, and what is done to them."""

    def __init__(self, system: System, shops: Shops) -> None:
        self.system, self.shops, self.verbs = system, shops, system.services.endpoints
        self.begun = system.clock.now
        second = endpoint(system, "second.example")
        first = next(str(one["id"]) for one in self.verbs.all(None) if one["id"] != second)
        self.ids = dict(zip(HOSTS, (first, second), strict=True))
        self.messages: list[str] = []
        for host in HOSTS:
            shops.answers[host] = 200

    def do(self, what: str, with_: object) -> None:
        with suppress(NotPossible):  # it is disabled already, or active: a person would be told so
            getattr(self, what.replace(" ", "_"))(with_)
        self.check()

    def announce(self, count: int) -> None:
        subjects = news(self.system, count, about=uuid.uuid4().hex[:8])
        self.messages += [message_of(self.system, one) for one in subjects]

    def work(self, _: None = None) -> None:
        resting = {host: health(self.system, ident) for host, ident in self.ids.items()}
        before = {host: len(self.shops.at(host)) for host in HOSTS}
        self.system.work()
        for host, row in resting.items():
            left_alone = row.resting_until is not None and row.resting_until > self.system.clock.now
            if left_alone or row.state == "disabled":
                assert len(self.shops.at(host)) == before[host], "it was to be left alone"

    def pass_time(self, seconds: int) -> None:
        self.system.clock.advance(seconds=seconds)

    def answer(self, chosen: tuple[str, int | Exception]) -> None:
        self.shops.answers[chosen[0]] = chosen[1]

    def disable(self, host: str) -> None:
        self.verbs.disable(self.ids[host], reason="by chance", who="ann")

    def enable(self, chosen: tuple[str, bool]) -> None:
        self.verbs.enable(self.ids[chosen[0]], resend_missed=chosen[1], who="ann")

    def rotate(self, host: str) -> None:
        self.verbs.rotate(self.ids[host], who="ann")

    def test(self, host: str) -> None:
        self.system.services.notifications.test(self.ids[host], who="ann")

    def resend(self, host: str) -> None:
        if self.messages:
            self.system.services.resending.again(self.messages[-1], endpoint_id=self.ids[host], who="ann")

    def check(self) -> None:
        """What is always so: something is due exactly when it is still tried, and nobody holds anything at rest."""
        with self.system.database.read() as unit:
            for row in unit.execute(select(notification_delivery)):
                assert (row.state == "pending") == (row.due_at is not None)
                assert row.lease_token is None
        open_ = self.system.cases().count("endpoint_disabled")
        assert open_ <= sum(health(self.system, ident).state == "disabled" for ident in self.ids.values())

    def heal(self) -> None:
        """Every shop works again, and a person asks for what was missed."""
        for host, ident in self.ids.items():
            self.shops.answers[host] = 200
            self.do("enable", (host, False))
            self.system.services.resending.again_between(
                ident, self.begun, self.system.clock.now, missed_only=True, who="ann"
            )
        for _ in range(3):
            self.system.clock.advance(hours=1)
            self.system.work()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(step, max_size=25))
def test_once_all_is_well_again_every_endpoint_has_heard_everything(
    fast_folder: Path, steps: list[tuple[str, object]]
) -> None:
    url = f"sqlite:///{fast_folder / f'{uuid.uuid4().hex}.db'}"
    system, shops = make_system(url), Shops()
    try:
        with telling(system, shops) as ours:
            week = Week(ours, shops)
            week.announce(2)
            for what, with_ in steps:
                week.do(what, with_)
            ours.clock.advance(milliseconds=1)
            week.heal()
            for host, ident in week.ids.items():
                assert set(week.messages) <= set(shops.ids(host)), "at least once"
                assert states(ours, ident).get("pending", 0) == 0
                row = health(ours, ident)
                assert (row.state, row.failures, row.resting_until, row.probe_token) == ("active", 0, None, None)
            assert system.cases() in ([], ["notification_undelivered"], ["notification_undelivered"] * 2)
    finally:
        system.close()
