"""What was asked for lately, kept in the catalogue so that a restarted server knows what to warm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from cadml_core.feature_cache.entries import Statistics

T = TypeVar("T")

_HITS, REFERENCES, _COUNTED = 1000, 1000, 2000
"""Most recent hits, parts of recent batch queries, and counted vectors that are kept."""
_FRESH_SECONDS = 150.0
"""For how long a process counts among those that serve, after it last reported."""


class Wanted(msgspec.Struct, frozen=True, array_like=True):
    """A vector, by content and feature version."""

    sha256: str
    version: str


class Report(msgspec.Struct, frozen=True):
    """What one process's cache did."""

    process: str
    at: float
    """Seconds since the epoch."""
    statistics: Statistics


class Trail(msgspec.Struct, frozen=True, kw_only=True):
    """What every process on a catalogue was asked for."""

    hits: tuple[Wanted, ...] = ()
    """Each once, the newest last."""
    references: tuple[str, ...] = ()
    """Ids of parts of batch queries, each once, the newest last."""
    counts: tuple[tuple[Wanted, int], ...] = ()
    """How often each was hit, the most frequent first."""
    reports: tuple[Report, ...] = ()

    def fresh(self, now: float) -> tuple[Report, ...]:
        """Return the reports of processes that serve."""
        return tuple(one for one in self.reports if abs(now - one.at) <= _FRESH_SECONDS)

    def extended(
        self, hits: Sequence[Wanted], references: Iterable[str], report: Report, now: float
    ) -> Trail:
        """Return the trail with what one process saw since it last said so."""
        counts = Counter(dict(self.counts))
        counts.update(hits)
        others = tuple(one for one in self.reports if one.process != report.process)
        return Trail(
            hits=_newest((*self.hits, *hits), _HITS),
            references=_newest((*self.references, *references), REFERENCES),
            counts=tuple(counts.most_common(_COUNTED)),
            reports=Trail(reports=(*others, report)).fresh(now),
        )

    def by_worth(self, lengths: Mapping[str, int]) -> list[Wanted]:
        """Return the counted vectors by hits for each number that they take, the most first."""
        known = [(wanted, hits) for wanted, hits in self.counts if wanted.version in lengths]
        ranked = sorted(known, key=lambda one: -one[1] / max(1, lengths[one[0].version]))
        return [wanted for wanted, _ in ranked]


def _newest(items: Sequence[T], count: int) -> tuple[T, ...]:
    """Return the last of these that differ, in their order."""
    return tuple(reversed(list(dict.fromkeys(reversed(items)))[:count]))
