"""Where the providers deliver: the exact bytes go to the inbox, which verifies, stores and says what to answer.

Nothing is parsed here and nobody is limited by address. A provider tries again after anything but a 2xx, so 2xx means
stored and 503 means later; a refusal never says why.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from flask import Blueprint, Response, request

from checkout.inbox import STABLE_MINT, STABLES, Receipt
from checkout.web import problems
from checkout.web.reading import read_bytes
from checkout.web.requests import count_delivery
from checkout.web.services import wired

bp = Blueprint("webhooks", __name__, url_prefix="/webhooks")

#: Deliveries of one process that are being read or stored; more than any server of ours has threads.
PLACES: Final = 32
_places = threading.BoundedSemaphore(PLACES)
_TAKEN: Final = b'{"received": true}\n'


@bp.post("/stable-mint")
def stable_mint() -> Response:
    """A delivery of Stable Mint."""
    return _receive(STABLE_MINT)


@bp.post("/stables")
def stables() -> Response:
    """A delivery of Stables."""
    return _receive(STABLES)


@contextmanager
def place() -> Iterator[bool]:
    """A place among the deliveries under way; False when all are taken."""
    taken = _places.acquire(blocking=False)
    try:
        yield taken
    finally:
        if taken:
            _places.release()


def _receive(provider: str) -> Response:
    with place() as taken:
        if not taken:
            count_delivery(provider, "busy")
            return problems.problem(problems.BUSY)
        body = read_bytes(request)
        headers = {name.lower(): value for name, value in request.headers}
        receipt = wired().inbox.receive(provider, headers, body)
    count_delivery(provider, receipt.value)
    if receipt is Receipt.REFUSED:
        return problems.problem(problems.NOT_ACCEPTED)
    return Response(_TAKEN, content_type="application/json")
