"""Pictures of a surface in its frame: views along the axes, and panoramas about them."""

from __future__ import annotations

import numpy as np

from cadml_plugins.features.shape._surface import Floats, Surface

PIXELS, WAVES = 48, 7
ANGLES, HEIGHTS = 32, 16
_AROUND, _ALONG = 9, 5
_INSET = 0.9973
"""Pictures are drawn smaller by this, so that faces at simple fractions of the extent, which are frequent, do
not lie between two pixels, where rounding would choose."""


def view_block(surface: Surface, frame: Floats, placed: Floats) -> Floats:
    """Return low frequencies of three pictures along each axis, (441,).

    A silhouette, the depth of front and back, and the thickness between them, on 48 x 48 pixels that the
    longest extent fills; magnitudes do not change with the signs of the axes.
    """
    low, high = placed.min(axis=0), placed.max(axis=0)
    widest = float((high - low).max())
    points = (surface.points @ frame.T - (low + high) / 2) / widest
    depth = (high - low) / widest / 2
    pictures = np.concatenate([_pictures(points, axis, float(depth[axis])) for axis in range(3)])
    spectrum = np.abs(np.fft.fft2(pictures))[:, :WAVES] / PIXELS**2
    # Frequencies of both signs across are one: their mean stays where the picture is reflected.
    across = np.empty((len(pictures), WAVES, WAVES))
    across[:, :, 0] = spectrum[:, :, 0]
    across[:, :, 1:] = (spectrum[:, :, 1:WAVES] + spectrum[:, :, :-WAVES:-1]) / 2
    silhouette, front, back, thickness = across.reshape(3, 4, WAVES, WAVES).transpose(1, 0, 2, 3)
    return np.stack([silhouette, (front + back) / 2, thickness], axis=1).ravel()


def _pictures(points: Floats, axis: int, depth: float) -> Floats:
    across, up = (other for other in range(3) if other != axis)
    columns = np.clip(((points[:, [across, up]] * _INSET + 0.5) * PIXELS).astype(np.int64), 0, PIXELS - 1)
    pixels = columns[:, 0] * PIXELS + columns[:, 1]
    nearest, furthest = np.full(PIXELS**2, -np.inf), np.full(PIXELS**2, np.inf)
    np.maximum.at(nearest, pixels, points[:, axis])
    np.minimum.at(furthest, pixels, points[:, axis])
    seen = np.isfinite(nearest)
    pictures = np.zeros((4, PIXELS**2))
    pictures[0, seen] = 1.0
    pictures[1, seen] = nearest[seen] + depth
    pictures[2, seen] = depth - furthest[seen]
    pictures[3, seen] = nearest[seen] - furthest[seen]
    return pictures.reshape(4, PIXELS, PIXELS)


def panorama_block(surface: Surface, frame: Floats, placed: Floats) -> Floats:
    """Return low frequencies of two panoramas about each axis, (270,).

    About the middle of the box, 32 angles by 16 heights over the extent: the largest distance from the axis
    over half the diagonal, and how far the surface faces away from the axis, on average (after P. Papadakis
    and others, "PANORAMA", 2010).
    """
    low, high = placed.min(axis=0), placed.max(axis=0)
    points = surface.points @ frame.T - (low + high) / 2
    normals = surface.point_normals @ frame.T
    maps = np.concatenate(
        [_panorama(points, normals, axis, float(high[axis] - low[axis])) for axis in range(3)]
    )
    # Height is the second axis of a map: its frequencies of both signs are averaged.
    spectrum = np.abs(np.fft.fft2(maps))[:, :_AROUND] * (4.0 / (ANGLES * HEIGHTS))
    along = np.empty((len(maps), _AROUND, _ALONG))
    along[:, :, 0] = spectrum[:, :, 0]
    along[:, :, 1:] = (spectrum[:, :, 1:_ALONG] + spectrum[:, :, :-_ALONG:-1]) / 2
    return along.ravel()


def _panorama(points: Floats, normals: Floats, axis: int, extent: float) -> Floats:
    across, up = (other for other in range(3) if other != axis)
    x, y = points[:, across], points[:, up]
    radius = np.sqrt(x * x + y * y)
    angle = ((np.arctan2(y, x) / (2 * np.pi) + 0.5) * ANGLES).astype(np.int64) % ANGLES
    height = (points[:, axis] / max(extent, 1e-9) * _INSET + 0.5) * HEIGHTS
    pixels = angle * HEIGHTS + np.clip(height.astype(np.int64), 0, HEIGHTS - 1)
    outwards = np.abs(normals[:, across] * x + normals[:, up] * y) / np.maximum(radius, 1e-12)
    counts = np.bincount(pixels, minlength=ANGLES * HEIGHTS)
    furthest = np.zeros(ANGLES * HEIGHTS)
    np.maximum.at(furthest, pixels, 2.0 * radius)
    facing = np.bincount(pixels, outwards, minlength=ANGLES * HEIGHTS) / np.maximum(counts, 1)
    return np.stack([furthest, facing]).reshape(2, ANGLES, HEIGHTS)
