"""How alike a part is to others under one feature version, by the version's own distance where it has one."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core.catalog.records import PartFilter
from cadml_core.contracts.features import PlacedVersion, RefinedVersion
from cadml_core.documents.arrays import FloatMatrix, FloatVector, Int64Array
from cadml_core.search.differences import explain
from cadml_core.search.placed import Places
from cadml_core.search.questions import Contribution
from cadml_core.search.similarity import Nearest, SimilaritySearch
from cadml_core.search.spaces import ExactDistances


class BlockShare(msgspec.Struct, frozen=True):
    """What one block of slots adds to the distance between the query and a hit."""

    block: str
    share: float
    """In [0, 1]; the shares of all blocks sum to 1, or are all 0 at distance 0."""


class Measured(NamedTuple):
    """What the ranking says of one part."""

    distance: float
    score: float


class Ranking:
    """One part as a query of one feature version.

    Args:
        search: Over that version.
        values: Raw values of the part.
        places: Of the version, where it has them.
        row: Of a stored part, that is not to be found itself.
    """

    def __init__(
        self,
        search: SimilaritySearch,
        values: FloatVector,
        places: Places | None = None,
        row: int | None = None,
    ) -> None:
        self._places = places
        self._search = search
        self._values = values
        self._row = row
        self.feature = search.feature

    def first(self, k: int, which: PartFilter | None) -> Nearest:
        """Return the first of the index, as many as are worth ranking again, and at least k."""
        most = max(k, self.feature.candidates) if isinstance(self.feature, RefinedVersion) else k
        return self._search.nearest(self._values, most, which, self._row)

    def measure(self, rows: Collection[int]) -> dict[int, Measured]:
        """Return distance and score of those of these parts that have the version, by row."""
        known, distances = self._distances(rows)
        if not len(known):
            return {}
        if isinstance(self.feature, RefinedVersion):
            scores = 1.0 / (1.0 + distances)
        else:
            scores = self._search.space("scaled").scores(distances)
        return dict(zip(known.tolist(), map(Measured, distances.tolist(), scores.tolist()), strict=True))

    def explain(self, ids: Collection[str]) -> dict[str, tuple[Contribution, ...] | tuple[BlockShare, ...]]:
        """Say of each of these parts what makes its distance: by block where there are any, else by slot."""
        known, raw = self._raw(ids)
        if not known:
            return {}
        if not isinstance(self.feature, RefinedVersion):
            return dict(zip(known, explain(self._search.space("scaled"), self._values, raw), strict=True))
        shares = self.feature.block_shares(self._values, raw).tolist()
        names = tuple(self.feature.blocks)
        return {
            part_id: tuple(map(BlockShare, names, line)) for part_id, line in zip(known, shares, strict=True)
        }

    def _raw(self, ids: Collection[str]) -> tuple[list[str], FloatMatrix]:
        known, _, raw = self._search.catalog.values_of(ids, self.feature.name)
        return known, raw

    def _distances(self, rows: Collection[int]) -> tuple[Int64Array, NDArray[np.float64]]:
        """Return rows and distances of those of these parts that have the version."""
        if self._places is not None and isinstance(self.feature, PlacedVersion):
            own, (known, places) = self._place(self.feature), self._places.of(rows)
            return known, self.feature.between(own, places) if len(known) else np.empty(0)
        known, raw = self._search.catalog.vectors(self.feature.name, rows)
        if not len(known):
            return known, np.empty(0)
        if isinstance(self.feature, RefinedVersion):
            return known, np.asarray(self.feature.refine(self._values, raw), np.float64)
        space = self._search.space("scaled")
        exact = ExactDistances(space, np.vstack([self._values, raw]).astype(np.float64)).to(0)[1:]
        return known, space.shown(exact)

    def _place(self, feature: PlacedVersion) -> NDArray[np.float32]:
        """Return where the query lies; of a stored part, where the catalogue has it."""
        if self._row is not None and self._places is not None:
            known, places = self._places.of([self._row])
            if len(known):
                return np.asarray(places[0])
        return np.asarray(feature.place(self._values[np.newaxis])[0])
