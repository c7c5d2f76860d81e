"""Whether facets enclose their volume, told in one pass without their edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cadml_plugins.formats.mesh._measures import CHUNK_FACETS
from cadml_plugins.formats.mesh._welding import Corners

# Odd constants with well spread bits, as in common multiplicative hashes (the first is 2⁶⁴ over the golden
# ratio, after Knuth).
_MIX = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xC2B2AE3D27D4EB4F),
    np.uint64(0x165667B19E3779F9),
    np.uint64(0xBF58476D1CE4E5B9),
)
_HALF = np.uint64(32)
_MODULUS = 1 << 64


class Closure:
    """The sum of signed areas that depends on the boundary of a surface alone.

    Each vertex gets a pseudo-random number t, a hash of its coordinates, and with it the point (t, t²) of the
    plane. Twice the signed area of a facet there is (b - a)(c - a)(c - b). Over a closed, consistently
    oriented surface these areas cancel exactly, in integers modulo 2⁶⁴. Otherwise the area within the
    boundary is left, which is 0 only by a coincidence of the hashes.
    """

    def __init__(self) -> None:
        self._sum = 0

    def add(self, corners: Corners) -> None:
        """Add facets: (m, 3, 3), facet, corner, coordinate; a chunk at a time, which stays in the cache."""
        for start in range(0, len(corners), CHUNK_FACETS):
            columns = corners[start : start + CHUNK_FACETS].transpose(1, 2, 0).astype(np.float64, order="C")
            columns += 0.0  # -0.0 becomes 0.0, and equal corners have equal bits
            self._add(columns.view(np.uint64))

    def _add(self, bits: NDArray[np.uint64]) -> None:
        hashes = bits[:, 0] * _MIX[0]
        hashes += bits[:, 1] * _MIX[1]
        hashes += bits[:, 2] * _MIX[2]
        hashes ^= hashes >> _HALF
        hashes *= _MIX[3]
        hashes ^= hashes >> _HALF
        a, b, c = hashes
        areas = (b - a) * (c - a) * (c - b)
        self._sum = (self._sum + int(areas.sum())) % _MODULUS

    @property
    def closed(self) -> bool:
        """Whether every edge is used as often in one direction as in the other, so that the facets enclose
        their volume. Wrongly true with a probability below one in a thousand million."""
        return not self._sum
