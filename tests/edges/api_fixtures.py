"""A storefront that talks HTTP to the whole service: real routes, real SQLite file, Stable Mint behind a transport."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from checkout.api_keys import STOREFRONT
from checkout.app import create_app
from checkout.rules.allowances import PER_MINUTE_MAX
from checkout.store.tables import payment
from tests.system import System, make_system, sign_event

PROBLEM = "application/problem+json"
GOOD: dict[str, Any] = {"flow": "hosted", "amount": "9.00", "currency": "EUR", "country": "DE", "order": "PP-1042"}


class Api:
    """One store's client, and what a test asks about the service behind it."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.app: Flask = create_app(system.services)
        self.client: FlaskClient = self.app.test_client()
        self.key = self.key_of()

    def key_of(self, *scopes: str, store: str | None = None, per_minute: int = PER_MINUTE_MAX) -> str:
        """Another key, by default one that any shop has, of our store, and never over its limit: the clock stands still."""
        keys = self.system.services.api_keys
        made = keys.create(
            store or self.system.store.id, who="tester", scopes=scopes or STOREFRONT, per_minute=per_minute
        )
        return made.api_key

    def headers(self, key: str | None = None, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key or self.key}", **more}

    def open(self, idempotency_key: str | None = None, /, **changes: Any) -> TestResponse:
        """POST /v1/payments with a good body but for the changes; a change to ``...`` leaves the field out."""
        body = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
        return self.send(json.dumps(body), idempotency_key=idempotency_key)

    def send(self, body: str | bytes, *, idempotency_key: str | None = None, **headers: str) -> TestResponse:
        """POST exactly these bytes."""
        sent = self.headers(**{"Idempotency-Key": idempotency_key or fresh_key(), **headers})
        return self.client.post(
            "/v1/payments", data=body, headers=sent, content_type=headers.get("Content-Type", "application/json")
        )

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, headers=self.headers(**headers))

    def post(self, path: str, *, idempotency_key: str | None = None, **options: Any) -> TestResponse:
        """POST under a key of its own, or the given one."""
        headers = self.headers(**{"Idempotency-Key": idempotency_key or fresh_key()})
        return self.client.post(path, headers=headers, **options)

    def deliver(self, body: bytes, *, key: str = "mint", path: str = "/webhooks/stable-mint") -> TestResponse:
        """A webhook of Stable Mint as its server sends it."""
        stamp = self.system.clock.now.isoformat().replace("+00:00", "Z")
        headers = {"StableMint-Timestamp": stamp, "StableMint-Signature": sign_event(body, stamp, key)}
        return self.client.post(path, data=body, headers=headers, content_type="application/json")

    def stored(self) -> int:
        """How many payments there are."""
        with self.system.database.read() as unit:
            return int(unit.execute(select(func.count()).select_from(payment)).scalar_one())


def problem(response: TestResponse, status: int, kind: str) -> Mapping[str, Any]:
    """Check that the answer is a problem in its one form, of this kind; its body."""
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == PROBLEM
    found: dict[str, Any] = json.loads(response.data)
    assert found["type"] == f"/docs#{kind}"
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    assert found["request_id"] == response.headers["X-Request-Id"]
    assert all(set(one) == {"field", "message"} for one in found["errors"])
    return found


def named(found: Mapping[str, Any]) -> dict[str, str]:
    """The bad fields of a problem and what is said of each."""
    reasons: dict[str, list[str]] = {}
    for one in found["errors"]:
        reasons.setdefault(one["field"], []).append(one["message"])
    return {name: "; ".join(said) for name, said in reasons.items()}


def fresh_key() -> str:
    return uuid.uuid4().hex


def make_api(folder: Path, **changes: Any) -> Api:
    """A whole service on a SQLite file in the folder; ``changes`` are of its environment."""
    return Api(make_system(f"sqlite:///{folder / 'checkout.db'}", **changes))


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    made = make_api(tmp_path)
    yield made
    made.system.close()


@pytest.fixture(scope="module")
def shared_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One service for a whole module, for tests that leave it as it was or do not mind each other."""
    made = make_api(tmp_path_factory.mktemp("api"))
    yield made
    made.system.close()
