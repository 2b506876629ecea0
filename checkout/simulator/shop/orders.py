"""Orders in memory, and everything the shop heard about each.

One lock, no call to anybody while it is held. What comes later in time may be older news: of notifications
the highest sequence wins, and an answer of the API counts only if nothing was heard while it was on its way.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from checkout.rules.money import Money
from checkout.simulator.shop.catalogue import Basket, Product, total_of
from checkout.simulator.shop.news import Notification, PaymentNews

PAID: Final = frozenset({"accepted", "settled"})
ENDED: Final = frozenset({"failed", "expired", "cancelled"})

ORDERS_MAX: Final = 5000
NOTES_MAX: Final = 200
#: Notifications that belong to no order here: kept for the eye, and applied if their order turns up.
STRAY_MAX: Final = 500
#: How often the order page asks the API by itself.
ASK_EVERY: Final = timedelta(seconds=10)


class Way(StrEnum):
    """Which of the three uses an order is paid by."""

    HOSTED = "hosted"  #: the shopper is sent to the payment page and comes back
    EMBEDDED = "embedded"  #: the payment is made inside the shop's page
    RETURNING = "returning"  #: a customer the service knows, sent to the payment page


@dataclass(frozen=True, slots=True)
class Opened:
    """The service has this payment; the shopper pays at ``checkout_url``, or in our page with ``client_token``."""

    payment_id: str
    status: str
    checkout_url: str
    client_token: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class Note:
    """One line of an order's timeline."""

    at: datetime
    kind: str  #: shop, shopper, news or trouble
    text: str
    times: int = 1


@dataclass(slots=True)
class Heard:
    """One notification, however often it was delivered."""

    webhook_id: str
    type: str
    sequence: int
    status: str | None
    at: datetime
    deliveries: int = 1
    applied: bool = False  #: it was the newest news when it came


@dataclass(slots=True)
class Order:
    id: str
    basket_id: str
    products: tuple[Product, ...]
    placed_at: datetime
    way: Way = Way.HOSTED
    customer_id: str | None = None
    payment_id: str | None = None
    checkout_url: str | None = None
    client_token: str | None = field(default=None, repr=False)
    status: str | None = None  #: the payment's, as the service last told us
    anomaly: str | None = None
    sequence: int = 0  #: of the newest notification
    paid_by: str | None = None  #: what made us call it paid
    version: int = 0  #: grows with everything that happens
    asked_at: datetime | None = None
    came_back: str | None = None
    notes: list[Note] = field(default_factory=list)
    heard: dict[str, Heard] = field(default_factory=dict)

    @property
    def total(self) -> Money:
        return total_of(self.products)

    @property
    def paid(self) -> bool:
        return self.status in PAID

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def note(self, at: datetime, kind: str, text: str) -> None:
        """Add a line; a line equal to the last one is counted instead."""
        self.version += 1
        if self.notes and (self.notes[-1].kind, self.notes[-1].text) == (kind, text):
            self.notes[-1].times += 1
        elif len(self.notes) < NOTES_MAX:
            self.notes.append(Note(at, kind, text))


class Orders:
    """All orders. Everything handed out is a copy."""

    def __init__(self, clock: Callable[[], datetime], new_id: Callable[[], str]) -> None:
        self._clock, self._new_id = clock, new_id
        self._lock = threading.Lock()
        self._orders: dict[str, Order] = {}
        self._by_basket: dict[str, dict[Way, str]] = {}
        self._by_payment: dict[str, str] = {}
        self._stray: dict[str, tuple[Notification, Heard]] = {}

    def place(self, basket: Basket, way: Way = Way.HOSTED, customer_id: str | None = None) -> Order:
        """The order of this basket and way to pay: made at the first click, found at every other.

        A basket that has been paid in one way is not sold again in another: its paid order is found.
        """
        with self._lock:
            siblings = {of: self._orders[ident] for of, ident in self._by_basket.get(basket.id, {}).items()}
            paid = next((one for one in siblings.values() if one.paid), None)
            known = paid or siblings.get(way)
            if known is not None:
                return copy.deepcopy(known)
            while len(self._orders) >= ORDERS_MAX:
                self._forget(self._orders.pop(next(iter(self._orders))))
            order = Order(self._new_id(), basket.id, basket.products, self._clock(), way, customer_id)
            order.note(order.placed_at, "shop", f"Order placed, {order.total}. Nothing is paid yet.")
            self._orders[order.id] = order
            self._by_basket.setdefault(basket.id, {})[way] = order.id
            return copy.deepcopy(order)

    def of_customer(self, customer_id: str) -> dict[str, Order]:
        """The customer's orders here, by their number."""
        with self._lock:
            found = {one.id: one for one in self._orders.values() if one.customer_id == customer_id}
            return copy.deepcopy(found)

    def _forget(self, order: Order) -> None:
        ways = self._by_basket.get(order.basket_id, {})
        ways.pop(order.way, None)
        if not ways:
            self._by_basket.pop(order.basket_id, None)
        self._by_payment.pop(order.payment_id or "", None)

    def find(self, ident: str) -> Order | None:
        with self._lock:
            return copy.deepcopy(self._orders.get(ident))

    def opened(self, ident: str, payment: Opened) -> None:
        """The service has a payment for this order."""
        with self._lock:
            order = self._orders.get(ident)
            if order is None or order.checkout_url is not None:
                return
            order.payment_id, order.checkout_url = payment.payment_id, payment.checkout_url
            order.client_token = payment.client_token
            self._by_payment[payment.payment_id] = ident
            order.status = order.status or ("open" if payment.status in PAID else payment.status)
            order.note(self._clock(), "shop", f"Payment {payment.payment_id} opened through the API.")
            for notification, heard in list(self._stray.values()):
                if notification.news and notification.news.payment_id == payment.payment_id:
                    del self._stray[notification.webhook_id]
                    self._apply(order, notification.news, notification, heard)

    def trouble(self, ident: str, text: str) -> None:
        """The service refused or did not answer."""
        with self._lock:
            order = self._orders.get(ident)
            if order is not None:
                order.note(self._clock(), "trouble", text)

    def came_back(self, ident: str, outcome: str) -> None:
        """The shopper's browser is here again: written down, and proof of nothing."""
        with self._lock:
            order = self._orders.get(ident)
            if order is not None:
                order.came_back = outcome
                order.note(self._clock(), "shopper", f"The shopper came back ({outcome}). That proves nothing.")

    def hear(self, notification: Notification) -> bool:
        """Take in a verified notification, repeated or in any order; True if it belongs to an order here."""
        with self._lock:
            now = self._clock()
            order = self._order_of(notification.news)
            if order is None or notification.news is None:
                self._keep_stray(notification, now)
                return False
            heard = order.heard.get(notification.webhook_id)
            if heard is not None:
                heard.deliveries += 1
                text = f"{heard.type} (sequence {heard.sequence}) came again: nothing changes."
                order.note(now, "news", text)
                return True
            heard = _heard(notification, now)
            self._apply(order, notification.news, notification, heard)
            return True

    def may_ask(self, ident: str, *, by_hand: bool = False) -> Order | None:
        """The order if the API should be asked about it now, and remember that it was.

        By itself the shop asks for an order that waits, whose shopper is back, and not too often.
        """
        with self._lock:
            order, now = self._orders.get(ident), self._clock()
            if order is None or order.payment_id is None:
                return None
            lately = order.asked_at is not None and now - order.asked_at < ASK_EVERY
            if not by_hand and (order.paid or order.ended or not order.came_back or lately):
                return None
            order.asked_at = now
            return copy.deepcopy(order)

    def told(self, ident: str, news: PaymentNews, *, since: int) -> None:
        """An answer of the API, asked at version ``since``; dropped if anything was heard meanwhile."""
        with self._lock:
            order = self._orders.get(ident)
            if order is None or order.version != since or not self._agrees(order, news):
                return
            if (news.status, news.anomaly) == (order.status, order.anomaly):
                order.note(self._clock(), "shop", f"Asked the API: still {news.status}.")
                return
            order.note(self._clock(), "news", f"Asked the API: {_said(news)}.")
            self._set(order, news, "the API")

    def strays(self) -> list[dict[str, Any]]:
        """Notifications that belong to no order here: payouts, refunds, orders from before a restart."""
        with self._lock:
            return [_plain(heard) for _, heard in self._stray.values()]

    def _order_of(self, news: PaymentNews | None) -> Order | None:
        """By the shop's own number, else by the payment; an order that has another payment is not meant."""
        if news is None:
            return None
        order = self._orders.get(news.order or self._by_payment.get(news.payment_id, ""))
        return order if order is not None and order.payment_id in (None, news.payment_id) else None

    def _apply(self, order: Order, news: PaymentNews, notification: Notification, heard: Heard) -> None:
        order.heard[heard.webhook_id] = heard
        said = f"{heard.type} (sequence {heard.sequence}): {_said(news)}"
        if not self._agrees(order, news):
            order.note(heard.at, "trouble", f"{said}. It names another amount than this order: not believed.")
        elif notification.sequence <= order.sequence:
            order.note(heard.at, "news", f"{said}. Older than what we know: kept, not used.")
        else:
            heard.applied = True
            order.sequence = notification.sequence
            order.note(heard.at, "news", f"{said}. Signature verified.")
            self._set(order, news, f"notification {heard.webhook_id}")

    @staticmethod
    def _agrees(order: Order, news: PaymentNews) -> bool:
        return news.amount == order.total and news.order in (None, order.id)

    @staticmethod
    def _set(order: Order, news: PaymentNews, source: str) -> None:
        order.payment_id = order.payment_id or news.payment_id
        order.status, order.anomaly = news.status, news.anomaly
        if order.paid and order.paid_by is None:
            order.paid_by = source

    def _keep_stray(self, notification: Notification, now: datetime) -> None:
        known = self._stray.get(notification.webhook_id)
        if known is not None:
            known[1].deliveries += 1
            return
        while len(self._stray) >= STRAY_MAX:
            del self._stray[next(iter(self._stray))]
        self._stray[notification.webhook_id] = (notification, _heard(notification, now))


def _heard(notification: Notification, now: datetime) -> Heard:
    status = notification.news.status if notification.news else None
    return Heard(notification.webhook_id, notification.type, notification.sequence, status, now)


def _plain(line: Heard | Note) -> dict[str, Any]:
    return {**asdict(line), "at": line.at.isoformat()}


def _said(news: PaymentNews) -> str:
    return f"{news.status}, {news.anomaly}" if news.anomaly else news.status


def as_json(order: Order) -> dict[str, Any]:
    """An order as `/orders/{id}.json` shows it."""
    return {
        "id": order.id,
        "way": order.way.value,
        "total": order.total.fixed(),
        "currency": order.total.currency,
        "payment_id": order.payment_id,
        "checkout_url": order.checkout_url,
        "status": order.status,
        "anomaly": order.anomaly,
        "paid": order.paid,
        "paid_by": order.paid_by,
        "sequence": order.sequence,
        "came_back": order.came_back,
        "version": order.version,
        "notifications": [_plain(heard) for heard in order.heard.values()],
        "timeline": [_plain(note) for note in order.notes],
    }
