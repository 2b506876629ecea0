"""Applying stored deliveries: one event, one transaction, at our own pace. Replay runs the same code with the same binding.

An event moves something only when it is bound to a session we opened: by the provider's reference, else its session id,
else both of our own identifiers together; and where it names a partner, that must be us. A valid signature alone proves
who spoke, not about whom.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from checkout.context import Context
from checkout.errors import AmountRefused, NotFound, NotPossible
from checkout.inbox import STABLE_MINT, EventState, Reading, read_body
from checkout.receiving import News, entered_by_hand, receive
from checkout.refunding.refund_news import NEWS, hear
from checkout.rules.deposits import MONEY_STAGES, stage_of
from checkout.rules.money import CURRENCY_EXPONENTS, Money, read_provider_amount
from checkout.rules.work import (
    EVENT_BACKOFF_MAX,
    EVENT_FAILURES_CASE,
    UNMATCHED_CASE_AFTER,
    UNMATCHED_GIVE_UP,
    backoff,
)
from checkout.store import events, merchants, payments, payouts, stores
from checkout.store.engine import Unit
from checkout.store.moves import close_by_proof, open_case, record_act, reopen_case
from checkout.store.records import EventRow, PaymentRow, SessionRow
from checkout.store.tables import event as event_table
from checkout.store.tables import payout as payout_table
from checkout.store.work import release, wake

#: Stables event types that we know (providers.md B2); those about transfers wake a payout, some ask for a person.
STABLES_KNOWN: Final = frozenset(
    {
        "customer.created", "customer.updated", "kyc_link.updated.status_transitioned", "transfer.created",
        "transfer.updated.status_transitioned", "quote.created", "quote.updated.status_transitioned",
        "virtual_account.created", "virtual_account.activity.created",
        "virtual_account.activity.updated.status_transitioned", "travel_rule.wallet_verification_required",
        "rfi.created", "rfi.updated", "rfi.resolved",
    }
)  # fmt: skip
#: After these a customer of ours is read again: what it may do has perhaps changed.
STABLES_ABOUT_CUSTOMERS: Final = frozenset(
    {"customer.created", "customer.updated", "kyc_link.updated.status_transitioned"}
)
STABLES_FOR_A_PERSON: Final = frozenset({"travel_rule.wallet_verification_required", "rfi.created", "rfi.updated"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an event."""

    state: EventState
    note: str = ""
    subject: str | None = None


class Parked(Exception):
    """The event cannot be applied; the verdict says why."""

    def __init__(self, state: EventState, note: str) -> None:
        super().__init__(note)
        self.verdict = Verdict(state, note)


class Events:
    """The worker's and the operator's verbs on stored deliveries."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def step(self, ident: str, token: str) -> None:
        """Apply one claimed event and record what became of it, in one commit."""
        context = self._context
        with context.database.read() as unit:
            row = events.event_by_id(unit, ident)
        if row is None:
            raise NotFound("event", ident)
        reading = read_body(row.provider, context.sealer.open(row.body_sealed))
        now = context.clock()
        with context.database.write() as unit:
            try:
                verdict = self._apply(unit, row, reading, now)
            except Parked as parked:
                verdict = parked.verdict
            self._conclude(unit, row, verdict, token, now)

    def fail(self, ident: str, token: str, error: str) -> None:
        """Our bug: keep the event, try again later, and after a few times ask for a person."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            row = events.event_by_id(unit, ident)
            attempts = (row.attempts if row else 0) + 1
            wait = context.scaled(backoff(attempts, longest=EVENT_BACKOFF_MAX, jitter=context.jitter()))
            release(
                unit, event_table, ident, token, due_at=now + wait, attempts=attempts,
                state=EventState.FAILED.value, note=error[:500],
            )  # fmt: skip
            if attempts >= EVENT_FAILURES_CASE:
                open_case(unit, context.new_id("case"), kind="event_failed", subject=ident, detail=error, at=now)

    def replay(self, ident: str, *, who: str) -> None:
        """Apply a stored event again. NotPossible for one whose signature was never accepted."""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            row = events.event_by_id(unit, ident)
            if row is None:
                raise NotFound("event", ident)
            if row.state == EventState.UNVERIFIED:
                raise NotPossible(f"event {ident} is unverified; use `checkout events reverify {ident}`")
            # one attempt, not none: it has been seen before, so there may be a case about it
            events.update_event(unit, ident, state=EventState.RECEIVED.value, due_at=now, attempts=1)
            record_act(
                unit,
                context.new_id("act"),
                who=who,
                action="event replayed",
                subject=ident,
                detail={},
                at=now,
            )

    def _conclude(self, unit: Unit, row: EventRow, verdict: Verdict, token: str, now: datetime) -> None:
        context = self._context
        due_at: datetime | None = None
        attempts = row.attempts + 1
        # nobody has a case about an event that is looked at for the first time
        seen_before = row.state != EventState.RECEIVED or row.applied_at is not None or row.attempts > 0
        if verdict.state is EventState.UNMATCHED:
            age = now - row.received_at
            if age < context.scaled(UNMATCHED_GIVE_UP):
                wait = backoff(attempts, longest=EVENT_BACKOFF_MAX, jitter=context.jitter())
                due_at = now + context.scaled(wait)
            if age >= context.scaled(UNMATCHED_CASE_AFTER):
                open_case(
                    unit, context.new_id("case"), kind="event_unmatched", subject=row.id,
                    detail=f"{row.event_type}: names no session or transfer of ours", at=now,
                )  # fmt: skip
        elif seen_before:
            close_by_proof(unit, kind="event_unmatched", subject=row.id, note="matched later", at=now)
            close_by_proof(unit, kind="event_failed", subject=row.id, note="applied later", at=now)
        if verdict.state is EventState.QUARANTINED:
            open_case(
                unit, context.new_id("case"), kind="event_quarantined", subject=row.id,
                detail=f"{row.event_type or 'unreadable'}: {verdict.note}", at=now,
            )  # fmt: skip
        elif verdict.state is not EventState.UNMATCHED and seen_before:
            close_by_proof(unit, kind="event_quarantined", subject=row.id, note="applied on replay", at=now)
        release(
            unit, event_table, row.id, token, due_at=due_at, attempts=attempts, state=verdict.state.value,
            note=verdict.note, subject=verdict.subject or row.subject, applied_at=now,
        )  # fmt: skip

    def _apply(self, unit: Unit, row: EventRow, reading: Reading, now: datetime) -> Verdict:
        if reading.problem:
            raise Parked(EventState.QUARANTINED, reading.problem)
        if row.note.startswith("event id of"):
            raise Parked(EventState.QUARANTINED, row.note)
        if row.provider != STABLE_MINT:
            return self._stables(unit, row, reading, now)
        if reading.event_type in NEWS:
            self._check_partner(reading.content)
            heard = hear(unit, self._context, row, reading, now)
            return Verdict(heard.state, heard.note, heard.subject)
        stated = stage_of(reading.event_type, reading.version, self._context.settings.stable_mint.v1_accepted_is)
        if stated is None:  # token transfers and the like: what nobody knows is a reading with a problem
            return Verdict(EventState.IGNORED, "known; moves nothing")
        return self._deposit(unit, row, reading, stated, now)

    # --- Stable Mint ---------------------------------------------------------------------------------------------

    def _deposit(self, unit: Unit, row: EventRow, reading: Reading, stated: str, now: datetime) -> Verdict:
        content = reading.content
        self._check_partner(content)
        session = self._bind(unit, reading)
        payment = payments.payment_by_id(unit, session.payment_id, lock=True)
        if payment is None:  # pragma: no cover - a foreign key holds it
            raise NotFound("payment", session.payment_id)
        reference = reading.reference or self._only_reference(unit, session)
        money = self._money(content) if stated in MONEY_STAGES else None
        deposit = payments.deposit_by_reference(unit, reference)
        if deposit is not None and money is not None and deposit.money not in (None, money):
            raise Parked(EventState.QUARANTINED, f"states {money}, an earlier event stated {deposit.money}")
        if money is not None and (deposit is None or deposit.money is None):
            self._doubt_evidence(unit, session, reference)
        self._learn_session_id(unit, session, content, now)
        foreign = self._is_foreign(unit, payment, content)
        news = News(reference, stated, money, foreign, f"event {row.id} {reading.event_type}")
        changed, ident = receive(unit, self._context, payment, session, deposit, news, now=now)
        return Verdict(EventState.APPLIED, "", ident) if changed else Verdict(EventState.IGNORED, "nothing new", ident)

    def _doubt_evidence(self, unit: Unit, session: SessionRow, reference: str) -> None:
        """Money under one reference, after a person has entered the session's money under another: is it the same money?"""
        for one in entered_by_hand(unit, session, but=reference):
            raise Parked(
                EventState.QUARANTINED,
                f"names {reference[:60]}, and {one.reference[:60]} of its session was entered by hand. The same money: "
                f"`checkout deposits known-as {one.id}`; more money: `checkout deposits settled {session.id} --another`",
            )

    def _check_partner(self, content: dict[str, Any]) -> None:
        """V1 carries partnerId, both carry partnerName: where they are present they must be ours."""
        settings = self._context.settings.stable_mint
        for name, ours in (("partnerId", settings.partner_id), ("partnerName", settings.partner_name)):
            stated = content.get(name)
            if ours is not None and stated is not None and stated != ours:
                raise Parked(EventState.QUARANTINED, f"{name} is not ours")

    def _bind(self, unit: Unit, reading: Reading) -> SessionRow:
        """The one session the event is about. Identifiers that name different sessions are a contradiction."""
        content = reading.content
        provider_session = _text(content, "sessionId")
        website, key = _text(content, "websiteReference"), _text(content, "idempotencyKey")
        deposit = None if reading.reference is None else payments.deposit_by_reference(unit, reading.reference)
        named = payments.sessions_named(
            unit,
            reference=reading.reference,
            provider_session_id=provider_session,
            ours=None if website is None or key is None else (website, key),
        )
        if deposit is not None and all(one.id != deposit.session_id for one in named):
            owner = payments.session_by_id(unit, deposit.session_id)
            named = [*named, *([owner] if owner is not None else [])]
        if not named:
            raise Parked(EventState.UNMATCHED, "names no session of ours yet")
        session = named[0]
        agrees = (
            all(one.id == session.id for one in named)
            and website in (None, session.website_reference)
            and key in (None, session.provider_key)
            and (provider_session is None or session.provider_session_id in (None, provider_session))
        )
        if not agrees:
            raise Parked(EventState.QUARANTINED, "its identifiers name different sessions")
        return session

    def _only_reference(self, unit: Unit, session: SessionRow) -> str:
        """Which deposit an event without a reference is about: the session's one, if there is no doubt."""
        known = [
            one.reference for one in payments.deposits_of(unit, session.payment_id) if one.session_id == session.id
        ]
        if not known and session.reference is not None:
            return session.reference
        if not known:  # the session's answer or another event may still bring one
            raise Parked(EventState.UNMATCHED, "names no reference, and its session has none yet")
        if len(known) > 1:
            raise Parked(EventState.QUARANTINED, "names no reference, and its session has several deposits")
        return known[0]

    def _money(self, content: dict[str, Any]) -> Money:
        currency = content.get("currency")
        if not isinstance(currency, str):
            raise Parked(EventState.QUARANTINED, "the event names no currency")
        if currency.upper() not in CURRENCY_EXPONENTS:  # no deposit is in a stablecoin: that takes a settlement record
            raise Parked(EventState.QUARANTINED, f"{currency[:20]!r} is not a currency a payment may have")
        try:
            money = read_provider_amount(content.get("amount"), currency.upper())
        except AmountRefused as problem:
            raise Parked(EventState.QUARANTINED, str(problem)) from None
        if money.minor == 0:
            raise Parked(EventState.QUARANTINED, "the amount is zero")
        return money

    def _learn_session_id(self, unit: Unit, session: SessionRow, content: dict[str, Any], now: datetime) -> None:
        """The provider's session id comes only with events; other events may be waiting for it."""
        stated = _text(content, "sessionId")
        if stated is not None and session.provider_session_id is None:
            payments.update_session(unit, session.id, provider_session_id=stated)
            events.make_unmatched_due(unit, now=now, reference=session.reference, session_id=stated)

    def _is_foreign(self, unit: Unit, payment: PaymentRow, content: dict[str, Any]) -> bool:
        """Whether the event says the money went elsewhere: a type other than Partner, or an address that is not ours."""
        kind = _text(content, "blockchainDestinationType")
        if kind is not None and kind != "Partner":
            return True
        address = _text(content, "blockchainDestinationAddress")
        if address is None:
            return False
        store = stores.find_store(unit, payment.store_id)
        ours = None if store is None else store.destination_address
        return ours is not None and address.casefold() != ours.casefold()

    # --- Stables -------------------------------------------------------------------------------------------------

    def _stables(self, unit: Unit, row: EventRow, reading: Reading, now: datetime) -> Verdict:
        """Stables' events are thin: they wake the payout, which reads the transfer before it acts."""
        if reading.event_type not in STABLES_KNOWN:
            raise Parked(EventState.QUARANTINED, "unknown event type")
        if reading.event_type in STABLES_FOR_A_PERSON:
            reopen_case(
                unit, self._context.new_id("case"), kind=reading.event_type.split(".")[0],
                subject=(reading.reference or row.id)[:64], at=now,
                detail=f"{reading.event_type}: see the provider's dashboard for what it asks and until when",
            )  # fmt: skip
            return Verdict(EventState.APPLIED, "waits for a person")
        if reading.event_type in STABLES_ABOUT_CUSTOMERS:
            return self._customer(unit, reading, now)
        if not reading.event_type.startswith("transfer."):
            return Verdict(EventState.IGNORED, "known; moves nothing")
        transfer = None
        if reading.reference is not None:
            transfer = payouts.transfer_by_provider_id(unit, reading.reference)
        if transfer is None:
            raise Parked(EventState.UNMATCHED, "names no transfer of ours yet")
        wake(unit, payout_table, transfer.payout_id, now=now)
        return Verdict(EventState.APPLIED, "the payout looks at its transfer", transfer.payout_id)

    def _customer(self, unit: Unit, reading: Reading, now: datetime) -> Verdict:
        """News of a customer says nothing by itself: it makes the worker read where the customer stands."""
        detail = reading.content.get("event_object")
        named = _text(detail, "customer_id") if isinstance(detail, dict) else None
        if named is None and reading.event_type.startswith("customer."):
            named = reading.reference
        if named is None or not merchants.is_ours(unit, named.lower()):
            return Verdict(EventState.IGNORED, "names no customer that we pay out for")
        merchants.make_standing_due(unit, named.lower(), now=now)
        return Verdict(EventState.APPLIED, "the customer is read again", named.lower())


def _text(content: dict[str, Any], name: str) -> str | None:
    value = content.get(name)
    return value if isinstance(value, str) and value else None
