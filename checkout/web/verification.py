"""Where a merchant comes back to from Stables' verification page. Anybody can open it: it reads nothing and changes nothing."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from checkout.web.pages import STRICT_HEADERS

bp = Blueprint("verification", __name__)

#: The address the verification link names (``onboarding.RETURNED``).
_WORDS: Final = (
    "Thank you. Stables decides, and tells this service by itself.\n"
    "Coming back here proves nothing: `checkout stables status` shows where the verification stands.\n"
)


@bp.get("/verification/returned")
def returned() -> ResponseReturnValue:
    """A sentence. Whatever Stables appends to the address is ignored: its signature's form is not documented."""
    return Response(_WORDS, content_type="text/plain; charset=utf-8", headers=dict(STRICT_HEADERS))
