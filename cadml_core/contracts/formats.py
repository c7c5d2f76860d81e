"""Format adapters: read one file format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import msgspec

from cadml_core.documents.document import CadDocument


class LengthUnit(msgspec.Struct, frozen=True):
    """A unit of length."""

    name: str
    """As documents call it."""
    millimetres: float


UnitName = Literal["mm", "cm", "m", "in", "ft"]
"""How a sender states a unit."""
LENGTH_UNITS: Mapping[UnitName, LengthUnit] = {
    "mm": LengthUnit("mm", 1.0),
    "cm": LengthUnit("cm", 10.0),
    "m": LengthUnit("m", 1000.0),
    "in": LengthUnit("inch", 25.4),
    "ft": LengthUnit("foot", 304.8),
}


class MeshRequest(msgspec.Struct, frozen=True):
    """Ask a reader to tessellate, within bounds."""

    relative_deflection: float = 0.005
    """Largest distance between the surface and its facets, over the bounding box's diagonal."""
    max_triangles: int = 200_000


class ReadLimits(msgspec.Struct, frozen=True):
    """What one reading may cost.

    The core enforces ``max_bytes``, ``max_cpu_seconds``, ``max_seconds`` and ``max_memory_mb``. An adapter
    raises ``LimitExceeded`` at the first of the other bounds that it crosses.
    """

    max_bytes: int = 64 * 1024**2
    """Size of the file. Larger files are refused before an adapter is called."""
    max_entities: int = 2_000_000
    """Entities of a document, blocks expanded; faces of a B-rep."""
    max_triangles: int = 5_000_000
    max_block_depth: int = 32
    """Nesting of DXF blocks, STEP assemblies and the like."""
    max_cpu_seconds: float = 60.0
    """Processor time. The operating system ends a reading that takes more, to the second."""
    max_seconds: float = 240.0
    """Time on the clock: a worker that waits, or gets no processor, is ended after it."""
    max_memory_mb: int = 2048
    """Memory that a reading may take in its worker process."""
    mesh: MeshRequest | None = None
    """None: do not tessellate."""
    view: bool = False
    """Give the document a ``view``, so that it can be drawn. An adapter need not; its files have no picture
    then, unless they have a mesh."""
    unit: LengthUnit | None = None
    """What the sender says of a file that states no unit itself: an adapter for such files converts by it,
    and names it in the document. None: nothing is known, and the adapter assumes one with a warning."""


@runtime_checkable
class FormatAdapter(Protocol):
    """Reads one file format.

    It is sent to the reader processes by pickle, so its class must be importable. It may also have
    ``preload: tuple[str, ...]``, modules (a CAD kernel) that are imported once for all readers.
    """

    name: str
    version: str
    suffixes: tuple[str, ...]
    """Lower case, with the dot."""
    media_types: tuple[str, ...]

    def sniff(self, head: bytes) -> bool:
        """Tell from the first 4 KiB whether the content may be this format. No I/O, never raises."""

    def read(self, path: Path, limits: ReadLimits) -> CadDocument:
        """Read a file. Its size is within ``limits.max_bytes``: the core has checked that.

        Raises:
            MalformedFile: The content breaks the rules of the format.
            UnsupportedContent: The format is right, but this dialect or content cannot be read.
            LimitExceeded: The content crosses a bound of ``limits``.
        """
