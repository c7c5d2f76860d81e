"""Which parts a search may find: facts about them, and ranges of their slots."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence

import msgspec
import numpy as np

from cadml_core.catalog.records import PartFilter
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import FeatureVersion
from cadml_core.documents.arrays import Int64Array
from cadml_core.errors import InvalidInput


class SlotRange(msgspec.Struct, frozen=True):
    """Parts whose raw value of a slot lies between two bounds, both included."""

    slot: str
    minimum: float | None = None
    maximum: float | None = None


class Admission:
    """Works out which rows a filter admits, and remembers it until the catalogue changes."""

    def __init__(self, catalog: Catalog, feature: FeatureVersion, capacity: int = 32) -> None:
        self._catalog = catalog
        self._feature = feature
        self._capacity = capacity
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[PartFilter | None, tuple[SlotRange, ...]], tuple[int, Int64Array]] = (
            OrderedDict()
        )

    def rows(self, which: PartFilter | None, ranges: Sequence[SlotRange] = ()) -> Int64Array | None:
        """Return the admitted row numbers, ascending; None where all are.

        Raises:
            InvalidInput: A range names no slot of the feature version, or its bounds cannot be.
        """
        key = (which if which != PartFilter() else None, tuple(ranges))
        if key == (None, ()):
            return None
        newest = self._catalog.last_change()
        with self._lock:
            change, rows = self._known.get(key, (None, None))
        if rows is None or change != newest:
            rows = self._work_out(*key)
            with self._lock:
                self._known[key] = (newest, rows)
                while len(self._known) > self._capacity:
                    self._known.popitem(last=False)
        return rows

    def _work_out(self, which: PartFilter | None, ranges: tuple[SlotRange, ...]) -> Int64Array:
        columns = [self._column(wanted) for wanted in ranges]
        if not ranges:
            return self._catalog.rows(which or PartFilter())
        rows, raw = self._catalog.vectors(self._feature.name)
        for wanted, column in zip(ranges, columns, strict=True):
            if len(rows):
                low = -math.inf if wanted.minimum is None else wanted.minimum
                high = math.inf if wanted.maximum is None else wanted.maximum
                fits = (raw[:, column] >= low) & (raw[:, column] <= high)
                rows, raw = rows[fits], raw[fits]
        return rows if which is None else np.intersect1d(rows, self._catalog.rows(which), assume_unique=True)

    def _column(self, wanted: SlotRange) -> int:
        names = [slot.name for slot in self._feature.slots]
        if wanted.slot not in names:
            raise InvalidInput(
                f"{self._feature.name} has no slot {wanted.slot!r}; it has: {', '.join(names)}",
                stage="similarity",
                slot=wanted.slot,
            )
        bounds = [bound for bound in (wanted.minimum, wanted.maximum) if bound is not None]
        if any(math.isnan(bound) for bound in bounds) or bounds != sorted(bounds):
            raise InvalidInput(
                f"the range of {wanted.slot} from {wanted.minimum} to {wanted.maximum} is not possible",
                stage="similarity",
                slot=wanted.slot,
            )
        return names.index(wanted.slot)
