"""Guides, one page each: what to do from the first line to the last, with code that a test has run as it stands there.

What a payout can wait for comes from the tables that open and explain the cases, so the page cannot fall behind them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, Response, abort, render_template

from checkout.cases import KINDS
from checkout.recovery import GENERAL, STEPS
from checkout.web.pages import compressed, guard
from checkout.web.services import wired

bp = Blueprint("guides", __name__)


@dataclass(frozen=True, slots=True)
class Guide:
    """One guide; its page is ``docs/guides/<name>.html``."""

    name: str
    title: str
    gives: str  #: what its reader has at the end

    @property
    def template(self) -> str:
        return f"docs/guides/{self.name}.html"


#: In the order in which a shop needs them.
GUIDES: Final = (
    Guide("redirect", "A checkout that redirects", "Shoppers pay on our page and come back; your server hears it."),
    Guide("widget", "A checkout inside your page", "Shoppers pay in your storefront, without leaving it."),
    Guide("returning-customers", "Returning customers", "Whom you know is asked for nothing twice: buying again is one call."),
    Guide("payment-links", "Payment links", "An address that asks for money, for a mail, a bill or a QR code."),
    Guide("first-payout", "Your first payout", "What shoppers have paid arrives in your bank account."),
    Guide("stuck-payout", "When a payout is stuck", "What each state and each case means, where to look, which verb ends it."),
    Guide("ledger", "How the ledger works", "Where every cent of one order stands, account by account, to the bank."),
)  # fmt: skip
_BY_NAME: Final = {guide.name: guide for guide in GUIDES}


@bp.get("/docs/<name>")
def guide(name: str) -> Response:
    """One guide."""
    found = _BY_NAME.get(name) or abort(404)
    page = render_template(
        found.template,
        guide=found,
        guides=GUIDES,
        server=wired().settings.public_url,
        cases=list(payout_cases()),
    )
    return compressed(guard(Response(page, content_type="text/html; charset=utf-8")))


def payout_cases() -> Iterator[dict[str, Any]]:
    """Each kind of case that a command on payouts helps with: what it means, what to do, what to type."""
    for name, kind in KINDS.items():
        if any(action.startswith("checkout payouts") for action in kind.actions):
            yield {
                "name": name,
                "meaning": kind.meaning,
                "steps": [step.replace("{subject}", "PAYOUT") for step in STEPS.get(name, GENERAL)],
                "commands": [action.replace("{subject}", "PAYOUT") for action in kind.actions],
            }
