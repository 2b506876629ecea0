"""Opening sessions at Stable Mint. A session row is the attempt: its two identifiers are committed before the first byte.

An unknown outcome is retried under the same key. When the replay is refused, has no URL, or the key's time is over, the
session is lost (nobody was given its URL; its events still correlate) and a new one with new identifiers opens at once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, assert_never

from checkout import sealing
from checkout.context import Context
from checkout.errors import NotFound, NotPossible, ProviderCallsBusy
from checkout.paying.customers import Payer, stored_payer
from checkout.paying.reckoning import reckon
from checkout.providers.outcome import Accepted, Declined, Outcome, Unknown
from checkout.providers.session_request import SessionRequest
from checkout.providers.stable_mint import OpenedSession
from checkout.providers.wire_json import as_heard
from checkout.rules.payments import SessionState, Status
from checkout.rules.urls import PageDomain, page_allowed
from checkout.rules.work import SESSION_RETRY_WINDOW, backoff
from checkout.store import events, payments, stores
from checkout.store.engine import Taken, Unit
from checkout.store.moves import open_case, reopen_case
from checkout.store.records import PaymentRow, SessionRow, StoreRow
from checkout.store.request_keys import Keyed, once
from checkout.store.tables import session as session_table
from checkout.store.work import release

#: Sessions opened for one payment without anybody asking; then a person looks.
AUTOMATIC_MAX: Final = 5
#: Sessions of one payment in all, asked for or not.
SESSIONS_MAX: Final = 20
RETRY_AFTER_S: Final = 2

#: A payment in these may have a fresh session: nothing is paid, no money is under way, and the shop did not cancel.
RENEWABLE: Final = frozenset({Status.CREATED, Status.OPEN, Status.FAILED, Status.EXPIRED})


class SessionOpener(Protocol):
    """Stable Mint, as far as opening goes."""

    def validate(self, request: SessionRequest) -> None: ...

    def open_session(self, request: SessionRequest) -> Outcome[OpenedSession]: ...


class ProviderGate:
    """At most so many threads of a process inside provider calls, so that a slow provider cannot block webhook intake."""

    def __init__(self, limit: int) -> None:
        self._places = threading.BoundedSemaphore(limit)

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Take a place or raise :class:`ProviderCallsBusy` at once."""
        if not self._places.acquire(blocking=False):
            raise ProviderCallsBusy(RETRY_AFTER_S)
        try:
            yield
        finally:
            self._places.release()


@dataclass(frozen=True, slots=True)
class Draft:
    """A session about to be opened: what goes into its row and what goes to the provider."""

    session_id: str
    payment_id: str
    token: str  #: the lease
    return_token: str
    request: SessionRequest
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Sent:
    """What the provider said, and when the session is open the payment as that left it."""

    outcome: Outcome[OpenedSession]
    payment: PaymentRow | None = None
    reference: str | None = None


class Sessions:
    """Opens sessions, for the web and for the worker alike."""

    def __init__(self, context: Context, stable_mint: SessionOpener) -> None:
        self._context = context
        self._stable_mint = stable_mint

    def draft(self, payment: PaymentRow, store: StoreRow, payer: Payer | None) -> Draft:
        """Choose new identifiers and build the request; raises RequestRefused when the provider could not take it."""
        context = self._context
        return_token = sealing.token()
        request = self._request(payment, store, payer, context.new_uuid(), context.new_uuid(), return_token)
        self._stable_mint.validate(request)
        return Draft(context.new_id("ses"), payment.id, sealing.token(), return_token, request)

    def _request(
        self,
        payment: PaymentRow,
        store: StoreRow,
        payer: Payer | None,
        website_reference: str,
        provider_key: str,
        return_token: str,
    ) -> SessionRequest:
        base = f"{self._context.settings.public_url}/return/{return_token}"
        hosted = payment.flow == "hosted"
        return SessionRequest(
            flow=payment.flow,
            amount=payment.asked,
            currency=payment.currency,
            country=payment.country,
            success_url=f"{base}/success",
            exit_url=f"{base}/exit",
            error_url=f"{base}/error",
            support_url=f"{base}/support",
            idempotency_key=provider_key,
            website_reference=website_reference,
            custom_fields={"order": payment.order_ref},
            destination_address=store.destination_address if hosted else None,
            payment_method=payment.payment_method if hosted else None,
            user_id=None if payer is None else payer.provider_user_id,
            user_email=None if payer is None else payer.email,
            kyc={} if payer is None else payer.kyc,
        )

    def insert(self, unit: Unit, payment: PaymentRow, draft: Draft, *, number: int, now: datetime) -> None:
        """Store the session, leased to its opener: should that process die, the worker goes on under the same key."""
        context = self._context
        payments.insert_session(
            unit,
            {
                "id": draft.session_id,
                "payment_id": payment.id,
                "number": number,
                "state": SessionState.SENDING.value,
                "website_reference": draft.request.website_reference,
                "provider_key": draft.request.idempotency_key,
                "return_token_hash": sealing.token_hash(draft.return_token),
                "return_token_sealed": context.sealer.seal_text(draft.return_token),
                "first_sent_at": now,
                "created_at": now,
                "attempts": draft.attempts,
                "due_at": now,
                "lease_token": draft.token,
                "lease_until": now + context.lease,
            },
        )

    def send(self, draft: Draft, *, replay: bool = False) -> Sent:
        """Call the provider, with no transaction open, and record what it said.

        A lost session is followed by a new one at once, a bounded number of times.
        """
        recorded = self._record(draft, self._stable_mint.open_session(draft.request), replay=replay)
        while isinstance(recorded, Draft):
            draft = recorded
            recorded = self._record(draft, self._stable_mint.open_session(draft.request), replay=False)
        return recorded

    def step(self, ident: str, token: str) -> None:
        """The worker's turn: send a claimed session again under its key."""
        context = self._context
        with context.database.read() as unit:
            session = payments.session_by_id(unit, ident)
            if session is None:
                raise NotFound("session", ident)
            payment, store, payer = self._parties(unit, session.payment_id)
        return_token = context.sealer.open_text(session.return_token_sealed)
        request = self._request(payment, store, payer, session.website_reference, session.provider_key, return_token)
        draft = Draft(ident, payment.id, token, return_token, request, session.attempts)
        if payment.cancelled_at is not None or payment.expired_at is not None:
            self._end(draft, "the payment ended before the session opened")
            return
        if payment.flow != "hosted" and payer is None:
            self._end(draft, "the customer was erased before the session opened")
            return
        self.send(draft, replay=True)

    def fresh(
        self, payment_id: str, *, unless_usable: bool = False, keyed: Keyed | None = None
    ) -> Outcome[OpenedSession] | None:
        """Open one more session for a payment; None when one is being opened, or is usable and that is enough.

        An expired payment is open again with it; what comes through its older sessions is then late. Raises NotPossible
        when the payment is paid, cancelled or under way, or has had its sessions; Repeated when the key has opened one.
        """
        context = self._context
        with context.database.read() as unit:
            payment, store, payer = self._parties(unit, payment_id)
        if payment.flow != "hosted" and payer is None:
            raise NotPossible("the customer was erased; open another payment")
        draft = self.draft(payment, store, payer)
        now = context.clock()
        with once(context.database, keyed, payment_id, at=now) as unit:
            locked = payments.payment_by_id(unit, payment_id, lock=True)
            sessions = payments.sessions_of(unit, payment_id)
            if locked is None or any(one.session_state is SessionState.SENDING for one in sessions):
                return None
            if locked.state not in RENEWABLE:
                raise NotPossible(f"the payment is {locked.status}; a new session cannot open")
            if len(sessions) >= SESSIONS_MAX:
                raise NotPossible(f"the payment has had {SESSIONS_MAX} sessions; open another payment")
            domains = context.settings.stable_mint.page_domains
            usable = usable_session(sessions, locked.flow, domains=domains, now=now)
            if unless_usable and usable is not None and locked.state in (Status.CREATED, Status.OPEN):
                return None
            learnt: dict[str, Any] = {"expires_at": max(locked.expires_at or now, now)}
            if locked.expired_at is not None:
                payments.end_sessions(unit, payment_id, at=locked.expired_at)
                learnt["expired_at"] = None
            self.insert(unit, locked, draft, number=len(sessions) + 1, now=now)
            reckon(unit, context, locked, cause="a fresh session", now=now, **learnt)
        return self.send(draft).outcome

    def _parties(self, unit: Unit, payment_id: str) -> tuple[PaymentRow, StoreRow, Payer | None]:
        payment = payments.payment_by_id(unit, payment_id)
        if payment is None:
            raise NotFound("payment", payment_id)
        store = stores.find_store(unit, payment.store_id)
        if store is None:  # pragma: no cover - a foreign key holds it
            raise NotFound("store", payment.store_id)
        row = None if payment.customer_id is None else stores.customer_by_id(unit, payment.customer_id)
        return payment, store, None if row is None else stored_payer(self._context, row)

    def _record(self, draft: Draft, outcome: Outcome[OpenedSession], *, replay: bool) -> Draft | Sent:
        """Store the outcome; a draft of the next session when this one is lost."""
        successor: Draft | None = None
        match outcome:
            case Accepted(value=opened) if _usable(draft.request.flow, opened):
                try:
                    return Sent(outcome, self._open(draft, opened), opened.reference)
                except Taken:
                    successor = self._lose(draft, "the provider's reference already belongs to another session")
            case Accepted(value=opened):
                why = "; ".join(opened.problems) or "the answer had no session to send a shopper to"
                successor = self._lose(draft, why)
            case Declined() if replay:
                successor = self._lose(draft, f"the replay was refused: {outcome.message}")
            case Declined():
                self._decline(draft, outcome)
            case Unknown():
                successor = self._unknown(draft, outcome)
            case _:
                assert_never(outcome)
        return successor or Sent(outcome)

    def _open(self, draft: Draft, opened: OpenedSession) -> PaymentRow:
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            payment = self._locked(unit, draft)
            widget = None if opened.widget is None else context.sealer.seal(as_heard(opened.widget))
            self._release(
                unit, draft, state=SessionState.OPEN, reference=opened.reference,
                provider_session_id=opened.session_id, url=opened.url, widget_sealed=widget, expires_at=opened.expires_at,
                problem="; ".join(opened.problems) or None,
            )  # fmt: skip
            ends = [moment for moment in (payment.expires_at, opened.expires_at) if moment is not None]
            cause = f"session {draft.session_id} opened"
            payment = reckon(unit, context, payment, cause=cause, now=now, expires_at=max(ends, default=None))
            events.make_unmatched_due(unit, now=now, reference=opened.reference, session_id=opened.session_id)
        return payment

    def _release(
        self, unit: Unit, draft: Draft, *, state: SessionState, due_at: datetime | None = None, **values: Any
    ) -> None:
        """Record a session's answer and give its lease back; LostRace when the lease is not ours any more."""
        release(
            unit, session_table, draft.session_id, draft.token, due_at=due_at, attempts=draft.attempts + 1,
            state=state.value, **values,
        )  # fmt: skip

    def _decline(self, draft: Draft, outcome: Declined) -> None:
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            payment = self._locked(unit, draft)
            self._release(unit, draft, state=SessionState.DECLINED, problem=f"{outcome.status}: {outcome.message}")
            reckon(unit, context, payment, cause=f"session {draft.session_id} declined", now=now)
            if outcome.status in (401, 403):
                reopen_case(
                    unit, context.new_id("case"), kind="stable_mint_refuses_us", subject="installation",
                    detail=f"Stable Mint answered {outcome.status}: check API key, secret, private key and clock", at=now,
                )  # fmt: skip

    def _unknown(self, draft: Draft, outcome: Unknown) -> Draft | None:
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            self._locked(unit, draft)
            session = payments.session_by_id(unit, draft.session_id)
            if session is None:  # pragma: no cover - sessions are never deleted
                raise NotFound("session", draft.session_id)
            first = session.first_sent_at or session.created_at
            if now - first <= context.scaled(SESSION_RETRY_WINDOW):
                asked = timedelta(seconds=outcome.retry_after_s or 0)
                wait = max(asked, context.scaled(backoff(draft.attempts, jitter=context.jitter())))
                self._release(unit, draft, state=SessionState.SENDING, due_at=now + wait, problem=outcome.reason)
                return None
        return self._lose(draft, f"unknown for too long: {outcome.reason}")

    def _lose(self, draft: Draft, why: str) -> Draft | None:
        """Mark the session lost and, in the same commit, store its successor (or a case when there were too many)."""
        context = self._context
        with context.database.read() as unit:
            payment, store, payer = self._parties(unit, draft.payment_id)
        erased = payment.flow != "hosted" and payer is None
        successor = None if erased else self.draft(payment, store, payer)
        now = context.clock()
        with context.database.write() as unit:
            locked = self._locked(unit, draft)
            self._release(unit, draft, state=SessionState.LOST, problem=why)
            number = len(payments.sessions_of(unit, locked.id)) + 1
            if successor is None or locked.cancelled_at is not None or locked.expired_at is not None:
                reckon(unit, context, locked, cause=f"session {draft.session_id} lost", now=now)
                return None
            if number > AUTOMATIC_MAX:
                open_case(
                    unit, context.new_id("case"), kind="session_not_opened", subject=locked.id,
                    detail=f"{number - 1} sessions were lost; the last because: {why}", at=now,
                )  # fmt: skip
                reckon(unit, context, locked, cause=f"session {draft.session_id} lost", now=now)
                return None
            self.insert(unit, locked, successor, number=number, now=now)
            reckon(unit, context, locked, cause=f"session {draft.session_id} lost", now=now)
        return successor

    def _end(self, draft: Draft, why: str) -> None:
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            payment = self._locked(unit, draft)
            self._release(unit, draft, state=SessionState.LOST, problem=why)
            reckon(unit, context, payment, cause=why, now=now)

    def _locked(self, unit: Unit, draft: Draft) -> PaymentRow:
        """The payment, locked: before its session is touched, as everywhere."""
        payment = payments.payment_by_id(unit, draft.payment_id, lock=True)
        if payment is None:  # pragma: no cover - payments are never deleted
            raise NotFound("payment", draft.payment_id)
        return payment


def usable_session(
    sessions: Sequence[SessionRow], flow: str, *, domains: Sequence[PageDomain], now: datetime
) -> SessionRow | None:
    """The newest open session in which a shopper can pay now: not run out, and leading where shoppers may be sent."""
    for session in reversed(sessions):
        if session.session_state is not SessionState.OPEN or session.ended_at is not None:
            continue
        if session.expires_at is not None and session.expires_at <= now:
            continue
        if flow == "embedded" and session.widget_sealed is not None:
            return session
        if flow != "embedded" and session.url is not None and page_allowed(session.url, domains):
            return session
    return None


def _usable(flow: str, opened: OpenedSession) -> bool:
    """Whether a shopper can be sent there: a URL for hosted flows, an id for the widget."""
    return opened.session_id is not None if flow == "embedded" else opened.url is not None
