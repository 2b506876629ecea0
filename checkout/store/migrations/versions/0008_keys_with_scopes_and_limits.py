"""Keys have scopes, a limit and an end."""

import sqlalchemy as sa
from alembic import op

from checkout.store.tables import Instant

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("store_key", sa.Column("label", sa.String(length=80), nullable=True))
    op.add_column("store_key", sa.Column("window_at", Instant(timezone=True), nullable=True))
    op.add_column("store_key", sa.Column("window_taken", sa.Integer(), nullable=False, server_default=sa.text("0")))
    if op.get_bind().dialect.name == "sqlite":  # it cannot add a constraint later, only with the column
        op.execute(
            "ALTER TABLE store_key ADD COLUMN per_minute INTEGER CONSTRAINT ck_store_key_per_minute CHECK (per_minute > 0)"
        )
    else:
        op.add_column("store_key", sa.Column("per_minute", sa.Integer(), nullable=True))
        op.create_check_constraint(op.f("ck_store_key_per_minute"), "store_key", "per_minute > 0")
    # what could write could ask for refunds: it still can
    op.execute("UPDATE store_key SET scopes = 'read write refunds' WHERE scopes = 'read write'")


def downgrade() -> None:
    raise NotImplementedError("money rows are never dropped; restore a backup instead")
