"""What files of one name in one folder tell of each other's unit: ``part.step`` and ``part.stl``, say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from cadml_core.contracts.formats import LENGTH_UNITS, UnitName
from cadml_core.documents.document import CadDocument
from cadml_core.reading.detection import display

_AGREEMENT = 0.02
"""How far the extents of a mesh may be from those of the part that it was made of."""


class UnitDoubt(msgspec.Struct, frozen=True):
    """One file that is in the catalogue, most likely in a wrong unit, and why."""

    path: str
    message: str


class Size(NamedTuple):
    """How large a file was found to be."""

    path: Path
    has_unit: bool
    extents: list[float]
    """Ascending, in millimetres as read; empty without geometry."""


def size_of(path: Path, document: CadDocument) -> Size:
    """Return the size of a file that was read."""
    box = document.bounding_box
    return Size(path, document.unit is not None, sorted(box.extents) if box else [])


def unit_doubts(sizes: Iterable[Size]) -> Iterator[UnitDoubt]:
    """Yield each file without a unit that has the size of a sibling in another unit than was assumed."""
    groups: dict[tuple[Path, str], list[Size]] = {}
    for size in sizes:
        if size.extents:
            groups.setdefault((size.path.parent, size.path.stem.casefold()), []).append(size)
    for group in groups.values():
        for doubtful in (size for size in group if not size.has_unit):
            told = (_told(doubtful, sibling) for sibling in group if sibling.has_unit)
            if message := next(filter(None, told), None):
                yield UnitDoubt(display(doubtful.path), message)


def _told(doubtful: Size, sibling: Size) -> str | None:
    unit = _unit_between(doubtful.extents, sibling.extents)
    return unit and (
        f"in {LENGTH_UNITS[unit].name} it has the size of {display(sibling.path.name)}, which states its"
        f" unit; it was read in millimetres: --unit {unit} reads it so"
    )


def _unit_between(assumed: list[float], stated: list[float]) -> UnitName | None:
    """Return the unit in which the assumed extents are the stated ones, None where in none."""
    for name, unit in LENGTH_UNITS.items():
        if unit.millimetres != 1.0 and all(
            abs(unit.millimetres * one - other) <= _AGREEMENT * stated[-1]
            for one, other in zip(assumed, stated, strict=True)
        ):
            return name if stated[-1] > 0.0 else None
    return None
