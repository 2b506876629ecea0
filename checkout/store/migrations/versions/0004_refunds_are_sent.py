"""Refunds are sent: who asked and approved, where the money is, our identifiers of the withdrawal, and the store's limits."""

import sqlalchemy as sa
from alembic import op

from checkout.store.tables import Instant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LIVE = sa.text("kind = 'withdrawal' AND state <> 'dead'")


def upgrade() -> None:
    op.add_column("refund", sa.Column("requested_by", sa.String(length=80), server_default="", nullable=False))
    op.add_column("refund", sa.Column("approved_at", Instant(timezone=True), nullable=True))
    op.add_column("refund", sa.Column("funded_at", Instant(timezone=True), nullable=True))
    op.add_column("refund", sa.Column("reserved", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("refund", sa.Column("failed_heard", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("refund", sa.Column("website_reference", sa.String(length=36), nullable=True))
    op.add_column("refund", sa.Column("shopper_url_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("refund", sa.Column("note", sa.Text(), server_default="", nullable=False))
    op.add_column("refund", sa.Column("updated_at", Instant(timezone=True), nullable=True))
    op.create_index("uq_refund_website_reference", "refund", ["website_reference"], unique=True)
    op.create_index("ix_refund_deposit", "refund", ["deposit_id"])
    op.create_table(
        "refund_rule",
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("limit_minor", sa.BigInteger(), nullable=False),
        sa.Column("hosted_withdrawal", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.CheckConstraint("limit_minor >= 0", name=op.f("ck_refund_rule_limit")),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_refund_rule_store_id")),
        sa.PrimaryKeyConstraint("store_id", "currency", name=op.f("pk_refund_rule")),
    )
    op.create_index(
        "uq_attempt_live_withdrawal", "attempt", ["subject"], unique=True, sqlite_where=LIVE, postgresql_where=LIVE
    )


def downgrade() -> None:
    raise NotImplementedError("money rows are never dropped; restore a backup instead")
