"""Endpoints, and what each was sent."""

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError("money rows are never dropped; restore a backup instead")
