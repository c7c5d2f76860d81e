"""Lines as one SVG path: joined, simplified and rounded, so that it stays small."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cadml_core import SVG, FloatMatrix, Picture, PictureRequest, UnsupportedContent
from cadml_plugins.pictures._projection import fitted

UNITS = 10
"""Of an SVG, to a pixel."""
_TOLERANCES = (2.0, 4.0, 8.0, 14.0, 24.0)
"""How far a simplified line may be off, in units; the next is tried where the picture has too many bytes."""
_COLOUR = "#1f2933"
Points = NDArray[np.int64]


def line_picture(lines: Iterable[FloatMatrix], request: PictureRequest, stroke: float = 1.3) -> Picture:
    """Draw polylines float64 (n, 2), fitted to the picture.

    Raises:
        UnsupportedContent: There are none.
    """
    drawn = [line for line in lines if len(line) > 1]
    if not drawn:
        raise UnsupportedContent("there are no lines to draw", stage="picture")
    everything: NDArray[np.float64] = np.concatenate(drawn).astype(np.float64)
    width, height = request.width * UNITS, request.height * UNITS
    scale, shift = fitted(everything.min(axis=0), everything.max(axis=0), width, height)
    turn = np.array([1.0, -1.0])
    places = np.rint((everything * scale + shift) * turn + np.array([0.0, height])).astype(np.int64)
    rounded = np.split(places, np.cumsum([len(line) for line in drawn])[:-1])
    joined = _joined(rounded)
    data = b""
    for tolerance in _TOLERANCES:
        data = _document(_shown(joined, tolerance), width, height, stroke * UNITS)
        if len(data) <= request.max_bytes:
            break
    else:  # the longest lines say most
        shown = sorted(_shown(joined, _TOLERANCES[-1]), key=_length, reverse=True)
        while len(data) > request.max_bytes and len(shown) > 1:
            shown = shown[: max(1, min(len(shown) - 1, len(shown) * request.max_bytes // len(data)))]
            data = _document(shown, width, height, stroke * UNITS)
    return Picture(SVG, data)


def _joined(lines: Sequence[Points]) -> list[list[tuple[int, int]]]:
    """Join lines that end where another begins, each drawn once."""
    edges: dict[tuple[tuple[int, int], tuple[int, int]], None] = {}
    for line in lines:
        steps = [tuple(point) for point in line.tolist()]
        for one, other in itertools.pairwise(steps):
            if one != other:
                edges[(one, other) if one < other else (other, one)] = None
    at: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for one, other in edges:
        at[one].append(other)
        at[other].append(one)
    joined = []
    # From ends and crossings first, so that the lines between them stay whole; then what is closed.
    for start in sorted(at, key=lambda place: (len(at[place]) == 2, place)):
        while at[start]:
            joined.append(_walked(at, start))
    return joined


def _walked(
    at: defaultdict[tuple[int, int], list[tuple[int, int]]], start: tuple[int, int]
) -> list[tuple[int, int]]:
    walk, here = [start], start
    while at[here]:
        if len(walk) > 1 and len(at[here]) > 1:  # a crossing
            break
        following = at[here].pop()
        at[following].remove(here)
        walk.append(following)
        here = following
    return walk


def _shown(lines: Sequence[Sequence[tuple[int, int]]], tolerance: float) -> list[Points]:
    """Return simplified lines, without those that are shorter than the tolerance."""
    found = [_simplified(np.array(line), tolerance) for line in lines]
    return [line for line in found if _length(line) >= tolerance]


def _length(line: Points) -> float:
    return float(np.hypot(*np.diff(line, axis=0).T).sum())


def _simplified(line: Points, tolerance: float) -> Points:
    """Leave out points within a distance of the line without them (Ramer 1972, Douglas and Peucker 1973)."""
    if len(line) < 3:
        return line
    kept = np.zeros(len(line), bool)
    kept[[0, -1]] = True
    waiting = [(0, len(line) - 1)]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        along = (line[last] - line[first]).astype(float)
        away = (line[first + 1 : last] - line[first]).astype(float)
        length = float(np.hypot(*along))
        if length > 0.0:
            distance = np.abs(away[:, 0] * along[1] - away[:, 1] * along[0]) / length
        else:
            distance = np.hypot(away[:, 0], away[:, 1])
        furthest = int(np.argmax(distance))
        if distance[furthest] > tolerance:
            middle = first + 1 + furthest
            kept[middle] = True
            waiting += [(first, middle), (middle, last)]
    return line[kept]


def _document(lines: Iterable[Points], width: int, height: int, stroke: float) -> bytes:
    path = "".join(map(_path, lines))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
        f'<path fill="none" stroke="{_COLOUR}" stroke-width="{stroke:g}" stroke-linecap="round"'
        f' stroke-linejoin="round" d="{path}"/></svg>'
    ).encode("ascii")


def _path(line: Points) -> str:
    steps = "".join(f"{x} {y} " for x, y in np.diff(line, axis=0).tolist())
    return f"M{line[0][0]} {line[0][1]}l{steps}".replace(" -", "-").rstrip()
