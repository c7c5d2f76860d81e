"""Invariants of a solid that facets bound, by which the same part is found in another format."""

from __future__ import annotations

import math

import numpy as np

from cadml_core import BodyInvariants, Invariants, MassProperties, chirality
from cadml_plugins.formats.mesh._facets import Facets
from cadml_plugins.formats.mesh._measures import FacetMeasures


def mesh_invariants(
    measures: FacetMeasures, facets: Facets | None, *, mass: MassProperties | None, solids: int, vertices: int
) -> Invariants | None:
    """Describe a mesh; None where it encloses no volume.

    Args:
        measures: Of all facets.
        facets: Those facets again, for the handedness; None where they were too many to keep.
        mass: What they enclose.
        solids: Closed pieces.
        vertices: After welding, 0 where unknown.
    """
    spread = measures.covariance()
    if mass is None or spread is None:
        return None
    low, middle, high = np.maximum(np.linalg.eigvalsh(spread), 0.0).tolist()
    numbers = None
    if facets is not None:
        kept = facets.doubled > 0.0
        corners, vectors, lengths = facets if kept.all() else facets.some(kept)
        normals = vectors * (math.copysign(1.0, measures.signed_volume) / lengths)[:, None]
        middles = (corners[:, 0] + corners[:, 1] + corners[:, 2]) / 3.0
        numbers = chirality(middles, normals, lengths / 2.0, np.array(mass.centroid), spread)
    whole = BodyInvariants(
        volume=mass.volume,
        area=measures.area,
        moments=(low, middle, high),
        chirality=numbers,
        faces=measures.facets,
        vertices=vertices,
        count=max(solids, 1),
        reliable=mass.reliable,
    )
    return Invariants(whole, exact=False)
