"""Large meshes to send."""

from __future__ import annotations

import numpy as np


def mesh(megabytes: float) -> bytes:
    """A binary STL of that size: a closed surface, like that of a cast part."""
    across = int((megabytes * 1024**2 / 100) ** 0.5)
    around, along = np.meshgrid(
        np.linspace(0, 2 * np.pi, across + 1), np.linspace(0, np.pi, across + 1), indexing="ij"
    )
    radius = 50 + 3 * np.sin(3 * around) * np.sin(along)
    points = np.stack(
        [
            radius * np.sin(along) * np.cos(around),
            radius * np.sin(along) * np.sin(around),
            radius * np.cos(along),
        ],
        -1,
    )
    a, b, c, d = points[:-1, :-1], points[1:, :-1], points[1:, 1:], points[:-1, 1:]
    facets = np.concatenate([np.stack(corners, 2).reshape(-1, 9) for corners in ((a, b, c), (a, c, d))])
    records = np.zeros(len(facets), dtype=np.dtype([("floats", "<f4", 12), ("rest", "<u2")]))
    records["floats"][:, 3:] = facets
    return bytes(80) + np.uint32(len(facets)).tobytes() + records.tobytes()
