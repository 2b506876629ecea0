"""What every page we serve to a browser shares: strict headers, hashed static files, addresses safe to link.

The rule that must not be broken: a page has no inline script and no inline style, so the policy needs no
exception, and text of a shop or a shopper that slipped through escaping would still be inert.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from flask import Flask, Response, abort, request, url_for

from checkout.rules.urls import read_url

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

#: For every answer of a page's blueprint, its errors and its JSON included.
STRICT_HEADERS: Final = MappingProxyType(
    {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Referrer-Policy": "no-referrer",  # the address holds the token
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex, nofollow",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)

#: For pages with a form, which may only lead to us.
FORM_POLICY: Final = CONTENT_SECURITY_POLICY.replace("form-action 'none'", "form-action 'self'")

FOREVER: Final = "public, max-age=31536000, immutable"
MIME_TYPES: Final = MappingProxyType(
    {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
)
_HASHED = re.compile(r"(?P<stem>[a-z0-9_-]{1,60})\.(?P<digest>[0-9a-f]{12})(?P<suffix>\.[a-z]{2,3})")


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file as it was when the process started."""

    body: bytes
    digest: str  #: first 12 hex digits of the SHA-256 of the body
    mime_type: str


class Assets:
    """The static files of a folder, each under a name that changes with its content."""

    def __init__(self, files: Mapping[str, Asset]) -> None:
        self._files = dict(files)

    @classmethod
    def read(cls, folder: Path) -> Assets:
        """Read every style, script and drawing of the folder; FileNotFoundError when there is none."""
        files = {
            path.name: Asset(body, hashlib.sha256(body).hexdigest()[:12], MIME_TYPES[path.suffix])
            for path in sorted(folder.iterdir())
            if path.suffix in MIME_TYPES
            for body in (_lean(path.suffix, path.read_bytes()),)
        }
        if not files:
            raise FileNotFoundError(f"no static files in {folder}")
        return cls(files)

    def hashed(self, name: str) -> str:
        """``tokens.css`` is ``tokens.<hash>.css``; KeyError for a file that is not there."""
        stem, _, suffix = name.rpartition(".")
        return f"{stem}.{self._files[name].digest}.{suffix}"

    def read_now(self, name: str) -> tuple[bytes, str]:
        """A file's bytes and their digest, for an address of its own; KeyError for a file that is not there."""
        asset = self._files[name]
        return asset.body, asset.digest

    def answer(self, hashed_name: str) -> Response | None:
        """The file, or None. An older hash (a page from before a deployment) gets today's file, uncached."""
        matched = _HASHED.fullmatch(hashed_name)
        asset = self._files.get(matched["stem"] + matched["suffix"]) if matched else None
        if matched is None or asset is None:
            return None
        response = Response(asset.body, content_type=asset.mime_type)
        response.headers["Cache-Control"] = FOREVER if matched["digest"] == asset.digest else "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response


def _lean(suffix: str, body: bytes) -> bytes:
    """The file without what only its authors read: indentation, blank lines, and comments on lines of their own.

    Line breaks stay, so that a script means the same; no text over several lines in ours depends on its indentation.
    """
    if suffix == ".css":
        body = re.sub(rb"/\*.*?\*/", b"", body, flags=re.DOTALL)
    lines = (line.strip() for line in body.splitlines())
    return b"".join(line + b"\n" for line in lines if line and not (suffix == ".js" and line.startswith(b"//")))


def install(app: Flask, static_folder: Path) -> Assets:
    """Give the app `/assets/<hashed name>` and the template function ``static_url(name)``.

    The folder is read once, now: an app whose static files are missing does not start.
    """
    assets = Assets.read(static_folder)

    def static_url(name: str) -> str:
        return url_for("assets", hashed_name=assets.hashed(name))

    def asset(hashed_name: str) -> Response:
        return assets.answer(hashed_name) or abort(404)

    app.jinja_env.globals["static_url"] = static_url
    app.add_url_rule("/assets/<hashed_name>", "assets", asset, methods=["GET"])
    return assets


def guard(response: Response) -> Response:
    """Put the strict headers on an answer, where its view has not set its own; for a blueprint's ``after_request``."""
    for name, value in STRICT_HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def compressed(response: Response) -> Response:
    """The answer as gzip for whoever takes it; for pages that hold nothing secret, so that lengths tell nothing."""
    response.headers["Vary"] = "Accept-Encoding"
    if request.accept_encodings["gzip"]:
        response.set_data(gzip.compress(response.get_data(), mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response


def web_address(url: str | None) -> str | None:
    """The URL if a page may link to it, else None.

    Escaping does not stop ``javascript:``. Views hand over checked URLs; this is the lock on the last door.
    """
    return url if url is not None and read_url(url) is not None else None


def host_shown(url: str) -> str | None:
    """Where a URL leads, as a shopper should read it: the host, and a port that is not the usual one."""
    read = read_url(url)
    if read is None:
        return None
    return read.host if read.port is None else f"{read.host}:{read.port}"
