"""One writing transaction: work out what a batch of parts changes, then write exactly that."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cadml_core.catalog.engine import among, delete_among, lock, log_changes, select_among, storable, upsert
from cadml_core.catalog.packing import content_checksum, pack, with_checksum
from cadml_core.catalog.paths import text_to_path
from cadml_core.catalog.records import Content, NewPart, Outcome, ReadBy, Status, Vector
from cadml_core.catalog.removal import delete_orphans
from cadml_core.catalog.tables import contents, feature_lists, parts, pictures, refusals, vectors
from cadml_core.catalog.text import write_texts
from cadml_core.documents.document import encode_summary
from cadml_core.documents.drawn import Drawn
from cadml_core.errors import InvalidInput

_TEXTS = ("name", "path", "material", "project", "label")
_FACTS = tuple(column.name for column in parts.c if column.name != "row")
_INSERT_PARTS = parts.insert()
_WHERE_ROW = parts.update().where(parts.c.row == sa.bindparam("b_row"))
_FREE_PATHS = _WHERE_ROW.values(path=None)
_UPDATE_PARTS = _WHERE_ROW.values({name: sa.bindparam(name) for name in _FACTS})
_BY_ID = sa.select(parts).where(among(parts.c.id))
_BY_PATH = sa.select(parts).where(among(parts.c.path))
_BY_CONTENT = sa.select(parts).where(among(parts.c.sha256))
_VECTORS = sa.select(vectors.c.part, vectors.c.version, vectors.c.raw, vectors.c.source).where(
    among(vectors.c.part)
)
_EXTRACTED = sa.select(vectors.c.part, vectors.c.version).where(
    vectors.c.source == "extracted", among(vectors.c.part)
)
_READERS = sa.select(contents.c.sha256, contents.c.format, contents.c.adapter_version, contents.c.unit).where(
    among(contents.c.sha256)
)
_FORGET_REFUSALS = refusals.delete().where(among(refusals.c.sha256))
_DROP_VECTORS = vectors.delete().where(among(vectors.c.part))
_DROP_PICTURES = pictures.delete().where(among(pictures.c.sha256))
_DROP_FEATURES = feature_lists.delete().where(among(feature_lists.c.sha256))


def encode_values(values: Any) -> bytes:
    """Pack raw values.

    Raises:
        InvalidInput: They are not one non-empty row of finite numbers.
    """
    try:
        array = np.asarray(values, dtype="<f8")
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"a vector must be a list of numbers: {error}") from None
    if array.ndim != 1 or array.size == 0:
        raise InvalidInput(f"a vector must be one row of numbers, found shape {array.shape}")
    if not np.isfinite(array).all():
        position = int(np.flatnonzero(~np.isfinite(array))[0])
        raise InvalidInput(
            f"a vector must be finite, found {array[position]} at position {position}", position=position
        )
    return pack(array)


def _encode_meta(meta: Mapping[str, Any]) -> str:
    try:
        return msgspec.json.encode(meta, order="sorted").decode()
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"meta must be a JSON object: {error}", field="meta") from None


def check_texts(new: NewPart) -> None:
    """Refuse text that a database cannot hold.

    Raises:
        InvalidInput: A field holds a NUL or a lone surrogate, or the id is blank.
    """
    for field in ("id", *_TEXTS):
        value = getattr(new, field)
        if value is not None and not storable(value):
            raise InvalidInput(
                f"{field} {value!r} contains a character that cannot be stored (NUL or a lone surrogate)",
                field=field,
            )
    if new.id is not None and not new.id.strip():
        raise InvalidInput("an id must not be blank", field="id")


class _State(msgspec.Struct):
    """A part as the transaction leaves it, and what it found."""

    columns: dict[str, Any]
    status: Status
    touched: bool
    renamed: bool = False
    """Whether its text may be another."""


class BatchWriter:
    """Applies ``NewPart`` records inside one transaction."""

    def __init__(self, connection: Connection, now: str) -> None:
        self._connection = connection
        self._now = now
        self._numbers = lock(connection)
        self._by_row: dict[int, _State] = {}
        self._by_id: dict[str, int] = {}
        self._by_path: dict[str, int] = {}
        self._stored: dict[tuple[int, str], tuple[bytes, str]] = {}
        self._contents: dict[str, ReadBy] = {}
        self._new_contents: dict[str, Content] = {}
        self._new_vectors: dict[tuple[int, str], tuple[bytes, str]] = {}
        self._dropped: set[int] = set()
        self._left_contents: set[str] = set()

    def apply(self, batch: Sequence[NewPart]) -> list[Outcome]:
        """Write the batch and return what became of each.

        Raises:
            InvalidInput: A record does not fit; nothing of the batch is written.
        """
        for new in batch:
            check_texts(new)
        self._load(batch)
        rows = [self._place(new) for new in batch]
        self._write()
        outcomes = []
        for row in rows:
            state = self._by_row[row]
            outcomes.append(Outcome(row, state.columns["id"], state.status))
        return outcomes

    def _load(self, batch: Sequence[NewPart]) -> None:
        """Read all that the batch may meet, in as few queries as its size allows."""
        ids = {new.id for new in batch if new.id is not None}
        paths = {new.path for new in batch if new.path is not None}
        for record in (
            *select_among(self._connection, _BY_ID, ids),
            *select_among(self._connection, _BY_PATH, paths),
        ):
            self._remember(_State(dict(record._mapping), "unchanged", False))
        for part, version, raw, source in select_among(self._connection, _VECTORS, self._by_row):
            self._stored[part, version] = (with_checksum(bytes(raw)), source)
        hashes = {new.content.sha256 for new in batch if new.content is not None}
        for sha256, *how in select_among(self._connection, _READERS, hashes):
            self._contents[sha256] = ReadBy(*how)

    def _remember(self, state: _State) -> None:
        row = state.columns["row"]
        self._by_row[row] = state
        self._by_id[state.columns["id"]] = row
        if state.columns["path"] is not None:
            self._by_path[state.columns["path"]] = row

    def _place(self, new: NewPart) -> int:
        """Work out one record; returns its row number."""
        sha256 = self._take_content(new)
        row = self._find(new)
        state = self._create(new) if row is None else self._by_row[row]
        row = int(state.columns["row"])
        self._set_facts(state, new)
        if sha256 is not None and state.columns["sha256"] != sha256:
            self._set_content(state, sha256)
        for version, vector in new.vectors.items():
            self._set_vector(row, state, version, vector)
        return row

    def _find(self, new: NewPart) -> int | None:
        by_path = None if new.path is None else self._by_path.get(new.path)
        by_id = None if new.id is None else self._by_id.get(new.id)
        if by_id is not None and by_path is not None and by_id != by_path:
            other = self._by_row[by_path].columns["id"]
            raise InvalidInput(
                f"part {new.id!r} cannot have the path {new.path!r}: part {other!r} has it; remove one first",
                id=new.id,
                other=other,
            )
        return by_path if by_id is None else by_id

    def _create(self, new: NewPart) -> _State:
        self._numbers.part += 1
        columns: dict[str, Any] = dict.fromkeys(column.name for column in parts.c)
        columns |= {
            "row": self._numbers.part,
            "id": new.id or secrets.token_hex(8),
            "meta": "{}",
            "created": self._now,
            "updated": self._now,
        }
        columns["name"] = text_to_path(new.path).name if new.path else columns["id"]
        state = _State(columns, "added", touched=True, renamed=True)
        self._remember(state)
        return state

    def _set_facts(self, state: _State, new: NewPart) -> None:
        facts: dict[str, str | None] = {field: getattr(new, field) for field in _TEXTS}
        if new.meta is not None:
            facts["meta"] = _encode_meta(new.meta)
        if new.path is not None and state.columns["path"] != new.path:
            self._by_path.pop(state.columns["path"], None)
            self._by_path[new.path] = state.columns["row"]
        for field, value in facts.items():
            if value is not None and state.columns[field] != value:
                state.columns[field] = value
                self._touch(state, "updated")

    def _set_content(self, state: _State, sha256: str) -> None:
        before = state.columns["sha256"]
        state.columns["sha256"] = sha256
        self._touch(state, "updated" if before is None else "replaced")
        if before is not None:
            row = state.columns["row"]
            self._left_contents.add(before)
            self._dropped.add(row)
            for table in (self._stored, self._new_vectors):
                for key in [key for key in table if key[0] == row]:
                    del table[key]

    def _set_vector(self, row: int, state: _State, version: str, vector: Vector) -> None:
        packed = (encode_values(vector.values), vector.source)
        if self._new_vectors.get((row, version), self._stored.get((row, version))) != packed:
            self._new_vectors[row, version] = packed
            self._touch(state, "updated", renamed=False)

    def _touch(self, state: _State, status: Status, *, renamed: bool = True) -> None:
        state.touched = True
        state.renamed |= renamed
        state.columns["updated"] = self._now
        if state.status == "unchanged" or (status == "replaced" and state.status == "updated"):
            state.status = status

    def _take_content(self, new: NewPart) -> str | None:
        """Note a content to be written; returns the sha256 the part is to have, None to leave it."""
        if new.content is None:
            return None
        content = new.content
        reader = ReadBy(content.format, content.adapter_version, content.unit)
        if self._contents.get(content.sha256) != reader:
            if content.sha256 in self._contents:
                self._share(content.sha256, new.vectors)
            self._contents[content.sha256] = reader
            self._new_contents[content.sha256] = content
        return content.sha256

    def _share(self, sha256: str, fresh: Mapping[str, Vector]) -> None:
        """A content was read anew by another reader: every part that has it gets the new values."""
        holders = select_among(self._connection, _BY_CONTENT, [sha256])
        for record in holders:
            if record.row not in self._by_row:
                self._remember(_State(dict(record._mapping), "unchanged", False))
            state = self._by_row[record.row]
            self._touch(state, "updated")
        mine = [record.row for record in holders]
        for row, version in select_among(self._connection, _EXTRACTED, mine):
            if version in fresh and self._by_row[row].columns["sha256"] == sha256:
                self._set_vector(row, self._by_row[row], version, fresh[version])

    def _write(self) -> None:
        touched = {row: state for row, state in self._by_row.items() if state.touched}
        if self._new_contents:
            self._write_contents(self._new_contents.values())
        groups: dict[bool, list[dict[str, Any]]] = defaultdict(list)
        for state in touched.values():
            groups[state.status == "added"].append(state.columns)
        if groups[False]:
            # A path may pass from one part to another within the batch: free all of them first.
            self._connection.execute(_FREE_PATHS, [{"b_row": columns["row"]} for columns in groups[False]])
        if groups[True]:
            self._connection.execute(_INSERT_PARTS, groups[True])
        if groups[False]:
            self._connection.execute(
                _UPDATE_PARTS,
                [{"b_row": columns["row"], **{n: columns[n] for n in _FACTS}} for columns in groups[False]],
            )
        self._write_vectors()
        fresh = {sha256: content.document for sha256, content in self._new_contents.items()}
        write_texts(self._connection, (state.columns for state in touched.values() if state.renamed), fresh)
        delete_orphans(self._connection, self._left_contents)
        log_changes(self._connection, self._numbers, map(str, touched))

    def _write_contents(self, fresh: Collection[Content]) -> None:
        upsert(self._connection, contents, [_content_row(content) for content in fresh])
        delete_among(self._connection, _FORGET_REFUSALS, self._new_contents)
        listed = [(content.sha256, content.features) for content in fresh if content.features]
        if listed:
            upsert(self._connection, feature_lists, listed)
        drawn = [row for content in fresh for row in picture_rows(content)]
        delete_among(self._connection, _DROP_PICTURES, self._new_contents)
        if drawn:
            upsert(self._connection, pictures, drawn)
        bare = {content.sha256 for content in fresh if not content.features}
        delete_among(self._connection, _DROP_FEATURES, bare)

    def _write_vectors(self) -> None:
        delete_among(self._connection, _DROP_VECTORS, self._dropped)
        rows = [(version, row, source, raw) for (row, version), (raw, source) in self._new_vectors.items()]
        if rows:
            upsert(self._connection, vectors, rows)


def picture_rows(content: Content) -> list[tuple[Any, ...]]:
    """Return the rows of what was drawn of a content."""
    return [picture_row(content.sha256, drawn) for drawn in content.pictures]


def picture_row(sha256: str, drawn: Drawn) -> tuple[Any, ...]:
    """Return the row of one picture or model."""
    return sha256, drawn.kind, drawn.maker, drawn.media_type, drawn.data, drawn.failure


def _content_row(content: Content) -> tuple[Any, ...]:
    summary = encode_summary(content.document).decode()
    box = content.document.bounding_box
    extents = sorted(box.extents, reverse=True) if box else (None, None, None)
    read_by = (content.format, content.adapter_version)
    row = (content.sha256, content.size, *read_by, summary, content.unit, *extents)
    return (*row, content_checksum(row))
