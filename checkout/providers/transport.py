"""The only place that talks HTTP to a provider: one pooled client, one deadline, bounded answers.

Every httpx error becomes :class:`Unknown` here and nowhere else. Nothing is retried: httpx does not repeat
a POST, and a repeat belongs to whoever owns the stored key. Build clients after a fork, never before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import MappingProxyType
from typing import Final

import httpx

from checkout.providers.deadline import DeadlineTransport, time_is_up, within
from checkout.providers.outcome import Unknown

#: The largest answer that is read; a page of 100 transfers is about a tenth of it.
ANSWER_BYTES_MAX: Final = 1_048_576
#: Connections to one provider per process; more callers wait for a free one inside their deadline.
CONNECTIONS: Final = 20

#: What each error means to the person who reads the attempt later. The error's own text is left out: it can
#: quote what the peer sent.
_REASONS: Final = MappingProxyType(
    {
        "ConnectTimeout": "could not connect in time",
        "ReadTimeout": "no complete answer in time",
        "WriteTimeout": "could not send the request in time",
        "PoolTimeout": "no free connection in time",
        "ConnectError": "could not connect",
        "ReadError": "the connection was lost while waiting for the answer",
        "WriteError": "the connection was lost while sending the request",
        "RemoteProtocolError": "the connection ended inside the answer, or the answer is not HTTP",
    }
)


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """A complete HTTP answer of any status."""

    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)


def build_client(
    base_url: str,
    *,
    timeout: timedelta,
    connections: int = CONNECTIONS,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """A pooled client for one provider; ``timeout`` bounds connecting, each read, each write and the pool
    wait.

    No redirect is followed, no proxy or certificate is taken from the environment, no cookie is kept, and
    answers are asked for uncompressed (a compressed one could unpack to any size). ``transport`` is the
    seam for tests.
    """
    return httpx.Client(
        base_url=base_url,
        timeout=httpx.Timeout(timeout.total_seconds()),
        transport=transport if transport is not None else DeadlineTransport(connections=connections),
        follow_redirects=False,
        trust_env=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "checkout"},
    )


class Wire:
    """Sends one request and reads one answer, both inside one total deadline."""

    def __init__(self, http: httpx.Client, *, timeout: timedelta) -> None:
        self._http = http
        self._timeout = timeout

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
    ) -> RawAnswer | Unknown:
        """The answer whatever its status, or Unknown when there is no complete one.

        Never raises for the network.
        """
        request = self._http.build_request(
            method, path, params=dict(query) if query else None, content=content, headers=dict(headers or {})
        )
        status: int | None = None
        with within(self._timeout):
            try:
                response = self._http.send(request, auth=auth, stream=True, follow_redirects=False)
                with contextlib.closing(response):
                    status = response.status_code
                    return _read(response)
            except (httpx.HTTPError, httpx.StreamError) as exc:
                name = type(exc).__name__
                return Unknown(f"{name}: {_REASONS.get(name, 'the exchange failed')}", status=status)

    def close(self) -> None:
        """Close every connection."""
        self._http.close()


def _read(response: httpx.Response) -> RawAnswer | Unknown:
    status = response.status_code
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return Unknown("the answer is compressed, which was not asked for", status=status)
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            return Unknown(f"the answer is larger than {ANSWER_BYTES_MAX} bytes", status=status)
        if time_is_up():
            return Unknown(f"ReadTimeout: {_REASONS['ReadTimeout']}", status=status)
    return RawAnswer(status, response.headers, bytes(body))
