"""Which of the waiting jobs is next: kinds of jobs take turns, and what became of a kind is remembered."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Literal, NamedTuple

from cachetools import LRUCache

_KINDS = 1024
_LATEST = 8
_LEAST_TURNS = 8
"""One turn in so many goes to whoever has waited longest, whatever its prospects."""

Outlook = Literal["unknown", "slow", "stuck"]
STUCK = math.inf
"""Instead of the seconds of a job: it was ended."""


class Waiting(NamedTuple):
    """A job that nobody works on."""

    future: Any
    job: Any
    kind: Hashable = None
    """What it has in common with others that take about as long."""


class Turns:
    """A queue in which kinds of jobs take turns; within a kind, first come, first served."""

    def __init__(self) -> None:
        self._kinds: dict[Hashable, deque[Waiting]] = {}
        self._taken = 0

    def __bool__(self) -> bool:
        return bool(self._kinds)

    def __iter__(self) -> Iterator[Waiting]:
        for queue in self._kinds.values():
            yield from queue

    def put(self, waiting: Waiting) -> None:
        """Queue a job."""
        self._kinds.setdefault(waiting.kind, deque()).append(waiting)

    def take(self, preferred: Callable[[Hashable], bool]) -> Waiting:
        """Return the next job: mostly of a preferred kind, where one waits. There must be a job."""
        self._taken += 1
        kind = first = next(iter(self._kinds))
        if self._taken % _LEAST_TURNS:
            kind = next((known for known in self._kinds if preferred(known)), first)
        queue = self._kinds.pop(kind)
        waiting = queue.popleft()
        if queue:
            self._kinds[kind] = queue  # at the end: the others are next
        return waiting

    def give(self, other: Turns, leaves: Callable[[Hashable], bool]) -> None:
        """Hand over every job of some kinds."""
        for kind in [kind for kind in self._kinds if leaves(kind)]:
            for waiting in self._kinds.pop(kind):
                other.put(waiting)

    def clear(self) -> None:
        """Forget all jobs."""
        self._kinds.clear()


class Outcomes:
    """How long the latest jobs of each kind took."""

    def __init__(self) -> None:
        self._seconds: LRUCache[Hashable, deque[float]] = LRUCache(_KINDS)

    def note(self, kind: Hashable, seconds: float) -> None:
        """Note how long a job took, ``STUCK`` where it was ended."""
        latest = self._seconds.get(kind)
        if latest is None:
            latest = self._seconds[kind] = deque(maxlen=_LATEST)
        latest.append(seconds)

    def ends(self, kind: Hashable) -> bool:
        """Tell whether any of the latest jobs of a kind has ended by itself."""
        latest = self._seconds.get(kind)
        return latest is not None and min(latest) < STUCK

    def outlook(self, kind: Hashable, quick_seconds: float) -> Outlook:
        """Say what to expect of a job: ``unknown`` also where any of the latest was quick.

        So a kind of which many hang, but not all, is not held to be hanging.
        """
        latest = self._seconds.get(kind)
        if latest is None or min(latest) <= quick_seconds:
            return "unknown"
        return "slow" if min(latest) < STUCK else "stuck"
