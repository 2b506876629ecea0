"""Every route with every wrong key. The routes are read from the OpenAPI document: a new one is asked here by itself."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from checkout.api_keys import SCOPES
from tests.edges.api_fixtures import Api, fresh_key, make_api, problem


@dataclass(frozen=True)
class Operation:
    """One operation of the document, as a client that reads nothing else would call it."""

    method: str
    path: str
    scope: str
    statuses: frozenset[int]
    body: Any
    examples: dict[str, str]  #: of the path's names

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Shop:
    """One store with one thing of every kind, and what can be asked of it."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.document: dict[str, Any] = api.client.get("/openapi.json").get_json()
        self.operations = list(self._operations())
        self.own = self._one_of_each()

    def _operations(self) -> Iterator[Operation]:
        for path, item in self.document["paths"].items():
            for method, found in item.items():
                if method == "parameters":
                    continue
                (needed,) = found["security"]
                (scope,) = needed["storeKey"]
                content = found.get("requestBody", {}).get("content", {}).get("application/json", {})
                named = [one for one in (*item.get("parameters", ()), *found["parameters"]) if one.get("in") == "path"]
                yield Operation(
                    method.upper(), path, scope, frozenset(map(int, found["responses"])), content.get("example"),
                    {one["name"]: str(one["example"]) for one in named},
                )  # fmt: skip

    def _one_of_each(self) -> dict[str, str]:
        """Ids of our own: a settled and recorded payment, a payment with a refund, a customer, a link."""
        api, key = self.api, self.api.key_of(*SCOPES)

        def made(path: str, body: dict[str, Any]) -> str:
            headers = api.headers(key, **{"Idempotency-Key": fresh_key()})
            answer = api.client.post(path, json=body, headers=headers)
            assert answer.status_code == 201, answer.text
            return str(answer.get_json()["id"])

        api.system.services.refund_resolving.rule("Shop", currency="EUR", limit=None, hosted_withdrawal=True, who="ann")
        recorded, refunded = (api.open().get_json()["id"] for _ in range(2))
        references = []
        for ident in (recorded, refunded):
            session = api.system.sessions(ident)[0]
            api.system.hear(session, "completed")
            references.append(str(session.reference))
        kept = api.client.put(
            "/v1/customers/c-1", json={"email": "jo@shop.example", "country": "DE"}, headers=api.headers(key)
        )
        assert kept.status_code == 201, kept.text
        link = {"flow": "hosted", "amount": "9.00", "currency": "EUR", "country": "DE", "order": "1"}
        evidence = {
            "asset": "USDC", "network": "polygon", "amount": "9.71", "deposits": references[:1], "evidence": "advice"
        }  # fmt: skip
        return {
            "payment_id": refunded,
            "refund_id": made(f"/v1/payments/{refunded}/refunds", {"amount": "4.00"}),
            "customer_id": "c-1",
            "link_id": made("/v1/payment_links", link),
            "record_id": made("/v1/settlement_records", evidence),
        }

    def call(
        self, operation: Operation, authorization: str | None, query: dict[str, str] | None = None
    ) -> TestResponse:
        """Ask for one of our own things by the document's example body, with this header or none."""
        path = operation.path
        for name, example in operation.examples.items():
            path = path.replace(f"{{{name}}}", quote(self.own.get(name, example), safe=""))
        headers = {} if authorization is None else {"Authorization": authorization}
        if operation.method != "GET":
            headers["Idempotency-Key"] = fresh_key()
        body = {} if operation.body is None else {"json": operation.body}
        return self.api.client.open(path, method=operation.method, headers=headers, query_string=query, **body)

    def rows(self) -> dict[str, list[str]]:
        """Everything stored, but for the keys' own use."""
        with self.api.system.database.read() as unit:
            names = unit.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
            return {
                name: [str(row) for row in unit.execute(text(f'SELECT * FROM "{name}"'))]  # noqa: S608 - our own names
                for name in names
                if name != "store_key"
            }

    def key(self, *scopes: str, **more: Any) -> str:
        return self.api.key_of(*scopes, **more)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    made = make_api(Path(tmp_path_factory.mktemp("keys")))
    yield Shop(made)
    made.system.close()


def ended_key(shop: Shop, after: timedelta | None) -> str:
    """A key that was good, and is revoked, or has come to its end."""
    made = shop.api.system.services.api_keys.create("Shop", who="ann", scopes=list(SCOPES))
    assert shop.api.system.services.api_keys.admit(made.api_key, scope="read")
    shop.api.system.services.api_keys.revoke(made.id, who="ann", after=after)
    if after is not None:
        shop.api.system.clock.advance(seconds=after.total_seconds())
    return made.api_key


#: What comes as Authorization, and words that the answer has to say.
UNKNOWN: dict[str, tuple[Callable[[Shop], str | None], str]] = {
    "no key": (lambda _: None, "Send a key"),
    "an empty header": (lambda _: "", "Send a key"),
    "no word after Bearer": (lambda _: "Bearer", "Send a key"),
    "another scheme": (lambda shop: f"Basic {shop.key(*SCOPES)}", "Send a key"),
    "the key alone": (lambda shop: shop.key(*SCOPES), "Send a key"),
    "two words": (lambda shop: f"Bearer {shop.key(*SCOPES)} {shop.key(*SCOPES)}", "Send a key"),
    "a key cut short": (lambda shop: f"Bearer {shop.key(*SCOPES)[:-1]}", "Send a key"),
    "a key in capitals": (lambda shop: f"Bearer {shop.key(*SCOPES).upper()}", "Send a key"),
    "a very long one": (lambda _: "Bearer sk_test_" + "x" * 8000, "Send a key"),
    "letters of elsewhere": (lambda _: "Bearer sk_test_\u00e9\u00e8", "Send a key"),
    "an unknown one": (lambda _: "Bearer sk_test_" + "x" * 43, "Send a key"),
    "a hash of a good one": (lambda shop: f"Bearer {_hash_of_any(shop)}", "Send a key"),
    "one of live mode": (lambda _: "Bearer sk_live_" + "x" * 43, "key of live mode"),
    "a revoked one": (lambda shop: f"Bearer {ended_key(shop, None)}", "revoked"),
    "one that has come to its end": (lambda shop: f"Bearer {ended_key(shop, timedelta(hours=1))}", "revoked"),
}


def _hash_of_any(shop: Shop) -> str:
    with shop.api.system.database.read() as unit:
        return str(unit.execute(text("SELECT key_hash FROM store_key LIMIT 1")).scalar_one())


def test_every_route_below_v1_is_in_the_document_and_nothing_else_asks_for_a_key(shop: Shop) -> None:
    rules = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in shop.api.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = {(one.method, one.path) for one in shop.operations}
    assert {one for one in rules if one[1].startswith("/v1")} == documented
    assert documented <= rules


def scope_by_rule(operation: Operation) -> str:
    """What an operation has to need, said once more: evidence is the treasury's, reading is reading, refunds are apart."""
    if operation.path.startswith("/v1/settlement_records"):
        return "treasury"
    if operation.method == "GET":
        return "read"
    return "refunds" if "/refunds" in operation.path else "write"


def test_every_operation_names_its_scope_and_its_refusals(shop: Shop) -> None:
    for operation in shop.operations:
        assert operation.scope == scope_by_rule(operation), operation
        assert {401, 403, 429} <= operation.statuses, operation
        responses = shop.document["paths"][operation.path][operation.method.lower()]["responses"]
        (shown,) = responses["403"]["content"]["application/problem+json"]["examples"].values()
        assert f"`{operation.scope}`" in shown["value"]["detail"]
        assert "Retry-After" in responses["429"]["headers"]


@pytest.mark.parametrize("wrong", UNKNOWN)
def test_what_is_no_key_in_force_is_401_and_does_nothing(shop: Shop, wrong: str) -> None:
    make, words = UNKNOWN[wrong]
    authorization = make(shop)
    before = shop.rows()
    for operation in shop.operations:
        with capture_logs() as lines:
            answer = shop.call(operation, authorization)
        found = problem(answer, 401, "not-authenticated")
        assert words in found["detail"], (operation, found)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        if authorization and len(authorization) > len("Bearer"):
            assert authorization.split()[-1] not in f"{answer.text}{answer.headers}{lines}", operation
    assert shop.rows() == before


def test_a_good_key_in_the_address_opens_nothing_and_is_to_be_revoked(shop: Shop) -> None:
    key = shop.key(*SCOPES)
    before = shop.rows()
    for operation in shop.operations:
        for name in ("api_key", "key", "access_token"):
            with capture_logs() as lines:
                answer = shop.call(operation, None, {name: key})
            found = problem(answer, 401, "not-authenticated")
            assert "address" in found["detail"]
            assert "revoke" in found["detail"]
            assert key not in f"{answer.text}{answer.headers}{lines}"
    assert shop.rows() == before


@pytest.mark.parametrize(
    "has", [*([scope] for scope in SCOPES), *([one for one in SCOPES if one != no] for no in SCOPES)]
)
def test_without_its_scope_every_route_is_403_and_names_it(shop: Shop, has: list[str]) -> None:
    key = shop.key(*has)
    before = shop.rows()
    asked = [one for one in shop.operations if one.scope not in has]
    assert asked
    for operation in asked:
        found = problem(shop.call(operation, f"Bearer {key}"), 403, "wrong-scope")
        assert f"`{operation.scope}`" in found["detail"], operation
    assert shop.rows() == before


def test_over_its_limit_every_route_is_429_and_says_when(shop: Shop) -> None:
    key = shop.key(*SCOPES, per_minute=1)
    assert shop.api.client.get("/v1/payments", headers=shop.api.headers(key)).status_code == 200
    before = shop.rows()
    for operation in shop.operations:
        answer = shop.call(operation, f"Bearer {key}")
        problem(answer, 429, "too-many-requests")
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert shop.rows() == before
    shop.api.system.clock.advance(seconds=int(answer.headers["Retry-After"]))
    assert shop.api.client.get("/v1/payments", headers=shop.api.headers(key)).status_code == 200


def test_a_used_up_key_limits_no_webhook_and_no_page(shop: Shop) -> None:
    api = shop.api
    key = shop.key(per_minute=1)
    opened = api.client.post(
        "/v1/payments", json={"flow": "hosted", "amount": "9.00", "currency": "EUR", "country": "DE", "order": "1"},
        headers=api.headers(key, **{"Idempotency-Key": fresh_key()}),
    )  # fmt: skip
    assert opened.status_code == 201, opened.text
    assert api.client.get("/v1/payments", headers=api.headers(key)).status_code == 429
    session = api.system.sessions(opened.get_json()["id"])[0]
    page = opened.get_json()["checkout_url"].removeprefix("http://127.0.0.1:8000")
    for _ in range(40):  # all from one address
        assert api.deliver(api.system.event(session, "initiated")).status_code == 200
        assert api.client.get(page).status_code == 200
        assert api.client.get("/healthz").status_code == 200
        assert api.client.get("/v1/payments", headers=api.headers(key)).status_code == 429


def test_another_stores_key_finds_nothing_of_ours_and_changes_nothing(shop: Shop) -> None:
    services = shop.api.system.services
    ours = {ident for ident in shop.own.values() if "_" in ident} | {shop.api.system.store.id}
    before = shop.rows()
    for operation in shop.operations:
        name = f"Other {uuid.uuid4().hex}"
        other = services.stores.create(name, ["https://other.example"], who="ann")
        key = shop.key(*SCOPES, store=other.id)
        answer = shop.call(operation, f"Bearer {key}")
        assert answer.status_code in operation.statuses, (operation, answer.text)
        # its own customer of that id is another: a shop names its customers as it likes
        makes_its_own = operation.method == "PUT" or not operation.examples
        assert answer.status_code == 404 or makes_its_own, (operation, answer.text)
        assert not [ident for ident in ours if ident in answer.text], operation
        if operation.method == "GET" and not operation.examples:
            assert answer.get_json()["data"] == []
    after = shop.rows()
    # each row of ours is still there as it was; what is new is theirs
    assert {table: [row for row in rows if row not in after[table]] for table, rows in before.items()} == {
        table: [] for table in before
    }


def test_the_right_key_is_let_in_everywhere(shop: Shop) -> None:
    """Last, because it changes things: were the calls above wrong in themselves, they would prove nothing."""
    for operation in sorted(shop.operations, key=lambda one: one.method == "DELETE"):
        answer = shop.call(operation, f"bearer   {shop.key(operation.scope)} ")
        assert answer.status_code not in (401, 403, 404, 429), (operation, answer.text)
        assert answer.status_code < 500
        assert answer.status_code in operation.statuses
