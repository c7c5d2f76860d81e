"""The blocks of figures that describe a part, their names and their places in its raw values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cadml_core import Boundary, FloatMatrix, TriangleMesh
from cadml_plugins.features.shape import _brep, _outline, _pictures, _rays, _spread
from cadml_plugins.features.shape._drawing import DRAWING_BLOCKS, describe_drawing
from cadml_plugins.features.shape._frame import facing, frame_of
from cadml_plugins.features.shape._surface import Floats, prepare

BLOCKS = {
    "edge": (30, "lengths of edges between facets by their angle, and of sharp edges"),
    "ratio": (34, "proportions, moments and how full the box is"),
    "size": (7, "log10 of extents, area, volume and unit, in mm"),
    "ppf": (153, "pairs of surface points with normals: distances and angles"),
    "plane": (22, "shares of the area in flat faces and in main directions"),
    "view": (441, "low frequencies of silhouettes, depths and thickness along three axes"),
    "harmonics": (90, "energy of directions by shell and degree"),
    "d1": (24, "distances of the surface from its centroid"),
    "pano": (270, "low frequencies of panoramas about three axes"),
    "rays": (48, "thickness of the material and width of gaps"),
    "brep": (_brep.WIDTH, "kinds, sizes, convexity and neighbourhoods of exact faces and edges"),
    **DRAWING_BLOCKS,
}
"""Width and meaning of each block, in the order of the raw values."""

SURFACE, EXACT, DRAWING = range(3)
"""The raw values begin with flags: there is a surface; there are exact faces; it is a drawing."""
PRESENCE = 3

PLACES: dict[str, slice] = {}
_start = PRESENCE
for _name, (_width, _) in BLOCKS.items():
    PLACES[_name] = slice(_start, _start + _width)
    _start += _width
WIDTH = _start
SIDES = {
    "mesh": slice(PRESENCE, PLACES["brep"].start),
    "brep": PLACES["brep"],
    "drawing": slice(PLACES["brep"].stop, WIDTH),
}
"""The parts of the raw values that are compared by themselves."""


def describe(mesh: TriangleMesh, boundary: Boundary | None, bodies: tuple[int, int]) -> Floats:
    """Return the raw values of a part, float64 (WIDTH,), each a number that half precision holds.

    They are zeros, presence flags too, where the mesh has no facet with an area.
    """
    values = np.zeros(WIDTH)
    surface = prepare(mesh)
    if surface is None:
        return values
    directions = facing(surface)
    frame = frame_of(surface, directions)
    placed = surface.corners @ frame.T
    edges = _outline.Edges(surface)
    blocks = {
        "edge": _outline.edge_block(edges),
        "ratio": _outline.ratios(surface, placed, frame),
        "size": _outline.sizes(surface, placed),
        "ppf": _spread.pair_block(surface),
        "plane": _outline.plane_block(surface, edges, directions),
        "view": _pictures.view_block(surface, frame, placed),
        "harmonics": _spread.harmonic_block(surface),
        "d1": _spread.distance_block(surface),
        "pano": _pictures.panorama_block(surface, frame, placed),
        "rays": _rays.ray_block(surface),
    }
    values[SURFACE] = 1.0
    if boundary is not None and len(boundary.face_kinds):
        blocks["brep"] = _brep.boundary_block(boundary, surface.unit, bodies)
        values[EXACT] = 1.0
    return _filled(values, blocks)


def describe_strokes(curves: Sequence[FloatMatrix], counts: Mapping[str, int]) -> Floats | None:
    """Return the raw values of a drawing, as ``describe`` does those of a part; None where nothing is drawn.

    Args:
        curves: Polylines, (n, 2 or more) in mm.
        counts: Entities by kind.
    """
    blocks = describe_drawing(curves, counts)
    if blocks is None:
        return None
    values = np.zeros(WIDTH)
    values[DRAWING] = 1.0
    return _filled(values, blocks)


def _filled(values: Floats, blocks: Mapping[str, Floats]) -> Floats:
    for name, block in blocks.items():
        values[PLACES[name]] = block
    # Half precision is far finer than what separates parts, and keeps a part at 3.4 kB.
    limit = float(np.finfo(np.float16).max)
    return np.clip(np.nan_to_num(values), -limit, limit).astype(np.float16).astype(np.float64)
