"""What can be drawn of a shape: its facets, the lines that are seen from a direction, its curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from cadml_core import BoundingBox, FloatMatrix, LimitExceeded, MeshRequest, ReadLimits, TriangleMesh
from cadml_plugins.formats.kernel import _geometry, _topology
from cadml_plugins.formats.kernel._occt import Failure, Shape, kernel_class, kernel_function
from cadml_plugins.formats.kernel._tessellation import tessellate, triangle_count

_HiddenLines = kernel_class("HLRBRep_PolyAlgo")
_ToShape = kernel_class("HLRBRep_PolyHLRToShape")
_Projector = kernel_class("HLRAlgo_Projector")
_Axes = kernel_class("gp_Ax2")
_Point, _Direction = kernel_class("gp_Pnt"), kernel_class("gp_Dir")
_Explorer = kernel_class("TopExp_Explorer")
_as_vertex = kernel_function("TopoDS", "Vertex")
_point = kernel_function("BRep_Tool", "Pnt")

_MOST_TRIANGLES = 30_000
"""Beyond this, removing hidden lines takes too long and their picture is a thicket."""
_MOST_CURVES, _MOST_POINTS = 4_000, 24


class ShapeView:
    """Draws one shape of the kernel.

    Args:
        shape: The shape, sewn.
        limits: Of the reading.
        box: Its extents; None where it has none.
        mesh: Its facets, where they were made already.
    """

    flat = False
    upright = False

    def __init__(
        self, shape: Shape, limits: ReadLimits, box: BoundingBox | None, mesh: TriangleMesh | None
    ) -> None:
        self._shape = shape
        self._box = box
        self._limits = msgspec.structs.replace(limits, mesh=MeshRequest())
        self._mesh = mesh
        self._made = mesh is not None

    def mesh(self) -> TriangleMesh | None:
        """Return the facets in millimetres, facing outwards; None where there is no surface."""
        if not self._made:
            self._made = True
            try:
                self._mesh = tessellate(self._shape, self._limits, self._box, [])
            except Failure:
                self._mesh = None
            except LimitExceeded:  # the file can be read; it has too many facets to be seen
                self._mesh = None
        return self._mesh

    def lines(self, axes: FloatMatrix) -> Sequence[FloatMatrix] | None:
        """Return the lines seen from a direction, by polygonal hidden-line removal over the facets.

        The exact one takes a thousand times as long on some shapes, and reads out of bounds on others.
        """
        if self.mesh() is None:
            return None
        faces = _topology.explore(self._shape, _topology.FACE)
        if sum(map(triangle_count, faces)) > _MOST_TRIANGLES:
            return None
        right, _, towards = (_Direction(*row.tolist()) for row in axes)
        try:
            hidden = _HiddenLines()
            hidden.Load(self._shape)
            hidden.Projector(_Projector(_Axes(_Point(0.0, 0.0, 0.0), towards, right)))
            hidden.Update()
            found = _ToShape()
            found.Update(hidden)
            parts = (found.VCompound(), found.OutLineVCompound())  # sharp edges, and where faces turn away
            return [line for part in parts for line in _segments(part)]
        except Failure:
            return None

    def curves(self) -> Sequence[FloatMatrix]:
        """Return the edges as polylines."""
        edges = _topology.distinct(self._shape, _topology.EDGE)[:_MOST_CURVES]
        return [points for edge in edges if len(points := _geometry.sampled(edge, _MOST_POINTS)) > 1]


def _segments(compound: Shape | None) -> Iterator[FloatMatrix]:
    """Yield the two ends of each line of a compound, which are its vertices in order."""
    if compound is None or compound.IsNull():
        return
    places: list[tuple[float, float]] = []
    explorer = _Explorer(compound, _topology.VERTEX)
    while explorer.More():
        point = _point(_as_vertex(explorer.Current()))
        places.append((point.X(), point.Y()))
        explorer.Next()
    yield from np.array(places).reshape(-1, 2, 2)
