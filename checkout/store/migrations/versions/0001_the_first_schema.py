"""The first schema."""

import sqlalchemy as sa
from alembic import op

from checkout.store.tables import Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "act",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("who", sa.String(length=80), nullable=False),
        sa.Column("action", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", Instant(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_act")),
    )
    with op.batch_alter_table("act", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_act_subject"), ["subject"], unique=False)

    op.create_table(
        "attempt",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("quote_id", sa.String(length=64), nullable=True),
        sa.Column("mandate_id", sa.String(length=64), nullable=True),
        sa.Column("sends", sa.Integer(), nullable=False),
        sa.Column("unknowns", sa.Integer(), nullable=False),
        sa.Column("first_sent_at", Instant(timezone=True), nullable=False),
        sa.Column("absent_since", Instant(timezone=True), nullable=True),
        sa.Column("evidence", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
        sa.UniqueConstraint("key", name=op.f("uq_attempt_key")),
    )
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_attempt_subject"), ["subject"], unique=False)
        batch_op.create_index(
            "uq_attempt_live_transfer",
            ["subject"],
            unique=True,
            sqlite_where=sa.text("kind = 'transfer' AND state IN ('pending', 'unknown', 'accepted')"),
            postgresql_where=sa.text("kind = 'transfer' AND state IN ('pending', 'unknown', 'accepted')"),
        )

    op.create_table(
        "case",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("opened_at", Instant(timezone=True), nullable=False),
        sa.Column("closed_at", Instant(timezone=True), nullable=True),
        sa.Column("closed_by", sa.String(length=80), nullable=True),
        sa.Column("closing_note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_case_kind_subject")),
    )
    with op.batch_alter_table("case", schema=None) as batch_op:
        batch_op.create_index("ix_case_open", ["closed_at", "opened_at"], unique=False)

    op.create_table(
        "customer_standing",
        sa.Column("stables_customer_id", sa.String(length=36), nullable=False),
        sa.Column("base_payout", sa.String(length=20), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("read_at", Instant(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("stables_customer_id", name=op.f("pk_customer_standing")),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("dedup_key", sa.String(length=400), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("event_type", sa.String(length=120), server_default="", nullable=False),
        sa.Column("version", sa.String(length=4), server_default="", nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=True),
        sa.Column("subject", sa.String(length=64), nullable=True),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("received_at", Instant(timezone=True), nullable=False),
        sa.Column("applied_at", Instant(timezone=True), nullable=True),
        sa.Column("due_at", Instant(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_token", sa.String(length=40), nullable=True),
        sa.Column("lease_until", Instant(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sa.UniqueConstraint("provider", "dedup_key", name=op.f("uq_event_provider_dedup_key")),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_due", ["due_at"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL"))
        batch_op.create_index("ix_event_state", ["state", "received_at"], unique=False)
        batch_op.create_index("ix_event_subject", ["subject"], unique=False)

    op.create_table(
        "installation",
        sa.Column("one", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("restored_at", Instant(timezone=True), nullable=True),
        sa.CheckConstraint("one = 1", name=op.f("ck_installation_single")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_installation")),
    )
    op.create_table(
        "move",
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("before", sa.String(length=40), nullable=True),
        sa.Column("after", sa.String(length=40), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("who", sa.String(length=80), nullable=False),
        sa.Column("at", Instant(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", "position", name=op.f("pk_move")),
    )
    op.create_table(
        "pause",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("released_at", Instant(timezone=True), nullable=True),
        sa.Column("released_by", sa.String(length=80), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pause")),
    )
    with op.batch_alter_table("pause", schema=None) as batch_op:
        batch_op.create_index(
            "uq_pause_live",
            ["scope"],
            unique=True,
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )

    op.create_table(
        "person",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("removed_at", Instant(timezone=True), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_person")),
    )
    op.create_table(
        "store",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("origins", sa.Text(), nullable=False),
        sa.Column("notify_url", sa.Text(), nullable=True),
        sa.Column("success_url", sa.Text(), nullable=True),
        sa.Column("exit_url", sa.Text(), nullable=True),
        sa.Column("error_url", sa.Text(), nullable=True),
        sa.Column("support_url", sa.Text(), nullable=True),
        sa.Column("destination_address", sa.String(length=120), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store")),
        sa.UniqueConstraint("name", name=op.f("uq_store_name")),
    )
    op.create_table(
        "account",
        sa.Column("id", sa.String(length=160), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("book", sa.String(length=40), nullable=False),
        sa.Column("asset", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_account_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("id", "asset", name=op.f("uq_account_id_asset")),
    )
    op.create_table(
        "customer",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=False),
        sa.Column("provider_user_id", sa.String(length=36), nullable=False),
        sa.Column("email_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("kyc_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("saved_banks_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("updated_at", Instant(timezone=True), nullable=False),
        sa.Column("erased_at", Instant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_customer_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer")),
        sa.UniqueConstraint("provider_user_id", name=op.f("uq_customer_provider_user_id")),
        sa.UniqueConstraint("store_id", "external_id", name=op.f("uq_customer_store_id_external_id")),
    )
    op.create_table(
        "notification",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("payment_id", sa.String(length=64), nullable=True),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("last_answer", sa.String(length=200), server_default="", nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("delivered_at", Instant(timezone=True), nullable=True),
        sa.Column("due_at", Instant(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_token", sa.String(length=40), nullable=True),
        sa.Column("lease_until", Instant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_notification_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
        sa.UniqueConstraint("subject", "sequence", name=op.f("uq_notification_subject_sequence")),
    )
    with op.batch_alter_table("notification", schema=None) as batch_op:
        batch_op.create_index(
            "ix_notification_due", ["due_at"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL")
        )
        batch_op.create_index(batch_op.f("ix_notification_payment_id"), ["payment_id"], unique=False)

    op.create_table(
        "notification_secret",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", Instant(timezone=True), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_notification_secret_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_secret")),
    )
    with op.batch_alter_table("notification_secret", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_notification_secret_store_id"), ["store_id"], unique=False)

    op.create_table(
        "payout_account",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("stables_customer_id", sa.String(length=36), nullable=False),
        sa.Column("asset", sa.String(length=10), nullable=False),
        sa.Column("network", sa.String(length=20), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("rail", sa.String(length=10), nullable=False),
        sa.Column("bank_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("bank_digest", sa.String(length=64), nullable=False),
        sa.Column("bank_hint", sa.String(length=40), nullable=False),
        sa.Column("purpose_code", sa.String(length=60), nullable=False),
        sa.Column("usable_at", Instant(timezone=True), nullable=False),
        sa.Column("confirmed_at", Instant(timezone=True), nullable=True),
        sa.Column("confirmed_by", sa.String(length=80), nullable=True),
        sa.Column("retired_at", Instant(timezone=True), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_payout_account_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_account")),
    )
    with op.batch_alter_table("payout_account", schema=None) as batch_op:
        batch_op.create_index(
            "uq_payout_account_live_name",
            ["store_id", "name"],
            unique=True,
            sqlite_where=sa.text("retired_at IS NULL"),
            postgresql_where=sa.text("retired_at IS NULL"),
        )

    op.create_table(
        "payout_policy",
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("asset", sa.String(length=10), nullable=False),
        sa.Column("network", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_payout_policy_store_id")),
        sa.PrimaryKeyConstraint("store_id", "asset", "network", name=op.f("pk_payout_policy")),
    )
    op.create_table(
        "settlement_record",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("asset", sa.String(length=10), nullable=False),
        sa.Column("network", sa.String(length=20), nullable=False),
        sa.Column("received_minor", sa.BigInteger(), nullable=False),
        sa.Column("free_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("deposits_minor", sa.BigInteger(), nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.CheckConstraint("fee_minor >= 0", name=op.f("ck_settlement_record_fee")),
        sa.CheckConstraint("free_minor >= 0", name=op.f("ck_settlement_record_free")),
        sa.CheckConstraint("received_minor > 0", name=op.f("ck_settlement_record_received")),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_settlement_record_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement_record")),
    )
    with op.batch_alter_table("settlement_record", schema=None) as batch_op:
        batch_op.create_index("ix_settlement_record_store", ["store_id", "asset", "network"], unique=False)

    op.create_table(
        "settlement_rule",
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("asset", sa.String(length=10), nullable=False),
        sa.Column("network", sa.String(length=20), nullable=False),
        sa.Column("evidence", sa.String(length=10), nullable=False),
        sa.Column("settles_gross", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.CheckConstraint("evidence IN ('declared', 'recorded')", name=op.f("ck_settlement_rule_kind")),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_settlement_rule_store_id")),
        sa.PrimaryKeyConstraint("store_id", "currency", name=op.f("pk_settlement_rule")),
    )
    op.create_table(
        "store_key",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("hint", sa.String(length=24), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("last_used_at", Instant(timezone=True), nullable=True),
        sa.Column("revoked_at", Instant(timezone=True), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_store_key_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store_key")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_store_key_key_hash")),
    )
    with op.batch_alter_table("store_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_store_key_store_id"), ["store_id"], unique=False)

    op.create_table(
        "treasury",
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("asset", sa.String(length=10), nullable=False),
        sa.Column("network", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_treasury_store_id")),
        sa.PrimaryKeyConstraint("store_id", "asset", "network", name=op.f("pk_treasury")),
    )
    op.create_table(
        "payment",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("flow", sa.String(length=20), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("order_ref", sa.String(length=120), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("success_url", sa.Text(), nullable=True),
        sa.Column("exit_url", sa.Text(), nullable=True),
        sa.Column("error_url", sa.Text(), nullable=True),
        sa.Column("support_url", sa.Text(), nullable=True),
        sa.Column("payment_method", sa.String(length=30), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("anomalies", sa.String(length=200), server_default="", nullable=False),
        sa.Column("counted_deposit_id", sa.String(length=64), nullable=True),
        sa.Column("sequence", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("moves", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("pay_token_hash", sa.String(length=64), nullable=False),
        sa.Column("pay_token_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("updated_at", Instant(timezone=True), nullable=False),
        sa.Column("expires_at", Instant(timezone=True), nullable=True),
        sa.Column("expired_at", Instant(timezone=True), nullable=True),
        sa.Column("cancelled_at", Instant(timezone=True), nullable=True),
        sa.Column("last_news_at", Instant(timezone=True), nullable=True),
        sa.Column("notified_status", sa.String(length=20), nullable=True),
        sa.Column("due_at", Instant(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_token", sa.String(length=40), nullable=True),
        sa.Column("lease_until", Instant(timezone=True), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_amount")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_payment_customer_id")),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_payment_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.UniqueConstraint("pay_token_hash", name=op.f("uq_payment_pay_token_hash")),
        sa.UniqueConstraint("store_id", "idempotency_key", name=op.f("uq_payment_store_id_idempotency_key")),
    )
    with op.batch_alter_table("payment", schema=None) as batch_op:
        batch_op.create_index(
            "ix_payment_due", ["due_at"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL")
        )
        batch_op.create_index("ix_payment_store_newest", ["store_id", "id"], unique=False)
        batch_op.create_index("ix_payment_store_order", ["store_id", "order_ref"], unique=False)

    op.create_table(
        "payout",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("payout_account_id", sa.String(length=64), nullable=False),
        sa.Column("asset", sa.String(length=10), nullable=False),
        sa.Column("network", sa.String(length=20), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("quote_id", sa.String(length=64), nullable=True),
        sa.Column("provider_status", sa.String(length=40), nullable=True),
        sa.Column("provider_status_at", Instant(timezone=True), nullable=True),
        sa.Column("credit_minor", sa.BigInteger(), nullable=True),
        sa.Column("credit_currency", sa.String(length=3), nullable=True),
        sa.Column("credit_is", sa.String(length=10), nullable=True),
        sa.Column("moves", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("updated_at", Instant(timezone=True), nullable=False),
        sa.Column("due_at", Instant(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_token", sa.String(length=40), nullable=True),
        sa.Column("lease_until", Instant(timezone=True), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payout_amount")),
        sa.ForeignKeyConstraint(["payout_account_id"], ["payout_account.id"], name=op.f("fk_payout_payout_account_id")),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_payout_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout")),
    )
    with op.batch_alter_table("payout", schema=None) as batch_op:
        batch_op.create_index("ix_payout_due", ["due_at"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL"))
        batch_op.create_index("ix_payout_store", ["store_id", "id"], unique=False)

    op.create_table(
        "posting",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("debit", sa.String(length=160), nullable=False),
        sa.Column("credit", sa.String(length=160), nullable=False),
        sa.Column("asset", sa.String(length=32), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(length=64), nullable=False),
        sa.Column("at", Instant(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_posting_amount")),
        sa.CheckConstraint("debit <> credit", name=op.f("ck_posting_two_accounts")),
        sa.ForeignKeyConstraint(["credit", "asset"], ["account.id", "account.asset"], name="fk_posting_credit_asset"),
        sa.ForeignKeyConstraint(["debit", "asset"], ["account.id", "account.asset"], name="fk_posting_debit_asset"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_posting")),
    )
    with op.batch_alter_table("posting", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_posting_cause"), ["cause"], unique=False)
        batch_op.create_index(batch_op.f("ix_posting_credit"), ["credit"], unique=False)
        batch_op.create_index(batch_op.f("ix_posting_debit"), ["debit"], unique=False)

    op.create_table(
        "payout_item",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("payout_id", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("released_at", Instant(timezone=True), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payout_item_amount")),
        sa.ForeignKeyConstraint(["payout_id"], ["payout.id"], name=op.f("fk_payout_item_payout_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_item")),
    )
    with op.batch_alter_table("payout_item", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_payout_item_payout_id"), ["payout_id"], unique=False)
        batch_op.create_index(
            "uq_payout_item_live",
            ["source"],
            unique=True,
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )

    op.create_table(
        "quote",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("payout_id", sa.String(length=64), nullable=False),
        sa.Column("attempt_id", sa.String(length=64), nullable=False),
        sa.Column("provider_quote_id", sa.String(length=64), nullable=False),
        sa.Column("source_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_currency", sa.String(length=3), nullable=False),
        sa.Column("rate", sa.String(length=60), nullable=False),
        sa.Column("fees", sa.Text(), nullable=False),
        sa.Column("expires_at", Instant(timezone=True), nullable=False),
        sa.Column("refused", sa.Text(), server_default="", nullable=False),
        sa.Column("raw_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name=op.f("fk_quote_attempt_id")),
        sa.ForeignKeyConstraint(["payout_id"], ["payout.id"], name=op.f("fk_quote_payout_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quote")),
        sa.UniqueConstraint("provider_quote_id", name=op.f("uq_quote_provider_quote_id")),
    )
    with op.batch_alter_table("quote", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quote_payout_id"), ["payout_id"], unique=False)

    op.create_table(
        "session",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("payment_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("website_reference", sa.String(length=36), nullable=False),
        sa.Column("provider_key", sa.String(length=36), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=True),
        sa.Column("provider_session_id", sa.String(length=200), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("widget_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", Instant(timezone=True), nullable=True),
        sa.Column("return_token_hash", sa.String(length=64), nullable=False),
        sa.Column("return_token_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("came_back_at", Instant(timezone=True), nullable=True),
        sa.Column("came_back_with", sa.String(length=20), nullable=True),
        sa.Column("first_sent_at", Instant(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("due_at", Instant(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_token", sa.String(length=40), nullable=True),
        sa.Column("lease_until", Instant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_session_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("payment_id", "number", name=op.f("uq_session_payment_id_number")),
        sa.UniqueConstraint("provider_key", name=op.f("uq_session_provider_key")),
        sa.UniqueConstraint("provider_session_id", name=op.f("uq_session_provider_session_id")),
        sa.UniqueConstraint("reference", name=op.f("uq_session_reference")),
        sa.UniqueConstraint("return_token_hash", name=op.f("uq_session_return_token_hash")),
        sa.UniqueConstraint("website_reference", name=op.f("uq_session_website_reference")),
    )
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.create_index(
            "ix_session_due", ["due_at"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL")
        )

    op.create_table(
        "deposit",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=False),
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("payment_id", sa.String(length=64), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=True),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("foreign", sa.Boolean(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("allocated_at", Instant(timezone=True), nullable=True),
        sa.Column("allocated_by", sa.String(length=80), nullable=True),
        sa.Column("settlement_record_id", sa.String(length=64), nullable=True),
        sa.Column("refund_live", sa.Boolean(), nullable=False),
        sa.Column("moves", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("settled_at", Instant(timezone=True), nullable=True),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_deposit_amount")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_deposit_payment_id")),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"], name=op.f("fk_deposit_session_id")),
        sa.ForeignKeyConstraint(
            ["settlement_record_id"], ["settlement_record.id"], name=op.f("fk_deposit_settlement_record_id")
        ),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_deposit_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deposit")),
        sa.UniqueConstraint("reference", name=op.f("uq_deposit_reference")),
    )
    with op.batch_alter_table("deposit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_deposit_payment_id"), ["payment_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_deposit_settlement_record_id"), ["settlement_record_id"], unique=False)
        batch_op.create_index("ix_deposit_waiting", ["store_id", "stage", "settlement_record_id"], unique=False)

    op.create_table(
        "mandate",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("payout_id", sa.String(length=64), nullable=False),
        sa.Column("payout_account_id", sa.String(length=64), nullable=False),
        sa.Column("asset", sa.String(length=10), nullable=False),
        sa.Column("network", sa.String(length=20), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("stables_customer_id", sa.String(length=36), nullable=False),
        sa.Column("bank_digest", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("rail", sa.String(length=10), nullable=False),
        sa.Column("purpose_code", sa.String(length=60), nullable=False),
        sa.Column("min_credit_minor", sa.BigInteger(), nullable=False),
        sa.Column("quote_id", sa.String(length=64), nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("valid_until", Instant(timezone=True), nullable=False),
        sa.Column("second_by", sa.String(length=80), nullable=True),
        sa.Column("second_at", Instant(timezone=True), nullable=True),
        sa.Column("voided_at", Instant(timezone=True), nullable=True),
        sa.Column("voided_because", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["payout_account_id"], ["payout_account.id"], name=op.f("fk_mandate_payout_account_id")
        ),
        sa.ForeignKeyConstraint(["payout_id"], ["payout.id"], name=op.f("fk_mandate_payout_id")),
        sa.ForeignKeyConstraint(["quote_id"], ["quote.id"], name=op.f("fk_mandate_quote_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mandate")),
    )
    with op.batch_alter_table("mandate", schema=None) as batch_op:
        batch_op.create_index(
            "uq_mandate_live",
            ["payout_id"],
            unique=True,
            sqlite_where=sa.text("voided_at IS NULL"),
            postgresql_where=sa.text("voided_at IS NULL"),
        )

    op.create_table(
        "transfer",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("payout_id", sa.String(length=64), nullable=False),
        sa.Column("attempt_id", sa.String(length=64), nullable=False),
        sa.Column("quote_id", sa.String(length=64), nullable=False),
        sa.Column("provider_transfer_id", sa.String(length=64), nullable=False),
        sa.Column("address_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("address_hash", sa.String(length=64), nullable=True),
        sa.Column("raw_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("provider_created_at", Instant(timezone=True), nullable=False),
        sa.Column("fundable_until", Instant(timezone=True), nullable=False),
        sa.Column("checked_at", Instant(timezone=True), nullable=True),
        sa.Column("instructions_revealed_at", Instant(timezone=True), nullable=True),
        sa.Column("revealed_by", sa.String(length=80), nullable=True),
        sa.Column("collected_at", Instant(timezone=True), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name=op.f("fk_transfer_attempt_id")),
        sa.ForeignKeyConstraint(["payout_id"], ["payout.id"], name=op.f("fk_transfer_payout_id")),
        sa.ForeignKeyConstraint(["quote_id"], ["quote.id"], name=op.f("fk_transfer_quote_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer")),
        sa.UniqueConstraint("address_hash", name=op.f("uq_transfer_address_hash")),
        sa.UniqueConstraint("attempt_id", name=op.f("uq_transfer_attempt_id")),
        sa.UniqueConstraint("provider_transfer_id", name=op.f("uq_transfer_provider_transfer_id")),
    )
    with op.batch_alter_table("transfer", schema=None) as batch_op:
        batch_op.create_index("ix_transfer_payout", ["payout_id"], unique=False)

    op.create_table(
        "funding",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("transfer_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("tx_hash", sa.String(length=120), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfer.id"], name=op.f("fk_funding_transfer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_funding")),
        sa.UniqueConstraint("transfer_id", name=op.f("uq_funding_transfer_id")),
        sa.UniqueConstraint("tx_hash", name=op.f("uq_funding_tx_hash")),
    )
    op.create_table(
        "refund",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("payment_id", sa.String(length=64), nullable=False),
        sa.Column("deposit_id", sa.String(length=64), nullable=True),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("creditor_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("reference", sa.String(length=200), nullable=True),
        sa.Column("approved_by", sa.String(length=80), nullable=True),
        sa.Column("moves", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("due_at", Instant(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_token", sa.String(length=40), nullable=True),
        sa.Column("lease_until", Instant(timezone=True), nullable=True),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_refund_amount")),
        sa.ForeignKeyConstraint(["deposit_id"], ["deposit.id"], name=op.f("fk_refund_deposit_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_refund_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("payment_id", "idempotency_key", name=op.f("uq_refund_payment_id_idempotency_key")),
        sa.UniqueConstraint("reference", name=op.f("uq_refund_reference")),
    )
    with op.batch_alter_table("refund", schema=None) as batch_op:
        batch_op.create_index("ix_refund_due", ["due_at"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL"))
        batch_op.create_index(batch_op.f("ix_refund_payment_id"), ["payment_id"], unique=False)

    _protect()


#: Postings and moves are appended, never changed: the database refuses anything else.
APPEND_ONLY = ("posting", "move", "act")
#: Rows that are due; PostgreSQL tells the workers when one is written.
WORK = ("event", "session", "payout", "notification", "payment", "refund")


def _protect() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in APPEND_ONLY:
            for verb in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} rows are append-only'); END"
                )
        return
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% rows are append-only', TG_TABLE_NAME; END $$"
    )
    op.execute(
        "CREATE FUNCTION tell_due() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('checkout_due', TG_TABLE_NAME); RETURN NULL; END $$"
    )
    for table in WORK:
        op.execute(
            f'CREATE TRIGGER {table}_due AFTER INSERT OR UPDATE OF due_at ON "{table}" FOR EACH ROW '
            "WHEN (NEW.lease_token IS NULL AND NEW.due_at <= now()) EXECUTE FUNCTION tell_due()"
        )
    for table in APPEND_ONLY:
        op.execute(
            f'CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON "{table}" '
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    raise NotImplementedError("money rows are never dropped; restore a backup instead")
