"""Kinds of DXF entities: which of them draw a shape, and how many flat faces each stands for."""

from __future__ import annotations

from typing import Any

ACIS_SOLIDS = frozenset({"3DSOLID", "BODY"})
ACIS_SHEETS = frozenset(
    {"REGION", "SURFACE", "EXTRUDEDSURFACE", "LOFTEDSURFACE", "NURBSURFACE"}
    | {"PLANESURFACE", "REVOLVEDSURFACE", "SWEPTSURFACE"}
)
GEOMETRY = (
    frozenset({"POINT", "LINE", "RAY", "XLINE", "MLINE", "LWPOLYLINE", "POLYLINE"})
    | {"ARC", "CIRCLE", "ELLIPSE", "SPLINE", "HELIX"}
    | {"3DFACE", "SOLID", "TRACE", "HATCH", "MPOLYGON", "MESH"}
    | ACIS_SOLIDS
    | ACIS_SHEETS
)
"""The kinds that draw a shape. All others annotate, place or depict: TEXT, DIMENSION, INSERT, IMAGE, ..."""
BOUNDED = GEOMETRY - {"RAY", "XLINE"}
"""The kinds that have extents: infinite lines have none, and where their base point lies means nothing."""


def facets_of(entity: Any) -> int:
    """Return how many flat faces of a mesh the entity has."""
    kind = entity.dxftype()
    if kind == "3DFACE":
        return 1
    if kind == "MESH":
        return len(entity.faces)
    if kind != "POLYLINE" or not (entity.is_poly_face_mesh or entity.is_polygon_mesh):
        return 0
    if entity.is_poly_face_mesh:
        return sum(1 for vertex in entity.vertices if vertex.is_face_record)
    return grid_facets(
        *(
            entity.dxf.m_count,
            entity.dxf.n_count,
            entity.is_m_closed,
            entity.is_n_closed,
            len(entity.vertices),
        )
    )


def grid_facets(m: int, n: int, closed: bool, closed_across: bool, vertices: int) -> int:
    """Return the faces of a grid of m by n vertices.

    A grid of v vertices has fewer than 2 v faces, which bounds counts that the file states without having the
    vertices.
    """
    return min(max(0, m - (not closed)) * max(0, n - (not closed_across)), 2 * vertices)
