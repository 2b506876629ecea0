"""Delivering one signed notification to a store's endpoint: bounded time, no redirects, the answer's body unread.

In live mode the endpoint's addresses are looked at after they are resolved, and the connection goes to an address that
was looked at: private, loopback and link-local ones are refused, so that a store's URL cannot reach inside our network.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import httpcore
import httpx

from checkout.providers.deadline import DeadlineTransport, addresses_of, within

CONNECTIONS: Final = 20


class Storefront:
    """Sends what it is given and tells the answer's status."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def send(self, url: str, body: bytes, headers: Mapping[str, str], *, deadline_s: float) -> int | None:
        """POST ``body``; the status, or None when there was no answer in time."""
        with within(timedelta(seconds=deadline_s)):
            try:
                with self._http.stream(
                    "POST", url, content=body, headers=dict(headers), timeout=deadline_s, follow_redirects=False
                ) as response:
                    return response.status_code
            except (httpx.HTTPError, httpx.InvalidURL):
                return None


def outward(*, sandbox: bool) -> httpx.BaseTransport:
    """The network for notifications; in live mode only public addresses can be reached."""
    return DeadlineTransport(connections=CONNECTIONS, resolve=addresses_of if sandbox else public_addresses_of)


def public_addresses_of(host: str, port: int) -> list[str]:
    """The addresses of a host, all public; httpcore.ConnectError when it has none or any that is not."""
    found = addresses_of(host, port)
    if not all(ipaddress.ip_address(one.partition("%")[0]).is_global for one in found):
        raise httpcore.ConnectError("the host has an address that is not public")
    return found
