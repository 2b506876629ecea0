"""Stores: made and changed by an operator. API keys are shown once and stored hashed; notification secrets sealed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from checkout import sealing, signing
from checkout.config import Mode
from checkout.context import Context
from checkout.destinations.addresses import NETWORKS, address_fits
from checkout.errors import NotAuthenticated, NotFound, NotPermitted, NotPossible, RequestRefused
from checkout.rules.money import CURRENCY_EXPONENTS
from checkout.rules.urls import normal_origin, shop_url_problem, web_url_problem
from checkout.store import stores as rows
from checkout.store.engine import Taken
from checkout.store.moves import record_act
from checkout.store.records import StoreRow
from checkout.treasury import PEGS

KEY_PREFIX: Final = {Mode.SANDBOX: "sk_test_", Mode.LIVE: "sk_live_"}
#: What a key is for, and the words in its row.
STOREFRONT: Final = "storefront"
TREASURY: Final = "treasury"
SCOPES: Final = {STOREFRONT: "read write", TREASURY: "treasury"}
RETURN_URLS: Final = ("success_url", "exit_url", "error_url", "support_url")
#: A replaced notification secret signs beside the new one for this long.
SECRET_OVERLAP: Final = timedelta(hours=24)
NAME_MAX: Final = 120


@dataclass(frozen=True, slots=True)
class NewStore:
    id: str
    api_key: str = field(repr=False)


class Stores:
    """The operator's verbs on stores, and the API's one question: whose key is this?"""

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
        exact = [normal_origin(one, sandbox=self._sandbox) for one in origins]
        if not origins or None in exact:
            problems["origin"] = (
                "name at least one origin like https://shop.example (http only for loopback in the sandbox)"
            )
        if problems:
            raise RequestRefused(problems)
        context = self._context
        now = context.clock()
        ident = context.new_id("sto")
        key = self._new_key()
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
                rows.insert_key(
                    unit,
                    {
                        "id": context.new_id("key"), "store_id": ident, "key_hash": sealing.token_hash(key),
                        "hint": key[:12], "scopes": "read write", "created_at": now, "created_by": who,
                    },
                )  # fmt: skip
                record_act(
                    unit, context.new_id("act"), who=who, action="store created", subject=ident,
                    detail={"name": name, "origins": exact}, at=now,
                )  # fmt: skip
        except Taken:
            raise NotPossible(f"there is a store {name!r} already") from None
        return NewStore(ident, key)

    def _new_key(self) -> str:
        return KEY_PREFIX[self._context.settings.mode] + secrets.token_urlsafe(32)

    def new_key(self, store_name: str, *, who: str, scope: str = STOREFRONT) -> str:
        """One more API key for a store; the old ones go on working until revoked. A key of a scope can do that alone."""
        context = self._context
        store = self.find(store_name)
        now = context.clock()
        key = self._new_key()
        with context.database.write() as unit:
            rows.insert_key(
                unit,
                {
                    "id": context.new_id("key"), "store_id": store.id, "key_hash": sealing.token_hash(key),
                    "hint": key[:12], "scopes": SCOPES[scope], "created_at": now, "created_by": who,
                },
            )  # fmt: skip
            record_act(
                unit, context.new_id("act"), who=who, action="key created", subject=store.id, at=now,
                detail={"hint": key[:12], "scope": scope},
            )  # fmt: skip
        return key

    def set(self, store_name: str, changes: Mapping[str, str | None], *, who: str) -> str | None:
        """Change return URLs, the notification endpoint or the destination address; a new notification secret, or None."""
        store = self.find(store_name)
        chosen = {name: value for name, value in changes.items() if value is not None}
        problems = self._problems(store, chosen)
        if problems:
            raise RequestRefused(problems)
        context = self._context
        now = context.clock()
        secret = signing.generate_webhook_secret() if "notify_url" in chosen else None
        with context.database.write() as unit:
            if chosen:
                rows.update_store(unit, store.id, **chosen)
            if secret is not None:
                rows.expire_notification_secrets(unit, store.id, at=now + context.scaled(SECRET_OVERLAP))
                rows.insert_notification_secret(
                    unit,
                    {
                        "id": context.new_id("sec"), "store_id": store.id,
                        "secret_sealed": context.sealer.seal_text(secret), "created_at": now, "created_by": who,
                    },
                )  # fmt: skip
            record_act(
                unit,
                context.new_id("act"),
                who=who,
                action="store changed",
                subject=store.id,
                detail=dict(chosen),
                at=now,
            )
        return secret

    def _problems(self, store: StoreRow, chosen: Mapping[str, str]) -> dict[str, str]:
        problems: dict[str, str] = {}
        origins = json.loads(store.origins)
        for name in RETURN_URLS:
            problem = shop_url_problem(chosen[name], origins, sandbox=self._sandbox) if name in chosen else None
            if problem is not None:
                problems[name] = problem
        if "notify_url" in chosen:
            problem = web_url_problem(chosen["notify_url"], sandbox=self._sandbox)
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
        except Taken:
            raise NotPossible(f"{scope} is paused already") from None

    def resume(self, scope: str, *, who: str) -> None:
        """End a pause."""
        context = self._context
        target = scope if scope == "all" else self.find(scope).id
        with context.database.write() as unit:
            if not rows.release_pause(unit, target, who=who, at=context.clock()):
                raise NotPossible(f"{scope} is not paused")

    def find(self, ident_or_name: str) -> StoreRow:
        with self._context.database.read() as unit:
            store = rows.find_store(unit, ident_or_name)
        if store is None:
            raise NotFound("store", ident_or_name)
        return store

    def all(self) -> list[StoreRow]:
        with self._context.database.read() as unit:
            return rows.list_stores(unit)

    def of_key(self, api_key: str, *, scope: str = STOREFRONT) -> StoreRow:
        """The store a key belongs to; NotAuthenticated for any other text, NotPermitted for a storefront's key elsewhere.

        To the storefront's API a key of another scope is no key at all.
        """
        with self._context.database.read() as unit:
            found = rows.store_by_key_hash(unit, sealing.token_hash(api_key))
        store, scopes = found if found is not None else (None, frozenset[str]())
        permitted = frozenset(SCOPES[scope].split()) <= scopes
        if store is None or (not permitted and scope == STOREFRONT):
            raise NotAuthenticated("the store key is not known, or revoked")
        if not permitted:
            raise NotPermitted(f"the key has not the scope {scope}")
        return store
