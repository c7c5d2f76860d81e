"""Feature version identity: what stays the same of a part in any place, to find where the same part is."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from cadml_core import (
    BodyInvariants,
    CadDocument,
    DimensionMismatch,
    FeatureSlot,
    FeatureVersion,
    FloatMatrix,
    FloatVector,
    Metric,
    hookimpl,
)


def _slot(name: str, unit: str, description: str) -> FeatureSlot:
    return FeatureSlot(name, "geometric", "identity", unit, description)


SLOTS = (
    _slot("log_volume", "1", "natural logarithm of the enclosed volume in mm³; 0 where there is none"),
    _slot("log_area", "1", "natural logarithm of the surface area in mm²; 0 where no volume is enclosed"),
    *(
        _slot(f"log_moment_{rank}", "1", f"half the logarithm of covariance eigenvalue {rank}, in mm")
        for rank in (1, 2, 3)
    ),
    *(
        _slot(f"chirality_{rank}", "1", f"handedness number {rank}; a mirror image has the opposite sign")
        for rank in (1, 2, 3, 4)
    ),
    _slot("body_count", "count", "solids, all placements"),
    _slot("face_count", "count", "faces of the solids; facets of a mesh"),
    _slot("edge_count", "count", "edges without seams; 0 for a mesh"),
    _slot("vertex_count", "count", "vertices where edges meet"),
)
_SCALES = np.array([0.01] * 5 + [0.01] * 4 + [1.0] * 4)
"""What counts as a difference of 1: one per cent of a size, a hundredth of handedness, one feature."""
_SMALLEST = 1e-12


class IdentityVersion:
    """Volume, area, moments, handedness and counts, which no motion changes.

    It finds candidates and proves nothing: parts that differ may agree in all of them.
    """

    name = "identity"
    slots = SLOTS
    needs_mesh = False
    metric: Metric = "l2"

    def extract(self, document: CadDocument) -> FloatVector:
        """Return the raw values: float64 (13,); zeros where the document encloses no volume."""
        if document.invariants is None:
            return np.zeros(len(SLOTS))
        return _values(document.invariants.whole)

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """Map raw values (n, 13) to float32 (n, 13): sizes and handedness in hundredths, counts as they are.

        Raises:
            DimensionMismatch: ``values`` has another number of columns.
        """
        if values.ndim != 2 or values.shape[1] != len(self.slots):
            raise DimensionMismatch(expected=len(self.slots), found=values.shape[-1])
        embedded: FloatMatrix = (values / _SCALES).astype(np.float32)
        return embedded


def _values(whole: BodyInvariants) -> FloatVector:
    sizes = [math.log(max(value, _SMALLEST)) for value in (whole.volume, whole.area)]
    moments = [math.log(max(value, _SMALLEST)) / 2.0 for value in whole.moments]
    hand = list(whole.chirality or (0.0,) * 4)
    return np.array([*sizes, *moments, *hand, whole.count, whole.faces, whole.edges, whole.vertices], float)


IDENTITY = IdentityVersion()


@hookimpl
def cadml_feature_versions() -> Iterable[FeatureVersion]:
    """Register identity."""
    return [IDENTITY]
