"""Compared contents and what they are to one another, decisions of people, runs, and families."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the tables, empty: the next run compares everything."""
    op.create_table(
        "compared",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column(
            "basis", sa.Text, nullable=False, comment="Rules, adapter and unit by which it was compared."
        ),
        sa.Column(
            "exact", sa.Integer, nullable=False, comment="1 for surfaces, 0 for facets or nothing solid."
        ),
        sa.Column(
            "placed", sa.Integer, nullable=False, comment="Bodies in the file; 0 where it encloses no volume."
        ),
        sa.Column("role", sa.Integer, nullable=False, comment="Which later contents are compared with it."),
        sa.Column("unread", sa.Integer, nullable=False, comment="Pairs whose meshes were not wanted."),
        sa.Column(
            "keys", sa.LargeBinary, nullable=False, comment="float64 (1 + bodies, 5): volume, area, moments."
        ),
        comment="Contents that were compared with every other of this table.",
    )
    op.create_table(
        "links",
        sa.Column("a", sa.Text, primary_key=True),
        sa.Column("b", sa.Text, primary_key=True),
        sa.Column("relation", sa.Text, nullable=False, comment="JSON: what b is to a."),
        comment="What compared contents, by sha256, are to one another; nothing of pairs that are unlike.",
    )
    op.create_index("ix_links_b", "links", ["b"])
    op.create_table(
        "decisions",
        sa.Column("a", sa.Text, primary_key=True),
        sa.Column(
            "b", sa.Text, primary_key=True, comment="sha256, not below a; equal for copies of one file."
        ),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False, comment="ISO 8601, UTC."),
        comment="What people decided of two contents, whether or not a part has them now.",
    )
    op.create_table(
        "leads",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("part", sa.Text, nullable=False, comment="Id of the part among those of this content."),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False, comment="ISO 8601, UTC."),
        comment="Contents that people chose to lead their groups.",
    )
    op.create_table(
        "duplicate_runs",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("pairs", sa.BigInteger, nullable=False),
        sa.Column("links", sa.BigInteger, nullable=False),
        sa.Column("meshes", sa.Integer, nullable=False),
        sa.Column("rules", sa.Integer, nullable=False),
        sa.Column("change", sa.BigInteger, nullable=False, comment="Changes up to this one are covered."),
        sa.Column("cancelled", sa.Integer, nullable=False, comment="1 once somebody asked it to stop."),
        sa.Column("started", sa.Text, nullable=False, comment="ISO 8601, UTC."),
        sa.Column("updated", sa.Text, nullable=False),
        sa.Column("finished", sa.Text),
        comment="What was compared when; the last ten are kept.",
    )
    op.create_table(
        "family_names",
        sa.Column("family", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        comment="Families of the last clustering; a number is never given to another.",
    )
    op.create_table(
        "family_members",
        sa.Column("part", sa.Text, primary_key=True, comment="Id of the part."),
        sa.Column("family", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_family_members_family", "family_members", ["family"])
