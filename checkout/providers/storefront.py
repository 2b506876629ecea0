"""Delivering one signed notification to a store's endpoint: bounded time, bounded answer, no redirects.

In live mode the endpoint's address is checked after it is resolved: private and link-local addresses are refused.
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx


class Storefront:
    """Sends what it is given and tells the answer's status."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def send(self, url: str, body: bytes, headers: Mapping[str, str], *, deadline_s: float) -> int | None:
        """POST ``body``; the status, or None when there was no answer in time. The answer's body is not read."""
        try:
            with self._http.stream(
                "POST", url, content=body, headers=dict(headers), timeout=deadline_s, follow_redirects=False
            ) as response:
                return response.status_code
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
