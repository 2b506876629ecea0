"""Faults of one path: an error before or after the work, a hang, a lost connection, rubbish instead of an
answer.

A fault is armed for a method and path and strikes a number of times. Killing the caller is not here: the
kill switch every provider port has does that.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

from checkout.simulator.switches import SwitchRefused


class FaultKind(StrEnum):
    ERROR_500_BEFORE = "error_500_before_work"  #: nothing is done; the 500 is stored under the key
    ERROR_500_AFTER = "error_500_after_work"  #: everything is done; the 500 is stored under the key
    ERROR_503_BEFORE = "error_503_before_work"  #: a gateway's page; nothing done, nothing stored
    ERROR_503_AFTER = "error_503_after_work"  #: a gateway's page; everything done, the real answer stored
    HANG_BEFORE = "hang_before_work"  #: ``value`` real seconds, then as usual
    HANG_AFTER = "hang_after_work"
    RATE_LIMITED = "429_with_retry_after"  #: ``value`` seconds in the header; nothing done, nothing stored
    DROP_BEFORE = "drop_connection_before_work"
    DROP_AFTER = "drop_connection_after_work"
    GARBAGE = "garbage_after_work"  #: 200 with a page instead of the answer
    INCOMPLETE = "incomplete_after_work"  #: the right status with an empty object


#: ``value`` when none is given: seconds of a hang, Retry-After.
_VALUES: Final = {FaultKind.HANG_BEFORE: 5.0, FaultKind.HANG_AFTER: 5.0, FaultKind.RATE_LIMITED: 2.0}
_FIELDS: Final = frozenset({"path", "method", "fault", "value", "times"})


@dataclass(slots=True)
class Fault:
    path: re.Pattern[str]
    method: str
    kind: FaultKind
    value: float
    times: int  #: how often it still strikes; 0 is until it is cleared
    endless: bool
    struck: int = 0

    def report(self) -> dict[str, object]:
        return {
            "path": self.path.pattern,
            "method": self.method,
            "fault": self.kind.value,
            "value": self.value,
            "times_left": None if self.endless else self.times,
            "struck": self.struck,
        }


class Faults:
    """The armed faults, oldest first; the first that matches a request strikes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Fault] = []

    def arm(self, asked: Mapping[str, object]) -> Fault:
        """Arm one fault from its JSON form; :class:`SwitchRefused` names everything wrong with it."""
        problems = {name: "there is no such field" for name in asked if name not in _FIELDS}
        kind, times = asked.get("fault"), asked.get("times", 1)
        if kind not in list(FaultKind):
            problems["fault"] = "one of " + ", ".join(FaultKind)
        if type(times) is not int or times < 0:
            problems["times"] = "a whole number; 0 is until cleared"
        value = asked.get("value", _VALUES.get(FaultKind(str(kind)), 0.0) if "fault" not in problems else 0.0)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            problems["value"] = "a number of seconds"
        path, method = asked.get("path", ""), asked.get("method", "")
        try:
            pattern = re.compile(path if isinstance(path, str) else "(")
        except re.error:
            problems["path"] = "a regular expression that the path must contain"
        if not isinstance(method, str):
            problems["method"] = "a method, or nothing for any"
        if problems:
            raise SwitchRefused(problems)
        left, seconds = cast("int", times), float(cast("float", value))
        fault = Fault(pattern, str(method).upper(), FaultKind(str(kind)), seconds, left, left == 0)
        with self._lock:
            self._armed.append(fault)
        return fault

    def meet(self, method: str, path: str) -> FaultStrike | None:
        """The fault that strikes in this request, if any."""
        with self._lock:
            for fault in self._armed:
                if fault.method and fault.method != method:
                    continue
                if not (fault.endless or fault.times) or not fault.path.search(path):
                    continue
                fault.times -= not fault.endless
                fault.struck += 1
                return FaultStrike(fault.kind, fault.value)
        return None

    def report(self) -> list[dict[str, object]]:
        with self._lock:
            return [fault.report() for fault in self._armed]

    def clear(self) -> None:
        with self._lock:
            self._armed.clear()


@dataclass(frozen=True, slots=True)
class FaultStrike:
    """What one request meets."""

    kind: FaultKind
    value: float
