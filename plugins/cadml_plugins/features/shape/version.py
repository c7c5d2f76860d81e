"""The feature version ``shape``: similar parts, whatever their place, format and mesh."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from cadml_core import (
    CadDocument,
    DimensionMismatch,
    FeatureSlot,
    FeatureVersion,
    FloatMatrix,
    FloatVector,
    Metric,
    UnsupportedContent,
    hookimpl,
)
from cadml_plugins.features.shape import _metric
from cadml_plugins.features.shape._description import BLOCKS, PLACES, WIDTH, describe, describe_strokes

_FLAGS = (
    ("surface", "1 where there is a surface"),
    ("exact", "1 where there are exact faces"),
    ("drawing", "1 where it is a drawing"),
)


def _slots() -> Iterable[FeatureSlot]:
    for name, meaning in _FLAGS:
        yield FeatureSlot(f"shape_{name}", "geometric", "shape", "1", meaning)
    for name, (width, meaning) in BLOCKS.items():
        for number in range(width):
            yield FeatureSlot(
                f"{name}_{number:03}", "geometric", "shape", "1", f"{meaning}; {number + 1} of {width}"
            )


class ShapeVersion:
    """Blocks of figures of the surface and, where there are any, of exact faces; or of a drawing's strokes.

    The embedding holds what separates parts most; ``refine`` ranks candidates by all figures. Drawings and
    parts with a surface are far from one another.
    """

    name = "shape"
    needs_mesh = True
    metric: Metric = "l2"
    slots: tuple[FeatureSlot, ...] = tuple(_slots())
    blocks: Mapping[str, slice] = PLACES
    candidates = 200

    def __init__(self) -> None:
        self._metric = _metric.Metric()

    def __reduce__(self) -> tuple[type[ShapeVersion], tuple[()]]:
        """Travel to the reader processes by name."""
        return (ShapeVersion, ())

    def extract(self, document: CadDocument) -> FloatVector:
        """Return the raw values: float64 (len(slots),), zeros where there is no facet with an area.

        Raises:
            UnsupportedContent: The document holds geometry, but neither a surface nor a drawing's strokes.
        """
        if document.mesh is None:
            if document.empty:
                return np.zeros(WIDTH)
            view = document.view
            drawn = describe_strokes(view.curves(), document.entity_counts) if view and view.flat else None
            if drawn is None:
                raise UnsupportedContent(
                    f"shape describes surfaces and drawings, and this {document.format} document has neither:"
                    " wireframes and points are compared by v1 to v4"
                )
            return drawn
        return describe(document.mesh, document.boundary, (document.solid_count, document.shell_count))

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """Map raw values (n, len(slots)) to float32 (n, 65).

        Raises:
            DimensionMismatch: ``values`` has another number of columns.
        """
        _check(values)
        return self._metric.index_vectors(values)

    def refine(self, query: FloatVector, candidates: FloatMatrix) -> FloatVector:
        """Return the distance of one part to each of others by all figures, float64 (n,).

        Where one of the two has no exact faces, what their distance usually is stands in for it, so that
        formats stay comparable; copies are then not at 0. About 1 between unrelated parts.

        Raises:
            DimensionMismatch: A vector has another length than there are slots.
        """
        together: FloatVector = np.vstack([query, candidates]).astype(np.float64)
        places = self.place(together)
        return self.between(places[0], places[1:])

    def place(self, values: FloatMatrix) -> NDArray[np.float32]:
        """Return where parts lie: whitened figures of surface and exact faces, and whether it has any.

        Raises:
            DimensionMismatch: ``values`` has another number of columns than there are slots.
        """
        _check(values)
        return self._metric.packed(self._metric.place(values))

    def between(self, query: NDArray[np.float32], candidates: NDArray[np.float32]) -> FloatVector:
        """Return the distance of one place to each of others, float64 (n,); as ``refine`` of raw values."""
        together = self._metric.unpacked(np.vstack([query[np.newaxis], candidates]))
        return self._metric.distances(together)[1:]

    def block_shares(self, query: FloatVector, candidates: FloatMatrix) -> FloatMatrix:
        """Return each block's share of the squared refined distance, float64 (n, len(blocks)).

        Raises:
            DimensionMismatch: A vector has another length than there are slots.
        """
        _check(query[np.newaxis])
        _check(candidates)
        return self._metric.shares(query, candidates)


def _check(values: FloatMatrix) -> None:
    if values.ndim != 2 or values.shape[1] != WIDTH:
        raise DimensionMismatch(expected=WIDTH, found=values.shape[-1])


@hookimpl
def cadml_feature_versions() -> Iterable[FeatureVersion]:
    """Register the version."""
    return [ShapeVersion()]
