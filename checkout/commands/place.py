"""HOST:PORT on a command line, and listening there."""

from __future__ import annotations

import re
import socket
from typing import Any, Final

import click

from checkout.errors import NotPossible

Place = tuple[str, int]

_PLACE: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]*):([0-9]{1,5})")
#: Connections the kernel may hold while every thread is busy.
BACKLOG: Final = 1024


class PlaceType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions
    """``127.0.0.1:8000``, ``[::1]:8000``; ``:8000`` is this machine alone; port 0 is any free one."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        if isinstance(value, tuple):
            return value
        found = _PLACE.fullmatch(str(value))
        if found is None or int(found[2]) > 65535:
            self.fail(f"{value!r} is not HOST:PORT, for example 127.0.0.1:8000", param, ctx)
        return found[1].strip("[]") or "127.0.0.1", int(found[2])


def listen(place: Place) -> socket.socket:
    """A listening socket; NotPossible, in words, when the address cannot be had."""
    host, port = place
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as problem:
        raise NotPossible(f"{host} is no address of this machine: {problem.strerror}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as problem:
        listener.close()
        raise NotPossible(f"cannot listen on {host}:{port}: {problem.strerror}") from None
    return listener


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now."""
    with listen((host, 0)) as listener:
        return int(listener.getsockname()[1])


def is_free(place: Place) -> bool:
    """Whether somebody could listen there now."""
    try:
        listen(place).close()
    except NotPossible:
        return False
    return True


def url_of(place: Place) -> str:
    """``http://HOST:PORT`` for a client on this machine."""
    host, port = place
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - translated, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
