"""How alike a part is to others under one feature version, by the version's own distance where it has one."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core.catalog.records import PartFilter
from cadml_core.contracts.features import PlacedVersion, RefinedVersion
from cadml_core.documents.arrays import FloatMatrix, FloatVector
from cadml_core.search.differences import explain
from cadml_core.search.placed import Places
from cadml_core.search.questions import Contribution, Question, SearchResult
from cadml_core.search.similarity import SimilaritySearch
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
    row: int


class Ranking:
    """One part as a query of one feature version.

    Args:
        search: Over that version.
        values: Raw values of the part.
        places: Of the version, where it has them.
    """

    def __init__(self, search: SimilaritySearch, values: FloatVector, places: Places | None = None) -> None:
        self._places = places
        self._search = search
        self._values = values
        self.feature = search.feature

    def first(self, k: int, which: PartFilter | None, exclude: int | None) -> SearchResult:
        """Return the first hits of the index, as many as are worth ranking again, and at least k."""
        most = max(k, self.feature.candidates) if isinstance(self.feature, RefinedVersion) else k
        question = Question(self._values, most, which=which, exclude=exclude)
        return self._search.search_many([question])[0]

    def measure(self, ids: Collection[str]) -> dict[str, Measured]:
        """Return distance and score of those of these parts that have the version."""
        known, rows, distances = self._distances(ids)
        if not known:
            return {}
        scores = self._search.space("scaled").scores(distances)
        if isinstance(self.feature, RefinedVersion):
            scores = 1.0 / (1.0 + distances)
        return dict(zip(known, map(Measured, distances.tolist(), scores.tolist(), rows), strict=True))

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

    def _distances(self, ids: Collection[str]) -> tuple[list[str], list[int], NDArray[np.float64]]:
        """Return ids, rows and distances of those of these parts that have the version."""
        if self._places is not None and isinstance(self.feature, PlacedVersion):
            known, rows, places = self._places.of(ids)
            [own] = self.feature.place(self._values[np.newaxis])
            return known, rows, self.feature.between(own, places) if known else np.empty(0)
        known, numbers, raw = self._search.catalog.values_of(ids, self.feature.name)
        if not known:
            return [], [], np.empty(0)
        if isinstance(self.feature, RefinedVersion):
            return known, numbers.tolist(), np.asarray(self.feature.refine(self._values, raw), np.float64)
        space = self._search.space("scaled")
        exact = ExactDistances(space, np.vstack([self._values, raw]).astype(np.float64)).to(0)[1:]
        return known, numbers.tolist(), space.shown(exact)
