"""A relation in the words of an engineer."""

from __future__ import annotations

import math

import numpy as np

from cadml_core.relations.relation import Difference, Relation


def describe(relation: Relation) -> str:
    """Say in one line what the second part is, and what differs; without a full stop."""
    said = _kind(relation)
    if relation.kind in ("same", "mirrored", "contains", "part_of") and relation.motion is not None:
        said += _motion(relation)
    if relation.differences:
        said += (": " if relation.kind == "variant" else "; ") + ", ".join(
            map(difference, relation.differences)
        )
    if relation.candidate is not None and relation.kind != "same_within_mesh_error":
        named = _CANDIDATES.get(relation.candidate, relation.candidate)
        said += f"; perhaps {named}, undecided: {relation.reason}"
    return said


_PLAIN = {
    "identical": "identical file",
    "same": "same part",
    "mirrored": "mirror image",
    "variant": "variant",
    "similar": "similar",
}
_CANDIDATES = {"same": "the same part", "mirrored": "the mirror image", "scaled": "a scaled copy"}


def _kind(relation: Relation) -> str:
    count = relation.count or 1
    what = "its mirror image" if relation.mirrored else "this part"
    if relation.kind == "scaled":
        return f"{relation.scale:.6g} ×" + (", mirrored" if relation.mirrored else "")
    if relation.kind == "multiple":
        return f"{count} × {what}"
    if relation.kind == "contains":
        return f"contains {what}" + (f" {count} ×" if count > 1 else "")
    if relation.kind == "part_of":
        return (
            "is part of it"
            + (f", {count} ×" if count > 1 else "")
            + (", mirrored" if relation.mirrored else "")
        )
    if relation.kind == "same_within_mesh_error":
        named = "mirror image" if relation.mirrored else "same part"
        doubt = "not verified" if relation.evidence == "invariants" else f"undecided: {relation.reason}"
        return (
            f"perhaps the {named}, within {length(relation.tolerance_mm or 0.0)} by volume and area; {doubt}"
        )
    return _PLAIN[relation.kind]


def _motion(relation: Relation) -> str:
    matrix = np.array(relation.motion)
    rotation = matrix[:3, :3]
    if np.linalg.det(rotation) < 0.0:
        return ""
    angle = math.acos(min(max((float(np.trace(rotation)) - 1.0) / 2.0, -1.0), 1.0))
    if angle < 1e-4:
        shift = float(np.linalg.norm(matrix[:3, 3]))
        return f", moved by {length(shift)}" if shift > 1e-3 else ", in the same place"
    degrees, axis = round(math.degrees(angle), 2), _axis(rotation, angle)
    for name, direction in zip("xyz", np.eye(3), strict=True):
        along = float(axis @ direction)
        if abs(along) > 1.0 - 1e-6:
            sign = -1.0 if along < 0.0 and degrees < 179.995 else 1.0
            return f", turned {sign * degrees:g}° about {name}"
    return f", turned {degrees:g}° about ({', '.join(f'{value:.2f}' for value in axis)})"


def _axis(rotation: np.ndarray, angle: float) -> np.ndarray:
    """Return the direction of a rotation's axis; of half a turn from its symmetric part."""
    if angle > math.pi - 1e-4:
        values, vectors = np.linalg.eigh((rotation + rotation.T) / 2.0)
        return np.asarray(vectors[:, int(np.argmax(values))])
    odd = rotation - rotation.T
    axis = np.array([odd[2, 1], odd[0, 2], odd[1, 0]])
    return np.asarray(axis / np.linalg.norm(axis))


def difference(item: Difference) -> str:
    """Say one difference: thickness 14 instead of 10 mm, volume +38 %, 2 holes more Ø 6."""
    if item.quantity in ("volume", "area"):
        return f"{item.quantity} {_percent(item.b / item.a - 1.0)}" if item.a else f"other {item.quantity}"
    if item.quantity in ("hole", "faces"):
        return _count(item)
    if item.quantity == "diameter":
        return f"Ø {_number(item.b)} instead of {_number(item.a)} mm"
    return f"{item.quantity} {_number(item.b)} instead of {_number(item.a)} mm"


def _count(item: Difference) -> str:
    more = int(item.b - item.a)
    noun = item.quantity.removesuffix("s") + ("s" if abs(more) != 1 else "")
    at = "" if item.at is None else f" Ø {_number(item.at)} mm"
    return f"{abs(more)} {noun}{at} {'more' if more > 0 else 'fewer'}"


def _percent(share: float) -> str:
    percent = 100.0 * share
    return f"{percent:+.0f} %" if abs(percent) >= 10 else f"{percent:+.2g} %"


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"


def length(value: float) -> str:
    """Say a length in mm or, below a tenth of one, in µm."""
    return f"{value * 1000:.2g} µm" if 0.0 < abs(value) < 0.1 else f"{_number(value)} mm"
