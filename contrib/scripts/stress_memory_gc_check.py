"""Do the same work in rounds, and watch resident memory, Python's allocations and the garbage collector.

    python contrib/scripts/stress_memory_gc_check.py              # JSON; remarks where memory grew
    STRESS_STRICT=1 python contrib/scripts/stress_memory_gc_check.py      # exit 1 where it grew too much

A round registers vectors, searches for them in both metrics, migrates them, looks them up in the feature
cache and removes them again, so that after it there is as much to keep as before. The first rounds are not
measured: caches fill, and libraries are loaded.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from cadml_core.catalog.records import Content, NewPart, Vector
from cadml_core.documents.document import CadDocument
from cadml_core.feature_cache.cache import FeatureCache
from cadml_core.feature_cache.entries import Entry, Key
from cadml_core.runtime import Runtime, build_runtime
from cadml_core.settings import load_settings
from cadml_core.testing.stress import StressReport, main, watched

WARM_UP = 3
EMPTY = CadDocument(format="stl", entity_counts={})
MOST_TRACED_MIB = 2.0
"""Most that Python may have allocated and kept, over all rounds."""


def work(runtime: Runtime, cache: FeatureCache, count: int, seed: int, report: StressReport) -> None:
    """One round."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.0, 100.0, (count, len(runtime.feature.slots)))
    name = runtime.feature.name
    ids = [f"part-{number}" for number in range(count)]
    runtime.catalog.add(
        [NewPart(id=i, vectors={name: Vector(v, "registered")}) for i, v in zip(ids, values, strict=True)]
    )
    for number in range(0, count, max(1, count // 50)):
        nearest = runtime.search.by_id(ids[number], k=5, include_self=True).hits[0].id
        report.require(nearest == ids[number], f"the nearest of {ids[number]} is {nearest}")
        runtime.search.by_id(ids[number], k=5, metric="cosine_raw")
    moved = runtime.migrator.run("v4" if name != "v4" else "v3")
    report.require(moved.by_name == count, f"{moved.by_name} of {count} vectors were migrated")
    for number, vector in enumerate(values):
        content = Content(
            sha256=f"{seed}-{number}", size=1, format="stl", adapter_version="1", document=EMPTY
        )
        key = Key(content.sha256, "stl", "1", None, name)
        cache.put(key, Entry(content, vector, True))
        report.require(cache.get(key) is not None, "the feature cache forgot what it was just given")
    for one in ids:
        runtime.catalog.remove(one)


def check(arguments: argparse.Namespace, report: StressReport) -> None:
    """Warm up, then measure the rounds."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            {"data_dir": folder, "safe_mode": True, "model_dir": str(Path(folder) / "m")}
        )
        with build_runtime(settings) as runtime:
            cache = FeatureCache(settings.feature_cache_capacity, settings.feature_cache_ttl_seconds)
            for seed in range(WARM_UP):
                work(runtime, cache, arguments.vectors, seed, report)
            with watched(report, trace=True):
                for seed in range(WARM_UP, WARM_UP + arguments.rounds):
                    work(runtime, cache, arguments.vectors, seed, report)
            left = len(runtime.catalog.vectors(runtime.feature.name)[0])
            report.found |= {"cached": cache.statistics().size, "left_in_catalogue": left}
    report.require(left == 0, f"{left} vectors were not removed")
    if report.memory.traced_growth > MOST_TRACED_MIB:
        report.excesses.append(
            f"Python kept {report.memory.traced_growth:.1f} MiB, allowed {MOST_TRACED_MIB}"
        )


def parser() -> argparse.ArgumentParser:
    """Return what the command line may say."""
    made = argparse.ArgumentParser(prog=Path(__file__).name, description=__doc__)
    made.add_argument("--rounds", type=int, default=10)
    made.add_argument("--vectors", type=int, default=300, help="of each round")
    return made


if __name__ == "__main__":
    sys.exit(main(check, parser()))
