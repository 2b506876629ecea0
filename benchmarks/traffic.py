"""The requests of a run and the client that sends them: the very same bytes to the floor and to the service."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


@dataclass(frozen=True, slots=True)
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


class Traffic:
    """Makes requests, each of them once: no Idempotency-Key and no event id comes twice."""

    def __init__(self, api_key: str, webhook_private_pem: str) -> None:
        self._api_key = api_key
        key = serialization.load_pem_private_key(webhook_private_pem.encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key

    def session(self) -> Request:
        """A storefront's create-session."""
        ident = uuid.uuid4().hex
        body = {
            "flow": "hosted", "amount": "9.00", "currency": "EUR", "country": "DE", "order": f"order-{ident[:12]}",
            "success_url": "https://shop.example/thanks", "exit_url": "https://shop.example/basket",
            "metadata": {"basket": ident[12:24]},
        }  # fmt: skip
        headers = {
            "Authorization": f"Bearer {self._api_key}", "Idempotency-Key": ident, "Content-Type": "application/json",
        }  # fmt: skip
        return Request("/v1/payments", headers, json.dumps(body).encode())

    def webhook(self) -> Request:
        """A signed V2 event of Stable Mint."""
        ident = str(uuid.uuid4())
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        data = {
            "eventType": "partner.customer.deposit.completed", "timestamp": stamp, "amount": 9.5, "currency": "EUR",
            "customFields": {"order": "order-7"}, "customerEmail": "shopper@example.com", "customerId": ident,
            "endToEndId": uuid.uuid4().hex, "idempotencyKey": ident, "partnerName": "Demo Partner",
            "paymentCountryCode": "DE", "paymentMethod": "bank_transfer", "reference": ident[:9].upper(),
            "sessionId": ident, "websiteReference": str(uuid.uuid4()),
        }  # fmt: skip
        body = json.dumps({"eventId": str(uuid.uuid4()), "data": data}).encode()
        signature = self._key.sign(stamp.encode() + b"," + body, padding.PKCS1v15(), hashes.SHA256())
        headers = {
            "StableMint-Timestamp": stamp, "StableMint-Signature": base64.b64encode(signature).decode(),
            "Content-Type": "application/json",
        }  # fmt: skip
        return Request("/webhooks/stable-mint", headers, body)


class Client:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, request: Request) -> float:
        """Send and read the whole answer; the seconds it took. RuntimeError for anything but success."""
        begun = time.perf_counter()
        self._connection.request("POST", request.path, request.body, request.headers)
        answer = self._connection.getresponse()
        content = answer.read()
        taken = time.perf_counter() - begun
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{request.path} answered {answer.status}: {content[:500]!r}")
        return taken

    def close(self) -> None:
        self._connection.close()


def send_all(port: int, requests: Sequence[Request]) -> list[float]:
    """One after the other on one connection; the seconds each took."""
    client = Client(port)
    try:
        return [client.send(request) for request in requests]
    finally:
        client.close()


def send_at_once(port: int, make: Callable[[], Request], *, clients: int, each: int) -> list[float]:
    """Several clients side by side, ``each`` requests of each; the seconds every one took."""
    taken: list[float] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            taken.extend(send_all(port, [make() for _ in range(each)]))
        except BaseException as error:  # it is raised again below, in the thread that asked
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return taken
