"""Which relations a search may answer: kinds, mirror images, and parts of another size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import msgspec

from cadml_core.errors import InvalidInput
from cadml_core.relations.relation import Kind, Relation

Scale = Literal["any", "same"] | float
"""Parts of any scale, of none but 1, or scaled by so many per cent at most."""
LARGEST_PER_CENT = 1000.0


class Wanted(msgspec.Struct, frozen=True):
    """What a hit must be to the query."""

    kinds: frozenset[Kind] | None = None
    """None: anything."""
    mirror: bool = True
    """Whether mirror images count."""
    scale: Scale = "any"

    def admits(self, relation: Relation) -> bool:
        """Tell whether a hit with this relation is wanted.

        A candidate that may be a mirror image is none for certain, so it stays.
        """
        if self.kinds is not None and relation.kind not in self.kinds:
            return False
        if not self.mirror and relation.certified and (relation.kind == "mirrored" or relation.mirrored):
            return False
        if relation.kind != "scaled" or relation.scale is None or self.scale == "any":
            return True
        return self.scale != "same" and abs(relation.scale - 1.0) <= self.scale / 100.0


EVERYTHING = Wanted()


def wanted(kinds: Iterable[str] = (), *, mirror: bool = True, scale: str | float = "any") -> Wanted:
    """Check what was said.

    Raises:
        InvalidInput: A kind is unknown, or the scale neither a word nor a possible share.
    """
    asked, known = list(kinds), get_args(Kind)
    for kind in asked:
        if kind not in known:
            raise InvalidInput(
                f"relation {kind[:30]!r} is unknown; allowed: {', '.join(known)}",
                stage="similarity",
                field="relations",
            )
    return Wanted(frozenset(asked) or None, mirror, _scale(scale))  # type: ignore[arg-type]


def _scale(text: str | float) -> Scale:
    if text in ("any", "same"):
        return text  # type: ignore[return-value]
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= LARGEST_PER_CENT:
        raise InvalidInput(
            f"scale {str(text)[:30]!r} is not possible; allowed: any, same, or per cent from 0 to"
            f" {LARGEST_PER_CENT:g}",
            stage="similarity",
            field="scale",
        )
    return share


def named(asked: Wanted) -> Sequence[str]:
    """Return the conditions in words."""
    told = [] if asked.kinds is None else [" or ".join(sorted(asked.kinds))]
    if not asked.mirror:
        told.append("no mirror image")
    if asked.scale != "any":
        told.append("of the same size" if asked.scale == "same" else f"scaled by {asked.scale:g} % at most")
    return told
