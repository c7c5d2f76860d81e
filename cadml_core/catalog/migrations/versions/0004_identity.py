"""An identity, by which copies outside the database know whose copies they are."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table and make up the identity."""
    table = op.create_table(
        "identity",
        sa.Column("id", sa.Text, primary_key=True),
        comment="One row: what tells this catalogue from every other.",
    )
    op.bulk_insert(table, [{"id": secrets.token_hex(16)}])
