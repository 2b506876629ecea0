"""How much of a credit may stay unexplained; customers that are due to be read; what is not over, by index."""

import sqlalchemy as sa
from alembic import op

from checkout.store.tables import Instant

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

LIVE = {
    "payout": (
        "proposed", "quoted", "approved", "transfer_created", "awaiting_funding", "funded", "submitted", "processed", "on_hold",
        "needs_decision",
    ),
    "refund": ("requested", "needs_details", "needs_funding", "sending", "unknown", "accepted"),
}  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "statement_limit",
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("unexplained_bp", sa.Integer(), nullable=False),
        sa.Column("unexplained_minor", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_statement_limit_store_id")),
        sa.PrimaryKeyConstraint("store_id", name=op.f("pk_statement_limit")),
    )
    op.execute("ALTER TABLE customer_standing RENAME COLUMN stables_customer_id TO id")
    for column in (
        sa.Column("due_at", Instant(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_token", sa.String(length=40), nullable=True),
        sa.Column("lease_until", Instant(timezone=True), nullable=True),
    ):
        op.add_column("customer_standing", column)
    op.create_index(
        "ix_customer_standing_due", "customer_standing", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.drop_index("ix_event_state", "event")
    op.create_index("ix_event_state", "event", ["state", "received_at", "provider"])
    for table, states in LIVE.items():
        where = sa.text(f"state IN ({', '.join(repr(state) for state in states)})")
        op.create_index(f"ix_{table}_live", table, ["state"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    raise NotImplementedError("money rows are never dropped; restore a backup instead")
