"""The exact features of contents, by which the same part is recognised in any place."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "feature_lists",
        sa.Column("sha256", sa.Text, sa.ForeignKey("contents.sha256", ondelete="CASCADE"), primary_key=True),
        sa.Column(
            "packed",
            sa.LargeBinary,
            nullable=False,
            comment="As cadml_core.documents.feature_list packs it.",
        ),
        comment="The exact features of contents; apart, since most questions want a content without them.",
    )
