"""What becomes of a transfer as time goes by: the documented path, and every way off it a switch asks for.

Pure: a transfer, the switches, a moment and the length of a wait go in; moves come out. One move at most is
planned per transfer, and a planned move happens at its due time however late somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from checkout.simulator.stables import codes
from checkout.simulator.stables.codes import Status
from checkout.simulator.stables.switches import Switches
from checkout.simulator.stables.transfers import Transfer

#: Nominal seconds → real seconds.
Wait = Callable[[float], float]

#: States in which money may still come; only from these can a transfer expire (docs, transfer states).
FUNDABLE: Final = frozenset({Status.CREATED, Status.AWAITING})
#: States a transfer may come back from.
DETOURS: Final = frozenset({Status.HOLD, Status.UNKNOWN, Status.IN_PROGRESS})
#: The step after each state that needs no deposit, and the switch with its length.
_NEXT: Final = MappingProxyType(
    {
        Status.CREATED: (Status.AWAITING, "await_s"),
        Status.COLLECTED: (Status.SUBMITTED, "submit_s"),
        Status.SUBMITTED: (Status.PROCESSED, "process_s"),
        Status.PROCESSED: (Status.COMPLETED, "complete_s"),
    }
)


def plan(transfer: Transfer, switches: Switches, wait: Wait, at: datetime) -> None:
    """Decide the next move of a transfer that has just become what it is, at ``at``."""
    transfer.due = None
    status = transfer.status
    if status in DETOURS and transfer.resumes_to is not None and switches.detour_s > 0:
        transfer.due = (at + timedelta(seconds=wait(switches.detour_s)), transfer.resumes_to)
        return
    if status in codes.FINAL or status in DETOURS:
        return
    away = _diversion(transfer, switches)
    if away is not None:
        transfer.due = (at + timedelta(seconds=wait(switches.divert_s)), away)
    elif status in _NEXT:
        following, length = _NEXT[status]
        transfer.due = (at + timedelta(seconds=wait(getattr(switches, length))), following)
    elif status is Status.AWAITING and transfer.received >= transfer.amount:
        transfer.due = (at + timedelta(seconds=wait(switches.collect_s)), Status.COLLECTED)
        return
    if status in FUNDABLE and (transfer.due is None or transfer.due[0] > transfer.expires_at):
        transfer.due = (transfer.expires_at, Status.EXPIRED)


def _diversion(transfer: Transfer, switches: Switches) -> Status | None:
    """Where the transfer leaves the path from here, if the switches say so and it has not left it already."""
    taken = transfer.resumes_to is not None
    if transfer.quote.request.fiat in codes.SANDBOX_FIAT and transfer.status is Status.COLLECTED and not taken:
        return Status.IN_PROGRESS  # OBSERVED: these corridors never get any further in the sandbox
    if switches.ends_as == "completed" or switches.diverts_after != transfer.status.value or taken:
        return None
    return Status(switches.ends_as)


def move(transfer: Transfer, status: Status, at: datetime) -> None:
    """Let a transfer become ``status`` at ``at``; a detour remembers where the path goes on."""
    if status in DETOURS and transfer.status in FUNDABLE:
        transfer.resumes_to = Status.AWAITING
    elif status in DETOURS and transfer.status in codes.PATH[:-1]:
        transfer.resumes_to = codes.PATH[codes.PATH.index(transfer.status) + 1]
    transfer.status = status
    transfer.updated_at = at
    transfer.moves.append((status, at))


def step(transfer: Transfer, switches: Switches, wait: Wait, now: datetime) -> bool:
    """Make the planned move if it has fallen due, at its own time; False when there was none."""
    if transfer.due is None or transfer.due[0] > now:
        return False
    at, status = transfer.due
    move(transfer, status, at)
    plan(transfer, switches, wait, at)
    return True


def deposited(transfer: Transfer, switches: Switches, wait: Wait, now: datetime) -> None:
    """Money has come: when it is enough and the transfer waits for it, collecting it is the next move.

    What a real transfer does with too little, too much or too late is UNKNOWN: too little leaves it
    waiting, too much is collected, too late changes nothing. The control route of deposits shows each of
    them.
    """
    planned = transfer.due[1] if transfer.due is not None else None
    if transfer.status is not Status.AWAITING or planned not in (None, Status.EXPIRED):
        return
    away = _diversion(transfer, switches)
    if away is not None:  # the switch was set after the transfer began to wait
        transfer.due = (now + timedelta(seconds=wait(switches.divert_s)), away)
    elif transfer.received >= transfer.amount:
        transfer.due = (now + timedelta(seconds=wait(switches.collect_s)), Status.COLLECTED)
