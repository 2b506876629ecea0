"""Every operation of Stables that this package knows, in one table: the 25 published ones, then the extras.

The published ones are the provider's OpenAPI v1.6.72, operation for operation (a test compares them both
ways). The extras are outside it, each with the source that knows it (``stables_overlay.json`` describes
them in the same words); STABLES_EXTRAS switches them off together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Source(StrEnum):
    """Who says that an operation or a field exists."""

    OPENAPI = "openapi"  #: CONFIRMED: published, v1.6.72
    DOCS = "docs"  #: CONFIRMED: the provider's pages, but not the OpenAPI
    MCP_NEW = "mcp-new"  #: the guide to the provider's tool server
    OBSERVED = "OBSERVED"  #: a third party's sandbox runs


@dataclass(frozen=True, slots=True)
class Paging:
    """Names of the two query parameters of one paging style."""

    size: str
    cursor: str


#: ``data`` with ``has_more`` or ``count``; the cursor is the last item's ``id``.
BY_LAST_ID: Final = Paging("limit", "starting_after")
#: ``page.next_page_token``.
BY_TOKEN: Final = Paging("page_size", "page_token")
#: ``page.nextPageToken``.
BY_CAMEL_TOKEN: Final = Paging("pageSize", "pageToken")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing the API can be asked."""

    name: str
    method: str
    path: str
    query: Mapping[str, bool]  #: parameter → whether it is required
    needs_key: bool  #: ``Idempotency-Key`` (UUID v4) is required
    has_body: bool
    items: str | None  #: where a list answer keeps its items
    paging: Paging | None
    page_max: int
    source: Source

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Names of the path parameters, in order."""
        return tuple(re.findall(r"{(\w+)}", self.path))


def _operation(
    name: str,
    method: str,
    path: str,
    *,
    query: Mapping[str, bool] | None = None,
    key: bool = False,
    body: bool = False,
    items: str | None = None,
    paging: Paging | None = None,
    page_max: int = 100,
    source: Source = Source.OPENAPI,
) -> Operation:
    return Operation(
        name=name,
        method=method,
        path=path,
        query=MappingProxyType(dict(query or {})),
        needs_key=key,
        has_body=body,
        items=items,
        paging=paging,
        page_max=page_max,
        source=source,
    )


def _optional(*names: str) -> dict[str, bool]:
    return dict.fromkeys(names, False)


_CUSTOMER: Final = "/api/v1/customers/{customerId}"
_ACCOUNT: Final = _CUSTOMER + "/virtual-accounts/{virtualAccountId}"
_LISTED: Final = ("limit", "starting_after", "ending_before")
_PAGED: Final = ("pageSize", "pageToken")

_ALL: Final = (
    # Customers
    _operation("create_customer", "POST", "/api/v1/customer", key=True, body=True),
    _operation("read_customer", "GET", _CUSTOMER),
    _operation("update_customer", "PATCH", "/api/v1/customer/{customerId}", body=True),
    _operation("list_customers", "GET", "/api/v1/customers", items="customers"),
    _operation("create_verification_link", "POST", "/api/v1/customer/verification/link", key=True, body=True),
    # Virtual accounts
    _operation("create_virtual_account", "POST", _CUSTOMER + "/virtual-accounts", key=True, body=True),
    _operation(
        "list_customer_virtual_accounts",
        "GET",
        _CUSTOMER + "/virtual-accounts",
        query=_optional("status", *_LISTED),
        items="data",
        paging=BY_LAST_ID,
    ),
    _operation(
        "list_virtual_accounts",
        "GET",
        "/api/v1/virtual-accounts",
        query=_optional("status", *_LISTED),
        items="data",
        paging=BY_LAST_ID,
    ),
    _operation("list_whitelist_accounts", "GET", _ACCOUNT + "/whitelist-accounts", items="data"),
    _operation("add_whitelist_account", "POST", _ACCOUNT + "/whitelist-accounts", key=True, body=True),
    _operation(
        "update_whitelist_account",
        "PATCH",
        _ACCOUNT + "/whitelist-accounts/{sourceAccountId}",
        key=True,
        body=True,
    ),
    _operation("deactivate_virtual_account", "POST", _ACCOUNT + "/deactivate", key=True),
    _operation("reactivate_virtual_account", "POST", _ACCOUNT + "/reactivate", key=True),
    _operation("set_virtual_account_destination", "PUT", _ACCOUNT + "/destination", key=True, body=True),
    _operation(
        "list_virtual_account_history",
        "GET",
        _ACCOUNT + "/history",
        query=_optional("deposit_id", *_LISTED),
        items="data",
        paging=BY_LAST_ID,
    ),
    # Quotes and transfers
    _operation("create_quote", "POST", "/api/v1/quotes", key=True, body=True),
    _operation("create_transfer", "POST", "/api/v1/transfer", key=True, body=True),
    _operation(
        "list_transfers",
        "GET",
        "/api/v1/transfers",
        query={"status": True, "type": True, **_optional("customer_id", "page_size", "page_token")},
        items="transfers",
        paging=BY_TOKEN,
    ),
    # API keys
    _operation("create_api_key", "POST", "/api/v1/api-keys", key=True, body=True),
    _operation(
        "list_api_keys",
        "GET",
        "/api/v1/api-keys",
        query=_optional(*_PAGED),
        items="apiKeys",
        paging=BY_CAMEL_TOKEN,
    ),
    _operation("read_api_key", "GET", "/api/v1/api-keys/{apiKeyId}"),
    _operation("revoke_api_key", "DELETE", "/api/v1/api-keys/{apiKeyId}", key=True),
    # Webhook subscriptions
    _operation("create_webhook", "POST", "/api/v1/webhooks", key=True, body=True),
    _operation(
        "list_webhooks",
        "GET",
        "/api/v1/webhooks",
        query=_optional(*_PAGED),
        items="subscriptions",
        paging=BY_CAMEL_TOKEN,
    ),
    _operation("delete_webhook", "DELETE", "/api/v1/webhooks/{subscriptionId}", key=True),
    # Extras (providers.md B1, B3)
    _operation("read_transfer", "GET", "/api/v1/transfers/{id}", source=Source.OBSERVED),
    _operation(
        "validate_payment_method",
        "POST",
        "/api/v1/payment-methods/validate",
        body=True,
        source=Source.OBSERVED,
    ),
    _operation(
        "simulate_deposit",
        "POST",
        "/api/v1/transfers/{id}/sandbox/simulate-deposit",
        key=True,
        source=Source.MCP_NEW,
    ),
    _operation(
        "list_webhook_deliveries",
        "GET",
        "/api/v1/webhooks/{subscriptionId}/deliveries",
        query=_optional(*_PAGED),
        items="deliveries",
        paging=BY_CAMEL_TOKEN,
        page_max=50,
        source=Source.DOCS,
    ),
    _operation(
        "list_all_webhook_deliveries",
        "GET",
        "/api/v1/webhooks/deliveries",
        query=_optional("status", "eventType", *_PAGED),
        items="deliveries",
        paging=BY_CAMEL_TOKEN,
        page_max=50,
        source=Source.OBSERVED,
    ),
)

#: Every operation by its name.
OPERATIONS: Final = MappingProxyType({operation.name: operation for operation in _ALL})

#: The status values of the list's query parameter. CONFIRMED (OpenAPI).
PUBLISHED_STATUSES: Final = frozenset(
    {
        "CREATED", "UNKNOWN", "COMPLIANCE_HOLD", "AWAITING_FUNDS_COLLECTION", "FUNDS_COLLECTED",
        "PAYMENT_SUBMITTED",
        "PAYMENT_PROCESSED", "COMPLETED", "FAILED", "CANCELLED", "EXPIRED",
    }
)  # fmt: skip

#: States a transfer can enter from anywhere and leave again; the last is mcp-new and OBSERVED, not published.
_WANDERING: Final = ("COMPLIANCE_HOLD", "UNKNOWN", "IN_PROGRESS")
#: The order in which a complete listing asks. Transfers only move forward (docs, Transfer states), so
#: asking along the path cannot miss one that moves meanwhile; the states outside the path are asked before
#: and after it.
LISTING_ORDER: Final = (
    *_WANDERING, "CREATED", "AWAITING_FUNDS_COLLECTION", "FUNDS_COLLECTED", "PAYMENT_SUBMITTED",
    "PAYMENT_PROCESSED",
    "COMPLETED", "FAILED", "CANCELLED", "EXPIRED", *_WANDERING,
)  # fmt: skip
