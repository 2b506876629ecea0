"""The two calls of our API that a shop needs: open a payment, and ask how it stands.

A timeout or a 5xx is "we do not know", never "refused": the shop keeps its order and tries again under the
same Idempotency-Key, which cannot open a second payment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import httpx

from checkout.rules.money import Money
from checkout.simulator.shop.news import PaymentNews

OPEN_TIMEOUT_S: Final = 15.0
READ_TIMEOUT_S: Final = 4.0


@dataclass(frozen=True, slots=True)
class Opened:
    """The service has this payment; the shopper pays at ``checkout_url``."""

    payment_id: str
    status: str
    checkout_url: str


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
        self._http = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {api_key}", "Accept": "application/json"},
            limits=httpx.Limits(max_keepalive_connections=0),  # nothing stays open when the shop stops
            trust_env=False,  # a proxy of the surroundings does not lie between two local processes
        )

    def open_payment(self, order: str, amount: Money, back: Mapping[str, str]) -> Opened | Refused | Silent:
        """Ask for the payment of one order; the order's id is the key, so asking twice is asking once.

        ``back`` holds success_url, exit_url, error_url and support_url.
        """
        body = {
            "flow": "hosted",
            "amount": amount.fixed(),
            "currency": amount.currency,
            "country": "DE",
            "order": order,
            **back,
        }
        answer = self._ask("POST", "/v1/payments", OPEN_TIMEOUT_S, json=body, headers={"Idempotency-Key": order})
        if not isinstance(answer, dict):
            return answer
        parts = [answer.get(key) for key in ("id", "status", "checkout_url")]
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) < 3 or not texts[2].startswith(("https://", "http://")):
            return Silent("the answer has no payment page")
        return Opened(*texts)

    def read_payment(self, payment_id: str) -> PaymentNews | Refused | Silent:
        """How a payment stands now."""
        answer = self._ask("GET", f"/v1/payments/{quote(payment_id, safe='')}", READ_TIMEOUT_S)
        if not isinstance(answer, dict):
            return answer
        return PaymentNews.read(answer) or Silent("the answer is not a payment")

    def _ask(self, method: str, path: str, timeout_s: float, **more: Any) -> dict[str, Any] | Refused | Silent:
        try:
            response = self._http.request(method, path, timeout=timeout_s, **more)
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
