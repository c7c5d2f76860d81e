"""Search returns the right parts, in the right order, with scores and reasons that hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from cadml_core import VectorBackend
from cadml_core.catalog.records import NewPart, PartFilter, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.errors import DimensionMismatch, InvalidInput, InvalidSetting, NotFound
from cadml_core.search.filters import SlotRange
from cadml_core.search.questions import Question, SearchResult
from cadml_core.search.similarity import SimilaritySearch
from cadml_core.search.spaces import Space

MakeBoxes = Callable[..., list[NewPart]]


@pytest.fixture
def search(catalog: Catalog, box: Any, backend: VectorBackend) -> Iterator[SimilaritySearch]:
    """A search over the empty catalogue."""
    service = SimilaritySearch(catalog, box, backend)
    yield service
    service.close()


def ids(result: SearchResult) -> list[str]:
    """The ids of the hits."""
    return [hit.id for hit in result.hits]


def test_finds_the_nearest_first(search: SimilaritySearch, catalog: Catalog, boxes: MakeBoxes) -> None:
    """Hits come by distance in the embedding, the part itself left out unless asked for."""
    catalog.add(boxes(a=(0, 0, 0), b=(1, 0, 0), c=(0, 0, 50), d=(9, 9, 9)))
    result = search.by_id("a", k=3)
    assert ids(result) == ["c", "b", "d"]
    assert [hit.distance for hit in result.hits] == pytest.approx([0.5, 1.0, math.sqrt(162.0081)])
    assert ids(search.by_id("a", k=2, include_self=True)) == ["a", "c"]
    assert (result.feature_version, result.metric, result.degraded) == ("box", "scaled", False)


def test_identical_is_exactly_one(search: SimilaritySearch, catalog: Catalog, boxes: MakeBoxes) -> None:
    """A twin scores 1.0 in both metrics; scores lie in [0, 1] and never rise along the hits."""
    catalog.add(boxes(a=(3, 1, 4), twin=(3, 1, 4), back=(-3, -1, -4), far=(1e6, 0, 0)))
    for metric in ("scaled", "cosine_raw"):
        scores = [hit.score for hit in search.by_id("a", metric=metric).hits]
        assert scores[0] == 1.0
        assert scores == sorted(scores, reverse=True)
        assert all(0.0 <= score <= 1.0 for score in scores)


def test_raw_cosine_compares_directions(search: SimilaritySearch, catalog: Catalog, boxes: MakeBoxes) -> None:
    """A part twice as large has the same direction, which is why the scaled metric is the default."""
    catalog.add(boxes(a=(1, 2, 3), double=(2, 4, 6), near=(1, 2, 3.1)))
    assert ids(search.by_id("a", metric="cosine_raw")) == ["double", "near"]
    assert ids(search.by_id("a")) == ["near", "double"]


def test_ties_go_to_the_older_part(search: SimilaritySearch, catalog: Catalog, boxes: MakeBoxes) -> None:
    """Equal scores are ordered by row number, so the same question has one answer."""
    catalog.add(boxes(z=(0, 0, 0), y=(1, 0, 0), x=(-1, 0, 0), w=(0, 1, 0)))
    assert ids(search.by_id("z", k=2)) == ["y", "x"]


def test_filters_before_the_cut(search: SimilaritySearch, catalog: Catalog) -> None:
    """k hits come back wherever k parts fit, however far away they are; others never do."""
    catalog.add(
        [
            NewPart(
                id=f"p{i}",
                material="steel" if i >= 95 else "brass",
                project="x" if i % 2 else "y",
                vectors={"box": Vector(np.array([i, 0.0, 0.0]))},
            )
            for i in range(100)
        ]
    )
    steel = PartFilter(material="steel")
    assert ids(search.by_id("p0", k=3, which=steel)) == ["p95", "p96", "p97"]
    assert ids(search.by_id("p0", which=PartFilter(material="steel", project="x"))) == ["p95", "p97", "p99"]
    assert ids(search.by_id("p0", which=PartFilter(material="gold"))) == []
    catalog.add([NewPart(id="p1", material="steel")])
    assert ids(search.by_id("p0", k=2, which=steel)) == ["p1", "p95"]


def test_min_score_cuts_the_tail(search: SimilaritySearch, catalog: Catalog, boxes: MakeBoxes) -> None:
    """Only hits at or above the score are returned."""
    catalog.add(boxes(a=(0, 0, 0), b=(1, 0, 0), c=(3, 0, 0)))
    assert ids(search.by_id("a", min_score=0.5)) == ["b"]


@pytest.mark.parametrize("metric", ["scaled", "cosine_raw"])
def test_shares_are_exact(search: SimilaritySearch, catalog: Catalog, boxes: MakeBoxes, metric: Any) -> None:
    """Every slot's share of the squared distance, summing to 1, beside both raw values."""
    catalog.add(boxes(a=(1, 2, 300), b=(4, 6, 300), twin=(1, 2, 300)))
    result = search.by_id("a", metric=metric, explain=True)
    by_id = {hit.id: hit.explanation for hit in result.hits}
    assert by_id["twin"] is not None
    assert by_id["b"] is not None
    assert [item.share for item in by_id["twin"]] == [0.0, 0.0, 0.0]
    assert math.fsum(item.share for item in by_id["b"]) == pytest.approx(1.0, abs=1e-12)
    assert [(item.slot, item.query, item.hit) for item in by_id["b"]] == [
        ("width", 1.0, 4.0),
        ("height", 2.0, 6.0),
        ("depth", 300.0, 300.0),
    ]
    if metric == "scaled":
        assert [item.share for item in by_id["b"]] == pytest.approx([0.36, 0.64, 0.0])


def test_a_mixing_embedding_cannot_be_explained(box: Any) -> None:
    """Where dimensions do not belong to slots, an explanation is refused, not made up."""

    class Mixing(type(box)):  # type: ignore[misc]
        def embed(self, values: Any) -> Any:
            return values.sum(axis=1, keepdims=True).astype(np.float32)

    with pytest.raises(InvalidInput, match="cosine_raw"):
        Space(Mixing(), "scaled").shares(np.zeros(3), np.ones((1, 3)))


class TestQuestionsThatCannotBe:
    """Each gets the code of the error table."""

    @pytest.mark.parametrize("k", [0, -1, 10**9])
    def test_k(self, search: SimilaritySearch, k: int) -> None:
        """Neither nothing nor everything in the world."""
        with pytest.raises(InvalidInput, match="allowed: 1 to") as caught:
            search.by_values([0, 0, 0], k=k)
        assert caught.value.code == "INPUT_VALIDATION_FAILED"

    @pytest.mark.parametrize("score", [-0.1, 1.1, math.nan])
    def test_min_score(self, search: SimilaritySearch, score: float) -> None:
        """A score is from 0 to 1."""
        with pytest.raises(InvalidInput, match="min_score"):
            search.by_values([0, 0, 0], min_score=score)

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_not_finite(self, search: SimilaritySearch, bad: float) -> None:
        """The slot is named."""
        with pytest.raises(InvalidInput, match="height"):
            search.by_values([0, bad, 0])

    def test_not_numbers(self, search: SimilaritySearch) -> None:
        """Text is no vector."""
        with pytest.raises(InvalidInput, match="list of numbers"):
            search.by_values(["a", "b", "c"])  # type: ignore[list-item]

    @pytest.mark.parametrize("values", [[], [1.0], [1.0] * 4, [[1.0, 2.0, 3.0]]])
    def test_wrong_length(self, search: SimilaritySearch, values: Any) -> None:
        """The message says how many were expected."""
        with pytest.raises(DimensionMismatch, match="expected a vector of length 3"):
            search.by_values(values)

    def test_unknown_metric(self, search: SimilaritySearch) -> None:
        """The allowed ones are listed."""
        with pytest.raises(InvalidInput, match="scaled, cosine_raw"):
            search.by_values([0, 0, 0], metric="manhattan")  # type: ignore[arg-type]

    def test_unknown_part(self, search: SimilaritySearch) -> None:
        """An unknown id is not found."""
        with pytest.raises(NotFound):
            search.by_id("nobody")

    def test_part_without_the_vector(self, search: SimilaritySearch, catalog: Catalog) -> None:
        """A part that lacks this feature version says how to get it."""
        catalog.add([NewPart(id="a", vectors={"other": Vector(np.ones(2))})])
        with pytest.raises(NotFound, match="cadml migrate run"):
            search.by_id("a")

    def test_unknown_option(self, catalog: Catalog, box: Any, backend: VectorBackend) -> None:
        """An option that the backend does not know stops the start."""
        with pytest.raises(InvalidSetting, match="depht"):
            SimilaritySearch(catalog, box, backend, {"depht": 3})


def test_an_empty_catalogue_has_no_hits(search: SimilaritySearch) -> None:
    """Nothing to find is no error."""
    assert search.by_values([1, 2, 3]).hits == ()


def test_huge_values_do_not_break_the_index(
    search: SimilaritySearch, catalog: Catalog, boxes: MakeBoxes
) -> None:
    """A vector far beyond any part's size is stored and found like any other."""
    catalog.add(boxes(a=(1e15, 1, 1), b=(1, 1, 1), c=(2, 1, 1)))
    assert ids(search.by_id("b")) == ["c", "a"]


def test_many_questions_are_answered_as_each_alone(
    search: SimilaritySearch, catalog: Catalog, boxes: MakeBoxes
) -> None:
    """Whatever k, metric, filter and explanation each has, the pipeline answers it as if it came alone."""
    catalog.add(boxes(a=(1, 2, 3), b=(2, 2, 3), c=(9, 1, 1), d=(4, 4, 4)))
    raw = np.array([1.0, 2.0, 3.0])
    questions = [
        Question(raw, k=3),
        Question(raw, k=1, metric="cosine_raw"),
        Question(raw + 1, k=2, explain=True),
        Question(raw, k=4, ranges=(SlotRange("width", minimum=2.0),)),
        Question(raw, k=2, min_score=0.9, exclude=1),
        Question(raw * 3, k=10),
    ]
    together = search.search_many(questions)
    assert together == [search.search_many([question])[0] for question in questions]
    assert [len(result.hits) for result in together] == [3, 1, 2, 3, 0, 4]
    assert search.search_many([]) == []


@pytest.mark.parametrize("huge", [1e30, -3e38, 1e300])
@pytest.mark.parametrize("metric", ["scaled", "cosine_raw"])
def test_a_query_cannot_take_the_index_out_of_service(
    search: SimilaritySearch, catalog: Catalog, boxes: MakeBoxes, huge: float, metric: Any
) -> None:
    """Values that float32 cannot compare are the caller's mistake; the index goes on answering."""
    catalog.add(boxes(a=(1, 2, 3), b=(4, 5, 6)))
    with pytest.raises(InvalidInput, match="too large"):
        search.by_values([huge, 1, 1], metric=metric)
    assert not search.by_id("a").degraded
    assert not search.indexes.health().degraded


def test_a_stored_value_cannot_take_the_index_out_of_service(
    search: SimilaritySearch, catalog: Catalog, boxes: MakeBoxes
) -> None:
    """Values that an older release or another program stored are far away, and harm no other part."""
    catalog.add(boxes(a=(1, 2, 3), b=(4, 5, 6), huge=(1e30, -1e300, 0)))
    assert ids(search.by_id("a")) == ["b", "huge"]
    assert len(search.by_id("huge").hits) == 2
    assert not search.indexes.health().degraded
