"""Payout accounts: a bank account with its corridor, Stables customer and purpose code. Never changed, only replaced.

In live mode a new one is pending until a second person confirms it or 24 hours pass; replacing or retiring one voids its
open mandates. Stables is asked about the bank details before anything is stored; its silence does not stop an account.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, assert_never

from checkout.config import Mode
from checkout.context import Context
from checkout.enrolling.account_form import AccountForm, read_account
from checkout.errors import NotFound, NotPossible, RequestRefused
from checkout.providers.outcome import Accepted, Declined, Unknown
from checkout.providers.stables import Stables
from checkout.providers.stables_words import unknown_words, words_of
from checkout.rules.work import ACCOUNT_PENDING
from checkout.store import moves, payouts, stores
from checkout.store.engine import Taken, Unit
from checkout.store.moves import record_act
from checkout.store.records import PayoutAccountRow
from checkout.store.tables import payout_account

VALID: Final = "valid"
REFUSED: Final = "refused"
UNKNOWN: Final = "unknown"
#: A bank whose form the provider does not know at all is refused under these names (OBSERVED codes).
_CODE_FIELDS: Final = {
    "UNSUPPORTED_CURRENCY": "destination.currency",
    "UNSUPPORTED_PAYMENT_METHOD": "destination.network",
}


@dataclass(frozen=True, slots=True)
class _Opinion:
    """What Stables thinks of bank details; ``problems`` are not empty when it refuses them."""

    verdict: str | None  #: valid, refused, unknown; None: not asked
    words: str
    problems: dict[str, str]


class PayoutAccounts:
    """The operator's verbs on payout accounts."""

    def __init__(self, context: Context, stables: Stables) -> None:
        self._context = context
        self._stables = stables

    def add(self, store_name: str, content: object, *, who: str) -> dict[str, Any]:
        """Add (or replace, by name) an account from its JSON form; RequestRefused names every bad field.

        The same content again changes nothing and answers with the account that is there.
        """
        form = self._read(content)
        with self._context.database.read() as unit:
            store = stores.find_store(unit, store_name)
            if store is None:
                raise NotFound("store", store_name)
            namesakes = [one for one in payouts.payout_accounts(unit, store.id) if one.name == form.name]
        for one in namesakes:
            if self._is_same(one, form):
                return self._answer(one, form, ())
        return self._keep(store.id, form, namesakes, who)

    def replace(self, ident: str, content: object, *, who: str) -> dict[str, Any]:
        """Put another account in the place of one in use, whose open mandates are void from then on."""
        with self._context.database.read() as unit:
            account = _in_use(unit, ident)
        form = self._read(content, name=account.name)
        if self._is_same(account, form):
            raise NotPossible(f"payout account {ident} is this already: nothing differs")
        return self._keep(account.store_id, form, [account], who)

    def confirm(self, ident: str, *, who: str) -> None:
        """The second person's act. NotPossible for the one who added it."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            account = _in_use(unit, ident)
            if account.created_by == who:
                raise NotPossible("a second person confirms a payout account, not the one who added it")
            if account.confirmed_at is not None:
                raise NotPossible(f"payout account {ident} was confirmed by {account.confirmed_by}")
            payouts.update_payout_account(unit, ident, confirmed_at=now, confirmed_by=who)
            self._act(unit, ident, "payout account confirmed", {}, who, now)

    def retire(self, ident: str, *, who: str) -> None:
        """Take an account out of use; its open mandates are void. What has a transfer goes on with the provider."""
        now = self._context.clock()
        with self._context.database.write() as unit:
            self._end(unit, ident, "the payout account was retired", now)
            self._act(unit, ident, "payout account retired", {}, who, now)

    def check(self, ident: str, *, who: str) -> dict[str, Any]:
        """Ask Stables about a stored account's bank details; NotPossible where that cannot be asked."""
        context = self._context
        with context.database.read() as unit:
            account = _in_use(unit, ident)
        if not context.settings.stables.extras:
            raise NotPossible("the check is outside the published OpenAPI: set STABLES_EXTRAS=on to use it")
        opinion = self._ask(json.loads(context.sealer.open_text(account.bank_sealed)))
        now = context.clock()
        with context.database.write() as unit:
            payouts.update_payout_account(unit, ident, provider_check=opinion.verdict, provider_checked_at=now)
            self._act(unit, ident, "payout account checked", {"verdict": opinion.verdict}, who, now)
        return {"id": ident, "provider_check": opinion.verdict, "said": opinion.words, "fields": opinion.problems}

    def list(self, store_name: str, *, include_retired: bool = False) -> list[dict[str, Any]]:
        """The accounts in use (or all), without their bank details."""
        now = self._context.clock()
        with self._context.database.read() as unit:
            store = stores.find_store(unit, store_name)
            if store is None:
                raise NotFound("store", store_name)
            rows = payouts.payout_accounts(unit, store.id, include_retired=include_retired)
            return [_shown(one, now) for one in rows]

    def show(self, ident: str) -> dict[str, Any]:
        """One account, retired or not: its corridor, its checks, and who did what with it. No bank detail but the hint."""
        with self._context.database.read() as unit:
            account = payouts.payout_account_by_id(unit, ident)
            if account is None:
                raise NotFound("payout account", ident)
            acts = moves.acts_on(unit, ident)
        bank = json.loads(self._context.sealer.open_text(account.bank_sealed))
        return {
            **_shown(account, self._context.clock()),
            "bank_fields": sorted(bank), "replaces": account.replaces, "created_at": account.created_at,
            "created_by": account.created_by, "usable_at": account.usable_at, "confirmed_at": account.confirmed_at,
            "confirmed_by": account.confirmed_by, "retired_at": account.retired_at,
            "provider_checked_at": account.provider_checked_at,
            "acts": [{"at": one["at"], "who": one["who"], "action": one["action"]} for one in acts],
        }  # fmt: skip

    # --- inside ----------------------------------------------------------------------------------------------------

    @property
    def _live(self) -> bool:
        return self._context.settings.mode is Mode.LIVE

    def _read(self, content: object, *, name: str | None = None) -> AccountForm:
        today = self._context.clock().date()
        return read_account(content, today=today, extras_required=self._live, name=name)

    def _is_same(self, row: PayoutAccountRow, form: AccountForm) -> bool:
        same_columns = all(getattr(row, column) == value for column, value in form.columns.items())
        return same_columns and row.bank_digest == form.bank_digest

    def _keep(self, store_id: str, form: AccountForm, replaced: Sequence[PayoutAccountRow], who: str) -> dict[str, Any]:
        """Ask Stables, then store in one commit: the old ones retired, their mandates void, the new one in."""
        context = self._context
        opinion = self._ask(form.bank) if context.settings.stables.extras else _NOT_ASKED
        if opinion.problems:
            raise RequestRefused(opinion.problems)
        now = context.clock()
        ident = context.new_id("acc")
        asked_at = None if opinion.verdict is None else now
        try:
            with context.database.write() as unit:
                for one in replaced:
                    self._end(unit, one.id, "the payout account was replaced", now)
                    self._act(unit, one.id, "payout account replaced", {"by": ident}, who, now)
                payouts.insert_row(
                    unit,
                    payout_account,
                    {
                        **form.columns, "id": ident, "store_id": store_id,
                        "bank_sealed": context.sealer.seal_text(form.bank_text), "bank_digest": form.bank_digest,
                        "bank_hint": form.hint, "replaces": replaced[0].id if replaced else None,
                        "usable_at": now + context.scaled(ACCOUNT_PENDING) if self._live else now, "created_at": now,
                        "created_by": who, "provider_check": opinion.verdict, "provider_checked_at": asked_at,
                    },
                )  # fmt: skip
                detail = {"store": store_id, "name": form.name, "replaces": [one.id for one in replaced]}
                self._act(unit, ident, "payout account added", detail, who, now)
                row = _in_use(unit, ident)
        except Taken:
            raise NotPossible(
                f"there is an account called {form.name!r} already; replace that one, or use another name"
            ) from None
        return self._answer(row, form, () if opinion.verdict in (VALID, None) else (opinion.words,))

    def _end(self, unit: Unit, ident: str, because: str, at: datetime) -> None:
        """Out of use, and nothing approved for it holds any more; NotFound when somebody else was faster."""
        if not payouts.retire_payout_account(unit, ident, at=at):
            raise NotFound("payout account", ident)
        payouts.void_mandates(unit, because=because, at=at, account=ident)

    def _answer(self, row: PayoutAccountRow, form: AccountForm, more: Sequence[str]) -> dict[str, Any]:
        return {
            "id": row.id, "name": row.name, "bank": row.bank_hint, "state": _state(row, self._context.clock()),
            "replaces": row.replaces, "provider_check": row.provider_check, "warnings": [*form.warnings, *more],
        }  # fmt: skip

    def _ask(self, bank: Any) -> _Opinion:
        outcome = self._stables.validate_bank(bank)
        match outcome:
            case Accepted(value=check) if check.valid:
                return _Opinion(VALID, "Stables finds the bank details good", {})
            case Accepted(value=check):
                problems: dict[str, str] = {}
                for field, code, message in check.errors:
                    at = _CODE_FIELDS.get(code) or f"bank.{field.removeprefix('destination.') or 'account'}"
                    problems[at] = f"Stables refuses it: {message or code or 'no reason given'}"
                return _Opinion(REFUSED, "Stables refuses the bank details", problems or {"bank": "Stables refuses it"})
            case Declined():
                return _Opinion(UNKNOWN, f"Stables could not check the bank details: {words_of(outcome)}", {})
            case Unknown():
                return _Opinion(UNKNOWN, f"Stables could not check the bank details: {unknown_words(outcome)}", {})
            case _:
                assert_never(outcome)

    def _act(self, unit: Unit, subject: str, action: str, detail: dict[str, Any], who: str, at: datetime) -> None:
        record_act(unit, self._context.new_id("act"), who=who, action=action, subject=subject, detail=detail, at=at)


_NOT_ASKED: Final = _Opinion(None, "", {})


def _in_use(unit: Unit, ident: str) -> PayoutAccountRow:
    account = payouts.payout_account_by_id(unit, ident)
    if account is None or account.retired_at is not None:
        raise NotFound("payout account", ident)
    return account


def _state(row: PayoutAccountRow, now: datetime) -> str:
    if row.retired_at is not None:
        return "retired"
    return "usable" if row.confirmed_at is not None or now >= row.usable_at else "pending"


def _shown(row: PayoutAccountRow, now: datetime) -> dict[str, Any]:
    return {
        "id": row.id, "name": row.name, "bank": row.bank_hint, "asset": row.asset, "network": row.network,
        "currency": row.currency, "country": row.country, "rail": row.rail, "purpose_code": row.purpose_code,
        "stables_customer_id": row.stables_customer_id, "provider_check": row.provider_check, "state": _state(row, now),
    }  # fmt: skip
