"""What an answer that is not 2xx means, whatever form its body has.

Stables documents two error forms that contradict each other and a third was seen (providers.md B3); Stable
Mint documents none (A5). So every form is read the same tolerant way. A provider may quote what we sent:
whatever of it is personal or secret is taken out before anybody can log it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from checkout.providers.outcome import MESSAGE_CHARS_MAX, Declined, Unknown
from checkout.providers.transport import RawAnswer
from checkout.providers.wire_json import read_json

#: 4xx statuses that say "not now": the request may or may not have been looked at.
NOT_NOW: Final = frozenset({408, 425, 429})
#: What to wait after a 429 that does not say (the provider's own client, providers.md B3, rate limits).
RATE_LIMIT_WAIT_S: Final = 60
#: No wait a provider may ask for is longer than this.
WAIT_MAX_S: Final = 86_400
_FIELDS_MAX: Final = 20
_CODE: Final = re.compile(r"[A-Za-z0-9_.:\-]{1,80}")
_FIELD_PATH: Final = re.compile(r"[a-z][a-z_]{0,40}(?:\.[a-z][a-z_]{0,40}){0,4}|")
_WORD_CODE: Final = re.compile(r"[A-Z][A-Z_]{2,60}|")
_CODE_WORD: Final = re.compile(r"[a-z]+(?:_[a-z]+)+")
_VISIBLE: Final = re.compile(r"[!-~]{1,100}")
_SPACE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")
_GAP: Final = re.compile(r"[\s-]+")
#: Characters of a message that are looked at before it is cut.
_READ_CHARS_MAX: Final = 4_000
_EMAIL: Final = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+\.[^\s@<>\"']+")
_IBAN: Final = re.compile(r"\b[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){10,30}\b")
_REMOVED: Final = "[removed]"

#: Names whose values are codes and ids, not facts about a person: they may be quoted back.
_PUBLIC_NAMES: Final = frozenset(
    {
        "type", "currency", "country", "network", "amount", "status", "bank_country", "account_type",
        "purpose_code",
        "quote_id", "customer_id", "recipient_type", "customer_type", "entitlements", "eventTypes",
        "installation",
        "payout", "attempt", "userCountryCode", "paymentMethod", "preview",
    }
)  # fmt: skip
#: Names of people: each word of theirs is taken out too.
_PERSON_NAMES: Final = frozenset(
    {"account_holder_name", "first_name", "last_name", "middle_name", "company_name", "fullName"}
)


def private_texts(sent: object, name: str = "") -> frozenset[str]:
    """Every text in a body we sent that must not come back in a message: all but codes, ids and amounts."""
    match sent:
        case str() if name not in _PUBLIC_NAMES:
            words = sent.split() if name in _PERSON_NAMES else []
            return frozenset(text for text in (sent, *words) if len(text) > 2)
        case Mapping():
            return frozenset().union(*(private_texts(item, str(key)) for key, item in sent.items()))
        case list() | tuple():
            return frozenset().union(*(private_texts(item, name) for item in sent))
        case _:
            return frozenset()


def clean(text: str, private: Iterable[str] = ()) -> str:
    """A provider's words on one line, without what is private, cut to 300 characters."""
    text = _SPACE.sub(" ", text[:_READ_CHARS_MAX]).strip()
    for secret in sorted(private, key=len, reverse=True):
        letters = _GAP.sub("", secret)  # an IBAN may come back in groups of four
        if letters:
            text = re.sub(r"[\s-]*".join(map(re.escape, letters)), _REMOVED, text, flags=re.IGNORECASE)
    text = _IBAN.sub(_REMOVED, _EMAIL.sub(_REMOVED, text))
    return text if len(text) <= MESSAGE_CHARS_MAX else text[: MESSAGE_CHARS_MAX - 1] + "…"


def quotable_error(error: tuple[str, str, str], private: Iterable[str]) -> tuple[str, str, str]:
    """(field, code, message) without what is private. A field's path and a code are words of the provider's own."""
    at, code, said = error
    texts = {text.casefold() for text in private}
    own_path = _FIELD_PATH.fullmatch(at) is not None and at.casefold() not in texts
    own_code = _WORD_CODE.fullmatch(code) is not None and code.casefold() not in texts
    return at if own_path else clean(at, private), code if own_code else clean(code, private), clean(said, private)


def read_refusal(
    answer: RawAnswer, *, now: datetime, private: Iterable[str] = (), unsure: frozenset[int] = frozenset()
) -> Declined | Unknown:
    """Declined for a 4xx; Unknown for all else that is not 2xx, for 408, 425, 429 and for ``unsure``."""
    heard = _heard(answer.body)
    message = clean(_message(heard) or "no reason was given", private)
    wait_s = retry_after(answer.headers.get("retry-after"), now=now)
    correlation = correlation_id(answer)
    status = answer.status
    if 400 <= status < 500 and status not in NOT_NOW and status not in unsure:
        fields = {clean(name, private): clean(text, private) for name, text in _fields(heard)}
        return Declined(status, message, _code(heard), fields, correlation, wait_s)
    if wait_s is None and status == 429:
        wait_s = RATE_LIMIT_WAIT_S
    reason = clean(f"HTTP {status}: {message}", private)
    return Unknown(reason, retry_after_s=wait_s, correlation_id=correlation, status=status)


def correlation_id(answer: RawAnswer) -> str | None:
    """The provider's support id (``x-correlation-id``; OBSERVED, providers.md B3), when it is printable."""
    ident = answer.headers.get("x-correlation-id") or answer.headers.get("x-request-id")
    return ident if ident is not None and _VISIBLE.fullmatch(ident) else None


def retry_after(value: str | None, *, now: datetime) -> int | None:
    """Seconds to wait: the header has seconds or an HTTP date (RFC 9110); None when absent or unreadable."""
    if value is None:
        return None
    if value.isascii() and value.strip().isdigit():
        return min(int(value[:12]), WAIT_MAX_S)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError):
        return None
    wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    return max(0, min(-(-wait // timedelta(seconds=1)), WAIT_MAX_S))


def _heard(body: bytes) -> Mapping[str, Any]:
    """The error object: the nested one where there is one (docs, Errors), else the flat one (OpenAPI)."""
    try:
        whole = read_json(body)
    except ValueError:
        return {}
    if not isinstance(whole, dict):
        return {}
    inner = whole.get("error")
    return inner if isinstance(inner, dict) else whole


def _message(heard: Mapping[str, Any]) -> str | None:
    for name in ("message", "detail", "description", "title", "error"):
        match heard.get(name):
            case str() as text if text.strip():
                return text
            case list() as texts if texts:
                return "; ".join(str(text) for text in texts[:_FIELDS_MAX] if isinstance(text, str))
            case _:
                continue
    return None


def _code(heard: Mapping[str, Any]) -> str | None:
    for name in ("code", "errorCode", "error_code"):
        code = heard.get(name)
        if isinstance(code, str | int) and not isinstance(code, bool) and _CODE.fullmatch(str(code)):
            return str(code)
    word = heard.get("error")  # the docs' pages on restrictions and risk write the code there, OpenAPI a phrase
    return word if isinstance(word, str) and _CODE_WORD.fullmatch(word) else None


def _fields(heard: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name in ("fields", "errors", "details"):
        match heard.get(name):
            case list() as items:
                for item in items[:_FIELDS_MAX]:
                    if isinstance(item, dict):
                        field = item.get("field") or item.get("path") or item.get("name") or "request"
                        yield str(field), str(item.get("message") or item.get("code") or "refused")
            case dict() as items:
                for field, text in list(items.items())[:_FIELDS_MAX]:
                    if isinstance(text, str):
                        yield str(field), text
