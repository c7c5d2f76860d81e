"""The 24 built-in slots, each with the function that measures it on a document.

Versions v1 to v4 are prefixes of one list, so a slot keeps its position for ever.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from cadml_core import CadDocument, FeatureSlot

COMPLEX_FROM_ENTITIES = 500
LARGEST_KINDS = 5


class Measure(NamedTuple):
    """A slot and how it is measured."""

    slot: FeatureSlot
    of: Callable[[CadDocument], float]


def compute_shape_entropy(type_counts: Mapping[str, int]) -> float:
    """Return the evenness of a distribution of kinds, in [0, 1].

    Shannon entropy of the Laplace-smoothed shares ``(c_i + 1) / (N + K)``, over its maximum
    ``ln K``, where K is how many kinds occur and N how many entities. One kind or none gives 0.0.
    Kinds counted zero times do not occur.

    Source: C. E. Shannon, "A Mathematical Theory of Communication", Bell System Technical Journal
    27 (1948), section 6.
    """
    smoothed = [count + 1 for count in type_counts.values() if count > 0]
    if len(smoothed) <= 1:
        return 0.0
    total = sum(smoothed)
    # -sum(p ln p) with p = c / total, rearranged so that each kind costs one logarithm and no division.
    entropy = math.log(total) - sum([count * math.log(count) for count in smoothed]) / total
    return min(1.0, max(0.0, entropy / math.log(len(smoothed))))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _extents(document: CadDocument) -> tuple[float, float, float]:
    return document.bounding_box.extents if document.bounding_box else (0.0, 0.0, 0.0)


def _bbox_volume(document: CadDocument) -> float:
    return math.prod(_extents(document))


def _proportion(axis: int) -> Callable[[CadDocument], float]:
    return lambda document: _ratio(_extents(document)[axis], max(_extents(document)))


def _largest_kind(rank: int) -> Callable[[CadDocument], float]:
    def measure(document: CadDocument) -> float:
        counts = sorted(document.entity_counts.values(), reverse=True)
        return _ratio(counts[rank], document.entity_count) if rank < len(counts) else 0.0

    return measure


def _slot(name: str, since: str, unit: str, description: str, *, semantic: bool = False) -> FeatureSlot:
    return FeatureSlot(name, "semantic" if semantic else "geometric", since, unit, description)


MEASURES: tuple[Measure, ...] = (
    Measure(
        _slot("entity_count", "v1", "count", "DXF modelspace entities, facets, or B-rep faces"),
        lambda document: document.entity_count,
    ),
    Measure(_slot("bbox_width", "v1", "mm", "extent along x"), lambda document: _extents(document)[0]),
    Measure(_slot("bbox_height", "v1", "mm", "extent along y"), lambda document: _extents(document)[1]),
    Measure(_slot("bbox_depth", "v1", "mm", "extent along z"), lambda document: _extents(document)[2]),
    Measure(_slot("bbox_volume_estimate", "v1", "mm³", "width × height × depth"), _bbox_volume),
    Measure(
        _slot("layer_count", "v1", "count", "layers, or named bodies and assembly parts", semantic=True),
        lambda document: len(document.layers),
    ),
    Measure(
        _slot("complexity_high_flag", "v1", "1", "1.0 from 500 entities on", semantic=True),
        lambda document: float(document.entity_count >= COMPLEX_FROM_ENTITIES),
    ),
    *(
        Measure(
            _slot(f"norm_{name}", "v2", "1", f"{name} over the largest extent; 0 if that is 0"),
            _proportion(axis),
        )
        for axis, name in enumerate(("width", "height", "depth"))
    ),
    Measure(
        _slot("width_height_ratio", "v2", "1", "width over height; 0 if the height is 0"),
        lambda document: _ratio(_extents(document)[0], _extents(document)[1]),
    ),
    Measure(
        _slot("width_depth_ratio", "v2", "1", "width over depth; 0 if the depth is 0"),
        lambda document: _ratio(_extents(document)[0], _extents(document)[2]),
    ),
    Measure(_slot("solids_count", "v3", "count", "closed solids"), lambda document: document.solid_count),
    Measure(_slot("facets_count", "v3", "count", "facets"), lambda document: document.facet_count),
    Measure(
        _slot("avg_volume_per_entity", "v3", "mm³", "bbox_volume_estimate over entity_count; 0 if none"),
        lambda document: _ratio(_bbox_volume(document), document.entity_count),
    ),
    Measure(
        _slot("solids_ratio", "v3", "1", "solids_count over entity_count; 0 if none"),
        lambda document: _ratio(document.solid_count, document.entity_count),
    ),
    Measure(
        _slot("facets_ratio", "v3", "1", "facets_count over entity_count; 0 if none"),
        lambda document: _ratio(document.facet_count, document.entity_count),
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
        lambda document: document.surface_count,
    ),
    Measure(
        _slot("shape_entropy", "v4", "1", "evenness of the entity kinds, Laplace-smoothed, 0 to 1"),
        lambda document: compute_shape_entropy(document.entity_counts),
    ),
)


def measures_until(version: str) -> tuple[Measure, ...]:
    """Return the measures of a version: every slot introduced by it or earlier."""
    return tuple(measure for measure in MEASURES if measure.slot.since <= version)
