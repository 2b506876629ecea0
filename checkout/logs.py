"""What this service writes about itself: one JSON object a line, with ids, counts and types, and nothing to
steal.

Secrets and personal data must never reach a log, so the last steps before writing do not trust the caller:
values under secret-looking or personal-looking names are replaced, so is text that looks like a key, a token,
an e-mail address or an account number, so is everything that is not a plain value, and a traceback keeps its
frames but loses its messages (a database error quotes the row).
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from types import TracebackType
from typing import Any, Final, TextIO
from uuid import UUID

import structlog

REDACTED: Final = "[redacted]"
TEXT_CHARS_MAX: Final = 300
FRAMES_MAX: Final = 30

#: A name with one of these words is not written, unless its last word says the value is something harmless.
_FORBIDDEN = re.compile(
    r"\b(?:secrets?|pass(?:word|phrase|wd|port)|tokens?|auth|authorization|bearer|cookies?|signatures?"
    r"|private|credentials?|pem|apikey|(?:api|data|signing|store) keys?|dsn|environ|body|payload|headers?"
    r"|query|params|parameters|ur[il]|kyc|e?mail|phone|mobile|iban|bic|holder|beneficiary|creditor|address|ip"
    r"|gender|birth|citizenship|residence|nationality|(?:full|first|last|customer|account) name"
    r"|(?:full|first|last|user)name|(?:account|routing) number|sort code)\b"
    r"|^keys?$"
)
_HARMLESS_ENDINGS: Final = ("hash", "count", "kind", "type", "bytes", "s", "ms", "at", "ok")

_SUSPECT = re.compile(
    r"-----BEGIN|\bwhsec_|\bsti_(?:test|live)_|\bBearer\s|\bgAAAA[A-Za-z0-9_-]{20}"  # keys, sealed text
    r"|/(?:pay|embed|return)/[A-Za-z0-9_-]{8,}"  # tokens in our own URLs
    r"|://[^/\s@]*:[^/\s@]*@"  # user:password@ in a URL
    r"|[^\s@]+@[^\s@]+\.[A-Za-z]{2,}"  # e-mail
    r"|\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){3,}"  # IBAN
)

_Event = MutableMapping[str, Any]


class _Frames(list[str]):
    """Made by :func:`frames_only`, so that nothing else passes for a traceback."""


def configure(stream: TextIO, level: int = logging.INFO) -> None:
    """Send our log and the libraries' warnings to ``stream`` as JSON lines; the last call wins."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        frames_only,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(sort_keys=True)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(sort_keys=True),
            ],
            keep_exc_info=False,
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(max(level, logging.WARNING))


@contextmanager
def about(**ids: str) -> Iterator[None]:
    """Put ids (``request_id``, ``payment_id``…) on every line written inside the block, in this thread."""
    with structlog.contextvars.bound_contextvars(**ids):
        yield


def redact(_logger: object, _method: str, event: _Event) -> _Event:
    """A processor: keep plain values under harmless names, replace the rest."""
    return {name: _safe(name, value) for name, value in event.items()}


def _safe(name: str, value: object) -> object:
    if isinstance(value, _Frames) or (name == "_record" and isinstance(value, logging.LogRecord)):
        return value  # structlog passes a library's record along and takes it out again before writing
    if value is None or isinstance(value, bool):
        return value
    if forbidden(name):
        return REDACTED
    if isinstance(value, int | float | Decimal):
        return value if isinstance(value, int) or (isinstance(value, float) and isfinite(value)) else str(value)
    if isinstance(value, str | UUID | date | datetime | timedelta):
        text = str(value)
        if _SUSPECT.search(text[: 2 * TEXT_CHARS_MAX]):  # beyond what is written, so that no cut hides a match
            return REDACTED
        return text if len(text) <= TEXT_CHARS_MAX else text[:TEXT_CHARS_MAX] + "…"
    if isinstance(value, list | tuple | set | frozenset) and all(isinstance(item, str | int) for item in value):
        return [_safe(name, item) for item in value]
    return f"[{type(value).__name__} not written]"


@lru_cache(maxsize=1024)  # names come from our own code: there are few, and each is looked at for every line
def forbidden(name: str) -> bool:
    """Whether a value under this name may be a secret or personal."""
    words = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    harmless = len(words) > 1 and words[-1] in _HARMLESS_ENDINGS
    return not harmless and _FORBIDDEN.search(" ".join(words)) is not None


def frames_only(_logger: object, _method: str, event: _Event) -> _Event:
    """A processor: turn ``exc_info`` into the exceptions' types and frames, without any message."""
    given = event.pop("exc_info", None)
    event.pop("stack_info", None)
    error = _exception(given)
    if error is not None:
        event["frames"] = _frames(error)
    return event


def _exception(given: object) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exc_info()[1] if given else None


def _frames(error: BaseException) -> _Frames:
    """Oldest call first, then the type; a cause comes before what it caused."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:  # two exceptions may name each other as the cause
        chain.insert(0, link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    lines: list[str] = []
    for link in chain:
        lines += [_frame(*place) for place in _places(link.__traceback__)]
        lines.append(f"{type(link).__module__}.{type(link).__qualname__}")
    return _Frames(lines[-FRAMES_MAX:])


def _places(trace: TracebackType | None) -> Iterator[tuple[str, int, str]]:
    for frame in traceback.extract_tb(trace):
        yield frame.filename, frame.lineno or 0, frame.name


def _frame(filename: str, line: int, function: str) -> str:
    return f"{filename.rpartition('site-packages/')[2]}:{line} {function}"
