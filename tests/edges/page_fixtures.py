"""The pages over use cases that a test fills in: the views are the contract between the two."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from flask import Flask
from flask.testing import FlaskClient

from checkout.paying.links import LinkView
from checkout.paying.shopper import EmbedView, PayView, ReturnView
from checkout.rules.money import Money
from checkout.store.records import StoreRow
from checkout.web import embed, language, links, looks, pages, shopper
from checkout.web.language import Languages

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "templates" / "static"
TOKEN = "pT0k3n_-aaaaaaaaaaaaaa"
STATUSES = (
    "created", "open", "initiated", "submitted", "accepted", "settled", "failed", "expired", "cancelled",
)  # fmt: skip
PAID = ("accepted", "settled")
ENDED = ("failed", "expired", "cancelled")
OUTCOMES = ("success", "exit", "error", "support")
SHOP = "https://shop.test"


def store_row(**changes: Any) -> StoreRow:
    """A store with no look of its own, but for the changes."""
    row = StoreRow(
        id="sto_01jexample", name="Paper & Post", origins=f'["{SHOP}"]', success_url=None, exit_url=None,
        error_url=None, support_url=None, destination_address=None, colour=None, logo_digest=None,
    )  # fmt: skip
    return replace(row, **changes)


def pay_view(**changes: Any) -> PayView:
    """A payment that can be paid, but for the changes."""
    view = PayView(
        payment_id="pay_01jexample", store=store_row(), order="PP-1042", amount=Money(900, "EUR"), currency="EUR",
        status="open", language=None, flow="hosted", session_url="https://pay.stablemint.test/session/s-1",
        exit_url=f"{SHOP}/orders/1?payment_id=pay_01jexample&outcome=exit", preparing=False, ended=False, paid=False,
        can_renew=False, customer_known=False,
    )  # fmt: skip
    return replace(view, **changes)


def return_view(**changes: Any) -> ReturnView:
    """A shopper who is back while nothing is known yet, but for the changes."""
    view = ReturnView(
        payment_id="pay_01jexample", store=store_row(), order="PP-1042", amount=Money(900, "EUR"), currency="EUR",
        status="open", language=None, outcome="success",
        onward_url=f"{SHOP}/orders/1?payment_id=pay_01jexample&outcome=success",
        pay_again_url="https://checkout.test/pay/again", final=False, can_renew=False, paid_at=None,
    )  # fmt: skip
    return replace(view, **changes)


def embed_view(**changes: Any) -> EmbedView:
    """A payment that the widget can take, but for the changes."""
    view = EmbedView(
        payment_id="pay_01jexample", store=store_row(), order="PP-1042", amount=Money(900, "EUR"), currency="EUR",
        status="open", language=None,
        attributes={
            "session-id": "ses-1", "currency": "EUR", "country": "DE", "deposit-amount": "9",
            "allowed-payment-methods": '["OPEN_BANKING","MANUAL"]', "saved-banks": '[{"name":"B & \\"C\\""}]',
            "payment-method": "OPEN_BANKING", "site-id": "3",
        },
        module_url="https://cdn.stablemint.test/widget/stable-payment-gateway.js",
        api_base="https://api.stablemint.test/v2", frame_origins=(SHOP, "https://www.shop.test:8443"),
        success_url=f"{SHOP}/orders/1?outcome=success", exit_url=f"{SHOP}/orders/1?outcome=exit",
        return_url="https://checkout.test/return/r3turn", preparing=False, ended=False, paid=False, can_renew=False,
    )  # fmt: skip
    return replace(view, **changes)


def link_view(**changes: Any) -> LinkView:
    """A payment link that works, but for the changes."""
    view = LinkView(
        store=store_row(), title="Workshop, two places", order="WS-7", amount=Money(900, "EUR"), currency="EUR",
        language=None, usable=True, why="", expires_at=datetime(2026, 12, 24, 17, 30, tzinfo=UTC),
    )  # fmt: skip
    return replace(view, **changes)


V = TypeVar("V", PayView, ReturnView, EmbedView)


@dataclass
class FakeShopper:
    """Answers what a test put in; remembers what was asked."""

    paying: PayView = field(default_factory=pay_view)
    returning: ReturnView = field(default_factory=return_view)
    embedding: EmbedView = field(default_factory=embed_view)
    picture: tuple[str, bytes] | None = None
    error: Exception | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def pay(self, token: str) -> PayView:
        return self._answer(self.paying, "pay", token)

    def embed(self, token: str) -> EmbedView:
        return self._answer(self.embedding, "embed", token)

    def renew(self, token: str) -> None:
        self._answer(self.paying, "renew", token)

    def came_back(self, token: str, outcome: str) -> ReturnView:
        return self._answer(replace(self.returning, outcome=outcome), "came_back", token, outcome)

    def status(self, token: str) -> ReturnView:
        return self._answer(self.returning, "status", token)

    def embed_status(self, token: str) -> ReturnView:
        return self._answer(self.returning, "embed_status", token)

    def logo(self, store_id: str) -> tuple[str, bytes] | None:
        self.asked.append(("logo", store_id))
        return self.picture

    def _answer(self, view: V, *asked: str) -> V:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return view


@dataclass
class FakeLinks:
    """The same for payment links."""

    view_: LinkView = field(default_factory=link_view)
    error: Exception | None = None
    missing: Exception | None = None
    started: list[tuple[str, str]] = field(default_factory=list)

    def view(self, token: str) -> LinkView:
        if self.missing is not None:
            raise self.missing
        return self.view_

    def start(self, token: str, nonce: str) -> str:
        self.started.append((token, nonce))
        if self.error is not None:
            raise self.error
        return "pay-token-of-the-link"


@cache
def every_language() -> Languages:
    """Read once: reading is the slow part of an app of ours."""
    return Languages.read()


def make_app(use_case: FakeShopper, linking: FakeLinks | None = None, languages: Languages | None = None) -> Flask:
    """The shopper's doors alone."""
    app = Flask("test", template_folder=str(ROOT / "templates"), static_folder=None)
    app.testing = True
    language.install(app, languages or every_language())
    embed.install_script(app, pages.install(app, STATIC))
    for blueprint in (shopper.bp, embed.bp, links.bp, looks.bp):
        app.register_blueprint(blueprint)
    app.extensions["checkout"] = SimpleNamespace(shopper=use_case, links=linking or FakeLinks())
    return app


@pytest.fixture
def use_case() -> FakeShopper:
    return FakeShopper()


@pytest.fixture
def linking() -> FakeLinks:
    return FakeLinks()


@pytest.fixture
def client(use_case: FakeShopper, linking: FakeLinks) -> FlaskClient:
    return make_app(use_case, linking).test_client()


class Reader(HTMLParser):
    """A page as tags and words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def main(self) -> dict[str, str | None]:
        (found,) = self.all("main")
        return found

    def hrefs(self) -> list[str | None]:
        return [link["href"] for link in self.all("a") if link["href"] != "#content"]

    def refreshes(self) -> list[str]:
        """What a browser without script is told to load, and when."""
        return [meta["content"] or "" for meta in self.all("meta") if "http-equiv" in meta]


def read(client: FlaskClient, path: str, code: int = 200, *, language: str | None = None) -> Reader:
    """The page at a path, as a browser of that language gets it."""
    answer = client.get(path, headers={} if language is None else {"Accept-Language": language})
    assert answer.status_code == code
    return Reader(answer.text)


@dataclass(frozen=True)
class Shown:
    """One page in one state."""

    path: str
    paying: PayView = field(default_factory=pay_view)
    returning: ReturnView = field(default_factory=return_view)
    embedding: EmbedView = field(default_factory=embed_view)
    linking: LinkView = field(default_factory=link_view)

    def put(self, use_case: FakeShopper, linking: FakeLinks) -> None:
        """Let the use cases answer so."""
        use_case.paying, use_case.returning, use_case.embedding = self.paying, self.returning, self.embedding
        linking.view_ = self.linking


def every_page() -> Iterator[Shown]:
    """Each page in each state that looks different."""
    for paying in (
        pay_view(),
        pay_view(amount=None, customer_known=True),
        pay_view(preparing=True, session_url=None, status="created"),
        pay_view(status="submitted"),
        pay_view(status="submitted", session_url=None, ended=True, can_renew=True),
        pay_view(status="settled", paid=True, session_url=None),
        pay_view(session_url=None, ended=True),
        pay_view(session_url=None, ended=True, can_renew=True),
        pay_view(session_url=None, ended=True, status="submitted"),
        *(
            pay_view(status=status, ended=True, session_url=None, can_renew=renew)
            for status in ENDED
            for renew in (False, True)
        ),
    ):
        yield Shown(f"/pay/{TOKEN}", paying=paying)
    for status, outcome, renew in itertools.product(STATUSES, OUTCOMES, (False, True)):
        when = datetime(2026, 11, 21, 12, 0, tzinfo=UTC) if status in PAID else None
        view = return_view(status=status, final=status in (*PAID, *ENDED), can_renew=renew, paid_at=when)
        yield Shown(f"/return/{TOKEN}/{outcome}", returning=view)
    yield Shown(
        f"/return/{TOKEN}/success",
        returning=return_view(
            status="settled", final=True, onward_url=None, paid_at=datetime(2026, 11, 21, tzinfo=UTC)
        ),
    )
    yield Shown(f"/return/{TOKEN}/success?checked=8")
    for embedding in (
        embed_view(),
        embed_view(amount=None, exit_url=None, return_url=None, success_url=None),
        embed_view(status="initiated"),
        embed_view(status="submitted"),
        embed_view(preparing=True, attributes={}, status="created"),
        embed_view(status="settled", paid=True, attributes={}),
        embed_view(ended=True, attributes={}, can_renew=True),
        embed_view(ended=True, attributes={}),
        *(embed_view(status=status, ended=True, attributes={}) for status in ENDED),
    ):
        yield Shown(f"/embed/{TOKEN}", embedding=embedding)
        yield Shown(f"/embed/{TOKEN}?place=frame", embedding=embedding)
    for linking in (
        link_view(),
        link_view(amount=None, title=None, expires_at=None),
        link_view(store=store_row(name="A store with a name that does not fit a button")),
        *(link_view(usable=False, why=why) for why in ("expired", "used", "deactivated")),
    ):
        yield Shown(f"/link/{TOKEN}", linking=linking)
