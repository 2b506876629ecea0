"""One end for everything a call does: name, connect, TLS, each byte out and each byte in.

httpx times each *read*, so a peer that sends one byte a second, in headers or body, would hold a worker
past its lease. Here every socket operation gets what is left of the whole, whichever is shorter. What no
Python program can bound is the resolver: it keeps its own time (resolv.conf), and only then the deadline is
seen.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from datetime import timedelta
from time import monotonic
from typing import Any, Final

import httpcore
import httpx

#: A host name and a port in, addresses out.
Resolve = Callable[[str, int], list[str]]

_ENDS: ContextVar[float | None] = ContextVar("provider_deadline", default=None)

#: Addresses of one host name that are tried; the time left is shared among them.
ADDRESSES_MAX: Final = 4
#: Bytes handed to the socket between two looks at the clock.
_PIECE: Final = 16_384
#: Seconds an idle connection is kept. Below the 5 s after which common servers close theirs: a connection
#: that is closed just as we write turns an ordinary request into an unknown one.
KEEPALIVE_S: Final = 4.0


@contextlib.contextmanager
def within(duration: timedelta) -> Iterator[None]:
    """All that is sent inside this block, pages included, ends after ``duration``; nested, the earlier."""
    ends, outer = monotonic() + duration.total_seconds(), _ENDS.get()
    token = _ENDS.set(ends if outer is None else min(outer, ends))
    try:
        yield
    finally:
        _ENDS.reset(token)


def time_is_up() -> bool:
    """Whether the innermost :func:`within` block has used its time."""
    ends = _ENDS.get()
    return ends is not None and monotonic() >= ends


def _left(timeout: float | None, over: type[httpcore.TimeoutException]) -> float | None:
    ends = _ENDS.get()
    if ends is None:
        return timeout
    left = ends - monotonic()
    if left <= 0:
        raise over("the deadline of the whole call has passed")
    return left if timeout is None else min(left, timeout)


class _Stream(httpcore.NetworkStream):
    """A socket whose every operation ends with the call."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            self._inner.write(buffer[start : start + _PIECE], _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Connects to the first address that answers, all of them inside the deadline."""

    def __init__(self, resolve: Resolve) -> None:
        self._inner = httpcore.SyncBackend()
        self._resolve = resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._resolve(host, port)[:ADDRESSES_MAX]
        for position, address in enumerate(addresses):
            left = _left(timeout, httpcore.ConnectTimeout)
            share = None if left is None else left / (len(addresses) - position)
            try:
                return _Stream(self._inner.connect_tcp(address, port, share, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if position == len(addresses) - 1:
                    raise
        raise httpcore.ConnectError("the host has no address")


def addresses_of(host: str, port: int) -> list[str]:
    """The addresses of a host, in the order the system prefers; httpcore.ConnectError when there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise httpcore.ConnectError("the host name cannot be resolved") from exc
    return list(dict.fromkeys(str(place[4][0]) for place in found))


#: httpcore names its errors as httpx does; the test of this module fails when one has no counterpart.
CORE_ERRORS: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


@contextlib.contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except CORE_ERRORS as exc:
        error: type[httpx.TransportError] = getattr(httpx, type(exc).__name__)
        raise error(str(exc)) from exc


class _Body(httpx.SyncByteStream):
    def __init__(self, inner: Iterable[bytes]) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._inner

    def close(self) -> None:
        close = getattr(self._inner, "close", None)
        if close is not None:
            close()


@functools.cache
def trusted() -> ssl.SSLContext:
    """The certificate authorities that are trusted, once per process: reading them takes longer than most commands."""
    return httpx.create_ssl_context(trust_env=False)


class DeadlineTransport(httpx.BaseTransport):
    """A pool of HTTP/1.1 connections without proxies, retries or redirects, obeying :func:`within`."""

    def __init__(self, *, connections: int, resolve: Resolve = addresses_of, tls: ssl.SSLContext | None = None) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls if tls is not None else trusted(),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=KEEPALIVE_S,
            http1=True,
            http2=False,
            retries=0,
            network_backend=_Backend(resolve),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        with _as_httpx():
            response = self._pool.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        if not isinstance(response.stream, Iterable):  # pragma: no cover  # the synchronous pool's stream is
            raise TypeError("the connection pool gave a stream that cannot be read")
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response.stream),
            extensions=response.extensions,
        )

    def close(self) -> None:
        self._pool.close()
