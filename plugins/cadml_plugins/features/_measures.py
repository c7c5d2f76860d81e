"""The 24 built-in slots, each with the function that measures it on a document.

Versions v1 to v4 are prefixes of one list, so that a slot has the same position in each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import log
from typing import NamedTuple

from cadml_core import CadDocument, FeatureSlot

COMPLEX_FROM_ENTITIES = 500
"""Entities from which ``complexity_high_flag`` is set."""
LARGEST_KINDS = 5
"""How many of the most frequent kinds have a slot."""
_NO_EXTENTS = (0.0, 0.0, 0.0)


class Facts:
    """A document, and the intermediate results that several measures share."""

    __slots__ = ("counts", "depth", "document", "entities", "height", "kinds", "largest", "volume", "width")

    def __init__(self, document: CadDocument) -> None:
        self.document = document
        self.counts = [count for count in document.entity_counts.values() if count > 0]
        """Entities of each kind, without the kinds that do not occur."""
        self.entities = sum(self.counts)
        self.kinds = sorted(self.counts, reverse=True)
        box = document.bounding_box
        self.width, self.height, self.depth = extents = box.extents if box else _NO_EXTENTS
        self.largest = max(extents)
        self.volume = self.width * self.height * self.depth


class Measure(NamedTuple):
    """A slot and how it is measured."""

    slot: FeatureSlot
    of: Callable[[Facts], float]


def compute_shape_entropy(type_counts: Mapping[str, int]) -> float:
    """Return the evenness of a distribution of kinds, in [0, 1].

    Shannon entropy of the Laplace-smoothed shares ``(c_i + 1) / (N + K)``, over its maximum
    ``ln K``, where K is how many kinds occur and N how many entities. One kind or none gives 0.0.
    Kinds counted zero times do not occur.

    Source: C. E. Shannon, "A Mathematical Theory of Communication", Bell System Technical Journal
    27 (1948), section 6.
    """
    counts = [count for count in type_counts.values() if count > 0]
    return _evenness(counts, sum(counts))


def _evenness(counts: Sequence[int], entities: int) -> float:
    kinds = len(counts)
    if kinds <= 1:
        return 0.0
    total = entities + kinds
    # -sum(p ln p) with p = c / total, rearranged so that each kind costs one logarithm and no division.
    entropy = log(total) - sum(map(_smoothed_n_log_n, counts)) / total
    evenness = entropy / log(kinds)
    # Rounding may leave [0, 1] by a few units in the last place.
    return evenness if 0.0 <= evenness <= 1.0 else round(evenness)


@lru_cache(maxsize=4096)  # most counts are small and recur from part to part
def _smoothed_n_log_n(count: int) -> float:
    return (count + 1) * log(count + 1)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _largest_kind(rank: int) -> Callable[[Facts], float]:
    return lambda facts: _ratio(facts.kinds[rank], facts.entities) if rank < len(facts.kinds) else 0.0


def _slot(name: str, since: str, unit: str, description: str, *, semantic: bool = False) -> FeatureSlot:
    return FeatureSlot(name, "semantic" if semantic else "geometric", since, unit, description)


MEASURES: tuple[Measure, ...] = (
    Measure(
        _slot("entity_count", "v1", "count", "DXF modelspace entities, facets, or B-rep faces"),
        lambda facts: facts.entities,
    ),
    Measure(_slot("bbox_width", "v1", "mm", "extent along x"), lambda facts: facts.width),
    Measure(_slot("bbox_height", "v1", "mm", "extent along y"), lambda facts: facts.height),
    Measure(_slot("bbox_depth", "v1", "mm", "extent along z"), lambda facts: facts.depth),
    Measure(_slot("bbox_volume_estimate", "v1", "mm³", "width × height × depth"), lambda facts: facts.volume),
    Measure(
        _slot("layer_count", "v1", "count", "layers, or named bodies and assembly parts", semantic=True),
        lambda facts: len(facts.document.layers),
    ),
    Measure(
        _slot("complexity_high_flag", "v1", "1", "1.0 from 500 entities on", semantic=True),
        lambda facts: float(facts.entities >= COMPLEX_FROM_ENTITIES),
    ),
    Measure(
        _slot("norm_width", "v2", "1", "width over the largest extent; 0 if that is 0"),
        lambda facts: _ratio(facts.width, facts.largest),
    ),
    Measure(
        _slot("norm_height", "v2", "1", "height over the largest extent; 0 if that is 0"),
        lambda facts: _ratio(facts.height, facts.largest),
    ),
    Measure(
        _slot("norm_depth", "v2", "1", "depth over the largest extent; 0 if that is 0"),
        lambda facts: _ratio(facts.depth, facts.largest),
    ),
    Measure(
        _slot("width_height_ratio", "v2", "1", "width over height; 0 if the height is 0"),
        lambda facts: _ratio(facts.width, facts.height),
    ),
    Measure(
        _slot("width_depth_ratio", "v2", "1", "width over depth; 0 if the depth is 0"),
        lambda facts: _ratio(facts.width, facts.depth),
    ),
    Measure(_slot("solids_count", "v3", "count", "closed solids"), lambda facts: facts.document.solid_count),
    Measure(_slot("facets_count", "v3", "count", "facets"), lambda facts: facts.document.facet_count),
    Measure(
        _slot("avg_volume_per_entity", "v3", "mm³", "bbox_volume_estimate over entity_count; 0 if none"),
        lambda facts: _ratio(facts.volume, facts.entities),
    ),
    Measure(
        _slot("solids_ratio", "v3", "1", "solids_count over entity_count; 0 if none"),
        lambda facts: _ratio(facts.document.solid_count, facts.entities),
    ),
    Measure(
        _slot("facets_ratio", "v3", "1", "facets_count over entity_count; 0 if none"),
        lambda facts: _ratio(facts.document.facet_count, facts.entities),
    ),
    *(
        Measure(
            _slot(
                f"top_kind_freq_{rank + 1}", "v3", "1", f"share of the entity kind that is number {rank + 1}"
            ),
            _largest_kind(rank),
        )
        for rank in range(LARGEST_KINDS)
    ),
    Measure(
        _slot("surface_count", "v4", "count", "B-rep faces, facets, or geometric DXF entities"),
        lambda facts: facts.document.surface_count,
    ),
    Measure(
        _slot("shape_entropy", "v4", "1", "evenness of the entity kinds, Laplace-smoothed, 0 to 1"),
        lambda facts: _evenness(facts.counts, facts.entities),
    ),
)


def generation(version: str) -> int:
    """Return the number of a built-in version. Numbers order versions; as text, v10 would precede v2."""
    return int(version.removeprefix("v"))


def measures_until(version: str) -> tuple[Measure, ...]:
    """Return the measures of a version: every slot introduced by it or earlier."""
    last = generation(version)
    return tuple(measure for measure in MEASURES if generation(measure.slot.since) <= last)
