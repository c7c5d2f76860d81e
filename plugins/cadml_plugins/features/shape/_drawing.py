"""The blocks of figures that describe a drawing: its strokes, wherever they lie and however turned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cadml_core import FloatMatrix
from cadml_plugins.features.shape._surface import Floats

_ENTITIES: tuple[tuple[str, ...], ...] = (
    *(("line",), ("circle",), ("arc",), ("ellipse",), ("lwpolyline", "polyline"), ("spline",), ("solid",)),
    *(("hatch",), ("point",), ("text", "mtext", "attrib", "attdef"), ("dimension",), ("insert",)),
)
_LENGTHS, _TURNS = 14, 12
_RANGES, _ANGLES, _BEARINGS = 9, 6, 4
_RINGS, _SECTORS, _WAVES = 8, 64, 9
_CELLS, _LOW = 32, 7
DRAWING_BLOCKS = {
    "entities": (len(_ENTITIES), "how many entities there are of each kind"),
    "extent": (2, "log10 of the longer side and of the length of all strokes, in mm"),
    "outline": (6, "proportions of the strokes and how many they are"),
    "strokes": (_LENGTHS + _TURNS + 2, "lengths, corners and closed ones among the strokes"),
    "angles": (_RANGES * _ANGLES, "pairs of points on the strokes: distances and angles between them"),
    "bearings": (4 * _BEARINGS**2, "pairs of points on the strokes: directions towards one another"),
    "rings": (_RINGS * _WAVES, "how strokes lie around the centroid"),
    "raster": (_LOW**2, "low frequencies of the picture"),
}
"""Width and meaning of each block."""

SAMPLES = 2_048
_SHIFTS, _STRIDE = 16, 797
"""Each point is paired with so many others; a stride that shares no factor with the number of points."""
_ROUND = 1e-3
_TIGHTER = 0.95
"""A box that is this much smaller is preferred to the one along the strokes."""


class Strokes(NamedTuple):
    """The straight pieces of a drawing, and points evenly along them."""

    starts: Floats
    ends: Floats
    lengths: Floats
    owners: NDArray[np.int64]
    """The curve that each piece is of."""
    closed: NDArray[np.bool_]
    """Of each curve."""
    points: Floats
    """(SAMPLES, 2), about their centroid, over their root mean square distance from it."""
    directions: Floats
    """(SAMPLES, 2), of length 1."""
    scale: float
    """That distance in mm."""


def describe_drawing(curves: Sequence[FloatMatrix], counts: Mapping[str, int]) -> dict[str, Floats] | None:
    """Return the blocks of a drawing; None where no stroke has a length.

    Args:
        curves: Polylines, (n, 2 or more) in mm, of which the first two columns are used.
        counts: Entities by kind.
    """
    strokes = _strokes(curves)
    if strokes is None:
        return None
    angles, bearings = _pairs(strokes)
    return {
        "entities": _entities(counts),
        "extent": _extent(strokes),
        "outline": _outline(strokes),
        "strokes": _pieces(strokes),
        "angles": angles,
        "bearings": bearings,
        "rings": _rings(strokes),
        "raster": _raster(strokes),
    }


def _strokes(curves: Sequence[FloatMatrix]) -> Strokes | None:
    plane = [np.asarray(curve[:, :2], np.float64) for curve in curves if len(curve) > 1]
    if not plane:
        return None
    starts = np.concatenate([curve[:-1] for curve in plane])
    ends = np.concatenate([curve[1:] for curve in plane])
    owners = np.repeat(np.arange(len(plane)), [len(curve) - 1 for curve in plane])
    lengths = np.linalg.norm(ends - starts, axis=1)
    kept = lengths > 0.0
    starts, ends, lengths, owners = starts[kept], ends[kept], lengths[kept], owners[kept]
    if not len(lengths):
        return None
    reached = np.cumsum(lengths)
    places = (np.arange(SAMPLES) + 0.5) / SAMPLES * reached[-1]
    piece = np.minimum(np.searchsorted(reached, places, side="right"), len(lengths) - 1)
    directions = (ends - starts) / lengths[:, None]
    along = (places - (reached[piece] - lengths[piece]))[:, None]
    points = starts[piece] + directions[piece] * along
    points = points - points.mean(axis=0)
    scale = float(np.sqrt((points**2).sum(axis=1).mean()))
    gaps = [float(np.linalg.norm(curve[0] - curve[-1])) for curve in plane]
    closed = np.array([len(curve) > 2 for curve in plane]) & (np.array(gaps) < _ROUND * scale)
    return Strokes(starts, ends, lengths, owners, closed, points / scale, directions[piece], scale)


def _entities(counts: Mapping[str, int]) -> Floats:
    lowered = {name.lower(): count for name, count in counts.items()}
    return np.log1p([sum(lowered.get(name, 0) for name in names) for names in _ENTITIES])


def _extent(strokes: Strokes) -> Floats:
    sides = _box(strokes.points @ _axes(strokes).T) * strokes.scale
    return np.log10(np.maximum([sides.max(), strokes.lengths.sum()], 1e-6))


def _outline(strokes: Strokes) -> Floats:
    spread = np.linalg.eigvalsh(strokes.points.T @ strokes.points)
    sides = _box(strokes.points @ _axes(strokes).T)
    curves, pieces = len(strokes.closed), len(strokes.lengths)
    return np.array(
        [
            np.sqrt(max(spread[0], 0.0) / spread[1]),
            sides.min() / sides.max(),
            np.log(strokes.lengths.sum() / (strokes.scale * np.linalg.norm(sides))),
            ((strokes.points**2).sum(axis=1) ** 2).mean(),
            np.log1p(curves),
            np.log1p(pieces / curves),
        ]
    )


def _pieces(strokes: Strokes) -> Floats:
    """Return the lengths of curves, the corners between pieces, and how much of it is closed."""
    curves = np.bincount(strokes.owners, weights=strokes.lengths, minlength=len(strokes.closed))
    drawn = curves > 0.0
    lengths = _shares(np.log(curves[drawn] / strokes.scale), np.linspace(-4.0, 3.0, _LENGTHS + 1))
    directions = (strokes.ends - strokes.starts) / strokes.lengths[:, None]
    before, after = directions[:-1], directions[1:]
    crossed = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    turns = np.abs(np.arctan2(crossed, (before * after).sum(axis=1)))
    turns = turns[strokes.owners[1:] == strokes.owners[:-1]]
    corners = np.log1p(np.histogram(turns, np.linspace(0.0, np.pi, _TURNS + 1))[0])
    closed = [np.log1p(strokes.closed.sum()), curves[strokes.closed].sum() / curves.sum()]
    return np.concatenate([np.sqrt(lengths), corners, closed])


def _pairs(strokes: Strokes) -> tuple[Floats, Floats]:
    """Return what pairs of points say: distances with angles, and directions towards one another."""
    order = np.arange(SAMPLES) * _STRIDE % SAMPLES
    first = np.tile(np.arange(SAMPLES), _SHIFTS)
    second = np.concatenate([np.roll(order, shift) for shift in range(1, _SHIFTS + 1)])
    apart = strokes.points[second] - strokes.points[first]
    distances = np.linalg.norm(apart, axis=1)
    towards = apart / np.maximum(distances, 1e-12)[:, None]
    one, other = strokes.directions[first], strokes.directions[second]
    angle = _sharp((one * other).sum(axis=1), _ANGLES)
    bearings = np.sort([_sharp((side * towards).sum(axis=1), _BEARINGS) for side in (one, other)], axis=0)
    reach = np.clip((distances / 4.0 * _RANGES).astype(np.int64), 0, _RANGES - 1)
    near = np.minimum(reach // 2, 3)
    met = near * _BEARINGS**2 + bearings[0] * _BEARINGS + bearings[1]
    angles = np.bincount(reach * _ANGLES + angle, minlength=_RANGES * _ANGLES)
    return (
        np.sqrt(angles / len(first)),
        np.sqrt(np.bincount(met, minlength=4 * _BEARINGS**2) / len(first)),
    )


def _sharp(cosines: Floats, steps: int) -> NDArray[np.int64]:
    """Return the number of the step, of so many from 0 to 90 degrees, that angles fall into."""
    angles = np.arccos(np.clip(np.abs(cosines), 0.0, 1.0)) / (np.pi / 2)
    found: NDArray[np.int64] = np.minimum((angles * steps).astype(np.int64), steps - 1)
    return found


def _rings(strokes: Strokes) -> Floats:
    """Return the strength of each frequency round the centroid, ring by ring; turning changes none."""
    x, y = strokes.points.T
    ring = np.minimum((np.hypot(x, y) / 2.2 * _RINGS).astype(np.int64), _RINGS - 1)
    sector = ((np.arctan2(y, x) + np.pi) / (2 * np.pi) * _SECTORS).astype(np.int64) % _SECTORS
    counts = np.bincount(ring * _SECTORS + sector, minlength=_RINGS * _SECTORS) / SAMPLES
    waves = np.abs(np.fft.rfft(np.sqrt(counts.reshape(_RINGS, _SECTORS)), axis=1))
    found: Floats = waves[:, :_WAVES].ravel()
    return found


def _raster(strokes: Strokes) -> Floats:
    """Return the low frequencies of the drawing in its own frame, alike for what is mirrored."""
    placed = strokes.points @ _axes(strokes).T
    sides = _box(placed)
    middle = (placed.max(axis=0) + placed.min(axis=0)) / 2
    column, row = np.clip(((placed - middle) / sides.max() + 0.5) * _CELLS, 0, _CELLS - 1).astype(np.int64).T
    cells = np.bincount(row * _CELLS + column, minlength=_CELLS**2).reshape(_CELLS, _CELLS)
    picture = np.minimum(cells * (_CELLS / SAMPLES), 1.5)
    waves = np.abs(np.fft.rfft2(picture, s=(2 * _CELLS, 2 * _CELLS))) / _CELLS
    down = waves[-np.arange(_LOW), :_LOW]
    found: Floats = ((waves[:_LOW, :_LOW] + down) / 2).ravel()
    return found


def _axes(strokes: Strokes) -> Floats:
    """Return two axes as rows, the first along the longer side of the smaller box."""
    _, inertia = np.linalg.eigh(strokes.points.T @ strokes.points)
    directions = (strokes.ends - strokes.starts) / strokes.lengths[:, None]
    # Directions a quarter apart are one; the one with most strokes along it.
    quarter = np.angle((directions[:, 0] + 1j * directions[:, 1]) ** 4) / 4
    steps = np.round(quarter / (np.pi / 360)).astype(np.int64) % 180
    main = np.flatnonzero(steps == np.argmax(np.bincount(steps, weights=strokes.lengths)))
    angle = quarter[main[0]]
    along = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    boxes = [np.prod(_box(strokes.points @ axes.T)) for axes in (along, inertia.T)]
    axes = along if boxes[0] * _TIGHTER <= boxes[1] else inertia.T
    sides = _box(strokes.points @ axes.T)
    return axes if sides[0] >= sides[1] else axes[::-1]


def _box(points: Floats) -> Floats:
    sides: Floats = np.maximum(points.max(axis=0) - points.min(axis=0), 1e-9)
    return sides


def _shares(values: Floats, edges: Floats) -> Floats:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    shares: Floats = counts / max(len(values), 1)
    return shares
