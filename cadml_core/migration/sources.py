"""What a migration starts from: parts that lack a vector, and all that is known to compute it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cadml_core.catalog.tables import contents, parts, vectors
from cadml_core.catalog.transactions import CHUNK, select_in
from cadml_core.contracts import FeatureVersion
from cadml_core.document import decode_summary
from cadml_core.errors import CadmlError
from cadml_core.extraction.reading import extract_values
from cadml_core.features import convert_by_name

Method = Literal["recomputed", "by_name", "failed"]
"""From the document summary; moved slot by slot from another version, for want of a document; or not
at all."""


class Source(NamedTuple):
    """A part without a vector of the version wanted."""

    row: int
    id: str
    sha256: str | None
    summary: str | None
    """The document summary; None where the part has no content."""
    vectors: dict[str, bytes]
    """Raw values by feature version; empty ones where there is a summary, which is all that is needed."""


class Moved(NamedTuple):
    """What became of a source."""

    source: Source
    method: Method
    raw: bytes | None
    """The values, packed as the catalogue stores them; None where it failed."""
    from_version: str | None
    """The longest version the part has; None where it has none."""
    reason: str | None = None
    """Why it failed."""


def missing(to_version: str) -> sa.Select[Any]:
    """The row numbers of the parts that a migration would work on, ascending."""
    has_target = sa.exists().where(vectors.c.part == parts.c.row, vectors.c.version == to_version)
    has_any = sa.exists().where(vectors.c.part == parts.c.row)
    return (
        sa.select(parts.c.row).where(~has_target, has_any | parts.c.sha256.is_not(None)).order_by(parts.c.row)
    )


def load(connection: Connection, rows: Iterable[int]) -> list[Source]:
    """Read the sources of these parts, by row number."""
    wanted = list(rows)
    query = sa.select(parts.c.row, parts.c.id, parts.c.sha256, contents.c.summary).join_from(
        parts, contents, isouter=True
    )
    found: dict[int, dict[str, bytes]] = {row: {} for row in wanted}
    records = sorted(select_in(connection, query, parts.c.row, wanted))
    bare = [record.row for record in records if record.summary is None]
    for part, version in select_in(
        connection, sa.select(vectors.c.part, vectors.c.version), vectors.c.part, wanted
    ):
        found[part][version] = b""
    for part, version, raw in select_in(
        connection, sa.select(vectors.c.part, vectors.c.version, vectors.c.raw), vectors.c.part, bare
    ):
        found[part][version] = bytes(raw)
    return [
        Source(record.row, record.id, record.sha256, record.summary, found[record.row]) for record in records
    ]


def lacking(connection: Connection, to_version: str, after: int, limit: int) -> list[int]:
    """The next rows that a migration works on."""
    query = missing(to_version).where(parts.c.row > after).limit(limit)
    return list(connection.execute(query).scalars())


def lacking_among(connection: Connection, to_version: str, rows: Sequence[int]) -> list[int]:
    """Those of these rows that a migration would work on, ascending."""
    found: list[int] = []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        found += connection.execute(missing(to_version).where(parts.c.row.in_(chunk))).scalars()
    return sorted(found)


class Recomputation:
    """Computes vectors of one feature version from sources.

    Args:
        features: The installed feature versions by name.
        target: The one wanted.
    """

    def __init__(self, features: Mapping[str, FeatureVersion], target: FeatureVersion) -> None:
        self._features = features
        self._rank = {name: (len(feature.slots), name) for name, feature in features.items()}
        self.target = target

    def method(self, source: Source) -> tuple[Method, str | None]:
        """Tell how a source would be moved, and why not where it cannot be."""
        if source.summary is not None:
            if self.target.needs_mesh:
                return (
                    "failed",
                    f"{self.target.name} needs the mesh, which is not stored: ingest the file again",
                )
            return "recomputed", None
        if self.longest(source) is None:
            known = ", ".join(sorted(source.vectors))
            return "failed", f"it has no document, and the feature versions it has are not installed: {known}"
        return "by_name", None

    def longest(self, source: Source) -> str | None:
        """The installed version with the most slots among those that a source has."""
        ranks = [self._rank[name] for name in source.vectors if name in self._rank]
        return max(ranks)[1] if ranks else None

    def move(self, sources: Sequence[Source]) -> list[Moved]:
        """Compute the vectors of many sources; each distinct content once, the others in bulk."""
        contents_done: dict[str, Moved] = {}
        bare: dict[str, list[Source]] = {}
        result = []
        for source in sources:
            method, reason = self.method(source)
            from_version = self.longest(source)
            if method == "by_name" and from_version is not None:
                bare.setdefault(from_version, []).append(source)
            elif method == "failed":
                result.append(Moved(source, method, None, from_version, reason))
            else:
                key = source.sha256 or ""
                if key not in contents_done:
                    contents_done[key] = self._recompute(source)
                once = contents_done[key]
                result.append(Moved(source, once.method, once.raw, from_version, once.reason))
        for version, group in bare.items():
            result += self._by_name(version, group)
        return result

    def _recompute(self, source: Source) -> Moved:
        try:
            values = extract_values(self.target, decode_summary(source.summary or ""))
        except CadmlError as error:
            return Moved(source, "failed", None, None, error.message)
        return Moved(source, "recomputed", np.array(values, dtype="<f8").tobytes(), None)

    def _by_name(self, version: str, group: Sequence[Source]) -> list[Moved]:
        slots = self._features[version].slots
        fitting = [source for source in group if len(source.vectors[version]) == 8 * len(slots)]
        joined = b"".join(source.vectors[version] for source in fitting)
        values = convert_by_name(
            np.frombuffer(joined, dtype="<f8").reshape(len(fitting), len(slots)), slots, self.target.slots
        ).astype("<f8")
        moved = [
            Moved(source, "by_name", line.tobytes(), version)
            for source, line in zip(fitting, values, strict=True)
        ]
        reason = f"its {version} vector does not have the {len(slots)} slots of {version}"
        return moved + [
            Moved(source, "failed", None, version, reason)
            for source in group
            if len(source.vectors[version]) != 8 * len(slots)
        ]
