"""Asking for money back, and the named person's verbs: approve, give details, say with evidence what became of it.

The API only asks. What is sent needs a person's approval, or stays inside a limit that an operator has set for the store.
The sending itself is the worker's (:mod:`checkout.refunding.refund_sending`), once; what the provider says is heard in
:mod:`checkout.refunding.refund_news`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from checkout.config import Mode
from checkout.context import Context
from checkout.errors import IdempotencyReused, NotFound, NotPossible, RequestRefused
from checkout.inbox import STABLE_MINT, read_body
from checkout.paying.customers import stored_payer
from checkout.providers.withdrawal_request import (
    HOSTED,
    PARTNER,
    amount_problem,
    detail_problems,
    missing_details,
    plain_account,
)
from checkout.refunding.refund_limits import approve_by_limit
from checkout.refunding.refund_moves import deposit_of, has_left, locked, moved, reserve, settle_lock, tell
from checkout.rules.money import Money
from checkout.rules.refunds import RefundState, refundable
from checkout.store import events, payments, refunds, stores
from checkout.store.engine import Unit
from checkout.store.moves import record_act, record_move
from checkout.store.pages import Page
from checkout.store.records import DepositRow, PaymentRow, RefundRow, StoreRow
from checkout.store.request_keys import Keyed, Repeated, once

#: Refunds of one payment, failed ones too.
REFUNDS_MAX: Final = 50
HOSTED_REFUSED: Final = (
    "the payment's customer is managed by Stable Mint (flow hosted): we know no account of theirs, and /withdrawal/hosted is "
    "not configured. Ask Stable Mint whether your account may use it, then `checkout refunds rule STORE --currency C "
    "--hosted-withdrawal`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRefund:
    """What is asked for. ``deposit``: which receipt it is paid from, when there are several."""

    amount: Money
    idempotency_key: str
    deposit: str | None = None
    details: Mapping[str, str] = field(default_factory=dict, repr=False)

    def digest(self) -> str:
        content = [self.amount.minor, self.amount.currency, self.deposit, dict(self.details)]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class RefundAnswer:
    """A refund as it is shown: no detail of a person, only which are there and which are missing."""

    row: RefundRow
    payment: PaymentRow
    given: tuple[str, ...]
    missing: tuple[str, ...]
    account_hint: str | None = field(repr=False)
    shopper_url: str | None = field(repr=False)


class Refunds:
    """The storefront's one request, and the operator's verbs."""

    def __init__(self, context: Context) -> None:
        self._context = context

    # --- asking --------------------------------------------------------------------------------------------------

    def request(
        self, payment_id: str, wanted: NewRefund, *, who: str, store: StoreRow | None = None
    ) -> tuple[RefundAnswer, bool]:
        """Ask for a refund and reserve its money; (answer, True) when this call made it. Nothing is sent by asking.

        ``store``: whose key asked; a store's limit approves only what its own API asks for. Raises NotFound,
        RequestRefused (all bad fields), IdempotencyReused, and NotPossible with the reason.
        """
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            payment = payments.payment_by_id(unit, payment_id, lock=True)
            if payment is None or (store is not None and payment.store_id != store.id):
                raise NotFound("payment", payment_id)
            known = refunds.refund_by_key(unit, payment.id, wanted.idempotency_key)
            if known is not None:
                if known.request_hash != wanted.digest():
                    raise IdempotencyReused("this Idempotency-Key was used with other content; use a new key")
                return self._answer(unit, payment, known), False
            deposit = self._acceptable(unit, payment, wanted)
            row = self._store(unit, payment, deposit, wanted, who, now)
            if store is not None:
                row = approve_by_limit(unit, self._context, payment, deposit, row, now=now)
            return self._answer(unit, payment, row), True

    def _acceptable(self, unit: Unit, payment: PaymentRow, wanted: NewRefund) -> DepositRow:
        """The deposit that the refund is paid from; refused with every reason that can be told."""
        call = call_of(payment)
        rule = refunds.rule_of(unit, payment.store_id, wanted.amount.currency)
        if call == HOSTED and (rule is None or not rule["hosted_withdrawal"]):
            raise NotPossible(HOSTED_REFUSED)
        problems = detail_problems(call, wanted.details)
        sandbox = self._context.settings.mode is Mode.SANDBOX
        if problem := amount_problem(wanted.amount, sandbox=sandbox):
            problems["amount"] = [problem]
        if problems:
            raise RequestRefused(problems)
        earlier = refunds.refunds_of(unit, payment.id)
        if len(earlier) >= REFUNDS_MAX:
            raise NotPossible(f"the payment has had {REFUNDS_MAX} refunds")
        deposits = payments.deposits_of(unit, payment.id)
        left = refundable([one.facts for one in deposits], [one.facts for one in earlier])
        return _chosen(payment, deposits, left, wanted)

    def _store(
        self, unit: Unit, payment: PaymentRow, deposit: DepositRow, wanted: NewRefund, who: str, now: datetime
    ) -> RefundRow:
        context = self._context
        ident = context.new_id("ref")
        values = {
            "id": ident, "payment_id": payment.id, "deposit_id": deposit.id, "idempotency_key": wanted.idempotency_key,
            "request_hash": wanted.digest(), "amount_minor": wanted.amount.minor, "currency": wanted.amount.currency,
            "state": RefundState.REQUESTED.value, "creditor_sealed": self._sealed(wanted.details), "moves": 1,
            "created_at": now, "requested_by": who[:80], "updated_at": now,
        }  # fmt: skip
        refunds.insert_refund(unit, values)
        row = refunds.refund_by_id(unit, ident)
        if row is None:  # pragma: no cover - it was stored above
            raise NotFound("refund", ident)
        state = self.standing(unit, payment, row)
        if not has_left(deposit):
            reserve(unit, payment, row, name="reserved-1", now=now)
        refunds.update_refund(unit, ident, state=state.value, reserved=not has_left(deposit))
        record_move(unit, ident, 1, None, state, cause="asked for", who=who, at=now)
        record_act(
            unit, context.new_id("act"), who=who[:80], action="refund requested", subject=ident, at=now,
            detail={"payment": payment.id, "deposit": deposit.id, "amount": wanted.amount.fixed(),
                    "currency": wanted.amount.currency},
        )  # fmt: skip
        row = self._again(unit, ident)
        tell(unit, context, payment, row, missing=self._missing(unit, payment, row), now=now)
        settle_lock(unit, context, payment, row, cause="refund requested", who=who, now=now)
        return row

    # --- details -------------------------------------------------------------------------------------------------

    def give_details(
        self,
        ident: str,
        given: Mapping[str, str],
        *,
        who: str,
        store: StoreRow | None = None,
        keyed: Keyed | None = None,
    ) -> RefundAnswer:
        """Add or replace details until the refund is approved; what was approved stays as it was seen.

        A repeat under a key replaces nothing: what was given since then stays.
        """
        context = self._context
        now = context.clock()
        try:
            with once(context.database, keyed, ident, at=now) as unit:
                payment, row = locked(unit, ident)
                if store is not None and payment.store_id != store.id:
                    raise NotFound("refund", ident)
                if row.refund_state not in (
                    RefundState.REQUESTED,
                    RefundState.NEEDS_DETAILS,
                    RefundState.NEEDS_FUNDING,
                ):
                    raise NotPossible(f"refund {ident} is {row.state}; its details cannot change any more")
                if row.approved_by is not None:
                    raise NotPossible(f"refund {ident} was approved by {row.approved_by} with the details it has")
                problems = detail_problems(call_of(payment), given) if given else {"details": ["give at least one"]}
                if problems:
                    raise RequestRefused(problems)
                sealed = self._sealed({**self._opened(row), **given})
                refunds.update_refund(unit, ident, creditor_sealed=sealed, updated_at=now)
                record_act(
                    unit, context.new_id("act"), who=who[:80], action="refund details given", subject=ident, at=now,
                    detail={"names": sorted(given)},
                )  # fmt: skip
                row = self.restand(unit, payment, self._again(unit, ident), cause="details given", who=who, now=now)
                if store is not None:
                    row = approve_by_limit(unit, context, payment, deposit_of(unit, row), row, now=now)
                return self._answer(unit, payment, row)
        except Repeated:
            return self.get(ident, store=store)

    def restand(
        self, unit: Unit, payment: PaymentRow, row: RefundRow, *, cause: str, who: str, now: datetime
    ) -> RefundRow:
        """Move it to where it belongs, after something about it has changed."""
        after = self.standing(unit, payment, row)
        if after is row.refund_state:
            return row
        missing = self._missing(unit, payment, row)
        return moved(unit, self._context, payment, row, after, cause=cause, who=who, now=now, missing=missing)

    def standing(self, unit: Unit, payment: PaymentRow, row: RefundRow) -> RefundState:
        """Where a refund that was not sent belongs, by what is known now."""
        if self._missing(unit, payment, row):
            return RefundState.NEEDS_DETAILS
        left = has_left(deposit_of(unit, row)) and row.funded_at is None
        return RefundState.NEEDS_FUNDING if left else RefundState.REQUESTED

    # --- approving -----------------------------------------------------------------------------------------------

    def approve(self, ident: str, *, who: str) -> RefundAnswer:
        """Let the worker send it: exactly this amount, to the account given, once. Approving twice is NotPossible."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            payment, row = locked(unit, ident)
            missing = self._missing(unit, payment, row)
            if row.refund_state is RefundState.NEEDS_DETAILS:
                raise NotPossible(
                    f"refund {ident} still needs {', '.join(missing)}; give them with `checkout refunds details {ident}`"
                )
            if row.refund_state is RefundState.NEEDS_FUNDING:
                raise NotPossible(
                    f"the funds of refund {ident} have left Stable Mint; bring {row.amount} there, then `checkout refunds "
                    f"resolve {ident} funded --evidence TEXT`"
                )
            if row.refund_state is not RefundState.REQUESTED:
                raise NotPossible(f"refund {ident} is {row.state}; only a requested refund can be approved")
            if row.approved_by is not None:
                raise NotPossible(f"refund {ident} was approved by {row.approved_by} already")
            paused = stores.why_paused(unit, payment.store_id)
            if paused is not None:
                raise NotPossible(paused)
            approval = {"approved_by": who, "approved_at": now, "due_at": now, "in_doubt_since": None}
            refunds.update_refund(unit, ident, **approval, updated_at=now)
            record_act(
                unit, context.new_id("act"), who=who, action="refund approved", subject=ident, at=now,
                detail={"amount": row.amount.fixed(), "currency": row.currency, "to": _hint(self._opened(row))},
            )  # fmt: skip
            return self._answer(unit, payment, self._again(unit, ident))

    # --- showing -------------------------------------------------------------------------------------------------

    def get(self, ident: str, *, store: StoreRow | None = None, payment_id: str | None = None) -> RefundAnswer:
        """One refund; NotFound for another store's."""
        with self._context.database.read() as unit:
            row = refunds.refund_by_id(unit, ident)
            payment = None if row is None else payments.payment_by_id(unit, row.payment_id)
            foreign = payment is not None and (
                (store is not None and payment.store_id != store.id) or payment_id not in (None, payment.id)
            )
            if row is None or payment is None or foreign:
                raise NotFound("refund", ident)
            return self._answer(unit, payment, row)

    def page(
        self, *, store_id: str | None = None, payment_id: str | None = None, states: Sequence[str] = (), limit: int,
        starting_after: str | None = None,
    ) -> tuple[list[RefundAnswer], bool]:  # fmt: skip
        """Refunds, newest first, and whether there are more. NotFound for a payment that is not the store's."""
        with self._context.database.read() as unit:
            if payment_id is not None:
                owner = payments.payment_by_id(unit, payment_id)
                if owner is None or store_id not in (None, owner.store_id):
                    raise NotFound("payment", payment_id)
            rows = refunds.list_refunds(
                unit, store_id=store_id, payment_id=payment_id, states=states, limit=limit + 1, after=starting_after
            )
            answers = [self._answer(unit, self._payment(unit, row), row) for row in rows[:limit]]
        return answers, len(rows) > limit

    def history(
        self, store_id: str, payment_id: str, page: Page, *, states: Sequence[str] = ()
    ) -> tuple[list[RefundAnswer], bool]:
        """A page of a payment's refunds, and whether there are more. NotFound for a payment that is not the store's."""
        with self._context.database.read() as unit:
            payment = payments.payment_by_id(unit, payment_id)
            if payment is None or payment.store_id != store_id:
                raise NotFound("payment", payment_id)
            found, more = refunds.refunds_on_page(unit, payment_id, page, states=states)
            return [self._answer(unit, payment, row) for row in found], more

    def _payment(self, unit: Unit, row: RefundRow) -> PaymentRow:
        payment = payments.payment_by_id(unit, row.payment_id)
        if payment is None:  # pragma: no cover - a foreign key holds it
            raise NotFound("payment", row.payment_id)
        return payment

    def refundable(self, payment_id: str) -> dict[str, Money]:
        """What may still be refunded of each of a payment's deposits."""
        with self._context.database.read() as unit:
            deposits = payments.deposits_of(unit, payment_id)
            taken = refunds.refunds_of(unit, payment_id)
        return refundable([one.facts for one in deposits], [one.facts for one in taken])

    # --- details of a person, opened here and in sending alone ---------------------------------------------------

    def known_details(self, unit: Unit, payment: PaymentRow, row: RefundRow) -> dict[str, str]:
        """What was given, with what we know by ourselves: the customer's e-mail, or the id the provider knows them by."""
        known = self._opened(row)
        if call_of(payment) == HOSTED:
            if "user_unique_id" not in known and (ident := self._managed_customer(unit, row.deposit_id)) is not None:
                known["user_unique_id"] = ident
            return known
        customer = None if payment.customer_id is None else stores.customer_by_id(unit, payment.customer_id)
        payer = None if customer is None else stored_payer(self._context, customer)
        if "user_email" not in known and payer is not None and payer.email is not None:
            known["user_email"] = payer.email
        return known

    def _managed_customer(self, unit: Unit, deposit_id: str) -> str | None:
        """``customerId`` of the deposit's own events. That it is the withdrawal's ``userUniqueId`` is INFERRED."""
        for event in events.events_on(unit, deposit_id):
            found = read_body(STABLE_MINT, self._context.sealer.open(event.body_sealed)).content.get("customerId")
            if isinstance(found, str) and found and not detail_problems(HOSTED, {"user_unique_id": found}):
                return found
        return None

    def _missing(self, unit: Unit, payment: PaymentRow, row: RefundRow) -> tuple[str, ...]:
        return missing_details(call_of(payment), self.known_details(unit, payment, row))

    def _sealed(self, details: Mapping[str, str]) -> bytes | None:
        text = json.dumps(dict(details), ensure_ascii=False)
        return self._context.sealer.seal_text(text) if details else None

    def _opened(self, row: RefundRow) -> dict[str, str]:
        if row.creditor_sealed is None:
            return {}
        opened: dict[str, str] = json.loads(self._context.sealer.open_text(row.creditor_sealed))
        return opened

    def _again(self, unit: Unit, ident: str) -> RefundRow:
        row = refunds.refund_by_id(unit, ident)
        if row is None:  # pragma: no cover - refunds are never deleted
            raise NotFound("refund", ident)
        return row

    def _answer(self, unit: Unit, payment: PaymentRow, row: RefundRow) -> RefundAnswer:
        given = self._opened(row)
        missing = self._missing(unit, payment, row) if row.refund_state is RefundState.NEEDS_DETAILS else ()
        sealed = row.shopper_url_sealed
        url = None if sealed is None else self._context.sealer.open_text(sealed)
        return RefundAnswer(row, payment, tuple(sorted(given)), missing, _hint(given), url)


def call_of(payment: PaymentRow) -> str:
    """Which withdrawal a payment's refunds take: by who manages its customer."""
    return HOSTED if payment.flow == "hosted" else PARTNER


def _hint(details: Mapping[str, str]) -> str | None:
    """Enough of the account to know it again, too little to pay it."""
    account = plain_account(details.get("creditor_account", ""))
    return f"{account[:4]}…{account[-4:]}" if len(account) > 12 else ("…" + account[-2:] if account else None)


def _chosen(
    payment: PaymentRow, deposits: Sequence[DepositRow], left: Mapping[str, Money], wanted: NewRefund
) -> DepositRow:
    """The deposit to pay from: the named one, else one whose funds are still there, money of no order first."""
    candidates = [one for one in deposits if one.id in left and left[one.id].currency == wanted.amount.currency]
    if wanted.deposit is not None:
        candidates = [one for one in candidates if wanted.deposit in (one.id, one.reference)]
    if not candidates:
        raise NotPossible(f"nothing in {wanted.amount.currency} has been received that could be refunded")
    roomy = [one for one in candidates if wanted.amount <= left[one.id]]
    if not roomy:
        rooms = ", ".join(f"{left[one.id]} of deposit {one.id}" for one in candidates)
        raise NotPossible(f"{wanted.amount} is more than can be refunded: {rooms}")
    return min(roomy, key=lambda one: (has_left(one), one.id == payment.counted_deposit_id, one.created_at, one.id))
