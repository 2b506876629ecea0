"""The storefront's API on its payment links."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from flask import request

from checkout.errors import NotFound
from checkout.paying.links import LinkAnswer, NewLink, link_as_shown
from checkout.rules.money import parse_amount
from checkout.rules.urls import RETURN_URLS
from checkout.web import problems
from checkout.web.api import ITS_ID
from checkout.web.callers import base_url, caller, guard, instant
from checkout.web.idempotency import each_makes_one, idempotency_key, keyed, once_if_given
from checkout.web.link_schemas import LinkListSchema, LinkPageSchema, LinkSchema, NewLinkSchema
from checkout.web.list_schemas import page_of
from checkout.web.operations import blueprint, operation
from checkout.web.reading import read_nothing
from checkout.web.schemas import ID_PATTERN
from checkout.web.services import wired

bp: Final = blueprint(
    "links", prefix="/v1/payment_links", description="Payment links: ask for money without a storefront's session."
)

ASKED: Final[Mapping[str, Any]] = {
    "flow": "hosted",
    "amount": "9.00",
    "currency": "EUR",
    "country": "DE",
    "order": "INV-2026-118",
    "title": "Invoice 118",
    "single_use": True,
    "expires_at": "2026-12-31T23:59:59Z",
}
SHOWN: Final[Mapping[str, Any]] = {
    "id": "lnk_01k9z5x0c8m4v2t6r1q3w7y9ab",
    "url": "https://pay.shop.example/link/Zk3v9yQmT1uW8xR2sN5aBg",
    "active": True,
    "inactive_because": None,
    "flow": "hosted",
    "amount": "9.00",
    "currency": "EUR",
    "order": "INV-2026-118",
    "title": "Invoice 118",
    "single_use": True,
    "expires_at": "2026-12-31T23:59:59Z",
    "metadata": {},
    "created_at": "2026-11-21T12:00:00Z",
}
LINK: Final[Mapping[str, Any]] = {
    "in": "path",
    "name": "link_id",
    "required": True,
    "description": "The id of a payment link.",
    "schema": {"type": "string", "pattern": ID_PATTERN},
    "example": SHOWN["id"],
}

guard(bp)


@operation(
    bp, "POST", "", takes=NewLinkSchema, request_example=ASKED,
    keyed=each_makes_one("link", "link-INV-2026-118"), answers=LinkSchema, status=201, located=True,
    leads_to={name: {"link_id": ITS_ID} for name in ("read_link", "deactivate_link")},
    also={200: "The Idempotency-Key is known: its link as it stands."}, example=SHOWN,
    errors=[problems.UNREADABLE, problems.TOO_LARGE, problems.MEDIA_TYPE],
)  # fmt: skip
def create_link(fields: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Make a payment link.

    Each shopper who goes on from its page opens a payment of the link's order; a link of single use opens one in all.
    """
    answer, new = wired().links.create(caller(), _wanted(fields, idempotency_key()))
    return _shown(answer), 201 if new else 200, {"Location": f"{base_url()}/v1/payment_links/{answer.link.id}"}


@operation(
    bp, "GET", "", takes=LinkPageSchema, location="query", answers=LinkListSchema,
    example={"data": [dict(SHOWN)], "has_more": False}, errors=[],
)  # fmt: skip
def list_links(fields: dict[str, Any]) -> dict[str, Any]:
    """List payment links, newest first."""
    found, more = wired().links.page(caller().id, page_of(fields), order=fields["order"], customer=fields["customer"])
    return {"data": [_shown(one) for one in found], "has_more": more}


@operation(bp, "GET", "/<link_id>", answers=LinkSchema, example=SHOWN, errors=[problems.NOT_FOUND], parameters=[LINK])
def read_link(link_id: str) -> dict[str, Any]:
    """Read one payment link."""
    return _shown(wired().links.get(caller().id, _checked(link_id)))


@operation(
    bp, "POST", "/<link_id>/deactivate", answers=LinkSchema, parameters=[LINK],
    example={**SHOWN, "active": False, "inactive_because": "deactivated"},
    keyed=once_if_given("deactivate-INV-2026-118"),
    errors=[problems.UNREADABLE, problems.NOT_FOUND, problems.TOO_LARGE],
)  # fmt: skip
def deactivate_link(link_id: str) -> dict[str, Any]:
    """Deactivate a payment link.

    It opens no payment any more; those it has opened go on. Doing it twice is once.
    """
    read_nothing(request)
    store, ident = caller(), _checked(link_id)
    once = keyed(store.id, link=ident)
    return _shown(wired().links.deactivate(store.id, ident, who=f"store {store.name}", keyed=once))


def _wanted(fields: Mapping[str, Any], key: str) -> NewLink:
    amount = None if fields["amount"] is None else parse_amount(fields["amount"], fields["currency"])
    return NewLink(
        flow=fields["flow"],
        amount=amount,
        currency=fields["currency"],
        country=fields["country"],
        order=fields["order"],
        idempotency_key=key,
        title=fields["title"],
        customer_id=fields["customer"],
        language=fields["language"],
        urls={name: fields[name] for name in RETURN_URLS},
        metadata=fields["metadata"] or {},
        single_use=fields["single_use"],
        expires_at=fields["expires_at"],
    )


def _checked(link_id: str) -> str:
    """The id if it has the form of one; nothing else reaches the database."""
    if re.fullmatch(ID_PATTERN, link_id) is None:
        raise NotFound("payment link", "of that form")
    return link_id


def _shown(answer: LinkAnswer) -> dict[str, Any]:
    expires_at = answer.link.expires_at
    times = {
        "expires_at": None if expires_at is None else instant(expires_at),
        "created_at": instant(answer.link.created_at),
    }
    return link_as_shown(answer, base=base_url()) | times
