"""Our API as a shop calls it: the three uses' calls, and what their answers may mean.

A timeout or a 5xx is "we do not know", never "refused": the shop keeps its order and tries again under the
same Idempotency-Key, which cannot open a second payment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from checkout.rules.money import Money
from checkout.simulator.shop import uses
from checkout.simulator.shop.customers import Customer
from checkout.simulator.shop.news import PaymentNews
from checkout.simulator.shop.orders import Opened, Way


@dataclass(frozen=True, slots=True)
class Refused:
    """The service said no, and why (RFC 9457)."""

    status: int
    title: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Silent:
    """No usable answer: what was asked for may or may not exist."""

    reason: str


class Service:
    """Our API as seen by one shop. ``api_key`` is the store's; it never reaches a page."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._base_url, self._api_key = base_url, api_key

    def open_payment(
        self, way: Way, order: str, amount: Money, back: Mapping[str, str], customer: Customer, *, known: bool
    ) -> Opened | Refused | Silent:
        """Ask for the payment of one order; the order's id is the key, so asking twice is asking once.

        ``back`` holds success_url, exit_url, error_url and support_url. ``known``: the service knows the customer.
        """
        total = amount.fixed()
        match way:
            case Way.HOSTED:
                answer = self._ask(lambda http: uses.pay_by_redirect(http, order, total, back))
            case Way.EMBEDDED:
                answer = self._ask(lambda http: uses.pay_in_page(http, order, total, back, customer.facts))
            case Way.RETURNING:
                kept = {} if known else self._ask(lambda http: uses.remember(http, customer.facts))
                if not isinstance(kept, dict):
                    return kept
                answer = self._ask(lambda http: uses.pay_again(http, order, total, back, customer.id))
        return _opened(answer, way) if isinstance(answer, dict) else answer

    def read_payment(self, payment_id: str) -> PaymentNews | Refused | Silent:
        """How a payment stands now."""
        answer = self._ask(lambda http: uses.how_it_stands(http, payment_id))
        if not isinstance(answer, dict):
            return answer
        return PaymentNews.read(answer) or Silent("the answer is not a payment")

    def history(self, customer_id: str) -> list[PaymentNews] | Refused | Silent:
        """The customer's payments, newest first; none for a customer the service does not know."""
        answer = self._ask(lambda http: uses.history(http, customer_id))
        if isinstance(answer, Refused) and answer.status == 404:
            return []
        if not isinstance(answer, dict):
            return answer
        found = answer.get("data")
        return [news for one in found if (news := PaymentNews.read(one))] if isinstance(found, list) else []

    def _ask(self, call: Callable[[httpx.Client], httpx.Response]) -> dict[str, Any] | Refused | Silent:
        try:
            # A new client for each call: nothing stays open when the shop stops.
            with uses.connect(self._base_url, self._api_key) as http:
                response = call(http)
            content = response.json()
        except httpx.HTTPError as error:
            return Silent(f"no answer ({type(error).__name__})")
        except ValueError:
            content = None
        found = content if isinstance(content, dict) else {}
        if response.is_success:
            return found or Silent("the answer is not JSON")
        if 400 <= response.status_code < 500 and response.status_code not in (408, 425, 429):
            return Refused(response.status_code, _title(found), _fields(found.get("errors")))
        return Silent(f"the service answered {response.status_code}")


def _opened(answer: Mapping[str, Any], way: Way) -> Opened | Silent:
    ident, status, url, token = (answer.get(key) for key in ("id", "status", "checkout_url", "client_token"))
    if not (isinstance(ident, str) and isinstance(status, str) and isinstance(url, str)):
        return Silent("the answer is not a payment")
    if not url.startswith(("https://", "http://")):
        return Silent("the answer has no payment page")
    if way is not Way.EMBEDDED:
        return Opened(ident, status, url)
    return Opened(ident, status, url, token) if isinstance(token, str) else Silent("the answer has no client token")


def _title(problem: Mapping[str, Any]) -> str:
    words = [problem[key] for key in ("title", "detail") if isinstance(problem.get(key), str)]
    return ": ".join(words)[:300] or "The request was refused"


def _fields(errors: object) -> dict[str, str]:
    """Bad fields and their reasons, in either usual form: a mapping, or a list of mappings."""
    if isinstance(errors, list):
        named = [one for one in errors if isinstance(one, dict)]
        keys = [next((str(one[k]) for k in ("field", "name", "pointer") if k in one), "") for one in named]
        reasons = [next((one[k] for k in ("reasons", "detail", "message") if k in one), "") for one in named]
        return {key: _sentence(reason) for key, reason in zip(keys, reasons, strict=True)}
    if isinstance(errors, dict):
        return {str(key): _sentence(reason) for key, reason in errors.items()}
    return {}


def _sentence(reason: object) -> str:
    text = " ".join(map(str, reason)) if isinstance(reason, list) else str(reason)
    return text[:300]
