"""Payout policies, price guards, two-person mandates, and what people enter about where a payout's money is."""

import sqlalchemy as sa
from alembic import op

from checkout.store.tables import Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("payout_policy")  # nothing ever wrote to its first form
    op.create_table(
        "payout_policy",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("asset", sa.String(length=10), nullable=False),
        sa.Column("network", sa.String(length=20), nullable=False),
        sa.Column("account", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("threshold_minor", sa.BigInteger(), nullable=True),
        sa.Column("minimum_minor", sa.BigInteger(), nullable=True),
        sa.Column("maximum_minor", sa.BigInteger(), nullable=True),
        sa.Column("time_zone", sa.String(length=60), nullable=True),
        sa.Column("at_minute", sa.Integer(), nullable=True),
        sa.Column("weekday", sa.Integer(), nullable=True),
        sa.Column("approve_below_minor", sa.BigInteger(), nullable=True),
        sa.Column("two_people_from_minor", sa.BigInteger(), nullable=True),
        sa.Column("mandate_life_s", sa.Integer(), nullable=False),
        sa.Column("paused_because", sa.Text(), nullable=True),
        sa.Column("last_run_at", Instant(timezone=True), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("updated_at", Instant(timezone=True), nullable=False),
        sa.Column("updated_by", sa.String(length=80), nullable=False),
        sa.Column("due_at", Instant(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_token", sa.String(length=40), nullable=True),
        sa.Column("lease_until", Instant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_payout_policy_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_policy")),
        sa.UniqueConstraint("store_id", "asset", "network", name=op.f("uq_payout_policy_store_id_asset_network")),
    )
    op.create_index("ix_payout_policy_due", "payout_policy", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL"))
    op.create_table(
        "price_guard",
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("worst_cost_minor", sa.BigInteger(), nullable=True),
        sa.Column("worst_cost_bp", sa.Integer(), nullable=True),
        sa.Column("least_credit_minor", sa.BigInteger(), nullable=True),
        sa.Column("least_per_unit", sa.String(length=40), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_price_guard_store_id")),
        sa.PrimaryKeyConstraint("store_id", "currency", name=op.f("pk_price_guard")),
    )
    op.create_table(
        "payout_resolution",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("payout_id", sa.String(length=64), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("asset", sa.String(length=10), nullable=False),
        sa.Column("network", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("credit_minor", sa.BigInteger(), nullable=True),
        sa.Column("credit_currency", sa.String(length=3), nullable=True),
        sa.Column("free_minor", sa.BigInteger(), nullable=False),
        sa.Column("tx_hash", sa.String(length=120), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_payout_resolution_amount")),
        sa.CheckConstraint("credit_minor >= 0", name=op.f("ck_payout_resolution_credit")),
        sa.CheckConstraint("free_minor >= 0", name=op.f("ck_payout_resolution_free")),
        sa.ForeignKeyConstraint(["payout_id"], ["payout.id"], name=op.f("fk_payout_resolution_payout_id")),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_payout_resolution_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_resolution")),
    )
    op.create_index("ix_payout_resolution_payout_id", "payout_resolution", ["payout_id"])
    op.create_index("ix_payout_resolution_free", "payout_resolution", ["store_id", "asset", "network"])
    op.add_column("payout", sa.Column("policy_id", sa.String(length=64), nullable=True))
    op.add_column("payout_item", sa.Column("drawn_by", sa.String(length=64), nullable=True))
    op.add_column("mandate", sa.Column("two_people", sa.Boolean(), server_default=sa.text("false"), nullable=False))


def downgrade() -> None:
    raise NotImplementedError("money rows are never dropped; restore a backup instead")
