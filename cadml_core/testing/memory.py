"""Memory of this process, and the work of its garbage collector, while something runs."""

from __future__ import annotations

import resource
import sys
import threading
import time
from pathlib import Path

import msgspec

_SAMPLING_SECONDS = 0.02
_PAGE = resource.getpagesize()


class Memory(msgspec.Struct):
    """What a check took, in MiB of resident memory; and what the garbage collector did."""

    before: float = 0.0
    peak: float = 0.0
    end: float = 0.0
    traced_growth: float = 0.0
    """What Python allocated and did not release; 0 where it was not traced."""
    collections: int = 0
    collecting_seconds: float = 0.0

    @property
    def growth(self) -> dict[str, float]:
        """The ratio of each phase."""
        before = self.before or 1.0
        return {"peak": round(self.peak / before, 4), "end": round(self.end / before, 4)}


def resident_mib() -> float:
    """Return the resident memory of this process in MiB; its highest so far where /proc is missing."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        scale = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1024**2
    return pages * _PAGE / 1024**2


class CollectionClock:
    """Counts and times the garbage collector's work."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._began = 0.0

    def __call__(self, phase: str, _: dict[str, int]) -> None:
        """Be told that a collection starts or stops."""
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._memory.collections += 1
            self._memory.collecting_seconds += time.perf_counter() - self._began


def sample(memory: Memory, done: threading.Event) -> None:
    """Keep the peak up to date until done."""
    while not done.wait(_SAMPLING_SECONDS):
        memory.peak = max(memory.peak, resident_mib())
