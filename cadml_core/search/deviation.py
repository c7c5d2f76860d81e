"""The model of a part, coloured by how far it is from another one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_core.contracts.formats import MeshRequest
from cadml_core.documents.document import TriangleMesh
from cadml_core.errors import UnsupportedContent
from cadml_core.intake.intake import Intake
from cadml_core.reading.glb import feature_edges, write_glb
from cadml_core.relations.deviation import deviation
from cadml_core.relations.relation import Relation
from cadml_core.search.comparison import Comparable, compare, mesh_of

_MESH = MeshRequest(relative_deflection=1e-3, max_triangles=60_000)
_STOPS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
_COLOURS = np.array([[59, 92, 140], [66, 150, 153], [140, 190, 110], [236, 190, 72], [200, 60, 48]])
"""From near to far: blue, green, yellow, red; each is lighter or darker than its neighbours."""
_LEAST_SCALE = 1e-3
"""Of the size: distances below are those of facets from the surfaces that they stand for."""


class DeviationModel(NamedTuple):
    """What was measured."""

    data: bytes
    """GLB, with the numbers below as ``asset.extras``."""
    largest_mm: float
    """The largest distance between both surfaces."""
    scale_mm: float
    """The distance that the last colour stands for."""
    relation: Relation


def deviation_model(intake: Intake, a: Comparable, b: Comparable) -> DeviationModel:
    """Colour the first part by its distance from the second, both aligned.

    Raises:
        UnsupportedContent: One of them has no surface to measure; the message says why.
    """
    relation = compare(intake, a, b)
    first, second = (_mesh(intake, part) for part in (a, b))
    motion = None if relation.motion is None else np.array(relation.motion)
    if motion is not None and abs(abs(np.linalg.det(motion[:3, :3])) - 1.0) > 1e-6:
        motion = None  # a part of another size is compared as it is
    found = deviation(first, second, motion, mirrored=relation.kind == "mirrored")
    size = float(np.linalg.norm(np.ptp(found.mesh.vertices, axis=0)))
    scale = max(found.largest, _LEAST_SCALE * size)
    extras = {"largest_mm": found.largest, "scale_mm": scale, "relation": relation.kind}
    data = write_glb(
        found.mesh, lines=feature_edges(found.mesh), colours=_coloured(found.distances / scale), extras=extras
    )
    return DeviationModel(data, found.largest, scale, relation)


def _mesh(intake: Intake, part: Comparable) -> TriangleMesh:
    mesh = mesh_of(intake, part, _MESH)
    if isinstance(mesh, str):
        raise UnsupportedContent(f"{part.name}: {mesh}", stage="compare")
    return mesh


def _coloured(shares: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the colours (n, 4) of shares from 0 to 1; glTF wants them linear, and these stops are sRGB."""
    wanted = np.column_stack([np.interp(shares, _STOPS, column) for column in _COLOURS.T]) / 255.0
    linear = np.where(wanted <= 0.04045, wanted / 12.92, ((wanted + 0.055) / 1.055) ** 2.4)
    return np.column_stack([np.rint(linear * 255.0), np.full(len(shares), 255.0)]).astype(np.uint8)
