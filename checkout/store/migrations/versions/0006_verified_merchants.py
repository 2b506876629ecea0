"""Merchants registered at Stables; what became of a payout account, and what Stables thought of it."""

import sqlalchemy as sa
from alembic import op

from checkout.store.tables import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "merchant",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("external_customer_id", sa.String(length=120), nullable=False),
        sa.Column("customer_type", sa.String(length=12), nullable=False),
        sa.Column("request_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("stables_customer_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_merchant")),
        sa.UniqueConstraint("external_customer_id", name=op.f("uq_merchant_external_customer_id")),
        sa.UniqueConstraint("stables_customer_id", name=op.f("uq_merchant_stables_customer_id")),
    )
    op.add_column("payout_account", sa.Column("replaces", sa.String(length=64), nullable=True))
    op.add_column("payout_account", sa.Column("provider_check", sa.String(length=20), nullable=True))
    op.add_column("payout_account", sa.Column("provider_checked_at", Instant(timezone=True), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("money rows are never dropped; restore a backup instead")
