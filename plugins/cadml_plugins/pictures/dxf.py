"""Pictures of DXF: the curves of a drawing, or the shaded faces of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cadml_core import (
    CadDocument,
    FloatMatrix,
    Picture,
    PictureMaker,
    PictureRequest,
    UnsupportedContent,
    hookimpl,
)
from cadml_plugins.pictures._projection import view_axes
from cadml_plugins.pictures._shading import shaded_picture
from cadml_plugins.pictures._svg import line_picture

_BINS = 360
"""Of a quarter turn."""


class DrawingPictures:
    """Draws the model space of a DXF.

    A drawing without words is turned so that most of its lines run along the picture and its longer side
    lies: a plate that was turned looks as before. One with words stays as it is read.
    """

    name = "dxf"
    version = "1"

    def draw(self, document: CadDocument, request: PictureRequest) -> Picture:
        """Draw a document.

        Raises:
            UnsupportedContent: It has neither faces nor curves.
        """
        if document.bounding_box is None:
            raise UnsupportedContent("the drawing holds no geometry", stage="picture")
        view = document.view
        if view is None:
            raise UnsupportedContent("the drawing is too large or too irregular to be drawn", stage="picture")
        mesh = view.mesh()
        if mesh is not None and len(mesh.triangles):
            return shaded_picture(mesh, view_axes(document, request), request)
        curves = view.curves()
        if not curves:
            raise UnsupportedContent(
                "the drawing has only texts, hatches, solids, or blocks that cannot be placed",
                stage="picture",
            )
        flat = [curve[:, :2] for curve in curves]
        if any(float(np.ptp(curve[:, 2])) > 0.0 for curve in curves):
            axes = view_axes(document, request)
            return line_picture([curve @ axes[:2].T for curve in curves], request, stroke=1.0)
        if request.axes == "own" and not view.upright:
            turn = _upright(flat)
            flat = [curve @ turn.T for curve in flat]
        return line_picture(flat, request, stroke=1.0)


def _upright(curves: Sequence[FloatMatrix]) -> FloatMatrix:
    """Return the rotation (2, 2) to the axes of the drawing itself."""
    steps: NDArray[np.float64] = np.concatenate([np.diff(curve, axis=0) for curve in curves])
    middles: NDArray[np.float64] = np.concatenate([(curve[1:] + curve[:-1]) / 2.0 for curve in curves])
    lengths = np.hypot(steps[:, 0], steps[:, 1])
    if not lengths.sum() > 0.0:
        return np.eye(2)
    base = _turn(-_direction(steps, lengths))
    points: NDArray[np.float64] = np.concatenate(curves).astype(np.float64) @ base.T
    extents = np.ptp(points, axis=0)
    weights = lengths / lengths.sum()
    seen = (middles - weights @ middles) @ base.T / (float(extents.max()) or 1.0)
    quarters = [0, 1, 2, 3]
    if abs(extents[0] - extents[1]) > 0.004 * extents.max():
        quarters = [0, 2] if extents[0] > extents[1] else [1, 3]
    turns = [_turn(quarter * np.pi / 2.0) for quarter in quarters]
    scores = np.array([_skewness(seen @ turn.T, weights) for turn in turns])
    kept = np.ones(len(turns), bool)
    for column in scores.T:
        kept &= column >= column[kept].max() - 0.01 * (np.abs(column).max() or 1.0) - 1e-7
    best: FloatMatrix = turns[int(np.argmax(kept))] @ base
    return best


def _direction(steps: FloatMatrix, lengths: FloatMatrix) -> float:
    """Return the angle, from 0 to a quarter turn, along which and square to which most of the length runs."""
    angles = np.arctan2(steps[:, 1], steps[:, 0]) % (np.pi / 2.0)
    bins = np.rint(angles * (_BINS / (np.pi / 2.0))).astype(np.int64) % _BINS
    shares = np.bincount(bins, lengths, minlength=_BINS)
    around = shares + np.roll(shares, 1) + np.roll(shares, -1)
    # Of several as long, as in a hexagon, the one closest to an axis of the file.
    best = np.flatnonzero(around >= around.max() * 0.999)
    chosen = int(best[np.argmin(np.minimum(best, _BINS - best))])
    near = np.abs((bins - chosen + _BINS // 2) % _BINS - _BINS // 2) <= 1
    # Fourfold: an angle just below a quarter turn is close to 0.
    mean = np.angle(lengths[near] @ np.exp(4j * angles[near])) / 4.0
    return float(mean % (np.pi / 2.0))


def _turn(angle: float) -> FloatMatrix:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _skewness(seen: FloatMatrix, weights: FloatMatrix) -> list[float]:
    x, y = seen.T
    return [float(weights @ values) for values in (-(y**3), x**3, x * y, x * x * y, x * y * y)]


@hookimpl
def cadml_pictures() -> Iterable[PictureMaker]:
    """Register the maker for DXF."""
    return [DrawingPictures()]
