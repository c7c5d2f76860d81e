"""What pictures cost: processor time and bytes by kind of file, over a folder of real ones.

    python tests/benchmarks/bench_pictures.py FOLDER [--most 400] [--save OUT]

Files are read one after the other in a child; where it dies, the file is named, with what was done to it, and
another child goes on with the next. Times are processor time of the picture alone: the mesh that most
feature versions need as well is listed apart.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cadml_core import ReadLimits
from cadml_core.errors import CadmlError
from cadml_core.plugins.loader import load_plugins
from cadml_core.reading.detection import identify
from cadml_core.reading.drawing import draw_all
from cadml_core.settings import load_settings

SMALL = 20_000
"""Facets up to which STL files are listed apart."""


class Row(msgspec.Struct):
    """What one picture cost."""

    path: str
    kind: str
    mesh_ms: float
    ms: float
    size: int
    failure: str


def measure(paths: Sequence[str], save: str | None, log: Path) -> None:
    """Draw files; the log gets a line for each step, and one for each result."""
    registry = load_plugins(load_settings()).registry
    with log.open("ab", buffering=0) as lines:

        def write(*items: object) -> None:
            lines.write(msgspec.json.encode(items) + b"\n")

        for text in paths:
            path = Path(text)
            write("reading", text)
            signal.alarm(120)
            try:
                with path.open("rb") as file:
                    adapter = identify(path, file.read(4096), registry.formats)
                document = adapter.read(path, ReadLimits(view=True))
            except CadmlError as error:
                write("refused", text, error.code)
                continue
            write("drawing", text)
            start = time.process_time()
            mesh = document.view.mesh() if document.view is not None and adapter.name != "dxf" else None
            made = time.process_time()
            [drawn], _ = draw_all(document, ("own",), registry.pictures, lambda _step: None)
            end = time.process_time()
            kind = adapter.name
            if kind == "stl" and mesh is not None:
                kind = "stl to 20k" if len(mesh.triangles) <= SMALL else "stl larger"
            row = Row(text, kind, (made - start) * 1e3, (end - made) * 1e3, len(drawn.data), drawn.failure)
            write("done", text, row)
            if save and drawn.data:
                suffix = "svg" if drawn.media_type.endswith("xml") else "png"
                (Path(save) / f"{'__'.join(path.parts[-3:])}.{suffix}").write_bytes(drawn.data)


def measured(files: Sequence[str], save: str | None, log: Path) -> Iterator[list[Any]]:
    """Yield the last line of each file, as often as children are needed."""
    left = list(files)
    while left:
        log.unlink(missing_ok=True)
        child = multiprocessing.get_context("fork").Process(target=measure, args=(left, save, log))
        child.start()
        child.join()
        last = {line[1]: line for line in map(msgspec.json.decode, log.read_bytes().splitlines())}
        yield from last.values()
        if child.exitcode == 0:
            return
        left = left[len(last) :]


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, default=0, help="evenly chosen files; 0: all")
    parser.add_argument("--save", help="folder for the pictures")
    asked = parser.parse_args()
    suffixes = {".step", ".stp", ".p21", ".iges", ".igs", ".stl", ".dxf"}
    files = sorted(str(path) for path in asked.folder.rglob("*") if path.suffix.lower() in suffixes)
    if asked.most:
        files = files[:: max(1, len(files) // asked.most)]
    log = Path(tempfile.mkdtemp()) / "log"
    lines = list(measured(files, asked.save, log))
    by_kind: defaultdict[str, list[Row]] = defaultdict(list)
    for step, _, *rest in lines:
        if step == "done":
            row = msgspec.convert(rest[0], Row)
            by_kind[row.kind].append(row)
    print(f"{'kind':12} {'files':>6} {'drawn':>6} {'median ms':>10} {'p95 ms':>8} {'max ms':>8}", end="")
    print(f" {'mesh ms':>8} {'median B':>9} {'p95 B':>8} {'max B':>8}")
    for kind, found in sorted(by_kind.items()):
        drawn = [row for row in found if row.size] or found
        times, sizes = [row.ms for row in drawn], [float(row.size) for row in drawn]
        print(
            f"{kind:12} {len(found):6} {sum(bool(row.size) for row in found):6}"
            f" {statistics.median(times):10.1f} {_percentile(times, 0.95):8.1f} {max(times):8.1f}"
            f" {statistics.median(row.mesh_ms for row in found):8.1f}"
            f" {statistics.median(sizes):9.0f} {_percentile(sizes, 0.95):8.0f} {max(sizes):8.0f}"
        )
    steps = Counter(line[0] for line in lines)
    print(
        f"{steps['refused']} files cannot be read; processes that ended: {steps['reading']} while a file was"
    )
    print(f"read, {steps['drawing']} while it was drawn")
    for step, path, *_ in lines:
        if step in ("reading", "drawing"):
            print(f"  {step}: {path}")
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for row in (row for found in by_kind.values() for row in found if row.failure):
        reasons[row.failure].append(row.path)
    for reason, paths in sorted(reasons.items(), key=lambda item: -len(item[1])):
        print(f"  {len(paths)} x {reason}: {paths[0]}")


if __name__ == "__main__":
    main()
