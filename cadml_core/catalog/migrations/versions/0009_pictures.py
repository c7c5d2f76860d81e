"""Pictures and models of contents."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "pictures",
        sa.Column("sha256", sa.Text, sa.ForeignKey("contents.sha256", ondelete="CASCADE"), primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True, comment="own, file or model."),
        sa.Column("maker", sa.Text, nullable=False, comment="Name and version."),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False, comment="Empty where there is none."),
        sa.Column("failure", sa.Text, nullable=False, comment="Why there is none."),
        comment="What was drawn of contents, or why nothing could be.",
    )
