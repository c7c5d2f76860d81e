"""Facets as a shaded picture: a depth buffer, with lines where depth or direction jump."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cadml_core import PNG, FloatMatrix, Picture, PictureRequest, TriangleMesh
from cadml_plugins.pictures._png import palette_png
from cadml_plugins.pictures._projection import fitted

_LIGHT = np.array([-0.35, 0.55, 0.76])
"""From above and the left, towards the viewer."""
_SHADES = 48
_FACE_LOW, _FACE_HIGH = np.array([104, 116, 128]), np.array([232, 237, 242])
_INK = np.array([31, 41, 51])
_CREASE = np.cos(np.radians(30.0))
_MOST_PIXELS = 4_000_000
"""Of facets that are filled at once."""


def shaded_picture(mesh: TriangleMesh, axes: FloatMatrix, request: PictureRequest) -> Picture:
    """Draw a mesh as it is seen along the third axis."""
    seen = mesh.vertices @ axes.T
    shown = seen[np.unique(mesh.triangles), :2]
    scale, shift = fitted(shown.min(axis=0), shown.max(axis=0), request.width, request.height)
    seen = np.column_stack([seen[:, :2] * scale + shift, seen[:, 2] * scale])
    depth, facet = _buffer(seen[mesh.triangles], request.width, request.height)
    corners = seen[mesh.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals /= np.where(lengths > 0.0, lengths, 1.0)
    normals *= np.where(normals[:, 2:] < 0.0, -1.0, 1.0)
    covered = facet >= 0
    towards = np.where(covered[..., None], normals[facet], 0.0)
    light = np.clip(towards @ (_LIGHT / np.linalg.norm(_LIGHT)), 0.0, 1.0)
    pixels = np.where(covered, 2 + np.rint(light * (_SHADES - 1)), 0).astype(np.uint8)
    pixels[_ink(depth, towards, covered)] = 1
    return Picture(PNG, palette_png(pixels[::-1], _palette()))


def _palette() -> NDArray[np.uint8]:
    """Return the colours (n, 4): nothing, ink, then from dark to light."""
    steps = np.linspace(0.0, 1.0, _SHADES)[:, None]
    shades = np.rint(_FACE_LOW + (_FACE_HIGH - _FACE_LOW) * steps)
    colours = np.vstack([[255, 255, 255], _INK, shades])
    alpha = np.full((len(colours), 1), 255.0)
    alpha[0] = 0.0
    return np.hstack([colours, alpha]).astype(np.uint8)


def _buffer(
    corners: NDArray[np.float64], width: int, height: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return depth and facet of what is nearest at each pixel, (height, width); -inf and -1 for nothing.

    The pixels of all facets are listed, tested, and sorted by depth: no loop over facets.
    """
    depth = np.full(width * height, -np.inf)
    facet = np.full(width * height, -1, np.int64)
    x, y = corners[..., 0], corners[..., 1]
    first_x = np.clip(np.ceil(x.min(axis=1) - 0.5), 0, width - 1).astype(np.int64)
    last_x = np.clip(np.floor(x.max(axis=1) - 0.5), -1, width - 1).astype(np.int64)
    first_y = np.clip(np.ceil(y.min(axis=1) - 0.5), 0, height - 1).astype(np.int64)
    last_y = np.clip(np.floor(y.max(axis=1) - 0.5), -1, height - 1).astype(np.int64)
    wide, tall = np.maximum(last_x - first_x + 1, 0), np.maximum(last_y - first_y + 1, 0)
    double = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    counts = np.where(np.abs(double) > 1e-12, wide * tall, 0)
    facets = np.flatnonzero(counts)
    ends = np.cumsum(counts[facets])
    start = 0
    while start < len(facets):
        base = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, base + _MOST_PIXELS, side="right")))
        some = facets[start:stop]
        _fill(some, counts, (first_x, first_y, wide), (x, y, corners[..., 2], double), depth, facet, width)
        start = stop
    return depth.reshape(height, width), facet.reshape(height, width)


def _fill(
    some: NDArray[np.int64],
    counts: NDArray[np.int64],
    boxes: tuple[NDArray[np.int64], ...],
    shapes: tuple[NDArray[np.float64], ...],
    depth: NDArray[np.float64],
    facet: NDArray[np.int64],
    width: int,
) -> None:
    first_x, first_y, wide = boxes
    x, y, z, double = shapes
    owner = np.repeat(some, counts[some])
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(counts[some]) - counts[some], counts[some])
    row, column = np.divmod(offset, wide[owner])
    column += first_x[owner]
    row += first_y[owner]
    px, py = column + 0.5, row + 0.5
    # Barycentric: each is linear in the pixel's place, so one value and two slopes for each facet.
    over = 1.0 / np.where(double, double, 1.0)
    u = ((y[:, 2] - y[:, 0]) * over, (x[:, 0] - x[:, 2]) * over)
    v = ((y[:, 0] - y[:, 1]) * over, (x[:, 1] - x[:, 0]) * over)
    dx, dy = px - x[owner, 0], py - y[owner, 0]
    one, two = dx * u[0][owner] + dy * u[1][owner], dx * v[0][owner] + dy * v[1][owner]
    inside = (one >= -1e-9) & (two >= -1e-9) & (one + two <= 1.0 + 1e-9)
    owner, one, two = owner[inside], one[inside], two[inside]
    pixel = row[inside] * width + column[inside]
    height = z[owner, 0] + one * (z[owner, 1] - z[owner, 0]) + two * (z[owner, 2] - z[owner, 0])
    np.maximum.at(depth, pixel, height)
    nearest = height >= depth[pixel]
    facet[pixel[nearest]] = owner[nearest]


def _ink(
    depth: NDArray[np.float64], normals: NDArray[np.float64], covered: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return the pixels of lines: outlines, steps in depth, and creases."""
    ink = np.zeros_like(covered)
    near = np.where(covered, depth, -1e9)
    for axis in (0, 1):
        one = [slice(None), slice(None)]
        other = [slice(None), slice(None)]
        one[axis], other[axis] = slice(None, -1), slice(1, None)
        a, b = tuple(one), tuple(other)
        both = covered[a] & covered[b]
        edge = covered[a] != covered[b]
        slope = np.abs(normals[a][..., 1 - axis]) / np.maximum(normals[a][..., 2], 0.05)
        slope_b = np.abs(normals[b][..., 1 - axis]) / np.maximum(normals[b][..., 2], 0.05)
        step = np.abs(np.where(both, near[a] - near[b], 0.0))
        edge |= both & (step > 2.0 + 1.5 * np.maximum(slope, slope_b))
        edge |= both & (np.einsum("ijk,ijk->ij", normals[a], normals[b]) < _CREASE)
        # The nearer of the two gets the ink, so that a line has the width of one pixel.
        nearer = near[a] >= near[b]
        ink[a] |= edge & nearer
        ink[b] |= edge & ~nearer
    return ink & covered
