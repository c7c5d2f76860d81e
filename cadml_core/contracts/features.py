"""Feature versions: named numbers of a document, and a space with a meaningful distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cadml_core.contracts.faults import broken, raised
from cadml_core.documents.arrays import FloatMatrix, FloatVector
from cadml_core.documents.document import CadDocument
from cadml_core.documents.features import FeatureSlot
from cadml_core.errors import CadmlError

Metric = Literal["l2", "cosine"]
"""How an index compares embeddings: Euclidean distance, or cosine of the angle."""
LARGEST_VALUE = 1e18
"""Largest magnitude of an embedding's value: its square, summed over the dimensions, fits in float32."""
_LARGEST_RAW = float(np.finfo(np.float32).max)


@runtime_checkable
class FeatureVersion(Protocol):
    """Turns a document into named numbers, and those into a space with a meaningful distance."""

    name: str
    slots: tuple[FeatureSlot, ...]
    needs_mesh: bool
    """Whether ``extract`` works on the document's mesh, boundary or view. They are not stored: such a version
    is computed when a file is read, and again from the file where another one is wanted; all others follow
    from the stored document summary."""
    metric: Metric

    def extract(self, document: CadDocument) -> FloatVector:
        """Return the raw values: float64 (len(slots),), finite, the same for the same document.

        Raises:
            UnsupportedContent: The version needs a mesh, and the document holds geometry without one.
        """

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """Map raw values (n, len(slots)) to float32 (n, e), row by row."""


@runtime_checkable
class RefinedVersion(FeatureVersion, Protocol):
    """A feature version whose embedding finds candidates, and whose own distance ranks them.

    An index holds the embedding, which is short; the first hits are ranked again by all raw values. The slots
    come in blocks, as so many slots mean little one by one.
    """

    blocks: Mapping[str, slice]
    """The places of each block's slots, by its name; disjoint and ascending."""
    candidates: int
    """How many of an index's first hits are worth ranking again."""

    def refine(self, query: FloatVector, candidates: FloatMatrix) -> FloatVector:
        """Return the distance of one part to each of others, float64 (n,): not negative, finite.

        Args:
            query: Raw values, (len(slots),).
            candidates: Raw values, (n, len(slots)).
        """

    def block_shares(self, query: FloatVector, candidates: FloatMatrix) -> FloatMatrix:
        """Return each block's share of what ``refine`` found, float64 (n, len(blocks)).

        Shares are not negative. Each row sums to 1, or is all 0 where nothing differs.
        """


@runtime_checkable
class PlacedVersion(RefinedVersion, Protocol):
    """A refined version whose distance is measured between places, which searches remember.

    To place a part costs much more than to compare two places. ``refine(query, candidates)`` is
    ``between(place(query), place(candidates))``.
    """

    def place(self, values: FloatMatrix) -> NDArray[np.float32]:
        """Return where raw values, (n, len(slots)), lie: float32 (n, d), each row by itself."""

    def between(self, query: NDArray[np.float32], candidates: NDArray[np.float32]) -> FloatVector:
        """Return the distance of one place, (d,), to each of others, (n, d): float64 (n,)."""


def embedded(feature: FeatureVersion, values: FloatMatrix) -> FloatMatrix:
    """Return the embedding of raw values, (n, e), checked against the contract of feature versions.

    Raises:
        CadmlError: With INTERNAL_ERROR: ``embed`` raised what it must not, or returned another shape.
    """
    try:
        points: NDArray[Any] = np.asarray(feature.embed(values))
    except (CadmlError, MemoryError):
        raise
    # Third-party code may raise anything.
    except Exception as error:
        raise broken("feature version", feature, "embed", raised(error), stage="features") from error
    if points.ndim != 2 or len(points) != len(values) or points.dtype.kind != "f":
        fault = f"returned {points.dtype} {points.shape}, expected float32 ({len(values)}, any)"
        raise broken("feature version", feature, "embed", fault, stage="features")
    checked: FloatMatrix = points
    return checked


def comparable(feature: FeatureVersion, values: FloatMatrix) -> NDArray[np.bool_]:
    """Tell which rows of raw values, (n, len(slots)), every index can hold and compare: bool (n,).

    Raw values that float32 takes, with an embedding of which no value is beyond ``LARGEST_VALUE``, NaN or
    infinite. Others would not find wrong neighbours, but make the index itself fail.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        points = np.abs(embedded(feature, values).astype(np.float64))
        # Of NaN nothing is true, so it is caught here too.
        storable = np.all(np.abs(values) <= _LARGEST_RAW, axis=1)
        return np.asarray(storable & np.all(points <= LARGEST_VALUE, axis=1))
