"""What can be read from the ACIS data of a 3DSOLID, BODY, REGION or SURFACE without an ACIS kernel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from ezdxf.acis.sab import parse_sab
from ezdxf.acis.sat import parse_sat
from ezdxf.lldxf.const import DXFError
from numpy.typing import NDArray

from cadml_plugins.formats.dxf._outlines import conic

_UNREADABLE = (DXFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
# How many numbers of each record matter, from its start or its end: what else it has depends on the version
# of the format.
_SPHERE_NUMBERS, _TORUS_NUMBERS, _ELLIPSE_NUMBERS, _TRANSFORM_NUMBERS = 10, 11, 10, 13

Points = NDArray[np.float64]


class Body(NamedTuple):
    """The number of faces of a body, 0 where its data cannot be read, and points that bound it."""

    faces: int
    points: Points
    """float64 (n, 3)."""


def examine_body(entity: Any) -> Body:
    """Count the faces of a body and find its extents.

    Its vertices, closed circular and elliptic edges, and whole spheres and tori bound the body; other curved
    faces and edges may extend beyond the box of these.
    """
    try:
        data = entity.sab if entity.has_binary_data else entity.sat
        records: Sequence[Any] = (parse_sab if isinstance(data, bytes) else parse_sat)(data).entities
        points = [part for record in records for part in _bounds(record)]
        bounds = np.concatenate(points) if points else np.empty((0, 3))
        return Body(sum(record.name == "face" for record in records), _moved(bounds, records))
    except _UNREADABLE:
        return Body(0, np.empty((0, 3)))


def _bounds(record: Any) -> Iterator[Points]:
    if record.name == "point":
        yield np.array([_numbers(record)[-3:]])
    elif record.name == "sphere-surface":
        x, y, z, radius, *_ = _numbers(record)[-_SPHERE_NUMBERS:]
        yield np.array([(x, y, z)]) + np.array([[abs(radius)], [-abs(radius)]])
    elif record.name == "torus-surface":
        x, y, z, nx, ny, nz, large, small, *_ = _numbers(record)[-_TORUS_NUMBERS:]
        reach = abs(large) * np.sqrt(np.clip(1.0 - np.square((nx, ny, nz)), 0.0, 1.0)) + abs(small)
        yield np.array([(x, y, z)]) + np.stack((reach, -reach))
    elif record.name == "edge":
        yield from _closed_edge(record)


def _closed_edge(edge: Any) -> Iterator[Points]:
    """Yield points of an edge that is a whole circle or ellipse: it has the same vertex at both ends."""
    links = [getattr(value, "value", value) for value in edge.data]
    vertices = [link for link in links if getattr(link, "name", "") == "vertex"]
    for curve in links:
        if (
            getattr(curve, "name", "") == "ellipse-curve"
            and len(vertices) == 2
            and vertices[0] is vertices[1]
        ):
            numbers = _numbers(curve)[:_ELLIPSE_NUMBERS]
            x, y, z, nx, ny, nz, ax, ay, az, ratio = numbers
            minor = np.cross((nx, ny, nz), (ax, ay, az)) * ratio
            yield conic((x, y, z), (ax, ay, az), (minor[0], minor[1], minor[2]), 0.0, 0.0)


def _moved(points: Points, records: Sequence[Any]) -> Points:
    """Apply the body's transform: nine numbers of rotation, three of translation, one of scale."""
    transforms = [record for record in records if record.name == "transform"]
    if len(transforms) != 1 or not len(points):
        return points
    numbers = np.array(_numbers(transforms[0])[:_TRANSFORM_NUMBERS])
    scale = numbers[12] if len(numbers) == _TRANSFORM_NUMBERS else 1.0
    moved: Points = points @ numbers[:9].reshape(3, 3) * scale + numbers[9:12]
    return moved


def _numbers(record: Any) -> list[float]:
    """Return the numbers of a record in order, up to the first word after them."""
    numbers: list[float] = []
    for item in record.data:
        value = getattr(item, "value", item)
        if isinstance(value, str):
            for word in value.split():
                try:
                    numbers.append(float(word))
                except ValueError:
                    if numbers:
                        return numbers
        elif isinstance(value, tuple):
            numbers.extend(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            numbers.append(float(value))
    return numbers
