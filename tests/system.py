"""A whole service in one process for tests: real database, real signatures, providers played by scripts.

Nothing of the package is replaced: the scripts sit behind httpx transports, where the network would be.
"""

from __future__ import annotations

import base64
import json
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from sqlalchemy.engine import make_url

from checkout.app import Services, build
from checkout.config import Settings
from checkout.inbox import STABLE_MINT, Receipt
from checkout.paying.payments import NewPayment, PaymentAnswer
from checkout.rules.money import parse_amount
from checkout.store import ledger, moves, notifications, payments
from checkout.store.engine import Database
from checkout.store.records import PaymentRow, SessionRow, StoreRow
from checkout.store.schema import migrate

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CUSTOMER = "6f9b0b0e-5a53-4c3a-9a0a-3d6f0f6f2a11"
BANK = {
    "name": "Main",
    "stables_customer_id": CUSTOMER,
    "source": {"currency": "USDC", "network": "polygon"},
    "destination": {"currency": "EUR", "country": "DE", "network": "bank"},
    "bank": {
        "type": "bank", "account_holder_name": "Demo GmbH", "iban": "DE89370400440532013000",
        "bank_name": "Demo Bank", "bank_country": "DE", "currency": "EUR", "bic_code": "COBADEFFXXX",
    },
}  # fmt: skip


@cache
def key_pair(name: str) -> rsa.RSAPrivateKey:
    """One RSA key per name and test process; made here, not by the package."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(name: str) -> str:
    return (
        key_pair(name)
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def public_pem(name: str) -> str:
    return (
        key_pair(name)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def sign_event(body: bytes, timestamp: str, key: str = "mint") -> str:
    """As Stable Mint signs a webhook: Base64 RSA-SHA256 over ``<timestamp>,<body>``."""
    message = timestamp.encode() + b"," + body
    return base64.b64encode(key_pair(key).sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


@cache
def _data_key() -> str:
    return Fernet.generate_key().decode()


def environment(database_url: str, **changes: str) -> dict[str, str]:
    """A complete sandbox environment."""
    settings = {
        "CHECKOUT_MODE": "sandbox",
        "CHECKOUT_PUBLIC_URL": "http://127.0.0.1:8000",
        "CHECKOUT_DATABASE_URL": database_url,
        "CHECKOUT_SECRET_KEY": "s" * 48,
        "CHECKOUT_DATA_KEY": _data_key(),
        "STABLE_MINT_API_URL": "http://127.0.0.1:9001",
        "STABLE_MINT_PAGE_DOMAINS": "http://127.0.0.1:9001",
        "STABLE_MINT_API_KEY": "mint-key",
        "STABLE_MINT_API_SECRET": "mint-secret",
        "STABLE_MINT_PRIVATE_KEY": private_pem("partner"),
        "STABLE_MINT_WEBHOOK_PUBLIC_KEY": public_pem("mint"),
        "STABLES_API_URL": "http://127.0.0.1:9002",
        "STABLES_API_KEY": "sti_test_0123456789",
        "STABLES_WEBHOOK_SECRET": "whsec_" + base64.b64encode(b"k" * 32).decode(),
        "STABLES_FUNDING_WINDOW": "900",
    }
    return {**settings, **changes}


class Clock:
    """Time as the test says."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start

    @property
    def now(self) -> datetime:
        return self._now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self._now += timedelta(**duration)


class RealClock(Clock):
    """The machine's time, for systems that talk to a running simulator; it cannot be moved."""

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class MintScript:
    """Stable Mint behind a transport: answers sessions, remembers requests. ``next_answers`` come first."""

    clock: Clock
    requests: list[dict[str, Any]] = field(default_factory=list)
    next_answers: list[httpx.Response | Exception] = field(default_factory=list)
    life_s: int = 1800

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.requests.append(body)
        if self.next_answers:
            answer = self.next_answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return self.embedded(body) if request.url.path.startswith("/session/embedded") else self.opened()

    def embedded(self, asked: Mapping[str, Any], **changes: Any) -> httpx.Response:
        """A good embedded answer, with one bank saved."""
        ident = str(uuid.uuid4())
        amount = {"amount": asked["amount"]} if "amount" in asked else {}
        content = {
            "sessionId": ident, "currency": asked["currency"], "country": asked["userCountryCode"], **amount,
            "allowedPaymentMethods": ["OpenBanking", "ManualBankTransfer"], "savedBanks": [{"id": "bank-1"}],
            "paymentMethod": "OpenBanking", "expiresAt": int(self.clock.now.timestamp()) + self.life_s,
            "reference": ident[:9].upper(),
        }  # fmt: skip
        return httpx.Response(
            200, json={name: value for name, value in {**content, **changes}.items() if value is not ...}
        )

    def opened(self) -> httpx.Response:
        """A good hosted answer."""
        ident = str(uuid.uuid4())
        return httpx.Response(
            200,
            json={
                "url": f"http://127.0.0.1:9001/sessions/{ident}",
                "expiresAt": int(self.clock.now.timestamp()) + self.life_s,
                "reference": ident[:9].upper(),
            },
        )


@dataclass
class ShopScript:
    """The storefront's endpoint: keeps what it hears, answers what it is told to."""

    heard: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    status: int = 200

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.heard.append(json.loads(request.content))
        self.headers.append(dict(request.headers))
        return httpx.Response(self.status)


class System:
    """The service and the parties around it."""

    def __init__(self, services: Services, clock: Clock, mint: MintScript, shop: ShopScript, store: StoreRow) -> None:
        self.services = services
        self.clock = clock
        self.mint = mint
        self.shop = shop
        self.store = store
        self.database: Database = services.context.database
        self._worker = services.worker("test")

    def close(self) -> None:
        self.services.close()

    # --- the storefront ------------------------------------------------------------------------------------------

    def wanted(self, amount: str = "9.00", currency: str = "EUR", **changes: Any) -> NewPayment:
        values: dict[str, Any] = {
            "flow": "hosted",
            "amount": parse_amount(amount, currency),
            "currency": currency,
            "country": "DE",
            "order": f"order-{uuid.uuid4().hex[:8]}",
            "idempotency_key": uuid.uuid4().hex,
        }
        return NewPayment(**{**values, **changes})

    def pay(self, amount: str = "9.00", currency: str = "EUR", **changes: Any) -> PaymentAnswer:
        """Open a payment."""
        answer, _ = self.services.payments.open(self.store, self.wanted(amount, currency, **changes))
        return answer

    def payment(self, ident: str) -> PaymentRow:
        with self.database.read() as unit:
            row = payments.payment_by_id(unit, ident)
        assert row is not None
        return row

    def sessions(self, payment_id: str) -> list[SessionRow]:
        with self.database.read() as unit:
            return payments.sessions_of(unit, payment_id)

    # --- Stable Mint's webhooks ------------------------------------------------------------------------------------

    def event(self, session: SessionRow, kind: str, *, version: str = "v2", **fields: Any) -> bytes:
        """The body of a deposit event about a session: ``kind`` is created, initiated, … completed, failed."""
        content: dict[str, Any] = {
            "reference": session.reference,
            "amount": 9.0,
            "currency": "EUR",
            "customFields": {},
            "idempotencyKey": session.provider_key,
            "websiteReference": session.website_reference,
            "partnerName": "Demo",
            "paymentMethod": "bank_transfer",
            "sessionId": f"sid-{session.id}",
            **fields,
        }
        content = {name: value for name, value in content.items() if value is not ...}
        name = f"partner.customer.deposit.{kind}"
        if version == "v1":
            return json.dumps({"notificationType": name, **content}).encode()
        stamp = {"eventType": name, "timestamp": "2026-11-21T12:00:00Z"}
        return json.dumps({"eventId": str(uuid.uuid4()), "data": {**stamp, **content}}).encode()

    def deliver(self, body: bytes, *, key: str = "mint", at: datetime | None = None) -> Receipt:
        """Sign and deliver a webhook."""
        stamp = (at or self.clock.now).isoformat().replace("+00:00", "Z")
        headers = {"stablemint-timestamp": stamp, "stablemint-signature": sign_event(body, stamp, key)}
        return self.services.inbox.receive(STABLE_MINT, headers, body)

    def hear(self, session: SessionRow, *kinds: str, version: str = "v2", **fields: Any) -> None:
        """Deliver events about a session, and apply them."""
        for kind in kinds:
            assert self.deliver(self.event(session, kind, version=version, **fields)) is Receipt.STORED
            self.clock.advance(milliseconds=1)
        self.work()

    # --- the worker ------------------------------------------------------------------------------------------------

    def work(self, rounds: int = 200) -> None:
        """Let the worker do everything that is due now."""
        for _ in range(rounds):
            if self._worker.turn() == 0:
                return
        raise AssertionError("the worker never came to rest")

    # --- what can be seen ------------------------------------------------------------------------------------------

    def balances(self) -> dict[str, int]:
        """Every account that is not zero."""
        with self.database.read() as unit:
            rows = ledger.balances(unit)
        return {f"{row['book']}/{row['asset']}": row["balance"] for row in rows if row["balance"]}

    def cases(self, *, include_closed: bool = False) -> list[str]:
        with self.database.read() as unit:
            return sorted(one["kind"] for one in moves.list_cases(unit, include_closed=include_closed, limit=1000))

    def told(self, subject: str) -> list[str]:
        """Types of the notifications about a subject, in order."""
        with self.database.read() as unit:
            return [one.type for one in notifications.notifications_on(unit, subject)]


def migrate_once(database_url: str) -> None:
    """Give a database the newest schema, and let it go again, so that it can be copied."""
    database = Database(database_url)
    migrate(database, installation_id="ins_test", now=START)
    database.close()


@cache
def _schema() -> bytes:
    """A migrated SQLite database, byte for byte: migrating takes far longer than copying."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "schema.db"
        migrate_once(f"sqlite:///{path}")
        return path.read_bytes()


def _copy_schema(path: Path) -> None:
    if not path.exists():
        path.write_bytes(_schema())


def _settings(environ: Mapping[str, str]) -> Settings:
    """The settings, with the keys in them read once: checking an RSA key takes longer than most tests."""
    elsewhere = {**environ, "CHECKOUT_DATABASE_URL": "sqlite:///checkout.db"}
    return replace(_read(frozenset(elsewhere.items())), database_url=environ["CHECKOUT_DATABASE_URL"])


@cache
def _read(environ: frozenset[tuple[str, str]]) -> Settings:
    return Settings.from_env(dict(environ))


def make_system(
    database_url: str,
    *,
    stables: httpx.BaseTransport | None = None,
    clock: Clock | None = None,
    real_network: bool = False,
    settings: Mapping[str, str] | None = None,
    store: str = "Shop",
    **changes: str,
) -> System:
    """Build, migrate where that is not done, and make one store with its notification endpoint."""
    clock = clock or Clock()
    mint, shop = MintScript(clock), ShopScript()
    if database_url.startswith("sqlite"):
        _copy_schema(Path(make_url(database_url).database or ""))
    services = build(
        _settings(environment(database_url, **{**(settings or {}), **changes})),
        clock=clock,
        stable_mint_transport=None if real_network else httpx.MockTransport(mint),
        stables_transport=None if real_network else stables or httpx.MockTransport(lambda request: httpx.Response(503)),
        storefront_transport=httpx.MockTransport(shop),
    )
    if not database_url.startswith("sqlite"):
        migrate(services.context.database, installation_id="ins_test", now=clock())
    made = services.stores.create(store, ["https://shop.example"], who="tester")
    services.stores.set(made.id, {"notify_url": "https://shop.example/hooks"}, who="tester")
    services.stores.rule(
        made.id, currency="EUR", asset="USDC", network="polygon", evidence="recorded", settles_gross=False, who="tester"
    )
    return System(services, clock, mint, shop, services.stores.find(made.id))
