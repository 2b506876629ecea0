"""Endpoints, and what each was sent: what a store had as one address becomes its first endpoint, with its secrets and jobs."""

import sqlalchemy as sa
from alembic import op

from checkout.store.tables import Instant

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

DUE = sa.text("due_at IS NOT NULL")
MISSED = sa.text("state = 'abandoned'")
#: What the message had of its job, which is the delivery's now.
WORK = ("state", "last_answer", "delivered_at", "due_at", "attempts", "lease_token", "lease_until")


def upgrade() -> None:
    op.create_table(
        "notification_endpoint",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("store_id", sa.String(length=64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failing_since", Instant(timezone=True), nullable=True),
        sa.Column("resting_until", Instant(timezone=True), nullable=True),
        sa.Column("probe_token", sa.String(length=40), nullable=True),
        sa.Column("disabled_at", Instant(timezone=True), nullable=True),
        sa.Column("disabled_because", sa.Text(), nullable=True),
        sa.Column("removed_at", Instant(timezone=True), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["store_id"], ["store.id"], name=op.f("fk_notification_endpoint_store_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_endpoint")),
    )
    op.create_index(op.f("ix_notification_endpoint_store_id"), "notification_endpoint", ["store_id"])
    # ids keep what follows their prefix: ``sto_…`` has the endpoint ``end_…``, and below ``msg_…`` the delivery ``dlv_…``
    op.execute(
        "INSERT INTO notification_endpoint (id, store_id, url, state, created_at, created_by) "
        "SELECT 'end_' || substr(id, 5), id, notify_url, 'active', created_at, created_by FROM store "
        "WHERE notify_url IS NOT NULL"
    )
    _secrets()
    _deliveries()
    op.drop_column("store", "notify_url")
    if op.get_bind().dialect.name == "postgresql":
        _tell_workers()


def _secrets() -> None:
    """They belong to an endpoint from now on. The table is made anew: SQLite cannot make a filled-in column obligatory."""
    kept = op.get_bind().execute(
        sa.text(
            "SELECT s.id, e.id AS endpoint_id, s.secret_sealed, s.expires_at, s.created_at, s.created_by "
            "FROM notification_secret s JOIN notification_endpoint e ON e.store_id = s.store_id"
        ).columns(expires_at=Instant, created_at=Instant)
    )
    rows = [dict(row._mapping) for row in kept]
    op.drop_table("notification_secret")
    secret = op.create_table(
        "notification_secret",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", Instant(timezone=True), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["notification_endpoint.id"], name=op.f("fk_notification_secret_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_secret")),
    )
    op.create_index(op.f("ix_notification_secret_endpoint_id"), "notification_secret", ["endpoint_id"])
    op.bulk_insert(secret, rows)


def _deliveries() -> None:
    op.create_table(
        "notification_delivery",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("notification_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_answer", sa.String(length=200), server_default="", nullable=False),
        sa.Column("since", Instant(timezone=True), nullable=False),
        sa.Column("delivered_at", Instant(timezone=True), nullable=True),
        sa.Column("due_at", Instant(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_token", sa.String(length=40), nullable=True),
        sa.Column("lease_until", Instant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["notification_id"], ["notification.id"], name=op.f("fk_notification_delivery_notification_id")
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["notification_endpoint.id"], name=op.f("fk_notification_delivery_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_delivery")),
        sa.UniqueConstraint(
            "notification_id", "endpoint_id", name=op.f("uq_notification_delivery_notification_id_endpoint_id")
        ),
    )
    op.create_index(
        "ix_notification_delivery_due", "notification_delivery", ["endpoint_id", "due_at"], sqlite_where=DUE,
        postgresql_where=DUE,
    )  # fmt: skip
    op.create_index(
        "ix_notification_delivery_missed", "notification_delivery", ["endpoint_id"], sqlite_where=MISSED,
        postgresql_where=MISSED,
    )  # fmt: skip
    op.create_table(
        "delivery_attempt",
        sa.Column("delivery_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", Instant(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("problem", sa.String(length=200), server_default="", nullable=False),
        sa.Column("excerpt_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["notification_delivery.id"], name=op.f("fk_delivery_attempt_delivery_id")
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_delivery_attempt")),
    )
    op.execute(
        "INSERT INTO notification_delivery "
        "(id, notification_id, endpoint_id, state, tries, last_answer, since, delivered_at, due_at, attempts) "
        "SELECT 'dlv_' || substr(n.id, 5), n.id, e.id, n.state, n.attempts, n.last_answer, n.created_at, "
        "n.delivered_at, n.due_at, n.attempts FROM notification n JOIN notification_endpoint e ON e.store_id = n.store_id "
        "WHERE n.state IN ('pending', 'delivered', 'abandoned')"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER notification_due ON notification")
    op.drop_index("ix_notification_due", table_name="notification")
    for name in WORK:
        op.drop_column("notification", name)
    op.create_index("ix_notification_store", "notification", ["store_id", "created_at", "id"])


def _tell_workers() -> None:
    """A delivery that is due wakes the threads named for it (`checkout.worker`)."""
    op.execute(
        "CREATE FUNCTION tell_due_notification() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('checkout_due', 'notification'); RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER notification_delivery_due AFTER INSERT OR UPDATE OF due_at ON notification_delivery FOR EACH ROW "
        "WHEN (NEW.lease_token IS NULL AND NEW.due_at <= now()) EXECUTE FUNCTION tell_due_notification()"
    )


def downgrade() -> None:
    raise NotImplementedError("money rows are never dropped; restore a backup instead")
