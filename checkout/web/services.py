"""What the doors of HTTP need of the built services, and where they find it. The composition root provides it."""

from __future__ import annotations

from typing import Protocol, cast

from flask import current_app

from checkout.api_keys import ApiKeys
from checkout.config import Settings
from checkout.context import Context
from checkout.evidence_import import EvidenceImport
from checkout.inbox import Inbox
from checkout.paying.customers import Customers
from checkout.paying.links import Links
from checkout.paying.payments import Payments
from checkout.paying.shopper import Shopper
from checkout.refunding.refunds import Refunds


class Wired(Protocol):
    """The part of ``checkout.app.Services`` that views use; importing that class would turn the arrow around."""

    @property
    def context(self) -> Context: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def api_keys(self) -> ApiKeys: ...
    @property
    def payments(self) -> Payments: ...
    @property
    def customers(self) -> Customers: ...
    @property
    def links(self) -> Links: ...
    @property
    def evidence_import(self) -> EvidenceImport: ...
    @property
    def refunds(self) -> Refunds: ...
    @property
    def shopper(self) -> Shopper: ...
    @property
    def inbox(self) -> Inbox: ...


def wired() -> Wired:
    """The services of the application that is answering."""
    return cast("Wired", current_app.extensions["checkout"])
