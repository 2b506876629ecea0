"""What a storefront can ask for: open a payment, look it up, list, cancel, and open a fresh session.

Opening is idempotent by the store's key: the database decides which of several equal requests is the payment, the others
answer with it as it stands.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from checkout import sealing
from checkout.config import Mode, Settings
from checkout.context import Context
from checkout.errors import IdempotencyReused, LostRace, NotFound, NotPossible, ProviderCallsBusy, RequestRefused
from checkout.paying.customers import Payer, Person, keep, payer
from checkout.paying.reckoning import reckon
from checkout.paying.sessions import Draft, ProviderGate, Sessions
from checkout.providers.outcome import Declined
from checkout.rules.money import Money
from checkout.rules.payments import PAID, SessionState, Status
from checkout.rules.urls import RETURN_URLS, return_url_problems
from checkout.store import payments as rows
from checkout.store import stores
from checkout.store.engine import Taken, Unit
from checkout.store.moves import record_move
from checkout.store.pages import Page
from checkout.store.records import PaymentRow, SessionRow, StoreRow
from checkout.store.request_keys import Keyed, Repeated, once, was_made

FLOWS: Final = ("hosted", "hosted_partner", "embedded")
PAGE_MAX: Final = 100
CUSTOMER_RACES_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class NewPayment:
    """A storefront's request, already of the right types; the rules that need the store are checked here."""

    flow: str
    amount: Money | None
    currency: str
    country: str | None  #: None: the known customer's
    order: str
    idempotency_key: str
    customer: Person | None = None
    urls: Mapping[str, str | None] = field(default_factory=dict)
    payment_method: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    language: str | None = None  #: of the shopper's pages; None: the browser's
    link_id: str | None = None  #: the payment link that asked

    def digest(self) -> str:
        """What makes two requests equal: everything but the key."""
        who = self.customer or Person("")
        content: list[Any] = [
            self.flow, None if self.amount is None else self.amount.minor, self.currency, self.country, self.order,
            who.external_id or None, who.email, dict(who.kyc or {}), dict(self.urls), self.payment_method,
            dict(self.metadata),
        ]  # fmt: skip
        content += [] if self.language is None else [self.language]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class PaymentAnswer:
    """A payment as the API shows it."""

    payment: PaymentRow
    reference: str | None
    pay_token: str = field(repr=False)
    declined: str | None = None  #: the provider's words, when it has just refused to open the session


class Payments:
    """The storefront's verbs."""

    def __init__(self, context: Context, sessions: Sessions, gate: ProviderGate) -> None:
        self._context = context
        self._sessions = sessions
        self._gate = gate

    def open(self, store: StoreRow, wanted: NewPayment) -> tuple[PaymentAnswer, bool]:
        """Open a payment and its first session; (answer, True) when this call made it.

        Raises RequestRefused (all bad fields), IdempotencyReused (same key, other content), ProviderCallsBusy (nothing
        stored). An unknown outcome at the provider leaves the payment ``created``; the worker goes on.
        """
        for _ in range(CUSTOMER_RACES_MAX):
            try:
                return self._open(store, wanted), True
            except (Taken, ProviderCallsBusy, RequestRefused) as refused:
                # an equal request was faster, or this one is a repeat (its answer stands, whatever the rules are by
                # now), or another payment of a new customer was faster
                known = self._by_key(store, wanted)
                if known is not None:
                    return known, False
                if not isinstance(refused, Taken):
                    raise
        raise LostRace("the payment could not be stored; try again")

    def _open(self, store: StoreRow, wanted: NewPayment) -> PaymentAnswer:
        context = self._context
        now = context.clock()
        token = sealing.token()
        values = self._values(store, wanted, token, now)
        payer = self._payer(store, wanted)
        values["country"] = wanted.country or (payer and payer.country) or ""
        draft = self._draft(store, wanted, values, payer)
        with self._gate.enter():
            with context.database.write() as unit:
                if wanted.customer is not None and payer is not None:
                    values["customer_id"] = keep(
                        unit, context, store.id, wanted.customer, now=now, provider_user_id=payer.provider_user_id
                    )
                rows.insert_payment(unit, values)
                record_move(
                    unit,
                    values["id"],
                    1,
                    None,
                    Status.CREATED,
                    cause="asked for",
                    who=f"store {store.name}",
                    at=now,
                )
                self._sessions.insert(unit, _preview(values), draft, number=1, now=now)
            sent = self._sessions.send(draft)
        if sent.payment is not None:
            return PaymentAnswer(sent.payment, sent.reference, token)
        declined = sent.outcome.message if isinstance(sent.outcome, Declined) else None
        return self._answer(values["id"], declined)

    def get(self, store_id: str, ident: str) -> PaymentAnswer:
        """One payment of the store; NotFound for another's."""
        answer = self._answer(ident)
        if answer.payment.store_id != store_id:
            raise NotFound("payment", ident)
        return answer

    def page(
        self, store_id: str, page: Page, *, status: str | None = None, anomaly: str | None = None,
        order: str | None = None, customer: str | None = None, customer_id: str | None = None,
    ) -> tuple[list[PaymentAnswer], bool]:  # fmt: skip
        """Payments, newest first, and whether there are more. ``customer`` is the shop's own id, ``customer_id`` ours."""
        with self._context.database.read() as unit:
            if customer is not None:
                known = stores.customer_by_external_id(unit, store_id, customer)
                if known is None or customer_id not in (None, known.id):
                    return [], False
                customer_id = known.id
            wanted = rows.Wanted(status=status, anomaly=anomaly, order_ref=order, customer_id=customer_id)
            found, more = rows.payments_on_page(unit, store_id, page, wanted)
            sessions = rows.sessions_of_each(unit, [payment.id for payment in found])
        return [self._shape(payment, sessions.get(payment.id, [])) for payment in found], more

    def cancel(self, store_id: str, ident: str, *, who: str, keyed: Keyed | None = None) -> PaymentAnswer:
        """Open no new session for it; money may still come and is then honoured. Cancelling twice is once."""
        context = self._context
        self.get(store_id, ident)
        now = context.clock()
        with suppress(Repeated), once(context.database, keyed, ident, at=now) as unit:
            payment = self._locked(unit, ident)
            if payment.state in PAID:
                raise NotPossible(f"the payment is {payment.status}; refund it instead")
            if payment.cancelled_at is None:
                reckon(unit, context, payment, cause="cancelled", now=now, who=who, cancelled_at=now)
        return self._answer(ident)

    def fresh_session(self, store_id: str, ident: str, *, keyed: Keyed | None = None) -> PaymentAnswer:
        """Open another session, one for each key. NotPossible when the payment is paid, cancelled, or money is under way."""
        self.get(store_id, ident)
        if was_made(self._context.database, keyed):
            return self._answer(ident)
        with self._gate.enter():
            try:
                outcome = self._sessions.fresh(ident, keyed=keyed)
            except Repeated:  # a twin was faster
                return self._answer(ident)
        declined = outcome.message if isinstance(outcome, Declined) else None
        return self._answer(ident, declined)

    def renew(self, ident: str) -> None:
        """A shopper asks to go on: a fresh session where the ones there are have run out, else nothing."""
        with self._gate.enter():
            self._sessions.fresh(ident, unless_usable=True)

    def _draft(self, store: StoreRow, wanted: NewPayment, values: Mapping[str, Any], payer: Payer | None) -> Draft:
        """The first session's draft; RequestRefused with what the provider and the store's own rules find, together."""
        problems = self._problems(store, wanted)
        try:
            draft = self._sessions.draft(_preview(values), store, payer)
        except RequestRefused as refused:
            raise RequestRefused({**refused.fields, **problems}) from None
        if problems:
            raise RequestRefused(problems)
        return draft

    def _problems(self, store: StoreRow, wanted: NewPayment) -> dict[str, str]:
        """What only we can say: the widget is set up, and return URLs lead to the store's own origins."""
        widget = without_widget(wanted.flow, self._context.settings)
        problems = {} if widget is None else {"flow": widget}
        origins = json.loads(store.origins)
        sandbox = self._context.settings.mode is Mode.SANDBOX
        return problems | return_url_problems(wanted.urls, origins, sandbox=sandbox)

    def _values(self, store: StoreRow, wanted: NewPayment, token: str, now: datetime) -> dict[str, Any]:
        context = self._context
        return {
            "id": context.new_id("pay"),
            "store_id": store.id,
            "idempotency_key": wanted.idempotency_key,
            "request_hash": wanted.digest(),
            "flow": wanted.flow,
            "amount_minor": None if wanted.amount is None else wanted.amount.minor,
            "currency": wanted.currency,
            "country": wanted.country or "",
            "order_ref": wanted.order,
            "payment_method": wanted.payment_method,
            "language": wanted.language,
            "link_id": wanted.link_id,
            "metadata": json.dumps(dict(wanted.metadata), ensure_ascii=False),
            "status": Status.CREATED.value,
            "moves": 1,
            "pay_token_hash": sealing.token_hash(token),
            "pay_token_sealed": context.sealer.seal_text(token),
            "created_at": now,
            "updated_at": now,
            **{name: wanted.urls.get(name) for name in RETURN_URLS},
        }

    def _payer(self, store: StoreRow, wanted: NewPayment) -> Payer | None:
        """The customer of a partner-managed flow: what is stored, with what this request adds."""
        if wanted.flow == "hosted" or wanted.customer is None:
            return None
        with self._context.database.read() as unit:
            row = stores.customer_by_external_id(unit, store.id, wanted.customer.external_id)
        return payer(self._context, row, wanted.customer)

    def _by_key(self, store: StoreRow, wanted: NewPayment) -> PaymentAnswer | None:
        with self._context.database.read() as unit:
            payment = rows.payment_by_key(unit, store.id, wanted.idempotency_key)
            if payment is None:
                return None
            if payment.request_hash != wanted.digest():
                raise IdempotencyReused("this Idempotency-Key was used with other content; use a new key")
            return self._shape(payment, rows.sessions_of(unit, payment.id))

    def _locked(self, unit: Unit, ident: str) -> PaymentRow:
        payment = rows.payment_by_id(unit, ident, lock=True)
        if payment is None:
            raise NotFound("payment", ident)
        return payment

    def _answer(self, ident: str, declined: str | None = None) -> PaymentAnswer:
        with self._context.database.read() as unit:
            payment = rows.payment_by_id(unit, ident)
            if payment is None:
                raise NotFound("payment", ident)
            return self._shape(payment, rows.sessions_of(unit, ident), declined)

    def _shape(self, payment: PaymentRow, sessions: list[SessionRow], declined: str | None = None) -> PaymentAnswer:
        latest = next((one for one in reversed(sessions) if one.session_state is SessionState.OPEN), None)
        token = self._context.sealer.open_text(payment.pay_token_sealed)
        return PaymentAnswer(payment, None if latest is None else latest.reference, token, declined)


def without_widget(flow: str | None, settings: Settings) -> str | None:
    """Why a flow cannot be opened here, as far as the widget goes, or None."""
    if flow == "embedded" and settings.stable_mint.widget_url is None:
        return "the embedded flow needs the widget's script; set STABLE_MINT_WIDGET_URL"
    return None


def _preview(values: Mapping[str, Any]) -> PaymentRow:
    """The payment as it is about to be stored."""
    blank = {
        "customer_id": None, "anomalies": "", "counted_deposit_id": None, "sequence": 0, "expires_at": None,
        "expired_at": None, "cancelled_at": None, "last_news_at": None, "notified_status": None, "attempts": 0,
        "lease_token": None,
    }  # fmt: skip
    chosen = {**blank, **{name: value for name, value in values.items() if name in PaymentRow.__slots__}}
    return PaymentRow(**chosen)
