"""How a store looks to its shoppers: one picture and one colour, chosen by an operator."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from checkout.context import Context
from checkout.errors import NotFound, RequestRefused
from checkout.store import stores as rows
from checkout.store.moves import record_act
from checkout.store.records import StoreRow

#: A page is at most 30 kB as sent, and the picture is part of it.
LOGO_BYTES_MAX: Final = 8_000
#: Picture formats by their first bytes. SVG is left out: it can hold scripts.
_FORMATS: Final = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_COLOUR: Final = re.compile(r"#[0-9a-fA-F]{6}")


def picture_type(body: bytes) -> str | None:
    """The media type of a PNG, JPEG or WebP picture by its first bytes, or None."""
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for start, media_type in _FORMATS.items() if body.startswith(start)), None)


class Looks:
    """The operator's verb on a store's look."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def set(self, store_name: str, *, logo: bytes | None, colour: str | None, who: str) -> StoreRow:
        """Change the picture (bytes of a PNG, JPEG or WebP), the colour (``#rrggbb``), or both; what is None stays.

        Raises RequestRefused naming each that cannot be used, NotFound for an unknown store.
        """
        problems: dict[str, str] = {}
        media_type = None if logo is None else picture_type(logo)
        if logo is not None and media_type is None:
            problems["logo"] = "use a PNG, JPEG or WebP picture"
        elif logo is not None and len(logo) > LOGO_BYTES_MAX:
            kilobytes = LOGO_BYTES_MAX // 1000
            problems["logo"] = (
                f"use at most {kilobytes} kB, so that pages stay fast on phones; 160 by 160 pixels will do"
            )
        if colour is not None and _COLOUR.fullmatch(colour) is None:
            problems["colour"] = "write it as #rrggbb, for example #0a7d5a"
        if problems:
            raise RequestRefused(problems)
        context = self._context
        changes: dict[str, Any] = {} if colour is None else {"colour": colour.lower()}
        with context.database.write() as unit:
            store = rows.find_store(unit, store_name)
            if store is None:
                raise NotFound("store", store_name)
            if logo is not None and media_type is not None:
                rows.keep_logo(unit, store.id, media_type=media_type, body=logo)
                changes["logo_digest"] = hashlib.sha256(logo).hexdigest()[:12]
            if changes:
                rows.update_store(unit, store.id, **changes)
                record_act(
                    unit, context.new_id("act"), who=who, action="store look changed", subject=store.id,
                    detail=changes, at=context.clock(),
                )  # fmt: skip
            changed = rows.find_store(unit, store.id)
        if changed is None:  # pragma: no cover - it was there a moment ago, and stores are never deleted
            raise NotFound("store", store_name)
        return changed
