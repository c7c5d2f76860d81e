"""Labels for parts that have none, by the parts they are shaped like, with a measured confidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec
import numpy as np

from cadml_core.catalog.records import NewPart
from cadml_core.catalog.store import Catalog
from cadml_core.families.families import Space

_VOTERS = 5
"""The nearest labelled neighbours that vote."""
_BINS = 5
_FEWEST = 20
"""Labelled parts from which a confidence can be measured."""


class Suggestion(msgspec.Struct, frozen=True):
    """A label for a part."""

    part: str
    name: str
    path: str | None
    label: str
    confidence: float
    """Share of the labelled parts with votes like this one whose own label the others told rightly."""


def suggest(space: Space) -> list[Suggestion]:
    """Return a label for each unlabelled part that has labelled neighbours, the surest first.

    The confidence is measured on the labelled parts themselves, each told by the others: it holds for parts
    like those, and says nothing of a kind of part that has no label yet.
    """
    labelled = [place for place, part in enumerate(space.parts) if part.label]
    if len(labelled) < _FEWEST:
        return []
    votes = [_vote(space, place) for place in range(len(space.parts))]
    rates = _rates(
        [(vote[1], vote[0] == space.parts[place].label) for place in labelled if (vote := votes[place])]
    )
    found = [
        Suggestion(part.id, part.name, part.path, vote[0], rates[_bin(vote[1])])
        for part, vote in zip(space.parts, votes, strict=True)
        if vote and not part.label
    ]
    return sorted(found, key=lambda one: (-one.confidence, one.label, one.part))


def accept(catalog: Catalog, chosen: Sequence[Suggestion]) -> int:
    """Give parts the labels that were suggested; those that have got one since keep it. Returns how many."""
    known = catalog.parts_by_id([one.part for one in chosen])
    wanted = [one for one in chosen if one.part in known and not known[one.part].label]
    catalog.add([NewPart(id=one.part, label=one.label) for one in wanted])
    return len(wanted)


def _vote(space: Space, place: int) -> tuple[str, float] | None:
    """Return the label that near parts have most, nearer ones counting more, and its share of the votes."""
    weights: dict[str, float] = defaultdict(float)
    count = 0
    pairs = zip(space.near.indices[place].tolist(), space.near.distances[place].tolist(), strict=True)
    for other, distance in pairs:
        label = space.parts[other].label
        if not label:
            continue
        # Beyond what unrelated parts usually are apart, nobody has a vote.
        if distance > space.unit or count == _VOTERS:
            break
        weights[label] += 1.0 / (0.05 + distance / space.unit)
        count += 1
    if not weights:
        return None
    label = max(sorted(weights), key=weights.__getitem__)
    return label, weights[label] / sum(weights.values())


def _bin(share: float) -> int:
    return min(int(share * _BINS), _BINS - 1)


def _rates(told: Sequence[tuple[float, bool]]) -> list[float]:
    """Return how often votes of each strength were right; two more of each count as all of them together."""
    overall = (sum(correct for _, correct in told) + 1.0) / (len(told) + 2.0)
    right, all_ = np.full(_BINS, 2.0 * overall), np.full(_BINS, 2.0)
    for share, correct in told:
        right[_bin(share)] += correct
        all_[_bin(share)] += 1
    return [round(float(rate), 3) for rate in np.maximum.accumulate(right / all_)]
