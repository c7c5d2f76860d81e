"""Text in which words are found, sorted extents, and the files that could not be read."""

import msgspec
import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError

from cadml_core.catalog.text import names_in, searchable

revision = "0007"
down_revision = "0005"

_EXTENTS = ("extent_1", "extent_2", "extent_3")


class _Sized(msgspec.Struct):
    bounding_box: dict[str, tuple[float, float, float]] | None = None


def upgrade() -> None:
    """Create the tables and columns, and fill them from what is stored."""
    op.create_table(
        "part_text",
        sa.Column(
            "part",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.ForeignKey("parts.row", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("text", sa.Text, nullable=False, comment="Folded; one fact a line."),
    )
    op.create_table(
        "unread",
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False, comment="ISO 8601, UTC."),
        comment="Files that could not be read when last tried.",
    )
    for name in _EXTENTS:
        op.add_column("contents", sa.Column(name, sa.Double))
    connection = op.get_bind()
    _index_text(connection)
    _fill_extents(connection)
    _fill_text(connection)
    op.create_index("ix_contents_extents", "contents", [*_EXTENTS, "sha256"])


def _index_text(connection: sa.Connection) -> None:
    """Make a trigram index where this database can; without one, searches look at every row."""
    statements = _SQLITE if connection.dialect.name == "sqlite" else _POSTGRES
    try:
        with connection.begin_nested():
            for statement in statements:
                connection.exec_driver_sql(statement)
    except DBAPIError:  # no FTS5, no tokenizer of trigrams, no extension, or no right to create one
        return


_SQLITE = (
    "CREATE VIRTUAL TABLE part_trigrams"
    " USING fts5(text, content='part_text', content_rowid='part', tokenize='trigram')",
    "CREATE TRIGGER part_text_added AFTER INSERT ON part_text BEGIN"
    " INSERT INTO part_trigrams(rowid, text) VALUES (new.part, new.text); END",
    "CREATE TRIGGER part_text_removed AFTER DELETE ON part_text BEGIN"
    " INSERT INTO part_trigrams(part_trigrams, rowid, text) VALUES ('delete', old.part, old.text); END",
    "CREATE TRIGGER part_text_changed AFTER UPDATE ON part_text WHEN old.text <> new.text BEGIN"
    " INSERT INTO part_trigrams(part_trigrams, rowid, text) VALUES ('delete', old.part, old.text);"
    " INSERT INTO part_trigrams(rowid, text) VALUES (new.part, new.text); END",
)
_POSTGRES = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX ix_part_text_trigrams ON part_text USING gin (text gin_trgm_ops)",
)


def _fill_extents(connection: sa.Connection) -> None:
    rows = []
    for sha256, summary in connection.execute(sa.text("SELECT sha256, summary FROM contents")):
        box = msgspec.json.decode(summary, type=_Sized).bounding_box
        if box is not None:
            lengths = (high - low for low, high in zip(box["minimum"], box["maximum"], strict=True))
            rows.append({"sha256": sha256, **dict(zip(_EXTENTS, sorted(lengths, reverse=True), strict=True))})
    if rows:
        assigned = ", ".join(f"{name} = :{name}" for name in _EXTENTS)
        connection.execute(sa.text(f"UPDATE contents SET {assigned} WHERE sha256 = :sha256"), rows)


def _fill_text(connection: sa.Connection) -> None:
    query = (
        "SELECT p.row, p.name, p.path, p.material, p.project, p.label, p.meta, c.summary"
        " FROM parts p LEFT JOIN contents c ON c.sha256 = p.sha256"
    )
    rows = [
        {
            "part": record.row,
            "text": searchable(
                dict(record._mapping),
                msgspec.json.decode(record.meta),
                names_in(record.summary) if record.summary else "",
            ),
        }
        for record in connection.execute(sa.text(query))
    ]
    if rows:
        connection.execute(sa.text("INSERT INTO part_text (part, text) VALUES (:part, :text)"), rows)
