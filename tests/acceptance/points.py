"""Where processes are killed: at four moments of every provider call, before and after every commit; armed, counted, shown."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from checkout.simulator.moments import Moment
from tests.acceptance.commits import ARMED, SIDES, STRUCK, file_name, read_name
from tests.acceptance.outside import HOOKS

MOMENTS: Final = tuple(moment.value for moment in Moment)
#: Points armed at once: enough that kills overlap, few enough that each meets another payment or payout.
WINDOW: Final = 8
#: An armed point that nothing has come by for so long no longer counts against the window.
STALE_S: Final = 1.5
#: Between two looks at what has struck.
TURN_S: Final = 0.15
#: After so long an ambush has met the wrong process, and is laid again.
AMBUSH_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Call:
    """A call that one of our processes makes: which process, to whom, and how the other side sees it."""

    name: str
    role: str
    to: str
    method: str
    path: str

    def is_of(self, who: str, rule: Mapping[str, Any]) -> bool:
        """Whether a rule of the simulator was armed for this call."""
        return (self.to, self.method, self.path) == (who, rule["method"], rule["path"])


#: Every call of session creation, payout, refund and notification, by each process that makes it.
CALLS: Final = (
    Call("create session", "web", "stable_mint", "POST", "^/session/hosted"),
    Call("replay session", "worker", "stable_mint", "POST", "^/session/hosted"),
    Call("read customer", "worker", "stables", "GET", "^/api/v1/customers/"),
    Call("create quote", "worker", "stables", "POST", "^/api/v1/quotes$"),
    Call("create transfer", "worker", "stables", "POST", "^/api/v1/transfer$"),
    Call("poll transfer", "worker", "stables", "GET", "^/api/v1/transfers/[^/]+$"),
    Call("list transfers", "worker", "stables", "GET", "^/api/v1/transfers$"),
    Call("read before reveal", "command", "stables", "GET", "^/api/v1/transfers/[^/]+$"),
    Call("simulate deposit", "command", "stables", "POST", "/simulate-deposit$"),
    Call("send withdrawal", "worker", "stable_mint", "POST", "^/withdrawal/"),
    Call("deliver notification", "worker", "shop", "POST", f"^{HOOKS}$"),
)


#: Commits that there are only where another process was killed before: the call and the moment of that kill.
LURES: Final = MappingProxyType({"refund_sending.step refund:unknown": ("send withdrawal", Moment.RECEIVED.value)})
#: After so long a lure has done nothing for its commit, and is laid again.
LURE_S: Final = 12.0


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """One place to die: ``where`` is a call's name or a commit's, ``when`` a moment or a side."""

    kind: str  #: call or commit
    where: str
    when: str

    def __str__(self) -> str:
        return f"{self.when} {self.where}"


def call_points() -> list[Point]:
    return [Point("call", call.name, moment) for call in CALLS for moment in MOMENTS]


def commit_points(names: Iterable[str]) -> list[Point]:
    return [Point("commit", name, side) for name in sorted(set(names)) for side in SIDES]


def call_of(name: str) -> Call:
    return next(call for call in CALLS if call.name == name)


class Strikes:
    """Which points have struck, told from what the victims and the simulator left behind."""

    def __init__(self, armed: Path, roles: Path, ask: Callable[[str, str], Any]) -> None:
        self.armed = armed
        self._roles = roles
        self.ask = ask  #: (who, control path) → JSON
        self._known: dict[int, str] = {}  # roles of processes that were killed by a provider

    def count(self) -> Counter[Point]:
        """How often each point has killed a process."""
        return self._commits() + self._calls()

    def _commits(self) -> Counter[Point]:
        names = (read_name(file) for file in os.listdir(self.armed))
        return Counter(Point("commit", commit, side) for commit, side, state in names if state == STRUCK)

    def _calls(self) -> Counter[Point]:
        found: Counter[Point] = Counter()
        for who in ("stable_mint", "stables", "shop"):
            for rule in self.ask(who, "kills"):
                roles = {self.role(pid) for pid in rule["killed"]}
                for call in CALLS:
                    if call.is_of(who, rule) and call.role in roles:
                        found[Point("call", call.name, rule["moment"])] += 1
        return found

    def role(self, pid: int) -> str:
        """What a killed process was."""
        if pid not in self._known:
            try:
                self._known[pid] = (self._roles / str(pid)).read_text(encoding="utf-8").partition(" ")[0]
            except FileNotFoundError:
                return "unknown"
        return self._known[pid]


class Arming:
    """Arms points a few at a time, in an order the seed decides, until each has struck as often as it is wanted."""

    def __init__(
        self,
        strikes: Strikes,
        wanted: Iterable[Point],
        post: Callable[[str, str, dict[str, Any]], Any],
        chance: random.Random,
        ambush: Mapping[str, Callable[[Point], None]],
    ) -> None:
        self._strikes = strikes
        self._post = post
        self._ambush = ambush  #: calls that several kinds of process make: who knows when the right one is about to
        self._waiting = list(wanted)
        chance.shuffle(self._waiting)
        self.wanted = frozenset(self._waiting)
        self.places = frozenset(one.where for one in self._waiting)  #: where processes are still to be killed
        self._armed: dict[Point, float] = {}
        self._lured: dict[Point, float] = {}
        self._base = strikes.count()
        self._number = 0
        self._begun = time.monotonic()
        self._log = strikes.armed.parent / "strikes.log"  # which points struck when, for whoever looks into a failure
        self._stop = threading.Event()
        self.problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="arming", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)
        for path in self._strikes.armed.glob(f"*{ARMED}"):
            path.unlink(missing_ok=True)
        if self.problem is not None:
            raise self.problem

    def missing(self) -> list[Point]:
        """What has not struck yet since the beginning."""
        struck = self._strikes.count() - self._base
        return sorted(point for point in self.wanted if not struck[point])

    def _run(self) -> None:
        try:
            while not self._stop.wait(TURN_S):
                self._turn()
        except BaseException as problem:
            self.problem = problem

    def _turn(self) -> None:
        left = set(self.missing())
        self.places = frozenset(one.where for one in left)
        now = time.monotonic()
        for point in [one for one in self._armed if one not in left]:
            waited = now - self._armed.pop(point)
            with self._log.open("a", encoding="utf-8") as log:
                log.write(f"{now - self._begun:6.1f} s  {point}, {waited:.1f} s after it was armed\n")
        for point, since in list(self._armed.items()):
            # a rule of the simulator takes whoever comes by; when it was the wrong process it is armed again
            stale_s = STALE_S if point.where not in self._ambush else AMBUSH_S
            if point.kind == "call" and now - since > stale_s and not self._pending(point):
                self._arm(point)
            if now - self._lured.get(point, now) > LURE_S:
                self._lure(point)
        fresh = sum(now - since <= STALE_S for since in self._armed.values())
        while self._waiting and fresh < WINDOW:
            point = self._waiting.pop()
            if point in left:
                self._arm(point)
                fresh += 1

    def _pending(self, point: Point) -> bool:
        call = call_of(point.where)
        return any(
            not rule["struck"] and call.is_of(call.to, rule) and rule["moment"] == point.when
            for rule in self._strikes.ask(call.to, "kills")
        )

    def _arm(self, point: Point) -> None:
        self._armed[point] = time.monotonic()
        if point.where in self._ambush:
            self._ambush[point.where](point)
            return
        if point.kind == "call":
            self._kill_in(call_of(point.where), point.when)
            return
        if point.where in LURES:
            self._lure(point)
        self._number += 1
        (self._strikes.armed / file_name(point.where, point.when, self._number)).touch()

    def _lure(self, point: Point) -> None:
        self._lured[point] = time.monotonic()
        name, moment = LURES[point.where]
        self._kill_in(call_of(name), moment)

    def _kill_in(self, call: Call, moment: str) -> None:
        self._post(call.to, "kill", {"path": call.path, "method": call.method, "moment": moment})


def table(counts: Counter[Point], title: str) -> str:
    """What was killed where, how often."""
    rows: dict[str, Counter[str]] = {}
    for point, count in counts.items():
        rows.setdefault(point.where, Counter())[point.when] += count
    lines = [f"--- {title}: {counts.total()} kills at {len(counts)} points"]
    calls = [call.name for call in CALLS if call.name in rows]
    for where in [*calls, *sorted(set(rows) - set(calls))]:
        times = ", ".join(f"{when} {rows[where][when]}" for when in (*MOMENTS, *SIDES) if rows[where][when])
        lines.append(f"  {where:<44} {times}")
    return "\n".join(lines)
