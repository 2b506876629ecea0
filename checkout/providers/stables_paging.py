"""Where one page of a list ends and the next begins, for the three styles Stables mixes (docs, Pagination).

Pure: an operation, the body of one page and what was asked go in; the items, the next cursor and the stated
total come out. What cannot be followed raises ValueError, because a list that ends too early looks
complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checkout.providers.stables_operations import BY_LAST_ID, Operation


def next_page(
    operation: Operation, body: Mapping[str, Any], asked: Mapping[str, str]
) -> tuple[list[Any], str | None, int | None]:
    """Items of this page, the next page's cursor (None: this is the last), and the stated number of all."""
    found = body.get(operation.items or "")
    if not isinstance(found, list):
        raise ValueError(f"{operation.items} is not a list")
    if operation.paging is None:
        return found, None, None
    full = len(found) >= int(asked[operation.paging.size])
    if operation.paging is BY_LAST_ID:
        return found, _last_id(body, found, full=full), None
    page = body.get("page")
    if page is None and not full:
        return found, None, None
    if not isinstance(page, Mapping):
        raise ValueError("page is missing or not an object")
    return found, _token(page), _total(page)


def _last_id(body: Mapping[str, Any], found: list[Any], *, full: bool) -> str | None:
    """``has_more`` decides where it is given.

    ``count`` may be this page's or all pages': a full page asks on instead.
    """
    more = body.get("has_more")
    if more is False or (more is None and not full):
        return None
    last = found[-1].get("id") if found and isinstance(found[-1], Mapping) else None
    if not isinstance(last, str) or not last:
        raise ValueError("the list says it has more and gives nothing to go on from")
    return last


def _token(page: Mapping[str, Any]) -> str | None:
    token = page.get("next_page_token") or page.get("nextPageToken")
    if token is not None and not isinstance(token, str):
        raise ValueError("the next page's token is not text")
    return token or None


def _total(page: Mapping[str, Any]) -> int | None:
    total = page.get("total")
    return total if isinstance(total, int) and not isinstance(total, bool) else None
