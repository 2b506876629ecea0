"""Reads one JSON object of a provider tolerantly: both casings of a name, unknown fields ignored, null for
absent.

What contradicts itself (a list where text belongs, an id that is missing) raises ValueError with the
field's name and never its value; the client turns that into Unknown. Nothing else is raised.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from checkout.errors import AmountRefused
from checkout.providers.wire_json import number_text, read_time
from checkout.rules.money import Money, read_provider_amount

#: Longer than any id, code, name or URL that is used.
TEXT_CHARS_MAX: Final = 2_048

_HUMP: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
_PREFIX: Final = re.compile(r"^(?:(?:PAYMENT|TRANSFER|QUOTE|ENTITLEMENT|KYC|VERIFICATION)_STATUS_)+")


def snake(name: str) -> str:
    """``walletAddress`` and ``wallet_address`` are one name."""
    return _HUMP.sub(r"_\1", name).lower()


def snake_names(value: Any) -> Any:
    """A heard value with every name of every object in snake_case."""
    match value:
        case dict():
            return {snake(name): snake_names(item) for name, item in value.items()}
        case list():
            return [snake_names(item) for item in value]
        case _:
            return value


def normal_status(text: str) -> str:
    """One spelling of a status: ``PAYMENT_STATUS_COMPLETED``, ``COMPLETED`` and ``completed`` are
    ``completed``.

    CONFIRMED contradiction inside the docs (providers.md B2); the prefix is taken off whatever its case.
    """
    return _PREFIX.sub("", text.strip().upper()).lower()


class Heard:
    """One object, its names in snake_case; ``where`` names it in complaints."""

    def __init__(self, value: object, where: str = "answer") -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{where} is not an object")
        self.fields: Mapping[str, Any] = {snake(name): item for name, item in value.items()}
        self.where = where

    def get(self, *names: str) -> Any:
        """The first of these fields that is there and not null."""
        return next((self.fields[name] for name in names if self.fields.get(name) is not None), None)

    def text(self, *names: str) -> str | None:
        """Text, or None when absent, null or empty."""
        value = self.get(*names)
        if value is not None and (not isinstance(value, str) or len(value) > TEXT_CHARS_MAX):
            raise ValueError(f"{self.where}.{names[0]} is not a text of usable length")
        return value or None

    def need(self, *names: str) -> str:
        """Text that must be there."""
        value = self.text(*names)
        if value is None:
            raise ValueError(f"{self.where}.{names[0]} is missing")
        return value

    def inner(self, *names: str) -> Heard | None:
        """An object, or None when absent or null."""
        value = self.get(*names)
        return None if value is None else Heard(value, f"{self.where}.{names[0]}")

    def items(self, *names: str) -> list[Any]:
        """A list; absent and null are empty."""
        value = self.get(*names)
        if value is None:
            return []
        if not isinstance(value, list):
            raise ValueError(f"{self.where}.{names[0]} is not a list")
        return value

    def time(self, *names: str) -> datetime | None:
        """An ISO 8601 time in UTC, or None when absent."""
        value = self.get(*names)
        at = read_time(value)
        if value is not None and at is None:
            raise ValueError(f"{self.where}.{names[0]} is not a time")
        return at

    def number(self, *names: str) -> str | None:
        """Exact decimal text of a JSON number or of decimal text, or None when absent."""
        value = self.get(*names)
        text = number_text(value)
        if value is not None and text is None:
            raise ValueError(f"{self.where}.{names[0]} is not a number")
        return text

    def currency(self) -> str:
        """The currency's or asset's code in capitals, whatever case it came in."""
        return self.need("currency").upper()

    def money(self) -> Money:
        """``amount`` and ``currency``, exactly.

        AmountRefused when one is missing, unknown, or finer than the currency.
        """
        for name in ("amount", "currency"):
            if self.get(name) is None:
                raise AmountRefused(f"{self.where}.{name} is missing")
        self.number("amount")
        try:
            return read_provider_amount(self.get("amount"), self.currency())
        except AmountRefused as exc:
            raise AmountRefused(f"{self.where}: {exc}") from None

    def texts(self, *names: str) -> Mapping[str, str]:
        """An object of texts (metadata); absent is empty, and what is not text is left out."""
        inner = self.get(*names)
        if inner is None:
            return {}
        if not isinstance(inner, dict):
            raise ValueError(f"{self.where}.{names[0]} is not an object")
        return {name: value for name, value in inner.items() if isinstance(value, str)}
