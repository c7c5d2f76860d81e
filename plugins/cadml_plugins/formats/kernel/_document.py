"""From what Open CASCADE has read to the CadDocument: what STEP and IGES have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cadml_core import CadDocument, MalformedFile, ReadLimits, UnreadableInput
from cadml_plugins.formats.kernel import _brep, _faceted, _recognition, _sewing, _tessellation
from cadml_plugins.formats.kernel._assembly import find_parts
from cadml_plugins.formats.kernel._exchange import Transfer
from cadml_plugins.formats.kernel._occt import Failure, Shape, reason
from cadml_plugins.formats.kernel._view import ShapeView

MOST_NAMES = 5
"""So many roots that could not be built are named; the others are counted."""


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        UnreadableInput: The file cannot be opened or read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableInput(
            f"{path.name}: {error.strerror or error}", reason=str(error.strerror)
        ) from error


def transferred_shape(transfer: Transfer, faces: int, warnings: list[str]) -> Shape | None:
    """Return the shape that the kernel built, None where the file holds no geometry.

    Args:
        transfer: What the kernel's reader returned.
        faces: How many faces the file defines.
        warnings: Gets a sentence for what could not be interpreted or built.

    Raises:
        MalformedFile: The file defines faces or has roots, and nothing could be built.
    """
    why = transfer.faults[0] if transfer.faults else "the kernel states no reason"
    missing = _names(transfer.missing)
    if transfer.shape is None and transfer.missing:
        raise MalformedFile(f"{missing} could not be built: {why}", reason="no shape")
    if transfer.shape is None and faces:
        raise MalformedFile(f"no shape could be built of {faces} faces: {why}", reason="no shape")
    if transfer.missing:
        warnings.append(f"{missing} could not be built, and is missing")
    if transfer.faults:
        warnings.append(
            f"{len(transfer.faults)} records could not be interpreted, the first: {transfer.faults[0]}"
        )
    return transfer.shape


def _names(roots: Sequence[str]) -> str:
    """Name the first roots, and say how many more there are."""
    more = len(roots) - MOST_NAMES
    return ", ".join(roots[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def build(
    format_name: str,
    shape: Shape | None,
    limits: ReadLimits,
    *,
    unit: str | None,
    layers: Sequence[str],
    properties: dict[str, str | int | float | bool],
    warnings: Sequence[str],
    faces_expected: int = 0,
) -> CadDocument:
    """Measure a shape and describe it.

    Args:
        faces_expected: How many distinct faces the file defines, 0 where that is not known. Where the
            shape has fewer, a warning says so.

    Raises:
        LimitExceeded: A bound of ``limits`` was crossed.
        MalformedFile: The kernel threw, or built fewer than half of the faces.
    """
    notes = list(warnings)
    fields: dict[str, Any] = {}
    if shape is not None:
        try:
            fields = _describe(shape, limits, faces_expected, notes)
        except Failure as error:
            raise MalformedFile(
                f"Open CASCADE cannot measure the shape: {reason(error)}", reason=reason(error)
            ) from error
    if fields.get("bounding_box") is None:
        notes.append("the file holds no geometry")
    return CadDocument(
        format=format_name,
        unit=unit,
        layers=tuple(layers),
        properties=properties,
        warnings=tuple(notes),
        **fields,
    )


def _describe(shape: Shape, limits: ReadLimits, faces_expected: int, notes: list[str]) -> dict[str, Any]:
    doubts: list[str] = []
    if not all(part.solid for part in find_parts(shape, limits)):
        shape = _sewing.close(shape, notes, doubts)
    census = _brep.measure(shape, limits, _recognition.Namer(), doubts)
    _compare(census.distinct_faces, faces_expected, notes)
    notes += census.warnings
    if census.mass is not None:
        notes += [f"the volume is not reliable: {doubt}" for doubt in dict.fromkeys(census.doubts)]
    # A tessellated model: the facets are all there is.
    if census.facets and not census.faces:
        fields = _faceted.describe(shape, limits, notes)
    else:
        fields = _exact_fields(census, notes)
    mesh = _tessellation.tessellate(shape, limits, census.box, notes)
    view = ShapeView(shape, limits, census.box, mesh) if limits.view else None
    return fields | {"mesh": mesh, "view": view}


def _exact_fields(census: _brep.Census, notes: list[str]) -> dict[str, Any]:
    if census.facets:
        notes.append(f"the file has {census.facets:,} facets beside its exact faces; they are not measured")
    return {
        "entity_counts": _entities(census, notes),
        "surface_count": census.faces.total(),
        "solid_count": census.solids,
        "shell_count": census.shells,
        "facet_count": census.facets,
        "edge_counts": dict(sorted(census.edges.items())),
        "surface_areas": dict(sorted(census.areas.items())),
        "bounding_box": census.box,
        "area": census.area,
        "mass": census.mass,
        "invariants": census.invariants,
        "features": census.features,
        "boundary": census.boundary,
    }


def _compare(found: int, expected: int, notes: list[str]) -> None:
    if found * 2 < expected:
        raise MalformedFile(
            f"only {found} of {expected} faces could be built; the file is damaged or incomplete",
            reason="incomplete",
            found=found,
            expected=expected,
        )
    if found < expected:
        notes.append(f"{expected - found} of {expected} faces could not be built and are left out")


def _entities(census: _brep.Census, notes: list[str]) -> dict[str, int]:
    """Return the faces by surface; for a wireframe the curves, for a point cloud the points."""
    if census.faces:
        return dict(sorted(census.faces.items()))
    if census.edges:
        notes.append("the file has curves but no faces; entities are counted by curve")
        return dict(sorted(census.edges.items()))
    return {"point": census.points} if census.points else {}
