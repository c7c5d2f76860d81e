"""Vector backends: nearest-neighbour search over embeddings."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core.contracts.features import Metric
from cadml_core.documents.arrays import FloatMatrix, Int64Array


class IndexKey(msgspec.Struct, frozen=True):
    """Which vectors an index holds. Two indexes of different keys share nothing, whatever their width."""

    catalogue: str
    """Identity of the catalogue, made up when it was created: one that replaces another has a new one."""
    feature_version: str
    space: str
    """Name of the space within the feature version: ``scaled`` or ``cosine_raw``."""

    @property
    def text(self) -> str:
        """The key as a name that engines, file systems and URLs accept: letters, digits and ``_``.

        Different keys have different texts: in each component, a byte that is no ASCII letter or digit,
        and ``Z`` itself, becomes ``Z`` and two hexadecimal digits.
        """
        return "_".join(map(_plain, ("cadml", self.catalogue, self.feature_version, self.space)))


def _plain(component: str) -> str:
    kept = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY0123456789"
    return "".join(chr(byte) if byte in kept else f"Z{byte:02x}" for byte in component.encode())


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
    """Nearest-neighbour search over embeddings with caller-given ids.

    The host sends no value beyond ``LARGEST_VALUE`` to an index of the metric ``l2``.
    """

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
    """An index that outlives the process and knows which changes it has applied.

    Vectors and mark need not be written in one transaction, as a change may be applied twice; but a mark must
    never be newer than the vectors. Where the vectors are lost, the mark must be too: a collection that
    somebody deleted opens empty, with ``applied_change`` 0, and is filled again.
    """

    def applied_change(self) -> int:
        """Return the last change number marked, 0 for none."""

    def mark_applied(self, change: int) -> None:
        """Remember that every change up to and including this one is in the index."""

    def clear(self) -> None:
        """Drop every vector and the mark, of this index's key only."""


@runtime_checkable
class VectorBackend(Protocol):
    """A named factory of vector indexes.

    A backend may also have ``in_process = True``: its indexes work in this process's memory. Without
    it the host calls them with time limits, as an engine behind a network may hang.
    """

    name: str
    config_type: type[msgspec.Struct]
    """What ``[vectors.<name>]`` of the settings may hold."""

    def open(self, config: Any, *, key: IndexKey, dimension: int, metric: Metric) -> VectorIndex:
        """Open the index of this key, empty unless it is durable and was filled before.

        Args:
            config: A ``config_type``.
            key: Whose vectors these are. A durable index must keep those of different keys apart.
            dimension: Length of its vectors.
            metric: How it compares them.
        """
