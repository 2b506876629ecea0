"""What a shopper's browser may see and do. A return page writes one thing: that the shopper came back.

Nothing here can make a payment paid: that is the signed webhook's alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from checkout import sealing
from checkout.context import Context
from checkout.errors import NotFound
from checkout.rules.money import Money
from checkout.rules.payments import PAID, SessionState, Status
from checkout.rules.urls import page_allowed
from checkout.store import payments, stores
from checkout.store.engine import Unit
from checkout.store.records import PaymentRow, SessionRow, StoreRow

OUTCOMES: Final = ("success", "exit", "error", "support")
ENDED: Final = frozenset({Status.EXPIRED, Status.CANCELLED, Status.FAILED})


@dataclass(frozen=True, slots=True)
class PayView:
    """The redirect page."""

    payment_id: str
    store_name: str
    order: str
    amount: Money | None
    status: str
    session_url: str | None  #: checked against the allowed page domains once more
    exit_url: str | None
    preparing: bool  #: a session is still being opened
    ended: bool  #: it cannot be paid here any more
    paid: bool


@dataclass(frozen=True, slots=True)
class ReturnView:
    """A return page."""

    payment_id: str
    store_name: str
    order: str
    amount: Money | None
    status: str
    outcome: str
    onward_url: str | None
    pay_again_url: str | None
    final: bool


class Shopper:
    """The pages' questions, by token. NotFound for any token that is not ours."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def pay(self, token: str) -> PayView:
        """Where this payment can be made now."""
        with self._context.database.read() as unit:
            payment = payments.payment_by_pay_token(unit, sealing.token_hash(token))
            if payment is None:
                raise NotFound("page", "pay")
            sessions = payments.sessions_of(unit, payment.id)
            store = self._store(unit, payment)
        status = payment.state
        url = None if status in PAID or status in ENDED else self._session_url(sessions)
        preparing = url is None and any(one.session_state is SessionState.SENDING for one in sessions)
        return PayView(
            payment_id=payment.id,
            store_name=store.name,
            order=payment.order_ref,
            amount=payment.asked,
            status=status.value,
            session_url=url,
            exit_url=self._onward(payment, store, "exit"),
            preparing=preparing,
            ended=status in ENDED or (url is None and not preparing and status not in PAID),
            paid=status in PAID,
        )

    def _session_url(self, sessions: list[SessionRow]) -> str | None:
        """The newest open session's URL, if it has not run out and may still be redirected to."""
        now = self._context.clock()
        domains = self._context.settings.stable_mint.page_domains
        for session in reversed(sessions):
            if session.session_state is not SessionState.OPEN or session.url is None:
                continue
            if session.expires_at is not None and session.expires_at <= now:
                continue
            if page_allowed(session.url, domains):
                return session.url
        return None

    def came_back(self, token: str, outcome: str) -> ReturnView:
        """Note that the shopper is back, the first time, and show how things stand."""
        if outcome not in OUTCOMES:
            raise NotFound("page", outcome)
        with self._context.database.read() as unit:
            session = payments.session_by_return_token(unit, sealing.token_hash(token))
        if session is None:
            raise NotFound("page", "return")
        if session.came_back_at is None:
            with self._context.database.write() as unit:
                payments.update_session(unit, session.id, came_back_at=self._context.clock(), came_back_with=outcome)
        return self._view(session, outcome)

    def status(self, token: str) -> ReturnView:
        """How things stand, changing nothing."""
        with self._context.database.read() as unit:
            session = payments.session_by_return_token(unit, sealing.token_hash(token))
        if session is None:
            raise NotFound("page", "return")
        return self._view(session, session.came_back_with or "success")

    def _view(self, session: SessionRow, outcome: str) -> ReturnView:
        with self._context.database.read() as unit:
            payment = payments.payment_by_id(unit, session.payment_id)
            if payment is None:
                raise NotFound("page", "return")
            store = self._store(unit, payment)
            sessions = payments.sessions_of(unit, payment.id)
        status = payment.state
        again = status in (Status.CREATED, Status.OPEN) and self._session_url(sessions) is not None
        token = self._context.sealer.open_text(payment.pay_token_sealed)
        return ReturnView(
            payment_id=payment.id,
            store_name=store.name,
            order=payment.order_ref,
            amount=payment.asked,
            status=status.value,
            outcome=outcome,
            onward_url=self._onward(payment, store, outcome),
            pay_again_url=f"{self._context.settings.public_url}/pay/{token}" if again else None,
            final=status in PAID or status in ENDED,
        )

    def _store(self, unit: Unit, payment: PaymentRow) -> StoreRow:
        store = stores.find_store(unit, payment.store_id)
        if store is None:
            raise NotFound("store", payment.store_id)
        return store

    def _onward(self, payment: PaymentRow, store: StoreRow, outcome: str) -> str | None:
        """The store's own URL for an outcome (the payment's, else the store's), with the payment's id and the outcome."""
        name = f"{outcome}_url"
        chosen: str | None = getattr(payment, name) or getattr(store, name)
        if chosen is None:
            return None
        parts = urlsplit(chosen)
        query = [
            *parse_qsl(parts.query, keep_blank_values=True),
            ("payment_id", payment.id),
            ("outcome", outcome),
        ]
        return urlunsplit(parts._replace(query=urlencode(query)))
