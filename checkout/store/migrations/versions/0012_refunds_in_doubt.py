"""A refund that may have been sent after the backup that was put back says so itself, whatever became of its case."""

import sqlalchemy as sa
from alembic import op

from checkout.store.tables import Instant

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

#: Whose approval a restore took back before this column existed, and nobody has given again.
TAKEN_BACK = """
    UPDATE refund SET in_doubt_since = (
        SELECT max(back.at) FROM act AS back WHERE back.subject = refund.id AND back.action = 'refund approval taken back'
    )
    WHERE state IN ('requested', 'needs_details', 'needs_funding') AND approved_by IS NULL AND NOT EXISTS (
        SELECT 1 FROM act AS anew WHERE anew.subject = refund.id AND anew.action = 'refund approved' AND anew.at > (
            SELECT max(back.at) FROM act AS back WHERE back.subject = refund.id AND back.action = 'refund approval taken back'
        )
    )
"""


def upgrade() -> None:
    op.add_column("refund", sa.Column("in_doubt_since", Instant(timezone=True), nullable=True))
    op.execute(TAKEN_BACK)


def downgrade() -> None:
    raise NotImplementedError("money rows are never dropped; restore a backup instead")
