"""Guides, one page each: what to do from the first line to the last, with code that a test has run as it stands there.

What the service itself knows (cases, problems, scopes, settings that live needs) comes from the tables that it works by, so
that no page falls behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from flask import Blueprint, Response, abort, current_app, render_template

from checkout.api_keys import SCOPES
from checkout.cases import KINDS
from checkout.config import Mode, Settings
from checkout.errors import SettingsRefused
from checkout.recovery import GENERAL, STEPS
from checkout.rules import notifications
from checkout.rules.allowances import PER_MINUTE
from checkout.web.operations import SECURITY
from checkout.web.pages import compressed, guard
from checkout.web.remedies import remedied
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
    Guide("quickstart", "Quickstart", "A shop of 30 lines takes a payment and learns that it is paid."),
    Guide("redirect", "A checkout that redirects", "Shoppers pay on our page and come back; your server hears it."),
    Guide("widget", "A checkout inside your page", "Shoppers pay in your storefront, without leaving it."),
    Guide("returning-customers", "Returning customers", "Whom you know is asked for nothing twice: buying again is one call."),
    Guide("payment-links", "Payment links", "An address that asks for money, for a mail, a bill or a QR code."),
    Guide("notifications", "Notifications", "Your server is told, verifies it, and loses nothing while it is down."),
    Guide("errors", "Errors", "Why each problem comes, what to do about it, and when to send a request again."),
    Guide("testing", "Testing", "Everything that can happen to a payment happens on your machine, when you say so."),
    Guide("keys", "Keys, scopes and limits", "A key for each program, for what it needs and no more, changed without a pause."),
    Guide("versioning", "What stays and what may change", "A program that goes on working with every later release."),
    Guide("going-live", "Going live", "What to set, register and try before the first real cent."),
    Guide("first-payout", "Your first payout", "What shoppers have paid arrives in your bank account."),
    Guide("stuck-payout", "When a payout is stuck", "What each state and each case means, where to look, which verb ends it."),
    Guide("ledger", "How the ledger works", "Where every cent of one order stands, account by account, to the bank."),
)  # fmt: skip
METHODS: Final = ("get", "post", "put", "delete")
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
        **FACTS.get(name, dict)(),
    )
    return compressed(guard(Response(page, content_type="text/html; charset=utf-8")))


def families() -> dict[str, list[str]]:
    """Every type of notification, by the family that an endpoint may ask for as a whole."""
    return {
        family: [kind for kind in notifications.KINDS if notifications.wanted(kind, [family])]
        for family in notifications.FAMILIES
    }


def scopes() -> list[dict[str, Any]]:
    """Each scope of a key: what it lets one do, and which operations ask for it."""
    paths = current_app.extensions["checkout-openapi"][0]["paths"]
    operations = [
        (f"{method.upper()} {path}", one)
        for path, item in paths.items()
        for method, one in item.items()
        if method in METHODS
    ]
    return [
        {
            "name": scope,
            "what": what,
            "operations": [
                (one["operationId"], words) for words, one in operations if one["security"] == [{SECURITY: [scope]}]
            ],
        }
        for scope, what in SCOPES.items()
    ]


def live_settings() -> list[tuple[str, str]]:
    """What live mode cannot start without: each variable, and how to come by it, in the words of the refusal itself."""
    try:
        Settings.from_env({"CHECKOUT_MODE": Mode.LIVE.value})
    except SettingsRefused as refused:
        return [(name, reason.removeprefix("is missing; ")) for name, reason in refused.problems]
    raise AssertionError("live mode has settings that it needs")


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


#: What a guide shows beside its own words.
FACTS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = MappingProxyType(
    {
        "notifications": lambda: {"families": families()},
        "errors": lambda: {"problems": remedied()},
        "keys": lambda: {"scopes": scopes(), "per_minute": PER_MINUTE},
        "going-live": lambda: {"needed": live_settings()},
        "stuck-payout": lambda: {"cases": list(payout_cases())},
    }
)
