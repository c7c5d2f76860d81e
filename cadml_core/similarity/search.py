"""Find the parts most similar to a part or to a vector."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from cadml_core.catalog.records import Part, PartFilter
from cadml_core.catalog.store import Catalog
from cadml_core.contracts import FeatureVersion, Hits, Int64Array, VectorBackend
from cadml_core.errors import DimensionMismatch, InvalidInput, NotFound
from cadml_core.features import FloatVector
from cadml_core.similarity.follower import IndexFollower, backend_config
from cadml_core.similarity.spaces import Space, SpaceName

MAX_K = 10_000
_ATTEMPTS = 5


class Contribution(msgspec.Struct, frozen=True):
    """What one slot adds to the distance between the query and a hit."""

    slot: str
    share: float
    """Of the squared distance, in [0, 1]; the shares of all slots sum to 1, or are all 0 at distance 0."""
    query: float
    """Raw value."""
    hit: float


class Hit(msgspec.Struct, frozen=True):
    """One similar part."""

    part: Part
    score: float
    """In [0, 1]; 1.0 is identical."""
    distance: float
    """Euclidean distance of the embeddings, or ``1 - cosine`` for angles."""
    explanation: tuple[Contribution, ...] | None = None
    """In the order of the slots; None where none was asked for."""


class SearchResult(msgspec.Struct, frozen=True):
    """Hits by descending score; equal scores by ascending row number, so the order is always the same."""

    hits: tuple[Hit, ...]
    feature_version: str
    metric: SpaceName
    backend: str
    """Name of the vector backend that answered."""
    degraded: bool = False
    """True where a stand-in answered because the chosen backend could not."""


class SimilaritySearch:
    """Search over one feature version of a catalogue. Safe to use from many threads."""

    def __init__(
        self,
        catalog: Catalog,
        feature: FeatureVersion,
        backend: VectorBackend,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Prepare a search; the index is built when it is first asked.

        Args:
            catalog: Where parts and vectors are.
            feature: The version that vectors are compared by.
            backend: Makes the index.
            options: The backend's own, checked against its ``config_type``.

        Raises:
            InvalidSetting: An option is impossible.
        """
        self.feature = feature
        self.catalog = catalog
        self._backend = backend
        config = backend_config(backend, options or {})
        self._followers: dict[SpaceName, IndexFollower] = {
            name: IndexFollower(catalog, Space(feature, name), backend, config)
            for name in ("scaled", "cosine_raw")
        }
        self._filters = _FilterCache(catalog)

    def by_id(
        self,
        part_id: str,
        *,
        k: int = 10,
        metric: SpaceName = "scaled",
        which: PartFilter | None = None,
        min_score: float = 0.0,
        include_self: bool = False,
        explain: bool = False,
    ) -> SearchResult:
        """Return the parts most similar to a part, without that part itself unless asked for.

        Raises:
            NotFound: There is no such part, or it has no vector of this feature version.
            InvalidInput: ``k``, ``metric`` or ``min_score`` is out of bounds.
        """
        part = self.catalog.part(part_id)
        rows, raw = self.catalog.vectors(self.feature.name, [part.row])
        if not len(rows):
            raise NotFound(
                f"part {part_id!r} has no {self.feature.name} vector; `cadml migrate run` computes it",
                stage="similarity",
                id=part_id,
                version=self.feature.name,
            )
        exclude = None if include_self else part.row
        return self._search(raw[0], k, metric, which, min_score, explain, exclude)

    def by_values(
        self,
        values: FloatVector | Sequence[float],
        *,
        k: int = 10,
        metric: SpaceName = "scaled",
        which: PartFilter | None = None,
        min_score: float = 0.0,
        explain: bool = False,
    ) -> SearchResult:
        """Return the parts most similar to raw values, in the order of the feature version's slots.

        Raises:
            DimensionMismatch: There are not as many values as slots.
            InvalidInput: A value is not a finite number, or an argument is out of bounds.
        """
        raw = checked_values(values, self.feature)
        return self._search(raw, k, metric, which, min_score, explain, None)

    def _search(
        self,
        raw: FloatVector,
        k: int,
        metric: SpaceName,
        which: PartFilter | None,
        min_score: float,
        explain: bool,
        exclude: int | None,
    ) -> SearchResult:
        check_bounds(k, min_score)
        follower = self._follower(metric)
        query = follower.space.project(raw[np.newaxis, :])
        wanted = k if exclude is None else k + 1
        for _ in range(_ATTEMPTS):
            hits = follower.search(query, wanted, self._filters.rows(which))
            rows, distances = _one_query(hits, exclude, k)
            found = self.catalog.parts_by_row(rows)
            if len(found) == len(rows):  # else a part was removed meanwhile: its place is another's
                break
        result = [
            (found[row], distance) for row, distance in zip(rows, distances, strict=True) if row in found
        ]
        return SearchResult(
            hits=self._hits(follower.space, raw, result, min_score, explain),
            feature_version=self.feature.name,
            metric=metric,
            backend=self._backend.name,
        )

    def _hits(
        self,
        space: Space,
        raw: FloatVector,
        found: Sequence[tuple[Part, float]],
        min_score: float,
        explain: bool,
    ) -> tuple[Hit, ...]:
        distances = np.array([distance for _, distance in found])
        scores = space.score(distances).tolist()
        shown = (np.sqrt(distances) if space.metric == "l2" else distances).tolist()
        kept = [index for index, score in enumerate(scores) if score >= min_score]
        explanations = self._explain(space, raw, [found[i][0].row for i in kept]) if explain else {}
        return tuple(Hit(found[i][0], scores[i], shown[i], explanations.get(found[i][0].row)) for i in kept)

    def _explain(
        self, space: Space, raw: FloatVector, rows: Sequence[int]
    ) -> dict[int, tuple[Contribution, ...]]:
        found, values = self.catalog.vectors(self.feature.name, rows)
        return {int(row): contributions(space, raw, other) for row, other in zip(found, values, strict=True)}

    def _follower(self, metric: SpaceName) -> IndexFollower:
        if metric not in self._followers:
            Space(self.feature, metric)  # raises what the caller should see
        return self._followers[metric]

    def close(self) -> None:
        """Release the indexes; closing twice is allowed."""
        for follower in self._followers.values():
            follower.close()


def contributions(space: Space, query: FloatVector, other: FloatVector) -> tuple[Contribution, ...]:
    """Explain the distance between two raw vectors, slot by slot."""
    shares = space.shares(query, other)
    return tuple(
        Contribution(slot.name, float(share), float(one), float(two))
        for slot, share, one, two in zip(space.feature.slots, shares, query, other, strict=True)
    )


def checked_values(values: FloatVector | Sequence[float], feature: FeatureVersion) -> FloatVector:
    """Return raw values of this feature version as float64.

    Raises:
        DimensionMismatch: There are not as many values as slots.
        InvalidInput: They are not finite numbers.
    """
    try:
        raw = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"a vector must be a list of numbers: {error}", stage="similarity") from None
    if raw.shape != (len(feature.slots),):
        raise DimensionMismatch(expected=len(feature.slots), found=raw.size, stage="similarity")
    if not np.isfinite(raw).all():
        slot = feature.slots[int(np.flatnonzero(~np.isfinite(raw))[0])].name
        raise InvalidInput(f"a vector must be finite; {slot} is not", stage="similarity", slot=slot)
    return raw


def check_bounds(k: int, min_score: float) -> None:
    """Refuse what no search can mean.

    Raises:
        InvalidInput: ``k`` is not in 1..10,000 or ``min_score`` not in 0..1.
    """
    if not 1 <= k <= MAX_K:
        raise InvalidInput(f"k = {k} is not possible; allowed: 1 to {MAX_K}", stage="similarity", k=k)
    if not 0.0 <= min_score <= 1.0:
        raise InvalidInput(
            f"min_score = {min_score} is not possible; allowed: 0 to 1",
            stage="similarity",
            min_score=str(min_score),
        )


def _one_query(hits: Hits, exclude: int | None, k: int) -> tuple[list[int], list[float]]:
    ids, distances = hits.ids[0], hits.distances[0]
    kept = ids >= 0
    if exclude is not None:
        kept &= ids != exclude
    return ids[kept][:k].tolist(), distances[kept][:k].astype(np.float64).tolist()


class _FilterCache:
    """Remembers which rows a filter admits until the catalogue changes."""

    def __init__(self, catalog: Catalog, capacity: int = 32) -> None:
        self._catalog = catalog
        self._capacity = capacity
        self._entries: OrderedDict[PartFilter, tuple[int, Int64Array]] = OrderedDict()

    def rows(self, which: PartFilter | None) -> Int64Array | None:
        if which is None or which == PartFilter():
            return None
        newest = self._catalog.last_change()
        entry = self._entries.get(which)
        if entry is None or entry[0] != newest:
            entry = self._entries[which] = (newest, self._catalog.rows(which))
            while len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
        return entry[1]
