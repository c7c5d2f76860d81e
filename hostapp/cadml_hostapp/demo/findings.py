"""Searches for the planted pairs and reports at which rank each was found."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cadml_core.catalog.paths import path_to_text
from cadml_core.runtime import Runtime
from cadml_hostapp.demo.planted import Planted, Relation, Samples

SEARCHED = 10
MUST_COME_FIRST: tuple[Relation, ...] = ("copy", "twin", "mirror", "other format")
"""Relations that change no slot; a scaled copy differs in size, and may rank lower."""


class Finding(msgspec.Struct, frozen=True):
    """How one planted pair was found."""

    relation: Relation
    query: str
    partner: str
    rank: int | None
    """Of the partner among the hits, from 1; None where it is not among the first ten. Parts with equal
    scores share the best of their ranks."""
    score: float | None

    @property
    def found(self) -> bool:
        """Whether the partner is first, or for a scaled copy anywhere among the hits."""
        return self.rank == 1 if self.relation in MUST_COME_FIRST else self.rank is not None


def look_for(runtime: Runtime, samples: Samples) -> list[Finding]:
    """Search for the partner of every planted part."""
    paths = {
        name: path_to_text(samples.folder / name)
        for pair in samples.planted
        for name in (pair.query, pair.partner)
    }
    parts = runtime.catalog.parts_by_path(paths.values())
    ids = {name: parts[path].id for name, path in paths.items() if path in parts}
    return [_look(runtime, pair, ids) for pair in samples.planted]


def _look(runtime: Runtime, pair: Planted, ids: Mapping[str, str]) -> Finding:
    if pair.query not in ids or pair.partner not in ids:  # one of the files could not be read
        return Finding(pair.relation, pair.query, pair.partner, None, None)
    hits = runtime.search.by_id(ids[pair.query], k=SEARCHED).hits
    scores = {hit.id: round(hit.score, 6) for hit in hits}
    score = scores.get(ids[pair.partner])
    rank = None if score is None else 1 + sum(other > score for other in scores.values())
    return Finding(pair.relation, pair.query, pair.partner, rank, score)
