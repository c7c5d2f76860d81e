"""Read every file of a folder in the reader pool and print a table by format.

    python contrib/scripts/check_readers.py FOLDER [--manifest FOLDER/manifest.csv] [--slowest 5]

A manifest has the columns ``path`` (below the folder), ``format`` and ``expect`` (``ok``, ``error``,
``empty`` or anything else for no expectation); without one, every file that has the suffix of an
installed format is read. The script ends with 1 where a reader process was left behind and, with
``--strict``, where a reading differs from what was expected.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import psutil

from cadml_core.contracts.formats import FormatAdapter
from cadml_core.errors import CadmlError
from cadml_core.plugins.loader import load_plugins
from cadml_core.reading.detection import display
from cadml_core.reading.limits import read_limits
from cadml_core.reading.pool import ReaderPool
from cadml_core.settings import load_settings

COLUMNS = (
    "format", "files", "read", "refused", "empty", "crashed", "timeout", "not as expected", "p50 ms",
    "p95 ms", "max ms",
)  # fmt: skip
EXPECTED = {"ok": "read", "error": "refused", "empty": "empty"}


class Candidate(msgspec.Struct, frozen=True):
    """One file to read, and what is expected of it."""

    path: Path
    format: str
    expect: str = ""


class Result(msgspec.Struct, frozen=True):
    """What became of one file."""

    candidate: Candidate
    outcome: str
    """``read``, ``empty`` or ``refused``."""
    code: str
    message: str
    seconds: float
    warnings: int = 0

    @property
    def surprising(self) -> bool:
        """True where something else was expected."""
        return EXPECTED.get(self.candidate.expect, self.outcome) != self.outcome


def from_manifest(folder: Path, manifest: Path) -> list[Candidate]:
    """Return the files that a manifest lists."""
    with manifest.open(newline="", encoding="utf-8") as file:
        return [
            Candidate(folder / row["path"], row["format"], row.get("expect", ""))
            for row in csv.DictReader(file)
        ]


def from_folder(folder: Path, formats: Mapping[str, FormatAdapter]) -> list[Candidate]:
    """Return every file with the suffix of an installed format."""
    by_suffix = {suffix: adapter.name for adapter in formats.values() for suffix in adapter.suffixes}
    return [
        Candidate(path, by_suffix[path.suffix.lower()])
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in by_suffix and path.is_file()
    ]


def read(pool: ReaderPool, candidate: Candidate, versions: Sequence[str]) -> Result:
    """Read one file and time it."""
    start = time.perf_counter()
    try:
        reading = pool.read(candidate.path, versions)
    except CadmlError as error:
        return Result(candidate, "refused", error.code, error.message, time.perf_counter() - start)
    seconds = time.perf_counter() - start
    outcome = "empty" if reading.document.empty else "read"
    return Result(candidate, outcome, "", "", seconds, len(reading.document.warnings))


def table(results: Iterable[Result]) -> str:
    """Return the table by format, seconds in milliseconds."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        groups[result.candidate.format].append(result)
        groups["all"].append(result)
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    for name in sorted(groups, key=lambda name: (name == "all", name)):
        group = groups[name]
        count = Counter(result.outcome for result in group)
        codes = Counter(result.code for result in group)
        p50, p95 = np.percentile([result.seconds * 1000 for result in group], [50, 95])
        slowest = max(result.seconds for result in group) * 1000
        cells = (
            name, len(group), count["read"], count["refused"], count["empty"], codes["PARSE_CRASHED"],
            codes["PARSE_TIMEOUT"], sum(result.surprising for result in group),
            f"{p50:.0f}", f"{p95:.0f}", f"{slowest:.0f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def describe(result: Result, folder: Path) -> str:
    """Return one line on a file."""
    path = result.candidate.path
    shown = display(path.relative_to(folder) if path.is_relative_to(folder) else path)
    said = f" {result.code}: {result.message}" if result.code else ""
    expected = f" (expected {result.candidate.expect})" if result.candidate.expect else ""
    return f"{shown}: {result.outcome}{expected} in {result.seconds * 1000:.0f} ms{said}"


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--versions", default="v4", help="feature versions to extract, separated by commas")
    parser.add_argument("--only", help="read this format only")
    parser.add_argument("--slowest", type=int, default=5, help="how many of the slowest files to list")
    parser.add_argument("--strict", action="store_true", help="fail where something else was expected")
    parser.add_argument("--json", type=Path, help="write every result to this file as JSON lines")
    return parser.parse_args()


def main() -> int:
    """Run the check."""
    wanted = arguments()
    settings = load_settings()
    registry = load_plugins(settings).registry
    candidates = (
        from_manifest(wanted.folder, wanted.manifest)
        if wanted.manifest
        else from_folder(wanted.folder, registry.formats)
    )
    if wanted.only:
        candidates = [candidate for candidate in candidates if candidate.format == wanted.only]
    if not candidates:
        print(f"no files to read in {wanted.folder}", file=sys.stderr)
        return 2
    versions = [name for name in wanted.versions.split(",") if name]
    host = psutil.Process()
    start = time.perf_counter()
    with (
        ReaderPool(
            registry.formats, registry.features, limits=read_limits(settings), workers=settings.worker_count
        ) as pool,
        ThreadPoolExecutor(settings.worker_count) as threads,
    ):
        pool.allow_reading(wanted.folder)
        pool.start(wait=True)
        results = list(threads.map(lambda candidate: read(pool, candidate, versions), candidates))
        statistics = pool.statistics
    left = host.children(recursive=True)
    print(table(results))
    print(
        f"\n{len(results)} files in {time.perf_counter() - start:.1f} s with {statistics.workers} workers;"
        f" workers died {statistics.crashed}, ended for time {statistics.timed_out}, retired"
        f" {statistics.retired}, left behind {len(left)}; host memory"
        f" {host.memory_info().rss / 1024**2:.0f} MiB"
    )
    print("\nrefusals:", dict(Counter(result.code for result in results if result.code).most_common()))
    surprising = [result for result in results if result.surprising]
    for title, group in (
        ("not as expected", surprising),
        ("slowest", sorted(results, key=lambda result: -result.seconds)[: wanted.slowest]),
    ):
        print(f"\n{title}:", *(describe(result, wanted.folder) for result in group), sep="\n  ")
    if wanted.json:
        with wanted.json.open("w", encoding="utf-8") as file:
            for result in results:
                row = {**msgspec.structs.asdict(result), "candidate": display(result.candidate.path)}
                file.write(json.dumps(row) + "\n")
    return 1 if left or (surprising and wanted.strict) else 0


if __name__ == "__main__":
    sys.exit(main())
