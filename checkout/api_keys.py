"""Stores' API keys: made by an operator and shown once, asked for at every request, ended at once or at a time.

Only a hash is kept. Keys are never changed: a key with other scopes or another limit is another key, and both work until
the earlier one is revoked, so that a shop changes them without a moment in which neither does.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from checkout import sealing
from checkout.allowances import Allowances
from checkout.config import Mode
from checkout.context import Context
from checkout.errors import KeyOutOfPlace, NotAuthenticated, NotFound, NotPossible, RequestRefused, ScopeMissing
from checkout.rules.allowances import PER_MINUTE_MAX
from checkout.store import api_keys as rows
from checkout.store import stores
from checkout.store.engine import Unit
from checkout.store.moves import record_act
from checkout.store.records import ApiKeyRow, StoreRow

KEY_PREFIX: Final = {Mode.SANDBOX: "sk_test_", Mode.LIVE: "sk_live_"}
KEY_BYTES: Final = 32  # 256 bits: nobody guesses one, so that a plain hash keeps it
HINT_CHARS: Final = 12

READ: Final = "read"
WRITE: Final = "write"
REFUNDS: Final = "refunds"
TREASURY: Final = "treasury"
#: What each lets a key do.
SCOPES: Final = {
    READ: "look at payments, customers, payment links and refunds",
    WRITE: "open and cancel payments, store and erase customers, make payment links",
    REFUNDS: "ask for refunds",
    TREASURY: "enter and read evidence of what arrived",
}
#: What a shop's server needs. To ask for a refund sends nothing: a person, or the store's own limit, approves it.
STOREFRONT: Final = (READ, WRITE, REFUNDS)

LABEL_MAX: Final = 80
OVERLAP_MAX: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. ``api_key`` is shown this once."""

    id: str
    api_key: str = field(repr=False)


class ApiKeys:
    """The operator's verbs on keys, and the API's one question: whose is this, and may it?"""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._allowances = Allowances(context)

    def admit(self, api_key: str, *, scope: str) -> StoreRow:
        """The store a key belongs to, for one request that needs ``scope``.

        NotAuthenticated for any text that is no key in force, KeyOutOfPlace for a key of the other mode, TooManyRequests when
        its minute is used up, ScopeMissing when it may do other things only.
        """
        context = self._context
        self._check_mode(api_key)
        with context.database.read() as unit:
            # by its hash, in an index: how long that takes says nothing of how much of a guess was right
            bearer = rows.bearer_of(unit, sealing.token_hash(api_key))
        if bearer is None or ended(bearer, context.clock()):
            raise NotAuthenticated("the store key is not known, or revoked")
        self._allowances.spend(bearer.key_id, bearer.per_minute)
        if scope not in bearer.scopes:
            raise ScopeMissing(scope)
        return bearer.store

    def create(
        self,
        store_name: str,
        *,
        who: str,
        scopes: Sequence[str] = STOREFRONT,
        per_minute: int | None = None,
        label: str | None = None,
    ) -> NewKey:
        """One more key for a store. RequestRefused names what is wrong; ``per_minute`` None is the default limit."""
        problems = _problems(scopes, per_minute, label)
        if problems:
            raise RequestRefused(problems)
        with self._context.database.write() as unit:
            return add_key(
                self._context, unit, _store(unit, store_name).id, who=who, scopes=scopes, per_minute=per_minute,
                label=label,
            )  # fmt: skip

    def of_store(self, store_name: str) -> list[ApiKeyRow]:
        """Every key the store ever had, oldest first."""
        with self._context.database.read() as unit:
            return rows.keys_of(unit, _store(unit, store_name).id)

    def revoke(self, ident: str, *, who: str, after: timedelta | None = None) -> ApiKeyRow:
        """End a key at once, or ``after`` a while in which another takes over; said again, the new end counts."""
        if after is not None and not timedelta() < after <= OVERLAP_MAX:
            raise RequestRefused({"in": f"must be more than 0 and at most {OVERLAP_MAX.days} days"})
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            row = rows.key_by_id(unit, ident, lock=True)
            if row is None:
                raise NotFound("key", ident)
            if ended(row, now):
                raise NotPossible(f"the key {ident} was revoked at {row.revoked_at:%Y-%m-%d %H:%M}Z already")
            ends = now if after is None else now + after
            rows.end_key(unit, ident, at=ends)
            record_act(
                unit, context.new_id("act"), who=who, action="key revoked", subject=row.store_id, at=now,
                detail={"key": ident, "hint": row.hint, "ends": ends.isoformat()},
            )  # fmt: skip
        return replace(row, revoked_at=ends)

    def _check_mode(self, api_key: str) -> None:
        mode = self._context.settings.mode
        for other, prefix in KEY_PREFIX.items():
            if other is not mode and api_key.startswith(prefix):
                raise KeyOutOfPlace(
                    f"This is a key of {other.value} mode (`{prefix}…`), and this installation is in {mode.value} mode. "
                    f"Send a key made here (`{KEY_PREFIX[mode]}…`), or ask the other installation."
                )


def add_key(
    context: Context,
    unit: Unit,
    store_id: str,
    *,
    who: str,
    scopes: Sequence[str] = STOREFRONT,
    per_minute: int | None = None,
    label: str | None = None,
) -> NewKey:
    """Insert a key, with its act, in a transaction that is open: a store is made together with its first."""
    now = context.clock()
    made = NewKey(context.new_id("key"), KEY_PREFIX[context.settings.mode] + secrets.token_urlsafe(KEY_BYTES))
    words = " ".join(one for one in SCOPES if one in scopes)
    hint = made.api_key[:HINT_CHARS]
    rows.insert_key(
        unit,
        {
            "id": made.id, "store_id": store_id, "key_hash": sealing.token_hash(made.api_key), "hint": hint,
            "label": label, "scopes": words, "per_minute": per_minute, "created_at": now, "created_by": who,
        },
    )  # fmt: skip
    record_act(
        unit, context.new_id("act"), who=who, action="key created", subject=store_id, at=now,
        detail={"key": made.id, "hint": hint, "scopes": words, "per_minute": per_minute, "label": label},
    )  # fmt: skip
    return made


def ended(key: ApiKeyRow | rows.Bearer, now: datetime) -> bool:
    """Whether it is a key no more."""
    return key.revoked_at is not None and key.revoked_at <= now


def _store(unit: Unit, name: str) -> StoreRow:
    found = stores.find_store(unit, name)
    if found is None:
        raise NotFound("store", name)
    return found


def _problems(scopes: Sequence[str], per_minute: int | None, label: str | None) -> dict[str, str]:
    problems: dict[str, str] = {}
    if not scopes or not set(scopes) <= set(SCOPES):
        problems["scope"] = f"name one or more of {', '.join(SCOPES)}"
    if per_minute is not None and not 0 < per_minute <= PER_MINUTE_MAX:
        problems["per_minute"] = f"must be from 1 to {PER_MINUTE_MAX:,} requests"
    if label is not None and not (label.strip() and len(label) <= LABEL_MAX and label.isprintable()):
        problems["label"] = f"use 1 to {LABEL_MAX} printable characters"
    return problems
