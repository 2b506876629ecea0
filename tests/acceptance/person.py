"""An operator who never tires: types the commands that take settled money to the bank, again whenever one was killed.

What a person knows is what the commands answer and what the payout shows; state is read from the database directly, to
save a process for each look. Nobody repeats a deposit: a command that was killed in it is asked once more, refuses, and
the payout goes wherever the provider takes it.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Final

from sqlalchemy import select

from checkout.rules.payouts import FINAL, PayoutState
from checkout.store import payouts
from checkout.store.tables import payout_item
from tests.acceptance.points import Point, call_of
from tests.acceptance.processes import KILLED
from tests.acceptance.world import World

COMMAND_S: Final = 60.0
#: A payout that is not home in this time is left to the checks at the end.
PATIENCE_S: Final = 120.0
#: One at a time: two settlement records made together would go into one payout, which is right but teaches less.
_proposing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Said:
    """What a command answered when it lived to answer."""

    code: int
    document: dict[str, Any] = field(default_factory=dict)


class Person:
    """One operator; several may work at once."""

    def __init__(self, world: World, name: str, ambushes: SimpleQueue[Point] | None = None) -> None:
        self._world = world
        self._name = name
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        #: Kills to lay in the read that the next command to reveal makes.
        self._ambushes: SimpleQueue[Point] = SimpleQueue() if ambushes is None else ambushes
        self.problem: BaseException | None = None
        self.refused: list[str] = []  #: what commands refused, for the log of a failed run
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Begin nothing new."""
        self._stop.set()

    def stop(self) -> None:
        """End after the payout in hand; raises what went wrong."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join(PATIENCE_S + 2 * COMMAND_S)
        if self.problem is not None:
            raise self.problem

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                if not self.work():
                    self._stop.wait(0.3)
        except BaseException as problem:
            self.problem = problem

    def work_waits(self) -> bool:
        """Whether anything has settled that no record covers."""
        return bool(self._world.unrecorded())

    def work(self) -> bool:
        """Take what has settled as far as its funding; False when there was nothing to do."""
        with _proposing:
            advice = self._advice()
            if advice is not None:
                self._record(advice)
            proposed = self._propose() if self._is_anything_free() else None
        if proposed is not None:
            self.carry(proposed)
        return proposed is not None or advice is not None

    def _is_anything_free(self) -> bool:
        with self._world.services.context.database.read() as unit:
            return bool(payouts.free_records(unit, self._world.store_id, "USDC", "polygon"))

    def _advice(self) -> dict[str, Any] | None:
        """Stable Mint's advice of what it delivered, for a deposit that is settled here and in no record yet."""
        waiting = self._world.unrecorded()
        if not waiting:
            return None
        return next((one for one in self._world.ask("stable_mint", "settlements") if one["reference"] in waiting), None)

    def _record(self, advice: dict[str, Any]) -> None:
        delivered = advice["delivered"]
        self.command(
            "treasury", "record", "--store", self._world.store_id, "--asset", delivered["asset"], "--network",
            delivered["network"], "--amount", delivered["amount"], "--deposit", advice["reference"], "--evidence",
            f"advice for {advice['reference']}",
        )  # fmt: skip

    def _propose(self) -> str | None:
        """Propose what is free; the payout's id, also when the answer was lost with the process."""
        before = self._payout_ids()
        self.command("payouts", "propose", self._world.store_id)
        new = self._payout_ids() - before
        assert len(new) <= 1, f"one proposal made {len(new)} payouts"
        return new.pop() if new else None

    def _payout_ids(self) -> set[str]:
        with self._world.services.context.database.read() as unit:
            return {str(row.payout_id) for row in unit.execute(select(payout_item.c.payout_id).distinct())}

    def carry(self, ident: str) -> str:
        """Approve, reveal and fund, each when its state has come, and watch it home; the last state seen."""
        end = time.monotonic() + PATIENCE_S
        retried = asked = False
        while time.monotonic() < end:
            with self._world.services.context.database.read() as unit:
                row, transfer = payouts.payout_by_id(unit, ident), payouts.transfer_of(unit, ident)
            assert row is not None
            state = row.payout_state
            if state in FINAL or state is PayoutState.NEEDS_DECISION:
                return state
            if state is PayoutState.QUOTED:
                self.approve(ident)
            elif state is PayoutState.ON_HOLD and not retried and transfer is None:
                retried = True
                self.command("payouts", "retry", ident)
            elif state is PayoutState.AWAITING_FUNDING and transfer is not None and transfer.checked_at is not None:
                if transfer.instructions_revealed_at is None:
                    self._be_ambushed(ident)
                    self.command("payouts", "reveal", ident)
                elif not asked:
                    asked = True
                    if self.command("payouts", "simulate-deposit", ident).code:
                        self._let_expire(transfer.provider_transfer_id)
            time.sleep(0.1)
        return state

    def state(self, ident: str) -> str:
        """Where a payout stands."""
        with self._world.services.context.database.read() as unit:
            row = payouts.payout_by_id(unit, ident)
        return "" if row is None else row.state

    def approve(self, ident: str) -> None:
        """Give the mandate."""
        self.command("payouts", "approve", ident)

    def _let_expire(self, transfer: str) -> None:
        """The deposit may or may not have been asked for, and is never asked for again: without one, time goes by."""
        time.sleep(1)  # a call whose caller is dead may still be on its way
        kept = next(one for one in self._world.ask("stables", "transfers") if one["id"] == transfer)
        if not kept["deposits"]["count"]:
            self._world.tell("stables", f"transfers/{transfer}/status", {"status": "expired"})

    def _be_ambushed(self, ident: str) -> None:
        """Have one command killed in the read before it reveals. Workers make the same call: they stand still meanwhile."""
        try:
            point = self._ambushes.get_nowait()
        except Empty:
            return
        call = call_of(point.where)
        with self._world.workers_frozen():
            self._world.tell("stables", "kill", {"path": call.path, "method": call.method, "moment": point.when})
            process, _ = self._world.command(f"operator-{self._name}-{next(self._numbers)}", "payouts", "reveal", ident)
            process.wait(COMMAND_S)

    def command(self, *arguments: str) -> Said:
        """Type one command until it lives to answer. A refusal is an answer; a bug or wrong usage is not."""
        for _ in range(40):
            process, output = self._world.command(f"operator-{self._name}-{next(self._numbers)}", *arguments)
            code = process.wait(COMMAND_S)
            if code == KILLED:
                continue
            document = json.loads(output.read_text(encoding="utf-8") or "{}")
            if code == 0:
                return Said(code, document)
            assert code == 1, f"{arguments}: exit {code}: {document}"
            if document["kind"] in ("store_unavailable", "lost_race"):
                time.sleep(0.2)
                continue
            assert document["kind"] in ("not_possible", "forbidden_move"), document
            self.refused.append(f"{' '.join(arguments[:2])}: {document['error']}")
            return Said(code, document)
        raise AssertionError(f"{arguments} was killed again and again")
