"""A partner for the tests of the simulated Stable Mint: signs calls and checks webhooks with `cryptography` directly.

Nothing of the package's own signing is used, on either side.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from checkout.simulator.options import Options
from checkout.simulator.server import Servers

API_KEY = "partner-key"
API_SECRET = "partner-secret"
HOSTED = "/session/hosted"
PARTNER = "/session/hosted/partner-managed-customer"
EMBEDDED = "/session/embedded/partner-managed-customer"
PREFIX = "partner.customer.deposit."


@cache
def key_pair(name: str) -> tuple[rsa.RSAPrivateKey, str, str]:
    """A key for this run: the key, its private PEM, its public PEM. 2048 bits, to be quick."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return key, private, public


def hosted(**changes: Any) -> dict[str, Any]:
    """A good /session/hosted body; None takes a field away."""
    body = {
        "userCountryCode": "DE",
        "currency": "EUR",
        "amount": 9,
        "successUrl": "http://127.0.0.1:1/success",
        "supportUrl": "http://127.0.0.1:1/support",
        "exitUrl": "http://127.0.0.1:1/exit",
        "errorUrl": "http://127.0.0.1:1/error",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def person(**changes: Any) -> dict[str, Any]:
    """A good partner-managed body."""
    return hosted(**{"userId": "shopper-1", "userEmail": "ada@example.org", **changes})


def signature(text: bytes, key: rsa.RSAPrivateKey) -> str:
    return base64.b64encode(key.sign(text, padding.PKCS1v15(), SHA256())).decode()


@dataclass
class Hook:
    """One webhook as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def fields(self) -> dict[str, Any]:
        """The event's fields in either generation."""
        found: dict[str, Any] = self.document.get("data", self.document)
        return found

    @property
    def version(self) -> str:
        return "v2" if "data" in self.document else "v1"

    @property
    def name(self) -> str:
        kind = self.fields.get("eventType") or self.fields["notificationType"]
        return str(kind).removeprefix(PREFIX)

    def verify(self) -> None:
        signed = self.headers["StableMint-Timestamp"].encode() + b"," + self.body
        made = base64.b64decode(self.headers["StableMint-Signature"])
        key_pair("webhooks")[0].public_key().verify(made, signed, padding.PKCS1v15(), SHA256())


@dataclass
class Service:
    """Stands for the service: keeps webhooks, answers them with `statuses`, then with 200."""

    url: str = ""
    hooks: list[Hook] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, count: int, within_s: float = 5.0) -> list[Hook]:
        """The first `count` webhooks; fails when they have not come in time."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.hooks) >= count, within_s), [hook.name for hook in self.hooks]
            return list(self.hooks)

    def names(self) -> list[str]:
        return [hook.name for hook in self.hooks]


@contextmanager
def listening() -> Iterator[Service]:
    service = Service()

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with service.arrived:
                service.hooks.append(Hook(dict(self.headers.items()), body))
                status = service.statuses.pop(0) if service.statuses else 200
                service.arrived.notify_all()
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """The simulator closes its pooled connections when it stops."""

    with Quiet(("127.0.0.1", 0), Door) as server:
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield service
        server.shutdown()
        thread.join()


@dataclass
class World:
    """A simulated Stable Mint, a service that hears its webhooks, and a partner who calls it."""

    servers: Servers
    http: httpx.Client
    service: Service

    def call(
        self,
        path: str,
        body: dict[str, Any] | bytes,
        /,
        *,
        key: rsa.RSAPrivateKey | None = None,
        secret: str = API_SECRET,
        at: int | None = None,
        **headers: str,
    ) -> httpx.Response:
        """A signed call; keyword arguments make it wrong."""
        raw = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
        timestamp = str(int(time.time()) if at is None else at)
        signed = f"{timestamp},{secret},".encode() + raw
        sent = {
            "ApiKey": API_KEY,
            "Timestamp": timestamp,
            "Signature": signature(signed, key or key_pair("partner")[0]),
            "Content-Type": "application/json",
            **headers,
        }
        return self.http.post(path, content=raw, headers=sent)

    def open(self, path: str = HOSTED, /, **changes: Any) -> dict[str, Any]:
        answer = self.call(path, (hosted if path == HOSTED else person)(**changes))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def switch(self, **positions: Any) -> None:
        answer = self.http.post("/_control/switches", json=positions)
        assert answer.status_code == 200, answer.text

    def control(self, path: str, /, **body: Any) -> Any:
        answer = self.http.post(f"/_control/{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def look(self, path: str) -> Any:
        answer = self.http.get(f"/_control/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pay(self, reference: str, **how: Any) -> Any:
        return self.control(f"sessions/{reference}/pay", **how)


def options(**changes: Any) -> Options:
    given = {
        "stable_mint": ("127.0.0.1", 0),
        "service_url": "http://127.0.0.1:1",
        "stable_mint_api_key": API_KEY,
        "stable_mint_api_secret": API_SECRET,
        "partner_public_key_pem": key_pair("partner")[2],
        "webhook_private_key_pem": key_pair("webhooks")[1],
        "partner_id": "partner-7",
        "partner_name": "Harbour Goods",
    }
    return Options(**(given | changes))


@cache
def _trust() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # slow to make, and not used


@contextmanager
def world(*, speed: float = 1e6, **switches: Any) -> Iterator[World]:
    """One of each, started and stopped; waits take next to nothing."""
    with listening() as service:
        told = options(service_url=service.url, speed=speed, stable_mint_switches=switches)
        with (
            Servers(told) as servers,
            httpx.Client(base_url=servers.stable_mint_url, verify=_trust()) as http,
        ):
            yield World(servers, http, service)


def eventually(what: Callable[[], bool], within_s: float = 5.0) -> None:
    """Fails unless `what` becomes true in time."""
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
