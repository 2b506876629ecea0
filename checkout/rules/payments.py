"""What a payment is worth saying, derived from facts alone: the same facts in any order give the same answer.

A payment has no life of its own: its status and anomalies follow from its deposits and sessions. Only the counted
deposit (one that covers the asked amount in the asked currency) can make it ``accepted`` or ``settled``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from checkout.rules.deposits import MONEY_STAGES, RANK, Stage
from checkout.rules.money import Money


class Status(StrEnum):
    """Progress of a payment."""

    CREATED = "created"  #: nothing at the provider yet
    OPEN = "open"  #: a session URL or id is stored, or a deposit is open
    INITIATED = "initiated"  #: the shopper has started at the bank
    SUBMITTED = "submitted"  #: handed to the processor; also the furthest that uncounted money can take it
    ACCEPTED = "accepted"  #: the counted deposit is accepted: the order is paid
    SETTLED = "settled"  #: the counted deposit's funds have settled
    EXPIRED = "expired"  #: the time to pay is over and nothing had begun
    CANCELLED = "cancelled"  #: the shop cancelled: no new session opens, money may still come
    FAILED = "failed"  #: nothing can come any more by itself


class Anomaly(StrEnum):
    """What is odd about a payment, whatever its progress. Listed gravest first."""

    CONTRADICTION = "contradiction"  #: a deposit is both failed and accepted or settled
    FOREIGN_DESTINATION = "foreign_destination"  #: the money went to an address or kind of address that is not ours
    CURRENCY_MISMATCH = "currency_mismatch"  #: money came in another currency
    UNDERPAID = "underpaid"  #: a deposit brought less than asked
    DUPLICATE = "duplicate"  #: a second deposit covers the same order
    OVERPAID = "overpaid"  #: a deposit brought more than asked
    LATE = "late"  #: money came after the payment had expired or been cancelled


PAID: Final = frozenset({Status.ACCEPTED, Status.SETTLED})

#: Statuses whose notification is sent as soon as they are reached (``failed`` and ``expired`` are the clock's to say).
NOTIFIED_AT_ONCE: Final = MappingProxyType({Status.ACCEPTED: "payment.accepted", Status.SETTLED: "payment.settled"})
NOTIFIED_BY_CLOCK: Final = MappingProxyType({Status.FAILED: "payment.failed", Status.EXPIRED: "payment.expired"})


@dataclass(frozen=True, slots=True)
class DepositFacts:
    """What is known of one deposit. ``money`` is the amount its accepted or settled event stated."""

    id: str
    session_id: str
    stage: Stage | None  #: None: only a failure has been heard
    failed: bool = False
    money: Money | None = None
    foreign: bool = False
    late: bool = False
    allocated: bool = False  #: a named person has said that its unallocated money is treasury
    fixed: bool = False  #: a settlement record, a refund or a person's allocation already stands on its role

    @property
    def has_money(self) -> bool:
        return self.stage in MONEY_STAGES

    @property
    def alive(self) -> bool:
        """Something may still come of it by itself, or already has."""
        return self.has_money or not self.failed


class SessionState(StrEnum):
    """One attempt to open a session at Stable Mint."""

    SENDING = "sending"  #: the request may be at the provider; unknown until an answer is recorded
    OPEN = "open"  #: a URL (hosted) or id (embedded) is stored
    DECLINED = "declined"  #: the provider said no
    LOST = "lost"  #: it may exist, but nobody was given its URL; its events still correlate


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """Everything a payment's status depends on."""

    asked: Money | None  #: None: the shopper chooses the amount in the widget
    deposits: Sequence[DepositFacts]
    sessions: Sequence[tuple[str, SessionState]]
    counted: str | None = None  #: the deposit counted so far
    expired: bool = False
    cancelled: bool = False
    currency: str = ""  #: asked for, with or without an amount


@dataclass(frozen=True, slots=True)
class PaymentView:
    """The answer: status, anomalies gravest first, and which deposit counts."""

    status: Status
    anomalies: tuple[Anomaly, ...]
    counted: str | None


def covers(deposit: DepositFacts, asked: Money | None, currency: str = "") -> bool:
    """Whether the deposit alone pays the order: arrived, in the asked currency, at least the asked amount if there is one."""
    if not deposit.has_money or deposit.money is None:
        return False
    if asked is None:
        return currency in ("", deposit.money.currency)
    return deposit.money.currency == asked.currency and asked <= deposit.money


def choose_counted(facts: PaymentFacts) -> str | None:
    """The one deposit that pays the order, if any.

    Among the covering ones the furthest wins, then one that went to our address, then (where no amount was asked for) the
    larger, then the one already counted, then the first: so the payment's status does not depend on the order in which the
    news came. A deposit that a settlement record, refund or allocation stands on keeps its role, whatever comes later.
    """
    covering = [deposit for deposit in facts.deposits if covers(deposit, facts.asked, facts.currency)]
    for deposit in covering:
        if deposit.id == facts.counted and deposit.fixed:
            return deposit.id
    candidates = [deposit for deposit in covering if not deposit.fixed or deposit.id == facts.counted]
    if not candidates:
        return None
    best = max(
        candidates,
        key=lambda d: (RANK[d.stage or Stage.OPEN], not d.foreign, _chosen(d, facts.asked), d.id == facts.counted),
    )
    return best.id


def _chosen(deposit: DepositFacts, asked: Money | None) -> int:
    """What tells covering deposits apart where the shopper chose the amount; where one was asked for, nothing."""
    return deposit.money.minor if asked is None and deposit.money is not None else 0


def anomalies_of(facts: PaymentFacts) -> tuple[Anomaly, ...]:
    """Every anomaly of the payment's deposits, gravest first; independent of which covering deposit is counted."""
    found: set[Anomaly] = set()
    asked = facts.asked
    for deposit in facts.deposits:
        if deposit.failed and deposit.has_money:
            found.add(Anomaly.CONTRADICTION)
        if deposit.foreign:
            found.add(Anomaly.FOREIGN_DESTINATION)
        if not deposit.has_money or deposit.money is None:
            continue
        if deposit.late:
            found.add(Anomaly.LATE)
        expected = facts.currency if asked is None else asked.currency
        if expected not in ("", deposit.money.currency):
            found.add(Anomaly.CURRENCY_MISMATCH)
        elif asked is None:
            continue
        elif deposit.money < asked:
            found.add(Anomaly.UNDERPAID)
        elif asked < deposit.money:
            found.add(Anomaly.OVERPAID)
    if sum(covers(deposit, asked, facts.currency) for deposit in facts.deposits) > 1:
        found.add(Anomaly.DUPLICATE)
    return tuple(anomaly for anomaly in Anomaly if anomaly in found)


def derive(facts: PaymentFacts) -> PaymentView:
    """The payment's status, anomalies and counted deposit, from its facts and nothing else."""
    counted = choose_counted(facts)
    anomalies = anomalies_of(facts)
    for deposit in facts.deposits:
        if deposit.id == counted:
            status = Status.SETTLED if deposit.stage is Stage.SETTLED else Status.ACCEPTED
            return PaymentView(status, anomalies, counted)
    return PaymentView(_uncounted_status(facts), anomalies, None)


def _uncounted_status(facts: PaymentFacts) -> Status:
    alive = [deposit for deposit in facts.deposits if deposit.alive]
    furthest = max((RANK[deposit.stage or Stage.OPEN] for deposit in alive), default=-1)
    if furthest >= RANK[Stage.SUBMITTED]:
        return Status.SUBMITTED
    if furthest == RANK[Stage.INITIATED]:
        return Status.INITIATED
    if facts.cancelled:
        return Status.CANCELLED
    if facts.expired:
        return Status.EXPIRED
    if furthest == RANK[Stage.OPEN]:
        return Status.OPEN
    failed_sessions = {deposit.session_id for deposit in facts.deposits if not deposit.alive}
    states = [state for ident, state in facts.sessions if ident not in failed_sessions]
    if SessionState.OPEN in states:
        return Status.OPEN
    if SessionState.SENDING in states:
        return Status.CREATED
    if failed_sessions or SessionState.DECLINED in states:
        return Status.FAILED
    return Status.CREATED
