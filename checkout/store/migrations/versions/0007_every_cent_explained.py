"""Confirmed credits, evidence by file and API, and transfers that a restored database does not remember."""

import sqlalchemy as sa
from alembic import op

from checkout.store.tables import Instant

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "credit_confirmation",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("payout_id", sa.String(length=64), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_credit_confirmation_amount")),
        sa.ForeignKeyConstraint(["payout_id"], ["payout.id"], name=op.f("fk_credit_confirmation_payout_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_confirmation")),
    )
    op.create_index("ix_credit_confirmation_payout_id", "credit_confirmation", ["payout_id"])
    op.create_table(
        "evidence_line",
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("settlement_record_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["settlement_record_id"], ["settlement_record.id"], name=op.f("fk_evidence_line_settlement_record_id")
        ),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_evidence_line_store_id")),
        sa.PrimaryKeyConstraint("store_id", "source", "key", name=op.f("pk_evidence_line")),
    )
    op.create_table(
        "known_transfer",
        sa.Column("provider_transfer_id", sa.String(length=64), nullable=False),
        sa.Column("payout", sa.String(length=64), nullable=True),
        sa.Column("attempt", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("seen_at", Instant(timezone=True), nullable=False),
        sa.Column("confirmed_at", Instant(timezone=True), nullable=True),
        sa.Column("confirmed_by", sa.String(length=80), nullable=True),
        sa.PrimaryKeyConstraint("provider_transfer_id", name=op.f("pk_known_transfer")),
    )


def downgrade() -> None:
    raise NotImplementedError("money rows are never dropped; restore a backup instead")
