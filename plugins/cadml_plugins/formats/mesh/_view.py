"""What can be drawn of facets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cadml_core import FloatMatrix, TriangleMesh


class MeshView:
    """Draws facets.

    Args:
        make: Returns the mesh in millimetres; called when it is wanted first.
    """

    flat = False
    upright = False

    def __init__(self, make: Callable[[], TriangleMesh | None]) -> None:
        self._make = make
        self._mesh: TriangleMesh | None = None

    def mesh(self) -> TriangleMesh | None:
        """Return the facets."""
        if self._mesh is None:
            self._mesh = self._make()
        return self._mesh

    def lines(self, axes: FloatMatrix) -> Sequence[FloatMatrix] | None:
        """Return None: lines are found in the facets."""

    def curves(self) -> Sequence[FloatMatrix]:
        """Return none."""
        return []
