"""The Stable Mint client: opens sessions and sends withdrawals, signed over the very bytes that are sent.

One call per attempt, never repeated here: a repeat is a new request with a new timestamp under the stored key
(``idempotencyKey`` prevents duplicates on retry: CONFIRMED glossary; scope and lifetime UNKNOWN). There is no
documented way to read a session back (providers.md A5).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import httpx

from checkout.providers.outcome import Accepted, Outcome, Unknown
from checkout.providers.refusals import correlation_id, private_texts, read_refusal
from checkout.providers.session_request import EMBEDDED, PATHS, SessionRequest, check_request, session_body
from checkout.providers.transport import RawAnswer, Wire
from checkout.providers.wire_json import number_text, read_json, read_time, write_json
from checkout.providers.withdrawal_request import (
    HOSTED,
    WithdrawalRequest,
    check_withdrawal,
    private_words,
    withdrawal_body,
)
from checkout.providers.withdrawal_request import PATHS as WITHDRAWAL_PATHS
from checkout.rules.urls import PageDomain, page_allowed
from checkout.signing import PartnerKey, string_to_sign

Clock = Callable[[], datetime]

#: money.md section 1: an expiry outside this window around now is a mistake of unit (seconds for
#: milliseconds).
EXPIRY_PAST_MAX: Final = timedelta(days=1)
EXPIRY_AHEAD_MAX: Final = timedelta(days=400)
_ID_CHARS_MAX: Final = 200

#: What the widget page binds, so what the embedded answer is thought to carry: INFERRED (providers.md A3).
WIDGET_FIELDS: Final = (
    "sessionId", "currency", "country", "amount", "allowedPaymentMethods", "savedBanks", "paymentMethod",
)  # fmt: skip


class StableMintAuth(httpx.Auth):
    """Stamps and signs a request when it is sent: ``<timestamp>,<secret>,<body>`` (CONFIRMED auth)."""

    requires_request_body = True

    def __init__(self, *, api_key: str, api_secret: str, private_key: PartnerKey, clock: Clock) -> None:
        self._api_key = api_key
        self._api_secret = api_secret
        self._private_key = private_key
        self._clock = clock

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        timestamp = int(self._clock().timestamp())
        signed = string_to_sign(timestamp, self._api_secret, request.content)
        request.headers["ApiKey"] = self._api_key
        request.headers["Timestamp"] = str(timestamp)
        request.headers["Signature"] = self._private_key.sign(signed)
        yield request


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSession:
    """What the provider answered, as far as it can be used. ``problems`` names what was dropped, without
    values.

    ``url`` None on a hosted flow, ``session_id`` None on the embedded one: nobody can pay there, the
    session is lost.
    """

    url: str | None = field(repr=False)  #: where the shopper goes; allowed by STABLE_MINT_PAGE_DOMAINS, or None
    session_id: str | None  #: embedded: INFERRED; hosted: not documented
    reference: str | None  #: opaque; comes back in events (INFERRED the same)
    expires_at: datetime | None
    widget: Mapping[str, Any] | None = field(repr=False)  #: embedded: the properties as given, numbers as Decimal
    problems: tuple[str, ...]
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedWithdrawal:
    """The provider has taken a withdrawal. ``shopper_url``: hosted alone, INFERRED; where the shopper names the account."""

    reference: str  #: opaque; comes back in events (INFERRED the same)
    shopper_url: str | None = field(default=None, repr=False)


class StableMint:
    """``flows``: what the account is onboarded for. ``clock`` gives aware UTC time."""

    def __init__(
        self,
        wire: Wire,
        *,
        api_key: str,
        api_secret: str,
        private_key: PartnerKey,
        page_domains: Sequence[PageDomain],
        flows: frozenset[str],
        sandbox: bool,
        clock: Clock,
    ) -> None:
        self._wire = wire
        self._auth = StableMintAuth(api_key=api_key, api_secret=api_secret, private_key=private_key, clock=clock)
        self._secrets = frozenset({api_key, api_secret})
        self._page_domains = tuple(page_domains)
        self._flows = flows
        self._sandbox = sandbox
        self._clock = clock

    def validate(self, request: SessionRequest) -> None:
        """Raise :class:`RequestRefused` with every bad field, before anything is stored or sent."""
        check_request(request, flows=self._flows, sandbox=self._sandbox, now=self._clock())

    def open_session(self, request: SessionRequest) -> Outcome[OpenedSession]:
        """Ask for one session, once.

        Raises :class:`RequestRefused` for a bad request, never for the network.
        """
        self.validate(request)
        body = session_body(request)
        content = write_json(body)
        answer = self._wire.send(
            "POST",
            PATHS[request.flow],
            content=content,
            headers={"Content-Type": "application/json"},
            auth=self._auth,
        )
        if isinstance(answer, Unknown):
            return answer
        if not 200 <= answer.status < 300:
            private = private_texts(body) | self._secrets
            return read_refusal(answer, now=self._clock(), private=private)
        return self._opened(answer, embedded=request.flow == EMBEDDED)

    def withdraw(self, request: WithdrawalRequest) -> Outcome[OpenedWithdrawal]:
        """Ask for one withdrawal, once. The caller has committed its key, and never asks again.

        Nobody promised that withdrawals are deduplicated (UNKNOWN): a 409 to a first request means that somebody on the way
        repeated it, so it is Unknown like a timeout. Raises :class:`RequestRefused` for a bad request, before any byte.
        """
        check_withdrawal(request, sandbox=self._sandbox)
        answer = self._wire.send(
            "POST",
            WITHDRAWAL_PATHS[request.call],
            content=write_json(withdrawal_body(request)),
            headers={"Content-Type": "application/json"},
            auth=self._auth,
        )
        if isinstance(answer, Unknown):
            return answer
        if not 200 <= answer.status < 300:
            private = private_words(request) | self._secrets
            return read_refusal(answer, now=self._clock(), private=private, unsure=frozenset({409}))
        return self._taken(answer, hosted=request.call == HOSTED)

    def _taken(self, answer: RawAnswer, *, hosted: bool) -> Outcome[OpenedWithdrawal]:
        """``{"reference"}``: CONFIRMED for generation 0 alone, INFERRED unchanged. Without one the answer is incomplete."""
        try:
            heard = read_json(answer.body)
        except ValueError:
            heard = None
        problems: list[str] = []
        reference = _text(heard, "reference", problems) if isinstance(heard, dict) else None
        if not isinstance(heard, dict) or reference is None:
            return Unknown(
                "incomplete answer: it names no reference",
                status=answer.status,
                correlation_id=correlation_id(answer),
            )
        url = _text(heard, "url", problems, longest=None) if hosted else None
        allowed = url is not None and page_allowed(url, self._page_domains)
        return Accepted(OpenedWithdrawal(reference=reference, shopper_url=url if allowed else None))

    def _opened(self, answer: RawAnswer, *, embedded: bool) -> Outcome[OpenedSession]:
        try:
            heard = read_json(answer.body)
        except ValueError:
            heard = None
        if not isinstance(heard, dict):
            return Unknown(
                "incomplete answer: not a JSON object",
                status=answer.status,
                correlation_id=correlation_id(answer),
            )
        problems: list[str] = []
        url = _text(heard, "url", problems, longest=None)
        if url is not None and not page_allowed(url, self._page_domains):
            problems.append("url: not on a domain shoppers may be sent to (STABLE_MINT_PAGE_DOMAINS)")
            url = None
        return Accepted(
            OpenedSession(
                url=url,
                session_id=_text(heard, "sessionId", problems),
                reference=_text(heard, "reference", problems),
                expires_at=_expiry(heard.get("expiresAt"), self._clock(), problems),
                widget=_widget(heard) if embedded else None,
                problems=tuple(problems),
                raw=answer.body,
            )
        )


def _text(
    heard: Mapping[str, Any], name: str, problems: list[str], *, longest: int | None = _ID_CHARS_MAX
) -> str | None:
    value = heard.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or (longest is not None and len(value) > longest):
        problems.append(f"{name}: not a text of usable length")
        return None
    return value


def _expiry(value: object, now: datetime, problems: list[str]) -> datetime | None:
    """Unix seconds (CONFIRMED hosted, full); seconds as text and ISO 8601 are tolerated."""
    if value is None:
        return None
    at = read_time(value) if isinstance(value, str) and not value.strip().isdigit() else None
    text = number_text(value.strip() if isinstance(value, str) else value)
    if at is None and text is not None and len(text) <= _ID_CHARS_MAX:
        try:
            at = datetime.fromtimestamp(int(Decimal(text)), UTC)
        except (ValueError, OverflowError, OSError):
            at = None
    if at is None or not now - EXPIRY_PAST_MAX <= at <= now + EXPIRY_AHEAD_MAX:
        problems.append("expiresAt: not a time near now in Unix seconds")
        return None
    return at


def _widget(heard: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType({name: heard[name] for name in WIDGET_FIELDS if heard.get(name) is not None})
