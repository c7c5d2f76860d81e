"""Relations between files of one body and files of several: copies of it, an assembly that holds it."""

from __future__ import annotations

import numpy as np

from cadml_core.documents.invariants import BodyInvariants
from cadml_core.relations.congruence import PASS
from cadml_core.relations.relate import Verdict, judge, motion
from cadml_core.relations.relation import Relation, Subject


def relate_bodies(a: Subject, b: Subject) -> Relation | None:
    """Return ``multiple``, ``contains`` or ``part_of``; None where no body is proved to be the other part.

    One of the two must be a single body. Copies may lie anywhere: only each of them is compared.
    """
    bodies = _bodies(a), _bodies(b)
    if bodies[0] == 1 and bodies[1] > 1:
        return _inside(a, b, whole="contains")
    if bodies[1] == 1 and bodies[0] > 1:
        return _inside(b, a, whole="part_of")
    return None


def _bodies(part: Subject) -> int:
    return 0 if part.features is None else len(part.features.sources)


def _inside(single: Subject, several: Subject, *, whole: str) -> Relation | None:
    """Look for the single body among the others."""
    assert single.document.invariants is not None
    assert several.document.invariants is not None
    assert single.features is not None
    assert several.features is not None
    own, rows = single.document.invariants.whole, several.document.invariants.bodies
    if not rows or (single.features.bodies < 0).any():
        return None
    verdicts: dict[int, Verdict] = {}
    sources = several.features.sources
    for placed, source in enumerate(sources.tolist()):
        if source not in verdicts:
            verdicts[source] = _verdict(single, own, several, rows[source], placed)
    right = [source for source, found in verdicts.items() if found.kind in ("same", "mirrored")]
    if not right:
        return None
    # Copies of the part itself count before those of its mirror image.
    proper = [source for source in right if verdicts[source].kind == "same"]
    chosen = proper or right
    count = int(np.isin(sources, chosen).sum())
    best = max((verdicts[source] for source in chosen), key=_deviation)
    every = count == len(sources) and not (several.features.bodies < 0).any()
    kind = "multiple" if every and whole == "contains" and proper else whole
    return Relation(
        kind,  # type: ignore[arg-type]
        best.evidence,
        tolerance_mm=PASS * own.length,
        deviation_mm=_deviation(best) * own.length,
        count=count,
        mirrored=not proper,
        motion=_motion(single, several, chosen, verdicts) if count == 1 and whole == "contains" else None,
    )


def _verdict(
    single: Subject, own: BodyInvariants, several: Subject, row: BodyInvariants, placed: int
) -> Verdict:
    assert several.features is not None
    found = judge(single.features, several.features.of_body(placed), own, row)
    # A copy of another size is another part.
    return found if found.kind in ("same", "mirrored") else Verdict(None)


def _deviation(verdict: Verdict) -> float:
    return verdict.match.deviation if verdict.match else 0.0


def _motion(
    single: Subject, several: Subject, chosen: list[int], verdicts: dict[int, Verdict]
) -> tuple[tuple[float, ...], ...] | None:
    assert single.features is not None
    assert several.features is not None
    placed = int(np.flatnonzero(np.isin(several.features.sources, chosen))[0])
    match = verdicts[int(several.features.sources[placed])].match
    end = several.features.of_body(placed).origin
    return None if match is None else motion(match, 1.0, single.features.origin, end)
