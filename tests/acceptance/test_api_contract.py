"""The running service against its own document: an outside judge (Schemathesis) reads it and tries to prove it wrong.

Real processes, real HTTP, the simulated provider behind it. The judge sends what the document allows and what it forbids, to
every operation, and follows ids from answers into further requests. It draws deterministically: each run sends the same.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from checkout.api_keys import SCOPES
from checkout.app import build
from checkout.commands.place import free_port
from checkout.config import Settings
from checkout.rules.allowances import PER_MINUTE_MAX
from checkout.rules.urls import RETURN_URLS
from checkout.store.schema import migrate
from tests.acceptance.running import Running, until
from tests.system import environment, private_pem

ORIGIN: Final = "https://shop.example"
#: Cases made by chance for each operation and phase; those made from the document's own limits come on top.
EXAMPLES: Final = 12
#: How often the judge takes an id or a value that exists here, instead of one made by chance.
KNOWN: Final = 0.6
TWINS: Final = 20
#: Beyond any run that goes well, on a machine that does other things too.
PATIENCE_S: Final = 300


class Service:
    """The service with its simulator, both as processes, and a store whose key may do everything."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        ports = [free_port() for _ in range(4)]
        self.url, mint, stables, shop = (f"http://127.0.0.1:{port}" for port in ports)
        self.environ = environment(
            database_url, CHECKOUT_PUBLIC_URL=self.url, STABLE_MINT_API_URL=mint, STABLE_MINT_PAGE_DOMAINS=mint,
            STABLES_API_URL=stables,
        )  # fmt: skip
        settings = Settings.from_env(self.environ)
        services = build(settings)
        try:
            migrate(services.context.database, installation_id="installation-test", now=services.context.clock())
            self.store = services.stores.create("Contract", [ORIGIN], who="tester").id
            services.stores.rule(
                self.store, currency="EUR", asset="USDC", network="polygon", evidence="recorded", settles_gross=False,
                who="tester",
            )  # fmt: skip
            made = services.api_keys.create(self.store, who="tester", scopes=list(SCOPES), per_minute=PER_MINUTE_MAX)
        finally:
            services.close()
        self.key = made.api_key
        (folder / "mint.pem").write_text(private_pem("mint"), encoding="utf-8")
        places = [
            "--stable-mint", mint.removeprefix("http://"), "--stables", stables.removeprefix("http://"),
            "--shop", shop.removeprefix("http://"),
        ]  # fmt: skip
        self._simulator = Running(
            folder, self.environ, "simulator", *places, "--speed", "300", "--signing-key", "mint.pem", "--json"
        )
        self._serve = Running(folder, self.environ, "serve", "--bind", self.url.removeprefix("http://"), "--json")
        self._simulator.document()
        self._serve.document()
        self.http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, trust_env=False, timeout=30
        )
        self.mint = httpx.Client(base_url=mint, trust_env=False, timeout=30)
        self._known: dict[str, list[str]] | None = None
        self._serve.until(self._answers)

    def _answers(self) -> bool:
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    # --- a storefront, and the shopper ---------------------------------------------------------------------------

    def ask(self, method: str, path: str, content: Any, *, key: str | None = None) -> httpx.Response:
        """One request under its key; sent again, as every client does, while the answer is 503."""
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        for _ in range(10):
            answer = self.http.request(method, path, json=content, headers=headers)
            if answer.status_code != 503:
                break
            time.sleep(float(answer.headers["Retry-After"]))
        return answer

    def open_managed(self) -> dict[str, Any]:
        """A payment of EUR 9.00 by a customer whom the shop manages: one that can be refunded."""
        ident = uuid.uuid4().hex
        content = {
            "flow": "hosted_partner", "amount": "9.00", "currency": "EUR", "country": "DE", "order": f"PP-{ident[:8]}",
            "customer": {"id": ident, "email": f"{ident}@shop.example"},
        }  # fmt: skip
        answer = self.ask("POST", "/v1/payments", content)
        assert answer.status_code == 201, answer.text
        opened: dict[str, Any] = answer.json()
        return opened

    def settled(self, payment: dict[str, Any], *, of: str = "deposit") -> str:
        """Pay it at the simulated provider, and wait; the deposit's reference, or the payment's id."""
        reference = payment["provider"]["reference"]
        self.mint.post(f"/_control/sessions/{reference}/pay", json={"outcome": "paid"}).raise_for_status()
        at = f"/v1/payments/{payment['id']}"
        until(lambda: self.http.get(at).json()["status"] == "settled", PATIENCE_S, lambda: self.http.get(at).text)
        return str(reference if of == "deposit" else payment["id"])

    # --- the judge -----------------------------------------------------------------------------------------------

    def judge(self, document: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Let the judge read the document and try the service; its report."""
        (self.folder / "schemathesis.toml").write_text(self._configuration(), encoding="utf-8")
        return subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")), "--config-file", "schemathesis.toml", "run", document,
                "-H", f"Authorization: Bearer {self.key}", "--checks", "all", "--mode", "all", "-n", str(EXAMPLES),
                "--generation-deterministic", "--continue-on-failure", "--no-color", *options,
            ],
            cwd=self.folder,
            env={**os.environ, "NO_PROXY": "*"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )  # fmt: skip

    def _configuration(self) -> str:
        """What the judge is told beside the document: ids that exist, and what a request may be refused for by name.

        That is more than a schema can say: an origin of the store, an amount that the sandbox takes, a deposit that is there.
        """
        if self._known is None:
            paid = [self.settled(self.open_managed(), of="payment") for _ in range(3)]
            refund = self.ask("POST", f"/v1/payments/{paid[0]}/refunds", {"amount": "1.00"}).json()["id"]
            link = {"flow": "hosted", "amount": "9.00", "currency": "EUR", "country": "DE", "order": "A-1"}
            self.ask("PUT", "/v1/customers/customer-17", {"email": "jo@shop.example", "country": "DE"})
            content = {"asset": "USDC", "network": "polygon", "amount": "9.71", "evidence": "advice 1"}
            deposits = [self.settled(self.open_managed()) for _ in range(2)]
            recorded = self.ask("POST", "/v1/settlement_records", {**content, "deposits": deposits[:1]}).json()["id"]
            self._known = {
                "path.payment_id": paid,
                "path.refund_id": [refund],
                "path.link_id": [self.ask("POST", "/v1/payment_links", link).json()["id"]],
                "path.customer_id": ["customer-17"],
                "path.record_id": [recorded],
                "body.deposits[*]": deposits,
                "body.amount": ["9.00", "1"],
                "body.currency": ["EUR"],
                "body.flow": ["hosted"],
                "body.country": ["DE"],
                "body.expires_at": [(datetime.now(UTC) + timedelta(days=30)).isoformat(timespec="seconds")],
                **{f"body.{name}": [f"{ORIGIN}/{name}"] for name in RETURN_URLS},
            }
        lines = ["[checks.positive_data_acceptance]", 'expected-statuses = ["2xx", "404", "409", "422"]', ""]
        for number, values in enumerate(self._known.values()):
            lines += [f"[dictionaries.known{number}]", f"values = {json.dumps(values)}", ""]
        lines.append("[parameters]")
        for number, name in enumerate(self._known):
            lines.append(f'"{name}" = {{ dictionary = "known{number}", probability = {KNOWN} }}')
        return "\n".join(lines) + "\n"

    def said(self, report: subprocess.CompletedProcess[str]) -> str:
        return report.stdout[-20_000:] + report.stderr[-2_000:] + self._serve.log[-5_000:]

    def close(self) -> None:
        self.http.close()
        self.mint.close()
        self._serve.clear()
        self._simulator.clear()


@pytest.fixture(
    scope="module", params=[pytest.param("sqlite"), pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One running service for each database, with something of every kind in it."""
    folder = tmp_path_factory.mktemp("contract")
    sqlite = request.param == "sqlite"
    made = Service(
        folder, f"sqlite:///{folder / 'checkout.db'}" if sqlite else request.getfixturevalue("postgresql_server")()
    )
    yield made
    made.close()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield method, path, operation


def example_of(document: dict[str, Any], operation_id: str) -> dict[str, Any]:
    """The request that the document shows for an operation."""
    (found,) = (one for _, _, one in operations(document) if one["operationId"] == operation_id)
    example: dict[str, Any] = found["requestBody"]["content"]["application/json"]["example"]
    return example


def test_the_request_that_the_document_shows_for_each_operation_is_taken(service: Service) -> None:
    document = service.http.get("/openapi.json").json()
    shown = {one["operationId"] for _, _, one in operations(document) if "requestBody" in one}
    soon = (datetime.now(UTC) + timedelta(days=30)).isoformat(timespec="seconds")  # an example's own year goes by
    deposit = service.settled(service.open_managed())
    refund = f"/v1/payments/{service.settled(service.open_managed(), of='payment')}/refunds"
    sent: dict[str, tuple[str, str, dict[str, Any]]] = {
        "open_payment": ("POST", "/v1/payments", {}),
        "create_link": ("POST", "/v1/payment_links", {"expires_at": soon}),
        "put_customer": ("PUT", "/v1/customers/customer-17", {}),
        "record_settlement": ("POST", "/v1/settlement_records", {"deposits": [deposit]}),
        "request_refund": ("POST", refund, {}),
        "give_refund_details": ("POST", f"{refund}/REFUND/details", {}),
    }
    assert set(sent) == shown
    made: dict[str, Any] = {}
    for name, (method, path, changes) in sent.items():
        path = path.replace("REFUND", made.get("request_refund", ""))
        answer = service.ask(method, path, {**example_of(document, name), **changes}, key=f"example-{name}")
        assert answer.status_code in (200, 201), f"{name}: {answer.text}"
        made[name] = answer.json()["id"]
        if "Location" in answer.headers:
            assert service.http.get(answer.headers["Location"]).json() == answer.json(), name
        again = service.ask(method, path, {**example_of(document, name), **changes}, key=f"example-{name}")
        assert (again.status_code, again.json()["id"]) == (200, made[name])


def test_twenty_equal_requests_at_several_processes_open_one_session(service: Service) -> None:
    ident = service.open_managed()["id"]
    before = len(service.mint.get("/_control/sessions").json())
    with ThreadPoolExecutor(TWINS) as pool:
        path = f"/v1/payments/{ident}/sessions"
        asked = [pool.submit(service.ask, "POST", path, None, key="twins") for _ in range(TWINS)]
    answers = [one.result() for one in asked]
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert len(service.mint.get("/_control/sessions").json()) == before + 1
    other = service.ask("POST", f"/v1/payments/{service.open_managed()['id']}/sessions", None, key="twins")
    assert (other.status_code, other.json()["type"]) == (409, "/docs#idempotency-key-reused")


def test_the_service_answers_as_its_document_says(service: Service) -> None:
    report = service.judge(f"{service.url}/openapi.json")
    assert report.returncode == 0, service.said(report)
    assert re.search(r"Selected: (\d+)/\1\n\s*Tested: \1\n", report.stdout), service.said(report)
    (cases,) = re.findall(r"(\d+) generated, (\d+) passed", report.stdout)
    assert cases[0] == cases[1]
    assert int(cases[0]) > 1_000


def test_the_judge_does_say_no(service: Service) -> None:
    """The same judge over a document that leaves out one answer and calls one field a number."""
    document = service.http.get("/openapi.json").json()
    del document["paths"]["/v1/payments"]["get"]["responses"]["422"]
    document["components"]["schemas"]["Link"]["properties"]["order"]["type"] = "integer"
    path = service.folder / "wrong.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    report = service.judge(
        str(path), "--url", service.url, "--include-operation-id", "list_payments", "--include-operation-id", "list_links",
        "--phases", "coverage,fuzzing",
    )  # fmt: skip
    assert report.returncode == 1
    assert "Undocumented status code" in report.stdout
    assert "Response violates schema" in report.stdout
