"""Kill everything, everywhere, and count at the simulator that nothing was paid twice, lost or left behind.

``python -m tests.acceptance.torture --rounds N --seed S`` runs rounds on fresh databases, SQLite and PostgreSQL in turn;
``make torture ROUNDS=100`` is that. A round: a running installation sells and pays out without pause while processes are
killed at chosen points and at random moments and started again; then everything comes to rest and is checked.
"""

from __future__ import annotations

import argparse
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

from sqlalchemy import select

from checkout.store import tables
from tests.acceptance.back_office import BackOffice, Clerk, Tray
from tests.acceptance.checks import Checks
from tests.acceptance.person import Desk, Person, Typist
from tests.acceptance.points import Arming, Point, call_points, commit_points, table
from tests.acceptance.storefront import RECIPES, Storefront
from tests.acceptance.weather import CLIMATE, FAULTS, LIST, TRANSFER, Weather
from tests.acceptance.world import KEY_LIFETIME_S, SPEED, World
from tests.postgres import server_or_reason

RANDOM_KILLS: Final = 22
#: Seconds between two random kills.
PAUSES: Final = (0.02, 0.35)
#: All of them have long been by then.
RANDOM_S: Final = 60.0
OPERATORS: Final = 8
CLERKS: Final = 2
#: A round that has not met all of its points by then says which it missed.
POINTS_S: Final = 420.0
#: Points of one torture round, beside its random kills.
SAMPLE: Final = 40

#: Commits that there must be: session creation, events received and applied, a payout's whole way, by people's hands and
#: by a policy's, to the bank or to a person's decision, a refund's whole way, notifications.
COMMITS: Final = frozenset(
    {
        "payments._open", "sessions._open", "sessions._unknown", "sessions._lose", "inbox._keep",
        "events.step deposit:open", "events.step deposit:initiated", "events.step deposit:submitted",
        "events.step deposit:accepted", "events.step deposit:settled", "events.step deposit:failed",
        "treasury.record", "payouts.propose payout:proposed", "payouts.approve", "payouts.approve payout:approved",
        "policies.step payout:proposed", "automatic_approval.let_policy_approve payout:approved", "payouts.reveal",
        "payouts._deposit_attempt", "payouts.simulate_deposit", "payouts.funded", "resolutions.say payout:cancelled",
        "offramp._keep_quote payout:quoted", "offramp._send",
        "offramp._again", "offramp._unknown", "transfers.adopt payout:transfer_created", "transfers.reconcile#1",
        "transfers.reconcile#2", "transfers._follow payout:awaiting_funding", "transfers._follow payout:funded",
        "transfers._follow payout:submitted", "transfers._follow payout:processed",
        "transfers._follow payout:completed", "transfers._follow payout:needs_decision",
        "refunds.request refund:requested", "refunds.give_details refund:requested", "refunds.approve",
        "refund_sending.step refund:sending", "refund_sending.step refund:unknown", "refund_sending._record",
        "refund_sending._record refund:unknown", "refund_sending._record refund:failed", "events.step refund:accepted",
        "events.step refund:sent", "events.step refund:failed", "refund_resolving.resolve refund:requested",
        "refund_resolving.resolve refund:sent", "refund_resolving.resolve refund:failed", "notifications._record",
    }
)  # fmt: skip
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
        name = f"clean-{FAULTS.index(fault)}"
        super().__init__(world, name, Desk(world), wanted=lambda: frozenset({"simulate deposit"}))
        self._fault = fault
        self._transferring = transferring  # held while a payout's transfer is being made

    def work(self) -> bool:
        if self._fault["path"] != TRANSFER["path"]:
            self._world.tell("stables", "faults", self._fault)
        ident = self.propose()
        return ident is not None and self.carry(ident) is not None

    def approve(self, ident: str) -> None:
        with self._transferring:
            if self._fault["path"] == TRANSFER["path"]:
                self._world.tell("stables", "faults", self._fault)
            super().approve(ident)
            self._world.until(lambda: self.state(ident) != "approved", "no transfer comes", within_s=60)


class Round:
    """One installation that is sold at, paid out from, and killed."""

    def __init__(self, database_url: str, folder: Path, *, seed: int) -> None:
        self.world = World(database_url, folder)
        self.chance = random.Random(seed)  # noqa: S311 - repeatable by design
        self.outcome = Outcome()
        self.world.asks_two_people()
        self.storefront = Storefront(self.world, seed=seed)
        self._back_office = BackOffice(self.world, self.storefront)
        self._transferring = threading.Lock()
        self._ambushes: SimpleQueue[Point] = SimpleQueue()
        self._arming: Arming | None = None
        desk = Desk(self.world)
        self._people = [
            Person(self.world, f"{number}", desk, ambushes=self._ambushes, wanted=self._wanted)
            for number in range(1, OPERATORS + 1)
        ]
        tray = Tray()
        self._clerks = [Clerk(self.world, f"clerk-{number}", tray) for number in range(1, CLERKS + 1)]
        self._forgotten: list[str] = []  # attempts whose keys Stables forgot in the night
        # in the order in which they are waited for: refunds are asked for through the storefront, and approved by clerks
        self._everybody: tuple[Storefront | BackOffice | Typist, ...] = (
            self._back_office, self.storefront, *self._people, *self._clerks,
        )  # fmt: skip

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
            self.world.proposes("per_payment")
            with ThreadPoolExecutor(len(FAULTS) + 2) as people:
                done = [people.submit(self._pay_out, fault) for fault in FAULTS]
                done += [people.submit(self._follow_the_policy), people.submit(self._give_back)]
                for recipe in RECIPES:
                    self.storefront.sell(recipe)
                for one in done:
                    one.result()
            self.world.kept_back.clear()
            self._check()
        times = Counter(self.world.seen.read_text(encoding="utf-8").split("\n"))
        # what came by only once came by chance, and need not come again
        return sorted(name for name in times if name and times[name] > 1 and not name.endswith(" nothing"))

    def _pay_out(self, fault: dict[str, Any]) -> None:
        """One payout from the next deposit that settles, with a fault on its way."""
        person = Guided(self.world, fault, self._transferring)
        self.world.until(person.work_waits, "nothing settles", within_s=60)
        self.world.until(person.work, "there was nothing left to pay out", within_s=60)

    def _follow_the_policy(self) -> None:
        """The policy's first payout, which a person approves; then it proposes no more until the trade begins."""
        self.world.until(lambda: bool(self.world.automatic_payouts()), "the policy proposes nothing", within_s=60)
        self.world.proposes("manual")
        for ident in self.world.automatic_payouts():
            Person(self.world, "clean-policy", Desk(self.world)).carry(ident)

    def _give_back(self) -> None:
        """One order's refund, as the shop and a clerk do it."""
        orders = self.storefront.orders
        self.world.until(lambda: any(one.refunded for one in orders), "nothing is sold that is refunded", within_s=60)
        clerk = Clerk(self.world, "clean-clerk", Tray())
        clerk.start()
        self._back_office.refund_once(next(one for one in orders if one.refunded))
        clerk.stop()

    @contextmanager
    def trade(self) -> Iterator[None]:
        """Sell and pay out without pause, under the provider's faults; at the end everybody finishes what is in hand."""
        weather = Weather(self.world, self._wanted)
        self.world.proposes("per_payment")
        for one in self._everybody:
            one.start()
        weather.start()
        try:
            yield
        finally:
            with self.timed("last orders"):
                for one in self._everybody:
                    if not isinstance(one, Clerk):  # there may be a refund still that the shop is asking for
                        one.ask_to_stop()
                self.world.proposes("manual")
                weather.stop()
                for one in self._everybody:
                    one.stop()

    def night(self) -> None:
        """No worker is there while Stables forgets every key; what it had made, and nobody knew of, is found by reading."""
        with self.timed("night"):
            self.world.tell("stables", "faults", {**TRANSFER, "fault": "drop_connection_after_work", "times": 0})
            self.world.tell("stables", "faults", {**LIST, "fault": "error_503_before_work", "times": 0})
            self.world.until(lambda: bool(self._unknown_attempts()), "no transfer is unknown", within_s=60)
            with self.world.workers_away():
                self._forgotten = self._unknown_attempts()
                time.sleep(KEY_LIFETIME_S / SPEED)
                self.world.tell("stables", "idempotency/lapse", {})
                self.world.clear("stables", "faults")

    def _unknown_attempts(self) -> list[str]:
        """Attempts at transfers that Stables has made and that have no answer here."""
        made = {one["metadata"]["attempt"] for one in self.world.ask("stables", "transfers")}
        attempt = tables.attempt
        wanted = select(attempt.c.id).where(attempt.c.kind == "transfer", attempt.c.state.in_(("pending", "unknown")))
        with self.world.services.context.database.read() as unit:
            return sorted(row.id for row in unit.execute(wanted) if row.id in made)

    def _wanted(self) -> frozenset[str]:
        return frozenset() if self._arming is None else self._arming.places

    def kill_at(self, points: Iterable[Point], *, within_s: float = POINTS_S) -> list[Point]:
        """Arm the points, a few at a time, until each has struck; those that never did."""
        ambush: dict[str, Callable[[Point], None]] = {
            "create session": self.storefront.ambush, "replay session": self.storefront.ambush,
            "read before reveal": self._ambushes.put,
        }  # fmt: skip
        arming = Arming(self.world.strikes, points, self.world.tell, self.chance, ambush)
        self._arming = arming
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
        """Kill a random process after a random pause, until so many were; AssertionError when nothing is left to kill."""
        with self.timed("random kills"):
            end = time.monotonic() + RANDOM_S
            while self.outcome.random_kills.total() < count:
                assert time.monotonic() < end, f"only {self.outcome.random_kills.total()} processes to kill"
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
        return any(one.problem is not None for one in self._everybody)

    def _check(self) -> None:
        checks = Checks(self.world, self.storefront.orders, self._forgotten)
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
        names = sorted({*one.enumerate_commits(), *COMMITS})
        with one.trade():
            missing = one.kill_at([*call_points(), *commit_points(names)])
            one.night()
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
            one.night()
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
