"""Dates and times on a command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import click


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions
    """``2026-11-01`` (midnight UTC) or ``2026-11-01T08:00:00Z``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a date like 2026-11-01 or a time like 2026-11-01T08:00:00Z", param, ctx)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


MOMENT: Final = Moment()
