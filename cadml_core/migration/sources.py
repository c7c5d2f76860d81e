"""What a migration starts from: parts that lack a vector, and all that is known to compute it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from cadml_core.catalog.packing import length, pack, unpack
from cadml_core.catalog.tables import contents, parts, vectors
from cadml_core.contracts.features import FeatureVersion
from cadml_core.documents.arrays import FloatVector
from cadml_core.documents.document import decode_summary
from cadml_core.documents.features import convert_by_name
from cadml_core.errors import CadmlError
from cadml_core.intake.intake import Intake
from cadml_core.intake.originals import Original
from cadml_core.reading.extraction import extract_values

Method = Literal["recomputed", "by_name", "failed"]
"""From the document summary; moved slot by slot from another version, for want of a document; or not
at all."""


class Source(NamedTuple):
    """A part without a vector of the version wanted."""

    row: int
    id: str
    sha256: str | None
    path: str | None
    format: str | None
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


def missing(to_version: str) -> sa.Select[tuple[int]]:
    """The row numbers of the parts that a migration would work on, ascending."""
    has_target = sa.exists().where(vectors.c.part == parts.c.row, vectors.c.version == to_version)
    has_any = sa.exists().where(vectors.c.part == parts.c.row)
    return (
        sa.select(parts.c.row).where(~has_target, parts.c.sha256.is_not(None) | has_any).order_by(parts.c.row)
    )


def rows_among(rows: Sequence[int]) -> sa.Select[tuple[int]]:
    """Those of these row numbers that there are; SQLite takes 32,766 at a time."""
    return sa.select(parts.c.row).where(parts.c.row.in_(rows))


def load(connection: Connection, rows: sa.Select[tuple[int]]) -> list[Source]:
    """Read the sources of the parts whose row numbers a query selects, in ascending order."""
    selected = rows.subquery()
    query = (
        sa.select(
            parts.c.row,
            parts.c.id,
            parts.c.sha256,
            parts.c.path,
            contents.c.format,
            contents.c.summary,
            vectors.c.version,
            sa.case((contents.c.summary.is_(None), vectors.c.raw)),
        )
        .select_from(
            selected.join(parts, parts.c.row == selected.c.row)
            .outerjoin(contents, contents.c.sha256 == parts.c.sha256)
            .outerjoin(vectors, vectors.c.part == parts.c.row)
        )
        .order_by(parts.c.row)
    )
    sources: dict[int, Source] = {}
    for row, part_id, sha256, path, form, summary, version, raw in connection.execute(query).all():
        if row not in sources:
            sources[row] = Source(row, part_id, sha256, path, form, summary, {})
        if version is not None:
            sources[row].vectors[version] = raw or b""
    return list(sources.values())


FromFiles = Mapping[str, FloatVector | str]
"""What reading files again gave, by sha256: raw values, or why there are none."""


class Recomputation:
    """Computes vectors of one feature version from sources.

    Args:
        intake: Has the feature versions, and reads files again for a version that needs a mesh.
        target: The one wanted.
    """

    def __init__(self, intake: Intake, target: FeatureVersion) -> None:
        self._intake = intake
        self._features = intake.features
        self._rank = {name: (len(feature.slots), name) for name, feature in self._features.items()}
        self.target = target

    def method(self, source: Source) -> tuple[Method, str | None]:
        """Tell how a source would be moved, and why not where it cannot be; reads no file."""
        if source.summary is not None:
            if self.target.needs_mesh:
                reason = self._intake.unavailable(_original(source))
                return ("recomputed", None) if reason is None else ("failed", reason)
            return "recomputed", None
        if self.target.needs_mesh:
            return "failed", f"{self.target.name} needs a mesh, and the part was registered without a file"
        if self.longest(source) is None:
            known = ", ".join(sorted(source.vectors))
            return "failed", f"it has no document, and the feature versions it has are not installed: {known}"
        return "by_name", None

    def longest(self, source: Source) -> str | None:
        """The installed version with the most slots among those that a source has."""
        ranks = [self._rank[name] for name in source.vectors if name in self._rank]
        return max(ranks)[1] if ranks else None

    def from_files(self, sources: Sequence[Source]) -> FromFiles:
        """Read again what the target cannot be computed without; nothing where it needs no mesh.

        Takes as long as reading takes, so no transaction should be open.
        """
        if not self.target.needs_mesh:
            return {}
        originals = [_original(source) for source in sources if source.summary is not None]
        return self._intake.values_from_files(originals, self.target.name)

    def move(self, sources: Sequence[Source], from_files: FromFiles) -> list[Moved]:
        """Compute the vectors of many sources; each distinct content once, the others in bulk.

        Args:
            sources: What to move.
            from_files: What the method of that name returned for these sources.
        """
        computed: dict[str | None, tuple[bytes | None, str | None]] = {}
        bare: dict[str, list[Source]] = {}
        result = []
        for source in sources:
            from_version = self.longest(source)
            if source.summary is not None:
                if source.sha256 not in computed:
                    computed[source.sha256] = self._computed(source, from_files)
                raw, reason = computed[source.sha256]
                result.append(
                    Moved(source, "failed" if raw is None else "recomputed", raw, from_version, reason)
                )
                continue
            method, reason = self.method(source)
            if method == "by_name" and from_version is not None:
                bare.setdefault(from_version, []).append(source)
            else:
                result.append(Moved(source, method, None, from_version, reason))
        for version, group in bare.items():
            result += self._by_name(version, group)
        return result

    def _computed(self, source: Source, from_files: FromFiles) -> tuple[bytes | None, str | None]:
        """The values of a source with a document, packed; or why there are none."""
        try:
            if self.target.needs_mesh:
                changed = "it changed during the migration: run it again"
                values = from_files.get(source.sha256 or "", changed)
                if isinstance(values, str):
                    return None, values
            else:
                values = extract_values(self.target, decode_summary(source.summary or ""))
        except CadmlError as error:
            return None, error.message
        except msgspec.DecodeError as error:
            return None, f"its document summary cannot be read ({error}): ingest the file again"
        return pack(values), None

    def _by_name(self, version: str, group: Sequence[Source]) -> list[Moved]:
        slots = self._features[version].slots
        fitting = [source for source in group if length(source.vectors[version]) == len(slots)]
        rows = [unpack(source.vectors[version]) for source in fitting]
        values = convert_by_name(np.array(rows).reshape(len(rows), len(slots)), slots, self.target.slots)
        moved = [
            Moved(source, "by_name", pack(line), version)
            for source, line in zip(fitting, values, strict=True)
        ]
        reason = f"its {version} vector does not have the {len(slots)} slots of {version}"
        return moved + [
            Moved(source, "failed", None, version, reason)
            for source in group
            if length(source.vectors[version]) != len(slots)
        ]


def _original(source: Source) -> Original:
    """Return where the file of a source with a document may still be."""
    return Original(source.sha256 or "", source.format or "", source.path)
