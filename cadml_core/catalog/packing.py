"""How raw values are written in the catalogue: float64, or half precision where that loses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.arrays import FloatMatrix, FloatVector, Int64Array
from cadml_core.errors import CatalogueUnavailable

HALVED_FROM = 256
"""Vectors from this length on are written in half precision where it holds every value exactly, as those of
feature versions that describe a part by hundreds of figures do; a quarter of the space."""
_HALF = b"\x02"
"""Begins a vector in half precision. One in float64 has no mark: its length is a multiple of 8, and that of a
marked one is odd."""


def pack(values: NDArray[Any]) -> bytes:
    """Write finite values, (n,)."""
    exact = np.asarray(values, dtype="<f8")
    if exact.size >= HALVED_FROM and np.abs(exact).max() <= np.finfo(np.float16).max:
        half = exact.astype("<f2")
        if np.array_equal(half, exact):
            return _HALF + half.tobytes()
    return exact.tobytes()


def unpack(packed: bytes) -> FloatVector:
    """Return the values that ``pack`` wrote, float64 (n,)."""
    if _is_half(packed):
        return np.frombuffer(packed, dtype="<f2", offset=1).astype(np.float64)
    return np.frombuffer(packed, dtype="<f8").astype(np.float64)


def length(packed: bytes) -> int:
    """Return how many values were written; -1 where the bytes are none that ``pack`` writes."""
    if _is_half(packed):
        return len(packed) // 2
    return -1 if len(packed) % 8 else len(packed) // 8


def unpack_rows(packed: Sequence[bytes]) -> FloatMatrix | None:
    """Return vectors of one length, float64 (rows, n), one at least; None where one is not."""
    width = length(packed[0])
    if width < 0 or any(length(row) != width for row in packed):
        return None
    if not any(map(_is_half, packed)):
        return np.frombuffer(b"".join(packed), dtype="<f8").reshape(len(packed), width).astype(np.float64)
    if all(map(_is_half, packed)):
        rows = np.frombuffer(b"".join(packed), dtype=np.uint8).reshape(len(packed), 1 + 2 * width)
        return np.ascontiguousarray(rows[:, 1:]).view("<f2").astype(np.float64)
    return np.stack([unpack(row) for row in packed])


def matrix(version: str, records: Sequence[tuple[Any, ...]]) -> tuple[Int64Array, FloatMatrix]:
    """Return row numbers and raw values of (row, packed) records: int64 (n,) and float64 (n, slots).

    Raises:
        CatalogueUnavailable: The vectors have different lengths.
    """
    if not records:
        return np.empty(0, dtype=np.int64), np.empty((0, 0))
    numbers, packed = zip(*records, strict=True)
    values = unpack_rows(packed)
    if values is None:
        raise CatalogueUnavailable(
            f"the {version} vectors in the catalogue have different lengths; it is damaged, or a plugin"
            f" changed {version} without a new name: migrate to another version, or ingest again",
            version=version,
        )
    return np.array(numbers, dtype=np.int64), values


def _is_half(packed: bytes) -> bool:
    return len(packed) % 2 == 1 and packed[:1] == _HALF
