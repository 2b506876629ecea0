"""The kill switch: end the calling process, or cut its connection, at an exact moment of one provider call.

A rule is armed over the control plane, matches the nth request of a method and path, strikes once and is kept
on a list with what it did. The HTTP server asks at four moments; with no rule armed that is one check of an
empty list.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from checkout.simulator.callers import Address, kill, processes_at
from checkout.simulator.switches import SwitchRefused


class Moment(StrEnum):
    RECEIVED = "received"  #: the request has been read, nothing has been done; it never will be
    BEFORE_ANSWER = "before_answer"  #: the work is done, not a byte has been sent
    WHILE_ANSWERING = "while_answering"  #: status, headers and half the body have been sent
    AFTER_ANSWER = "after_answer"  #: every byte has been sent


class Act(StrEnum):
    KILL = "kill"  #: SIGKILL the process that called
    CUT = "cut"  #: only close the connection: a network fault, also usable from the same process


@dataclass(slots=True)
class Rule:
    """One armed strike and, afterwards, what came of it."""

    ident: int
    path: re.Pattern[str]
    method: str
    moment: Moment
    nth: int
    act: Act
    seen: int = 0
    struck: bool = False
    callers: list[int] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    refused: str | None = None

    def report(self) -> dict[str, object]:
        return {
            "id": self.ident,
            "path": self.path.pattern,
            "method": self.method,
            "moment": self.moment.value,
            "nth": self.nth,
            "act": self.act.value,
            "seen": self.seen,
            "struck": self.struck,
            "killed": self.killed,
            "refused": self.refused,
        }


class Kills:
    """The rules of one provider port."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._armed = 0

    def arm(self, asked: Mapping[str, object]) -> Rule:
        """Arm one rule from its JSON form; :class:`SwitchRefused` says what is wrong with it."""
        problems = {name: "there is no such field" for name in asked if name not in _FIELDS}
        for name, choices in (("moment", list(Moment)), ("act", list(Act))):
            if asked.get(name, _FIELDS[name]) not in choices:
                problems[name] = "one of " + ", ".join(choices)
        nth = asked.get("nth", 1)
        if type(nth) is not int or nth < 1:
            problems["nth"] = "a whole number from 1"
        path = asked.get("path", "")
        try:
            pattern = re.compile(path if isinstance(path, str) else "(")
        except re.error:
            problems["path"] = "a regular expression that the path must contain"
        if problems:
            raise SwitchRefused(problems)
        with self._lock:
            rule = Rule(
                ident=len(self._rules) + 1,
                path=pattern,
                method=str(asked.get("method") or "").upper(),
                moment=Moment(str(asked["moment"])),
                nth=nth if isinstance(nth, int) else 1,
                act=Act(str(asked.get("act", "kill"))),
            )
            self._rules.append(rule)
            self._armed += 1
        return rule

    def meet(self, method: str, path: str) -> Rule | None:
        """Count a request against every armed rule; the one that strikes in it, if any (earliest first)."""
        if not self._armed:
            return None
        with self._lock:
            chosen: Rule | None = None
            for rule in self._rules:
                if rule.struck or (rule.method and rule.method != method) or not rule.path.search(path):
                    continue
                rule.seen += 1
                if rule.seen >= rule.nth and chosen is None:
                    rule.struck = True
                    self._armed -= 1
                    chosen = rule
            return chosen

    def look(self, rule: Rule, caller: Address, here: Address) -> None:
        """Find out who calls, as soon as the request is there: whoever knows enough of the answer may hang up."""
        if rule.act is Act.KILL:
            rule.callers = processes_at(caller, here)

    def strike(self, rule: Rule) -> bool:
        """Do what the rule says; True when the connection must now be closed without another byte."""
        if rule.act is Act.CUT:
            return True
        rule.killed, rule.refused = kill(rule.callers)
        return bool(rule.killed)

    def report(self) -> list[dict[str, object]]:
        with self._lock:
            return [rule.report() for rule in self._rules]

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()
            self._armed = 0


#: Fields of a rule as sent, with their defaults; ``moment`` has none.
_FIELDS: dict[str, object] = {
    "path": "",
    "method": "",
    "moment": None,
    "nth": 1,
    "act": "kill",
}
