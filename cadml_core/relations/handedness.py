"""Whether two bodies have the same hand, by the chirality numbers that no motion changes."""

from __future__ import annotations

from typing import Literal

from cadml_core.documents.invariants import BodyInvariants

Hand = Literal["same", "opposite", "none", "unknown"]
"""``none``: neither differs from its mirror image as far as the numbers tell, which proves nothing."""

NONE, SURE = 1e-6, 2.5e-6
"""Numbers up to which there is no hand, and from which there is one; in between it is unknown."""
_AGREEMENT = 0.1
"""By how much of the largest number two parts of one hand may differ."""


def compare_hands(a: BodyInvariants, b: BodyInvariants) -> Hand:
    """Say whether two bodies that agree in all else have the same hand."""
    if a.chirality is None or b.chirality is None:
        return "unknown"
    error = 2.0 * (a.chirality_error + b.chirality_error)
    largest = max(map(abs, (*a.chirality, *b.chirality)))
    if largest <= NONE + error:
        return "none"
    if largest <= SURE + 2.0 * error:
        return "unknown"
    allowed = _AGREEMENT * largest + error
    pairs = list(zip(a.chirality, b.chirality, strict=True))
    if max(abs(one - other) for one, other in pairs) <= allowed:
        return "same"
    if max(abs(one + other) for one, other in pairs) <= allowed:
        return "opposite"
    return "unknown"
