"""Every sentence a shopper reads, in one place, chosen by what is known and nothing else.

The rule that must not be broken: no sentence says that an order is paid unless the payment's status is in
``PAID`` (the provider's signed word that the money was taken for this order). How the shopper came back (the
outcome) only changes what is said while that is not so.
Plain text only: templates escape it. Catalogues of other languages can later replace :func:`_`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from checkout.rules.money import Money
from checkout.rules.payments import PAID
from checkout.shopper import ENDED, PayView, ReturnView

#: A deposit has begun, so money may be on its way: nothing invites to pay again without a warning.
UNDER_WAY: Final = frozenset({"initiated", "submitted"})

#: A longer name of a store stays out of headings and buttons.
NAME_CHARS_MAX: Final = 32


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


def _(message: str, **values: str) -> str:
    """The message in the shopper's language (English, until there are catalogues) with its values put in."""
    return message % values if values else message


def amount_shown(amount: Money) -> tuple[str, str]:
    """Currency and number as two texts: ``("EUR", "1,234.50")``."""
    whole, point, fraction = amount.fixed().partition(".")
    return amount.currency, f"{int(whole):,}{point}{fraction}"


def pay_words(view: PayView, *, can_go_on: bool) -> Words:
    """What `/pay/{token}` says; ``can_go_on`` is whether there is a page to send the shopper to."""
    store = view.store_name
    if view.status in PAID:
        return _paid(store)
    if view.status in ENDED:
        return _ended(view.status, store)
    if view.paid or view.status in UNDER_WAY:
        return Words(
            Tone.NOTICE,
            _("A payment may already be on its way"),
            _("You started to pay for this order, and we are waiting to hear how it went."),
            _("Please do not pay a second time unless your bank shows that nothing was sent."),
        )
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
            _("The order can no longer be paid here. Start again from your order at %(store)s.", store=store),
            _("If your bank shows that money left your account, tell %(store)s the reference below.", store=store),
        )
    return Words(
        Tone.READY,
        _("Pay %(store)s by bank", store=store) if len(store) <= NAME_CHARS_MAX else _("Pay by bank"),
        _("You choose your bank and approve the payment on the next page."),
    )


def return_words(view: ReturnView, outcome: str) -> Words:
    """What a return page says to a shopper who came back by ``outcome`` (success, exit, error or support)."""
    store = view.store_name
    if view.status in PAID:
        return _paid(store)
    if view.status in ENDED:
        return _ended(view.status, store)
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
    return _not_started(outcome, store, view.order)


def _paid(store: str) -> Words:
    return Words(
        Tone.GOOD,
        _("Payment confirmed"),
        _("Thank you. Your payment to %(store)s is confirmed.", store=store),
    )


def _ended(status: str, store: str) -> Words:
    headings = {
        "expired": _("This payment has expired"),
        "cancelled": _("This payment was cancelled"),
    }
    texts = {
        "expired": _("It was not paid in time, so it can no longer be paid here."),
        "cancelled": _("It can no longer be paid here."),
    }
    return Words(
        Tone.STOPPED,
        headings.get(status, _("The payment did not go through")),
        texts.get(status, _("We have no confirmed payment for this order.")),
        _(
            "If your bank shows that money left your account, tell %(store)s the reference below.",
            store=store,
        ),
    )


def _not_started(outcome: str, store: str, order: str) -> Words:
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


def slow_words() -> str:
    """What is added when a confirmation takes longer than most."""
    return _("This takes longer than most payments do. Some bank transfers take a day or two.")


def slow_opening_words() -> str:
    """What is added when opening the payment page takes longer than most."""
    return _("This takes longer than most. Nothing was taken from your account; you can check again or go back.")


def missing_words() -> Words:
    """The page of an address that leads nowhere."""
    return Words(
        Tone.STOPPED,
        _("There is no such payment page"),
        _("The link may be incomplete or out of date. Please go back to the shop and start again from your order."),
    )


def unavailable_words() -> Words:
    """The page when the database is busy or gone."""
    return Words(
        Tone.NOTICE,
        _("We cannot show this page right now"),
        _("Your payment is not affected. Please try again in a moment."),
    )


#: Labels of buttons, links and facts, by the name the templates use.
LABELS: Final = {
    "amount": _("Amount"),
    "again": _("Try again"),
    "check": _("Check now"),
    "continue": _("Continue to payment"),
    "footer": _("Pay by bank. This page never asks for a password or a card number."),
    "leaving_ready": _("You will be taken to the payment page in a few seconds."),
    "leaving_return": _("You will be taken back to the store in a few seconds."),
    "open_again": _("Open the payment page again"),
    "order": _("Order"),
    "reference": _("Reference"),
    "resume": _("Continue to payment"),
    "skip": _("Skip to content"),
    "stay": _("Stay on this page"),
    "store": _("Store"),
    "to": _("Next page"),
}


def back_label(store: str) -> str:
    """The link back to the store; a long name would not fit a button on a phone."""
    return _("Back to %(store)s", store=store) if len(store) <= NAME_CHARS_MAX else _("Back to the store")
