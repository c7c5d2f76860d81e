"""A feature version that can be computed from a mesh only, as a plugin."""

from __future__ import annotations

import numpy as np

from cadml_core import (
    CadDocument,
    FeatureSlot,
    FeatureVersion,
    FloatMatrix,
    FloatVector,
    MalformedFile,
    Metric,
    hookimpl,
)


class MeshFacets:
    """How many triangles and vertices the mesh has."""

    name = "mesh2"
    slots: tuple[FeatureSlot, ...] = (
        FeatureSlot("mesh_triangles", "geometric", "mesh2", "count", "Triangles."),
        FeatureSlot("mesh_reach", "geometric", "mesh2", "mm", "Largest coordinate."),
    )
    needs_mesh = True
    metric: Metric = "l2"

    def extract(self, document: CadDocument) -> FloatVector:
        """Count; a document without its mesh is a mistake of whoever asks."""
        if document.mesh is None:
            raise MalformedFile("mesh2 was asked without a mesh")
        return np.array([len(document.mesh.triangles), document.mesh.vertices.max()])

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """Take the logarithm."""
        return np.log1p(values).astype(np.float32)


@hookimpl
def cadml_feature_versions() -> list[FeatureVersion]:
    """Register it."""
    return [MeshFacets()]
