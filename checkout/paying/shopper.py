"""What a shopper's browser may see and do. A return page writes one thing: that the shopper came back.

Nothing here can make a payment paid: that is the signed webhook's alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from checkout import sealing
from checkout.config import Mode
from checkout.context import Context
from checkout.errors import NotFound
from checkout.paying.payments import Payments
from checkout.paying.sessions import RENEWABLE, SESSIONS_MAX, usable_session
from checkout.providers.wire_json import as_heard, number_text, read_json
from checkout.rules.money import Money
from checkout.rules.payments import PAID, SessionState, Status
from checkout.rules.urls import shop_url_problem
from checkout.store import moves, payments, stores
from checkout.store.engine import Unit
from checkout.store.records import PaymentRow, SessionRow, StoreRow

OUTCOMES: Final = ("success", "exit", "error", "support")
ENDED: Final = frozenset({Status.EXPIRED, Status.CANCELLED, Status.FAILED})

#: The widget's attribute for each property of the embedded answer (providers.md A8, CONFIRMED for the Vue sample; that
#: plain HTML uses the same names is INFERRED).
WIDGET_ATTRIBUTES: Final = MappingProxyType(
    {
        "sessionId": "session-id",
        "currency": "currency",
        "country": "country",
        "amount": "deposit-amount",
        "allowedPaymentMethods": "allowed-payment-methods",
        "savedBanks": "saved-banks",
        "paymentMethod": "payment-method",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """What every page shows of a payment."""

    payment_id: str
    store: StoreRow
    order: str
    amount: Money | None  #: None: the shopper chooses it in the widget
    currency: str
    status: str
    language: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayView(_View):
    """The redirect page."""

    flow: str
    session_url: str | None  #: checked against the allowed page domains once more
    exit_url: str | None
    preparing: bool  #: a session is still being opened
    ended: bool  #: it cannot be paid here any more
    paid: bool
    can_renew: bool  #: a fresh session may be asked for
    customer_known: bool  #: the shop manages the customer: the next page asks less


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedView(_View):
    """The widget page."""

    attributes: Mapping[str, str]  #: of the widget's element; empty when there is no session to pay in
    module_url: str
    api_base: str
    frame_origins: tuple[str, ...]
    success_url: str | None
    exit_url: str | None
    return_url: str | None  #: our own return pages' base, for the session shown
    preparing: bool
    ended: bool
    paid: bool
    can_renew: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnView(_View):
    """A return page."""

    outcome: str
    onward_url: str | None
    pay_again_url: str | None
    final: bool
    can_renew: bool
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Standing:
    """A payment with what its pages ask of it."""

    payment: PaymentRow
    store: StoreRow
    sessions: list[SessionRow]
    usable: SessionRow | None
    paid_at: datetime | None

    @property
    def preparing(self) -> bool:
        return self.usable is None and any(one.session_state is SessionState.SENDING for one in self.sessions)

    @property
    def can_renew(self) -> bool:
        """A usable session of a failed payment is one in which the bank has said no: another may do better."""
        state = self.payment.state
        shut = self.usable is None or state in ENDED
        return state in RENEWABLE and shut and not self.preparing and len(self.sessions) < SESSIONS_MAX

    @property
    def open_session(self) -> SessionRow | None:
        """Where it can be paid now."""
        state = self.payment.state
        return None if state in PAID or state in ENDED else self.usable

    @property
    def ended(self) -> bool:
        state = self.payment.state
        return state in ENDED or (self.open_session is None and not self.preparing and state not in PAID)

    def shared(self) -> dict[str, Any]:
        payment = self.payment
        return {
            "payment_id": payment.id,
            "store": self.store,
            "order": payment.order_ref,
            "amount": payment.asked,
            "currency": payment.currency,
            "status": payment.status,
            "language": payment.language,
        }


class Shopper:
    """The pages' questions, by token. NotFound for any token that is not ours."""

    def __init__(self, context: Context, payments: Payments) -> None:
        self._context = context
        self._payments = payments

    def pay(self, token: str) -> PayView:
        """Where this payment can be made now."""
        with self._context.database.read() as unit:
            standing = self._standing(unit, self._by_pay_token(unit, token))
        payment, session = standing.payment, standing.open_session
        return PayView(
            **standing.shared(),
            flow=payment.flow,
            session_url=None if session is None else session.url,
            exit_url=self._onward(payment, standing.store, "exit"),
            preparing=standing.preparing,
            ended=standing.ended,
            paid=payment.state in PAID,
            can_renew=standing.can_renew,
            customer_known=payment.flow != "hosted",
        )

    def embed(self, token: str) -> EmbedView:
        """What the widget needs to take this payment. NotFound for a payment of another flow."""
        settings = self._context.settings.stable_mint
        with self._context.database.read() as unit:
            payment = self._by_pay_token(unit, token)
            if payment.flow != "embedded" or settings.widget_url is None:
                raise NotFound("page", "embed")
            standing = self._standing(unit, payment)
        session = standing.open_session
        return EmbedView(
            **standing.shared(),
            attributes={} if session is None else self._attributes(payment, session),
            module_url=settings.widget_url,
            api_base=settings.api_url,
            frame_origins=tuple(json.loads(standing.store.origins)),
            success_url=self._onward(payment, standing.store, "success"),
            exit_url=self._onward(payment, standing.store, "exit"),
            return_url=None if session is None else self._return_url(session),
            preparing=standing.preparing,
            ended=standing.ended,
            paid=payment.state in PAID,
            can_renew=standing.can_renew,
        )

    def renew(self, token: str) -> None:
        """Open a fresh session where the ones there are have run out. NotPossible when the payment allows none."""
        with self._context.database.read() as unit:
            payment = self._by_pay_token(unit, token)
        self._payments.renew(payment.id)

    def came_back(self, token: str, outcome: str) -> ReturnView:
        """Note that the shopper is back, the first time, and show how things stand."""
        if outcome not in OUTCOMES:
            raise NotFound("page", outcome)
        session = self._by_return_token(token)
        if session.came_back_at is None:
            with self._context.database.write() as unit:
                payments.update_session(unit, session.id, came_back_at=self._context.clock(), came_back_with=outcome)
        return self._return_view(session.payment_id, outcome)

    def status(self, token: str) -> ReturnView:
        """How things stand, changing nothing."""
        session = self._by_return_token(token)
        return self._return_view(session.payment_id, session.came_back_with or "success")

    def embed_status(self, token: str) -> ReturnView:
        """The same for the widget page, by its own token."""
        with self._context.database.read() as unit:
            payment = self._by_pay_token(unit, token)
        return self._return_view(payment.id, "success")

    def logo(self, store_id: str) -> tuple[str, bytes] | None:
        """A store's picture: media type and bytes, or None."""
        with self._context.database.read() as unit:
            return stores.logo_of(unit, store_id)

    def store(self, store_id: str) -> StoreRow:
        with self._context.database.read() as unit:
            store = stores.find_store(unit, store_id)
        if store is None or store.id != store_id:
            raise NotFound("store", store_id)
        return store

    def _by_pay_token(self, unit: Unit, token: str) -> PaymentRow:
        payment = payments.payment_by_pay_token(unit, sealing.token_hash(token))
        if payment is None:
            raise NotFound("page", "pay")
        return payment

    def _by_return_token(self, token: str) -> SessionRow:
        with self._context.database.read() as unit:
            session = payments.session_by_return_token(unit, sealing.token_hash(token))
        if session is None:
            raise NotFound("page", "return")
        return session

    def _standing(self, unit: Unit, payment: PaymentRow) -> _Standing:
        store = stores.find_store(unit, payment.store_id)
        if store is None:  # pragma: no cover - a foreign key holds it
            raise NotFound("store", payment.store_id)
        sessions = payments.sessions_of(unit, payment.id)
        domains = self._context.settings.stable_mint.page_domains
        usable = usable_session(sessions, payment.flow, domains=domains, now=self._context.clock())
        paid_at = _paid_at(unit, payment) if payment.state in PAID else None
        return _Standing(payment, store, sessions, usable, paid_at)

    def _return_view(self, payment_id: str, outcome: str) -> ReturnView:
        with self._context.database.read() as unit:
            payment = payments.payment_by_id(unit, payment_id)
            if payment is None:  # pragma: no cover - a foreign key holds it
                raise NotFound("page", "return")
            standing = self._standing(unit, payment)
        status = payment.state
        again = standing.can_renew or (status in (Status.CREATED, Status.OPEN) and standing.usable is not None)
        token = self._context.sealer.open_text(payment.pay_token_sealed)
        return ReturnView(
            **standing.shared(),
            outcome=outcome,
            onward_url=self._onward(payment, standing.store, outcome),
            pay_again_url=f"{self._context.settings.public_url}/pay/{token}" if again else None,
            final=status in PAID or status in ENDED,
            can_renew=standing.can_renew,
            paid_at=standing.paid_at,
        )

    def _return_url(self, session: SessionRow) -> str:
        token = self._context.sealer.open_text(session.return_token_sealed)
        return f"{self._context.settings.public_url}/return/{token}"

    def _attributes(self, payment: PaymentRow, session: SessionRow) -> dict[str, str]:
        """The widget's attributes from the session's answer; what it left out is what we asked for."""
        heard: dict[str, Any] = {}
        if session.widget_sealed is not None:
            heard = read_json(self._context.sealer.open(session.widget_sealed))
        asked: dict[str, Any] = {"currency": payment.currency, "country": payment.country}
        if payment.asked is not None:
            asked["amount"] = payment.asked.plain()
        known = asked | {name: value for name, value in heard.items() if value is not None}
        attributes = {
            attribute: _attribute(known[name]) for name, attribute in WIDGET_ATTRIBUTES.items() if name in known
        }
        site_id = self._context.settings.stable_mint.site_id
        return attributes if site_id is None else attributes | {"site-id": site_id}

    def _onward(self, payment: PaymentRow, store: StoreRow, outcome: str) -> str | None:
        """The store's own URL for an outcome (the payment's, else the store's), with the payment's id and the outcome.

        Only to an origin that is allowed now: what was when the payment was opened may belong to somebody else by now.
        """
        name = f"{outcome}_url"
        origins, sandbox = json.loads(store.origins), self._context.settings.mode is Mode.SANDBOX
        wanted: list[str | None] = [getattr(payment, name), getattr(store, name)]
        fit = [url for url in wanted if url and shop_url_problem(url, origins, sandbox=sandbox) is None]
        if not fit:
            return None
        chosen = fit[0]
        parts = urlsplit(chosen)
        query = [
            *parse_qsl(parts.query, keep_blank_values=True),
            ("payment_id", payment.id),
            ("outcome", outcome),
        ]
        return urlunsplit(parts._replace(query=urlencode(query)))


def _paid_at(unit: Unit, payment: PaymentRow) -> datetime | None:
    """When the order was first known to be paid."""
    paid = {status.value for status in PAID}
    moments: list[datetime] = [move["at"] for move in moves.moves_of(unit, payment.id) if move["after"] in paid]
    return min(moments, default=None)


def _attribute(value: object) -> str:
    """A property as an attribute: text as it is, a number as its digits, anything else as JSON text."""
    if isinstance(value, str):
        return value
    number = number_text(value)
    return as_heard(value).decode() if number is None else number
