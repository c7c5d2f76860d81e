"""What parts are called, as text in which words are found: names, paths, facts, and names in their files.

Each part has one row of folded text, written in the transaction that changes the part. On SQLite an FTS5
table of trigrams follows it by triggers, on PostgreSQL a trigram index; where a database has neither, every
row is looked at.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cadml_core.catalog.engine import among, select_among, upsert
from cadml_core.catalog.tables import contents, part_text
from cadml_core.documents.document import CadDocument

TRIGRAM = 3
"""Fewest characters that a trigram index can look up."""
MOST_NAMES = 4_000
"""Most characters that the names in one file may add; a drawing can have thousands of layers."""
_COLUMNS = ("name", "path", "material", "project", "label")
_UNMARKED = {**dict.fromkeys(range(0x0300, 0x0370)), ord("×"): "x"}
"""Takes the marks of combining diacritics away."""
_TITLES = ("product", "title")
"""Properties of a document that are names of what it shows."""
_SUMMARIES = sa.select(contents.c.sha256, contents.c.summary).where(among(contents.c.sha256))


class _Named(msgspec.Struct):
    """The names in a document summary; the rest of it is passed over."""

    layers: tuple[str, ...] = ()
    properties: dict[str, str | int | float | bool] = {}


_named = msgspec.json.Decoder(_Named)


def fold(text: str) -> str:
    """Return text without what people do not tell apart when they type it.

    That is case, compatible forms of a character, marks on Latin, Greek and Cyrillic letters (``ä`` is found
    by ``a``), and the multiplication sign, which is an x in most part names.
    """
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.casefold()).translate(_UNMARKED)
    return unicodedata.normalize("NFKC", plain.casefold())


def words_of(query: str) -> list[str]:
    """Return the distinct words of a query, folded; each must occur somewhere in a part's text."""
    return list(dict.fromkeys(fold(query).split()))


def names_in(summary: str) -> str:
    """Return the names that a stored document summary holds: layers, products and titles."""
    return _names(_named.decode(summary))


def searchable(facts: Mapping[str, Any], meta: Any, names: str) -> str:
    """Return the text of a part, folded, one fact a line, so that no word spans two.

    Args:
        facts: Its name, path, material, project and label.
        meta: Its metadata, as JSON has it.
        names: What ``names_in`` found in its file.
    """
    lines = [facts[column] for column in _COLUMNS if facts[column]]
    return fold("\n".join([*lines, *_leaves(meta), names]))


def write_texts(
    connection: Connection, changed: Iterable[Mapping[str, Any]], fresh: Mapping[str, CadDocument]
) -> None:
    """Write the text of parts.

    Args:
        connection: In the transaction that changes the parts.
        changed: Their columns.
        fresh: Documents by sha256 that this transaction has written; the others are looked up.
    """
    rows = list(changed)
    names = {sha256: _names(document) for sha256, document in fresh.items()}
    lacking = {row["sha256"] for row in rows if row["sha256"] is not None} - names.keys()
    for sha256, summary in select_among(connection, _SUMMARIES, lacking):
        names[sha256] = names_in(summary)
    texts = []
    for row in rows:
        meta = {} if row["meta"] == "{}" else msgspec.json.decode(row["meta"])
        texts.append((row["row"], searchable(row, meta, names.get(row["sha256"], ""))))
    if texts:
        upsert(connection, part_text, texts)


def condition(words: Iterable[str], *, sqlite: bool, trigrams: bool) -> tuple[str, tuple[str, ...]]:
    """Return SQL that tells whether the part of ``p.row`` has every word, and its values.

    Args:
        words: What ``words_of`` returned.
        sqlite: The dialect; else PostgreSQL.
        trigrams: Whether there is a table ``part_trigrams`` (SQLite only; PostgreSQL finds its own index).
    """
    rows = "p.row IN (SELECT part FROM part_text WHERE {})"
    if not sqlite:
        patterns = tuple(f"%{_escaped(word)}%" for word in words)
        return rows.format(" AND ".join("text LIKE ?" for _ in patterns)), patterns
    long = [word for word in words if trigrams and len(word) >= TRIGRAM]
    short = tuple(word for word in words if word not in long)
    clauses, values = [], []
    if long:
        clauses.append("p.row IN (SELECT rowid FROM part_trigrams WHERE part_trigrams MATCH ?)")
        values.append(" AND ".join('"' + word.replace('"', '""') + '"' for word in long))
    if short:
        clauses.append(rows.format(" AND ".join("instr(text, ?) > 0" for _ in short)))
    return " AND ".join(clauses), (*values, *short)


def _names(document: CadDocument | _Named) -> str:
    titles = [str(document.properties[name]) for name in _TITLES if name in document.properties]
    return "\n".join([*titles, *document.layers])[:MOST_NAMES]


def _leaves(value: Any) -> Iterator[str]:
    """Yield every key and every value of a JSON value."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def _escaped(word: str) -> str:
    return word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
