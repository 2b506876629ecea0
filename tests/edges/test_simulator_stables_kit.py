"""What the tests of the simulated Stables share: a port, a service that hears webhooks, good bodies.

No tests here. Everything goes over real HTTP; only the control plane looks behind the answers.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from checkout.simulator.options import Options
from checkout.simulator.server import Servers

API_KEY = "sti_test_simulated"
CUSTOMER = "6f1d2c3b-4a59-4e68-8b7c-9d0e1f2a3b4c"
SVIX_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
HMAC_SECRET = "our own secret"
#: Every step of a transfer happens at once; tests that want to look in between lengthen one.
QUICK: dict[str, object] = {
    "await_s": 0.0,
    "collect_s": 0.0,
    "submit_s": 0.0,
    "process_s": 0.0,
    "complete_s": 0.0,
    "divert_s": 0.0,
    "review_s": 0.0,
}


@dataclass
class Hook:
    """One webhook as it came; header names in lower case."""

    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Service:
    """Stands for the service: keeps webhooks, answers them with ``statuses``, then with 200."""

    url: str = ""
    hooks: list[Hook] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, count: int, within_s: float = 10.0) -> list[Hook]:
        with self.arrived:
            came = self.arrived.wait_for(lambda: len(self.hooks) >= count, within_s)
            assert came, [hook.event["event_type"] for hook in self.hooks]
            return list(self.hooks)


@contextmanager
def listening() -> Iterator[Service]:
    service = Service()

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()} | {":path": self.path}
            with service.arrived:
                service.hooks.append(Hook(headers, body))
                status = service.statuses.pop(0) if service.statuses else 200
                service.arrived.notify_all()
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Port:
    """The simulated provider as its client and its tester see it."""

    http: httpx.Client
    service: Service

    def switch(self, **positions: object) -> None:
        answer = self.http.post("/_control/switches", json=positions)
        assert answer.status_code == 200, answer.text

    def control(self, path: str, /, **body: object) -> Any:
        """POST with a body, else GET; the answer's JSON."""
        url = f"/_control/{path}"
        answer = self.http.post(url, json=body) if body else self.http.get(url)
        assert answer.is_success, answer.text
        return answer.json()

    def fault(self, path: str, kind: str, **more: object) -> None:
        self.control("faults", path=path, fault=kind, **more)

    def post(self, path: str, body: object = None, *, key: str | None = None, **headers: str) -> httpx.Response:
        """A write with a fresh Idempotency-Key, or with the given one."""
        headers["Idempotency-Key"] = key or str(uuid.uuid4())
        return self.http.post(f"/api/v1/{path}", json=body, headers=headers)

    def get(self, path: str, **query: str | int) -> httpx.Response:
        return self.http.get(f"/api/v1/{path}", params=query)

    def quote(self, body: object = None, **changes: str) -> Any:
        """A quote's JSON; ``changes`` as for :func:`quote_body`."""
        answer = self.post("quotes", body or quote_body(**changes))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def transfer(self, **changes: Any) -> Any:
        """A fresh transfer's JSON."""
        quote_id = changes.pop("quote_id", None) or self.quote()["quote_id"]
        answer = self.post("transfer", transfer_body(quote_id, **changes))
        assert answer.is_success, answer.text
        return answer.json()

    def status(self, ident: str) -> str:
        return str(self.get(f"transfers/{ident}").json()["status"])

    def deposit(self, ident: str) -> httpx.Response:
        return self.http.post(f"/api/v1/transfers/{ident}/sandbox/simulate-deposit")

    def kept(self, ident: str) -> Any:
        """A transfer as the control plane counts it."""
        return next(one for one in self.control("transfers") if one["id"] == ident)

    def until(self, seen: Callable[[], bool], within_s: float = 10.0) -> None:
        deadline = time.monotonic() + within_s
        while not seen():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.01)


@contextmanager
def simulated(*, speed: float = 1.0, scheme: str = "svix", **positions: object) -> Iterator[Port]:
    """A port on a real socket, with transfers that step at once unless ``positions`` say otherwise."""
    with listening() as service:
        options = Options(
            stables=("127.0.0.1", 0),
            speed=speed,
            service_url=service.url,
            stables_api_key=API_KEY,
            stables_webhook_scheme=scheme,
            stables_webhook_secret=SVIX_SECRET if scheme == "svix" else HMAC_SECRET,
            stables_switches=QUICK | positions,
        )
        with Servers(options) as servers:
            headers = {"Authorization": f"Bearer {API_KEY}"}
            with httpx.Client(base_url=servers.stables_url, headers=headers, trust_env=False) as http:
                yield Port(http, service)


def fresh(port: Port) -> Port:
    """The same port with nothing in it."""
    # What is already on its way would arrive in the next test; nothing new sets out meanwhile.
    port.switch(webhooks=False, subscriptions_deliver=False)
    port.until(lambda: port.control("state")["deliveries"]["waiting"] == 0)
    assert port.http.post("/_control/reset").is_success
    with port.service.arrived:
        port.service.hooks.clear()
        port.service.statuses.clear()
    return port


def quote_body(
    *,
    asset: str = "USDC",
    network: str = "polygon",
    amount: str = "100",
    fiat: str = "EUR",
    country: str = "DE",
    rail: str = "bank",
) -> dict[str, Any]:
    return {
        "source": {"currency": asset, "network": network, "amount": amount},
        "destination": {"currency": fiat, "country": country, "network": rail},
    }


def bank(**changes: Any) -> dict[str, Any]:
    """A good destination; None takes a field away."""
    body = {
        "type": "bank",
        "account_holder_name": "Demo Merchant GmbH",
        "iban": "DE89370400440532013000",
        "bank_name": "Commerzbank",
        "bank_country": "DE",
        "currency": "EUR",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def transfer_body(quote_id: str, **changes: Any) -> dict[str, Any]:
    """A good transfer; None takes a field away."""
    body = {
        "quote_id": quote_id,
        "customer_id": CUSTOMER,
        "destination": bank(),
        "purpose_code": "MERCHANT_SETTLEMENT",
        "metadata": {"installation": "i-1", "payout": "p-1", "attempt": "a-1"},
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def wrong_fields(answer: httpx.Response) -> set[str]:
    return {one["field"] for one in answer.json()["fields"]}
