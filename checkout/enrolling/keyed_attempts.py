"""Calls that create something at Stables and move no money: each under a key that is stored before the first byte.

A key is repeated only with the same request, inside its lifetime and after fewer than three unknown answers; afterwards it
is dead and the caller finds out by reading before it makes another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from checkout.context import Context
from checkout.providers.outcome import Accepted, Declined, Outcome
from checkout.rules.work import UNKNOWNS_MAX
from checkout.store import payouts
from checkout.store.engine import Unit
from checkout.store.records import AttemptRow
from checkout.store.tables import attempt

_OPEN: Final = ("pending", "unknown")


def fingerprint(body: Mapping[str, Any]) -> str:
    """Tells two requests apart without keeping either."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:32]


class KeyedAttempts:
    """Begins and ends such calls."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def repeatable(
        self, unit: Unit, subject: str, kind: str, body: Mapping[str, Any], now: datetime
    ) -> AttemptRow | None:
        """The open attempt at this very request that may be sent again, or None."""
        life = self._context.scaled(self._context.settings.stables.key_lifetime)
        for one in payouts.attempts_of(unit, subject, kind):
            same = one.evidence.startswith(f"request {fingerprint(body)}")
            if one.state in _OPEN and same and one.unknowns < UNKNOWNS_MAX and now - one.first_sent_at < life:
                return one
        return None

    def begin(self, unit: Unit, subject: str, kind: str, body: Mapping[str, Any], now: datetime) -> AttemptRow:
        """The attempt to send now: the repeatable one, or a new one with the others dead. Commit before sending."""
        context = self._context
        again = self.repeatable(unit, subject, kind, body, now)
        for one in payouts.attempts_of(unit, subject, kind):
            if one.state in _OPEN and (again is None or one.id != again.id):
                note = f"{one.evidence}; given up: its answer never came, and reading shows what there is"
                payouts.update_attempt(unit, one.id, state="dead", evidence=note)
        if again is not None:
            payouts.update_attempt(unit, again.id, sends=again.sends + 1)
            return again
        ident = context.new_id("att")
        payouts.insert_row(
            unit,
            attempt,
            {
                "id": ident, "kind": kind, "subject": subject, "key": context.new_uuid(), "state": "pending", "sends": 1,
                "unknowns": 0, "first_sent_at": now, "evidence": f"request {fingerprint(body)}", "created_at": now,
            },
        )  # fmt: skip
        made = payouts.attempt_by_id(unit, ident)
        if made is None:  # pragma: no cover - see there
            raise LookupError(ident)  # it was inserted in this transaction
        return made

    def found(self, unit: Unit, subject: str, kind: str, *, by: str) -> None:
        """What open attempts asked for is there: reading has shown it."""
        for one in payouts.attempts_of(unit, subject, kind):
            if one.state in _OPEN:
                payouts.update_attempt(unit, one.id, state="accepted", evidence=f"{one.evidence}; found by {by}")

    def end(self, unit: Unit, made: AttemptRow, outcome: Outcome[Any]) -> None:
        """Store what came of it."""
        match outcome:
            case Accepted():
                payouts.update_attempt(unit, made.id, state="accepted")
            case Declined(status=status):
                payouts.update_attempt(
                    unit, made.id, state="declined", evidence=f"{made.evidence}; declined with {status}"
                )
            case _:
                payouts.update_attempt(unit, made.id, state="unknown", unknowns=made.unknowns + 1)
