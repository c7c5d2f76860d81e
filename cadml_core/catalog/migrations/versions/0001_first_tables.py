"""The first tables: contents, parts, vectors, the change log and its counters."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "counters",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("change", sa.BigInteger, nullable=False),
        sa.Column("part", sa.BigInteger, nullable=False),
        comment="One row, locked by every writing transaction, so that numbers follow commit order.",
    )
    op.execute("INSERT INTO counters (id, change, part) VALUES (1, 0, 0)")
    op.create_table(
        "contents",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("adapter_version", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False, comment="The document summary as JSON."),
    )
    op.create_table(
        "parts",
        sa.Column(
            "row",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("sha256", sa.Text, sa.ForeignKey("contents.sha256"), index=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("path", sa.Text, unique=True),
        sa.Column("material", sa.Text),
        sa.Column("project", sa.Text),
        sa.Column("label", sa.Text),
        sa.Column("meta", sa.Text, nullable=False, comment="JSON object."),
        sa.Column("created", sa.Text, nullable=False, comment="ISO 8601, UTC."),
        sa.Column("updated", sa.Text, nullable=False),
    )
    op.create_table(
        "vectors",
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("part", sa.BigInteger, sa.ForeignKey("parts.row", ondelete="CASCADE"), primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False, comment="float64, little endian."),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_vectors_part", "vectors", ["part"])
    op.create_table(
        "changes",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False, unique=True),
        comment="The latest change of each thing; an earlier one of the same thing says nothing more.",
    )
