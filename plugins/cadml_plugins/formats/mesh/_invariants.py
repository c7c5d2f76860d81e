"""Invariants of a solid that facets bound, by which the same part is found in another format."""

from __future__ import annotations

import numpy as np

from cadml_core import BodyInvariants, Invariants, chirality
from cadml_plugins.formats.mesh._measures import FacetMeasures
from cadml_plugins.formats.mesh._welding import Corners


def mesh_invariants(
    measures: FacetMeasures, corners: Corners, *, solids: int, vertices: int, reliable: bool
) -> Invariants | None:
    """Describe a mesh; None where it encloses no volume.

    Args:
        measures: Of all facets.
        corners: Those facets again, (m, 3, 3), for the handedness; empty where they were too many to keep.
        solids: Closed pieces.
        vertices: After welding, 0 where unknown.
        reliable: Whether the facets enclose their volume.
    """
    mass, spread = measures.mass(reliable=reliable), measures.covariance()
    if mass is None or spread is None:
        return None
    low, middle, high = np.maximum(np.linalg.eigvalsh(spread), 0.0).tolist()
    numbers = None
    if len(corners):
        places = corners.astype(np.float64)
        a = places[:, 0]
        vectors = np.cross(places[:, 1] - a, places[:, 2] - a)
        lengths = np.linalg.norm(vectors, axis=1)
        kept = lengths > 0.0
        normals = vectors[kept] / lengths[kept, None] * (1.0 if measures.signed_volume > 0.0 else -1.0)
        centre = np.array(mass.centroid)
        numbers = chirality(places.mean(axis=1)[kept], normals, lengths[kept] / 2.0, centre, spread)
    whole = BodyInvariants(
        volume=mass.volume,
        area=measures.area,
        moments=(low, middle, high),
        chirality=numbers,
        faces=measures.facets,
        vertices=vertices,
        count=max(solids, 1),
        reliable=reliable,
    )
    return Invariants(whole, exact=False)
