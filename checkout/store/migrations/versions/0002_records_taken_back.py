"""A declared record can be withdrawn; an event keeps the session it names; append-only tables refuse TRUNCATE too."""

import sqlalchemy as sa
from alembic import op

from checkout.store.tables import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = ("posting", "move", "act")


def upgrade() -> None:
    op.add_column("settlement_record", sa.Column("withdrawn_at", Instant(timezone=True), nullable=True))
    op.add_column("event", sa.Column("session_hint", sa.String(length=200), nullable=True))
    op.create_index("ix_event_reference", "event", ["reference"])
    op.create_index("ix_event_session_hint", "event", ["session_hint"])
    # what waited before this column existed is looked at once more
    op.execute("UPDATE event SET due_at = received_at WHERE state = 'unmatched'")
    if op.get_bind().dialect.name == "postgresql":
        for table in APPEND_ONLY:
            op.execute(
                f'CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON "{table}" '
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
            )


def downgrade() -> None:
    raise NotImplementedError("money rows are never dropped; restore a backup instead")
