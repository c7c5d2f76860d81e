"""What can be drawn of a DXF: its curves, blocks placed, and its flat faces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np
from ezdxf.disassemble import make_primitive, recursive_decompose

from cadml_core import CadmlError, FloatMatrix, TriangleMesh
from cadml_plugins.formats.dxf._load import PARSER_FAILURES
from cadml_plugins.formats.dxf._mesh import triangle_mesh

_WORDS = frozenset(
    {"TEXT", "MTEXT", "ATTRIB", "ATTDEF", "DIMENSION", "ARC_DIMENSION", "LEADER", "MULTILEADER"}
)
_NOT_DRAWN = _WORDS | {"HATCH", "MPOLYGON", "IMAGE", "WIPEOUT", "VIEWPORT", "XLINE", "RAY", "POINT"}
_MOST_ENTITIES, _MOST_POINTS, _MOST_FACETS = 20_000, 200_000, 60_000
_SAGITTA = 2e-3
"""Of the size: how far a curve may be off its polyline."""


class DrawingView:
    """Draws an ezdxf document, audited, so that no block contains itself.

    Args:
        document: The document.
        millimetres: The length of a drawing unit.
        size: The longest side of its extents, in drawing units.
        facets: How many flat faces it has.
    """

    def __init__(self, document: Any, millimetres: float, size: float, facets: int) -> None:
        self._document = document
        self._millimetres = millimetres
        self._size = size
        self._facets = facets
        self.flat = not facets
        self.upright = any(entity.dxftype() in _WORDS for entity in document.modelspace())

    def mesh(self) -> TriangleMesh | None:
        """Return the flat faces of a model."""
        if not self._facets:
            return None
        try:
            return triangle_mesh(self._document, self._millimetres, _MOST_FACETS)
        except (CadmlError, *PARSER_FAILURES):
            return None

    def lines(self, axes: FloatMatrix) -> Sequence[FloatMatrix] | None:
        """Return None: there are no faces that hide lines."""

    def curves(self) -> Sequence[FloatMatrix]:
        """Return the lines and curves of the model space."""
        found, points = [], 0
        for curve in self._curves():
            found.append(curve * self._millimetres)
            points += len(curve)
            if points > _MOST_POINTS:
                break
        return found

    def _curves(self) -> Iterator[FloatMatrix]:
        shown = (entity for entity in self._document.modelspace() if entity.dxftype() not in _NOT_DRAWN)
        sagitta = max(self._size * _SAGITTA, 1e-9)
        for entity in islice(recursive_decompose(shown), _MOST_ENTITIES):
            if entity.dxftype() in _NOT_DRAWN:
                continue
            with suppress(*PARSER_FAILURES):
                primitive = make_primitive(entity, max_flattening_distance=sagitta)
                if primitive.is_empty or primitive.path is None:
                    continue
                for path in primitive.path.sub_paths():
                    points = np.array([point.xyz for point in path.flattening(sagitta, segments=2)])
                    if len(points) > 1 and np.isfinite(points).all():
                        yield points
