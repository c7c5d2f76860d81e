"""Binary STL: an 80-byte header, a count, and one 50-byte record per facet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NoReturn

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core import LimitExceeded, MalformedFile
from cadml_plugins.formats.mesh._measures import CHUNK_FACETS

HEADER_BYTES = 84
RECORD_BYTES = 50
_FOREIGN = (b"ISO-", b"%PDF", b"PK\x03\x04", b"\x89PNG", b"Auto", b"AC10")
"""Beginnings of STEP, PDF, ZIP, PNG, binary DXF and DWG files, whose bytes may look like numbers."""
_RECORD = np.dtype(
    {
        "names": ["corners", "attribute"],
        "formats": ["V36", "<u2"],
        "offsets": [12, 48],
        "itemsize": RECORD_BYTES,
    }
)
_PROBE = np.dtype({"names": ["numbers"], "formats": ["(12,)<f4"], "offsets": [0], "itemsize": RECORD_BYTES})


class BinaryLayout(msgspec.Struct, frozen=True):
    """What the first 84 bytes and the size of the file tell."""

    title: str
    facets: int
    trailing: int
    """Bytes after the last record."""
    colour_style: str
    """Whose convention the attributes of the facets follow where they are colours: that of Materialise
    Magics where the header has ``COLOR=``, else that of VisCAM and SolidView."""


def facet_count(head: bytes) -> int:
    """Return the count that a binary header states; ``head`` has at least 84 bytes."""
    return int.from_bytes(head[80:HEADER_BYTES], "little")


def fits_exactly(head: bytes, size: int) -> bool:
    """Tell whether the stated count explains the size of the file to the byte."""
    return size >= HEADER_BYTES and size == HEADER_BYTES + RECORD_BYTES * facet_count(head)


def looks_binary(head: bytes) -> bool:
    """Tell from the first 4 KiB whether the content may be binary STL.

    It may where at least half of the facets there have a unit or zero normal, or nine in ten coordinates are
    plausible: arbitrary bytes read as single-precision numbers have exponents over the whole range.
    """
    if len(head) < HEADER_BYTES or b"\0" not in head or head[:4] in _FOREIGN:
        return False
    facets, visible = facet_count(head), (len(head) - HEADER_BYTES) // RECORD_BYTES
    if not facets or not visible:
        return len(head) == HEADER_BYTES and not facets
    count = min(facets, visible)
    single = np.frombuffer(head, _PROBE, count=count, offset=HEADER_BYTES)["numbers"]
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = single.astype(np.float64)
        squares = (numbers[:, :3] ** 2).sum(axis=1)
        sizes = np.abs(numbers[:, 3:])
    # Zero normals are common: many programs leave them to the reader.
    normals = (squares == 0) | (np.abs(squares - 1) < 0.02)
    plausible = (sizes == 0) | ((sizes > 1e-30) & (sizes < 1e15))
    return bool(normals.mean() >= 0.5 or plausible.mean() >= 0.9)


def check_layout(head: bytes, size: int, max_triangles: int) -> BinaryLayout:
    """Compare the header with the size of the file before anything is read.

    Raises:
        MalformedFile: The file is shorter than the header or than the facets that it states, or has more
            facets than it states.
        LimitExceeded: More facets than ``max_triangles``.
    """
    if size < HEADER_BYTES:
        raise MalformedFile(
            f"neither ASCII STL (it does not begin with 'solid') nor binary STL: {size} bytes, but a"
            f" binary header alone takes {HEADER_BYTES}",
            position=size,
        )
    facets = facet_count(head)
    expected = HEADER_BYTES + RECORD_BYTES * facets
    if size < expected:
        raise MalformedFile(
            f"the header states {facets:,} facets, which take {expected:,} bytes, but the file ends"
            f" after {size:,} (room for {(size - HEADER_BYTES) // RECORD_BYTES:,}); it is truncated or not"
            " an STL",
            position=size,
        )
    trailing = size - expected
    # Other trailing bytes are common, and harmless: some programs append their own data.
    if trailing and trailing % RECORD_BYTES == 0:
        raise MalformedFile(
            f"the header states {facets:,} facets, but {trailing // RECORD_BYTES:,} more follow; the"
            " count at byte 80 is wrong",
            position=80,
        )
    if facets > max_triangles:
        raise LimitExceeded("max_triangles", found=facets, allowed=max_triangles)
    return BinaryLayout(
        title=_printable(head[:80]),
        facets=facets,
        trailing=trailing,
        colour_style="Magics" if b"COLOR=" in head[:80] else "VisCAM",
    )


def _printable(header: bytes) -> str:
    text = header.split(b"\0", 1)[0].decode("latin-1").strip()
    return text if text.isprintable() else ""


class BinaryFacets:
    """The facets of an open binary STL, a chunk at a time.

    After the iteration ``coloured`` counts the facets whose attribute is not zero.
    """

    def __init__(self, file: BinaryIO, layout: BinaryLayout) -> None:
        self._file = file
        self._layout = layout
        self.coloured = 0

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield float32 (m, 3, 3): facet, corner, coordinate.

        Raises:
            MalformedFile: A coordinate is NaN or infinite, or the file became shorter while it was read.
        """
        self._file.seek(HEADER_BYTES)
        buffer = bytearray(min(self._layout.facets, CHUNK_FACETS) * RECORD_BYTES)
        for start in range(0, self._layout.facets, CHUNK_FACETS):
            wanted = min(CHUNK_FACETS, self._layout.facets - start) * RECORD_BYTES
            view = memoryview(buffer)[:wanted]
            if self._file.readinto(view) != wanted:  # type: ignore[attr-defined]
                raise MalformedFile("the file became shorter while it was read", position=self._file.tell())
            # Normals (the first 12 bytes of a record) are skipped: they are computed from the corners.
            records = np.frombuffer(view, dtype=_RECORD)
            self.coloured += int(np.count_nonzero(records["attribute"]))
            corners = np.ascontiguousarray(records["corners"]).view("<f4").reshape(-1, 9)
            if not np.isfinite(corners).all():
                self._refuse_coordinate(corners, start)
            yield corners.reshape(-1, 3, 3)

    def _refuse_coordinate(self, corners: NDArray[np.float32], start: int) -> NoReturn:
        facet, column = (int(index) for index in np.argwhere(~np.isfinite(corners))[0])
        position = HEADER_BYTES + RECORD_BYTES * (start + facet) + 12 + 4 * column
        raise MalformedFile(
            f"facet {start + facet + 1:,}, at byte {position:,}: the coordinate"
            f" {corners[facet, column]} is not a finite number; the exporter failed on this facet, repair"
            " the mesh",
            position=position,
            facet=start + facet + 1,
        )
