"""The unit that a sender has stated, and the contents that could not be read."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column and the table."""
    op.add_column(
        "contents", sa.Column("unit", sa.Text, comment="The unit that the sender has stated for it.")
    )
    op.create_table(
        "refusals",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("reader", sa.Text, primary_key=True, comment="Adapter, version and limits of the reading."),
        sa.Column("path", sa.Text, nullable=False, comment="What the error calls the file."),
        sa.Column("error", sa.Text, nullable=False, comment="JSON."),
        sa.Column("at", sa.Text, nullable=False, comment="ISO 8601, UTC."),
        comment="Contents that could not be read, so that each attempt is made once.",
    )
