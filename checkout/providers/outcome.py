"""The three results of asking a provider for something: yes, no, and *we do not know*.

A timeout, a lost connection, a server error or an answer that cannot be read is :class:`Unknown`: the
request may have been carried out. It is never an exception, and never a refusal. Match all three, always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeAlias, TypeVar

T = TypeVar("T")

#: Characters of a provider's own words that are kept.
MESSAGE_CHARS_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Accepted(Generic[T]):
    """The provider did it, and its answer could be read."""

    value: T


@dataclass(frozen=True, slots=True)
class Declined:
    """The provider said no (a 4xx that is not about timing). Its words, never ours and never what we sent.

    A refusal of a *repeated* request does not prove that an earlier, unknown one was refused too.
    """

    status: int
    message: str
    code: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    correlation_id: str | None = None
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether it happened. Ask again under the same key, or find out by reading."""

    reason: str
    retry_after_s: int | None = None
    correlation_id: str | None = None
    status: int | None = None


Outcome: TypeAlias = Accepted[T] | Declined | Unknown
