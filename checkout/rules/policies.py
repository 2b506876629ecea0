"""When a treasury's free funds become payouts by themselves: which sources together, and at which moment. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Final

#: One free settlement record, allocated share or returned rest: (id, minor units).
Source = tuple[str, int]

MINUTES_A_DAY: Final = 24 * 60
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Kind(StrEnum):
    """When a policy proposes."""

    MANUAL = "manual"  #: never: a person does
    PER_PAYMENT = "per_payment"  #: each settlement record by itself, as soon as it is there
    THRESHOLD = "threshold"  #: everything, once there is so much
    DAILY = "daily"  #: everything, at a time of day
    WEEKLY = "weekly"  #: everything, at a time of one weekday


SCHEDULED: Final = frozenset({Kind.DAILY, Kind.WEEKLY})


@dataclass(frozen=True, slots=True)
class Choice:
    """What to propose now: one payout per batch; and the sources that no batch can hold."""

    batches: tuple[tuple[Source, ...], ...]
    too_large: tuple[Source, ...] = ()


def choose(
    kind: Kind, sources: Sequence[Source], *, threshold: int | None, minimum: int | None, maximum: int | None
) -> Choice:
    """Which sources become payouts, oldest first; none is divided, each is in one batch at most.

    No batch is below the minimum or above the maximum. A source above the maximum waits for a person; what is below the
    minimum waits for more. ``per_payment`` closes a batch as soon as it may; the others fill it.
    """
    if kind is Kind.MANUAL:
        return Choice(())
    too_large = tuple(one for one in sources if maximum is not None and one[1] > maximum)
    fitting = [one for one in sources if maximum is None or one[1] <= maximum]
    if kind is Kind.THRESHOLD and sum(minor for _, minor in fitting) < (threshold or 0):
        return Choice((), too_large)
    least = max(minimum or 1, 1)
    batches: list[tuple[Source, ...]] = []
    current: list[Source] = []
    held = 0
    for one in fitting:
        full = maximum is not None and held + one[1] > maximum
        if current and (full or (kind is Kind.PER_PAYMENT and held >= least)):
            if held >= least:
                batches.append(tuple(current))
            current, held = [], 0
        current.append(one)
        held += one[1]
    if current and held >= least:
        batches.append(tuple(current))
    return Choice(tuple(batches), too_large)


def next_run(zone: tzinfo, at_minute: int, weekday: int | None, *, after: datetime) -> datetime:
    """The first moment after ``after`` at which the clocks of the zone show that minute (on that weekday).

    Once per local day, whatever the clocks do: a minute that is skipped in spring is taken as if they had not yet been
    changed, of one that comes twice in autumn the first is taken.
    """
    local = time(*divmod(at_minute, 60))
    day: date = after.astimezone(zone).date() - timedelta(days=1)
    while True:
        moment = datetime.combine(day, local, tzinfo=zone).astimezone(UTC)
        if moment > after and weekday in (None, day.weekday()):
            return moment
        day += timedelta(days=1)
