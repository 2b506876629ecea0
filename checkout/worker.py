"""The loop: claim what is due, do one step of each, release. Any number of workers, on any number of hosts.

A dead worker's lease runs out and any other goes on. The outermost ``except`` here is the only place that catches
everything: it logs, counts and leaves the row claimable.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from checkout import sealing
from checkout.context import Context
from checkout.errors import LostRace, StoreUnavailable
from checkout.events import Events
from checkout.store.engine import Taken, Unit
from checkout.store.listening import listen
from checkout.store.tables import (
    customer_standing,
    event,
    notification_delivery,
    payment,
    payout,
    payout_policy,
    refund,
    session,
)
from checkout.store.work import Queue, claim, give_back, next_due
from checkout.telling.turns import Turns

log = structlog.get_logger("checkout.worker")

#: How long a thread with nothing to do sleeps; a wake ends it early.
IDLE: Final = timedelta(milliseconds=200)
#: The same where the database says when work is due.
IDLE_LISTENING: Final = timedelta(seconds=1)
SHORTEST: Final = timedelta(milliseconds=5)
#: After the database was away.
AWAY: Final = timedelta(seconds=2)
#: After a step failed by our own fault: the row is claimable again after this.
FAILED_STEP: Final = timedelta(seconds=30)
#: Threads that deliver notifications: a shop that hangs holds half of them, at most.
SENDERS: Final = 6


class Bell:
    """Wakes the threads of one kind of work; whoever rests on it misses nothing since it last listened."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.rung = 0

    def ring(self) -> None:
        with self._condition:
            self.rung += 1
            self._condition.notify_all()

    def rest(self, heard: int, wait: timedelta) -> None:
        """Sleep until rung, unless that happened since ``heard`` was read."""
        with self._condition:
            if self.rung == heard:
                self._condition.wait(wait.total_seconds())


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of work: where its rows are, how many are claimed at once, and what a step does."""

    name: str
    table: Queue
    batch: int
    threads: int
    step: Callable[[str, str], None]
    bell: Bell = field(default_factory=Bell)
    turns: Turns | None = None  #: for work towards many others, of whom one must not keep everybody


class Worker:
    """Runs until stopped. ``step`` functions take a row's id and the lease's token."""

    def __init__(
        self,
        context: Context,
        *,
        name: str,
        events: Events,
        open_session: Callable[[str, str], None],
        follow_payout: Callable[[str, str], None],
        run_policy: Callable[[str, str], None],
        send_refund: Callable[[str, str], None],
        read_customer: Callable[[str, str], None],
        deliver: Callable[[str, str], None],
        look_at_payment: Callable[[str, str], None],
    ) -> None:
        self._context = context
        self._name = name
        self._events = events
        self._stop = threading.Event()
        # one call at a time inside a lease: only what makes no provider call is claimed in batches; and every kind has
        # its own threads, so that a shop or provider that does not answer holds up nothing else
        self._lines = (
            Line("event", event, 20, 1, events.step),
            Line("session", session, 1, 2, open_session),
            Line("payout", payout, 1, 2, follow_payout),
            Line("payout_policy", payout_policy, 1, 1, run_policy),
            Line("refund", refund, 1, 1, send_refund),
            Line("customer_standing", customer_standing, 1, 1, read_customer),
            Line("notification", notification_delivery, 1, SENDERS, deliver, turns=Turns(SENDERS)),
            Line("payment", payment, 20, 1, look_at_payment),
        )

    def stop(self) -> None:
        """Ask the loop to end after the step it is in."""
        self._stop.set()
        self.wake()

    def wake(self, kind: str | None = None) -> None:
        """Look for work now: of one kind, named as its table is, or of every kind."""
        for line in self._lines:
            if kind in (None, line.name):
                line.bell.ring()

    def run(self) -> None:
        """Work until stopped, every kind of work in its own threads."""
        log.info("worker started", worker=self._name)
        threads = [
            threading.Thread(target=self._loop, args=(line,), name=f"{line.name}-{number}")
            for line in self._lines
            for number in range(line.threads)
        ]
        listener = threading.Thread(
            target=listen, args=(self._context.database, self.wake, self._stop), name="listener"
        )
        for thread in (*threads, listener):
            thread.start()
        for thread in (*threads, listener):
            thread.join()
        log.info("worker stopped", worker=self._name)

    def _loop(self, line: Line) -> None:
        idle = IDLE if self._context.database.is_sqlite else IDLE_LISTENING
        while not self._stop.is_set():
            heard = line.bell.rung
            try:
                wait = self._until_due(line, idle)
                busy = wait <= timedelta(0) and self._work_off(line)
                if not busy:  # where something is due, it is in other hands
                    line.bell.rest(heard, max(SHORTEST, wait))
            except StoreUnavailable:
                log.warning("the database is away", worker=self._name, line=line.name)
                self._stop.wait(AWAY.total_seconds())
            except Exception as error:  # a thread that ends would leave its kind of work undone, and nobody would see
                log.error("could not look for work", line=line.name, error=type(error).__name__, exc_info=True)
                self._stop.wait(AWAY.total_seconds())

    def _until_due(self, line: Line, idle: timedelta) -> timedelta:
        """How long there is nothing to do, as far as is known: at most ``idle``. Zero or less when something is due."""
        with self._context.database.read() as unit:
            due_at = self._next_due(unit, line)
        return idle if due_at is None else min(idle, due_at - self._context.clock())

    def _next_due(self, unit: Unit, line: Line) -> datetime | None:
        now = self._context.clock()
        return line.turns.next_due(unit, now=now) if line.turns is not None else next_due(unit, line.table, now=now)

    def turn(self) -> int:
        """Claim and do some of every kind of work that is due; how many steps were taken. Every kind gets its turn."""
        return sum(self._work_off(line) for line in self._lines if self._until_due(line, IDLE) <= timedelta(0))

    def _work_off(self, line: Line) -> int:
        """Claim some of what is due and do a step of each; how many."""
        context = self._context
        token = sealing.token()
        try:
            with context.database.write() as unit:
                ids = self._claim(unit, line, token)
            for ident in ids:
                if self._stop.is_set():  # the rest goes back now, not when the lease runs out
                    self._give_back(line, ident, token, timedelta(0))
                else:
                    self._do(line, ident, token)
        finally:
            if line.turns is not None:
                line.turns.done(token)
        return len(ids)

    def _claim(self, unit: Unit, line: Line, token: str) -> list[str]:
        now, lease = self._context.clock(), self._context.lease
        if line.turns is not None:
            return line.turns.claim(unit, now=now, lease=lease, token=token)
        return claim(unit, line.table, now=now, lease=lease, token=token, limit=line.batch)

    def _do(self, line: Line, ident: str, token: str) -> None:
        try:
            line.step(ident, token)
        except (LostRace, Taken) as lost:
            log.info("step given up", line=line.name, id=ident, why=str(lost)[:200])
            self._give_back(line, ident, token, IDLE)
        except StoreUnavailable:
            raise
        except Exception as error:  # the outermost one: our bug must not stop the others' work
            log.error("step failed", line=line.name, id=ident, error=type(error).__name__, exc_info=True)
            self._fail(line, ident, token, type(error).__name__)

    def _fail(self, line: Line, ident: str, token: str, error: str) -> None:
        if line.table is not event:
            self._give_back(line, ident, token, FAILED_STEP)
            return
        try:
            self._events.fail(ident, token, error)
        except LostRace as lost:  # the lease ran out in the step: the event is another worker's now
            log.info("step given up", line=line.name, id=ident, why=str(lost)[:200])

    def _give_back(self, line: Line, ident: str, token: str, wait: timedelta) -> None:
        context = self._context
        with context.database.write() as unit:
            give_back(unit, line.table, ident, token, due_at=context.clock() + wait)
