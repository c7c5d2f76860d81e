"""Raw values of stored parts in any feature version, computed from the summaries where none are stored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cadml_core.catalog.records import Part
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import FeatureVersion
from cadml_core.documents.arrays import FloatMatrix, Int64Array


def values_of(
    catalog: Catalog, feature: FeatureVersion, parts: Sequence[Part]
) -> tuple[Int64Array, FloatMatrix]:
    """Return row numbers int64 (n,), ascending, and raw values float64 (n, slots).

    A part that has neither a stored vector of this version nor a document summary is left out.
    """
    stored, raw = catalog.vectors(feature.name, [part.row for part in parts])
    values = dict(zip(stored.tolist(), raw, strict=True))
    missing = {part.row: part.sha256 for part in parts if part.row not in values and part.sha256}
    contents = catalog.contents(set(missing.values()))
    for row, sha256 in missing.items():
        if sha256 in contents:
            values[row] = feature.extract(contents[sha256].document)
    rows = np.array(sorted(values), dtype=np.int64)
    matrix = np.array([values[row] for row in rows.tolist()], dtype=np.float64)
    return rows, matrix.reshape(len(rows), len(feature.slots))
