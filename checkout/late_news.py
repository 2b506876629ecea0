"""When news never comes: a named person says, with evidence, what Stable Mint's missing event would have said.

The deposit moves exactly as by its event, whether it was heard of before or only its session is known. Should that event still
come, it finds nothing new. Should it state another amount, or name the same session's money by another reference, it is parked
for a person, as two events that contradict each other would be.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from checkout.context import Context
from checkout.errors import AmountRefused, NotFound, NotPossible, RequestRefused
from checkout.inbox import IDENT_CHARS_MAX, STABLE_MINT, EventState
from checkout.receiving import News, receive
from checkout.rules.deposits import Stage
from checkout.rules.money import CURRENCY_EXPONENTS, Money, parse_amount
from checkout.store import events, payments
from checkout.store.engine import Unit
from checkout.store.moves import record_act
from checkout.store.records import DepositRow, PaymentRow, SessionRow

EVIDENCE_MAX: Final = 400


@dataclass(frozen=True, slots=True)
class Said:
    """A person's word that money is settled at Stable Mint."""

    evidence: str  #: which statement or message shows it
    amount: str | None = None  #: needed while no event has stated one
    currency: str | None = None  #: of money that no event has told of; None: the payment's
    reference: str | None = None  #: how the statement names the deposit; None: as its session is named
    another: bool = False  #: one more receipt, beside those that the session is known to have


@dataclass(frozen=True, slots=True)
class _Subject:
    """What the word is about. ``deposit`` is None while nobody has heard of it."""

    payment: PaymentRow
    session: SessionRow
    deposit: DepositRow | None
    reference: str


class LateNews:
    """The operator's verbs."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def settled(self, ident: str, said: Said, *, who: str) -> dict[str, Any]:
        """What ``ident`` names is settled: a deposit (id or reference), or a session (id or a reference) or payment of one.

        RequestRefused names bad fields, NotFound what nobody knows, NotPossible why it cannot be settled so.
        """
        evidence = _evidence(said.evidence)
        reference = _reference(said.reference)
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            subject = self._subject(unit, ident, reference, another=said.another)
            deposit = subject.deposit
            if deposit is not None and deposit.stage == Stage.SETTLED:
                raise NotPossible(f"deposit {deposit.id} is settled already")
            money = _stated(deposit, subject.payment, said)
            cause = f"evidence of {who}: {evidence}"
            news = News(subject.reference, Stage.SETTLED.value, money, foreign=False, cause=cause, who=who)
            _, made = receive(unit, context, subject.payment, subject.session, deposit, news, now=now)
            record_act(
                unit, context.new_id("act"), who=who, action="deposit settled by evidence", subject=made, at=now,
                detail={"evidence": evidence, "amount": money.fixed(), "currency": money.currency},
            )  # fmt: skip
        return {
            "deposit": made, "reference": subject.reference, "payment": subject.payment.id, "session": subject.session.id,
            "stage": Stage.SETTLED.value, "amount": money.fixed(), "currency": money.currency,
        }  # fmt: skip

    def known_as(self, ident: str, reference: str, *, evidence: str, who: str) -> dict[str, Any]:
        """Stable Mint names a deposit that was entered by hand otherwise: take its name, and look at parked events again.

        NotPossible for a deposit that an event has named, or a reference that belongs to another.
        """
        evidence = _evidence(evidence)
        name = _reference(reference) or ""
        context = self._context
        now = context.clock()
        with context.database.write() as unit:
            payment, deposit = self._locked(unit, self._deposit(unit, ident))
            if events.names_anything(unit, deposit.id):
                raise NotPossible(f"deposit {deposit.id} has its reference from an event; that one stays")
            self._unused(unit, name, deposit.session_id)
            if payments.deposit_by_reference(unit, name) is not None:
                raise NotPossible(f"{name} is a deposit already; ask Stable Mint which of the two received money")
            payments.update_deposit(unit, deposit.id, reference=name)
            record_act(
                unit, context.new_id("act"), who=who, action="deposit named anew", subject=deposit.id, at=now,
                detail={"evidence": evidence, "before": deposit.reference, "after": name},
            )  # fmt: skip
            again = self._look_again(unit, name, now)
        return {"deposit": deposit.id, "payment": payment.id, "reference": name, "events": again}

    def _look_again(self, unit: Unit, reference: str, now: datetime) -> list[str]:
        """Make the parked events due that name the reference: what stood against them is gone."""
        parked = {EventState.QUARANTINED, EventState.UNMATCHED}
        found = [
            one.id
            for one in events.events_naming(unit, [reference])
            if one.provider == STABLE_MINT and one.state in parked
        ]
        for ident in found:
            events.update_event(unit, ident, state=EventState.RECEIVED.value, due_at=now, attempts=1)
        return found

    def _subject(self, unit: Unit, ident: str, reference: str | None, *, another: bool) -> _Subject:
        known = payments.deposit_by_id(unit, ident) or payments.deposit_by_reference(unit, ident)
        if known is not None:
            if reference not in (None, known.reference):
                raise RequestRefused(
                    {
                        "reference": f"deposit {known.id} is {known.reference}; name the session {known.session_id} instead"
                    }
                )
            payment, deposit = self._locked(unit, known)
            return _Subject(payment, self._session(unit, deposit.session_id), deposit, deposit.reference)
        session = self._only_session(unit, ident)
        payment = self._payment(unit, session.payment_id)
        there = [one for one in payments.deposits_of(unit, payment.id) if one.session_id == session.id]
        if reference is None:
            reference = _only_reference(session, there)
        self._unused(unit, reference, session.id)
        known = payments.deposit_by_reference(unit, reference)
        if known is not None and known.session_id != session.id:
            raise NotPossible(f"{reference} is a deposit of another session, {known.session_id}")
        if known is None and not another:
            beside = next((one for one in there if one.money is not None), None)
            if beside is not None:
                raise NotPossible(
                    f"the session has brought {beside.money} as {beside.reference} already; if the statement shows one more "
                    "receipt beside it, say so with --another"
                )
        return _Subject(payment, session, known, reference)

    def _only_session(self, unit: Unit, ident: str) -> SessionRow:
        """The one session that the text names: by our id, either of the provider's names, or its payment."""
        named = payments.session_by_id(unit, ident)
        found = [named] if named is not None else []
        found = found or list(payments.sessions_named(unit, reference=ident, provider_session_id=ident, ours=None))
        found = found or payments.sessions_of(unit, ident)
        if not found:
            raise NotFound("deposit, session or payment", ident)
        if len(found) > 1:
            names = ", ".join(f"{one.id} ({one.reference or one.session_state.value})" for one in found)
            raise NotPossible(f"{ident} has several sessions; name the one whose money it is: {names}")
        return found[0]

    def _unused(self, unit: Unit, reference: str, session_id: str) -> None:
        for one in payments.sessions_named(unit, reference=reference, provider_session_id=None, ours=None):
            if one.id != session_id:
                raise NotPossible(f"{reference} is the reference of another session, {one.id}")

    def _deposit(self, unit: Unit, ident: str) -> DepositRow:
        known = payments.deposit_by_id(unit, ident) or payments.deposit_by_reference(unit, ident)
        if known is None:
            raise NotFound("deposit", ident)
        return known

    def _locked(self, unit: Unit, known: DepositRow) -> tuple[PaymentRow, DepositRow]:
        """The deposit as it stands once its payment's row is ours."""
        return self._payment(unit, known.payment_id), self._deposit(unit, known.id)

    def _payment(self, unit: Unit, ident: str) -> PaymentRow:
        payment = payments.payment_by_id(unit, ident, lock=True)
        if payment is None:  # pragma: no cover - a foreign key holds it
            raise NotFound("payment", ident)
        return payment

    def _session(self, unit: Unit, ident: str) -> SessionRow:
        session = payments.session_by_id(unit, ident)
        if session is None:  # pragma: no cover - a foreign key holds it
            raise NotFound("session", ident)
        return session


def _evidence(text: str) -> str:
    text = text.strip()
    if not 1 <= len(text) <= EVIDENCE_MAX:
        raise RequestRefused({"evidence": f"say in 1 to {EVIDENCE_MAX} characters which statement or message shows it"})
    return text


def _reference(text: str | None) -> str | None:
    if text is None:
        return None
    text = text.strip()
    if not 1 <= len(text) <= IDENT_CHARS_MAX or not text.isprintable():
        raise RequestRefused({"reference": f"give the statement's own in 1 to {IDENT_CHARS_MAX} printable characters"})
    return text


def _only_reference(session: SessionRow, there: list[DepositRow]) -> str:
    """Which deposit is meant when only the session is named: its one, or the one it is going to be named for."""
    if len(there) == 1:
        return there[0].reference
    if there:
        names = ", ".join(one.reference for one in there)
        raise NotPossible(f"session {session.id} has several deposits; name the one that settled: {names}")
    if session.reference is None:
        raise RequestRefused({"reference": "the session has none yet; give the one on Stable Mint's statement"})
    return session.reference


def _stated(deposit: DepositRow | None, payment: PaymentRow, said: Said) -> Money:
    """What the deposit brought: as its events stated, else as the person states."""
    known = None if deposit is None else deposit.money
    currency = (said.currency or (known.currency if known is not None else payment.currency)).upper()
    if currency not in CURRENCY_EXPONENTS:
        raise RequestRefused({"currency": "must be an ISO 4217 code that this service knows, for example EUR"})
    if said.amount is None:
        if known is None:
            raise RequestRefused({"amount": "no event has stated one; say what Stable Mint's statement shows"})
        stated = Money(known.minor, currency)
    else:
        try:
            stated = parse_amount(said.amount, currency)
        except AmountRefused as problem:
            raise RequestRefused({"amount": str(problem)}) from None
    if known not in (None, stated):
        raise RequestRefused({"amount": f"an event has stated {known}; ask Stable Mint which is true"})
    return stated
