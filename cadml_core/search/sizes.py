"""Filters by size: parts whose extents are within some per cent of those of a part."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cadml_core.catalog.records import Bounds, PartFilter
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import FeatureVersion
from cadml_core.documents.arrays import FloatVector
from cadml_core.errors import InvalidInput

MOST_PER_CENT = 1000.0
_SLOTS = ("bbox_width", "bbox_height", "bbox_depth")
_ROUNDING = 1e-9
"""Relative to the longest extent: what differs by this is the same length read from another file."""


def sized(which: PartFilter | None, extents: Sequence[float], per_cent: float) -> PartFilter:
    """Add bounds of the size to a filter.

    Args:
        which: The other conditions.
        extents: Of the bounding box in millimetres, in any order. Sorted, the longest is compared with the
            longest, so that a part lying along another axis has the same size; at other angles it has not.
        per_cent: How far each may be off, of its own length.

    Raises:
        InvalidInput: ``per_cent`` is not in 0..1000.
    """
    if not 0.0 <= per_cent <= MOST_PER_CENT:
        raise InvalidInput(
            f"size_within = {per_cent} is not possible; allowed: 0 to {MOST_PER_CENT:g} per cent",
            stage="similarity",
            field="size_within",
        )
    longest, middle, shortest = sorted(map(float, extents), reverse=True)
    slack = longest * _ROUNDING

    def bounds(length: float) -> Bounds:
        off = length * per_cent / 100.0 + slack
        return (max(0.0, length - off), length + off)

    return msgspec.structs.replace(
        which or PartFilter(), extents=(bounds(longest), bounds(middle), bounds(shortest))
    )


def extents_of(catalog: Catalog, part_id: str) -> Sequence[float]:
    """Return the extents of a part.

    Raises:
        NotFound: There is no such part.
        InvalidInput: It has none: it was registered without a file, or its file holds no geometry.
    """
    part = catalog.part(part_id)
    content = catalog.contents([part.sha256]).get(part.sha256) if part.sha256 else None
    if content is None or content.document.bounding_box is None:
        raise _no_size(f"part {part_id!r} has no geometry of its own")
    return content.document.bounding_box.extents


def extents_in(feature: FeatureVersion, raw: FloatVector) -> Sequence[float]:
    """Return the extents that raw values hold.

    Raises:
        InvalidInput: The feature version has no slots for them.
    """
    names = [slot.name for slot in feature.slots]
    if not set(_SLOTS) <= set(names):
        raise _no_size(f"{feature.name} has no slots {', '.join(_SLOTS)}; ask by the id of a part instead")
    return [float(raw[names.index(name)]) for name in _SLOTS]


def _no_size(reason: str) -> InvalidInput:
    return InvalidInput(
        f"size_within needs the size of what is searched for: {reason}",
        stage="similarity",
        field="size_within",
    )
