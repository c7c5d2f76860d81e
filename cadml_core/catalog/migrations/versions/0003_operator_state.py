"""What operators chose for every process on this catalogue."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create it."""
    op.create_table(
        "operator_state",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False, comment="JSON."),
        comment="What operators chose for every process on this catalogue.",
    )
