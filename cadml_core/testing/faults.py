"""A vector backend that fails on order, to test what a host does about it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import numpy as np

from cadml_core.contracts.features import Metric
from cadml_core.contracts.vectors import Hits, IndexKey, VectorBackend, VectorIndex
from cadml_core.documents.arrays import FloatMatrix, Int64Array

Operation = Literal["open", "upsert", "remove", "search"]
Fault = Literal[
    "raise",
    "hang",
    "forget",
    "wrong ids",
    "wrong distances",
    "wrong shape",
    "reversed ids",
    "repeated ids",
    "halved distances",
    "not the nearest",
]


class FaultPlan:
    """What goes wrong next. Thread-safe.

    ``plan.fail("search", at=3)`` lets the third search from now raise, and every later one, until
    ``plan.heal()``. ``hang`` waits until healed; ``forget`` drops what is to be added or removed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[Operation, tuple[Fault, int]] = {}
        self._healed = threading.Event()
        self._healed.set()

    def fail(self, operation: Operation, fault: Fault = "raise", *, at: int = 1) -> None:
        """Let an operation fail from its ``at``-th call on."""
        with self._lock:
            self._faults[operation] = (fault, at)
            self._healed.clear()

    def heal(self) -> None:
        """Let everything work again, and what hangs go on."""
        with self._lock:
            self._faults.clear()
            self._healed.set()

    def strike(self, operation: Operation) -> Fault | None:
        """Count one call; raises or hangs if that is its fate, else returns the fault to be made."""
        with self._lock:
            fault, left = self._faults.get(operation, (None, 0))
            if fault is None or left > 1:
                if fault is not None:
                    self._faults[operation] = (fault, left - 1)
                return None
        if fault == "raise":
            raise RuntimeError(f"{operation} fails as planned")
        if fault == "hang":
            self._healed.wait()
        return fault


class FaultyIndex:
    """An index that asks the plan before each call."""

    def __init__(self, index: VectorIndex, plan: FaultPlan) -> None:
        self._index = index
        self._plan = plan

    def upsert(self, ids: Int64Array, vectors: FloatMatrix) -> None:
        """Add, unless the plan says otherwise."""
        if self._plan.strike("upsert") != "forget":
            self._index.upsert(ids, vectors)

    def remove(self, ids: Int64Array) -> int:
        """Remove, unless the plan says otherwise."""
        return 0 if self._plan.strike("remove") == "forget" else self._index.remove(ids)

    def search(self, queries: FloatMatrix, k: int, allowed: Int64Array | None = None) -> Hits:
        """Search, and spoil the hits as the plan says."""
        spoil = _SPOILERS.get(self._plan.strike("search") or "")
        if spoil is None:
            return self._index.search(queries, k, allowed)
        if spoil is _not_the_nearest:
            return spoil(self._index.search(queries, k + _LEFT_OUT, allowed))
        return spoil(self._index.search(queries, k, allowed))

    def __len__(self) -> int:
        return len(self._index)

    def close(self) -> None:
        """Close what is inside."""
        self._index.close()


class FaultyBackend:
    """Another backend under the control of a plan.

    Args:
        backend: What works while the plan lets it.
        plan: What goes wrong.
        in_process: Whether a host may call without a time limit; False where ``hang`` is planned.
    """

    def __init__(self, backend: VectorBackend, plan: FaultPlan, *, in_process: bool = True) -> None:
        self.name = f"faulty-{backend.name}"
        self.config_type: type[msgspec.Struct] = backend.config_type
        self.in_process = in_process
        self._backend = backend
        self._plan = plan

    def open(self, config: Any, *, key: IndexKey, dimension: int, metric: Metric) -> VectorIndex:
        """Open, unless the plan says otherwise."""
        self._plan.strike("open")
        index = self._backend.open(config, key=key, dimension=dimension, metric=metric)
        return FaultyIndex(index, self._plan)


def _wrong_ids(hits: Hits) -> Hits:
    return Hits(np.where(hits.ids < 0, hits.ids, hits.ids + 1_000_000_000), hits.distances)


def _wrong_distances(hits: Hits) -> Hits:
    return Hits(hits.ids, -hits.distances - 1.0)


def _wrong_shape(hits: Hits) -> Hits:
    return Hits(hits.ids[:, :-1], hits.distances[:, :-1])


def _reversed_ids(hits: Hits) -> Hits:
    ids = hits.ids.copy()
    for line in ids:
        found = line >= 0
        line[found] = line[found][::-1]
    return Hits(ids, hits.distances)


def _repeated_ids(hits: Hits) -> Hits:
    return Hits(np.where(hits.ids < 0, hits.ids, hits.ids[:, :1]), hits.distances)


def _halved_distances(hits: Hits) -> Hits:
    return Hits(hits.ids, hits.distances / np.float32(2.0))


_LEFT_OUT = 2


def _not_the_nearest(hits: Hits) -> Hits:
    """Leave the two nearest out, and say the truth of the others."""
    return Hits(hits.ids[:, _LEFT_OUT:], hits.distances[:, _LEFT_OUT:])


_SPOILERS: dict[str, Callable[[Hits], Hits]] = {
    "wrong ids": _wrong_ids,
    "wrong distances": _wrong_distances,
    "wrong shape": _wrong_shape,
    "reversed ids": _reversed_ids,
    "repeated ids": _repeated_ids,
    "halved distances": _halved_distances,
    "not the nearest": _not_the_nearest,
}
