"""Returning customers: what a shop knows of a person, kept sealed, and known to Stable Mint by one UUID of ours.

Pay-by-bank cannot be pulled: a returning customer is asked less, and approves every payment at the bank.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from checkout.context import Context
from checkout.errors import LostRace, NotFound, RequestRefused
from checkout.providers.session_request import customer_problems
from checkout.store import refunds, request_keys
from checkout.store import stores as rows
from checkout.store.engine import Taken, Unit
from checkout.store.moves import record_act
from checkout.store.records import CustomerRow, StoreRow
from checkout.store.request_keys import Keyed, Repeated, once

#: Tries to store a customer that another request is storing at the same moment.
RACES_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Person:
    """What a shop says of a customer. ``None`` was not said."""

    external_id: str
    email: str | None = field(default=None, repr=False)
    country: str | None = None
    kyc: Mapping[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Payer:
    """A customer as a session needs it: the stored facts, with what this request adds."""

    provider_user_id: str
    email: str | None = field(repr=False)
    country: str | None
    kyc: dict[str, str] = field(repr=False)


class Customers:
    """The storefront's verbs on its customers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def put(self, store: StoreRow, person: Person, *, keyed: Keyed | None = None) -> tuple[CustomerRow, bool]:
        """Store the customer as given, replacing what was known; (row, True) when it is new.

        Raises RequestRefused with every bad field. An erased customer becomes a new one, with another UUID. A repeat under a
        key replaces nothing: what was said since then stays.
        """
        context = self._context
        now = context.clock()
        problems = customer_problems(person.email, person.country, person.kyc or {}, now=now, prefix="")
        if problems:
            raise RequestRefused(problems)
        said = Person(person.external_id, person.email, person.country, person.kyc or {})
        for _ in range(RACES_MAX):
            ident = self._row_id(store.id, person.external_id)
            try:
                with once(context.database, keyed, ident, at=now) as unit:
                    known = rows.customer_by_external_id(unit, store.id, person.external_id)
                    new = known is None or known.erased_at is not None
                    keep(unit, context, store.id, said, now=now, ident=ident)
                    row = rows.customer_by_id(unit, ident)
            except Taken:
                continue
            except Repeated:
                return self.get(store.id, person.external_id), False
            if row is None:  # pragma: no cover - customers are never deleted
                raise NotFound("customer", person.external_id)
            return row, new
        raise LostRace("the customer could not be stored; try again")

    def _row_id(self, store_id: str, external_id: str) -> str:
        """Of the customer's row, or of the one it will have."""
        with self._context.database.read() as unit:
            known = rows.customer_by_external_id(unit, store_id, external_id)
        return self._context.new_id("cus") if known is None else known.id

    def get(self, store_id: str, external_id: str) -> CustomerRow:
        """One customer of the store; NotFound for another's and for one that was erased."""
        with self._context.database.read() as unit:
            row = rows.customer_by_external_id(unit, store_id, external_id)
        if row is None or row.erased_at is not None:
            raise NotFound("customer", external_id)
        return row

    def kyc_fields(self, row: CustomerRow) -> list[str]:
        """Names of the facts that are stored, never the facts."""
        return sorted(_opened_kyc(self._context, row))

    def erase(self, store_id: str, external_id: str, *, who: str, keyed: Keyed | None = None) -> None:
        """Forget the person: e-mail, country, KYC and the accounts of ended refunds. Money rows stay. Erasing twice is once.

        A repeat under a key erases nothing: the customer may have been stored again since.
        """
        context = self._context
        now = context.clock()
        with context.database.read() as unit:
            known = rows.customer_by_external_id(unit, store_id, external_id)
        if known is None:
            raise NotFound("customer", external_id)
        with suppress(Repeated), once(context.database, keyed, known.id, at=now) as unit:
            row = rows.customer_by_id(unit, known.id)
            if row is None or row.erased_at is not None:
                return
            rows.update_customer(
                unit, row.id, email_sealed=None, country=None, kyc_sealed=None, erased_at=now, updated_at=now
            )
            refunds.forget_creditors(unit, row.id)
            request_keys.forget_fingerprints(unit, row.id)
            record_act(
                unit, context.new_id("act"), who=who, action="customer erased", subject=row.id, detail={}, at=now
            )  # fmt: skip


def payer(context: Context, row: CustomerRow | None, said: Person) -> Payer:
    """What a session would be told: what this request says, else what is stored. A new customer gets a UUID."""
    if row is None or row.erased_at is not None:
        return Payer(context.new_uuid(), said.email, said.country, dict(said.kyc or {}))
    kyc = _opened_kyc(context, row) if said.kyc is None else dict(said.kyc)
    email = said.email or _opened_email(context, row)
    return Payer(row.provider_user_id, email, said.country or row.country, kyc)


def keep(
    unit: Unit, context: Context, store_id: str, said: Person, *, now: datetime, provider_user_id: str | None = None,
    ident: str | None = None,
) -> str:  # fmt: skip
    """Store what the shop said of its customer, in the transaction that needs it; the row's id.

    What was not said stays as it is. ``provider_user_id`` is what a request about to be sent already carries, ``ident`` the
    row that it takes to be the customer's. Two at once are one: the second raises :class:`Taken`, and so does one whose
    customer got another UUID or row meanwhile.
    """
    sealer = context.sealer
    values: dict[str, Any] = {"updated_at": now, "erased_at": None}
    if said.email is not None:
        values["email_sealed"] = sealer.seal_text(said.email)
    if said.country is not None:
        values["country"] = said.country
    if said.kyc is not None:
        values["kyc_sealed"] = (
            sealer.seal_text(json.dumps(dict(said.kyc), ensure_ascii=False)) if said.kyc else None
        )  # fmt: skip
    row = rows.customer_by_external_id(unit, store_id, said.external_id)
    if row is None:
        ident = ident or context.new_id("cus")
        uuid = provider_user_id or context.new_uuid()
        fresh = {"id": ident, "store_id": store_id, "external_id": said.external_id, "created_at": now}
        rows.insert_customer(unit, fresh | {"provider_user_id": uuid} | values)
        return ident
    if row.erased_at is not None:
        values["provider_user_id"] = provider_user_id or context.new_uuid()
    elif provider_user_id not in (None, row.provider_user_id) or ident not in (None, row.id):
        raise Taken("the customer was stored by another request")
    rows.update_customer(unit, row.id, **values)
    return row.id


def stored_payer(context: Context, row: CustomerRow) -> Payer | None:
    """A stored customer, opened for the provider; None when the person was erased."""
    if row.erased_at is not None or row.email_sealed is None:
        return None
    return Payer(row.provider_user_id, _opened_email(context, row), row.country, _opened_kyc(context, row))


def _opened_email(context: Context, row: CustomerRow) -> str | None:
    return None if row.email_sealed is None else context.sealer.open_text(row.email_sealed)


def _opened_kyc(context: Context, row: CustomerRow) -> dict[str, str]:
    if row.kyc_sealed is None:
        return {}
    opened: dict[str, str] = json.loads(context.sealer.open_text(row.kyc_sealed))
    return opened
