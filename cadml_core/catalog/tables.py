"""The tables of the catalogue."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

# SQLite looks rows up by an INTEGER key directly, by one of any other type through an index.
RowNumber = BigInteger().with_variant(Integer(), "sqlite")

counters = Table(
    "counters",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("change", BigInteger, nullable=False),
    Column("part", BigInteger, nullable=False),
    comment="One row, locked by every writing transaction, so that numbers follow commit order.",
)

contents = Table(
    "contents",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("format", Text, nullable=False),
    Column("adapter_version", Text, nullable=False),
    Column("summary", Text, nullable=False, comment="The document summary as JSON."),
    Column("unit", Text, comment="The unit that the sender has stated for it."),
    # Of the bounding box, in millimetres, the largest first; null where there is no geometry.
    Column("extent_1", Double),
    Column("extent_2", Double),
    Column("extent_3", Double),
    Column(
        "checksum", BigInteger, comment="CRC-32 of the other columns; null where an older cadml wrote them."
    ),
    Index("ix_contents_extents", "extent_1", "extent_2", "extent_3", "sha256"),
)

refusals = Table(
    "refusals",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("reader", Text, primary_key=True, comment="Adapter, version and limits of the reading."),
    Column("path", Text, nullable=False, comment="What the error calls the file."),
    Column("error", Text, nullable=False, comment="JSON."),
    Column("at", Text, nullable=False, comment="ISO 8601, UTC."),
    comment="Contents that could not be read, so that each attempt is made once.",
)

feature_lists = Table(
    "feature_lists",
    metadata,
    Column("sha256", Text, ForeignKey("contents.sha256", ondelete="CASCADE"), primary_key=True),
    Column("packed", LargeBinary, nullable=False, comment="As cadml_core.documents.feature_list packs it."),
    comment="The exact features of contents; apart, since most questions want a content without them.",
)

pictures = Table(
    "pictures",
    metadata,
    Column("sha256", Text, ForeignKey("contents.sha256", ondelete="CASCADE"), primary_key=True),
    Column("kind", Text, primary_key=True, comment="own, file or model."),
    Column("maker", Text, nullable=False, comment="Name and version."),
    Column("media_type", Text, nullable=False),
    Column("data", LargeBinary, nullable=False, comment="Empty where there is none."),
    Column("failure", Text, nullable=False, comment="Why there is none."),
    comment="What was drawn of contents, or why nothing could be.",
)

parts = Table(
    "parts",
    metadata,
    Column("row", RowNumber, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("sha256", Text, ForeignKey("contents.sha256"), index=True),
    Column("name", Text, nullable=False),
    Column("path", Text, unique=True),
    Column("material", Text),
    Column("project", Text),
    Column("label", Text),
    Column("meta", Text, nullable=False, comment="JSON object."),
    Column("created", Text, nullable=False, comment="ISO 8601, UTC."),
    Column("updated", Text, nullable=False),
)

part_text = Table(
    "part_text",
    metadata,
    Column(
        "part",
        RowNumber,
        ForeignKey("parts.row", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("text", Text, nullable=False, comment="Folded; one fact a line."),
)

unread = Table(
    "unread",
    metadata,
    Column("path", Text, primary_key=True),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("at", Text, nullable=False, comment="ISO 8601, UTC."),
    comment="Files that could not be read when last tried.",
)

vectors = Table(
    "vectors",
    metadata,
    Column("version", Text, primary_key=True),
    Column("part", BigInteger, ForeignKey("parts.row", ondelete="CASCADE"), primary_key=True),
    Column("source", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False, comment="float64, little endian."),
    Index("ix_vectors_part", "part"),
    sqlite_with_rowid=False,
)

changes = Table(
    "changes",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False, unique=True),
    comment="The latest change of each thing; an earlier one of the same thing says nothing more.",
)

migrations = Table(
    "migrations",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("to_version", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("recomputed", BigInteger, nullable=False),
    Column("by_name", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("started", Text, nullable=False, comment="ISO 8601, UTC."),
    Column("updated", Text, nullable=False),
    Column("finished", Text),
    comment="What was migrated when; the last ten are kept.",
)

operator_state = Table(
    "operator_state",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False, comment="JSON."),
    comment="What operators chose for every process on this catalogue.",
)

compared = Table(
    "compared",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("basis", Text, nullable=False, comment="Rules, adapter and unit by which it was compared."),
    Column("exact", Integer, nullable=False, comment="1 for surfaces, 0 for facets or nothing solid."),
    Column("placed", Integer, nullable=False, comment="Bodies in the file; 0 where it encloses no volume."),
    Column("role", Integer, nullable=False, comment="Which later contents are compared with it."),
    Column("unread", Integer, nullable=False, comment="Pairs whose meshes were not wanted."),
    Column("keys", LargeBinary, nullable=False, comment="float64 (1 + bodies, 5): volume, area, moments."),
    comment="Contents that were compared with every other of this table.",
)

links = Table(
    "links",
    metadata,
    Column("a", Text, primary_key=True),
    Column("b", Text, primary_key=True),
    Column("relation", Text, nullable=False, comment="JSON: what b is to a."),
    Index("ix_links_b", "b"),
    comment="What compared contents, by sha256, are to one another; nothing of pairs that are unlike.",
)

decisions = Table(
    "decisions",
    metadata,
    Column("a", Text, primary_key=True),
    Column("b", Text, primary_key=True, comment="sha256, not below a; equal for copies of one file."),
    Column("verdict", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("at", Text, nullable=False, comment="ISO 8601, UTC."),
    comment="What people decided of two contents, whether or not a part has them now.",
)

leads = Table(
    "leads",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("part", Text, nullable=False, comment="Id of the part among those of this content."),
    Column("author", Text, nullable=False),
    Column("at", Text, nullable=False, comment="ISO 8601, UTC."),
    comment="Contents that people chose to lead their groups.",
)

duplicate_runs = Table(
    "duplicate_runs",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("status", Text, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("pairs", BigInteger, nullable=False),
    Column("links", BigInteger, nullable=False),
    Column("meshes", Integer, nullable=False),
    Column("rules", Integer, nullable=False),
    Column("change", BigInteger, nullable=False, comment="Changes up to this one are covered."),
    Column("cancelled", Integer, nullable=False, comment="1 once somebody asked it to stop."),
    Column("started", Text, nullable=False, comment="ISO 8601, UTC."),
    Column("updated", Text, nullable=False),
    Column("finished", Text),
    comment="What was compared when; the last ten are kept.",
)

family_names = Table(
    "family_names",
    metadata,
    Column("family", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    comment="Families of the last clustering; a number is never given to another.",
)

family_members = Table(
    "family_members",
    metadata,
    Column("part", Text, primary_key=True, comment="Id of the part."),
    Column("family", BigInteger, nullable=False, index=True),
)

identity = Table(
    "identity",
    metadata,
    Column("id", Text, primary_key=True),
    comment="One row: what tells this catalogue from every other.",
)
