"""What can be drawn of a file, in the process that has read it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cadml_core.documents.arrays import FloatMatrix
from cadml_core.documents.document import TriangleMesh


class View(Protocol):
    """What a format adapter offers to those who draw: its file is still open to it.

    Everything is worked out when it is asked for, so that a file of which nothing is drawn costs nothing.
    """

    flat: bool
    """Whether it is a drawing in the plane z = 0, to be seen from above."""
    upright: bool
    """Whether it has words or sheets, so that turning it would make it worse to read."""

    def mesh(self) -> TriangleMesh | None:
        """Return the facets in millimetres, facing outwards; None where there is no surface."""

    def lines(self, axes: FloatMatrix) -> Sequence[FloatMatrix] | None:
        """Return the lines that are seen from a direction, those behind faces left out.

        Args:
            axes: The rows of a rotation (3, 3): to the right, upwards, and towards the viewer.

        Returns:
            Polylines float64 (n, 2) in millimetres, along the first two axes; outlines and sharp edges.
            None where the adapter cannot tell, or the shape is too large.
        """

    def curves(self) -> Sequence[FloatMatrix]:
        """Return what is drawn without surfaces: polylines float64 (n, 3) in millimetres."""
