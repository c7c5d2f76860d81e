"""The feature version ``mesh8``: area, volume, spread and direction of a surface, from its triangle mesh."""

import numpy as np

from cadml_core import (
    CadDocument,
    DimensionMismatch,
    FeatureSlot,
    FloatMatrix,
    FloatVector,
    Metric,
    TriangleMesh,
    UnsupportedContent,
    hookimpl,
)

LARGEST = float(np.finfo(np.float32).max)


def slot(name: str, unit: str, description: str) -> FeatureSlot:
    """Return a slot of this version."""
    return FeatureSlot(f"mesh_{name}", "geometric", "mesh8", unit, description)


class MeshFeatures:
    """Eight numbers of the surface. All but the shares by direction stay when a part is turned."""

    name = "mesh8"
    slots: tuple[FeatureSlot, ...] = (
        slot("area", "mm²", "area of the surface"),
        slot("volume", "mm³", "volume that the surface encloses; only formal where it is open"),
        slot(
            "spread_1", "mm", "root mean square distance from the centroid along the longest principal axis"
        ),
        slot("spread_2", "mm", "the same along the middle one"),
        slot("spread_3", "mm", "the same along the shortest one"),
        slot("facing_x", "1", "share of the area that faces along x"),
        slot("facing_y", "1", "share of the area that faces along y"),
        slot("facing_z", "1", "share of the area that faces along z"),
    )
    needs_mesh = True
    metric: Metric = "l2"

    # How many lengths multiply up to a slot's unit; 0 for a ratio.
    _powers = np.array([2, 3, 1, 1, 1, 0, 0, 0])

    def extract(self, document: CadDocument) -> FloatVector:
        """Return the raw values, float64 (8,); zeros where the document holds no geometry.

        Raises:
            UnsupportedContent: It holds geometry, but no surface.
        """
        if document.mesh is None:
            if document.empty:
                return np.zeros(len(self.slots))
            raise UnsupportedContent(
                f"{self.name} needs a triangle mesh, and this {document.format} document has none: drawings"
                " and wireframes have no surface to measure"
            )
        return measure(document.mesh)

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """Map raw values (n, 8) to float32 (n, 8).

        Areas, volumes and lengths become ``ln(1 + x) / d``, where d is their dimension: making a part twice
        as large moves each of them by about ln 2. Shares stay as they are.

        Raises:
            DimensionMismatch: ``values`` has another number of columns.
        """
        if values.ndim != 2 or values.shape[1] != len(self.slots):
            raise DimensionMismatch(expected=len(self.slots), found=values.shape[-1])
        logarithms = np.log1p(np.maximum(values, 0.0)) / np.maximum(self._powers, 1)
        return np.where(self._powers > 0, logarithms, values).astype(np.float32)


def measure(mesh: TriangleMesh) -> FloatVector:
    """Return the eight values of a mesh.

    The volume is the sum of the signed tetrahedra that the triangles span with one point. With a, b, c the
    corners of a triangle of area A, s = a + b + c, its second moment is A (a aᵀ + b bᵀ + c cᵀ + s sᵀ) / 12.
    """
    values = np.zeros(8)
    corners = mesh.vertices[mesh.triangles]
    if not len(corners):
        return values
    low = corners.min(axis=(0, 1))
    size = (corners.max(axis=(0, 1)) - low).max()
    if size == 0.0:
        return values
    # In units of the part's size: powers of very large or small coordinates would leave the range of floats.
    corners = (corners - low) / size
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    has_area = lengths > 0.0  # the others have no direction
    corners, normals, lengths = corners[has_area], normals[has_area], lengths[has_area]
    area = lengths.sum() / 2.0
    if area == 0.0:
        return values
    centroid = lengths @ corners.mean(axis=1) / (2.0 * area)
    corners = corners - centroid
    values[0] = area * size**2
    values[1] = abs(np.einsum("ij,ij->", corners[:, 0], normals)) / 6.0 * size**3
    values[2:5] = spreads(corners, lengths / (2.0 * area)) * size
    values[5:] = (normals**2 / lengths[:, None]).sum(axis=0) / (2.0 * area)
    return np.minimum(values, LARGEST)


def spreads(corners: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return root mean square distances along the principal axes, descending.

    Args:
        corners: (m, 3, 3), triangle, corner, coordinate, relative to the centroid of the surface.
        shares: (m,), each triangle's share of the area.
    """
    points = np.concatenate([corners, corners.sum(axis=1, keepdims=True)], axis=1)
    moments = np.einsum("m,mpi,mpj->ij", shares, points, points) / 12.0
    return np.sqrt(np.maximum(np.linalg.eigvalsh(moments)[::-1], 0.0))


@hookimpl
def cadml_feature_versions() -> list[MeshFeatures]:
    """Register the version."""
    return [MeshFeatures()]
