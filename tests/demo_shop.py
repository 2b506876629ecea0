"""A visitor of the demo shop, and our API as the shop sees it: a fake on loopback that counts what it is asked."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from standardwebhooks import Webhook
from werkzeug.test import TestResponse

SECRET = "whsec_" + "c2hvcCBzZWNyZXQgZm9yIHRlc3RzIG9ubHkh"
KEY = "sk_test_shop"
WHOLE = "postcards", "pencils", "notebook"


class FakeService:
    """Our API on loopback, as far as a shop sees it: one payment per key, or the answer a test put in.

    A returning customer is refused unless it was stored, as the real one would.
    """

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.payments: dict[str, dict[str, Any]] = {}
        self.customers: dict[str, dict[str, Any]] = {}
        self.answer: tuple[int, Any] | None = None
        self._lock = threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(*service.read(self.path))

            def do_POST(self) -> None:
                self._send(*service.open(self.path, dict(self.headers.items()), self._body()))

            def do_PUT(self) -> None:
                self._send(*service.remember(self.path, self._body()))

            def _body(self) -> Any:
                return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

            def _send(self, status: int, content: Any) -> None:
                body = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def open(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        with self._lock:
            self.requests.append({"path": path, "headers": headers, "body": body})
            if self.answer is not None:
                return self.answer
            key, customer = headers["Idempotency-Key"], body.get("customer", {})
            if body["flow"] == "hosted_partner" and customer["id"] not in self.customers:
                return 422, {"title": "Bad request", "errors": {"customer.email": "is required"}}
            payment = self.payments.setdefault(
                key,
                {
                    "id": f"pay_{len(self.payments) + 1}",
                    "status": "open",
                    "anomaly": None,
                    "amount": body["amount"],
                    "currency": body["currency"],
                    "order": body["order"],
                    "checkout_url": f"{self.url}/pay/token-{key}",
                    "client_token": f"token-{key}" if body["flow"] == "embedded" else None,
                    "customer": customer.get("id"),
                },
            )
            return 201, payment

    def remember(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        with self._lock:
            self.requests.append({"path": path, "body": body})
            if self.answer is not None:
                return self.answer
            self.customers[path.rpartition("/")[2]] = body
            return 200, {"id": path.rpartition("/")[2]}

    def read(self, path: str) -> tuple[int, Any]:
        with self._lock:
            self.requests.append({"path": path})
            if self.answer is not None:
                return self.answer
            if path.startswith("/v1/customers/"):
                return self._history(path.split("/")[3])
            found = [one for one in self.payments.values() if path == f"/v1/payments/{one['id']}"]
            return (200, found[0]) if found else (404, {"title": "Not found"})

    def _history(self, customer: str) -> tuple[int, Any]:
        if not any(one["customer"] == customer for one in self.payments.values()):
            return 404, {"title": "Not found"}
        found = [one for one in self.payments.values() if one["customer"] == customer]
        return 200, {"data": found[::-1], "has_more": False}


@dataclass
class Options:
    service_url: str
    shop: tuple[str, int] | None = ("127.0.0.1", 8103)
    shop_service_url: str = ""
    shop_api_key: str = field(default=KEY, repr=False)
    shop_notification_secret: str = field(default=SECRET, repr=False)


@dataclass
class Clock:
    now: datetime = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Visitor:
    """A browser at the shop, and the service's hand that writes to it."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.http: FlaskClient = app.test_client()

    def pick(self, *slugs: str) -> str:
        """Put these in the basket; the id of the basket."""
        for slug in slugs:
            assert self.http.post("/basket", data={"add": slug}).status_code == 303
        found = re.search(r'name="basket" value="([^"]+)"', self.http.get("/basket").text)
        assert found is not None
        return found[1]

    def pay(self, basket: str, **way: str) -> TestResponse:
        return self.http.post("/checkout", data={"basket": basket, **way})

    def order(self, *slugs: str, **way: str) -> str:
        """Buy these as far as the payment; the order's id."""
        location = self.pay(self.pick(*(slugs or WHOLE)), **way).location
        return location.removesuffix("/widget").rpartition("/")[2].removeprefix("token-")

    def told(self, order: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get(f"/orders/{order}.json").get_json()
        return answer

    def notify(self, order: str, status: str, sequence: int, ident: str = "msg_1", **changes: Any) -> TestResponse:
        data: dict[str, Any] = {"id": "pay_1", "status": status, "anomaly": None, "amount": "9.00"}
        data |= {"currency": "EUR", "order": changes.pop("order_number", order), **changes}
        return self.deliver(json.dumps({"type": f"payment.{status}", "sequence": sequence, "data": data}), ident)

    def deliver(self, body: str, ident: str = "msg_1", secret: str = SECRET) -> TestResponse:
        at = datetime.now(UTC)
        headers = {
            "webhook-id": ident,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign(ident, at, body),
        }
        return self.app.test_client().post("/notifications", data=body, headers=headers)
