"""An operator who never tires: types the commands that take settled money to the bank, again whenever one was killed.

What a person knows is what the commands answer and what the payout shows; state is read from the database directly, to
save a process for each look. Nobody pays twice: a deposit is asked for, or sent from a wallet, once, and the payout goes
wherever the provider takes it. Where it ends badly, a colleague looks into Stables' own books and says where the money is.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import select

from checkout.rules.payouts import FINAL, PayoutState
from checkout.store import payouts, tables
from checkout.store.records import PayoutRow, TransferRow
from checkout.store.tables import payout
from tests.acceptance.points import Point, call_of
from tests.acceptance.processes import KILLED
from tests.acceptance.world import World

COMMAND_S: Final = 60.0
#: A payout that is not home in this time is left to the checks at the end.
PATIENCE_S: Final = 120.0
#: Payouts under way from which on people propose no more.
OPEN_MAX: Final = 14
#: Before anybody has said that money may leave.
UNDECIDED: Final = frozenset({PayoutState.PROPOSED, PayoutState.QUOTED, PayoutState.ON_HOLD})
#: Answers that say no; anything else is a fault of ours.
REFUSALS: Final = ("not_possible", "forbidden_move")
#: One at a time: two settlement records made together would go into one payout, which is right but teaches less.
_proposing = threading.Lock()
#: Ways a revealed payout is funded, and the places where processes are killed on each.
FUNDINGS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "simulated": frozenset({"simulate deposit", "payouts._deposit_attempt", "payouts.simulate_deposit"}),
        "recorded": frozenset({"payouts.funded"}),
        "never paid": frozenset(),
        "paid and failed": frozenset({"resolutions.say payout:cancelled"}),
    }
)
#: What is done while no process waits to be killed on any of them.
USUAL: Final = ("simulated", "recorded", "simulated", "recorded", "never paid", "simulated", "paid and failed")


@dataclass(frozen=True, slots=True)
class Said:
    """What a command answered when it lived to answer."""

    code: int
    document: dict[str, Any] = field(default_factory=dict)


class Typist:
    """Whoever types commands, in a thread of their own, until there is nothing to do and nothing more comes."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self.problem: BaseException | None = None
        self.refused: list[str] = []  #: what commands refused, for the log of a failed run
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Begin nothing new."""
        self._stop.set()

    def stop(self) -> None:
        """End after what is in hand; raises what went wrong."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join(PATIENCE_S + 2 * COMMAND_S)
        if self.problem is not None:
            raise self.problem

    def work(self) -> bool:
        """Do the next thing there is; False when there was none."""
        raise NotImplementedError

    def must_finish(self) -> bool:
        """Whether something is under way that nobody else will bring to its end."""
        return False

    def _run(self) -> None:
        try:
            while not self._stop.is_set() or self.must_finish():
                if not self.work():
                    self._stop.wait(0.3)
                    time.sleep(0.05)
        except BaseException as problem:
            self.problem = problem

    def command(self, *arguments: str, who: str | None = None) -> Said:
        """Type one command until it lives to answer. A refusal is an answer; a bug or wrong usage is not."""
        for _ in range(40):
            name = f"operator-{self._name}-{next(self._numbers)}"
            process, output = self._world.command(name, *arguments, who=who)
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
            assert document["kind"] in REFUSALS, document
            self.refused.append(f"{' '.join(arguments[:2])}: {document['error']}")
            return Said(code, document)
        raise AssertionError(f"{arguments} was killed again and again")


class Desk:
    """What lies before the operators: payouts that wait for a person, each in one person's hands at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._in_hand: set[str] = set()
        self.funded: set[str] = set()  #: whose funds were sent, or never will be
        self.retried: set[str] = set()

    def take(self, *, finishing: bool) -> str | None:
        """A payout for which a person can do something now; none that is not approved when nothing new is begun."""
        with self._lock:
            for row in self._rows():
                if row.id not in self._in_hand and self._waits(row, finishing=finishing):
                    self._in_hand.add(row.id)
                    return str(row.id)
        return None

    def put_back(self, ident: str) -> None:
        with self._lock:
            self._in_hand.discard(ident)

    def is_empty(self) -> bool:
        """Whether everything that was ever approved has come to its end."""
        return all(row.state in UNDECIDED for row in self._rows())

    def is_full(self) -> bool:
        return len(self._rows()) >= OPEN_MAX

    def _waits(self, row: Any, *, finishing: bool) -> bool:
        match row.state:
            case PayoutState.QUOTED:  # with a time to be looked at, its policy decides first
                return row.due_at is None and not finishing
            case PayoutState.ON_HOLD:
                return row.transfer is None and row.id not in self.retried and not finishing
            case PayoutState.AWAITING_FUNDING:
                return row.checked_at is not None and row.id not in self.funded
            case PayoutState.NEEDS_DECISION:
                return row.transfer is not None
        return False

    def _rows(self) -> list[Any]:
        transfer = tables.transfer
        wanted = (
            select(payout.c.id, payout.c.state, payout.c.due_at, transfer.c.id.label("transfer"), transfer.c.checked_at)
            .join_from(payout, transfer, transfer.c.payout_id == payout.c.id, isouter=True)
            .where(payout.c.state.not_in([one.value for one in FINAL]))
            .order_by(payout.c.created_at)
        )
        with self._world.services.context.database.read() as unit:
            return list(unit.execute(wanted))


class Person(Typist):
    """One operator of payouts; several may work at one desk."""

    def __init__(
        self, world: World, name: str, desk: Desk, *, ambushes: SimpleQueue[Point] | None = None,
        wanted: Callable[[], frozenset[str]] = frozenset,
    ) -> None:  # fmt: skip
        super().__init__(world, name)
        self._desk = desk
        #: Kills to lay in the read that the next command to reveal makes.
        self._ambushes: SimpleQueue[Point] = SimpleQueue() if ambushes is None else ambushes
        self._wanted = wanted  #: places where processes wait to be killed
        self._turns = itertools.count(int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(USUAL))

    def work_waits(self) -> bool:
        """Whether anything has settled that no record covers."""
        return bool(self._world.unrecorded())

    def must_finish(self) -> bool:
        """Whether a payout was approved and has not come to its end."""
        return not self._desk.is_empty()

    def work(self) -> bool:
        """The next thing that a payout waits for; else a payout of what has settled; False when there is neither."""
        finishing = self._stop.is_set()
        ident = self._desk.take(finishing=finishing)
        if ident is None:
            return not finishing and self._enter()
        try:
            self._act(ident)
        finally:
            self._desk.put_back(ident)
        return True

    def _enter(self) -> bool:
        """Record what has settled; and while the desk has room, make a payout of it."""
        if not self._desk.is_full():
            return self.propose() is not None
        with _proposing:
            return self._record_next()

    def propose(self) -> str | None:
        """Record what has settled and make a payout of it; its id, if there was anything."""
        with _proposing:
            self._record_next()
            return self._propose() if self._is_anything_free() else None

    def _is_anything_free(self) -> bool:
        with self._world.services.context.database.read() as unit:
            return bool(payouts.free_records(unit, self._world.store_id, "USDC", "polygon"))

    def _record_next(self) -> bool:
        """Enter Stable Mint's advice of what it delivered, for one deposit that is settled here and in no record yet."""
        waiting = self._world.unrecorded()
        if not waiting:
            return False
        advices = {one["reference"]: one["delivered"] for one in self._world.ask("stable_mint", "settlements")}
        reference = next((one for one in waiting if one in advices), None)
        if reference is None:
            return False
        delivered = advices[reference]
        self.command(
            "treasury", "record", "--store", self._world.store_id, "--asset", delivered["asset"], "--network",
            delivered["network"], "--amount", delivered["amount"], "--deposit", reference, "--evidence",
            f"advice for {reference}",
        )  # fmt: skip
        return True

    def _propose(self) -> str | None:
        """Propose what is free; the payout's id, also when the answer was lost with the process."""
        before = self._payout_ids()
        self.command("payouts", "propose", self._world.store_id)
        new = self._payout_ids() - before
        assert len(new) <= 1, f"one proposal made {len(new)} payouts"
        return new.pop() if new else None

    def _payout_ids(self) -> set[str]:
        wanted = select(payout.c.id).where(payout.c.store_id == self._world.store_id)
        with self._world.services.context.database.read() as unit:
            return {str(row.id) for row in unit.execute(wanted)}

    # --- one payout --------------------------------------------------------------------------------------------------

    def carry(self, ident: str) -> str:
        """Do everything for one payout, each when its time has come, and watch it home; the last state seen."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and self.state(ident) not in FINAL:
            self._act(ident)
            time.sleep(0.1)
        return self.state(ident)

    def _act(self, ident: str) -> None:
        """What the payout waits for now: a mandate, a look at its address, its funds, a decision."""
        row, transfer = self._look(ident)
        match row.payout_state:
            case PayoutState.QUOTED:
                self.approve(ident)
            case PayoutState.ON_HOLD if transfer is None and ident not in self._desk.retried:
                self._desk.retried.add(ident)
                self.command("payouts", "retry", ident)
            case PayoutState.NEEDS_DECISION if transfer is not None:
                self._decide(row, transfer)
            case PayoutState.AWAITING_FUNDING if transfer is not None and transfer.checked_at is not None:
                if transfer.instructions_revealed_at is None:
                    self._be_ambushed(ident)
                    self.command("payouts", "reveal", ident)
                elif ident not in self._desk.funded:
                    self._desk.funded.add(ident)
                    self._fund(ident, transfer.provider_transfer_id)

    def _look(self, ident: str) -> tuple[PayoutRow, TransferRow | None]:
        with self._world.services.context.database.read() as unit:
            row, transfer = payouts.payout_by_id(unit, ident), payouts.transfer_of(unit, ident)
        assert row is not None
        return row, transfer

    def state(self, ident: str) -> str:
        """Where a payout stands."""
        return self._look(ident)[0].state

    def approve(self, ident: str) -> None:
        """Give the mandate; where it takes two people, the second one agrees."""
        said = self.command("payouts", "approve", ident, "--valid-hours", "24", who="ann")
        # that ann had approved may be an answer that was lost with its process
        if said.document.get("waits_for_second") or "second person" in said.document.get("error", ""):
            self.command("payouts", "approve", ident, who="ben")

    def _fund(self, ident: str, transfer: str) -> None:
        """Send the funds once, in one of the ways that there are; or leave it, so that the transfer ends."""
        match self._way():
            case "simulated":
                if self.command("payouts", "simulate-deposit", ident).code:
                    self._let_expire(transfer)
            case "recorded":
                self._world.tell("stables", "deposits", {"transfer": transfer})
                self._record_funding(ident)
            case "paid and failed":
                self._world.tell("stables", "deposits", {"transfer": transfer})
                self._world.tell("stables", f"transfers/{transfer}/status", {"status": "failed"})
                self._record_funding(ident)
            case _:
                self._let_expire(transfer)

    def _way(self) -> str:
        wanted = self._wanted()
        asked_for = [name for name, places in FUNDINGS.items() for _ in places & wanted]
        turn = next(self._turns)
        return asked_for[turn % len(asked_for)] if asked_for else USUAL[turn % len(USUAL)]

    def _record_funding(self, ident: str) -> None:
        digest = hashlib.sha256(ident.encode()).hexdigest()
        self.command("payouts", "funded", ident, "--hash", f"0x{digest}")

    def _let_expire(self, transfer: str) -> None:
        """The deposit may or may not have been asked for, and is never asked for again: without one, time goes by."""
        time.sleep(1)  # a call whose caller is dead may still be on its way
        if not self._at_stables(transfer)["deposits"]["count"]:
            self._world.tell("stables", f"transfers/{transfer}/status", {"status": "expired"})

    def _at_stables(self, transfer: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self._world.ask("stables", "transfers") if one["id"] == transfer)
        return found

    def _decide(self, row: PayoutRow, transfer: TransferRow) -> None:
        """A colleague of who sent the funds says where they are: never sent, or back from Stables, which had them."""
        kept = self._at_stables(transfer.provider_transfer_id)
        came = kept["deposits"]
        where = ("back", "--amount", str(came["sum"])) if came["count"] else ("never-sent",)
        self.command("payouts", "resolve", row.id, *where, "--evidence", "Stables' dashboard, ticket 12", who="ben")

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
