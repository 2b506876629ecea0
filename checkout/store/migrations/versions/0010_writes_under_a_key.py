"""Writes of the API under an Idempotency-Key, and what its lists are filtered by."""

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError("money rows are never dropped; restore a backup instead")
