"""Decide a candidate by the meshes of both parts."""

from __future__ import annotations

import math

import msgspec

from cadml_core.documents.document import CadDocument, TriangleMesh
from cadml_core.relations.meshes import compare_meshes
from cadml_core.relations.relation import Relation, Subject
from cadml_core.relations.surfaces import Surface

DEFLECTION = 3e-5
"""Deflection of the meshes that exact surfaces are compared by, over the diagonal: a tenth of a tolerance."""


def needs_meshes(relation: Relation) -> bool:
    """Tell whether meshes could decide what is undecided."""
    return relation.kind == "same_within_mesh_error" or relation.candidate in ("same", "mirrored")


def verify(relation: Relation, a: Subject, b: Subject, first: TriangleMesh, second: TriangleMesh) -> Relation:
    """Return the relation as the meshes of both parts decide it.

    Args:
        relation: A candidate, as ``relate`` returns it.
        a: The first part.
        b: The second part.
        first: Its mesh: the file's own, or one of exact surfaces with ``DEFLECTION``.
        second: Likewise.
    """
    whole = [part.document.invariants.whole for part in (a, b) if part.document.invariants is not None]
    if len(whole) < 2 or not all(body.reliable for body in whole):
        return msgspec.structs.replace(relation, reason="a boundary is open, so its volume is only formal")
    unit = whole[0].length
    found = compare_meshes(Surface(first, _chord(a.document)), Surface(second, _chord(b.document)))
    if found.same:
        return Relation(
            "mirrored" if found.mirrored else "same",
            "mesh",
            tolerance_mm=found.tolerance * unit,
            deviation_mm=found.deviation * unit,
            motion=tuple(tuple(row) for row in found.motion.tolist()),
        )
    if found.reason is not None:
        return msgspec.structs.replace(
            relation, evidence="mesh", deviation_mm=found.deviation * unit, reason=found.reason
        )
    return Relation(
        "similar",
        "mesh",
        deviation_mm=found.deviation * unit,
        differences=relation.differences,
        reason=f"the surfaces are up to {found.deviation * unit:.3g} mm apart",
    )


def _chord(document: CadDocument) -> float | None:
    """Return how far the mesh is off exact surfaces; None for a file of facets."""
    if document.invariants is None or not document.invariants.exact or document.bounding_box is None:
        return None
    return DEFLECTION * math.hypot(*document.bounding_box.extents)
