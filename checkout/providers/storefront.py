"""Delivering one signed notification to a store's endpoint: bounded time, bounded answer, no redirects.

In live mode only https is spoken, and the endpoint's addresses are looked at after they are resolved: private, loopback
and link-local ones and their like are refused, so that a store's URL cannot reach inside our network. The connection goes
to the very address that was looked at, so no second answer of a name server can lead it elsewhere; the certificate is
still checked against the host's name.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from time import monotonic
from types import MappingProxyType
from typing import Final

import httpcore
import httpx

from checkout.providers.deadline import DeadlineTransport, Resolve, addresses_of, within
from checkout.rules.public_addresses import is_public

CONNECTIONS: Final = 20
#: Of an answer's body no more is read, and no more of that is kept.
READ_BYTES_MAX: Final = 4096
EXCERPT_CHARS_MAX: Final = 500
#: The status decides; the body is only for whoever reads the log, and not waited for longer than this.
BODY_S: Final = timedelta(seconds=1)
REDACTED: Final = "[redacted]"

#: What each error means to whoever reads the log. The error's own text is left out: it can quote what the peer sent.
_REASONS: Final = MappingProxyType(
    {
        "ConnectTimeout": "could not connect in time",
        "ReadTimeout": "no answer in time",
        "WriteTimeout": "the request could not be sent in time",
        "PoolTimeout": "no free connection in time",
        "ReadError": "the connection was lost before an answer",
        "WriteError": "the connection was lost while the request was sent",
        "RemoteProtocolError": "the answer is not HTTP, or ended within its headers",
    }
)
#: Keys and secrets of ours that a shop's error page may quote.
_SECRETS = re.compile(
    r"\b(?:whsec_|sk_(?:test|live)_|sti_(?:test|live)_|Bearer\s+)[\w+/=.-]+|-----BEGIN[\s\S]*", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one delivery. ``status`` is None when there was no answer in time; then ``problem`` says why."""

    status: int | None
    problem: str = ""
    excerpt: str = field(default="", repr=False)  #: the answer's beginning, printable, without secrets
    duration_ms: int = 0

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class NotPublic(Exception):
    """The host has an address that is not on the public internet: the cause of a connection that was not made."""


def _look_at(addresses: Iterable[str]) -> None:
    if not all(is_public(one) for one in addresses):
        raise NotPublic


class Storefront:
    """Sends what it is given and tells what came of it."""

    def __init__(self, http: httpx.Client, *, sandbox: bool) -> None:
        self._http = http
        self._sandbox = sandbox

    def send(self, url: str, body: bytes, headers: Mapping[str, str], *, deadline_s: float) -> Answer:
        """POST ``body``; whatever happens is an answer, never an exception of the network's."""
        if not self._sandbox and not url.startswith("https://"):
            return Answer(None, "only https is used in live mode")
        begun = monotonic()
        status, problem, excerpt = None, "", ""
        with within(timedelta(seconds=deadline_s)):
            try:
                with self._http.stream(
                    "POST", url, content=body, headers=dict(headers), timeout=deadline_s, follow_redirects=False
                ) as response:
                    status = response.status_code
                    excerpt = printable(_beginning(response), hidden=headers.get("webhook-signature", "").split(" "))
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                problem = _reason(error)
        return Answer(status, problem, excerpt, int((monotonic() - begun) * 1000))


def _reason(error: Exception) -> str:
    name = type(error).__name__
    if name != "ConnectError":
        return _REASONS.get(name, "the exchange failed")
    causes = list(_causes(error))
    if any(isinstance(one, NotPublic) for one in causes):
        return "refused: the host has an address that is not public"
    if any(isinstance(one, ssl.SSLCertVerificationError) for one in causes):
        return "the certificate is not valid for the host"
    return "could not connect"


def _causes(error: BaseException) -> Iterable[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _beginning(response: httpx.Response) -> bytes:
    """The first bytes of the body, as far as they come at once; nothing of a compressed one, which could be of any size."""
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return b""
    body = bytearray()
    with within(BODY_S):
        try:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) >= READ_BYTES_MAX:
                    break
        except (httpx.HTTPError, httpx.StreamError):  # the status is there, and it is what counts
            pass
    return bytes(body[:READ_BYTES_MAX])


def printable(body: bytes, *, hidden: Iterable[str] = ()) -> str:
    """The beginning of an answer on one line: no control character, none of our secrets, none of what we signed with."""
    text = body.decode("utf-8", "replace")
    for one in hidden:
        text = text.replace(one, REDACTED) if one else text
    text = _SECRETS.sub(REDACTED, text)
    plain = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(plain.split())[:EXCERPT_CHARS_MAX]


def client(
    *, sandbox: bool, transport: httpx.BaseTransport | None = None, resolve: Resolve = addresses_of,
    tls: ssl.SSLContext | None = None,
) -> httpx.Client:  # fmt: skip
    """The client of all deliveries: no proxy or certificate from the environment, no cookie, nothing compressed.

    ``transport`` replaces the network in tests, ``resolve`` the name server, ``tls`` the authorities that are trusted.
    """
    return httpx.Client(
        transport=transport or outward(sandbox=sandbox, resolve=resolve, tls=tls),
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "checkout"},
    )


def outward(
    *, sandbox: bool, resolve: Resolve = addresses_of, tls: ssl.SSLContext | None = None
) -> httpx.BaseTransport:
    """The network for notifications; in live mode only public addresses can be reached."""
    return DeadlineTransport(connections=CONNECTIONS, resolve=resolve if sandbox else public(resolve), tls=tls)


def public(resolve: Resolve) -> Resolve:
    """Resolve, and refuse a host that has any address which is not public."""

    def resolved(host: str, port: int) -> list[str]:
        found = resolve(host, port)
        try:
            _look_at(found)
        except NotPublic as refused:  # being the context it is still there when the pool has taken the cause away
            raise httpcore.ConnectError("the address is refused") from refused
        return found

    return resolved
