"""Payment links: an address that asks for money without a storefront's own session.

Looking at a link changes nothing (messengers open links to draw a preview). Going on opens a payment: for a link of single
use always the same one, else one for each time the page was drawn, so that a double click is one payment.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from checkout import sealing
from checkout.config import Mode
from checkout.context import Context
from checkout.errors import IdempotencyReused, NotFound, NotPossible, RequestRefused
from checkout.paying.customers import Person
from checkout.paying.payments import NewPayment, Payments, without_widget
from checkout.providers.session_request import NOT_ONBOARDED
from checkout.rules.money import Money
from checkout.rules.payments import PAID, Status
from checkout.rules.urls import RETURN_URLS, return_url_problems
from checkout.store import links as rows
from checkout.store import payments as payment_rows
from checkout.store import stores
from checkout.store.engine import Taken, Unit
from checkout.store.moves import record_act
from checkout.store.pages import Page
from checkout.store.records import PaymentLinkRow, StoreRow
from checkout.store.request_keys import Keyed, Repeated, once

EXPIRES_AHEAD_MAX: Final = timedelta(days=400)
#: Payments that one link may open in an hour; its address may be public, and each is a session at the provider.
STARTS_PER_HOUR: Final = 120
NONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")

#: A single-use link is used up once its payment is paid, on its way, or cancelled by the shop.
_SPENT: Final = PAID | {Status.INITIATED, Status.SUBMITTED, Status.CANCELLED}


@dataclass(frozen=True, slots=True)
class NewLink:
    """A storefront's request for a link, already of the right types."""

    flow: str
    amount: Money | None
    currency: str
    country: str
    order: str
    idempotency_key: str
    title: str | None = None
    customer_id: str | None = None
    language: str | None = None
    urls: Mapping[str, str | None] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    single_use: bool = False
    expires_at: datetime | None = None

    def digest(self) -> str:
        """What makes two requests equal: everything but the key."""
        content = [
            self.flow, None if self.amount is None else self.amount.minor, self.currency, self.country, self.order,
            self.title, self.customer_id, self.language, dict(self.urls), dict(self.metadata), self.single_use,
            None if self.expires_at is None else self.expires_at.isoformat(),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LinkAnswer:
    """A link as the API shows it."""

    link: PaymentLinkRow
    token: str = field(repr=False)
    why: str  #: "" while it works, else expired, used or deactivated


@dataclass(frozen=True, slots=True)
class LinkView:
    """The link's page."""

    store: StoreRow
    title: str | None
    order: str
    amount: Money | None
    currency: str
    language: str | None
    usable: bool
    why: str
    expires_at: datetime | None


class Links:
    """The storefront's verbs on its links, and the shopper's two."""

    def __init__(self, context: Context, payments: Payments) -> None:
        self._context = context
        self._payments = payments

    def create(self, store: StoreRow, wanted: NewLink) -> tuple[LinkAnswer, bool]:
        """Make a link; (answer, True) when this call made it. Idempotent by the store's key.

        Raises RequestRefused with every bad field, IdempotencyReused for the same key over other content.
        """
        known = self._by_key(store, wanted)
        if known is not None:
            return known, False
        context = self._context
        now = context.clock()
        token = sealing.token()
        try:
            with context.database.write() as unit:
                customer_id = self._checked(unit, store, wanted, now)
                ident = context.new_id("lnk")
                rows.insert_link(
                    unit,
                    {
                        "id": ident, "store_id": store.id, "idempotency_key": wanted.idempotency_key,
                        "request_hash": wanted.digest(), "token_hash": sealing.token_hash(token),
                        "token_sealed": context.sealer.seal_text(token), "title": wanted.title, "flow": wanted.flow,
                        "amount_minor": None if wanted.amount is None else wanted.amount.minor,
                        "currency": wanted.currency, "country": wanted.country, "order_ref": wanted.order,
                        "customer_id": customer_id, "language": wanted.language,
                        "metadata": json.dumps(dict(wanted.metadata), ensure_ascii=False),
                        "single_use": wanted.single_use, "expires_at": wanted.expires_at, "created_at": now,
                        **{name: wanted.urls.get(name) for name in RETURN_URLS},
                    },
                )  # fmt: skip
        except Taken:
            known = self._by_key(store, wanted)
            if known is None:  # pragma: no cover - the key was taken a moment ago
                raise
            return known, False
        return self._answer(store.id, ident), True

    def _checked(self, unit: Unit, store: StoreRow, wanted: NewLink, now: datetime) -> str | None:
        """The customer's row id; RequestRefused with whatever is wrong with the link."""
        problems: dict[str, str] = {}
        settings = self._context.settings
        if wanted.flow not in settings.stable_mint.flows:
            problems["flow"] = NOT_ONBOARDED
        if widget := without_widget(wanted.flow, settings):
            problems["flow"] = widget
        if wanted.amount is None and wanted.flow != "embedded":
            problems["amount"] = "is required"
        if problem := expiry_problem(wanted.expires_at, now=now):
            problems["expires_at"] = problem
        origins, sandbox = json.loads(store.origins), settings.mode is Mode.SANDBOX
        problems |= return_url_problems(wanted.urls, origins, sandbox=sandbox)
        customer = None
        if wanted.customer_id is not None:
            customer = stores.customer_by_external_id(unit, store.id, wanted.customer_id)
        if wanted.flow == "hosted" and wanted.customer_id is not None:
            problems["customer"] = "is for the partner-managed flows"
        elif wanted.flow != "hosted" and (customer is None or customer.erased_at is not None):
            problems["customer"] = "must be a customer you have stored (PUT /v1/customers/{id})"
        if problems:
            raise RequestRefused(problems)
        return None if customer is None else customer.id

    def get(self, store_id: str, ident: str) -> LinkAnswer:
        """One link of the store; NotFound for another's."""
        return self._answer(store_id, ident)

    def page(
        self, store_id: str, page: Page, *, order: str | None = None, customer: str | None = None
    ) -> tuple[list[LinkAnswer], bool]:
        """Links, newest first, and whether there are more. ``customer`` is the shop's own id."""
        with self._context.database.read() as unit:
            known = None if customer is None else stores.customer_by_external_id(unit, store_id, customer)
            if customer is not None and known is None:
                return [], False
            customer_id = None if known is None else known.id
            found, more = rows.links_on_page(unit, store_id, page, order_ref=order, customer_id=customer_id)
            return [self._shape(unit, link) for link in found], more

    def deactivate(self, store_id: str, ident: str, *, who: str, keyed: Keyed | None = None) -> LinkAnswer:
        """Open no payment by it any more; payments that it has opened go on. Doing it twice is once."""
        context = self._context
        now = context.clock()
        with suppress(Repeated), once(context.database, keyed, ident, at=now) as unit:
            link = self._found(rows.link_by_id(unit, ident), store_id)
            if link.deactivated_at is None:
                rows.update_link(unit, link.id, deactivated_at=now)
                record_act(
                    unit, context.new_id("act"), who=who, action="link deactivated", subject=link.id, detail={}, at=now
                )  # fmt: skip
        return self._answer(store_id, ident)

    def view(self, token: str) -> LinkView:
        """What the link's page shows. NotFound for a token that is not ours."""
        with self._context.database.read() as unit:
            link = self._by_token(unit, token)
            store = self._store(unit, link)
            why = self._why_not(unit, link)
        return LinkView(
            store=store, title=link.title, order=link.order_ref, amount=link.asked, currency=link.currency,
            language=link.language, usable=not why, why=why, expires_at=link.expires_at,
        )  # fmt: skip

    def start(self, token: str, nonce: str) -> str:
        """Open the link's payment, or go on with it; the pay token. ``nonce`` is the drawn page's own.

        Raises NotPossible when the link does not work any more or too many payments were opened by it just now, and
        ProviderCallsBusy.
        """
        context = self._context
        if NONCE.fullmatch(nonce) is None:
            raise NotPossible("the page has no form of ours; load it again")
        with context.database.read() as unit:
            link = self._by_token(unit, token)
            store = self._store(unit, link)
            why = self._why_not(unit, link)
            recent = rows.count_payments(unit, link.id, since=context.clock() - timedelta(hours=1))
            customer = None if link.customer_id is None else stores.customer_by_id(unit, link.customer_id)
        if why:
            raise NotPossible(f"the payment link is {why}")
        key = f"link:{link.id}" if link.single_use else f"link:{link.id}:{nonce}"
        wanted = NewPayment(
            flow=link.flow, amount=link.asked, currency=link.currency, country=link.country, order=link.order_ref,
            idempotency_key=key, customer=None if customer is None else Person(customer.external_id),
            urls={name: getattr(link, name) for name in RETURN_URLS}, metadata=json.loads(link.metadata),
            language=link.language, link_id=link.id,
        )  # fmt: skip
        if recent >= STARTS_PER_HOUR and not link.single_use:
            raise NotPossible("the payment link was used very often just now; try again later")
        try:
            answer, _ = self._payments.open(store, wanted)
        except RequestRefused as refused:  # a rule has changed since the link was made, or its customer was erased
            raise NotPossible(f"the payment link does not work any more: {refused}") from None
        return answer.pay_token

    def _by_key(self, store: StoreRow, wanted: NewLink) -> LinkAnswer | None:
        with self._context.database.read() as unit:
            link = rows.link_by_key(unit, store.id, wanted.idempotency_key)
            if link is None:
                return None
            if link.request_hash != wanted.digest():
                raise IdempotencyReused("this Idempotency-Key was used with other content; use a new key")
            return self._shape(unit, link)

    def _answer(self, store_id: str, ident: str) -> LinkAnswer:
        with self._context.database.read() as unit:
            return self._shape(unit, self._found(rows.link_by_id(unit, ident), store_id))

    def _found(self, link: PaymentLinkRow | None, store_id: str) -> PaymentLinkRow:
        if link is None or link.store_id != store_id:
            raise NotFound("payment link", "of that id")
        return link

    def _shape(self, unit: Unit, link: PaymentLinkRow) -> LinkAnswer:
        return LinkAnswer(link, self._context.sealer.open_text(link.token_sealed), self._why_not(unit, link))

    def _by_token(self, unit: Unit, token: str) -> PaymentLinkRow:
        link = rows.link_by_token(unit, sealing.token_hash(token))
        if link is None:
            raise NotFound("page", "link")
        return link

    def _store(self, unit: Unit, link: PaymentLinkRow) -> StoreRow:
        store = stores.find_store(unit, link.store_id)
        if store is None:  # pragma: no cover - a foreign key holds it
            raise NotFound("store", link.store_id)
        return store

    def _why_not(self, unit: Unit, link: PaymentLinkRow) -> str:
        if link.deactivated_at is not None:
            return "deactivated"
        if link.single_use:
            payment = payment_rows.payment_by_key(unit, link.store_id, f"link:{link.id}")
            if payment is not None and payment.state in _SPENT:
                return "used"
        if link.expires_at is not None and link.expires_at <= self._context.clock():
            return "expired"
        return ""


def expiry_problem(expires_at: datetime | None, *, now: datetime) -> str | None:
    """Why a link cannot expire then, or None."""
    if expires_at is not None and not now < expires_at <= now + EXPIRES_AHEAD_MAX:
        return "must be in the future, at most 400 days away"
    return None


def link_as_shown(answer: LinkAnswer, *, base: str) -> dict[str, Any]:
    """A link's own facts for an answer; times and amounts as text."""
    link = answer.link
    return {
        "id": link.id,
        "url": f"{base}/link/{answer.token}",
        "active": not answer.why,
        "inactive_because": answer.why or None,
        "flow": link.flow,
        "amount": None if link.asked is None else link.asked.fixed(),
        "currency": link.currency,
        "order": link.order_ref,
        "title": link.title,
        "single_use": link.single_use,
        "metadata": json.loads(link.metadata),
    }
