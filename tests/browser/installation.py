"""One installation as a merchant runs it: service with worker, both simulators and the demo shop, as real processes.

What tests believe about money comes from here: the public API's answers, never a page's word.
"""

from __future__ import annotations

import json
import os
import struct
import threading
import uuid
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import httpx
from werkzeug.serving import make_server

from checkout.app import build, create_app
from checkout.commands.place import free_port
from checkout.config import Settings
from tests.acceptance.running import Running, until
from tests.system import environment

#: Everything a provider waits for is over in about a second.
PROVIDER_SPEED: Final = 100
#: Our own clock is faster: it lets hours go by before it calls a payment expired, and these are some seconds.
SPEED: Final = 3000
PLAIN_STORE: Final = "Paper Moon"
#: A colour that nobody could read on white, unless our pages see to it.
COLOUR: Final = "#ffd94a"
#: The machine may be doing other things too.
PATIENCE_S: Final = float(os.environ.get("TEST_PATIENCE_S", "30"))


class Storefront:
    """A store's server: what it asks our public API, and what it is answered."""

    def __init__(self, http: httpx.Client, url: str, ident: str, key: str) -> None:
        self._http, self._url, self.id, self._key = http, url, ident, key

    def ask(self, method: str, path: str, content: Any = None) -> Any:
        """Send one request; the answer's content."""
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": uuid.uuid4().hex}
        answer = self._http.request(method, f"{self._url}/v1/{path}", json=content, headers=headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def open(self, **fields: Any) -> dict[str, Any]:
        """A payment of EUR 9.00 for a new order, hosted unless said otherwise."""
        order = f"ORDER-{uuid.uuid4().hex[:8].upper()}"
        body = {"flow": "hosted", "amount": "9.00", "currency": "EUR", "country": "DE", "order": order, **fields}
        opened: dict[str, Any] = self.ask("POST", "payments", body)
        return opened

    def open_embedded(self, customer: str | None = None, **fields: Any) -> dict[str, Any]:
        """A payment in the widget, by a customer who is new unless named."""
        ident = customer or f"customer-{uuid.uuid4().hex[:8]}"
        known = {"id": ident, "email": f"{ident}@example.com"}
        return self.open(flow="embedded", customer=known, **fields)

    def payment(self, ident: str) -> dict[str, Any]:
        """The payment as our API shows it now."""
        found: dict[str, Any] = self.ask("GET", f"payments/{ident}")
        return found

    def payments_of(self, order: str) -> list[dict[str, Any]]:
        """Every payment of one order."""
        found: dict[str, Any] = self.ask("GET", f"payments?order={order}")
        return list(found["data"])

    def until_status(self, ident: str, *wanted: str) -> dict[str, Any]:
        """Wait until the payment stands like that; the payment."""
        until(lambda: self.payment(ident)["status"] in wanted, PATIENCE_S, lambda: str(self.payment(ident)))
        return self.payment(ident)

    def until_anomaly(self, ident: str, wanted: str) -> dict[str, Any]:
        """Wait until the payment's anomaly has that name; the payment."""
        until(lambda: self.payment(ident)["anomaly"] == wanted, PATIENCE_S, lambda: str(self.payment(ident)))
        return self.payment(ident)


class Installation:
    """Starts everything once; hands out addresses, two storefronts and the provider's control plane.

    ``store`` is the demo shop's, with addresses to come back to; ``plain_store`` has none, but a look of its own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ends = ExitStack()
        self._running: list[Running] = []
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        ports = [free_port() for _ in range(4)]
        self.url, self.stable_mint_url, stables_url, self.shop_url = (f"http://127.0.0.1:{port}" for port in ports)
        self._environ = {
            "CHECKOUT_PUBLIC_URL": self.url,
            "CHECKOUT_SPEED": str(SPEED),
            "STABLE_MINT_API_URL": self.stable_mint_url,
            "STABLES_API_URL": stables_url,
        }
        self.http = self._ends.enter_context(httpx.Client(trust_env=False, timeout=PATIENCE_S))
        self.command("init")
        _, mint, stables, shop = ports
        places = [
            "--stable-mint",
            f"127.0.0.1:{mint}",
            "--stables",
            f"127.0.0.1:{stables}",
            "--shop",
            f"127.0.0.1:{shop}",
        ]
        simulator = self._start("simulator", *places, "--speed", str(PROVIDER_SPEED), "--json")
        service = self._start("serve", "--bind", f"127.0.0.1:{ports[0]}", "--json")
        ident = simulator.document()["store"]
        with ThreadPoolExecutor() as pool:
            demo = pool.submit(self.command, "stores", "key", ident)
            plain = pool.submit(self._create_plain_store)
            service.document()
            self.store = Storefront(self.http, self.url, ident, demo.result()["api_key"])
            self.plain_store = Storefront(self.http, self.url, plain.result()["id"], plain.result()["api_key"])
        service.until(self._is_ready, PATIENCE_S)

    @cached_property
    def url_without_database(self) -> str:
        """Where a service like this one answers whose database is gone."""
        nowhere = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/gone"
        services = build(Settings.from_env(environment(nowhere)))
        server = make_server("127.0.0.1", 0, create_app(services), threaded=True)
        answering = threading.Thread(target=server.serve_forever)
        answering.start()
        for step in (services.close, server.server_close, answering.join, server.shutdown):  # the last one first
            self._ends.callback(step)
        return f"http://127.0.0.1:{server.port}"

    def _create_plain_store(self) -> Any:
        made = self.command("stores", "create", PLAIN_STORE, "--origin", "https://paper-moon.example")
        (self.folder / "logo.png").write_bytes(a_logo())
        self.command("stores", "set", made["id"], "--colour", COLOUR, "--logo", "logo.png")
        return made

    def _is_ready(self) -> bool:
        try:
            return self.http.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        self._ends.close()

    def _start(self, *words: str) -> Running:
        one = Running(self.folder, self._environ, *words)
        self._ends.callback(one.clear)
        self._running.append(one)
        return one

    def command(self, *words: str) -> Any:
        """One command to its end; its document."""
        one = Running(self.folder, self._environ, *words, "--json")
        code = one.process.wait(PATIENCE_S * 2)
        assert code == 0, f"{' '.join(words[:2])}: {one.log}"
        return json.loads(one.out)

    def complaints(self) -> list[str]:
        """Everything the processes have logged as an error so far."""
        lines = [line for one in self._running for line in one.log.splitlines()]
        return [line for line in lines if '"level": "error"' in line or line.startswith("Traceback")]

    def deposits(self, payment: str) -> list[dict[str, Any]]:
        """Every deposit of a payment, as an operator sees it."""
        return list(self.command("payments", "show", payment)["deposits"])

    def until_paid_order(self, order: str) -> dict[str, Any]:
        """Wait until the demo shop calls this order paid; the order."""

        def read() -> dict[str, Any]:
            found: dict[str, Any] = self.http.get(f"{self.shop_url}/orders/{order}.json").json()
            return found

        until(lambda: bool(read()["paid"]), PATIENCE_S, lambda: str(read()))
        return read()

    # --- the provider ----------------------------------------------------------------------------------------------

    def mint(self, path: str, content: Any = None) -> Any:
        """Post to the simulated Stable Mint's control plane, or read it when there is no content."""
        url = f"{self.stable_mint_url}/_control/{path}"
        answer = self.http.get(url) if content is None else self.http.post(url, json=content)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()

    @contextmanager
    def switched(self, **positions: Any) -> Iterator[None]:
        """Stable Mint behaves like that inside the block."""
        report = self.mint("switches")
        before = {name: report[name]["value"] for name in positions}
        self.mint("switches", positions)
        try:
            yield
        finally:
            self.mint("switches", before)


def a_logo(side: int = 64) -> bytes:
    """A PNG of a yellow moon on a dark square."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    def pixel(x: int, y: int) -> int:
        full, shade = (x - 32) ** 2 + (y - 32) ** 2 < 400, (x - 40) ** 2 + (y - 26) ** 2 < 260
        return int(full and not shade)

    rows = b"".join(b"\0" + bytes(pixel(x, y) for x in range(side)) for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 3, 0, 0, 0)
    palette = bytes((38, 42, 71, 255, 217, 74))
    parts = chunk(b"IHDR", header), chunk(b"PLTE", palette), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
