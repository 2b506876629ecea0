"""Kill everything, everywhere, and count at the simulator that nothing was paid twice, lost or left behind.

``python -m tests.acceptance.torture --rounds N --seed S`` runs rounds on fresh databases, SQLite and PostgreSQL in turn;
``make torture ROUNDS=100`` is that. A round: a running installation sells and pays out without pause while processes are
killed at chosen points and at random moments and started again; then everything comes to rest and is checked.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

from tests.acceptance.checks import Checks
from tests.acceptance.person import Person
from tests.acceptance.points import Arming, Point, call_points, commit_points, table
from tests.acceptance.storefront import RECIPES, Storefront
from tests.acceptance.world import World
from tests.postgres import server_or_reason

RANDOM_KILLS: Final = 22
#: Seconds between two random kills.
PAUSES: Final = (0.02, 0.35)
OPERATORS: Final = 10
#: A round that has not met all of its points by then says which it missed.
POINTS_S: Final = 240.0
#: Points of one torture round, beside its random kills.
SAMPLE: Final = 40

_TRANSFER: Final = {"path": "^/api/v1/transfer$", "method": "POST"}
_QUOTE: Final = {"path": "^/api/v1/quotes$", "method": "POST"}
_CUSTOMER: Final = {"path": "^/api/v1/customers/", "method": "GET"}
#: Commits that there must be: session creation, events received and applied, a payout's whole way, notifications.
COMMITS: Final = frozenset(
    {
        "payments._open", "sessions._open", "sessions._unknown", "sessions._lose", "inbox._keep",
        "events.step deposit:open", "events.step deposit:initiated", "events.step deposit:submitted",
        "events.step deposit:accepted", "events.step deposit:settled", "events.step deposit:failed",
        "treasury.record", "payouts.propose payout:proposed", "payouts.approve payout:approved", "payouts.reveal",
        "payouts._deposit_attempt", "payouts.simulate_deposit", "offramp._keep_quote payout:quoted", "offramp._send",
        "offramp._again", "offramp._unknown", "transfers.adopt payout:transfer_created", "transfers.reconcile#1",
        "transfers.reconcile#2", "transfers._follow payout:awaiting_funding", "transfers._follow payout:funded",
        "transfers._follow payout:submitted", "transfers._follow payout:processed",
        "transfers._follow payout:completed", "notifications._record",
    }
)  # fmt: skip
#: What Stables does wrong meanwhile: enough to need every way an attempt can go.
FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {**_TRANSFER, "fault": "drop_connection_after_work", "times": 1},
    {**_TRANSFER, "fault": "garbage_after_work", "times": 3},
    {**_TRANSFER, "fault": "drop_connection_before_work", "times": 3},
    {**_QUOTE, "fault": "error_503_before_work", "times": 1},
    {**_CUSTOMER, "fault": "error_503_before_work", "times": 1},
)
FAULTS_EVERY_S: Final = 2.0
#: Ways the providers may be, where nobody knows; every short round has a few of them. None changes what must hold.
CLIMATE: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("stables", {"list_lag_s": 30.0}),
    ("stables", {"id_lag_s": 60.0}),
    ("stables", {"null_instructions_reads": 2}),
    ("stables", {"metadata_echo": "absent"}),
    ("stables", {"answer_case": "upper", "transfer_answer": 201}),
    ("stables", {"key_in_flight": "conflict"}),
    ("stables", {"webhook_duplicates": 2, "webhook_order": "swapped"}),
    ("stables", {"webhooks": False}),
    ("stables", {"sparse_answers": True}),
    ("stable_mint", {"deposit_reference": "new"}),
    ("stable_mint", {"session_id": "other"}),
    ("stable_mint", {"retry_timestamp": "old"}),
    ("stable_mint", {"amount_form": "exponent", "webhook_timestamp": "seven_digits"}),
)
CLIMATE_SAMPLE: Final = 4


@dataclass(slots=True)
class Outcome:
    """What a round did."""

    kills: Counter[Point] = field(default_factory=Counter)
    random_kills: Counter[str] = field(default_factory=Counter)
    climate: list[str] = field(default_factory=list)  #: switches of the providers that were not as usual
    counted: Counter[str] = field(default_factory=Counter)
    spent: dict[str, float] = field(default_factory=dict)  #: seconds, by stage
    used: Counter[str] = field(default_factory=Counter)  #: milliseconds of processors, by role, of what was started

    def text(self, title: str) -> str:
        """The table a reader of the test's output gets."""
        spent = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in self.spent.items())
        counted = ", ".join(f"{name} {count}" for name, count in sorted(self.counted.items()))
        chance = ", ".join(f"{role} {count}" for role, count in sorted(self.random_kills.items()))
        lines = [table(self.kills, title), f"  at random moments: {self.random_kills.total()} ({chance})"]
        used = ", ".join(f"{role} {spent_ms / 1000:.0f} s" for role, spent_ms in sorted(self.used.items()))
        return "\n".join([*lines, f"  checked: {counted}", f"  time: {spent}", f"  processors: {used}"])


class Guided(Person):
    """An operator of the clean run: the provider's fault strikes this payout and no other."""

    def __init__(self, world: World, fault: dict[str, Any], transferring: threading.Lock) -> None:
        super().__init__(world, f"clean-{FAULTS.index(fault)}")
        self._fault = fault
        self._transferring = transferring  # held while a payout's transfer is being made

    def work(self) -> bool:
        if self._fault["path"] != _TRANSFER["path"]:
            self._world.tell("stables", "faults", self._fault)
        return super().work()

    def approve(self, ident: str) -> None:
        with self._transferring:
            if self._fault["path"] == _TRANSFER["path"]:
                self._world.tell("stables", "faults", self._fault)
            super().approve(ident)
            self._world.until(lambda: self.state(ident) != "approved", "no transfer comes", within_s=60)


class Round:
    """One installation that is sold at, paid out from, and killed."""

    def __init__(self, database_url: str, folder: Path, *, seed: int) -> None:
        self.world = World(database_url, folder)
        self.chance = random.Random(seed)  # noqa: S311 - repeatable by design
        self.outcome = Outcome()
        self.storefront = Storefront(self.world, seed=seed)
        self._transferring = threading.Lock()
        self._ambushes: SimpleQueue[Point] = SimpleQueue()
        self._people = [Person(self.world, f"{number}", self._ambushes) for number in range(1, OPERATORS + 1)]

    def close(self) -> None:
        """End everything; what the simulator killed stays behind for whoever looks into a failure."""
        rules = {who: self.world.ask(who, "kills") for who in ("stable_mint", "stables", "shop")}
        (self.world.folder / "kills.json").write_text(json.dumps(rules, indent=1), encoding="utf-8")
        self.world.close()

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.outcome.spent[stage] = time.monotonic() - begun

    def enumerate_commits(self) -> list[str]:
        """Run every recipe once with nobody killed; the names of the commits there were."""
        with self.timed("clean run"):
            with ThreadPoolExecutor(len(FAULTS)) as people:
                done = [people.submit(self._pay_out, fault) for fault in FAULTS]
                for recipe in RECIPES:
                    self.storefront.sell(recipe)
                for one in done:
                    one.result()
            self._check()
        times = Counter(self.world.seen.read_text(encoding="utf-8").split("\n"))
        # what came by only once came by chance, and need not come again
        return sorted(
            name for name in times if name in COMMITS or (name and times[name] > 1 and not name.endswith(" nothing"))
        )

    def _pay_out(self, fault: dict[str, Any]) -> None:
        """One payout from the next deposit that settles, with a fault on its way."""
        person = Guided(self.world, fault, self._transferring)
        self.world.until(person.work_waits, "nothing settles", within_s=60)
        self.world.until(person.work, "there was nothing left to pay out", within_s=60)

    @contextmanager
    def trade(self) -> Iterator[None]:
        """Sell and pay out without pause, under the provider's faults; at the end everybody finishes what is in hand."""
        stop = threading.Event()
        weather = threading.Thread(target=self._weather, args=(stop,), name="weather", daemon=True)
        self.storefront.start()
        for person in self._people:
            person.start()
        weather.start()
        try:
            yield
        finally:
            stop.set()
            with self.timed("last orders"):
                self.storefront.ask_to_stop()
                for person in self._people:
                    person.ask_to_stop()
                weather.join(10)
                self.storefront.stop()
                for person in self._people:
                    person.stop()

    def _weather(self, stop: threading.Event) -> None:
        for fault in itertools.cycle(FAULTS):
            if stop.wait(FAULTS_EVERY_S):
                return
            self.world.tell("stables", "faults", fault)

    def kill_at(self, points: Iterable[Point], *, within_s: float = POINTS_S) -> list[Point]:
        """Arm the points, a few at a time, until each has struck; those that never did."""
        ambush: dict[str, Callable[[Point], None]] = {
            "create session": self.storefront.ambush, "replay session": self.storefront.ambush,
            "read before reveal": self._ambushes.put,
        }  # fmt: skip
        arming = Arming(self.world.strikes, points, self.world.tell, self.chance, ambush)
        with self.timed("kill points"):
            arming.start()
            end = time.monotonic() + within_s
            try:
                while arming.missing() and time.monotonic() < end and arming.problem is None and not self._broken():
                    time.sleep(0.2)
            finally:
                arming.stop()
        return arming.missing()

    def kill_at_random(self, count: int) -> None:
        """Kill a random process after a random pause, so many times."""
        with self.timed("random kills"):
            for _ in range(count):
                time.sleep(self.chance.uniform(*PAUSES))
                victims = self.world.victims()
                if not victims:
                    continue
                pid = self.chance.choice(victims)
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:  # it ended by itself this very moment
                    continue
                self.outcome.random_kills[self.world.strikes.role(pid)] += 1

    def finish(self) -> Outcome:
        """Rest, check, count."""
        self._check()
        self.outcome.kills = self.world.strikes.count()
        self.outcome.used = Counter(self.world.supervisor.cpu_ms)
        return self.outcome

    def _broken(self) -> bool:
        return self.storefront.problem is not None or any(person.problem is not None for person in self._people)

    def _check(self) -> None:
        checks = Checks(self.world, self.storefront.orders)
        with self.timed("rest"):
            checks.wait_for_rest()
        with self.timed("checks"):
            self.outcome.counted = checks.run()


def whole_round(database_url: str, folder: Path, *, seed: int) -> tuple[Outcome, list[str]]:
    """Every point once and the random kills; the outcome and the commits there are. AssertionError names what is wrong."""
    one = Round(database_url, folder, seed=seed)
    try:
        with one.timed("start"):
            one.world.start()
        names = one.enumerate_commits()
        with one.trade():
            missing = one.kill_at([*call_points(), *commit_points({*names, *COMMITS})])
            one.kill_at_random(RANDOM_KILLS)
        try:
            outcome = one.finish()
        finally:
            print(*(f"nothing came by {point}" for point in missing), sep="\n")
        assert not missing, f"nothing came by {[str(point) for point in missing]}\n{outcome.text('so far')}"
        return outcome, names
    finally:
        one.close()


def short_round(database_url: str, folder: Path, *, seed: int, names: Iterable[str]) -> Outcome:
    """A sample of the points, chosen by the seed, and the random kills."""
    one = Round(database_url, folder, seed=seed)
    try:
        with one.timed("start"):
            one.world.start()
        points = one.chance.sample([*call_points(), *commit_points(names)], SAMPLE)
        climate = one.chance.sample(CLIMATE, CLIMATE_SAMPLE)
        for who, switches in climate:
            one.world.tell(who, "switches", switches)
        one.outcome.climate = [name for _, switches in climate for name in switches]
        with one.trade():
            one.kill_at(points, within_s=20)
            one.kill_at_random(RANDOM_KILLS)
        return one.finish()
    finally:
        one.close()


def main(arguments: list[str]) -> int:
    """Rounds on both databases; the exit code says whether everything held."""
    parser = argparse.ArgumentParser(prog="python -m tests.acceptance.torture", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None, help="of the first round; the next ones count up")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    given = parser.parse_args(arguments)
    seed = int(time.time()) if given.seed is None else given.seed
    kinds = ("sqlite", "postgresql") if given.database == "both" else (given.database,)
    with tempfile.TemporaryDirectory(prefix="torture-") as place:
        make = _databases(Path(place), kinds)
        return _rounds(make, kinds, Path(place), given.rounds, seed)


def _databases(place: Path, kinds: tuple[str, ...]) -> Callable[[str, Path], str]:
    server = None
    if "postgresql" in kinds:
        server, reason = server_or_reason(place / "pg")
        if server is None:
            sys.exit(f"no PostgreSQL server: {reason}")

    def make(kind: str, folder: Path) -> str:
        return f"sqlite:///{folder / 'checkout.db'}" if kind == "sqlite" or server is None else server.new_database()

    return make


def _rounds(make: Callable[[str, Path], str], kinds: tuple[str, ...], place: Path, rounds: int, seed: int) -> int:
    total, names = Outcome(), list[str]()
    for number in range(rounds):
        kind, present = kinds[number % len(kinds)], seed + number
        folder = place / f"round-{number}"
        folder.mkdir()
        again = f"python -m tests.acceptance.torture --rounds 1 --seed {present} --database {kind}"
        try:
            if not names:
                outcome, names = whole_round(make(kind, folder), folder, seed=present)
            else:
                outcome = short_round(make(kind, folder), folder, seed=present, names=names)
        except AssertionError as failure:
            print(f"round {number} on {kind} failed; seed {present}; again: {again}\n{failure}\nlogs: {_kept(folder)}")
            return 1
        total.kills += outcome.kills
        total.random_kills += outcome.random_kills
        total.counted += outcome.counted
        total.used += outcome.used
        print(f"round {number} on {kind}, seed {present}: {outcome.kills.total()} + {outcome.random_kills.total()} kills, "
              f"{sum(outcome.spent.values()):.0f} s; {', '.join(outcome.climate)}", flush=True)  # fmt: skip
    print(total.text(f"{rounds} rounds"))
    return 0


def _kept(folder: Path) -> Path:
    """The failed round's folder, moved to where it outlives this process."""
    kept = Path(tempfile.mkdtemp(prefix="torture-failed-")) / folder.name
    shutil.copytree(folder, kept)
    return kept


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
