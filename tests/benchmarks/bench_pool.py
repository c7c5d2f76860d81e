"""The reader pool against the same work in this process, against itself with one worker, and after a crash.

python tests/benchmarks/bench_pool.py [--files 500]
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from cadml_core.contracts.formats import ReadLimits
from cadml_core.errors import ReaderCrashed
from cadml_core.plugins.loader import load_plugins
from cadml_core.plugins.registry import Registry
from cadml_core.reading.pool import ReaderPool
from cadml_core.reading.reading import read_file
from cadml_core.settings import Settings
from tests.fuzz.samples import write_samples
from tests.integration.evil_readers import FORMATS as EVIL

VERSIONS = ("v4",)
LIMITS = ReadLimits()


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def warm_call(registry: Registry, path: Path, rounds: int = 60) -> tuple[float, float]:
    """Return the medians in this process and through a warm worker, the calls taking turns."""
    here, there = [], []
    with ReaderPool(registry.formats, registry.features, limits=LIMITS, workers=1) as pool:

        def in_process() -> None:
            read_file(
                path,
                formats=registry.formats,
                features=registry.features,
                versions=VERSIONS,
                limits=LIMITS,
            )

        for _ in range(5):
            in_process()
            pool.read(path, VERSIONS)
        for _ in range(rounds):
            here.append(seconds(in_process))
            there.append(seconds(lambda: pool.read(path, VERSIONS)))
    return statistics.median(here), statistics.median(there)


def after_crash(registry: Registry, folder: Path, path: Path, rounds: int = 20) -> tuple[float, float, float]:
    """Return the median of a warm answer, and median and maximum of the one that follows a crash."""
    killer = folder / "killer.segfault"
    killer.write_text("segfault\n")
    formats = {**registry.formats, "segfault": EVIL["segfault"]}
    warm, after = [], []
    with ReaderPool(formats, registry.features, limits=LIMITS, workers=1) as pool:
        for _ in range(5):
            pool.read(path, VERSIONS)
        for _ in range(rounds):
            warm.append(seconds(lambda: pool.read(path, VERSIONS)))
            crashed = isinstance(pool.submit(killer).exception(), ReaderCrashed)
            after.append(seconds(lambda: pool.read(path, VERSIONS)))
            assert crashed, "the killer did not kill"
    return statistics.median(warm), statistics.median(after), max(after)


def batch(registry: Registry, paths: list[Path], workers: int) -> float:
    """Return the time for all files, the pool being warm."""
    with ReaderPool(registry.formats, registry.features, limits=LIMITS, workers=workers) as pool:
        list(pool.map(paths[: 4 * workers], VERSIONS))
        return seconds(lambda: list(pool.map(paths, VERSIONS)))


_registry: Registry | None = None


def _load() -> None:
    global _registry
    logging.disable()
    _registry = load_plugins(Settings(safe_mode=True)).registry


def _read_all(paths: list[Path]) -> None:
    assert _registry is not None
    for path in paths:
        read_file(
            path, formats=_registry.formats, features=_registry.features, versions=VERSIONS, limits=LIMITS
        )


def ceiling(paths: list[Path], processes: int) -> float:
    """Return the time for all files by plain processes, each with its share: what the machine can do."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_load) as executor:
        shares = [paths[number::processes] for number in range(processes)]
        list(executor.map(_read_all, [share[:40] for share in shares]))
        return seconds(lambda: list(executor.map(_read_all, shares)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=500)
    wanted = parser.parse_args()
    logging.disable()
    os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})  # as the pool does for workers
    registry = load_plugins(Settings(safe_mode=True)).registry
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_samples(folder, wanted.files // 4)
        step = next(path for path in paths if path.suffix == ".step")
        print("| job | peer | ms | peer ms | ratio | wanted |")
        print("|---|---|---|---|---|---|")
        for suffix in (".step", ".iges", ".dxf", ".stl"):
            sample = next(path for path in paths if path.suffix == suffix)
            here, there = warm_call(registry, sample)
            row("warm worker call, small " + suffix[1:], "in-process", there, here, there / here, "<= 1.3")
        warm, median, worst = after_crash(registry, folder, step)
        row("first answer after a crash, median", "warm answer", median, warm, median / warm, "<= 150 ms")
        row("first answer after a crash, worst", "warm answer", worst, warm, worst / warm, "<= 150 ms")
        for _ in range(2):
            one, two = batch(registry, paths, 1), batch(registry, paths, 2)
            row(f"{len(paths)} mixed parts, 2 workers", "1 worker", two, one, one / two, ">= 1.7")
            alone, both = ceiling(paths, 1), ceiling(paths, 2)
            row("the same by 2 plain processes", "1 process", both, alone, alone / both, "the ceiling")
            row("the same by 2 workers", "2 plain processes", two, both, two / both, "about 1")


def row(job: str, peer: str, mine: float, theirs: float, ratio: float, wanted: str) -> None:
    """Print one line of the table."""
    print(
        f"| {job} | {peer} | {mine * 1000:.1f} | {theirs * 1000:.1f} | {ratio:.2f} | {wanted} |", flush=True
    )


if __name__ == "__main__":
    main()
