"""Pages that a store's own pages may frame, and nobody else's: exact origins in the policy, a nonce per answer."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable

from flask import Response

from checkout.rules.urls import read_url
from checkout.store.records import StoreRow


def fresh_nonce() -> str:
    """A nonce for the scripts of one answer."""
    return secrets.token_urlsafe(16)


def origins_of(store: StoreRow) -> tuple[str, ...]:
    """The origins a store's pages are at."""
    return tuple(str(one) for one in json.loads(store.origins))


def origins(urls: Iterable[str]) -> str:
    """The origins of these URLs, read strictly: what is not plainly an origin never reaches a header."""
    found = (read_url(url) for url in urls)
    return " ".join(sorted({read.origin for read in found if read is not None}))


def policy(nonce: str, framers: Iterable[str], *, module: str = "", api: str = "") -> str:
    """The content security policy of one answer; ``module`` and ``api`` are the widget's hosts, where there is one."""
    rules = (
        "default-src 'none'",
        f"script-src 'nonce-{nonce}' {module}",
        f"style-src 'self' 'nonce-{nonce}' {module}",
        f"img-src 'self' {module}",
        "font-src " + (module or "'none'"),
        f"connect-src 'self' {api}",
        "base-uri 'none'",
        "form-action 'self'",
        f"frame-ancestors 'self' {origins(framers)}",
    )
    return "; ".join(rule.strip() for rule in rules)


def allow(response: Response, own_policy: str) -> Response:
    """Let the origins of the policy frame this answer."""
    headers = response.headers
    headers["Content-Security-Policy"] = own_policy
    headers["Cross-Origin-Opener-Policy"] = "same-origin-allow-popups"  # a bank may open in a window
    headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # a store's isolated page may frame it
    return response


def unlock(response: Response) -> Response:
    """Take away the header that knows no list of origins, where the answer's own policy has one."""
    if "frame-ancestors 'self'" in response.headers.get("Content-Security-Policy", ""):
        response.headers.pop("X-Frame-Options", None)
    return response
