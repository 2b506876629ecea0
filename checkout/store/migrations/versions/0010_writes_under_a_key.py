"""Writes of the API under an Idempotency-Key, and what its lists are filtered by."""

import sqlalchemy as sa
from alembic import op

from checkout.store.tables import Instant

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "request_key",
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("operation", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_request_key_store_id")),
        sa.PrimaryKeyConstraint("store_id", "operation", "key", name=op.f("pk_request_key")),
    )
    op.create_index("ix_request_key_subject", "request_key", ["subject"])
    odd = sa.text("anomalies <> ''")
    op.drop_index("ix_payment_store_order", "payment")
    op.create_index("ix_payment_store_order", "payment", ["store_id", "order_ref", "id"])
    op.create_index("ix_payment_store_status", "payment", ["store_id", "status", "id"])
    op.create_index("ix_payment_store_odd", "payment", ["store_id", "id"], sqlite_where=odd, postgresql_where=odd)
    op.create_index("ix_payment_link_store_order", "payment_link", ["store_id", "order_ref", "id"])
    op.create_index("ix_payment_link_customer", "payment_link", ["customer_id", "id"])
    op.create_index("ix_settlement_record_newest", "settlement_record", ["store_id", "id"])


def downgrade() -> None:
    raise NotImplementedError("money rows are never dropped; restore a backup instead")
