"""The same order opened twice, and one set of provider news told to both: the parts of the order-independence proof.

A plan is pure data: which sessions there are, how their opening went, which deposits come and which events tell of them.
A twin is one payment on which a plan is played; two twins of one plan must end alike, whatever order each heard it in.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlalchemy import select

from checkout.app import build
from checkout.config import Settings
from checkout.inbox import STABLE_MINT
from checkout.store import ledger, moves, notifications, payments
from checkout.store.schema import migrate
from checkout.store.tables import event as event_table
from tests.system import Clock, MintScript, ShopScript, System, environment, sign_event

OURS = "0x52908400098527886e0f7030069857d2e4169ee7"
THEIRS = "0x8617e340b3d01fa5f11f306f4090fd50e238070d"

#: How the opening of a session goes: answered at once, or the first answer is lost and the replay gets this.
ANSWERED, REPLAYED, REFUSED, NO_URL = "answered", "replayed", "refused", "no_url"


class ForgetfulMint(MintScript):
    """Stable Mint that knows every key it was asked under; ``stories`` says how the next new keys are answered."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.stories: list[str] = []
        self._known: dict[str, tuple[str, dict[str, Any]]] = {}

    def reference_of(self, key: str) -> str:
        """The reference the provider gave a session, whether or not we heard of it."""
        return str(self._known[key][1]["reference"])

    def __call__(self, request: httpx.Request) -> httpx.Response:
        key = json.loads(request.content)["idempotencyKey"]
        known = self._known.get(key)
        if known is None:
            story = self.stories.pop(0) if self.stories else ANSWERED
            ident = str(uuid.uuid4())
            answer = {
                "url": f"http://127.0.0.1:9001/sessions/{ident}",
                "expiresAt": int(self.clock.now.timestamp()) + self.life_s,
                "reference": ident,
            }
            self._known[key] = (story, answer)
            if story != ANSWERED:
                raise httpx.ReadTimeout("no answer", request=request)
            return httpx.Response(200, json=answer)
        story, answer = known
        if story == REFUSED:
            return httpx.Response(409, json={"message": "this key is known"})
        return httpx.Response(200, json={**answer, "url": None} if story == NO_URL else answer)


def world(database_url: str) -> System:
    """A service whose store names a destination address and has no notification endpoint: messages are rows."""
    clock = Clock()
    mint, shop = ForgetfulMint(clock), ShopScript()
    services = build(
        Settings.from_env(environment(database_url)),
        clock=clock,
        stable_mint_transport=httpx.MockTransport(mint),
        stables_transport=httpx.MockTransport(lambda request: httpx.Response(503)),
        storefront_transport=httpx.MockTransport(shop),
    )
    migrate(services.context.database, installation_id="ins_test", now=clock())
    made = services.stores.create("Shop", ["https://shop.example"], who="tester")
    services.stores.set(made.id, {"destination_address": OURS}, who="tester")
    return System(services, clock, mint, shop, services.stores.find(made.id))


@dataclass(frozen=True, slots=True)
class News:
    """One event: its word in its version, which identifiers it carries, and where it says the money goes."""

    word: str
    version: str
    names: frozenset[str]  #: of ``reference``, ``session`` and ``ours``
    destination: str | None = None  #: V1 ``created`` alone carries it: ours, theirs, another letter case, Customer

    def __repr__(self) -> str:
        goes = f" to {self.destination}" if self.destination else ""
        return f"{self.version} {self.word} by {'+'.join(sorted(self.names))}{goes}"


@dataclass(frozen=True, slots=True)
class Deposit:
    """One receipt attempt: on the first or second session, under its own reference (0) or a new one, with its news."""

    session: int
    reference: int
    amount: str
    currency: str
    news: tuple[News, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that happens to a payment, but for the order of it."""

    openings: tuple[str, ...]  #: one or two sessions
    cancelled: bool
    deposits: tuple[Deposit, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """Bytes and headers as they once arrived."""

    body: bytes
    headers: Mapping[str, str]


@dataclass
class Twin:
    """One payment of a plan, the bytes of its events, and what of them has been delivered."""

    system: System
    payment_id: str
    bodies: list[bytes]
    waiting: list[int]
    delivered: list[Delivery] = field(default_factory=list)
    told: list[int] = field(default_factory=list)

    def deliver(self, pick: int) -> None:
        """Deliver one of the events that have not come yet."""
        index = self.waiting.pop(pick % len(self.waiting))
        self.told.append(index)
        self._send(self.bodies[index])

    def repeat(self, pick: int) -> None:
        """The very same delivery again: same bytes, same signature."""
        known = self.delivered[pick % len(self.delivered)]
        self.system.services.inbox.receive(STABLE_MINT, known.headers, known.body)

    def retry(self, pick: int) -> None:
        """The sender's retry: same bytes, a fresh timestamp and signature."""
        self._send(self.bodies[self.told[pick % len(self.told)]])

    def _send(self, body: bytes) -> None:
        self.system.clock.advance(milliseconds=1)
        stamp = self.system.clock.now.isoformat()
        headers = {"stablemint-timestamp": stamp, "stablemint-signature": sign_event(body, stamp)}
        self.delivered.append(Delivery(body, headers))
        self.system.services.inbox.receive(STABLE_MINT, headers, body)


def play(system: System, plan: Plan) -> Twin:
    """Open the payment and its sessions as the plan says, and write its events."""
    mint = system.mint
    assert isinstance(mint, ForgetfulMint)
    lost_first = len(plan.openings) == 2 and plan.openings[0] != ANSWERED
    mint.stories = list(plan.openings)
    payment_id = system.pay().payment.id
    if lost_first:
        system.clock.advance(seconds=6)  # the first session's replay; its successor is the second
        system.work()
    elif len(plan.openings) == 2:
        system.services.payments.fresh_session(system.store.id, payment_id)
    mint.stories = []
    if plan.cancelled:
        system.services.payments.cancel(system.store.id, payment_id, who="tester")
    sessions = system.sessions(payment_id)
    bodies = []
    for deposit in plan.deposits:
        session = sessions[deposit.session]
        own = mint.reference_of(session.provider_key)
        reference = own if deposit.reference == 0 else f"{own}-{deposit.reference}"
        for news in deposit.news:
            bodies.append(
                _body(news, deposit, reference, f"sid-{session.id}", session.website_reference, session.provider_key)
            )
    return Twin(system, payment_id, bodies, list(range(len(bodies))))


def _body(news: News, deposit: Deposit, reference: str, session_id: str, website: str, key: str) -> bytes:
    names: dict[str, dict[str, str]] = {
        "reference": {"reference": reference},
        "session": {"sessionId": session_id},
        "ours": {"websiteReference": website, "idempotencyKey": key},
    }
    content: dict[str, Any] = {"currency": deposit.currency, "partnerName": "Demo", "customFields": {}}
    for part in sorted(news.names):
        content |= names[part]
    if news.destination is not None:
        content["blockchainDestinationType"] = "Customer" if news.destination == "Customer" else "Partner"
        content["blockchainDestinationAddress"] = OURS if news.destination == "Customer" else news.destination
    # JSON numbers are written by hand, so that 10.50 and 1.05e1 reach the wire as they are
    amount = f', "amount": {deposit.amount}}}'
    name = f"partner.customer.deposit.{news.word}"
    if news.version == "v1":
        return (json.dumps({"notificationType": name, **content})[:-1] + amount).encode()
    data = json.dumps({"eventType": name, "timestamp": "2026-11-21T12:00:00Z", **content})[:-1] + amount
    return f'{{"eventId": "{uuid.uuid4()}", "data": {data}}}'.encode()


def finish(system: System) -> None:
    """Let everything come to rest: replays of sessions, then the grace after which a failure is told."""
    system.work()
    system.clock.advance(seconds=10)
    system.work()
    system.clock.advance(seconds=125)
    system.work()


def standing(twin: Twin) -> dict[str, Any]:
    """What must be equal for equal sets of news: everything but which of two equal deposits is the duplicate."""
    system = twin.system
    payment = system.payment(twin.payment_id)
    with system.database.read() as unit:
        deposits = payments.deposits_of(unit, payment.id)
        postings = [row for one in deposits for row in ledger.postings_of(unit, one.id)]
        cases = sorted(one["kind"] for one in moves.cases_on(unit, payment.id) if one["closed_at"] is None)
        messages = notifications.notifications_on(unit, payment.id)
        found = {
            str(row.body_hash): str(row.state)
            for row in unit.execute(select(event_table.c.body_hash, event_table.c.state))
        }
    last = json.loads(messages[-1].body) if messages else None
    return {
        "status": payment.status,
        "anomalies": payment.anomaly_list,
        "counted": payment.counted_deposit_id is not None,
        "balances": _balances(postings),
        "cases": cases,
        "last notification": last and (last["type"], _state(last["data"])),
        "sessions": [one.state for one in system.sessions(payment.id)],
        "deposits": sorted((one.stage or "", one.failed, one.foreign, one.late, str(one.money)) for one in deposits),
        "parked": [found[_hash(body)] for body in twin.bodies if found[_hash(body)] not in ("applied", "ignored")],
        "sequences": [one.sequence for one in messages] == list(range(1, len(messages) + 1)),
    }


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _state(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in ("id", "order")}


def _balances(postings: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Per account, counted here and not by the package."""
    totals: dict[str, int] = {}
    for row in postings:
        for side, sign in (("debit", 1), ("credit", -1)):
            book = row[side].split("/", 1)[1]
            totals[book] = totals.get(book, 0) + sign * row["amount_minor"]
    return {book: minor for book, minor in sorted(totals.items()) if minor}
