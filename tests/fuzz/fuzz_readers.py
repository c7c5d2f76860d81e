"""Damage good files of every format and read them: each must get an answer, and nothing may leak.

    python tests/fuzz/fuzz_readers.py --count 1500 --seed 7 [--formats step,iges] [--seconds 600]

The files are made in code; with ``CADML_CORPUS`` set, small real files below that folder are damaged
too. The same seed makes the same files. ``--keep FOLDER`` keeps every file that killed or stopped a
worker, or that showed a reader raise what it must not. The script ends with 1 where a promise is broken:
an answer without a code, an internal error, an answer later than the limit, a worker, a temporary
file or memory left behind.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import msgspec
import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from cadml_core.contracts.formats import LENGTH_UNITS, ReadLimits, UnitName
from cadml_core.errors import ERROR_CODES, CadmlError
from cadml_core.plugins.loader import load_plugins
from cadml_core.plugins.registry import Registry
from cadml_core.reading.pool import ReaderPool
from cadml_core.reading.reading import Reading
from cadml_core.reading.recording import PoolStatistics
from cadml_core.settings import Settings
from tests.fuzz.mutations import mutate
from tests.fuzz.samples import FORMATS, write_samples

LIMITS = ReadLimits(max_cpu_seconds=5.0, max_seconds=20.0, max_memory_mb=1024)
GRACE_SECONDS = 5.0
"""How much later than the limit an answer may be: a process must be killed on a busy machine."""
GROWTH_ALLOWED = 32 * 1024**2
LARGEST_SEED = 150_000
VERSIONS = ("v1", "v2", "v3", "v4")


class Answer(msgspec.Struct, frozen=True):
    """What came back for one damaged file."""

    format: str
    mutation: str
    file: str
    outcome: str
    """``read``, or the error's code."""
    detail: str
    seconds: float
    broken: str = ""
    """The promise that was broken; empty where none was."""


class Seeds:
    """Good files by format, in memory."""

    def __init__(self, formats: Sequence[str]) -> None:
        self._files: dict[str, list[bytes]] = {name: [] for name in formats}
        with tempfile.TemporaryDirectory() as folder:
            for path in write_samples(Path(folder), 12, formats):
                self._add(path.suffix[1:], path)
        if corpus := os.environ.get("CADML_CORPUS"):
            for path in sorted(Path(corpus).rglob("*")):
                self._add({".stp": "step", ".igs": "iges"}.get(path.suffix.lower(), path.suffix[1:]), path)

    def _add(self, name: str, path: Path) -> None:
        if name in self._files and path.is_file() and 0 < path.stat().st_size <= LARGEST_SEED:
            self._files[name].append(path.read_bytes())

    def damaged(self, name: str, random: Random) -> tuple[str, bytes]:
        """Return what was done to a random file of a format, and the result."""
        files = self._files[name]
        return mutate(random.choice(files), random.choice(files), random)

    def __str__(self) -> str:
        return ", ".join(f"{len(files)} {name}" for name, files in self._files.items())


class Fuzzer:
    """Makes, reads and judges damaged files, in as many threads as the pool has workers."""

    def __init__(self, pool: ReaderPool, seeds: Seeds, folder: Path, keep: Path | None) -> None:
        self._pool = pool
        self._seeds = seeds
        self._folder = folder
        self._keep = keep

    def run(self, jobs: Iterator[tuple[str, str]]) -> list[Answer]:
        """Work off jobs, each a format and a seed."""
        lock = threading.Lock()
        answers: list[Answer] = []

        def work() -> None:
            while True:
                with lock:
                    job = next(jobs, None)
                if job is None:
                    return
                answer = self._answer(*job)
                with lock:
                    answers.append(answer)

        with ThreadPoolExecutor(self._pool.workers) as threads:
            for future in [threads.submit(work) for _ in range(self._pool.workers)]:
                future.result()
        return answers

    def _answer(self, name: str, seed: str) -> Answer:
        mutation, data = self._seeds.damaged(name, Random(seed))
        path = self._folder / f"{seed}.{name}"
        path.write_bytes(data)
        unit: UnitName | None = Random(seed).choice((None, *LENGTH_UNITS))
        start = time.perf_counter()
        result: Reading | BaseException
        try:
            result = self._pool.read(path, VERSIONS, unit=unit)
        # Judging what comes back is the purpose here.
        except BaseException as error:  # noqa: BLE001
            result = error
        seconds = time.perf_counter() - start
        outcome, detail, broken = judge(result, unit)
        if seconds > LIMITS.max_seconds + GRACE_SECONDS:
            broken = f"answered after {seconds:.1f} s"
        answer = Answer(name, mutation, path.name, outcome, detail, seconds, broken)
        if self._keep is not None and (broken or outcome in ("PARSE_CRASHED", "PARSE_TIMEOUT") or detail):
            path.replace(self._keep / path.name)
        else:
            path.unlink()
        return answer


def judge(result: Reading | BaseException, unit: UnitName | None = None) -> tuple[str, str, str]:
    """Return the outcome, a detail worth counting, and the promise that was broken.

    Args:
        result: What came back.
        unit: The unit that was stated.
    """
    if isinstance(result, Reading):
        return "read", "", _broken_by(result, unit)
    if not isinstance(result, CadmlError) or result.code not in ERROR_CODES:
        return type(result).__name__, str(result), "no structured error"
    context = result.context
    detail = context.get("signal") or context.get("reason") if result.code == "PARSE_CRASHED" else None
    if "exception" in context:
        detail = f"{result.message.partition('could not read')[0]}raised {context['exception']}"
    broken = f"internal error: {result.message}" if result.code == "INTERNAL_ERROR" else ""
    return result.code, str(detail or ""), broken


def _broken_by(reading: Reading, unit: UnitName | None) -> str:
    """Return the promise that a reading breaks."""
    document = reading.document
    if set(reading.vectors) != set(VERSIONS) or document.mesh is not None:
        return "an incomplete reading"
    if unit and not document.empty:
        told = any("the unit given" in warning for warning in document.warnings)
        if (document.unit == LENGTH_UNITS[unit].name) == told:
            return f"stated {unit}, read as {document.unit}, told {told}"
    if document.mass and document.bounding_box and document.format == "stl":
        box, centroid = document.bounding_box, document.mass.centroid
        margin = 1e-3 * max(box.extents)
        if not all(
            low - margin <= place <= high + margin
            for low, place, high in zip(box.minimum, centroid, box.maximum, strict=True)
        ):
            return f"a centroid {centroid} outside of the box"
    return ""


def jobs(formats: Sequence[str], count: int, seed: int, until: float) -> Iterator[tuple[str, str]]:
    """Yield the format and the seed of each file, formats in turn, until the count or the time is reached."""
    for number in range(count):
        for name in formats:
            if time.monotonic() > until:
                return
            yield name, f"{seed}-{number}-{name}"


def report(answers: Sequence[Answer], formats: Sequence[str]) -> None:
    """Print a table by format, and what else was seen."""
    print("| format | files | read | refused | crashed | timeout | p50 ms | p95 ms | max ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in formats:
        group = [answer for answer in answers if answer.format == name]
        if not group:
            continue
        counts = Counter(answer.outcome for answer in group)
        crashed, timeout, read = (counts.pop(key, 0) for key in ("PARSE_CRASHED", "PARSE_TIMEOUT", "read"))
        times = sorted(answer.seconds * 1000 for answer in group)
        p50, p95 = times[len(times) // 2], times[int(len(times) * 0.95)]
        cells = (name, len(group), read, counts.total(), crashed, timeout, f"{p50:.0f}", f"{p95:.0f}")
        print("| " + " | ".join(map(str, cells)) + f" | {times[-1]:.0f} |")
    for title, key in (("outcomes", "outcome"), ("details", "detail")):
        seen = Counter((answer.format, getattr(answer, key)) for answer in answers if getattr(answer, key))
        print(
            f"\n{title}:",
            *(f"  {count:6} {' '.join(pair)}" for pair, count in seen.most_common(25)),
            sep="\n",
        )


def leaks(host: psutil.Process, memory: int, temporary: Path, statistics: PoolStatistics) -> list[str]:
    """Return what was left behind, in words."""
    grown = host.memory_info().rss - memory
    found = {
        f"{len(host.children(recursive=True))} processes": bool(host.children(recursive=True)),
        f"{[path.name for path in temporary.iterdir()][:5]} in the temporary folder": any(
            temporary.iterdir()
        ),
        f"{grown / 1024**2:.0f} MiB more in the host": grown > GROWTH_ALLOWED,
    }
    print(
        f"\nworkers: {statistics.started} started, {statistics.crashed} died, {statistics.timed_out} ended"
        f" for time, {statistics.retired} retired; host memory grew by {grown / 1024**2:.1f} MiB"
    )
    return [words for words, true in found.items() if true]


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1500, help="files of each format")
    parser.add_argument("--seconds", type=float, default=3600.0, help="stop after this time")
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path)
    return parser.parse_args()


def fuzz(wanted: argparse.Namespace, registry: Registry, temporary: Path) -> int:
    """Run the session; everything temporary goes to one folder, which must be empty in the end."""
    formats = [name for name in wanted.formats.split(",") if name in registry.formats]
    seeds = Seeds(formats)
    print(f"damaging {seeds} files")
    host = psutil.Process()
    adapters = {name: registry.formats[name] for name in formats}
    with ReaderPool(adapters, registry.features, limits=LIMITS, workers=wanted.workers) as pool:
        pool.allow_reading(temporary)
        fuzzer = Fuzzer(pool, seeds, temporary, wanted.keep)
        fuzzer.run(jobs(formats, 10, wanted.seed + 1, time.monotonic() + 60))  # so that caches are filled
        memory = host.memory_info().rss
        until = time.monotonic() + wanted.seconds
        answers = fuzzer.run(jobs(formats, wanted.count, wanted.seed, until))
        alive = all(
            pool.submit(path, VERSIONS).exception() is None for path in write_samples(temporary, 1, formats)
        )
        statistics = pool.statistics
    for path in temporary.glob("part-*"):
        path.unlink()
    report(answers, formats)
    broken = [f"{answer.file} ({answer.mutation}): {answer.broken}" for answer in answers if answer.broken]
    broken += leaks(host, memory, temporary, statistics)
    if not alive:
        broken.append("the pool no longer reads good files")
    print("\npromises broken:", *(broken or ["none"]), sep="\n  ")
    return 1 if broken else 0


def main() -> int:
    """Run the session in a temporary folder of its own."""
    wanted = arguments()
    if wanted.keep is not None:
        wanted.keep.mkdir(parents=True, exist_ok=True)
    registry = load_plugins(Settings(safe_mode=True)).registry
    with tempfile.TemporaryDirectory(prefix="cadml-fuzz-") as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        try:
            return fuzz(wanted, registry, Path(folder))
        finally:
            tempfile.tempdir = None


if __name__ == "__main__":
    sys.exit(main())
