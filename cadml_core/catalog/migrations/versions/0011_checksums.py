"""Checksums of contents. Vectors carry theirs from here on, which older programs do not understand."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"


def upgrade() -> None:
    """Add the column; what is there keeps none until it is written again."""
    comment = "CRC-32 of the other columns; null where an older cadml wrote them."
    op.add_column("contents", sa.Column("checksum", sa.BigInteger, comment=comment))
