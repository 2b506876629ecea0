"""The calls of the three uses, as a storefront's developer writes them.

The shop's pages show the source of these functions: what a reader copies is what runs here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote

from httpx import Client, Response

Texts = Mapping[str, str]


def connect(service: str, api_key: str) -> Client:
    """One client for all calls; the API key stays on the server."""
    return Client(
        base_url=service,
        headers={"Authorization": f"Bearer {api_key}"},
        timeout=15,
        trust_env=False,
    )


def how_it_stands(http: Client, payment_id: str) -> Response:
    """Paid is the `status` accepted or settled; notifications say it too."""
    return http.get(f"/v1/payments/{quote(payment_id, safe='')}", timeout=4)


def pay_by_redirect(http: Client, order: str, amount: str, back: Texts) -> Response:
    """Send the shopper on to the answer's `checkout_url`."""
    return http.post(
        "/v1/payments",
        headers={"Idempotency-Key": order},
        json={
            "flow": "hosted",
            "order": order,
            "amount": amount,
            "currency": "EUR",
            "country": "DE",
            **back,
        },
    )


def pay_in_page(http: Client, order: str, amount: str, back: Texts, customer: Texts) -> Response:
    """Print the answer's `client_token` into the page: it is for this payment only."""
    return http.post(
        "/v1/payments",
        headers={"Idempotency-Key": order},
        json={
            "flow": "embedded",
            "order": order,
            "amount": amount,
            "currency": "EUR",
            "country": "DE",
            "customer": {"id": customer["id"], "email": customer["email"]},
            **back,
        },
    )


def remember(http: Client, customer: Texts) -> Response:
    """Once: the service keeps it sealed and asks the customer for none of it again."""
    return http.put(
        f"/v1/customers/{quote(customer['id'], safe='')}",
        json={
            "email": customer["email"],
            "country": "DE",
            "kyc": {"full_name": customer["name"]},
        },
    )


def pay_again(http: Client, order: str, amount: str, back: Texts, customer_id: str) -> Response:
    """The id is enough. The shopper approves each payment: send them to `checkout_url`."""
    return http.post(
        "/v1/payments",
        headers={"Idempotency-Key": order},
        json={
            "flow": "hosted_partner",
            "order": order,
            "amount": amount,
            "currency": "EUR",
            "customer": {"id": customer_id},
            **back,
        },
    )


def history(http: Client, customer_id: str) -> Response:
    """What the customer has paid, newest first."""
    return http.get(f"/v1/customers/{quote(customer_id, safe='')}/payments")


#: Each use with the functions that are all its server needs.
SHOWN: Final[Mapping[str, tuple[Callable[..., Any], ...]]] = MappingProxyType(
    {
        "once": (connect, how_it_stands),
        "hosted": (pay_by_redirect,),
        "embedded": (pay_in_page,),
        "returning": (remember, pay_again, history),
    }
)


def source(use: str) -> str:
    """The Python a storefront needs for one use."""
    return "\n\n".join(inspect.getsource(one).rstrip() for one in SHOWN[use])
