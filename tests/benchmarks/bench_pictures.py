"""What pictures cost: processor time and bytes by kind of file, over a folder of real ones.

    python tests/benchmarks/bench_pictures.py FOLDER [--most 400] [--save OUT]

Files are read in this process, one after the other, in children that end with each hundred, so that a kernel
that crashes costs a line of the table. Times are processor time of the picture alone: the mesh that most
feature versions need as well is listed apart.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

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


def measure(paths: Iterable[str], save: str | None) -> list[Row | str]:
    """Draw files; text stands for a file that cannot be read."""
    registry = load_plugins(load_settings()).registry
    rows: list[Row | str] = []
    for text in paths:
        path = Path(text)
        try:
            with path.open("rb") as file:
                adapter = identify(path, file.read(4096), registry.formats)
            document = adapter.read(path, ReadLimits(view=True))
        except CadmlError as error:
            rows.append(f"{text}: {error.code}")
            continue
        start = time.process_time()
        mesh = document.view.mesh() if document.view is not None and adapter.name != "dxf" else None
        made = time.process_time()
        [drawn], _ = draw_all(document, ("own",), registry.pictures, lambda _step: None)
        end = time.process_time()
        kind = adapter.name
        if kind == "stl" and mesh is not None:
            kind = "stl to 20k" if len(mesh.triangles) <= SMALL else "stl larger"
        rows.append(Row(text, kind, (made - start) * 1e3, (end - made) * 1e3, len(drawn.data), drawn.failure))
        if save and drawn.data:
            suffix = "svg" if drawn.media_type.endswith("xml") else "png"
            name = "__".join(path.parts[-3:])
            (Path(save) / f"{name}.{suffix}").write_bytes(drawn.data)
    return rows


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
    groups = [files[start : start + 100] for start in range(0, len(files), 100)]
    rows: list[Row | str] = []
    deaths = 0
    for group in groups:
        with multiprocessing.get_context("fork").Pool(1) as pool:
            waiting = pool.apply_async(measure, (group, asked.save))
            try:
                rows += waiting.get(timeout=300)
            except multiprocessing.TimeoutError:
                deaths += 1
                print(f"a process ended or took too long between {group[0]} and {group[-1]}")
    by_kind: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if isinstance(row, Row):
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
    print(f"{sum(isinstance(row, str) for row in rows)} files cannot be read, {deaths} processes ended")
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        if isinstance(row, Row) and row.failure:
            reasons[row.failure].append(row.path)
    for reason, paths in sorted(reasons.items(), key=lambda item: -len(item[1])):
        print(f"  {len(paths)} x {reason}: {paths[0]}")


if __name__ == "__main__":
    main()
