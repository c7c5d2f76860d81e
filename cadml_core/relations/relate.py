"""The order of tests by which two parts are related; nothing is called the same without a proof."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cadml_core.documents.feature_list import FeatureList
from cadml_core.documents.invariants import BodyInvariants
from cadml_core.relations.blocking import EXACT, MESH, difference
from cadml_core.relations.congruence import LIMIT, PASS, Cloud, Congruence, Match, congruence
from cadml_core.relations.handedness import Hand, compare_hands
from cadml_core.relations.relation import Evidence, Kind, Relation, Subject
from cadml_core.relations.variants import differences, is_variant

_PROPOSED = 5e-3
"""Difference of the invariants up to which congruence is tried; it decides by its own tolerance."""
_CONSISTENT = 2e-4
"""Difference of the invariants above which congruent features are not believed."""
_ONE = 1e-4
"""A scale within it of 1 is none."""


class Verdict(NamedTuple):
    """What congruence says of two bodies."""

    kind: Kind | None
    """``same``, ``mirrored`` or ``scaled``; None where nothing is proved."""
    evidence: Evidence = "none"
    match: Match | None = None
    scale: float = 1.0
    mirrored: bool = False
    candidate: Kind | None = None
    reason: str | None = None


def relate(a: Subject, b: Subject) -> Relation:
    """Say what the second part is to the first.

    Pure: it reads no file. A mesh on either side gives a candidate, which ``verify`` decides.
    """
    if a.sha256 == b.sha256:
        return Relation("identical", "bytes", tolerance_mm=0.0, deviation_mm=0.0)
    first, second = a.document.invariants, b.document.invariants
    if first is None or second is None:
        return Relation("similar", "none", reason=_no_volume(a if first is None else b))
    verdict = judge(a.features, b.features, first.whole, second.whole)
    if verdict.kind is not None:
        return _certified(verdict, a, b)
    from cadml_core.relations.bodies import relate_bodies

    if (found := relate_bodies(a, b)) is not None:
        return found
    if not (first.exact and second.exact) and difference(first.whole, second.whole) <= MESH:
        return _mesh_candidate(first.whole, second.whole)
    return _uncertain(verdict, a, b)


def judge(
    first: FeatureList | None, second: FeatureList | None, a: BodyInvariants, b: BodyInvariants
) -> Verdict:
    """Compare two bodies, each with its features about its own centroid."""
    shape = difference(a, b, scaled=True)
    if shape > _PROPOSED or not (a.length > 0.0 and b.length > 0.0):
        return Verdict(None)
    scale = b.length / a.length
    name: Kind = "same" if abs(scale - 1.0) <= _ONE else "scaled"
    if first is None or second is None:
        return Verdict(None, candidate=name if shape <= EXACT else None, reason=_NO_LIST)
    if not (a.reliable and b.reliable):
        return Verdict(None, candidate=name, reason="a boundary is open, so its volume is only formal")
    strict = _compare(first, second, a, b, scale)
    if strict.kind is not None or strict.candidate is not None:
        return strict
    relaxed = _compare(first, second, a, b, scale, relaxed=True)
    if relaxed.kind is not None or relaxed.candidate is not None:
        return relaxed
    if shape <= EXACT and len(first) != len(second):
        return Verdict(
            None, candidate=name, reason="volume and moments agree, but the faces are split otherwise"
        )
    return Verdict(None)


_NO_LIST = "a part has no exact features, or too many to compare"
_TOO_REGULAR = "there are too many like features to try all motions"


def _compare(
    first: FeatureList,
    second: FeatureList,
    a: BodyInvariants,
    b: BodyInvariants,
    scale: float,
    *,
    relaxed: bool = False,
) -> Verdict:
    unit = abs(scale - 1.0) <= _ONE
    found = congruence(
        Cloud.of(first, a.length, relaxed=relaxed),
        # Where there is no scale, the same unit, so that a deviation in size is not scaled away.
        Cloud.of(second, a.length if unit else b.length, relaxed=relaxed),
    )
    match, mirrored, reason = _hand(found, compare_hands(a, b))
    kind: Kind = ("mirrored" if mirrored else "same") if unit else "scaled"
    if match is None:
        doubt = not found.exhausted and difference(a, b, scaled=True) <= EXACT
        return Verdict(None, candidate=kind if doubt else None, reason=_TOO_REGULAR if doubt else None)
    if reason is None and match.deviation > PASS:
        reason = f"features deviate by {match.deviation:.1e} of the size, between {PASS:g} and {LIMIT:g}"
    if reason is None and (gap := difference(a, b, scaled=True)) > _CONSISTENT:
        reason = f"features agree, but volume, area or moments differ by {gap:.1e}"
    if reason is not None:
        return Verdict(None, candidate=kind, reason=reason)
    evidence: Evidence = "features_relaxed" if relaxed else "features"
    return Verdict(kind, evidence, match, 1.0 if unit else scale, mirrored)


def _hand(found: Congruence, hand: Hand) -> tuple[Match | None, bool, str | None]:
    """Choose between the proper and the improper match; returns it, whether it is improper, and a doubt."""
    proper, improper, _ = found
    passed = [match for match in (proper, improper) if match is not None and match.deviation <= PASS]
    if len(passed) == 2:
        # Features alone cannot tell the hand: left and right springs agree in all of them.
        if hand == "opposite":
            return improper, True, None
        return (
            proper,
            False,
            "the features match both ways, and the handedness is undecided" if (hand == "unknown") else None,
        )
    options = [match for match in (proper, improper) if match is not None]
    if not options:
        return None, False, None
    best = min(options, key=lambda match: match.deviation)
    mirrored = best is improper
    if hand == ("same" if mirrored else "opposite"):
        return best, mirrored, "the features match, but the handedness contradicts them"
    return best, mirrored, None


def _certified(verdict: Verdict, a: Subject, b: Subject) -> Relation:
    assert verdict.kind is not None
    assert verdict.match is not None
    assert a.document.invariants is not None
    assert a.features is not None
    assert b.features is not None
    unit = a.document.invariants.whole.length * verdict.scale
    return Relation(
        verdict.kind,
        verdict.evidence,
        tolerance_mm=PASS * unit,
        deviation_mm=verdict.match.deviation * unit,
        scale=verdict.scale if verdict.kind == "scaled" else None,
        mirrored=verdict.mirrored and verdict.kind == "scaled",
        motion=motion(verdict.match, verdict.scale, a.features.origin, b.features.origin),
    )


def motion(
    match: Match, scale: float, start: tuple[float, float, float], end: tuple[float, float, float]
) -> tuple[tuple[float, ...], ...]:
    """Return the 4 x 4 matrix that takes places of one part to places of another, in mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = scale * match.rotation
    matrix[:3, 3] = np.array(end) - matrix[:3, :3] @ np.array(start)
    return tuple(tuple(row) for row in matrix.tolist())


def _mesh_candidate(a: BodyInvariants, b: BodyInvariants) -> Relation:
    error = difference(a, b)
    candidate: Kind = "mirrored" if compare_hands(a, b) == "opposite" else "same"
    return Relation(
        "same_within_mesh_error",
        "invariants",
        tolerance_mm=error * a.length,
        mirrored=candidate == "mirrored",
        candidate=candidate,
        reason=f"volume, area and moments agree within {error:.2%}; the meshes have not been compared",
    )


def _uncertain(verdict: Verdict, a: Subject, b: Subject) -> Relation:
    variant = verdict.candidate is None and is_variant(a, b)
    return Relation(
        "variant" if variant else "similar",
        "features" if variant else "none",
        differences=differences(a, b) if variant else (),
        candidate=verdict.candidate,
        reason=verdict.reason,
    )


def _no_volume(part: Subject) -> str:
    return f"a {part.document.format} part encloses no volume, so it cannot be compared as a solid"
