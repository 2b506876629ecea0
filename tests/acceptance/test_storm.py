"""Ten thousand notifications while everything is killed again and again: each arrives at least once, none is lost.

The workers that send and the shop that receives are real processes, ended by SIGKILL, one by one and all together. What came
is counted in the shop's own book and verified by the Standard Webhooks library. ``TEST_STORM_SEED`` repeats a run's choices.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import func, select
from standardwebhooks import Webhook

from checkout.app import Services, build
from checkout.config import Settings
from checkout.errors import StoreUnavailable
from checkout.store.schema import migrate
from checkout.store.tables import delivery_attempt, notification_delivery
from checkout.telling.announcing import announce
from tests.acceptance.processes import Launcher, Supervisor
from tests.system import environment

SEED: Final = int(os.environ.get("TEST_STORM_SEED", "20261121"))
#: What each subject is told, in this order: 2,000 of them make 10,000 notifications.
STORY: Final = ("accepted", "anomaly", "settled", "anomaly", "settled")
SUBJECTS: Final = 2_000
STORM: Final = SUBJECTS * len(STORY)
WORKERS: Final = 3
#: After about so many bytes more in the shop's book (some 310 arrivals) somebody is killed: one of these, in turns.
CALM_BYTES: Final = 105_000
VICTIMS: Final = ("worker", "worker", "shop", "worker", "worker", "everything", "worker", "shop")
#: How long the shop stays closed after it was killed.
CLOSED_S: Final = (0.05, 0.3)
KILLS_MIN: Final = 30  # of processes
#: What a dead worker held is somebody else's after this many seconds.
LEASE_S: Final = 2
PATIENCE_S: Final = 500.0


class Shop:
    """The receiving process: started again whenever it was killed."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = int(found.getsockname()[1])
        self.book = folder / "heard.jsonl"
        self._process: subprocess.Popen[bytes] | None = None
        self._read = 0
        self.open()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    def open(self) -> None:
        script = Path(__file__).with_name("receiver.py")
        self._process = subprocess.Popen([sys.executable, "-I", "-S", str(script), str(self.port), str(self.book)])

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)

    def written(self) -> int:
        """How many bytes are in the book."""
        return self.book.stat().st_size if self.book.exists() else 0

    def heard(self) -> list[dict[str, Any]]:
        """What came since this was asked last, whole lines only."""
        if not self.book.exists():
            return []
        with self.book.open("rb") as book:
            book.seek(self._read)
            whole, _, _ = book.read().rpartition(b"\n")
        self._read += len(whole) + 1 if whole else 0
        return [json.loads(line) for line in whole.splitlines()]


@dataclass
class Storm:
    """The installation under way, and what was done to it."""

    services: Services
    store_id: str
    secret: str
    shop: Shop
    supervisor: Supervisor
    kills: Counter[str] = field(default_factory=Counter)
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311 - repeatable by design

    def announce(self, heard: Heard) -> None:
        """Write the storm: every subject's news in order, a few subjects in each transaction."""
        told = dict.fromkeys(range(SUBJECTS), 0)
        waiting = [number for number in told for _ in STORY]
        self.chance.shuffle(waiting)
        for at in range(0, len(waiting), 40):
            self._insist(waiting[at : at + 40], told)
            heard.take(self.shop.heard())

    def _insist(self, batch: list[int], told: dict[int, int]) -> None:
        context = self.services.context
        while True:
            now_told = dict(told)
            try:
                with context.database.write() as unit:
                    for number in batch:
                        now_told[number] += 1
                        sequence, subject = now_told[number], f"pay_{number:05}"
                        kind = STORY[sequence - 1]
                        data = {"id": subject, "status": "settled" if sequence > 2 else "accepted"}
                        announce(
                            unit, context, store_id=self.store_id, subject=subject, payment_id=None, kind=f"payment.{kind}",
                            sequence=sequence, data=data, now=context.clock(),
                        )  # fmt: skip
            except StoreUnavailable:  # the workers have it; a web process would answer 503
                continue
            told.update(now_told)
            return

    def kill_about(self, stop: threading.Event) -> None:
        """Kill somebody whenever the storm has got on a little; workers are started again, and the shop opens again."""
        for number, victim in enumerate(itertools.cycle(VICTIMS), start=1):
            while self.shop.written() < number * CALM_BYTES:
                if stop.wait(0.02):
                    return
            self._kill(victim)

    def _kill(self, victim: str) -> None:
        if victim != "worker":
            self.shop.kill()
            self.kills["shop"] += 1
        running = list(self.supervisor.running.values())
        chosen = {"worker": [self.chance.choice(running)], "everything": running, "shop": []}[victim]
        for process in chosen:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
                self.kills["workers"] += 1
        self.kills["all at once"] += victim == "everything"
        if victim != "worker":
            time.sleep(self.chance.uniform(*CLOSED_S))
            self.shop.open()

    def left(self) -> int:
        """How many are not delivered."""
        query = (
            select(func.count()).select_from(notification_delivery).where(notification_delivery.c.state != "delivered")
        )
        with self.services.context.database.read() as unit:
            return int(unit.execute(query).scalar_one())


@dataclass
class Heard:
    """What the shop makes of it: each arrival verified while it is fresh, as the library wants it."""

    verifier: Webhook
    times: Counter[str] = field(default_factory=Counter)
    said: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def take(self, arrivals: list[dict[str, Any]]) -> None:
        for one in arrivals:
            self.verifier.verify(one["body"], one["headers"])
            self.times[one["headers"]["webhook-id"]] += 1
            self.said[one["headers"]["webhook-id"]].add(one["body"])

    def stories(self) -> dict[str, dict[int, tuple[str, str]]]:
        """By subject and sequence: type and status."""
        found: dict[str, dict[int, tuple[str, str]]] = defaultdict(dict)
        for (body,) in self.said.values():
            content = json.loads(body)
            found[content["data"]["id"]][content["sequence"]] = (content["type"], content["data"]["status"])
        return found


@pytest.fixture
def storm(database_url: str, tmp_path: Path) -> Iterator[Storm]:
    """A migrated database with one store, its shop, and three workers that are started again when they die."""
    environ = environment(
        database_url, CHECKOUT_LEASE=str(LEASE_S), CHECKOUT_PROVIDER_TIMEOUT="1", CHECKOUT_SPEED="300"
    )
    with ExitStack() as ends:
        shop = Shop(tmp_path)
        ends.callback(shop.kill)
        services = build(Settings.from_env(environ))
        ends.callback(services.close)
        migrate(services.context.database, installation_id="ins_storm", now=services.context.clock())
        store = services.stores.create("Shop", ["https://shop.example"], who="demo")
        made = services.endpoints.add(store.id, url=shop.url, events=None, who="demo")
        launcher = Launcher(tmp_path)
        ends.callback(launcher.close)
        supervisor = Supervisor(launcher)
        ends.callback(supervisor.stop)
        for number in range(1, WORKERS + 1):
            name = f"worker-{number}"
            supervisor.keep(name, "worker", environ, arguments=["worker", "--id", name])
        yield Storm(services, store.id, made.secret, shop, supervisor)


@pytest.mark.slow
def test_whatever_is_killed_every_notification_arrives_and_none_is_lost(
    storm: Storm, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    heard = Heard(Webhook(storm.secret))
    stop = threading.Event()
    killer = threading.Thread(target=storm.kill_about, args=(stop,))
    killer.start()
    try:
        storm.announce(heard)
        while left := storm.left():
            heard.take(storm.shop.heard())
            assert time.monotonic() - begun < PATIENCE_S, f"{left} are never delivered"
            time.sleep(0.2)
    finally:
        stop.set()
        killer.join(30)
    seconds = time.monotonic() - begun

    assert storm.kills["workers"] + storm.kills["shop"] >= KILLS_MIN
    heard.take(storm.shop.heard())
    assert len(heard.times) == STORM, "each at least once"
    assert all(len(bodies) == 1 for bodies in heard.said.values()), "the same id always says the same"
    stories = heard.stories()
    assert len(stories) == SUBJECTS
    for subject, told in stories.items():
        assert sorted(told) == list(range(1, len(STORY) + 1)), subject
        assert [told[number][0] for number in sorted(told)] == [f"payment.{kind}" for kind in STORY], subject
        assert told[max(told)][1] == "settled", "whoever keeps the highest sequence knows how it stands"

    with storm.services.context.database.read() as unit:
        logged = unit.execute(select(func.count()).select_from(delivery_attempt)).scalar_one()
    kind = database_url.partition(":")[0]
    with capsys.disabled():
        print(
            f"\nstorm, {kind}: {STORM} notifications in {seconds:.0f} s ({STORM / seconds:.0f}/s), "
            f"{heard.times.total()} arrivals, {heard.times.total() - STORM} of them again, {logged} tries in the log; "
            f"killed {dict(storm.kills)}; seed {SEED}"
        )
