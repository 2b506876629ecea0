"""Stores: made and changed by an operator, each change with its act. Notification secrets are shown once and sealed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from checkout.api_keys import add_key
from checkout.config import Mode
from checkout.context import Context
from checkout.destinations.addresses import NETWORKS, address_fits
from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.rules.money import CURRENCY_EXPONENTS
from checkout.rules.urls import RETURN_URLS, normal_origin, return_url_problems
from checkout.store import stores as rows
from checkout.store.engine import Taken
from checkout.store.moves import record_act
from checkout.store.records import StoreRow
from checkout.telling.endpoints import point_first, url_problem
from checkout.treasury import PEGS

NAME_MAX: Final = 120
ORIGIN_WANTED: Final = "name at least one origin like https://shop.example (http only for loopback in the sandbox)"


@dataclass(frozen=True, slots=True)
class NewStore:
    id: str
    key_id: str
    api_key: str = field(repr=False)


class Stores:
    """The operator's verbs on stores."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def _sandbox(self) -> bool:
        return self._context.settings.mode is Mode.SANDBOX

    def create(self, name: str, origins: Sequence[str], *, who: str) -> NewStore:
        """Make a store with its first API key. RequestRefused names bad fields; NotPossible when the name is in use."""
        problems: dict[str, str] = {}
        name = name.strip()
        if not name or len(name) > NAME_MAX or not name.isprintable():
            problems["name"] = f"use 1 to {NAME_MAX} printable characters"
        exact = self._exact(origins)
        if exact is None:
            problems["origin"] = ORIGIN_WANTED
        if problems:
            raise RequestRefused(problems)
        context = self._context
        now = context.clock()
        ident = context.new_id("sto")
        try:
            with context.database.write() as unit:
                rows.insert_store(
                    unit,
                    {
                        "id": ident,
                        "name": name,
                        "origins": json.dumps(exact),
                        "created_at": now,
                        "created_by": who,
                    },
                )
                key = add_key(context, unit, ident, who=who)
                record_act(
                    unit, context.new_id("act"), who=who, action="store created", subject=ident,
                    detail={"name": name, "origins": exact}, at=now,
                )  # fmt: skip
        except Taken:
            raise NotPossible(f"there is a store {name!r} already") from None
        return NewStore(ident, key.id, key.api_key)

    def _exact(self, origins: Sequence[str]) -> list[str] | None:
        """The origins in the form browsers send them, each once; None unless all of them are such."""
        found = [normal_origin(one, sandbox=self._sandbox) for one in origins]
        exact = [one for one in dict.fromkeys(found) if one is not None]
        return exact if found and None not in found else None

    def set(
        self, store_name: str, changes: Mapping[str, str | None], *, who: str, origins: Sequence[str] = ()
    ) -> str | None:
        """Change return URLs, the notification endpoint or the destination address; a new notification secret, or None.

        ``origins``, where given, are all that are allowed from now on. RequestRefused while something stored returns to
        another: a return URL of the store, or a payment link that is still active.
        """
        store = self.find(store_name)
        chosen = {name: value for name, value in changes.items() if value is not None}
        problems: dict[str, str] = {}
        if origins:
            exact = self._exact(origins)
            if exact is None:
                raise RequestRefused({"origin": ORIGIN_WANTED})
            problems = self._left_behind(store, exact, chosen)
            store = replace(store, origins=json.dumps(exact))
            chosen["origins"] = store.origins
        problems |= self._problems(store, chosen)
        if problems:
            raise RequestRefused(problems)
        context = self._context
        now = context.clock()
        notify_url = chosen.get("notify_url")
        columns = {name: value for name, value in chosen.items() if name != "notify_url"}
        secret: str | None = None
        with context.database.write() as unit:
            if columns:
                rows.update_store(unit, store.id, **columns)
            if notify_url is not None:
                secret = point_first(unit, context, store.id, url=notify_url, who=who, now=now)
            record_act(
                unit,
                context.new_id("act"),
                who=who,
                action="store changed",
                subject=store.id,
                detail={**chosen, **({"origins": json.loads(chosen["origins"])} if "origins" in chosen else {})},
                at=now,
            )
        return secret

    def _left_behind(self, store: StoreRow, exact: list[str], chosen: Mapping[str, str]) -> dict[str, str]:
        """What returns to an origin that would not be allowed any more, and what to do about it first."""
        stored = {name: getattr(store, name) for name in RETURN_URLS if name not in chosen}
        problems = {
            name: f"is stored as {stored[name]}: keep its origin, or give --{name.replace('_', '-')} anew with it"
            for name in return_url_problems(stored, exact, sandbox=self._sandbox)
        }
        with self._context.database.read() as unit:
            links = rows.return_urls_of_links(unit, store.id, now=self._context.clock())
        needing = [ident for ident, urls in links if return_url_problems(urls, exact, sandbox=self._sandbox)]
        if needing:
            problems["origin"] = (
                f"{len(needing)} active payment links return to an origin that is left out, {needing[0]} first: keep it, "
                "or deactivate them (POST /v1/payment_links/{id}/deactivate)"
            )
        return problems

    def _problems(self, store: StoreRow, chosen: Mapping[str, str]) -> dict[str, str]:
        problems = return_url_problems(chosen, json.loads(store.origins), sandbox=self._sandbox)
        if "notify_url" in chosen:
            problem = url_problem(self._context, chosen["notify_url"])
            if problem is not None:
                problems["notify_url"] = problem
        address = chosen.get("destination_address")
        if address is not None and not any(
            address_fits(address, network, sandbox=self._sandbox) for network in NETWORKS["USDT"]
        ):
            problems["destination_address"] = "it is not an address of a network that Stables pays out from"
        return problems

    def rule(
        self,
        store_name: str,
        *,
        currency: str,
        asset: str,
        network: str,
        evidence: str,
        settles_gross: bool,
        who: str,
    ) -> None:
        """Say what a currency's settled deposits become, and what counts as evidence of it (money.md section 2)."""
        store = self.find(store_name)
        problems: dict[str, str] = {}
        if currency not in CURRENCY_EXPONENTS:
            problems["currency"] = "it is not a currency this service knows"
        if asset not in NETWORKS:
            problems["asset"] = f"must be one of {', '.join(NETWORKS)}"
        elif network not in NETWORKS[asset]:
            problems["network"] = f"Stables takes {asset} on {', '.join(sorted(NETWORKS[asset]))}"
        if evidence == "declared" and (PEGS.get(asset) != currency or not settles_gross):
            problems["evidence"] = (
                "declared needs --settles-gross and the asset's own peg (USD for USDC and USDT); use recorded"
            )
        if problems:
            raise RequestRefused(problems)
        context = self._context
        now = context.clock()
        values = {
            "store_id": store.id, "currency": currency, "asset": asset, "network": network, "evidence": evidence,
            "settles_gross": settles_gross, "created_at": now, "created_by": who,
        }  # fmt: skip
        with context.database.write() as unit:
            rows.set_rule(unit, values)
            detail: dict[str, Any] = {
                "currency": currency,
                "asset": asset,
                "network": network,
                "evidence": evidence,
            }
            record_act(
                unit,
                context.new_id("act"),
                who=who,
                action="settlement rule set",
                subject=store.id,
                detail=detail,
                at=now,
            )

    def pause(self, scope: str, *, reason: str, who: str) -> None:
        """Stop money from leaving, for a store or ``all``."""
        context = self._context
        now = context.clock()
        target = scope if scope == "all" else self.find(scope).id
        try:
            with context.database.write() as unit:
                rows.insert_pause(
                    unit,
                    {
                        "id": context.new_id("pau"),
                        "scope": target,
                        "reason": reason,
                        "created_at": now,
                        "created_by": who,
                    },
                )
                record_act(
                    unit,
                    context.new_id("act"),
                    who=who,
                    action="paused",
                    subject=target,
                    detail={"reason": reason},
                    at=now,
                )
        except Taken:
            raise NotPossible(f"{scope} is paused already") from None

    def resume(self, scope: str, *, who: str) -> None:
        """End a pause."""
        context = self._context
        target = scope if scope == "all" else self.find(scope).id
        now = context.clock()
        with context.database.write() as unit:
            if not rows.release_pause(unit, target, who=who, at=now):
                raise NotPossible(f"{scope} is not paused")
            record_act(unit, context.new_id("act"), who=who, action="resumed", subject=target, detail={}, at=now)

    def find(self, ident_or_name: str) -> StoreRow:
        with self._context.database.read() as unit:
            store = rows.find_store(unit, ident_or_name)
        if store is None:
            raise NotFound("store", ident_or_name)
        return store

    def all(self) -> list[StoreRow]:
        with self._context.database.read() as unit:
            return rows.list_stores(unit)
