"""Find the parts most similar to parts or to vectors: the one pipeline that every search goes through."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from cadml_core.catalog.records import Part, PartFilter
from cadml_core.catalog.store import Catalog
from cadml_core.clock import Clock, SystemClock
from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.vectors import Hits, VectorBackend
from cadml_core.documents.arrays import FloatMatrix, FloatVector, Int64Array
from cadml_core.errors import InvalidInput
from cadml_core.search.absence import no_such_vector, why_nothing
from cadml_core.search.differences import explain
from cadml_core.search.filters import Admission, SlotRange
from cadml_core.search.index.failover import ResilientIndexes
from cadml_core.search.index.health import RecoveryPolicy
from cadml_core.search.index.sync import Answer, BackendChoice, backend_config
from cadml_core.search.part_cache import PartCache
from cadml_core.search.questions import Hit, Question, SearchResult, checked_values
from cadml_core.search.spaces import Space, SpaceName

MAX_K = 10_000
_ALL_PARTS = PartFilter()
_ATTEMPTS = 3


Ask = Callable[[SpaceName, FloatMatrix, int, Int64Array | None, int], list[Answer]]
"""Searches a space for the k nearest of each query among the rows allowed, as of a change at least; the hits
of the queries in their order, in one answer or in several."""


class Nearest(NamedTuple):
    """The nearest by row number, and who found them."""

    rows: list[int]
    backend: str
    degraded: bool


class SimilaritySearch:
    """Search over one feature version of a catalogue. Safe to use from many threads."""

    def __init__(
        self,
        catalog: Catalog,
        feature: FeatureVersion,
        backend: VectorBackend,
        options: Mapping[str, Any] | None = None,
        *,
        fallback: VectorBackend | None = None,
        recovery: RecoveryPolicy | None = None,
        clock: Clock | None = None,
        probing: bool = True,
    ) -> None:
        """Prepare a search; the index is built when it is first asked.

        Args:
            catalog: Where parts and vectors are.
            feature: The version that vectors are compared by.
            backend: Makes the index.
            options: The backend's own, checked against its ``config_type``.
            fallback: Makes the index that stands in when the chosen one fails.
            recovery: How long to wait between two attempts to recover it.
            clock: Tells the time.
            probing: Whether a background thread attempts it; where False, ``indexes.tick`` does.

        Raises:
            InvalidSetting: An option is impossible.
        """
        self.feature = feature
        self.catalog = catalog
        self.spaces: dict[SpaceName, Space] = {
            name: Space(feature, name) for name in ("scaled", "cosine_raw")
        }
        self.indexes = ResilientIndexes(
            catalog,
            self.spaces,
            BackendChoice(backend, backend_config(backend, options or {})),
            None if fallback is None else BackendChoice(fallback, backend_config(fallback, {})),
            policy=recovery or RecoveryPolicy(),
            clock=clock or SystemClock(),
            probing=probing,
        )
        self._admission = Admission(catalog, feature)
        self._parts = PartCache(catalog)

    def by_id(
        self,
        part_id: str,
        *,
        k: int = 10,
        metric: SpaceName = "scaled",
        which: PartFilter | None = None,
        ranges: Sequence[SlotRange] = (),
        min_score: float = 0.0,
        include_self: bool = False,
        explain: bool = False,
    ) -> SearchResult:
        """Return the parts most similar to a part, without that part itself unless asked for.

        Raises:
            NotFound: There is no such part, or it has no vector of this feature version.
            InvalidInput: ``k``, ``metric`` or ``min_score`` is out of bounds.
        """
        known, rows, raw = self.catalog.values_of([part_id], self.feature.name)
        if not known:
            raise no_such_vector(self.catalog, part_id, self.feature.name)
        exclude = None if include_self else int(rows[0])
        question = Question(raw[0], k, metric, which, tuple(ranges), min_score, explain, exclude)
        return self.search_many([question])[0]

    def by_values(
        self,
        values: FloatVector | Sequence[float],
        *,
        k: int = 10,
        metric: SpaceName = "scaled",
        which: PartFilter | None = None,
        ranges: Sequence[SlotRange] = (),
        min_score: float = 0.0,
        explain: bool = False,
    ) -> SearchResult:
        """Return the parts most similar to raw values, in the order of the feature version's slots.

        Raises:
            DimensionMismatch: There are not as many values as slots.
            InvalidInput: A value is not a finite number, or an argument is out of bounds.
        """
        raw = checked_values(values, self.feature)
        question = Question(raw, k, metric, which, tuple(ranges), min_score, explain)
        return self.search_many([question])[0]

    def pair(self, id_a: str, id_b: str, *, metric: SpaceName = "scaled") -> Hit:
        """Compare two parts: the second as a hit of the first, with its explanation.

        Raises:
            NotFound: A part is unknown, or has no vector of this feature version.
        """
        space = self.space(metric)
        one = self.catalog.vector(id_a, self.feature.name).values
        other = self.catalog.vector(id_b, self.feature.name).values
        distance = space.distance(one, other)
        [explanation] = explain(space, one, other[np.newaxis, :])
        score = float(space.scores(np.array(distance)))
        p = self.catalog.part(id_b)
        facts = (p.name, p.format, p.path, p.material, p.project, p.label)
        return Hit(p.id, score, distance, *facts, explanation)

    def space(self, metric: SpaceName) -> Space:
        """Return a space by the name of its metric.

        Raises:
            InvalidInput: There is no such metric.
        """
        return self.spaces.get(metric) or Space(self.feature, metric)

    def search_many(self, questions: Sequence[Question], ask: Ask | None = None) -> list[SearchResult]:
        """Answer questions, in their order: the one way that every search goes.

        Questions that share metric and filters are one question to the index.

        Args:
            questions: What is asked.
            ask: Searches the index for several queries; where None, in one call.

        Raises:
            InvalidInput: ``k``, ``metric``, ``min_score`` or a range of a question is out of bounds.
        """
        for k, min_score in {(question.k, question.min_score) for question in questions}:
            check_bounds(k, min_score)
        if len({(question.metric, question.which, question.ranges) for question in questions}) == 1:
            return self._search_alike(questions, ask)
        groups: dict[Any, list[int]] = {}
        for number, question in enumerate(questions):
            groups.setdefault((question.metric, question.which, question.ranges), []).append(number)
        results: dict[int, SearchResult] = {}
        for numbers in groups.values():
            alike = [questions[number] for number in numbers]
            results.update(zip(numbers, self._search_alike(alike, ask), strict=True))
        return [results[number] for number in range(len(questions))]

    def _search_alike(self, questions: Sequence[Question], ask: Ask | None) -> list[SearchResult]:
        """Answer questions that share metric and filters."""
        first = questions[0]
        space = self.space(first.metric)
        allowed = self.admitted(first.which, first.ranges)
        queries = space.project(np.array([question.raw for question in questions]))
        # A part among its own neighbours takes a place that another must fill.
        wanted = max(question.k + (question.exclude is not None) for question in questions)
        answers, parts = self._answered(ask or self._ask, first.metric, queries, wanted, allowed)
        results = []
        remaining = iter(questions)
        for answer in answers:
            for line, question in zip(_lines(space, answer.hits), remaining, strict=False):
                hits = _hits(line, parts, question)
                if question.explain:
                    hits = self._explained(space, question.raw, hits)
                results.append(
                    SearchResult(
                        hits,
                        self.feature.name,
                        question.metric,
                        answer.backend,
                        answer.degraded,
                        note=None if hits else self._why_nothing(question),
                    )
                )
        return results

    def _why_nothing(self, question: Question) -> str:
        return why_nothing(self.catalog, self.feature.name, question, self._admission)

    def nearest(self, raw: FloatVector, k: int, which: PartFilter | None, exclude: int | None) -> Nearest:
        """Return the nearest of raw values by row number only, for a caller that ranks them again.

        Args:
            raw: Raw values.
            k: How many.
            which: Only these parts.
            exclude: The row of a part that is not to be found.
        """
        query, allowed = self.space("scaled").project(raw[np.newaxis]), self.admitted(which)
        more = k + (exclude is not None)
        answer = self.indexes.search("scaled", query, more, allowed, change=self.catalog.last_change())
        rows = [row for row in answer.hits.ids[0].tolist() if row not in (-1, exclude)]
        return Nearest(rows[:k], answer.backend, answer.degraded)

    def parts(self, rows: Collection[int]) -> dict[int, Part]:
        """Return the parts of these rows as they are now; those that are gone are left out."""
        return self._parts.get(rows)

    def admitted(self, which: PartFilter | None, ranges: tuple[SlotRange, ...] = ()) -> Int64Array | None:
        """Return the row numbers that a filter admits, ascending; None where it admits all."""
        if not ranges and (which is None or which == _ALL_PARTS):
            return None
        return self._admission.rows(which, ranges)

    def _ask(
        self, metric: SpaceName, queries: FloatMatrix, k: int, allowed: Int64Array | None, change: int
    ) -> list[Answer]:
        return [self.indexes.search(metric, queries, k, allowed, change=change)]

    def _answered(
        self, ask: Ask, metric: SpaceName, queries: FloatMatrix, k: int, allowed: Int64Array | None
    ) -> tuple[list[Answer], dict[int, Part]]:
        """Ask the indexes, and fetch every part that was found.

        A part that was removed in between makes room for another, so they are asked again. An index
        that keeps naming parts that do not exist is taken out of service.
        """
        for _ in range(_ATTEMPTS):
            # Indexes and parts share one look at the change log.
            primary, change = self.indexes.primary, self.catalog.last_change()
            answers = ask(metric, queries, k, allowed, change)
            found = _rows_of(answers)
            parts = self._parts.get(found, change)
            if len(parts) == len(found):
                return answers, parts
        self.indexes.degrade(primary, "search: returned ids that no part has")
        answers = ask(metric, queries, k, allowed, self.catalog.last_change())
        return answers, self._parts.get(_rows_of(answers))

    def _explained(self, space: Space, raw: FloatVector, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        ids, _, values = self.catalog.values_of([hit.id for hit in hits], self.feature.name)
        reasons = dict(zip(ids, explain(space, raw, values), strict=True)) if ids else {}
        return tuple(
            msgspec.structs.replace(hit, explanation=reasons[hit.id]) if hit.id in reasons else hit
            for hit in hits
        )

    def close(self) -> None:
        """Release the indexes; closing twice is allowed."""
        self.indexes.close()


def _lines(space: Space, hits: Hits) -> Iterator[tuple[list[int], list[float], list[float]]]:
    """Yield rows (-1 where there are no more), scores and distances as people read them, for each query."""
    shown = space.shown(hits.distances)
    return zip(hits.ids.tolist(), space.scores(shown).tolist(), shown.tolist(), strict=True)


def _hits(
    line: tuple[list[int], list[float], list[float]], parts: Mapping[int, Part], question: Question
) -> tuple[Hit, ...]:
    """Return the first k of a line that are as similar as wanted, without the row to be left out."""
    least, exclude = question.min_score, question.exclude
    hits = [
        Hit(p.id, score, distance, p.name, p.format, p.path, p.material, p.project, p.label)
        for row, score, distance in zip(*line, strict=True)
        if score >= least and row != exclude and row in parts and (p := parts[row])
    ]
    return tuple(hits[: question.k])


def _rows_of(answers: Sequence[Answer]) -> set[int]:
    """Every row that is among the hits."""
    found: set[int] = set()
    for answer in answers:
        found.update(answer.hits.ids.ravel().tolist())
    return found - {-1}


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
