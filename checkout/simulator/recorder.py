"""Provider traffic as it came and went, kept for counting and for checking it against the providers'
documents.

Bounded, and without secrets: headers that carry one are kept by name only.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

#: Requests kept per provider port; older ones are forgotten.
KEPT: Final = 20_000
#: Characters of a body kept.
BODY_MAX: Final = 65_536
WITHHELD: Final = "[withheld]"

_SECRET_HEADERS: Final = frozenset(
    {"apikey", "signature", "authorization", "x-api-key", "cookie", "set-cookie", "proxy-authorization"}
)
_SECRET_FIELDS: Final = re.compile(r'("(?:secret|api_?key|password)"\s*:\s*)"(?:[^"\\]|\\.)*"', re.IGNORECASE)


@dataclass(slots=True)
class Exchange:
    """One request and its answer; ``status`` stays None while it is handled, and for good if it never was."""

    number: int
    at: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str
    status: int | None = None
    answer_headers: dict[str, str] | None = None
    answer: str | None = None

    def report(self) -> dict[str, object]:
        return asdict(self)


def _headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: WITHHELD if name.lower() in _SECRET_HEADERS else value for name, value in pairs}


def _text(body: bytes) -> str:
    return _SECRET_FIELDS.sub(rf'\1"{WITHHELD}"', body[:BODY_MAX].decode("utf-8", "replace"))


class Recorder:
    """The newest :data:`KEPT` exchanges of one provider port."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._kept: deque[Exchange] = deque(maxlen=KEPT)

    def request(self, method: str, path: str, query: str, headers: Iterable[tuple[str, str]], body: bytes) -> Exchange:
        """Note a request as soon as it has been read, before anything is done about it."""
        at = datetime.now(UTC).isoformat()
        with self._lock:
            exchange = Exchange(next(self._numbers), at, method, path, query, _headers(headers), _text(body))
            self._kept.append(exchange)
        return exchange

    @staticmethod
    def answer(exchange: Exchange, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
        """Note what the request was answered (or would have been, had the caller lived)."""
        exchange.answer_headers = _headers(headers)
        exchange.answer = _text(body)
        exchange.status = status

    def matching(self, *, method: str = "", path: str = "", after: int = 0, limit: int = KEPT) -> list[Exchange]:
        """Oldest first: exchanges numbered above ``after`` whose path contains the expression ``path``."""
        pattern = re.compile(path)
        with self._lock:
            kept = list(self._kept)
        found = (
            exchange
            for exchange in kept
            if exchange.number > after
            and (not method or exchange.method == method.upper())
            and pattern.search(exchange.path)
        )
        return list(itertools.islice(found, limit))

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
