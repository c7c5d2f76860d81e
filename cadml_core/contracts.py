"""The contracts between the core and its plugins: plain Protocols, no base class to inherit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core.document import CadDocument
from cadml_core.features import FeatureSlot, FloatMatrix, FloatVector
from cadml_core.models.verdict import PickleScan, Verdict

Int64Array = NDArray[np.int64]

Metric = Literal["l2", "cosine"]
"""How an index compares embeddings: Euclidean distance, or cosine of the angle."""


class MeshRequest(msgspec.Struct, frozen=True):
    """Ask a reader to tessellate, within bounds."""

    relative_deflection: float = 0.005
    """Largest distance between the surface and its facets, over the bounding box's diagonal."""
    max_triangles: int = 200_000


class ReadLimits(msgspec.Struct, frozen=True):
    """What one reading may cost. A reader raises ``LimitExceeded`` at the first bound it crosses;
    the worker pool enforces time and memory from outside."""

    max_bytes: int = 64 * 1024**2
    max_entities: int = 2_000_000
    """Entities of a document, blocks expanded; faces of a B-rep."""
    max_triangles: int = 5_000_000
    max_block_depth: int = 32
    """Nesting of DXF blocks, STEP assemblies and the like."""
    max_seconds: float = 60.0
    max_memory_mb: int = 2048
    mesh: MeshRequest | None = None
    """None: do not tessellate."""


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
        """Read a file.

        Raises:
            MalformedFile: The content breaks the rules of the format.
            UnsupportedContent: The format is right, but this dialect or content cannot be read.
            LimitExceeded: A bound of ``limits`` was crossed.
        """


@runtime_checkable
class FeatureVersion(Protocol):
    """Turns a document into named numbers, and those into a space with a meaningful distance."""

    name: str
    slots: tuple[FeatureSlot, ...]
    needs_mesh: bool
    metric: Metric

    def extract(self, document: CadDocument) -> FloatVector:
        """Return the raw values: float64 (len(slots),), finite, the same for the same document."""

    def embed(self, values: FloatMatrix) -> FloatMatrix:
        """Map raw values (n, len(slots)) to float32 (n, e), row by row."""


@runtime_checkable
class OpcodePolicy(Protocol):
    """Judges the scan of a pickled model."""

    name: str

    def judge(self, scan: PickleScan) -> Verdict:
        """Return whether the scan is allowed, and every finding. Pure."""


@runtime_checkable
class ConfigurablePolicy(OpcodePolicy, Protocol):
    """A policy that takes the entries of ``MODEL_OPCODE_WHITELIST``; the gate configures it once."""

    def configured(self, entries: tuple[str, ...]) -> OpcodePolicy:
        """Return the policy with these entries: opcode names and exact ``module:name`` pairs.

        Raises:
            InvalidSetting: An entry cannot be; the message says which and why.
        """


class Hits(NamedTuple):
    """The nearest neighbours of each query, best first.

    ``ids`` is int64 (q, k), -1 where there are fewer than k; ``distances`` is float32 (q, k):
    squared Euclidean distance for the metric ``l2``, ``1 - cosine`` for ``cosine``, +inf where
    the id is -1. Equal distances are ordered by ascending id.
    """

    ids: Int64Array
    distances: NDArray[np.float32]


@runtime_checkable
class VectorIndex(Protocol):
    """Nearest-neighbour search over embeddings with caller-given ids."""

    def upsert(self, ids: Int64Array, vectors: FloatMatrix) -> None:
        """Add or replace: ids int64 (n,), vectors (n, dimension). Of a repeated id the last wins.

        Raises:
            DimensionMismatch: The vectors have another length.
            ValueError: A value is NaN or infinite, or the lengths of both arrays differ.
        """

    def remove(self, ids: Int64Array) -> int:
        """Delete these ids; unknown ones are passed over. Returns how many were there."""

    def search(self, queries: FloatMatrix, k: int, allowed: Int64Array | None = None) -> Hits:
        """Return the k nearest to each query, (q, dimension), among ``allowed`` (None: all).

        The filter is applied before the cut, so k hits come back wherever k are allowed.

        Raises:
            DimensionMismatch: The queries have another length.
            ValueError: ``k`` is below 1, or a query value is NaN or infinite.
        """

    def __len__(self) -> int:
        """How many ids the index holds."""

    def close(self) -> None:
        """Release everything; closing twice is allowed."""


@runtime_checkable
class DurableIndex(VectorIndex, Protocol):
    """An index that outlives the process and knows which changes it has applied."""

    def applied_change(self) -> int:
        """Return the last change number marked, 0 for none."""

    def mark_applied(self, change: int) -> None:
        """Remember that every change up to and including this one is in the index."""


@runtime_checkable
class VectorBackend(Protocol):
    """A named factory of vector indexes.

    A backend may also have ``in_process = True``: its indexes work in this process's memory. Without
    it the host calls them with time limits, as an engine behind a network may hang.
    """

    name: str
    config_type: type[msgspec.Struct]
    """What ``[vectors.<name>]`` of the settings may hold."""

    def open(self, config: Any, *, dimension: int, metric: Metric) -> VectorIndex:
        """Open an index for vectors of this length. ``config`` is a ``config_type``."""


@runtime_checkable
class HostRoutes(Protocol):
    """Adds addresses to the server, below ``/api/v1/plugins/<name>``; they need an API key like all."""

    name: str
    handlers: Sequence[Any]
    """Litestar route handlers, controllers or routers. They may ask for the dependency ``runtime``."""


@runtime_checkable
class HostCommand(Protocol):
    """Adds a subcommand to ``cadml``: any click command. Its context's ``obj`` has ``settings()``."""

    name: str

    def main(self, *args: Any, **extra: Any) -> Any:
        """Parse arguments and run."""
