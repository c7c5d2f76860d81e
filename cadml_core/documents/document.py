"""What a reader learned of one file: counts, extents, measures and, on request, a mesh.

Everything but the mesh, the boundary, the feature list and the view is the *document summary*: small, JSON,
kept in the catalogue, and rich enough to compute every built-in feature version again without the file, but
for those that need a mesh.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.boundary import Boundary
from cadml_core.documents.feature_list import FeatureList
from cadml_core.documents.invariants import Invariants

if TYPE_CHECKING:
    from cadml_core.documents.view import View
else:
    View = Any

Vector3 = tuple[float, float, float]


class BoundingBox(msgspec.Struct, frozen=True):
    """Axis-aligned extents in millimetres; ``minimum <= maximum`` on each axis, all finite."""

    minimum: Vector3
    maximum: Vector3

    def __post_init__(self) -> None:
        """Refuse what is not a box.

        Raises:
            ValueError: A coordinate is NaN or infinite, or a minimum exceeds its maximum.
        """
        (x0, y0, z0), (x1, y1, z1) = self.minimum, self.maximum
        if not all(map(math.isfinite, (x0, y0, z0, x1, y1, z1))):
            raise ValueError(f"bounding box is not finite: {self.minimum} .. {self.maximum}")
        if x0 > x1 or y0 > y1 or z0 > z1:
            raise ValueError(f"bounding box is inside out: {self.minimum} .. {self.maximum}")

    @property
    def extents(self) -> Vector3:
        """Width, height and depth: the lengths along x, y and z, in millimetres."""
        (x0, y0, z0), (x1, y1, z1) = self.minimum, self.maximum
        return (x1 - x0, y1 - y0, z1 - z0)

    def scaled(self, factor: float) -> BoundingBox:
        """Return the extents of the same thing with every length times a positive factor."""
        return BoundingBox(_times(self.minimum, factor), _times(self.maximum, factor))


class MassProperties(msgspec.Struct, frozen=True):
    """Volume and its moments at unit density, from an exact B-rep or from facets."""

    volume: float
    """Cubic millimetres."""
    centroid: Vector3
    """Millimetres."""
    principal_moments: Vector3
    """Moments of inertia about the principal axes through the centroid, ascending, in mm⁵."""
    reliable: bool = True
    """False where the volume may be wrong, or is only formal as the boundary is open or inconsistent; the
    document's warnings say why."""

    def scaled(self, factor: float) -> MassProperties:
        """Return the measures of the same thing with every length times a positive factor."""
        return MassProperties(
            self.volume * factor**3,
            _times(self.centroid, factor),
            _times(self.principal_moments, factor**5),
            self.reliable,
        )


class FacetQuality(msgspec.Struct, frozen=True):
    """How good a triangle mesh is as the boundary of a solid."""

    vertices: int
    """Distinct vertices after welding."""
    components: int
    """Connected components over shared edges."""
    boundary_edges: int
    """Edges with one facet; 0 where the mesh is closed."""
    non_manifold_edges: int
    """Edges with more than two facets."""
    degenerate: int
    """Facets of zero area."""
    duplicate: int
    """Facets with the same three vertices as an earlier one."""
    watertight: bool
    """Every edge has exactly two facets that run through it in opposite directions."""
    area_error: float = 0.0
    """How far the area may be from that of the curved surfaces which the facets stand for, over the area: an
    estimate by the angles between the facets, 0 where all are flat."""
    volume_error: float = 0.0
    """Likewise of the volume."""


class TriangleMesh(msgspec.Struct, frozen=True):
    """A triangle mesh in millimetres; never stored.

    ``vertices`` is float64 (n, 3); ``triangles`` is int64 (m, 3), indices into ``vertices``.
    """

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int64]


class CadDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file as a reader saw it. Lengths are millimetres where ``unit`` is known."""

    format: str
    """Name of the format adapter."""
    entity_counts: dict[str, int] = {}
    """How many entities of each kind, from one traversal: DXF entity types, B-rep surface types
    (one per face), or facet orientation classes (one per facet). The counts sum to the entities."""
    surface_count: int = 0
    """B-rep faces, facets, or the geometric ones among the DXF entities."""
    solid_count: int = 0
    shell_count: int = 0
    facet_count: int = 0
    edge_counts: dict[str, int] = {}
    """B-rep edges by curve type."""
    surface_areas: dict[str, float] = {}
    """Square millimetres by surface type."""
    layers: tuple[str, ...] = ()
    """DXF layers, or the named bodies and assembly components of a 3D file."""
    bounding_box: BoundingBox | None = None
    """None where the document holds no geometry."""
    unit: str | None = None
    """The unit that the file states (``mm``, ``inch``, ...), or that its sender has stated where the file
    states none; None where neither does."""
    area: float | None = None
    """Surface area in mm²; None where it has no meaning (drawings)."""
    mass: MassProperties | None = None
    facet_quality: FacetQuality | None = None
    properties: dict[str, str | int | float | bool] = {}
    """Further facts from the reader: the DXF version, the STEP schema, ..."""
    warnings: tuple[str, ...] = ()
    """Sentences about what was unusual, repaired, assumed or omitted."""
    invariants: Invariants | None = None
    """By which the same part is found however it is placed; None for drawings and open surfaces without
    a volume."""
    features: FeatureList | None = None
    """The exact features in place, kept beside the summary; None for meshes, and where there are too many."""
    mesh: TriangleMesh | None = None
    """Only where ``ReadLimits.mesh`` asked for one."""
    boundary: Boundary | None = None
    """Beside the mesh, where the file has exact faces and no more than the reader describes."""
    view: View | None = None
    """What can be drawn of it, where ``ReadLimits.view`` asked for that; it never leaves its process."""

    @property
    def entity_count(self) -> int:
        """How many entities the document holds."""
        return sum(self.entity_counts.values())

    @property
    def empty(self) -> bool:
        """True where the file was readable but holds no geometry."""
        return self.bounding_box is None

    def scaled(self, factor: float) -> CadDocument:
        """Return the document of the same thing with every length times a positive factor.

        Counts, properties and warnings stay as they are.
        """
        mesh = self.mesh and TriangleMesh(self.mesh.vertices * factor, self.mesh.triangles)
        return msgspec.structs.replace(
            self,
            surface_areas={kind: area * factor**2 for kind, area in self.surface_areas.items()},
            bounding_box=self.bounding_box and self.bounding_box.scaled(factor),
            area=None if self.area is None else self.area * factor**2,
            mass=self.mass and self.mass.scaled(factor),
            invariants=self.invariants and self.invariants.scaled(factor),
            features=None if self.features is None else self.features.scaled(factor),
            mesh=mesh,
        )

    def without_mesh(self) -> CadDocument:
        """Return the summary: the same document without its mesh, boundary, feature list and view."""
        if self.mesh is None and self.boundary is None and self.features is None and self.view is None:
            return self
        return msgspec.structs.replace(self, mesh=None, boundary=None, features=None, view=None)


def _times(vector: Vector3, factor: float) -> Vector3:
    x, y, z = vector
    return x * factor, y * factor, z * factor


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(CadDocument)


def encode_summary(document: CadDocument) -> bytes:
    """Write the document summary as JSON."""
    return _encoder.encode(document.without_mesh())


def decode_summary(data: bytes | str) -> CadDocument:
    """Read a document summary back.

    Raises:
        msgspec.ValidationError: The JSON is not a document summary.
    """
    return _decoder.decode(data)
