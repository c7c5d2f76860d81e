"""How raw values are written in the catalogue: float64, or half precision, and their checksums."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.arrays import FloatMatrix, FloatVector, Int64Array
from cadml_core.errors import CatalogueUnavailable

HALVED_FROM = 256
"""Vectors from this length on are written in half precision where it holds every value exactly, as those of
feature versions that describe a part by hundreds of figures do; a quarter of the space."""
_BARE_HALF, _HALF = b"\x02", b"\x03"
"""Begins a vector in half precision, without and with a checksum; its length is odd. One in float64 has no
mark: its length is a multiple of 8, and four more with a checksum. Older catalogues have rows without one."""
_SUM = 4
"""Bytes of the checksum (CRC-32, little endian) at the end of what is written."""


def pack(values: NDArray[Any]) -> bytes:
    """Write finite values, (n,)."""
    exact = np.asarray(values, dtype="<f8")
    if exact.size >= HALVED_FROM and np.abs(exact).max() <= np.finfo(np.float16).max:
        half = exact.astype("<f2")
        if np.array_equal(half, exact):
            return _summed(_HALF + half.tobytes())
    return _summed(exact.tobytes())


def with_checksum(packed: bytes) -> bytes:
    """Return what ``pack`` would have written, of a vector that an older version wrote."""
    if packed[:1] == _BARE_HALF and len(packed) % 2:
        return _summed(_HALF + packed[1:])
    return packed if len(packed) % 8 else _summed(packed)


def is_sound(packed: bytes) -> bool:
    """Tell whether bytes can be what was written: their checksum is right, where they have one."""
    if length(packed) < 0:
        return False
    return not _has_sum(packed) or _sum(memoryview(packed)[:-_SUM]) == packed[-_SUM:]


def unpack(packed: bytes) -> FloatVector:
    """Return the values that ``pack`` wrote, float64 (n,).

    Raises:
        CatalogueUnavailable: They are not those that were written.
    """
    found = unpack_rows([packed])
    if found is None:
        raise _damaged()
    vector: FloatVector = found[0]
    return vector


def length(packed: bytes) -> int:
    """Return how many values were written; -1 where the bytes are none that ``pack`` writes."""
    size, rest = divmod(len(packed), 8)
    if rest % 2:
        begins = len(_HALF) + (_SUM if packed[:1] == _HALF else 0)
        known = packed[:1] in (_HALF, _BARE_HALF) and len(packed) >= begins
        return (len(packed) - begins) // 2 if known else -1
    return size if rest in (0, _SUM) else -1


def unpack_rows(packed: Sequence[bytes]) -> FloatMatrix | None:
    """Return vectors of one length, float64 (rows, n), one at least; None where one is not.

    Raises:
        CatalogueUnavailable: Values are not those that were written.
    """
    width = length(packed[0])
    if width < 0 or any(length(row) != width for row in packed):
        return None
    if not all(map(is_sound, packed)):
        raise _damaged()
    if len({(len(row), row[:1] if len(row) % 2 else b"") for row in packed}) > 1:
        rows = [unpack_rows([row]) for row in packed]
        return np.concatenate([row for row in rows if row is not None])
    halved = len(packed[0]) % 2
    table = np.frombuffer(b"".join(packed), dtype=np.uint8).reshape(len(packed), len(packed[0]))
    kind = "<f2" if halved else "<f8"
    numbers = np.ascontiguousarray(table[:, halved : halved + width * np.dtype(kind).itemsize])
    return numbers.view(kind).astype(np.float64)


def require_sound(columns: Sequence[Any], checksum: int | None) -> None:
    """Refuse a row of contents that is not what was written; one of an older version has no checksum.

    Raises:
        CatalogueUnavailable: It is another.
    """
    if checksum is not None and checksum != content_checksum(columns):
        sha256 = str(columns[0])
        raise CatalogueUnavailable(
            f"the catalogue is damaged: what it has of the content {sha256} is not what was written;"
            " `cadml parts check` tells what else is damaged",
            sha256=sha256,
        )


def content_checksum(columns: Sequence[Any]) -> int:
    """Return the checksum of a row of contents: every column before it, in the order of the table."""
    return zlib.crc32(msgspec.msgpack.encode(tuple(columns)))


def matrix(version: str, records: Sequence[tuple[Any, ...]]) -> tuple[Int64Array, FloatMatrix]:
    """Return row numbers and raw values of (row, packed) records: int64 (n,) and float64 (n, slots).

    Raises:
        CatalogueUnavailable: The vectors have different lengths, or are not what was written.
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


def _has_sum(packed: bytes) -> bool:
    return packed[:1] == _HALF if len(packed) % 2 else len(packed) % 8 == _SUM


def _sum(packed: bytes | memoryview) -> bytes:
    return zlib.crc32(packed).to_bytes(_SUM, "little")


def _summed(packed: bytes) -> bytes:
    return packed + _sum(packed)


def _damaged() -> CatalogueUnavailable:
    return CatalogueUnavailable(
        "the catalogue is damaged: a vector is not what was written; `cadml parts check` names the part"
    )
