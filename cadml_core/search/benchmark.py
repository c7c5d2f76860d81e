"""How well a space tells families, same parts, edited parts and formats, by the truth of a manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from cadml_core.documents.arrays import FloatMatrix, FloatVector
from cadml_core.errors import InvalidInput
from cadml_core.search.bootstrap import Bootstrap, Figure
from cadml_core.search.evaluation import retrieval, rounded
from cadml_core.search.manifest import CHANGED, EDITED, SAME, Entry
from cadml_core.search.spaces import ExactDistances, Space


class Recall(msgspec.Struct, frozen=True):
    """How well queries found the one part they were to find."""

    first: Figure
    """Share of them that found it first, with no other as near."""
    top_5: Figure
    median_rank: float
    """Parts exactly as near share the mean of their ranks."""
    median_score: float


class Benchmark(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one feature version. Intervals are of 95 %, over queries."""

    feature_version: str
    metric: str
    families: dict[str, dict[str, Figure]]
    """Of all members and of those of each relation: mean average precision, P@1, P@5 among members."""
    relations: dict[str, Recall]
    """By relation: the variant asks, and its base is to be found among all parts but variants."""
    same_part: Figure | None
    """First hits of all variants that show the very part of their base; None where there are none."""
    cross_format: dict[str, Recall]
    """``step -> stl`` and the other way, over the pairs, among all parts but variants."""
    auc: dict[str, Figure]
    """How surely the score of a variant tells the same part from an edited one (``same vs edited``), and from
    one that is another part in any way (``same vs other``)."""
    score_one: int
    """Hits of score 1 of all variants that are the same part or surely another ..."""
    score_one_wrong: int
    """... and those of them that are not the same part."""
    differences: dict[str, Figure] = {}
    """What the main figures gain over the first version, over the same queries."""


class Measured:
    """One space, measured query by query.

    Args:
        space: Where distances are measured.
        raw: Raw values, (n, slots).
        entries: What the manifest says of each row; None for a part that it does not name.
        progress: Told how many queries are done, of how many.
    """

    def __init__(
        self,
        space: Space,
        raw: FloatMatrix,
        entries: Sequence[Entry | None],
        progress: Callable[[int, int | None], None] | None = None,
    ) -> None:
        self.space = space
        self._distances = ExactDistances(space, raw)
        self._progress = progress
        named = [(row, entry) for row, entry in enumerate(entries) if entry is not None]
        self._rows = {entry.path: row for row, entry in named}
        self._gallery = np.array(
            [row for row, entry in enumerate(entries) if entry is None or not entry.variant], dtype=np.int64
        )
        members = [(row, entry) for row, entry in named if entry.member]
        self._variants = [(row, entry) for row, entry in named if entry.variant and entry.base in self._rows]
        pairs = [(row, entry) for row, entry in named if entry.paired and entry.base in self._rows]
        self._total = len(members) + len(self._variants) + 2 * len(pairs)
        self._done = 0
        self.member_relations, self.member_figures = self._families(members)
        self.ones = self.wrong_ones = 0
        found = [(entry, self._asked(row, entry)) for row, entry in self._variants]
        self.variants: list[tuple[Entry, FloatVector]] = found
        self.pairs = self._cross(pairs, entries)

    def _families(
        self, members: Sequence[tuple[int, Entry]]
    ) -> tuple[NDArray[np.str_], dict[str, NDArray[np.float64]]]:
        """Return the relation of every query, and its average precision, P@1 and P@5."""
        rows = np.array([row for row, _ in members], dtype=np.int64)
        names = np.array([entry.family for _, entry in members])
        queries = [number for number in range(len(members)) if (names == names[number]).sum() > 1]
        figures = np.empty((len(queries), 3))
        for place, number in enumerate(queries):
            near = self._to(int(rows[number]))[rows]
            figures[place] = retrieval(near, names == names[number], number)
        relations = np.array([members[number][1].relation for number in queries])
        return relations, dict(zip(("mAP", "P@1", "P@5"), figures.T, strict=True))

    def _asked(self, row: int, entry: Entry) -> FloatVector:
        """Return rank and score of a variant's base, and count the hits of score 1."""
        near = self._to(row)
        base = self._rows[entry.base]
        one = self._gallery[near[self._gallery] == 0.0]
        if entry.same_part or entry.other_part:
            self.ones += len(one)
            self.wrong_ones += len(one) - int(entry.same_part and base in one)
        return self._rank(near, base, self._gallery)

    def _cross(
        self, pairs: Sequence[tuple[int, Entry]], entries: Sequence[Entry | None]
    ) -> dict[str, NDArray[np.float64]]:
        """Return ranks and scores of one file of a pair when the other asks, by direction."""
        found: dict[str, list[FloatVector]] = {}
        for row, entry in pairs:
            partner = self._rows[entry.base]
            other = entries[partner]
            for query, wanted, one, two in (
                (partner, row, other.format if other else "", entry.format),
                (row, partner, entry.format, other.format if other else ""),
            ):
                others = self._gallery[self._gallery != query]
                found.setdefault(f"{one} -> {two}", []).append(self._rank(self._to(query), wanted, others))
        return {direction: np.array(several) for direction, several in found.items()}

    def _to(self, row: int) -> FloatVector:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)
        return rounded(self._distances.to(row))

    def _rank(self, near: FloatVector, wanted: int, among: NDArray[np.int64]) -> FloatVector:
        others, own = near[among[among != wanted]], near[wanted]
        rank = 1.0 + (others < own).sum() + (others == own).sum() / 2.0
        return np.array([rank, self.space.scores(self.space.shown(own))])


def benchmark(
    measured: Measured, baseline: Measured | None = None, bootstrap: Bootstrap | None = None
) -> Benchmark:
    """Work out the figures of one space.

    Args:
        measured: The space.
        baseline: Another one over the same parts, for the differences.
        bootstrap: Draws the samples for the intervals.

    Raises:
        InvalidInput: The catalogue holds nothing of the manifest that could be asked.
    """
    draw = bootstrap or Bootstrap()
    figures, relations = measured.member_figures, measured.member_relations
    if not len(relations) and not measured.variants and not measured.pairs:
        raise InvalidInput(
            "the catalogue holds neither two parts of one family, nor a variant with its base, nor a pair of"
            " this manifest; ingest the folder that it lies in",
            stage="evaluate",
        )
    groups = {"all": np.ones(len(relations), dtype=bool)}
    groups |= {str(name): relations == name for name in np.unique(relations)}
    by_relation: dict[str, list[FloatVector]] = {}
    for entry, answer in measured.variants:
        by_relation.setdefault(entry.relation, []).append(answer)
    main = _main(measured)
    return Benchmark(
        feature_version=measured.space.feature.name,
        metric=measured.space.name,
        families={
            group: {name: draw.mean(values[chosen]) for name, values in figures.items()}
            for group, chosen in groups.items()
            if chosen.any()
        },
        relations={
            name: _recall(np.array(by_relation[name]), draw) for name in sorted(by_relation, key=_order)
        },
        same_part=draw.mean(main["same part"]) if "same part" in main else None,
        cross_format={name: _recall(answers, draw) for name, answers in sorted(measured.pairs.items())},
        auc={name: draw.auc(*samples) for name, samples in _samples(measured).items()},
        score_one=measured.ones,
        score_one_wrong=measured.wrong_ones,
        differences={} if baseline is None else _differences(measured, baseline, draw),
    )


def _main(measured: Measured) -> dict[str, FloatVector]:
    """The figures to compare versions by, query by query."""
    main = dict(measured.member_figures) if len(measured.member_relations) else {}
    same = [answer[0] <= 1.0 for entry, answer in measured.variants if entry.same_part]
    if same:
        main["same part"] = np.array(same, dtype=np.float64)
    return main | {name: (found[:, 0] <= 1.0).astype(np.float64) for name, found in measured.pairs.items()}


def _samples(measured: Measured) -> dict[str, tuple[FloatVector, FloatVector]]:
    """Scores of variants that are the same part, and of those that are not."""
    scores = [(entry, float(answer[1])) for entry, answer in measured.variants]
    same = np.array([score for entry, score in scores if entry.same_part])
    edited = np.array([score for entry, score in scores if entry.relation in EDITED])
    other = np.array([score for entry, score in scores if entry.other_part])
    found = {"same vs edited": (same, edited), "same vs other": (same, other)}
    return {name: samples for name, samples in found.items() if all(map(len, samples))}


def _differences(measured: Measured, baseline: Measured, draw: Bootstrap) -> dict[str, Figure]:
    before, now = _main(baseline), _main(measured)
    found = {name: draw.mean(now[name] - before[name]) for name in now}
    first, second = _samples(baseline), _samples(measured)
    return found | {name: draw.auc_difference(first[name], second[name]) for name in second}


def _recall(answers: NDArray[np.float64], draw: Bootstrap) -> Recall:
    ranks, scores = answers.T
    return Recall(
        first=draw.mean((ranks <= 1.0).astype(np.float64)),
        top_5=draw.mean((ranks <= 5.0).astype(np.float64)),
        median_rank=float(np.median(ranks)),
        median_score=float(np.median(scores)),
    )


def _order(relation: str) -> tuple[int, str]:
    known: Mapping[str, int] = {
        name: number for number, name in enumerate((*SAME, "mirrored", *EDITED, *CHANGED))
    }
    return known.get(relation, len(known)), relation
