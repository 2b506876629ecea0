"""What the queries hand out: one frozen record per row, with the names of the columns.

Use cases see these and never a database row.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, TypeVar

from checkout.rules.deposits import Stage
from checkout.rules.money import Money
from checkout.rules.payments import DepositFacts, SessionState, Status
from checkout.rules.payouts import PayoutState
from checkout.rules.refunds import RefundFacts, RefundState

R = TypeVar("R")


_NAMES: dict[Any, tuple[str, ...]] = {}


def _names(kind: Any) -> tuple[str, ...]:
    """A record's column names, looked up once per kind: this is on the path of every row read."""
    if kind not in _NAMES:
        _NAMES[kind] = tuple(field.name for field in fields(kind))
    return _NAMES[kind]


def record(kind: type[R], row: Any) -> R:
    """A record from a row that has at least its columns."""
    mapping = row._mapping
    return kind(**{name: mapping[name] for name in _names(kind)})


@dataclass(frozen=True, slots=True)
class StoreRow:
    id: str
    name: str
    origins: str
    success_url: str | None
    exit_url: str | None
    error_url: str | None
    support_url: str | None
    destination_address: str | None
    colour: str | None
    logo_digest: str | None


@dataclass(frozen=True, slots=True)
class ApiKeyRow:
    """A store's key as far as it may be shown; the key itself is nowhere."""

    id: str
    store_id: str
    hint: str
    label: str | None
    scopes: str
    per_minute: int | None
    window_at: datetime | None
    window_taken: int
    last_used_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime
    created_by: str

    @property
    def scope_list(self) -> list[str]:
        return self.scopes.split()


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """A shop's customer. Erased: the sealed columns are null and ``erased_at`` says since when."""

    id: str
    store_id: str
    external_id: str
    provider_user_id: str
    email_sealed: bytes | None
    country: str | None
    kyc_sealed: bytes | None
    created_at: datetime
    updated_at: datetime
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class PaymentLinkRow:
    id: str
    store_id: str
    request_hash: str
    token_sealed: bytes
    title: str | None
    flow: str
    amount_minor: int | None
    currency: str
    country: str
    order_ref: str
    customer_id: str | None
    language: str | None
    success_url: str | None
    exit_url: str | None
    error_url: str | None
    support_url: str | None
    metadata: str
    single_use: bool
    expires_at: datetime | None
    deactivated_at: datetime | None
    created_at: datetime

    @property
    def asked(self) -> Money | None:
        return None if self.amount_minor is None else Money(self.amount_minor, self.currency)


@dataclass(frozen=True, slots=True)
class PaymentRow:
    id: str
    store_id: str
    request_hash: str
    flow: str
    amount_minor: int | None
    currency: str
    country: str
    order_ref: str
    customer_id: str | None
    success_url: str | None
    exit_url: str | None
    error_url: str | None
    support_url: str | None
    payment_method: str | None
    language: str | None
    link_id: str | None
    metadata: str
    status: str
    anomalies: str
    counted_deposit_id: str | None
    sequence: int
    moves: int
    pay_token_sealed: bytes
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    expired_at: datetime | None
    cancelled_at: datetime | None
    last_news_at: datetime | None
    notified_status: str | None
    attempts: int
    lease_token: str | None

    @property
    def asked(self) -> Money | None:
        return None if self.amount_minor is None else Money(self.amount_minor, self.currency)

    @property
    def state(self) -> Status:
        return Status(self.status)

    @property
    def anomaly_list(self) -> list[str]:
        return self.anomalies.split(",") if self.anomalies else []


@dataclass(frozen=True, slots=True)
class SessionRow:
    id: str
    payment_id: str
    number: int
    state: str
    website_reference: str
    provider_key: str
    reference: str | None
    provider_session_id: str | None
    url: str | None
    widget_sealed: bytes | None
    expires_at: datetime | None
    return_token_sealed: bytes
    came_back_at: datetime | None
    came_back_with: str | None
    first_sent_at: datetime | None
    ended_at: datetime | None
    problem: str | None
    created_at: datetime
    attempts: int
    lease_token: str | None

    @property
    def session_state(self) -> SessionState:
        return SessionState(self.state)


@dataclass(frozen=True, slots=True)
class DepositRow:
    id: str
    reference: str
    session_id: str
    payment_id: str
    store_id: str
    stage: str | None
    failed: bool
    amount_minor: int | None
    currency: str | None
    foreign: bool
    late: bool
    allocated_at: datetime | None
    settlement_record_id: str | None
    refund_live: bool
    moves: int
    created_at: datetime
    settled_at: datetime | None

    @property
    def money(self) -> Money | None:
        if self.amount_minor is None or self.currency is None:
            return None
        return Money(self.amount_minor, self.currency)

    @property
    def facts(self) -> DepositFacts:
        allocated = self.allocated_at is not None
        return DepositFacts(
            id=self.id,
            session_id=self.session_id,
            stage=None if self.stage is None else Stage(self.stage),
            failed=self.failed,
            money=self.money,
            foreign=self.foreign,
            late=self.late,
            allocated=allocated,
            fixed=allocated or self.refund_live or self.settlement_record_id is not None,
        )


@dataclass(frozen=True, slots=True)
class RefundRow:
    id: str
    payment_id: str
    deposit_id: str
    request_hash: str
    amount_minor: int
    currency: str
    state: str
    creditor_sealed: bytes | None
    reference: str | None
    requested_by: str
    approved_by: str | None
    approved_at: datetime | None
    funded_at: datetime | None
    reserved: bool
    failed_heard: bool
    website_reference: str | None
    shopper_url_sealed: bytes | None
    note: str
    moves: int
    created_at: datetime
    updated_at: datetime | None
    in_doubt_since: datetime | None
    due_at: datetime | None
    attempts: int
    lease_token: str | None

    @property
    def refund_state(self) -> RefundState:
        return RefundState(self.state)

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.currency)

    @property
    def facts(self) -> RefundFacts:
        return RefundFacts(self.deposit_id, self.amount, self.refund_state)


@dataclass(frozen=True, slots=True)
class EventRow:
    id: str
    provider: str
    dedup_key: str
    body_hash: str
    state: str
    event_type: str
    version: str
    reference: str | None
    subject: str | None
    headers: str
    body_sealed: bytes
    size: int
    note: str
    received_at: datetime
    applied_at: datetime | None
    attempts: int
    lease_token: str | None


@dataclass(frozen=True, slots=True)
class SettlementRecordRow:
    id: str
    store_id: str
    asset: str
    network: str
    received_minor: int
    free_minor: int
    currency: str
    deposits_minor: int
    fee_minor: int
    kind: str
    evidence: str
    withdrawn_at: datetime | None
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class PayoutAccountRow:
    id: str
    store_id: str
    name: str
    stables_customer_id: str
    asset: str
    network: str
    currency: str
    country: str
    rail: str
    bank_sealed: bytes
    bank_digest: str
    bank_hint: str
    purpose_code: str
    usable_at: datetime
    confirmed_at: datetime | None
    confirmed_by: str | None
    retired_at: datetime | None
    replaces: str | None
    provider_check: str | None
    provider_checked_at: datetime | None
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class MerchantRow:
    """Whom we registered, or found, at Stables; without an id nobody knows yet whether it was."""

    id: str
    external_customer_id: str
    customer_type: str
    request_sealed: bytes | None
    stables_customer_id: str | None
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class PayoutRow:
    id: str
    store_id: str
    payout_account_id: str
    asset: str
    network: str
    amount_minor: int
    state: str
    quote_id: str | None
    provider_status: str | None
    provider_status_at: datetime | None
    credit_minor: int | None
    credit_currency: str | None
    credit_is: str | None
    policy_id: str | None
    moves: int
    note: str
    created_at: datetime
    created_by: str
    updated_at: datetime
    attempts: int
    lease_token: str | None

    @property
    def payout_state(self) -> PayoutState:
        return PayoutState(self.state)

    @property
    def amount(self) -> Money:
        return Money(self.amount_minor, self.asset)


@dataclass(frozen=True, slots=True)
class PolicyRow:
    id: str
    store_id: str
    asset: str
    network: str
    account: str
    kind: str
    threshold_minor: int | None
    minimum_minor: int | None
    maximum_minor: int | None
    time_zone: str | None
    at_minute: int | None
    weekday: int | None
    approve_below_minor: int | None
    two_people_from_minor: int | None
    mandate_life_s: int
    paused_because: str | None
    last_run_at: datetime | None
    updated_at: datetime
    updated_by: str
    due_at: datetime | None
    attempts: int
    lease_token: str | None


@dataclass(frozen=True, slots=True)
class ResolutionRow:
    id: str
    payout_id: str
    store_id: str
    asset: str
    network: str
    kind: str
    amount_minor: int
    credit_minor: int | None
    credit_currency: str | None
    free_minor: int
    tx_hash: str | None
    evidence: str
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class AttemptRow:
    id: str
    kind: str
    subject: str
    key: str
    state: str
    quote_id: str | None
    mandate_id: str | None
    sends: int
    unknowns: int
    first_sent_at: datetime
    absent_since: datetime | None
    evidence: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class QuoteRow:
    id: str
    payout_id: str
    attempt_id: str
    provider_quote_id: str
    source_minor: int
    credit_minor: int
    credit_currency: str
    rate: str
    fees: str
    expires_at: datetime
    refused: str
    created_at: datetime

    @property
    def credit(self) -> Money:
        return Money(self.credit_minor, self.credit_currency)


@dataclass(frozen=True, slots=True)
class MandateRow:
    id: str
    payout_id: str
    payout_account_id: str
    asset: str
    network: str
    amount_minor: int
    stables_customer_id: str
    bank_digest: str
    currency: str
    country: str
    rail: str
    purpose_code: str
    min_credit_minor: int
    quote_id: str
    valid_until: datetime
    two_people: bool
    second_by: str | None
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class TransferRow:
    id: str
    payout_id: str
    attempt_id: str
    quote_id: str
    provider_transfer_id: str
    address_sealed: bytes | None
    address_hash: str | None
    provider_created_at: datetime
    fundable_until: datetime
    checked_at: datetime | None
    instructions_revealed_at: datetime | None
    revealed_by: str | None
    collected_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """Where a store is notified, and how that has gone."""

    id: str
    store_id: str
    url: str
    events: str | None
    state: str
    failures: int
    failing_since: datetime | None
    resting_until: datetime | None
    probe_token: str | None
    disabled_at: datetime | None
    disabled_because: str | None
    removed_at: datetime | None
    created_at: datetime

    @property
    def event_list(self) -> list[str] | None:
        return None if self.events is None else list(json.loads(self.events))


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """A message; ``state`` follows from its deliveries: pending, abandoned, delivered, or unaddressed without any."""

    id: str
    store_id: str
    payment_id: str | None
    subject: str
    type: str
    sequence: int
    body: str
    created_at: datetime
    state: str


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A message's way to an endpoint."""

    id: str
    notification_id: str
    endpoint_id: str
    state: str
    tries: int
    last_answer: str
    since: datetime
    delivered_at: datetime | None
    due_at: datetime | None
    attempts: int
    lease_token: str | None


@dataclass(frozen=True, slots=True)
class DeliveryTryRow:
    """One try, and what was answered."""

    number: int
    at: datetime
    status: int | None
    problem: str
    excerpt_sealed: bytes | None
    duration_ms: int


@dataclass(frozen=True, slots=True)
class LetterRow:
    """A delivery with its message and its endpoint: everything one try needs."""

    id: str
    endpoint_id: str
    state: str
    tries: int
    since: datetime
    due_at: datetime | None
    attempts: int
    lease_token: str | None
    lease_until: datetime | None
    message_id: str
    store_id: str
    subject: str
    type: str
    body: str
    url: str
    endpoint_state: str
    failures: int
    resting_until: datetime | None
    probe_token: str | None

    def may_go(self, token: str, *, now: datetime, needs: timedelta) -> bool:
        """Whether it may be sent now: its endpoint is not being left alone, or this is the try; and the lease lasts."""
        its_turn = self.resting_until is None or self.probe_token == token
        lasts = self.lease_until is not None and self.lease_until - now >= needs
        return self.endpoint_state == "active" and its_turn and lasts
