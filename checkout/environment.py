"""How one variable is read: typed, and every problem noted under its name with a reason and the fix, never a
value.

Which variables exist and what they mean together is :mod:`checkout.config`. A method that notes a problem
still returns something of the right type, so that reading goes on and all problems are found in one start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from checkout.rules.urls import WebUrl, read_url

#: Every variable (design, section 7), in the order problems are reported.
VARIABLES: Final = (
    "CHECKOUT_MODE",
    "CHECKOUT_PUBLIC_URL",
    "CHECKOUT_DATABASE_URL",
    "CHECKOUT_SECRET_KEY",
    "CHECKOUT_DATA_KEY",
    "CHECKOUT_TRUSTED_PROXIES",
    "CHECKOUT_METRICS_TOKEN",
    "STABLE_MINT_API_URL",
    "STABLE_MINT_PAGE_DOMAINS",
    "STABLE_MINT_API_KEY",
    "STABLE_MINT_API_SECRET",
    "STABLE_MINT_PRIVATE_KEY",
    "STABLE_MINT_PRIVATE_KEY_PASSPHRASE",
    "STABLE_MINT_WEBHOOK_PUBLIC_KEY",
    "STABLE_MINT_WEBHOOK_TOLERANCE",
    "STABLE_MINT_FLOWS",
    "STABLE_MINT_PARTNER_ID",
    "STABLE_MINT_PARTNER_NAME",
    "STABLE_MINT_V1_ACCEPTED_IS",
    "STABLE_MINT_WIDGET_URL",
    "STABLE_MINT_SITE_ID",
    "STABLES_API_URL",
    "STABLES_API_KEY",
    "STABLES_WEBHOOK_SCHEME",
    "STABLES_WEBHOOK_SECRET",
    "STABLES_EXTRAS",
    "STABLES_KEY_LIFETIME",
    "STABLES_FUNDING_WINDOW",
    "CHECKOUT_PROVIDER_TIMEOUT",
    "CHECKOUT_LEASE",
    "CHECKOUT_SPEED",
)

_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")
_HEADER_SAFE = re.compile(r"[!-~]+")


class Environment:
    """Variables read one by one; ``problems`` grows, and the caller raises once at the end."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._problems: list[tuple[str, str]] = []
        values = {name: environ.get(name, "").strip() for name in VARIABLES}
        #: Bytes that are not UTF-8 arrive as lone surrogates.
        self._unreadable = {name for name, value in values.items() if re.search("[\0\ud800-\udfff]", value)}
        for name in self._unreadable:
            self.refuse(name, "is not UTF-8 text; write it again without the stray bytes")
        self._values = {name: value for name, value in values.items() if name not in self._unreadable}

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What is wrong so far: one entry per variable, in the order of :data:`VARIABLES`."""
        reasons: dict[str, list[str]] = {name: [] for name in VARIABLES}
        for name, reason in self._problems:
            reasons[name].append(reason)
        return [(name, "; ".join(said)) for name, said in reasons.items() if said]

    def refuse(self, name: str, reason: str) -> None:
        """Note a problem."""
        self._problems.append((name, reason))

    def text(self, name: str) -> str | None:
        """The value without surrounding white space; None when missing or empty."""
        return self._values.get(name) or None

    def required(self, name: str, fix: str) -> str:
        """A value that has no default; ``fix`` says where it comes from. Empty text when it is missing."""
        value = self.text(name)
        if value is None and name not in self._unreadable:
            self.refuse(name, f"is missing; {fix}")
        return value or ""

    def header_value(self, name: str, fix: str) -> str:
        """A required credential that travels in an HTTP header: visible ASCII, no white space."""
        value = self.required(name, fix)
        if value and _HEADER_SAFE.fullmatch(value) is None:
            self.refuse(name, "has characters that no HTTP header can carry; copy it again, on one line")
        return value

    def choice(self, name: str, options: Sequence[str]) -> str:
        """One of ``options``; the first is the default."""
        value = self.text(name)
        if value is None or value in options:
            return value or options[0]
        self.refuse(name, f"must be {' or '.join(options)}")
        return options[0]

    def words(self, name: str) -> list[str]:
        """The entries of a comma list, without empty ones; an empty list when missing."""
        return [word for part in (self.text(name) or "").split(",") if (word := part.strip())]

    def number(self, name: str, default: float, *, largest: float, unit: str, zero: bool = False) -> float:
        """Plain decimal digits, more than zero (or zero, if allowed) and at most ``largest``."""
        value = self.text(name)
        if value is None:
            return default
        number = float(value) if _NUMBER.fullmatch(value) else -1.0
        if 0 < number <= largest or (zero and number == 0):
            return number
        least = "from 0" if zero else "more than 0"
        self.refuse(name, f"must be {unit}, {least} and at most {largest:.12g}, in plain digits")
        return default

    def seconds(self, name: str, default: timedelta, *, longest: timedelta) -> timedelta:
        """A duration in seconds."""
        largest = longest.total_seconds()
        return timedelta(
            seconds=self.number(name, default.total_seconds(), largest=largest, unit="a number of seconds")
        )

    def url(self, name: str) -> WebUrl | None:
        """A strictly read http(s) URL; None when missing or refused."""
        value = self.text(name)
        if value is None:
            return None
        url = read_url(value)
        if url is None:
            self.refuse(name, "must be an absolute https URL in plain ASCII, without user name or spaces")
        return url
