"""Returning customers, payment links, a store's look, and sessions that ended before another was opened."""

import sqlalchemy as sa
from alembic import op

from checkout.store.tables import Instant

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("store", sa.Column("colour", sa.String(length=7), nullable=True))
    op.add_column("store", sa.Column("logo_digest", sa.String(length=12), nullable=True))
    op.create_table(
        "store_logo",
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.String(length=20), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_store_logo_store_id")),
        sa.PrimaryKeyConstraint("store_id", name=op.f("pk_store_logo")),
    )
    op.drop_column("customer", "saved_banks_sealed")  # the provider sends them with each session; nothing was ever kept
    op.create_table(
        "payment_link",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("token_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=True),
        sa.Column("flow", sa.String(length=20), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("order_ref", sa.String(length=120), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("language", sa.String(length=8), nullable=True),
        sa.Column("success_url", sa.Text(), nullable=True),
        sa.Column("exit_url", sa.Text(), nullable=True),
        sa.Column("error_url", sa.Text(), nullable=True),
        sa.Column("support_url", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("single_use", sa.Boolean(), nullable=False),
        sa.Column("expires_at", Instant(timezone=True), nullable=True),
        sa.Column("deactivated_at", Instant(timezone=True), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payment_link_amount")),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name=op.f("fk_payment_link_customer_id")),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_payment_link_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_link")),
        sa.UniqueConstraint("store_id", "idempotency_key", name=op.f("uq_payment_link_store_id_idempotency_key")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_payment_link_token_hash")),
    )
    op.create_index("ix_payment_link_store", "payment_link", ["store_id", "id"])
    op.add_column("payment", sa.Column("language", sa.String(length=8), nullable=True))
    link = sa.Column("link_id", sa.String(length=64), nullable=True)
    if op.get_bind().dialect.name == "sqlite":  # it cannot add a constraint later, only with the column
        op.execute(
            "ALTER TABLE payment ADD COLUMN link_id VARCHAR(64) CONSTRAINT fk_payment_link_id REFERENCES payment_link(id)"
        )
    else:
        op.add_column("payment", link)
        op.create_foreign_key("fk_payment_link_id", "payment", "payment_link", ["link_id"], ["id"])
    op.create_index("ix_payment_customer", "payment", ["customer_id", "id"])
    op.create_index("ix_payment_link", "payment", ["link_id", "created_at"])
    op.add_column("session", sa.Column("ended_at", Instant(timezone=True), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("money rows are never dropped; restore a backup instead")
