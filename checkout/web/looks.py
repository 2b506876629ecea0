"""A store's own look: its logo, and a stylesheet made from its one colour that anybody can read.

Whatever colour was chosen, text in it and on it has a contrast of at least 4.5 in both themes: hue and saturation
stay, lightness gives way. The stylesheet's name holds the colour and the version of these rules, so it is drawn
from its address alone and may be cached for ever.
"""

from __future__ import annotations

import colorsys
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, cast

from flask import Blueprint, Response, abort, current_app, request, url_for

from checkout.errors import NotFound
from checkout.paying.shopper import Shopper
from checkout.store.records import StoreRow
from checkout.web.pages import FOREVER

bp = Blueprint("looks", __name__)

#: A little more than the 4.5 that WCAG asks for, so that rounding to 8 bits cannot spoil it.
CONTRAST: Final = 4.6
#: Changes with the rules below, and with it every stylesheet's address.
RULES: Final = "1"

_COLOUR: Final = re.compile(r"#[0-9a-f]{6}")
_STORE: Final = re.compile(r"[A-Za-z0-9_-]{1,60}")
_DIGEST: Final = re.compile(r"[0-9a-f]{12}")
#: What a logo may be. A drawing (SVG) can hold script and is refused where it would be stored.
_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/webp"})
_ENDINGS: Final = frozenset({"png", "jpg", "webp"})

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Theme:
    """What an accent stands on: the grounds of ``tokens.css`` (a test compares them), darkest or lightest last."""

    grounds: tuple[str, ...]
    surface: str
    soft: float  #: how much of the accent is in its soft ground
    step: int  #: the way lightness moves until the contrast is enough


LIGHT: Final = Theme(("#f3f4f8", "#ffffff", "#f6f7fa"), "#ffffff", 0.09, -1)
DARK: Final = Theme(("#0c0f14", "#151a22", "#1a2029"), "#151a22", 0.16, 1)


@bp.get("/stores/<store>/theme.<digest>.css")
def theme(store: str, digest: str) -> Response:
    """The accent of one store, light and dark."""
    if _STORE.fullmatch(store) is None or _DIGEST.fullmatch(digest) is None or digest[6:] != _version():
        abort(404)
    response = Response(stylesheet(f"#{digest[:6]}"), content_type="text/css; charset=utf-8")
    return _kept(response)


@bp.get("/stores/<store>/logo.<digest>.<ending>")
def logo(store: str, digest: str, ending: str) -> Response:
    """A store's picture. An older digest gets today's picture, uncached; the type is what was stored."""
    if _STORE.fullmatch(store) is None or _DIGEST.fullmatch(digest) is None or ending not in _ENDINGS:
        abort(404)
    found = cast("Shopper", current_app.extensions["checkout"].shopper).logo(store)
    if found is None or found[0] not in _PICTURES:
        abort(404)
    media_type, body = found
    response = _kept(Response(body, content_type=media_type))
    if hashlib.sha256(body).hexdigest()[:12] != digest:
        response.headers["Cache-Control"] = "no-cache"
    return response


@bp.errorhandler(NotFound)
def missing(_error: NotFound) -> Response:
    """No such store, and nothing more is said."""
    return _kept(Response(status=404), "no-store")


def theme_url(store: StoreRow) -> str | None:
    """The address of a store's stylesheet; None when it has no colour, or none that could be one."""
    colour = (store.colour or "").lower()
    if _COLOUR.fullmatch(colour) is None:
        return None
    return url_for("looks.theme", store=store.id, digest=colour[1:] + _version())


def logo_url(store: StoreRow) -> str | None:
    """The address of a store's picture. The ending is the same for all; browsers go by the type."""
    if store.logo_digest is None or _DIGEST.fullmatch(store.logo_digest) is None:
        return None
    return url_for("looks.logo", store=store.id, digest=store.logo_digest, ending="png")


@lru_cache(maxsize=256)
def stylesheet(colour: str) -> str:
    """The accent variables of ``tokens.css`` for a colour ``#rrggbb``, for both themes."""
    if _COLOUR.fullmatch(colour) is None:
        raise ValueError("a colour is # and six hex digits")
    light = "".join(f"--{name}:{value};" for name, value in accents(colour, LIGHT).items())
    dark = "".join(f"--{name}:{value};" for name, value in accents(colour, DARK).items())
    return f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}\n"


def accents(colour: str, theme: Theme) -> dict[str, str]:
    """The accent's variables on one theme."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*_rgb(colour))
    for moved in range(257):
        wanted = min(1.0, max(0.0, lightness + theme.step * moved / 256))
        accent = _hex(colorsys.hls_to_rgb(hue, wanted, saturation))
        soft = _mixed(accent, theme.surface, theme.soft)
        if all(contrast(accent, ground) >= CONTRAST for ground in (*theme.grounds, soft)):
            break
    # Light: white text on it, and darker when pointed at. Dark: the other way round.
    far, ink = ("#000000", "#ffffff") if theme is LIGHT else ("#ffffff", _mixed(accent, "#000000", 0.1))
    on_accent = ink if contrast(ink, accent) >= CONTRAST else "#000000"
    return {
        "accent": accent,
        "accent-strong": _mixed(far, accent, 0.22),
        "on-accent": on_accent,
        "accent-soft": soft,
    }


def contrast(one: str, other: str) -> float:
    """How well two colours are told apart, as WCAG 2.2 defines it: 1 to 21."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(colour: str) -> Rgb:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _hex(rgb: Rgb) -> str:
    return "#" + "".join(f"{round(min(1.0, max(0.0, channel)) * 255):02x}" for channel in rgb)


def _mixed(one: str, other: str, share: float) -> str:
    red, green, blue = (a * share + b * (1 - share) for a, b in zip(_rgb(one), _rgb(other), strict=True))
    return _hex((red, green, blue))


@lru_cache(maxsize=1)
def _version() -> str:
    return hashlib.sha256(f"{RULES}{LIGHT}{DARK}{CONTRAST}".encode()).hexdigest()[:6]


def _kept(response: Response, caching: str = FOREVER) -> Response:
    headers = response.headers
    headers["Cache-Control"] = caching
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'; sandbox"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Referrer-Policy"] = "no-referrer"
    response.make_conditional(request)
    return response
