"""Let the vector index fail and come back many times while threads search, and look at every answer.

    python contrib/scripts/stress_degradation.py --cycles 50      # a report in JSON; exit 1 where it failed

No search may fail or name another part than the nearest, whichever way the index fails: by an error, by other
ids or distances, or by parts left out. Every failure must be counted once and every recovery too, the history
stays within its bound, and the waits between probes that fail grow to their limit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from cadml_core.catalog.records import NewPart, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import FeatureVersion
from cadml_core.plugins.loader import load_plugins
from cadml_core.plugins.registry import Registry
from cadml_core.search.index.health import HISTORY, RecoveryPolicy
from cadml_core.search.similarity import SimilaritySearch
from cadml_core.settings import load_settings
from cadml_core.testing.faults import Fault, FaultPlan, FaultyBackend
from cadml_core.testing.stress import StressReport, counted, main, raised, watched

FAULTS: tuple[Fault, ...] = ("raise", "wrong ids", "reversed ids", "halved distances", "not the nearest")
PARTS = 200
PROBES = 8
THREADS = 4
POLICY = RecoveryPolicy()


class SteppedClock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        """Return the seconds since the start."""
        return self.seconds

    def now(self) -> datetime:
        """Return a date that follows."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


class Flapping:
    """A search over parts whose index fails on order."""

    def __init__(self, catalog: Catalog, registry: Registry, feature: FeatureVersion) -> None:
        self.clock, self.plan = SteppedClock(), FaultPlan()
        self.values = np.random.default_rng(0).uniform(0.0, 100.0, (PARTS, len(feature.slots)))
        catalog.add(
            [
                NewPart(id=f"part-{number}", vectors={feature.name: Vector(one, "registered")})
                for number, one in enumerate(self.values)
            ]
        )
        self.search = SimilaritySearch(
            catalog,
            feature,
            FaultyBackend(registry.vectors["faiss"], self.plan),
            fallback=registry.vectors["memory"],
            recovery=POLICY,
            clock=self.clock,
            probing=False,
        )

    def cycle(self, fault: Fault) -> None:
        """Let the index fail, and come back once it is due."""
        self.plan.fail("search", fault)
        while not self.search.indexes.health().degraded:
            self.search.by_values(self.values[0], k=5)
        self.plan.heal()
        self.clock.seconds += POLICY.gap(0)
        if not self.search.indexes.tick():
            raise RuntimeError("an index that works again was not put back into service")

    def waits(self) -> list[float]:
        """Return the seconds between probes while every one of them fails."""
        self.plan.fail("search")
        self.search.by_values(self.values[0], k=5)
        times = []
        for _ in range(PROBES):
            while not self._probed():
                self.clock.seconds += 50.0
            times.append(self.clock.seconds)
        self.plan.heal()
        self.clock.seconds += POLICY.maximum
        self.search.indexes.tick()
        return np.diff(times).tolist()

    def _probed(self) -> bool:
        before = counted("faiss_recovery_attempts_total", result="failure")
        self.search.indexes.tick()
        return counted("faiss_recovery_attempts_total", result="failure") > before


def storm(flapping: Flapping, seed: int, stop: threading.Event, wrong: list[str], asked: list[int]) -> None:
    """Search until told to stop; note every answer that is not right."""
    rng = np.random.default_rng(seed)
    count = 0
    while not stop.is_set():
        number = int(rng.integers(PARTS))
        hits = flapping.search.by_values(flapping.values[number], k=3).hits
        count += 1
        if [hits[0].id, len(hits)] != [f"part-{number}", 3]:
            wrong.append(f"the nearest of part-{number} is {hits[0].id}")
    asked.append(count)


def check(arguments: argparse.Namespace, report: StressReport) -> None:
    """Flap under a storm of searches, then watch the waits."""
    settings = load_settings({"safe_mode": True})
    registry = load_plugins(settings).registry
    wrong: list[str] = []
    asked: list[int] = []
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as folder, Catalog.open(f"sqlite:///{folder}/c.sqlite3") as catalog:
        flapping = Flapping(catalog, registry, registry.features["v3"])
        for fault in FAULTS:  # libraries are loaded, buffers grow
            flapping.cycle(fault)
        events = {
            event: counted("similarity_degraded_total", event=event) for event in ("degraded", "restored")
        }
        threads = [
            threading.Thread(
                target=raised, args=(wrong, lambda seed=seed: storm(flapping, seed, stop, wrong, asked))
            )
            for seed in range(THREADS)
        ]
        with watched(report):
            for thread in threads:
                thread.start()
            for number in range(arguments.cycles):
                flapping.cycle(FAULTS[number % len(FAULTS)])
            stop.set()
            for thread in threads:
                thread.join()
        happened = {
            name: counted("similarity_degraded_total", event=name) - was for name, was in events.items()
        }
        history = flapping.search.indexes.health().degradation_history
        waits = flapping.waits()
        flapping.search.close()
    report.found |= {"searches": sum(asked), "wrong": len(wrong), "events": happened, "waits": waits}
    report.require(not wrong, f"{len(wrong)} searches went wrong: {wrong[:3]}")
    report.require(
        happened == {"degraded": arguments.cycles, "restored": arguments.cycles},
        f"{arguments.cycles} cycles were counted as {happened}",
    )
    report.require(
        len(history) == min(HISTORY, arguments.cycles + len(FAULTS)),
        f"the history has {len(history)} entries",
    )
    expected = [POLICY.gap(failures) for failures in range(1, PROBES)]
    report.require(waits == expected, f"the waits between probes are {waits}, not {expected}")


def parser() -> argparse.ArgumentParser:
    """Return what the command line may say."""
    made = argparse.ArgumentParser(prog=Path(__file__).name, description=__doc__)
    made.add_argument("--cycles", type=int, default=50)
    return made


if __name__ == "__main__":
    sys.exit(main(check, parser()))
