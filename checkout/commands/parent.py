"""Ending when the process that started this one is gone, however it went.

A supervisor that is killed with SIGKILL can tell its children nothing, and a worker left behind would go on moving
money under the next supervisor's eyes. So each child asks the kernel to be told.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Self, TypeVar

import click

C = TypeVar("C", bound=Callable[..., Any])

#: ``prctl(2)``: the signal a process gets when its parent dies.
PR_SET_PDEATHSIG: Final = 1
LOOK_EVERY_S: Final = 0.5


def parent_option(command: C) -> C:
    """``--parent PID``, for our own supervisors: end when that process is gone."""
    return click.option("--parent", type=int, hidden=True, help="End when this process, which started us, is gone.")(
        command
    )


def follow(parent: int | None) -> None:
    """Get SIGTERM when ``parent`` dies; at once when it already has. None: nobody is followed."""
    if parent is None:
        return
    if sys.platform == "linux":
        # Asked for by the child itself, after exec: a function run between fork and exec may deadlock. The kernel forgets
        # it at the next fork, so every generation asks again.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    else:  # pragma: no cover - only Linux can be told by the kernel
        threading.Thread(target=_look, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it died before we had asked
        raise SystemExit(1)


def _look(parent: int) -> None:  # pragma: no cover - other systems
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)


class Asked:
    """Inside the block: whether somebody has asked this process to end. Main thread only.

    The handler only notes it: taking a lock in a handler, as setting an Event does, can wait for the very code it
    interrupted.
    """

    def __init__(self) -> None:
        self.by: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # under nohup, a closed terminal is no reason to end
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: object) -> None:
        self.by = number

    def __bool__(self) -> bool:
        return self.by is not None
