"""What the demo calls found, missed and wrong."""

from __future__ import annotations

import pytest

from cadml_core.relations.relation import Difference, Relation
from cadml_hostapp.demo.findings import judge
from cadml_hostapp.demo.plan import Derivation, Planted

SAME = Relation("same", "features")
VARIANT = Relation("variant", "features", differences=(Difference("thickness", 10.0, 14.0),))


def planted(relation: Derivation, words: str = "") -> Planted:
    """A pair; its files are not looked at."""
    return Planted(relation, "query.step", "partner.step", words)


@pytest.mark.parametrize(
    ("relation", "words", "rank", "said", "outcome"),
    [
        ("turned", "", 1, SAME, "found"),
        ("turned", "", 2, SAME, "missed"),
        ("turned", "", None, SAME, "missed"),
        ("turned", "", 1, Relation("similar", "none"), "missed"),
        ("turned", "", 1, Relation("mirrored", "features"), "wrong"),
        ("mirror", "", None, SAME, "wrong"),
        ("scaled", "1.5 ×", 5, Relation("scaled", "features", scale=1.5), "found"),
        ("scaled", "1.5 ×", 1, Relation("scaled", "features", scale=1.4), "wrong"),
        ("sibling", "14 instead of 10 mm", 5, VARIANT, "found"),
        ("sibling", "14 instead of 10 mm", 6, VARIANT, "missed"),
        ("sibling", "15 instead of 10 mm", 1, VARIANT, "missed"),
        ("sibling", "", 1, SAME, "wrong"),
        ("decoy", "", None, VARIANT, "found"),
        ("decoy", "", None, SAME, "wrong"),
        ("drawing", "", 1, Relation("similar", "none"), "found"),
        ("drawing", "", 2, Relation("similar", "none"), "missed"),
    ],
)
def test_a_pair_is_judged(
    relation: Derivation, words: str, rank: int | None, said: Relation, outcome: str
) -> None:
    """Found needs the rank and the right relation in its words; a false certificate is wrong at any rank."""
    judged, why = judge(planted(relation, words), rank, said)
    assert judged == outcome
    assert bool(why) == (outcome != "found")
