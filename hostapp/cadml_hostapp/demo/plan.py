"""What is derived from which part, and what the product should say of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

from cadml_core.relations.relation import Kind
from cadml_hostapp.demo import solids
from cadml_hostapp.demo.solids import Solid

Derivation = Literal[
    "copy",
    "twin",
    "turned",
    "inch",
    "other format",
    "fine mesh",
    "coarse mesh",
    "mirror",
    "symmetric mirror",
    "scaled",
    "sibling",
    "edited hole",
    "hole more",
    "two bodies",
    "assembly",
    "component",
    "turned assembly",
    "decoy",
    "drawing",
    "turned drawing",
]


class Expected(NamedTuple):
    """What is right to say of a derived part."""

    told: str
    """The derivation, in words."""
    kind: Kind | None
    """The relation to the part it was made from; None where a certificate would be wrong."""
    within: int | None = 1
    """The rank among the hits up to which that part counts as found; None where it need not be."""


EXPECTED: dict[Derivation, Expected] = {
    "copy": Expected("same file, other name", "identical"),
    "twin": Expected("same part, moved", "same"),
    "turned": Expected("same part, turned", "same"),
    "inch": Expected("same part, in inches", "same"),
    "other format": Expected("same part, as IGES", "same"),
    "fine mesh": Expected("same part, as a fine mesh", "same"),
    "coarse mesh": Expected("same part, as a coarse mesh", "same"),
    "mirror": Expected("mirror image", "mirrored"),
    "symmetric mirror": Expected("mirror image of a symmetric part", "same"),
    "scaled": Expected("scaled 1.5 times", "scaled", 5),
    "sibling": Expected("14 mm thick instead of 10", "variant", 5),
    "edited hole": Expected("another hole diameter", "variant", 5),
    "hole more": Expected("one hole more", "variant", 5),
    "two bodies": Expected("two of it in one file", "multiple", 5),
    "assembly": Expected("an assembly with it", "contains", 5),
    "component": Expected("a part in it", "part_of", 5),
    "turned assembly": Expected("the same assembly, turned", "same"),
    "decoy": Expected("another part of equal volume", None, None),
    "drawing": Expected("same drawing, moved", None),
    "turned drawing": Expected("same drawing, turned", None),
}


LIMITS: dict[str, str] = {
    "bodies": "searches compare whole files, so an assembly may rank far from its parts",
    "thick walls": "where a change resizes most faces, too few agree to call it a variant",
    "faceted": "facets that stand far off the surface leave it undecided",
    "part of an assembly": "an assembly of several parts in another assembly is not sought",
}
"""Known limits, in words that follow a count of pairs that are missed for them."""


class Plant(NamedTuple):
    """A part to derive from another."""

    derivation: Derivation
    family: str
    number: int
    """Of the part's size, from 1."""
    change: Callable[[Solid], Solid] = lambda solid: solid
    words: str = ""
    """What an answer must say beside the kind."""
    suffix: str = ".step"
    inch: bool = False
    deflection: float = 0.05
    limit: str = ""
    """The one of ``LIMITS`` for which it is missed."""


def _turned(degrees: float, *along: float) -> Callable[[Solid], Solid]:
    return lambda solid: solids.moved(
        solids.turned(solid, (along[0], along[1], along[2]), degrees), (7, -3, 11)
    )


def _moved(solid: Solid) -> Solid:
    return solids.moved(solid, (12.0, -7.0, 30.0))


def _larger(solid: Solid) -> Solid:
    return solids.scaled(solid, 1.5)


def _twice(solid: Solid) -> Solid:
    return solids.together(solid, solids.moved(solid, (0.0, 400.0, 0.0)))


def _assembled(solid: Solid) -> Solid:
    pin, cover = solids.cylinder(4, 60, (0, 300, 0)), solids.box((90, 30, 5), (0, 340, 0))
    return solids.together(pin, _turned(90, 0, 0, 1)(solid), cover)


PLAN: tuple[Plant, ...] = (
    Plant("twin", "plate", 2, _moved),
    Plant("twin", "housing", 1, _moved),
    Plant("turned", "plate", 3, _turned(90, 0, 0, 1), "turned 90° about z"),
    Plant("turned", "channel", 2, _turned(90, 1, 0, 0)),
    Plant("turned", "bracket", 2, _turned(37, 1, 2, 3), "turned 37°"),
    Plant("inch", "nozzle", 1, inch=True),
    Plant("inch", "angle", 4, _turned(180, 1, 0, 0), inch=True),
    Plant("other format", "washer", 2, suffix=".iges"),
    Plant("other format", "channel", 3, suffix=".iges"),
    Plant("other format", "nozzle", 4, suffix=".iges"),
    Plant("fine mesh", "flange", 3, suffix=".stl", deflection=0.02),
    Plant("fine mesh", "bracket", 4, _turned(90, 0, 1, 0), suffix=".stl", deflection=0.02),
    Plant("coarse mesh", "plate", 1, suffix=".stl", deflection=0.5),
    Plant("coarse mesh", "shaft", 2, _turned(90, 0, 1, 0), suffix=".stl", deflection=0.5),
    Plant("coarse mesh", "tube", 2, suffix=".stl", deflection=2.0),
    Plant("coarse mesh", "washer", 4, suffix=".stl", deflection=6.0, limit="faceted"),
    Plant("mirror", "bracket", 1, solids.mirrored),
    Plant("mirror", "bracket", 3, solids.mirrored),
    Plant("mirror", "angle", 3, lambda solid: _turned(90, 1, 0, 0)(solids.mirrored(solid))),
    Plant("symmetric mirror", "housing", 2, solids.mirrored),
    Plant("scaled", "shaft", 1, _larger, "1.5 ×"),
    Plant("scaled", "tube", 4, _larger, "1.5 ×"),
    Plant("scaled", "plate", 4, _larger, "1.5 ×"),
    Plant(
        "sibling",
        "angle",
        1,
        lambda _: solids.bracket(90, 70, 40, 14),
        "14 instead of 10 mm",
        limit="thick walls",
    ),
    Plant("sibling", "cover", 2, lambda _: solids.plate(135, 80, 14, (2, 2), 9), "14 instead of 10 mm"),
    Plant(
        "edited hole", "flange", 2, lambda solid: solids.drilled(solid, 60, (0, 0)), "Ø 60 instead of 48.6"
    ),
    Plant("edited hole", "nozzle", 3, lambda solid: solids.drilled(solid, 13, (0, 0)), "Ø 13 instead of 12"),
    Plant("hole more", "channel", 4, lambda solid: solids.drilled(solid, 9, (60, 20)), "1 hole Ø 9 mm more"),
    Plant("two bodies", "nozzle", 2, _twice, "2 × this part"),
    Plant("two bodies", "bracket", 1, _twice, "2 × this part", limit="bodies"),
    Plant("assembly", "housing", 4, _assembled, "contains this part"),
    Plant("assembly", "flange", 4, _assembled, "contains this part"),
    Plant("assembly", "bearing", 1, _assembled, "contains this part", limit="part of an assembly"),
    Plant(
        "component", "bearing", 3, lambda _: solids.tube(57, 0.86 * 57, 19), "is part of it", limit="bodies"
    ),
    Plant("component", "bearing", 4, lambda _: solids.ball(13), "is part of it, 16 ×", limit="bodies"),
    Plant("turned assembly", "bearing", 2, _turned(90, 1, 0, 0)),
    Plant("decoy", "hub", 2, lambda _: solids.clocked(54, 12, 5)),
    Plant("decoy", "hub", 3, lambda _: solids.clocked(76, 14, 17)),
)
"""Solids that are derived from sample parts; each has a file of its own beside them."""


class Planted(msgspec.Struct, frozen=True):
    """Two files and how they are related."""

    relation: Derivation
    query: str
    """File name, below the sample folder."""
    partner: str
    words: str = ""
    """What an answer must say beside the kind."""
    limit: str = ""
    """The one of ``LIMITS`` for which it is missed."""

    @property
    def expected(self) -> Expected:
        """What is right to say of it."""
        return EXPECTED[self.relation]
