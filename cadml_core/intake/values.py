"""Raw values of stored parts: as stored, computed from their summaries, or read from their files again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from cadml_core.catalog.records import Part
from cadml_core.contracts.features import FeatureVersion
from cadml_core.documents.arrays import FloatMatrix, FloatVector, Int64Array
from cadml_core.errors import CadmlError
from cadml_core.intake.intake import Intake
from cadml_core.intake.originals import Original
from cadml_core.reading.extraction import extract_values


class PartValues(msgspec.Struct, frozen=True):
    """Raw values of parts, and the parts that have none."""

    rows: Int64Array
    """Row numbers of the parts, int64 (n,), ascending."""
    values: FloatMatrix
    """float64 (n, slots)."""
    missing: tuple[tuple[Part, str], ...]
    """Parts without values, each with the reason, in words that follow its name."""


def values_of(
    intake: Intake,
    feature: FeatureVersion,
    parts: Sequence[Part],
    progress: Callable[[int, int | None], None] | None = None,
) -> PartValues:
    """Return the values of parts, whichever way leads to them. Stores nothing.

    Args:
        intake: Knows the ways.
        feature: The feature version wanted.
        parts: The parts.
        progress: Told of contents that are read again; only a version that needs a mesh does that.
    """
    stored, raw = intake.catalog.vectors(feature.name, [part.row for part in parts])
    values = dict(zip(stored.tolist(), raw, strict=True))
    lacking = [part for part in parts if part.row not in values]
    by_content = _by_content(intake, feature, lacking, progress)
    missing = []
    for part in lacking:
        found = by_content.get(part.sha256 or "", "it was registered without a file")
        if isinstance(found, str):
            missing.append((part, found))
        else:
            values[part.row] = found
    rows = np.array(sorted(values), dtype=np.int64)
    matrix = np.array([values[row] for row in rows.tolist()], dtype=np.float64)
    return PartValues(rows, matrix.reshape(len(rows), len(feature.slots)), tuple(missing))


def _by_content(
    intake: Intake,
    feature: FeatureVersion,
    parts: Sequence[Part],
    progress: Callable[[int, int | None], None] | None,
) -> dict[str, FloatVector | str]:
    """Return the values of each distinct content, or why it has none."""
    if feature.needs_mesh:
        originals = [
            Original(part.sha256, part.format, part.path) for part in parts if part.sha256 and part.format
        ]
        return dict(intake.values_from_files(originals, feature.name, progress))
    found: dict[str, FloatVector | str] = {}
    for sha256, content in intake.catalog.contents({part.sha256 for part in parts if part.sha256}).items():
        try:
            found[sha256] = extract_values(feature, content.document)
        except CadmlError as error:
            found[sha256] = error.message
    return found
