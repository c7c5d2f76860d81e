"""A journal of migrations between feature versions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create it."""
    op.create_table(
        "migrations",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("to_version", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("recomputed", sa.BigInteger, nullable=False),
        sa.Column("by_name", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.Column("started", sa.Text, nullable=False, comment="ISO 8601, UTC."),
        sa.Column("updated", sa.Text, nullable=False),
        sa.Column("finished", sa.Text),
        comment="What was migrated when; the last ten are kept.",
    )
