"""The extents of a drawing's geometry, by ezdxf and scipy.

They are those of what the documentation calls geometric: of lines without the width that they are drawn with,
and of neither annotations, at whatever depth of blocks, nor infinite lines. ezdxf gives the boxes of all but
splines: it replaces those with weights by Bézier curves that may be several percent off, and scipy
follows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ANNOTATIONS = {
    *("ACAD_TABLE", "ARC_DIMENSION", "ATTDEF", "ATTRIB", "DGNUNDERLAY", "DIMENSION", "DWFUNDERLAY", "IMAGE"),
    *("LARGE_RADIAL_DIMENSION", "LEADER", "MTEXT", "MULTILEADER", "OLE2FRAME", "PDFUNDERLAY", "RAY", "SHAPE"),
    *("TEXT", "TOLERANCE", "VIEWPORT", "WIPEOUT", "XLINE"),
}
"""Kinds of entities that are not geometry, or have no end."""
FLATTENING = 0.01
"""ezdxf replaces curves by chords that are no further off, in drawing units."""
STEPS = 256
"""Points of a spline between two knots; the curve rises above the chords by some millionths."""


def drawing_box(path: Path) -> tuple[tuple[float, ...], float]:
    """Return the extents in millimetres, and how far they may be off; none where there is no geometry."""
    import ezdxf
    import ezdxf.bbox
    from ezdxf import recover, units

    try:
        drawing = ezdxf.readfile(path)
    except (OSError, ValueError, ezdxf.DXFError):  # it takes some damaged files for others
        drawing, _ = recover.readfile(path)
    splines, rest = [], []
    for entity in _geometry(drawing.modelspace()):
        is_spline = entity.dxftype() in {"SPLINE", "HELIX"} and entity.control_points
        (splines if is_spline else rest).append(entity)
    box = ezdxf.bbox.extents(map(_thin, rest), fast=False)
    for spline in splines:
        box.extend(_followed(spline))
    stated = b"$INSUNITS" in path.read_bytes() and drawing.units
    factor = units.conversion_factor(drawing.units, units.MM) if stated else 1.0
    extents = tuple(float(size) * factor for size in box.size) if box.has_data else ()
    return extents, FLATTENING * factor


def _geometry(entities: Iterable[Any]) -> Iterator[Any]:
    """Yield the geometric entities in place of block references and multilines."""
    from ezdxf import disassemble

    for entity in entities:
        if entity.dxftype() == "INSERT":
            for reference in entity.multi_insert() if entity.mcount > 1 else [entity]:
                yield from _geometry(reference.virtual_entities())
        elif entity.dxftype() not in ANNOTATIONS:
            yield from disassemble.recursive_decompose([entity])


def _thin(entity: Any) -> Any:
    """Return the entity without the width that it is drawn with."""
    if entity.dxftype() == "LWPOLYLINE":
        entity.set_points(list(entity.get_points("xyb")), format="xyb")
        entity.dxf.discard("const_width")
    elif entity.dxftype() == "POLYLINE":
        for part in (entity, *entity.vertices):
            for name in ("default_start_width", "default_end_width", "start_width", "end_width"):
                if part.dxf.is_supported(name):
                    part.dxf.discard(name)
    return entity


def _followed(spline: Any) -> list[tuple[float, ...]]:
    """Return points of a spline, by the homogeneous coordinates of its control points."""
    import numpy as np
    from scipy.interpolate import BSpline

    places, knots, degree = np.array(spline.control_points), np.array(spline.knots), spline.dxf.degree
    weights = np.array(spline.weights) if len(spline.weights) else np.ones(len(places))
    curve = BSpline(knots, np.column_stack([places * weights[:, None], weights]), degree)
    turns = np.unique(knots[degree : len(places) + 1])
    steps = np.interp(np.arange((len(turns) - 1) * STEPS + 1) / STEPS, np.arange(len(turns)), turns)
    points = curve(steps)
    return [tuple(point) for point in (points[:, :3] / points[:, 3:]).tolist()]
