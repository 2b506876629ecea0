"""Every sentence a shopper reads, in one place, chosen by what is known and nothing else.

The rule that must not be broken: no sentence says that an order is paid unless the payment's status is in
``PAID`` (the provider's signed word that the money was taken for this order). How the shopper came back (the
outcome) only changes what is said while that is not so.
Plain text only: templates escape it. ``_`` is the shopper's language; ``make catalogues`` collects what it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from checkout.paying.links import LinkView
from checkout.paying.shopper import ENDED, EmbedView, PayView, ReturnView
from checkout.rules.payments import PAID
from checkout.web.language import Tongue

#: A deposit has begun, so money may be on its way: nothing invites to pay again without a warning.
UNDER_WAY: Final = frozenset({"initiated", "submitted"})

#: A longer name of a store stays out of headings and buttons.
NAME_CHARS_MAX: Final = 32
#: How long a page waits before it goes on by itself.
LEAVE_S: Final = 5


class Tone(StrEnum):
    """How a page looks; its words say the same without the colour."""

    READY = "ready"  #: the shopper may go on
    WAITING = "waiting"  #: something comes by itself
    GOOD = "good"  #: the payment is confirmed
    STOPPED = "stopped"  #: this way is closed
    NOTICE = "notice"  #: read this before you act


@dataclass(frozen=True, slots=True)
class Words:
    """What one page says first."""

    tone: Tone
    heading: str
    text: str
    aside: str | None = None  #: a second paragraph, quieter


def pay_words(view: PayView, _: Tongue, *, can_go_on: bool) -> Words:
    """What `/pay/{token}` says; ``can_go_on`` is whether there is a page to send the shopper to."""
    settled = _how_it_stands(view, _, can_go_on=can_go_on)
    if settled is not None:
        return settled
    known = _("The next page already knows you, so it asks for less.") if view.customer_known else None
    return Words(
        Tone.READY,
        _pay_heading(view.store.name, _),
        _("You choose your bank and approve the payment on the next page."),
        known,
    )


def embed_words(view: EmbedView, _: Tongue) -> Words:
    """What the widget's page says above the widget, or instead of it."""
    settled = _how_it_stands(view, _, can_go_on=bool(view.attributes))
    if settled is not None and not (view.attributes and view.status == "initiated"):
        return settled
    warning = None
    if settled is not None:  # reloaded halfway: the widget stays, with a warning
        warning = _("You have begun to pay for this order. Go on below, and please do not start a second payment.")
    return Words(
        Tone.READY,
        _pay_heading(view.store.name, _),
        _("Choose your bank below and approve the payment there."),
        warning,
    )


def _how_it_stands(view: PayView | EmbedView, _: Tongue, *, can_go_on: bool) -> Words | None:
    """The words of a payment that is not simply waiting to be made; None when it is."""
    store = view.store.name
    if view.status in PAID:
        return _paid(store, _)
    if view.status in UNDER_WAY:
        return Words(
            Tone.NOTICE,
            _("A payment may already be on its way"),
            _("You started to pay for this order, and we are waiting to hear how it went."),
            _("Please do not pay a second time unless your bank shows that nothing was sent."),
        )
    if view.can_renew:
        return _renewable(view.status, store, _)
    if view.status in ENDED:
        return _ended(view.status, store, _)
    if view.preparing:
        return Words(
            Tone.WAITING,
            _("One moment, please"),
            _("We are opening your payment. This page goes on by itself."),
        )
    if view.ended or not can_go_on:
        return Words(
            Tone.STOPPED,
            _("This payment link has run out"),
            _("It cannot be used here any more. Start again from your order at %(store)s.", store=store),
            _money_left(store, _),
        )
    return None


def return_words(view: ReturnView, outcome: str, _: Tongue) -> Words:
    """What a return page says to a shopper who came back by ``outcome`` (success, exit, error or support)."""
    store = view.store.name
    if view.status in PAID:
        return _paid(store, _)
    if view.status in ENDED:
        if view.can_renew and outcome != "support":
            return _renewable(view.status, store, _)
        return _ended(view.status, store, _)
    if outcome == "success":
        return Words(
            Tone.WAITING,
            _("We are confirming your payment"),
            _("Your bank has not told us yet. This page updates itself as soon as we know."),
            _("You may also close it: %(store)s hears from us when the payment is confirmed.", store=store),
        )
    if view.status in UNDER_WAY:
        return Words(
            Tone.NOTICE,
            _("A payment may already be on its way"),
            _("You had started to pay, and we are waiting to hear how it went. This page updates itself."),
            _("Please do not pay a second time unless your bank shows that nothing was sent."),
        )
    return _not_started(outcome, store, view.order, _)


def link_words(view: LinkView, _: Tongue, *, refused: bool = False) -> Words:
    """What a payment link's page says; ``refused`` is whether going on was just turned down."""
    store = view.store.name
    if refused and view.usable:
        return Words(
            Tone.NOTICE,
            _("This payment cannot be opened right now"),
            _("Please try again later, or ask %(store)s.", store=store),
        )
    if view.usable:
        text = _("You see what you are asked to pay. Nothing happens before you go on.")
        if view.amount is None:
            text = _("You choose the amount in the next step. Nothing happens before you go on.")
        until = None
        if view.expires_at is not None:
            until = _("You can use this link until %(moment)s.", moment=_.moment(view.expires_at))
        heading = (
            _("%(store)s asks you for a payment", store=store) if _fits(store) else _("You are asked for a payment")
        )
        return Words(Tone.READY, heading, text, until)
    texts = {
        "expired": _("It was meant to be used by a certain date, and that date has passed."),
        "used": _("It works once, and a payment has already been made or begun with it."),
        "deactivated": _("%(store)s has closed it.", store=store),
    }
    return Words(
        Tone.STOPPED,
        _("This payment link no longer works"),
        texts.get(view.why, _("It cannot be used any more.")),
        _("If you still want to pay, ask %(store)s for a new link.", store=store),
    )


def _pay_heading(store: str, _: Tongue) -> str:
    return _("Pay %(store)s by bank", store=store) if _fits(store) else _("Pay by bank")


def _fits(store: str) -> bool:
    return len(store) <= NAME_CHARS_MAX


def _paid(store: str, _: Tongue) -> Words:
    return Words(
        Tone.GOOD,
        _("Payment confirmed"),
        _("Thank you. Your payment to %(store)s is confirmed.", store=store),
    )


def _renewable(status: str, store: str, _: Tongue) -> Words:
    """A payment that a fresh session can still make."""
    if status == "failed":
        heading, text = (
            _("The payment did not go through"),
            _("You can try again; we open a fresh payment page for the same order."),
        )
    else:
        heading, text = (
            _("Your payment page has run out"),
            _("Payment pages are open for a limited time. We can open a fresh one for the same order."),
        )
    return Words(
        Tone.NOTICE,
        heading,
        text,
        _("If your bank shows that money left your account, do not pay again: tell %(store)s the reference below.",
          store=store),
    )  # fmt: skip


def _ended(status: str, store: str, _: Tongue) -> Words:
    headings = {
        "expired": _("This payment has expired"),
        "cancelled": _("This payment was cancelled"),
    }
    texts = {
        "expired": _("The time for it is over, so it cannot be made here any more."),
        "cancelled": _("It cannot be made here any more."),
    }
    return Words(
        Tone.STOPPED,
        headings.get(status, _("The payment did not go through")),
        texts.get(status, _("We have not seen a payment for this order.")),
        _money_left(store, _),
    )


def _money_left(store: str, _: Tongue) -> str:
    return _("If your bank shows that money left your account, tell %(store)s the reference below.", store=store)


def _not_started(outcome: str, store: str, order: str, _: Tongue) -> Words:
    seen = _("We have not seen a payment for this order.")
    if outcome == "error":
        return Words(
            Tone.STOPPED,
            _("Something went wrong on the payment page"),
            seen + " " + _("You can try again, or go back to %(store)s.", store=store),
        )
    if outcome == "support":
        return Words(
            Tone.NOTICE,
            _("You asked for help"),
            _(
                "%(store)s can help with order %(order)s. Please have the reference below ready.",
                store=store,
                order=order,
            ),
            seen,
        )
    return Words(
        Tone.NOTICE,
        _("You left the payment page"),
        seen + " " + _("You can go on where you left, or go back to %(store)s.", store=store),
    )


def slow_words(_: Tongue) -> str:
    """What is added when a confirmation takes longer than most."""
    return _("This takes longer than most payments do. Some bank transfers take a day or two.")


def slow_opening_words(_: Tongue) -> str:
    """What is added when opening the payment page takes longer than most."""
    return _("This takes longer than most. You can check again, or go back.")


def leaving_words(_: Tongue, *, to_store: bool) -> str:
    """What stands beside "Stay on this page" while the page is about to go on."""
    if to_store:
        return _.plural(
            "You will be taken back to the store in %(number)d second.",
            "You will be taken back to the store in %(number)d seconds.",
            LEAVE_S,
        )
    return _.plural(
        "You will be taken to the payment page in %(number)d second.",
        "You will be taken to the payment page in %(number)d seconds.",
        LEAVE_S,
    )


def missing_words(_: Tongue) -> Words:
    """The page of an address that leads nowhere."""
    return Words(
        Tone.STOPPED,
        _("There is no such payment page"),
        _("The link may be incomplete or out of date. Please go back to the shop and start again from your order."),
    )


def unavailable_words(_: Tongue) -> Words:
    """The page when the database is busy or gone."""
    return Words(
        Tone.NOTICE,
        _("We cannot show this page right now"),
        _("Your payment is not affected. Please try again in a moment."),
    )


def back_label(store: str, _: Tongue) -> str:
    """The link back to the store; a long name would not fit a button on a phone."""
    return _("Back to %(store)s", store=store) if _fits(store) else _("Back to the store")
