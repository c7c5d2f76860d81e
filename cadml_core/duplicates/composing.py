"""Relations read the other way round, and what follows from two of them."""

from __future__ import annotations

import msgspec
import numpy as np

from cadml_core.relations.relation import Evidence, Kind, Relation

_WEAKEST: tuple[Evidence, ...] = ("bytes", "features", "features_relaxed", "mesh", "invariants", "none")
_BOTH_WAYS: tuple[Kind, ...] = (
    "identical",
    "same",
    "mirrored",
    "scaled",
    "same_within_mesh_error",
    "similar",
)
_TURNED: dict[Kind, Kind] = {"contains": "part_of", "part_of": "contains"}


def inverse(relation: Relation) -> Relation | None:
    """Return what the first part is to the second; None where there is no word for it."""
    turned = _TURNED.get(relation.kind)
    if turned is None and relation.kind not in _BOTH_WAYS:
        return None
    matrix = None if relation.motion is None else np.linalg.inv(np.array(relation.motion))
    return msgspec.structs.replace(
        relation,
        kind=turned or relation.kind,
        scale=None if relation.scale is None else 1.0 / relation.scale,
        motion=_rows(matrix),
        differences=tuple(msgspec.structs.replace(one, a=one.b, b=one.a) for one in relation.differences),
    )


def through(first: Relation, second: Relation) -> Relation:
    """Return what the last of three parts is to the first, by what the middle one is to both.

    Args:
        first: What the middle part is to the first: ``identical`` or ``same``.
        second: What the last part is to the middle one.

    Returns:
        The kind of the second, by the weaker evidence, within both tolerances; no deviation was measured.
    """
    assert first.kind in ("identical", "same")
    matrix = None
    if first.motion is not None and second.motion is not None:
        matrix = np.array(second.motion) @ np.array(first.motion)
    known = first.tolerance_mm is not None and second.tolerance_mm is not None
    return msgspec.structs.replace(
        second,
        evidence=max(first.evidence, second.evidence, key=_WEAKEST.index),
        tolerance_mm=(first.tolerance_mm or 0.0) + (second.tolerance_mm or 0.0) if known else None,
        deviation_mm=None,
        motion=_rows(matrix),
    )


def _rows(matrix: np.ndarray | None) -> tuple[tuple[float, ...], ...] | None:
    return None if matrix is None else tuple(tuple(row) for row in matrix.tolist())
