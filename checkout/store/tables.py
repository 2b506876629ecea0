"""Every table and constraint, for SQLite and PostgreSQL alike.

Amounts are whole minor units in BIGINT columns. Times are aware UTC. Personal data and raw provider bodies are sealed
bytes; ids, types and hashes stay clear. Work tables carry ``due_at``, ``attempts`` and a lease.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """An aware UTC time on both databases: SQLite keeps no zone, so it is taken off and put back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("times are aware; this one has no zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


ID: Final = String(64)


def _id() -> Column[Any]:
    return Column("id", ID, primary_key=True)


def _who() -> list[Column[Any]]:
    return [Column("created_at", Instant, nullable=False), Column("created_by", String(80), nullable=False)]


def _work() -> list[Column[Any]]:
    """Rows that are due: null ``due_at`` means nothing to do."""
    return [
        Column("due_at", Instant),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("lease_token", String(40)),
        Column("lease_until", Instant),
    ]


def _due_index(table: str) -> Index:
    return Index(f"ix_{table}_due", "due_at", postgresql_where=text("due_at IS NOT NULL"))


def _live_index(table: str, *states: str) -> Index:
    """Of the rows that are not over, for counting them however many are."""
    where = text(f"state IN ({', '.join(repr(state) for state in states)})")
    return Index(f"ix_{table}_live", "state", sqlite_where=where, postgresql_where=where)


# --- who ---------------------------------------------------------------------------------------------------------

installation = Table(
    "installation",
    metadata,
    Column("one", Integer, CheckConstraint("one = 1", name="single"), primary_key=True),
    Column("id", ID, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("restored_at", Instant),  # money-moving claims stay paused while this is set
)

person = Table(
    "person",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("secret_hash", String(64), nullable=False),
    Column("removed_at", Instant),
    *_who(),
)

act = Table(  # every act that a person's name belongs to
    "act",
    metadata,
    _id(),
    Column("who", String(80), nullable=False),
    Column("action", String(60), nullable=False),
    Column("subject", ID, nullable=False, index=True),
    Column("detail", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

pause = Table(
    "pause",
    metadata,
    _id(),
    Column("scope", ID, nullable=False),  # "all" or a store's id
    Column("reason", Text, nullable=False),
    Column("released_at", Instant),
    Column("released_by", String(80)),
    *_who(),
    Index(
        "uq_pause_live",
        "scope",
        unique=True,
        sqlite_where=text("released_at IS NULL"),
        postgresql_where=text("released_at IS NULL"),
    ),
)

case = Table(
    "case",
    metadata,
    _id(),
    Column("kind", String(60), nullable=False),
    Column("subject", ID, nullable=False),
    Column("detail", Text, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("closed_by", String(80)),
    Column("closing_note", Text),
    UniqueConstraint("kind", "subject"),
    Index("ix_case_open", "closed_at", "opened_at"),
)

move = Table(  # every change of state, of anything
    "move",
    metadata,
    Column("subject", ID, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("before", String(40)),
    Column("after", String(40), nullable=False),
    Column("cause", Text, nullable=False),
    Column("who", String(80), nullable=False),
    Column("at", Instant, nullable=False),
)

# --- stores ------------------------------------------------------------------------------------------------------

store = Table(
    "store",
    metadata,
    _id(),
    Column("name", String(120), nullable=False, unique=True),
    Column("origins", Text, nullable=False),  # JSON list of exact origins
    Column("success_url", Text),
    Column("exit_url", Text),
    Column("error_url", Text),
    Column("support_url", Text),
    Column("destination_address", String(120)),
    Column("colour", String(7)),  # "#1a2b3c"
    Column("logo_digest", String(12)),  # of the picture in store_logo, or null
    *_who(),
)

store_logo = Table(
    "store_logo",
    metadata,
    Column("store_id", ID, ForeignKey("store.id"), primary_key=True),
    Column("media_type", String(20), nullable=False),
    Column("body", LargeBinary, nullable=False),
)

store_key = Table(
    "store_key",
    metadata,
    _id(),
    Column("store_id", ID, ForeignKey("store.id"), nullable=False, index=True),
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("hint", String(24), nullable=False),
    Column("label", String(80)),
    Column("scopes", Text, nullable=False),  # words: read, write, refunds, treasury
    Column("per_minute", Integer, CheckConstraint("per_minute > 0", name="per_minute")),  # null: the default
    Column("window_at", Instant),  # the minute counted last, and how many of its requests processes have taken
    Column("window_taken", Integer, nullable=False, server_default=text("0")),
    Column("last_used_at", Instant),  # stamped when a process takes requests, not at each of them
    Column("revoked_at", Instant),  # from then on it is no key; may lie ahead, while a new one takes over
    *_who(),
)

notification_endpoint = Table(  # where a store is notified, of what, and how it has fared
    "notification_endpoint",
    metadata,
    _id(),
    Column("store_id", ID, ForeignKey("store.id"), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("events", Text),  # JSON list of types and families; null: everything
    Column("state", String(10), nullable=False),  # active or disabled
    Column("failures", Integer, nullable=False, server_default=text("0")),  # in a row
    Column("failing_since", Instant),
    Column("resting_until", Instant),  # it has failed: nothing is sent to it before, and then one try for all
    Column("probe_token", String(40)),  # whose try that is
    Column("disabled_at", Instant),
    Column("disabled_because", Text),
    Column("removed_at", Instant),
    *_who(),
)

notification_secret = Table(
    "notification_secret",
    metadata,
    _id(),
    Column("endpoint_id", ID, ForeignKey("notification_endpoint.id"), nullable=False, index=True),
    Column("secret_sealed", LargeBinary, nullable=False),
    Column("expires_at", Instant),
    *_who(),
)

request_key = Table(  # writes of the API under an Idempotency-Key, where the row they make has no place for it
    "request_key",
    metadata,
    Column("store_id", ID, ForeignKey("store.id"), primary_key=True),
    Column("operation", String(40), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("fingerprint", String(64), nullable=False),  # of the request; empty once the person in it was erased
    Column("subject", ID, nullable=False, index=True),  # what was written to
    Column("created_at", Instant, nullable=False),
)

settlement_rule = Table(
    "settlement_rule",
    metadata,
    Column("store_id", ID, ForeignKey("store.id"), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("asset", String(10), nullable=False),
    Column("network", String(20), nullable=False),
    Column(
        "evidence",
        String(10),
        CheckConstraint("evidence IN ('declared', 'recorded')", name="kind"),
        nullable=False,
    ),
    Column("settles_gross", Boolean, nullable=False),
    *_who(),
)

customer = Table(
    "customer",
    metadata,
    _id(),
    Column("store_id", ID, ForeignKey("store.id"), nullable=False),
    Column("external_id", String(200), nullable=False),
    Column("provider_user_id", String(36), nullable=False, unique=True),
    Column("email_sealed", LargeBinary),
    Column("country", String(2)),
    Column("kyc_sealed", LargeBinary),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("erased_at", Instant),
    UniqueConstraint("store_id", "external_id"),
)

payment_link = Table(  # opens payments without a storefront's own session
    "payment_link",
    metadata,
    _id(),
    Column("store_id", ID, ForeignKey("store.id"), nullable=False),
    Column("idempotency_key", String(200), nullable=False),
    Column("request_hash", String(64), nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("token_sealed", LargeBinary, nullable=False),
    Column("title", String(200)),
    Column("flow", String(20), nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0", name="amount")),
    Column("currency", String(3), nullable=False),
    Column("country", String(2), nullable=False),
    Column("order_ref", String(120), nullable=False),
    Column("customer_id", ID, ForeignKey("customer.id")),
    Column("language", String(8)),
    Column("success_url", Text),
    Column("exit_url", Text),
    Column("error_url", Text),
    Column("support_url", Text),
    Column("metadata", Text, nullable=False),
    Column("single_use", Boolean, nullable=False),
    Column("expires_at", Instant),
    Column("deactivated_at", Instant),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("store_id", "idempotency_key"),
    Index("ix_payment_link_store", "store_id", "id"),
    Index("ix_payment_link_store_order", "store_id", "order_ref", "id"),
    Index("ix_payment_link_customer", "customer_id", "id"),
)

# --- payments ----------------------------------------------------------------------------------------------------

payment = Table(
    "payment",
    metadata,
    _id(),
    Column("store_id", ID, ForeignKey("store.id"), nullable=False),
    Column("idempotency_key", String(200), nullable=False),
    Column("request_hash", String(64), nullable=False),
    Column("flow", String(20), nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0", name="amount")),
    Column("currency", String(3), nullable=False),
    Column("country", String(2), nullable=False),
    Column("order_ref", String(120), nullable=False),
    Column("customer_id", ID, ForeignKey("customer.id")),
    Column("success_url", Text),
    Column("exit_url", Text),
    Column("error_url", Text),
    Column("support_url", Text),
    Column("payment_method", String(30)),
    Column("language", String(8)),
    Column("link_id", ID, ForeignKey("payment_link.id")),
    Column("metadata", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("anomalies", String(200), nullable=False, server_default=""),
    Column("counted_deposit_id", ID),
    Column("sequence", Integer, nullable=False, server_default=text("0")),
    Column("moves", Integer, nullable=False, server_default=text("0")),
    Column("pay_token_hash", String(64), nullable=False, unique=True),
    Column("pay_token_sealed", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("expired_at", Instant),
    Column("cancelled_at", Instant),
    Column("last_news_at", Instant),
    Column("notified_status", String(20)),
    *_work(),
    UniqueConstraint("store_id", "idempotency_key"),
    Index("ix_payment_store_newest", "store_id", "id"),
    Index("ix_payment_store_order", "store_id", "order_ref", "id"),
    Index("ix_payment_store_status", "store_id", "status", "id"),
    Index(
        "ix_payment_store_odd",
        "store_id",
        "id",
        sqlite_where=text("anomalies <> ''"),
        postgresql_where=text("anomalies <> ''"),
    ),
    Index("ix_payment_customer", "customer_id", "id"),
    Index("ix_payment_link", "link_id", "created_at"),
    _due_index("payment"),
)

session = Table(
    "session",
    metadata,
    _id(),
    Column("payment_id", ID, ForeignKey("payment.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("website_reference", String(36), nullable=False, unique=True),
    Column("provider_key", String(36), nullable=False, unique=True),
    Column("reference", String(200), unique=True),
    Column("provider_session_id", String(200), unique=True),
    Column("url", Text),
    Column("widget_sealed", LargeBinary),
    Column("expires_at", Instant),
    Column("return_token_hash", String(64), nullable=False, unique=True),
    Column("return_token_sealed", LargeBinary, nullable=False),
    Column("came_back_at", Instant),
    Column("came_back_with", String(20)),
    Column("first_sent_at", Instant),
    Column("ended_at", Instant),  # the payment had expired before a later session was opened: its money is late
    Column("problem", Text),
    Column("created_at", Instant, nullable=False),
    *_work(),
    UniqueConstraint("payment_id", "number"),
    _due_index("session"),
)

event = Table(
    "event",
    metadata,
    _id(),
    Column("provider", String(20), nullable=False),
    Column("dedup_key", String(400), nullable=False),
    Column("body_hash", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("event_type", String(120), nullable=False, server_default=""),
    Column("version", String(4), nullable=False, server_default=""),
    Column("reference", String(200)),
    Column("session_hint", String(200)),  # the provider's session id it names: what it may wait for
    Column("subject", ID),  # the deposit or payout it was bound to
    Column("headers", Text, nullable=False),
    Column("body_sealed", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("received_at", Instant, nullable=False),
    Column("applied_at", Instant),
    *_work(),
    UniqueConstraint("provider", "dedup_key"),
    Index("ix_event_state", "state", "received_at", "provider"),
    Index("ix_event_subject", "subject"),
    Index("ix_event_reference", "reference"),
    Index("ix_event_session_hint", "session_hint"),
    _due_index("event"),
)

deposit = Table(
    "deposit",
    metadata,
    _id(),
    Column("reference", String(200), nullable=False, unique=True),
    Column("session_id", ID, ForeignKey("session.id"), nullable=False),
    Column("payment_id", ID, ForeignKey("payment.id"), nullable=False, index=True),
    Column("store_id", ID, ForeignKey("store.id"), nullable=False),
    Column("stage", String(20)),
    Column("failed", Boolean, nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor >= 0", name="amount")),
    Column("currency", String(3)),
    Column("foreign", Boolean, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("allocated_at", Instant),
    Column("allocated_by", String(80)),
    Column("settlement_record_id", ID, ForeignKey("settlement_record.id"), index=True),
    Column("refund_live", Boolean, nullable=False),  # the lock between refund and payout (money.md section 5)
    Column("moves", Integer, nullable=False, server_default=text("0")),
    Column("created_at", Instant, nullable=False),
    Column("settled_at", Instant),
    Index("ix_deposit_waiting", "store_id", "stage", "settlement_record_id"),
)

refund = Table(
    "refund",
    metadata,
    _id(),
    Column("payment_id", ID, ForeignKey("payment.id"), nullable=False, index=True),
    Column("deposit_id", ID, ForeignKey("deposit.id")),
    Column("idempotency_key", String(200), nullable=False),
    Column("request_hash", String(64), nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0", name="amount"), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("state", String(20), nullable=False),
    Column("creditor_sealed", LargeBinary),
    Column("reference", String(200), unique=True),
    Column("approved_by", String(80)),
    Column("moves", Integer, nullable=False, server_default=text("0")),
    Column("created_at", Instant, nullable=False),
    Column("requested_by", String(80), nullable=False, server_default=""),
    Column("approved_at", Instant),
    Column("funded_at", Instant),  # its money was brought by a person, not taken from the deposit
    Column("reserved", Boolean, nullable=False, server_default=text("false")),  # its amount stands in refunds payable
    Column("failed_heard", Boolean, nullable=False, server_default=text("false")),  # the provider itself said failed
    Column("website_reference", String(36)),  # with the attempt's key: our two identifiers of the withdrawal
    Column("shopper_url_sealed", LargeBinary),  # where Stable Mint asks the shopper for the account, if it does
    Column("note", Text, nullable=False, server_default=""),
    Column("updated_at", Instant),
    # a backup was put back in which it was not sent; null again once a person has approved it since
    Column("in_doubt_since", Instant),
    *_work(),
    UniqueConstraint("payment_id", "idempotency_key"),
    Index("uq_refund_website_reference", "website_reference", unique=True),
    Index("ix_refund_deposit", "deposit_id"),
    _live_index("refund", "requested", "needs_details", "needs_funding", "sending", "unknown", "accepted"),
    _due_index("refund"),
)

refund_rule = Table(  # what an operator allows a store's own requests
    "refund_rule",
    metadata,
    Column("store_id", ID, ForeignKey("store.id"), primary_key=True),
    Column("currency", String(3), primary_key=True),
    # so much in 24 hours is sent without a person's approval
    Column("limit_minor", BigInteger, CheckConstraint("limit_minor >= 0", name="limit"), nullable=False),
    Column("hosted_withdrawal", Boolean, nullable=False),  # the account may use /withdrawal/hosted
    *_who(),
)

# --- ledger ------------------------------------------------------------------------------------------------------

account = Table(
    "account",
    metadata,
    Column("id", String(160), primary_key=True),
    Column("store_id", ID, ForeignKey("store.id"), nullable=False),
    Column("book", String(40), nullable=False),
    Column("asset", String(32), nullable=False),
    UniqueConstraint("id", "asset"),
)

posting = Table(
    "posting",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("debit", String(160), nullable=False, index=True),
    Column("credit", String(160), nullable=False, index=True),
    Column("asset", String(32), nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0", name="amount"), nullable=False),
    Column("cause", ID, nullable=False, index=True),
    Column("at", Instant, nullable=False),
    CheckConstraint("debit <> credit", name="two_accounts"),
    # the pair (account, asset) must exist: both sides carry the posting's asset, so no row can be unbalanced
    ForeignKeyConstraint(["debit", "asset"], ["account.id", "account.asset"], name="fk_posting_debit_asset"),
    ForeignKeyConstraint(["credit", "asset"], ["account.id", "account.asset"], name="fk_posting_credit_asset"),
)

# --- settlement and payouts --------------------------------------------------------------------------------------

settlement_record = Table(
    "settlement_record",
    metadata,
    _id(),
    Column("store_id", ID, ForeignKey("store.id"), nullable=False),
    Column("asset", String(10), nullable=False),
    Column("network", String(20), nullable=False),
    Column("received_minor", BigInteger, CheckConstraint("received_minor > 0", name="received"), nullable=False),
    Column("free_minor", BigInteger, CheckConstraint("free_minor >= 0", name="free"), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("deposits_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, CheckConstraint("fee_minor >= 0", name="fee"), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("evidence", Text, nullable=False),
    Column("withdrawn_at", Instant),  # a declared record that later news has proved wrong; its postings are reversed
    *_who(),
    Index("ix_settlement_record_store", "store_id", "asset", "network"),
    Index("ix_settlement_record_newest", "store_id", "id"),
)

treasury = Table(  # one row per store, asset and network: the lock under which treasury is reserved
    "treasury",
    metadata,
    Column("store_id", ID, ForeignKey("store.id"), primary_key=True),
    Column("asset", String(10), primary_key=True),
    Column("network", String(20), primary_key=True),
)

payout_account = Table(
    "payout_account",
    metadata,
    _id(),
    Column("store_id", ID, ForeignKey("store.id"), nullable=False),
    Column("name", String(120), nullable=False),
    Column("stables_customer_id", String(36), nullable=False),
    Column("asset", String(10), nullable=False),
    Column("network", String(20), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("country", String(2), nullable=False),
    Column("rail", String(10), nullable=False),
    Column("bank_sealed", LargeBinary, nullable=False),
    Column("bank_digest", String(64), nullable=False),
    Column("bank_hint", String(40), nullable=False),
    Column("purpose_code", String(60), nullable=False),
    Column("usable_at", Instant, nullable=False),  # when the pending period ends by itself
    Column("confirmed_at", Instant),
    Column("confirmed_by", String(80)),
    Column("retired_at", Instant),
    Column("replaces", ID),  # the account whose place it took
    Column("provider_check", String(20)),  # valid, refused or unknown: what Stables thought of the bank details
    Column("provider_checked_at", Instant),
    *_who(),
    Index(
        "uq_payout_account_live_name",
        "store_id",
        "name",
        unique=True,
        sqlite_where=text("retired_at IS NULL"),
        postgresql_where=text("retired_at IS NULL"),
    ),
)

merchant = Table(  # whom we registered at Stables: payouts are made in this customer's name
    "merchant",
    metadata,
    _id(),
    Column("external_customer_id", String(120), nullable=False, unique=True),
    Column("customer_type", String(12), nullable=False),
    Column("request_sealed", LargeBinary),  # what Stables is told; null for one that was found there
    Column("stables_customer_id", String(36), unique=True),
    *_who(),
)

customer_standing = Table(  # what Stables last said of a customer
    "customer_standing",
    metadata,
    Column("id", String(36), primary_key=True),  # Stables' own
    Column("base_payout", String(20), nullable=False),  # approved, refused, unread
    Column("name", Text, nullable=False),
    Column("read_at", Instant, nullable=False),
    *_work(),
    _due_index("customer_standing"),
)

payout_policy = Table(  # when a treasury's free funds are proposed by themselves; none: by a person alone
    "payout_policy",
    metadata,
    _id(),
    Column("store_id", ID, ForeignKey("store.id"), nullable=False),
    Column("asset", String(10), nullable=False),
    Column("network", String(20), nullable=False),
    Column("account", String(120), nullable=False),  # the payout account's name: one that replaces it keeps the name
    Column("kind", String(12), nullable=False),  # manual, per_payment, threshold, daily, weekly
    Column("threshold_minor", BigInteger),
    Column("minimum_minor", BigInteger),
    Column("maximum_minor", BigInteger),
    Column("time_zone", String(60)),
    Column("at_minute", Integer),  # of the local day
    Column("weekday", Integer),  # Monday is 0
    Column("approve_below_minor", BigInteger),  # null: only people approve
    Column("two_people_from_minor", BigInteger),  # null: one person is enough
    Column("mandate_life_s", Integer, nullable=False),
    Column("paused_because", Text),
    Column("last_run_at", Instant),
    *_who(),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", String(80), nullable=False),
    *_work(),
    UniqueConstraint("store_id", "asset", "network"),
    _due_index("payout_policy"),
)

price_guard = Table(  # the worst price at which a store's money may leave, per currency of the bank credit
    "price_guard",
    metadata,
    Column("store_id", ID, ForeignKey("store.id"), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("worst_cost_minor", BigInteger),
    Column("worst_cost_bp", Integer),  # of what the quote's own rate makes of the amount sent
    Column("least_credit_minor", BigInteger),
    Column("least_per_unit", String(40)),  # decimal text: credit for one unit of the asset, at least
    *_who(),
)

statement_limit = Table(  # how much of a bank credit the provider may leave unexplained
    "statement_limit",
    metadata,
    Column("store_id", ID, ForeignKey("store.id"), primary_key=True),
    Column("unexplained_bp", Integer, nullable=False),  # of the credit
    Column("unexplained_minor", BigInteger, nullable=False),  # so many minor units are let pass whatever the credit
    *_who(),
)

payout = Table(
    "payout",
    metadata,
    _id(),
    Column("store_id", ID, ForeignKey("store.id"), nullable=False),
    Column("payout_account_id", ID, ForeignKey("payout_account.id"), nullable=False),
    Column("asset", String(10), nullable=False),
    Column("network", String(20), nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0", name="amount"), nullable=False),
    Column("state", String(20), nullable=False),
    Column("quote_id", ID),
    Column("provider_status", String(40)),
    Column("provider_status_at", Instant),
    Column("credit_minor", BigInteger),
    Column("credit_currency", String(3)),
    Column("credit_is", String(10)),  # quoted or confirmed
    Column("policy_id", ID),  # that proposed it, or null: a person did
    Column("moves", Integer, nullable=False, server_default=text("0")),
    Column("note", Text, nullable=False, server_default=""),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String(80), nullable=False),
    Column("updated_at", Instant, nullable=False),
    *_work(),
    Index("ix_payout_store", "store_id", "id"),
    _live_index(
        "payout",
        "proposed",
        "quoted",
        "approved",
        "transfer_created",
        "awaiting_funding",
        "funded",
        "submitted",
        "processed",
        "on_hold",
        "needs_decision",
    ),
    _due_index("payout"),
)

payout_item = Table(
    "payout_item",
    metadata,
    _id(),
    Column("payout_id", ID, ForeignKey("payout.id"), nullable=False, index=True),
    Column("source", ID, nullable=False),  # a settlement record, a deposit allocated afterwards, or a resolution's rest
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0", name="amount"), nullable=False),
    Column("released_at", Instant),
    Column("drawn_by", ID),  # the resolution that found it gone, beyond the payout's own amount; else null
    Index(
        "uq_payout_item_live",
        "source",
        unique=True,
        sqlite_where=text("released_at IS NULL"),
        postgresql_where=text("released_at IS NULL"),
    ),
)

payout_resolution = Table(  # what a person has entered, with evidence, about where a payout's money is
    "payout_resolution",
    metadata,
    _id(),
    Column("payout_id", ID, ForeignKey("payout.id"), nullable=False, index=True),
    Column("store_id", ID, ForeignKey("store.id"), nullable=False),
    Column("asset", String(10), nullable=False),
    Column("network", String(20), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor >= 0", name="amount"), nullable=False),
    Column("credit_minor", BigInteger, CheckConstraint("credit_minor >= 0", name="credit")),
    Column("credit_currency", String(3)),
    Column("free_minor", BigInteger, CheckConstraint("free_minor >= 0", name="free"), nullable=False),
    Column("tx_hash", String(120)),
    Column("evidence", Text, nullable=False),
    *_who(),
    Index("ix_payout_resolution_free", "store_id", "asset", "network"),
)

attempt = Table(  # every call that creates something at Stables, and withdrawals; committed before the first byte
    "attempt",
    metadata,
    _id(),
    Column("kind", String(20), nullable=False),  # quote, transfer, customer, withdrawal
    Column("subject", ID, nullable=False, index=True),
    Column("key", String(36), nullable=False, unique=True),
    Column("state", String(20), nullable=False),  # pending, unknown, accepted, declined, dead
    Column("quote_id", ID),
    Column("mandate_id", ID),
    Column("sends", Integer, nullable=False),
    Column("unknowns", Integer, nullable=False),
    Column("first_sent_at", Instant, nullable=False),
    Column("absent_since", Instant),
    Column("evidence", Text, nullable=False, server_default=""),
    Column("created_at", Instant, nullable=False),
    Index(
        "uq_attempt_live_transfer",
        "subject",
        unique=True,
        sqlite_where=text("kind = 'transfer' AND state IN ('pending', 'unknown', 'accepted')"),
        postgresql_where=text("kind = 'transfer' AND state IN ('pending', 'unknown', 'accepted')"),
    ),
    Index(  # a withdrawal is sent once: no second attempt beside one that may have been
        "uq_attempt_live_withdrawal",
        "subject",
        unique=True,
        sqlite_where=text("kind = 'withdrawal' AND state <> 'dead'"),
        postgresql_where=text("kind = 'withdrawal' AND state <> 'dead'"),
    ),
)

quote = Table(
    "quote",
    metadata,
    _id(),
    Column("payout_id", ID, ForeignKey("payout.id"), nullable=False, index=True),
    Column("attempt_id", ID, ForeignKey("attempt.id"), nullable=False),
    Column("provider_quote_id", String(64), nullable=False, unique=True),
    Column("source_minor", BigInteger, nullable=False),
    Column("credit_minor", BigInteger, nullable=False),
    Column("credit_currency", String(3), nullable=False),
    Column("rate", String(60), nullable=False),
    Column("fees", Text, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("refused", Text, nullable=False, server_default=""),
    Column("raw_sealed", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
)

mandate = Table(
    "mandate",
    metadata,
    _id(),
    Column("payout_id", ID, ForeignKey("payout.id"), nullable=False),
    Column("payout_account_id", ID, ForeignKey("payout_account.id"), nullable=False),
    Column("asset", String(10), nullable=False),
    Column("network", String(20), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("stables_customer_id", String(36), nullable=False),
    Column("bank_digest", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("country", String(2), nullable=False),
    Column("rail", String(10), nullable=False),
    Column("purpose_code", String(60), nullable=False),
    Column("min_credit_minor", BigInteger, nullable=False),
    Column("quote_id", ID, ForeignKey("quote.id"), nullable=False),
    Column("shown", Text, nullable=False),  # JSON: the quote as displayed
    Column("valid_until", Instant, nullable=False),
    Column("two_people", Boolean, nullable=False, server_default=text("false")),  # it holds once a second person agreed
    Column("second_by", String(80)),
    Column("second_at", Instant),
    Column("voided_at", Instant),
    Column("voided_because", Text),
    *_who(),
    Index(
        "uq_mandate_live",
        "payout_id",
        unique=True,
        sqlite_where=text("voided_at IS NULL"),
        postgresql_where=text("voided_at IS NULL"),
    ),
)

transfer = Table(
    "transfer",
    metadata,
    _id(),
    Column("payout_id", ID, ForeignKey("payout.id"), nullable=False),
    Column("attempt_id", ID, ForeignKey("attempt.id"), nullable=False, unique=True),
    Column("quote_id", ID, ForeignKey("quote.id"), nullable=False),
    Column("provider_transfer_id", String(64), nullable=False, unique=True),
    Column("address_sealed", LargeBinary),
    Column("address_hash", String(64), unique=True),  # single-use: no address may ever serve two transfers
    Column("raw_sealed", LargeBinary, nullable=False),
    Column("provider_created_at", Instant, nullable=False),
    Column("fundable_until", Instant, nullable=False),
    Column("checked_at", Instant),
    Column("instructions_revealed_at", Instant),
    Column("revealed_by", String(80)),
    Column("collected_at", Instant),
    Column("created_at", Instant, nullable=False),
    Index("ix_transfer_payout", "payout_id"),
)

funding = Table(  # what a person said they sent; the provider's state counts
    "funding",
    metadata,
    _id(),
    Column("transfer_id", ID, ForeignKey("transfer.id"), nullable=False, unique=True),
    Column("kind", String(20), nullable=False),  # sent or simulated
    Column("tx_hash", String(120), unique=True),
    *_who(),
)

# --- explaining --------------------------------------------------------------------------------------------------

credit_confirmation = Table(  # what a bank statement or the provider said arrived; the newest counts
    "credit_confirmation",
    metadata,
    _id(),
    Column("payout_id", ID, ForeignKey("payout.id"), nullable=False, index=True),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0", name="amount"), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("evidence", Text, nullable=False),
    *_who(),
)

evidence_line = Table(  # which line of a file, or which API request, made a settlement record: each makes one
    "evidence_line",
    metadata,
    Column("store_id", ID, ForeignKey("store.id"), primary_key=True),
    Column("source", String(10), primary_key=True),  # file or api
    Column("key", String(200), primary_key=True),
    Column("content_hash", String(64), nullable=False),
    Column("settlement_record_id", ID, ForeignKey("settlement_record.id"), nullable=False),
    *_who(),
)

known_transfer = (
    Table(  # transfers of ours at Stables that a restored database does not remember, and who has seen them
        "known_transfer",
        metadata,
        Column("provider_transfer_id", String(64), primary_key=True),
        Column("payout", String(64)),
        Column("attempt", String(64)),
        Column("status", String(40), nullable=False),
        Column("detail", Text, nullable=False),
        Column("seen_at", Instant, nullable=False),
        Column("confirmed_at", Instant),
        Column("confirmed_by", String(80)),
    )
)

# --- notifications -----------------------------------------------------------------------------------------------

notification = Table(  # what is said, once for all who are told
    "notification",
    metadata,
    _id(),
    Column("store_id", ID, ForeignKey("store.id"), nullable=False),
    Column("payment_id", ID, index=True),
    Column("subject", ID, nullable=False),
    Column("type", String(40), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("body", Text, nullable=False),  # the text that is signed and sent
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("subject", "sequence"),
    Index("ix_notification_store", "store_id", "created_at", "id"),
)

notification_delivery = Table(  # a message's way to an endpoint: the job
    "notification_delivery",
    metadata,
    _id(),
    Column("notification_id", ID, ForeignKey("notification.id"), nullable=False),
    Column("endpoint_id", ID, ForeignKey("notification_endpoint.id"), nullable=False),
    Column("state", String(10), nullable=False),  # pending, delivered, abandoned
    Column("tries", Integer, nullable=False, server_default=text("0")),  # in all; ``attempts`` begins anew if resent
    Column("last_answer", String(200), nullable=False, server_default=""),
    Column("since", Instant, nullable=False),  # the three days of trying begin here
    Column("delivered_at", Instant),
    *_work(),
    UniqueConstraint("notification_id", "endpoint_id"),
    Index(
        "ix_notification_delivery_due",
        "endpoint_id",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index(
        "ix_notification_delivery_missed",
        "endpoint_id",
        sqlite_where=text("state = 'abandoned'"),
        postgresql_where=text("state = 'abandoned'"),
    ),
)

delivery_attempt = Table(  # every try, and what was answered
    "delivery_attempt",
    metadata,
    Column("delivery_id", ID, ForeignKey("notification_delivery.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("status", Integer),  # null: no answer, for the reason in ``problem``
    Column("problem", String(200), nullable=False, server_default=""),
    Column("excerpt_sealed", LargeBinary),  # of the answer: a shop's error page may hold anything
    Column("duration_ms", Integer, nullable=False),
)
