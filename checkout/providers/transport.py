"""The only place that talks HTTP to a provider: one pooled client, one deadline, bounded answers.

Every httpx error becomes :class:`Unknown` here and nowhere else. Nothing is retried: httpx does not repeat
a POST, and a repeat belongs to whoever owns the stored key. Build clients after a fork, never before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import httpx

from checkout.providers.deadline import DeadlineTransport, time_is_up, within
from checkout.providers.outcome import Unknown

#: The largest answer that is read; a page of 100 transfers is about a tenth of it.
ANSWER_BYTES_MAX: Final = 1_048_576
#: Connections to one provider per process; more callers wait for a free one inside their deadline.
CONNECTIONS: Final = 20

#: URLs that a channel keeps read.
PLACES_MAX: Final = 256
#: Of every request. Answers are asked for uncompressed: a compressed one could unpack to any size.
HEADERS: Final = (("Accept", "application/json"), ("Accept-Encoding", "identity"), ("User-Agent", "checkout"))

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


class Channel:
    """Where one provider is, what every request to it carries, and the transport that takes it there.

    What ``httpx.Client`` would add is left out, in cost as well: no redirect is followed, no proxy or certificate is taken
    from the environment, no cookie is kept.
    """

    def __init__(self, base_url: str, *, timeout: timedelta, transport: httpx.BaseTransport) -> None:
        self._base_url = base_url.rstrip("/")
        self._transport = transport
        seconds = timeout.total_seconds()
        self._extensions = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), seconds)}
        self._places: dict[str, httpx.URL] = {}

    def ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None, content: bytes | None,
        headers: Mapping[str, str], auth: httpx.Auth | None,
    ) -> httpx.Response:  # fmt: skip
        """Send one request; the answer with its body unread. httpx.HTTPError when there is none."""
        request = httpx.Request(
            method, self._place(path), params=dict(query) if query else None, content=content,
            headers=[*HEADERS, *headers.items()], extensions=dict(self._extensions),
        )  # fmt: skip
        if auth is not None:
            request = next(auth.sync_auth_flow(request))
        return self._transport.handle_request(request)

    def _place(self, path: str) -> httpx.URL:
        """The URL of a path; reading one costs as much as signing with it, so the last ones are kept."""
        place = self._places.get(path)
        if place is None:
            if len(self._places) >= PLACES_MAX:
                self._places.clear()
            place = self._places[path] = httpx.URL(self._base_url + path)
        return place

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def build_client(
    base_url: str,
    *,
    timeout: timedelta,
    connections: int = CONNECTIONS,
    transport: httpx.BaseTransport | None = None,
) -> Channel:
    """A pooled channel to one provider; ``timeout`` bounds connecting, each read, each write and the pool wait.

    ``transport`` is the seam for tests.
    """
    chosen = transport if transport is not None else DeadlineTransport(connections=connections)
    return Channel(base_url, timeout=timeout, transport=chosen)


class Wire:
    """Sends one request and reads one answer, both inside one total deadline."""

    def __init__(self, channel: Channel, *, timeout: timedelta) -> None:
        self._channel = channel
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
        status: int | None = None
        with within(self._timeout):
            try:
                response = self._channel.ask(
                    method, path, query=query, content=content, headers=headers or {}, auth=auth
                )
                with contextlib.closing(response):
                    status = response.status_code
                    return _read(response)
            except (httpx.HTTPError, httpx.StreamError) as exc:
                name = type(exc).__name__
                return Unknown(f"{name}: {_REASONS.get(name, 'the exchange failed')}", status=status)

    def close(self) -> None:
        """Close every connection."""
        self._channel.close()


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
