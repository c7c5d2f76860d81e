"""Documents of tessellated models: exchange files with triangles instead of exact surfaces."""

from __future__ import annotations

from typing import Any

import numpy as np

from cadml_core import LimitExceeded, ReadLimits, TriangleMesh
from cadml_plugins.formats.kernel import _tessellation, _topology
from cadml_plugins.formats.kernel._occt import Shape
from cadml_plugins.formats.mesh._doubts import doubts, without_astray_shells
from cadml_plugins.formats.mesh._facet_error import with_errors
from cadml_plugins.formats.mesh._facets import vectors_of
from cadml_plugins.formats.mesh._invariants import mesh_invariants
from cadml_plugins.formats.mesh._measures import FacetMeasures
from cadml_plugins.formats.mesh._topology import analyse
from cadml_plugins.formats.mesh._welding import weld


def describe(shape: Shape, limits: ReadLimits, warnings: list[str]) -> dict[str, Any]:
    """Return the fields of a document that has facets only: the same as those of an STL file.

    Args:
        shape: A shape of faces without surfaces.
        limits: Its ``max_triangles`` holds.
        warnings: Gets the reasons why the volume may be wrong.

    Raises:
        LimitExceeded: There are more facets than ``max_triangles``.
    """
    faces = _topology.explore(shape, _topology.FACE)
    count = sum(map(_tessellation.triangle_count, faces))
    if count > limits.max_triangles:
        raise LimitExceeded("max_triangles", found=count, allowed=limits.max_triangles)
    meshes = (_tessellation.triangles(face) for face in faces)
    corners = np.concatenate([vertices[triangles] for vertices, triangles in meshes])
    measures = FacetMeasures()
    measures.add(corners)
    vertices, triangles = weld(corners)
    facets = vectors_of(corners)
    topology = analyse(facets, triangles, len(vertices), measures.degenerate)
    if topology.closed:
        measures = without_astray_shells(measures, corners, topology.shells)
    reasons = doubts(measures, topology, TriangleMesh(vertices, triangles), closed=topology.closed)
    warnings += reasons
    mass = measures.mass(reliable=not reasons)
    return {
        "entity_counts": measures.orientations,
        "surface_count": measures.facets,
        "facet_count": measures.facets,
        "solid_count": topology.closed_components,
        "shell_count": topology.quality.components,
        "bounding_box": measures.bounding_box,
        "area": measures.area,
        "mass": mass,
        "facet_quality": with_errors(topology, facets, measures),
        "invariants": mesh_invariants(
            measures,
            facets,
            mass=mass,
            solids=topology.closed_components,
            vertices=topology.quality.vertices,
        ),
    }
