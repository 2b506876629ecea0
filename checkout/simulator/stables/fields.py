"""Reads one JSON object field by field and remembers everything that is wrong with it.

The provider's validation errors list every bad field at once (CONFIRMED, OpenAPI ``ValidationError``), so
nothing is raised before the whole body has been read. Fields nobody asks for are ignored, as the OpenAPI
allows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from checkout.simulator.stables.refusals import Refusal

UUID_PATTERN: Final = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
)
UUID4_PATTERN: Final = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
)
EMAIL_PATTERN: Final = re.compile(
    r"(?!\.)(?!.*\.\.)([A-Za-z0-9_'+\-.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}"
)
PHONE_PATTERN: Final = re.compile(r"\+[1-9][0-9]{6,14}")
DATE_PATTERN: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Fields:
    """One object of a request body; nested objects share the list of problems."""

    def __init__(self, body: Any, path: str = "", problems: list[tuple[str, str]] | None = None) -> None:
        self._path = path
        self.problems: list[tuple[str, str]] = [] if problems is None else problems
        if isinstance(body, dict):
            self._body: dict[str, Any] = body
        else:
            self._body = {}
            self.problems.append((path or "body", "must be an object"))

    def wrong(self, name: str, reason: str) -> None:
        """Note a problem that only the caller can see."""
        self.problems.append((self._named(name), reason))

    def _named(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def has(self, name: str) -> bool:
        return name in self._body

    def text(
        self,
        name: str,
        *,
        required: bool = False,
        choices: Sequence[str] | None = None,
        pattern: re.Pattern[str] | None = None,
        length: tuple[int, int] | None = None,
    ) -> str | None:
        """The text of a field, or None with the problem noted (or because it is absent and may be)."""
        if name not in self._body:
            if required:
                self.wrong(name, "Required")
            return None
        value = self._body[name]
        if not isinstance(value, str):
            self.wrong(name, "Expected string")
        elif choices is not None and value not in choices:
            self.wrong(name, f"Invalid value; expected one of {', '.join(choices)}")
        elif pattern is not None and pattern.fullmatch(value) is None:
            self.wrong(name, "Invalid format")
        elif length is not None and not length[0] <= len(value) <= length[1]:
            self.wrong(name, f"Must have {length[0]} to {length[1]} characters")
        elif required and not value.strip():
            self.wrong(name, "Must not be empty")
        else:
            return value
        return None

    def flag(self, name: str) -> bool:
        value = self._body.get(name, False)
        if not isinstance(value, bool):
            self.wrong(name, "Expected boolean")
            return False
        return value

    def whole(self, name: str, least: int, most: int) -> int | None:
        value = self._body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.wrong(name, f"Expected an integer from {least} to {most}")
            return None
        return value

    def texts(self, name: str, choices: Sequence[str], *, required: bool = False) -> list[str]:
        """A list of words out of a closed set."""
        if name not in self._body:
            if required:
                self.wrong(name, "Required")
            return []
        value = self._body[name]
        if not isinstance(value, list):
            self.wrong(name, "Expected array")
            return []
        for place, word in enumerate(value):
            if not isinstance(word, str) or word not in choices:
                self.wrong(f"{name}.{place}", f"Invalid value; expected one of {', '.join(choices)}")
        return [word for word in value if isinstance(word, str)]

    def inner(self, name: str, *, required: bool = False) -> Fields | None:
        if name not in self._body:
            if required:
                self.wrong(name, "Required")
            return None
        return Fields(self._body[name], self._named(name), self.problems)

    def metadata(self) -> dict[str, str] | None:
        """CONFIRMED (OpenAPI): an object whose values are all strings."""
        if "metadata" not in self._body:
            return None
        value = self._body["metadata"]
        if not isinstance(value, dict):
            self.wrong("metadata", "Expected object")
            return None
        for name, entry in value.items():
            if not isinstance(entry, str):
                self.wrong(f"metadata.{name}", "Expected string")
        return {name: entry for name, entry in value.items() if isinstance(entry, str)}

    def refuse_if_wrong(self) -> None:
        """Raise one :class:`Refusal` 400 that lists everything found so far."""
        if self.problems:
            first = "; ".join(f"{name}: {reason}" for name, reason in self.problems[:5])
            raise Refusal(400, f"Validation failed: {first}", fields=self.problems)
