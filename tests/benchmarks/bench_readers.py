"""Where the time of reading goes, by format and by stage, beside another version of the readers.

    python tests/benchmarks/bench_readers.py FOLDER [--before TREE] [--format step,iges] [--every N]

TREE is a checkout of another version, as ``git archive COMMIT | tar x -C TREE`` makes it. Every file is read
by both in turn, each in a process of its own that has the kernel loaded. Figures are CPU milliseconds of one
thread, the less of two runs, so that other work on the machine hardly shows. A file counts where both read
it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

SUFFIXES = {
    **{".step": "step", ".stp": "step", ".iges": "iges", ".igs": "iges", ".stl": "stl", ".dxf": "dxf"},
}
KERNEL = "cadml_plugins.formats.kernel"
STAGES = {
    "read and transfer": [f"{KERNEL}._exchange:read_step", f"{KERNEL}._exchange:read_iges"],
    "sewing": [f"{KERNEL}._sewing:close"],
    "integrals": [f"{KERNEL}._integrals:FaceIntegrals.add", f"{KERNEL}._geometry:FaceIntegrals.add"],
    "validity": [f"{KERNEL}._topology:is_valid"],
    "cross-check": [f"{KERNEL}._cross_check:volume_of_facets"],
    "box": [f"{KERNEL}._extents:bounding_box"],
    "facet errors": ["cadml_plugins.formats.stl._document:with_errors"],
    "invariants": [
        f"{KERNEL}._brep:identity",
        "cadml_plugins.formats.stl._document:mesh_invariants",
        f"{KERNEL}._faceted:mesh_invariants",
    ],
}
"""What each stage consists of: functions, of which a version has some. The rest has no name of its own."""
SECONDS = 120.0
"""A file that takes longer is left out."""
Row = dict[str, float]
"""CPU milliseconds by stage, and ``total``."""


def serve() -> None:
    """Read the files named on the standard input; answer each with a line of JSON."""
    spent: dict[str, float] = defaultdict(float)
    for stage, names in STAGES.items():
        for name in names:
            with contextlib.suppress(ImportError, AttributeError):
                _watch(name, stage, spent)
    limits = import_module("cadml_core").ReadLimits(max_bytes=1 << 40)
    adapters = {
        name: getattr(import_module(module), f"{name.title()}Adapter")()
        for name, module in {
            "step": f"{KERNEL}.step",
            "iges": f"{KERNEL}.iges",
            "stl": "cadml_plugins.formats.stl.adapter",
            "dxf": "cadml_plugins.formats.dxf.adapter",
        }.items()
    }
    for line in sys.stdin:
        path = Path(json.loads(line))
        adapter = adapters[SUFFIXES[path.suffix.lower()]]
        runs = []
        for _ in range(2):
            spent.clear()
            start = time.process_time()
            try:
                adapter.read(path, limits)
            except Exception as error:  # noqa: BLE001 - whatever it is, the file has no time
                print(f"{path}: {error}", file=sys.stderr)
                break
            runs.append({"total": time.process_time() - start} | spent)
        best = min(runs, key=lambda run: run["total"]) if len(runs) == 2 else {}
        print(json.dumps({stage: seconds * 1000.0 for stage, seconds in best.items()}), flush=True)


def _watch(name: str, stage: str, spent: dict[str, float]) -> None:
    """Add the CPU time of every call of a function to a stage."""
    module, _, attribute = name.partition(":")
    owner: Any = import_module(module)
    *classes, function_name = attribute.split(".")
    for part in classes:
        owner = getattr(owner, part)
    function: Callable[..., object] = getattr(owner, function_name)

    def timed(*args: object, **options: object) -> object:
        start = time.process_time()
        try:
            return function(*args, **options)
        finally:
            spent[stage] += time.process_time() - start

    setattr(owner, function_name, timed)


class Reader:
    """A process that reads files with the readers of one tree; a new one where a file killed it."""

    def __init__(self, tree: Path | None) -> None:
        self._tree = tree
        self._process: subprocess.Popen[str] | None = None

    def read(self, path: Path) -> Row | None:
        """Return the times of a file; None where it was not read."""
        process = self._process or self._start()
        assert process.stdin
        assert process.stdout
        answers: queue.Queue[str] = queue.Queue()
        stdout = process.stdout
        threading.Thread(target=lambda: answers.put(stdout.readline()), daemon=True).start()
        try:
            process.stdin.write(json.dumps(str(path)) + "\n")
            process.stdin.flush()
            answer = answers.get(timeout=SECONDS)
        except (OSError, queue.Empty):
            answer = ""
        if not answer:
            self.close()
            return None
        row: Row = json.loads(answer)
        return row or None

    def _start(self) -> subprocess.Popen[str]:
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # as the pool does for its readers
        if self._tree is not None:
            environment["PYTHONPATH"] = os.pathsep.join(
                [str(self._tree), str(self._tree / "plugins"), str(self._tree / "hostapp")]
            )
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        return self._process

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


Times = dict[Path, tuple[Row | None, Row]]
"""The times before, if asked for, and after."""


def measure(paths: Sequence[Path], before: Path | None) -> Times:
    """Read every file with both versions."""
    new, old = Reader(None), Reader(before) if before else None
    times: Times = {}
    for number, path in enumerate(paths, start=1):
        print(f"\r{number} of {len(paths)} files", end="", file=sys.stderr, flush=True)
        earlier = old.read(path) if old else None
        later = new.read(path)
        if later is not None and (old is None or earlier is not None):
            times[path] = (earlier, later)
    for reader in (new, old):
        if reader:
            reader.close()
    print(file=sys.stderr)
    return times


def percentile_95(values: Sequence[float]) -> float:
    """Return the value that one in twenty exceeds."""
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


def by_format(times: Times) -> Iterator[str]:
    """Yield a table of medians, without invariants and with them."""
    yield "| format | files | before, median | after, without invariants | ratio | invariants: median | p95 |"
    yield "|---" * 7 + "|"
    for name, rows in _groups(times).items():
        extra = [after.get("invariants", 0.0) for _, after in rows]
        bare = [after["total"] - more for (_, after), more in zip(rows, extra, strict=True)]
        known = [before["total"] for before, _ in rows if before]
        cells: list[object] = [name, len(rows), f"{statistics.median(known):.1f}" if known else "-"]
        cells.append(f"{statistics.median(bare):.1f}")
        cells.append(f"{statistics.median(bare) / statistics.median(known):.2f}" if known else "-")
        cells += [f"{statistics.median(extra):.1f}", f"{percentile_95(extra):.1f}"]
        yield "| " + " | ".join(map(str, cells)) + " |"


def by_stage(times: Times) -> Iterator[str]:
    """Yield a table of the stages of each format: sums over its files, before and after, and the slowest."""
    yield "| format | stage | sum before | sum after | p95 before | p95 after | max before | max after |"
    yield "|---" * 8 + "|"
    for name, rows in _groups(times).items():
        for stage in (*STAGES, "rest", "total"):
            columns = [[_stage(row[side], stage) for row in rows] for side in (0, 1)]
            if any(map(any, columns)):
                cells = [
                    f"{figure(column):.0f}" for figure in (sum, percentile_95, max) for column in columns
                ]
                yield f"| {name} | {stage} | " + " | ".join(cells) + " |"


def slowest(times: Times, folder: Path, most: int) -> Iterator[str]:
    """Yield the files that take longest, with their stages."""
    ranked = sorted(times, key=lambda path: -times[path][1]["total"])
    for path in ranked[:most]:
        before, after = times[path]
        stages = [
            f"{stage} {_stage(before, stage):.0f} -> {value:.0f}"
            for stage in ("total", *STAGES, "rest")
            if (value := _stage(after, stage)) >= 1.0
        ]
        yield f"  {path.relative_to(folder)}: {', '.join(stages)}"


def _groups(times: Times) -> dict[str, list[tuple[Row | None, Row]]]:
    groups = defaultdict(list)
    for path, pair in times.items():
        groups[SUFFIXES[path.suffix.lower()]].append(pair)
    return dict(sorted(groups.items()))


def _stage(row: Row | None, stage: str) -> float:
    if row is None:
        return 0.0
    if stage == "rest":
        return row["total"] - sum(row.get(name, 0.0) for name in STAGES)
    return row.get(stage, 0.0)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=os.environ.get("CADML_CORPUS"))
    parser.add_argument("--before", type=Path, help="a checkout of the version to compare with")
    parser.add_argument("--format", help="read files of these formats only, separated by commas")
    parser.add_argument("--every", type=int, default=1, help="read one file in so many")
    parser.add_argument("--slowest", type=int, default=15, help="name so many files")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Print the tables."""
    wanted = arguments()
    if wanted.serve:
        serve()
        return 0
    if wanted.folder is None:
        print("no folder is named, and CADML_CORPUS is not set")
        return 0
    formats = wanted.format.split(",") if wanted.format else list(SUFFIXES.values())
    paths = [
        path for path in sorted(wanted.folder.rglob("*")) if SUFFIXES.get(path.suffix.lower()) in formats
    ]
    times = measure(paths[:: wanted.every], wanted.before)
    if not times:
        print("no file was read")
        return 0
    print("CPU milliseconds\n")
    print(*by_format(times), "", *by_stage(times), "", "slowest, before -> after:", sep="\n")
    print(*slowest(times, wanted.folder, wanted.slowest), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
