"""What size the feature cache should have, judged by what it did; a pure function of its statistics."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from cadml_core.feature_cache.entries import Statistics

FEWEST_LOOKUPS = 100
"""Below this nothing is recommended."""
_FULL, _PRESSED, _HARD_PRESSED = 0.9, 0.05, 0.15
_EMPTY, _QUIET = 0.3, 0.01
_SMALLEST, _LARGEST = 100, 10_000_000
_POOR = 0.5


Action = Literal["not_enough_traffic", "keep", "grow", "shrink"]


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """What to set, and why."""

    action: Action
    capacity: int
    """Recommended; the present one where there is nothing to change. Of each process."""
    ttl_seconds: int
    reasons: tuple[str, ...]
    lookups: int
    hit_ratio: float | None
    """None where there was no lookup, as the next."""
    eviction_ratio: float | None
    """Evictions for each lookup."""
    usage: float
    """Entries over capacity."""


def recommend(found: Statistics, processes: int = 1) -> Recommendation:
    """Recommend a capacity.

    Args:
        found: What the caches of so many processes did, in all.
        processes: How many; each has the whole capacity to itself.
    """
    lookups, usage = found.lookups, found.size / (found.capacity * processes)
    evicted = found.evictions / lookups if lookups else 0.0
    action, capacity, reason = _judged(lookups, usage, evicted, found.capacity)
    reasons = [reason]
    if action != "not_enough_traffic" and found.hits / lookups < _POOR and evicted <= _PRESSED:
        reasons.append(_poor(found))
    return Recommendation(
        action=action,
        capacity=capacity,
        ttl_seconds=found.ttl_seconds,
        reasons=tuple(reasons),
        lookups=lookups,
        hit_ratio=round(found.hits / lookups, 4) if lookups else None,
        eviction_ratio=round(evicted, 4) if lookups else None,
        usage=round(usage, 4),
    )


def _judged(lookups: int, usage: float, evicted: float, capacity: int) -> tuple[Action, int, str]:
    if lookups < FEWEST_LOOKUPS:
        needed = f"{lookups} lookups since the size was last set, {FEWEST_LOOKUPS} are needed"
        return "not_enough_traffic", capacity, f"not enough traffic: {needed}"
    pushed = f"{evicted:.1%} of the lookups pushed another vector out"
    if evicted > _HARD_PRESSED:
        return _larger(2.0, capacity, f"{pushed}: twice the capacity")
    if usage > _FULL and evicted > _PRESSED:
        return _larger(1.5, capacity, f"{usage:.0%} full, and {pushed}: half as much again")
    smaller = min(capacity, max(_SMALLEST, int(0.7 * capacity)))
    if usage < _EMPTY and evicted < _QUIET and smaller < capacity:
        return "shrink", smaller, f"only {usage:.0%} full, and almost nothing is pushed out: 70 % is enough"
    return "keep", capacity, f"{usage:.0%} full, {pushed}: it fits"


def _larger(factor: float, capacity: int, reason: str) -> tuple[Action, int, str]:
    larger = max(capacity, min(math.ceil(factor * capacity), _LARGEST))
    return ("grow" if larger > capacity else "keep"), larger, reason


def _poor(found: Statistics) -> str:
    return (
        f"hits are only {found.hits / found.lookups:.0%}, but a longer time to live is not the cure:"
        f" {found.expirations:,} of {found.misses:,} misses met a vector that was too old;"
        " the others asked for contents that had not been seen since the start"
    )
