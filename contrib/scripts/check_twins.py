"""Compare the files of one part in several formats: does each say the same as the exact one, in its bound?

    python contrib/scripts/check_twins.py FOLDER [FOLDER ...]

Each folder has a manifest.csv, which tells the files of one part: by the same ``group``, or by a ``base`` and
a ``relation`` that is the same part (``RELATIONS``). Twins are compared with the first exact file of their
part. What a mesh may miss of curved surfaces is what its reader reports, ``facet_quality.volume_error`` and
``area_error``. The script prints the share of twins within the bound, how large the bounds are, and the
others. It ends with 1 where fewer than 99 % of the trusted ones are within it.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from cadml_core import CadDocument
from cadml_core.errors import CadmlError
from cadml_core.plugins.loader import load_plugins
from cadml_core.reading.limits import read_limits
from cadml_core.reading.pool import ReaderPool
from cadml_core.settings import load_settings

RELATIONS = {"identical", "rotated", "inch", "iges", "stl_fine", "stl_coarse", "pair_stl"}
"""How a file relates to a base that is the same part."""
EXACT = ("step", "iges")
EXACT_ERROR = 1e-4
"""Of two exact files: each is integrated to 1e-5 at best, and curves are written to some digits."""
ROUNDING = 2e-6
"""Of a mesh: its corners are rounded to 24 bits or 6 digits."""


class Twin(NamedTuple):
    """One file beside the exact one of the same part; relative differences and their bounds."""

    path: Path
    format: str
    reliable: bool
    volume: float
    volume_bound: float
    area: float
    area_bound: float

    @property
    def agrees(self) -> bool:
        """Whether both differences are within their bounds."""
        return self.volume <= self.volume_bound and self.area <= self.area_bound


def parts(folder: Path) -> Iterator[list[Path]]:
    """Yield the files of each part that has several."""
    groups: dict[str, list[Path]] = defaultdict(list)
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            path = folder / row["path"]
            if row["format"] not in (*EXACT, "stl"):
                continue
            if row.get("group") and row.get("expect") == "ok":
                groups[row["group"]].append(path)
            elif row.get("relation") in RELATIONS and row["base"]:
                groups[row["base"]].append(path)
            elif "base" in row and not row["base"]:
                groups[row["path"]].append(path)
    for files in groups.values():
        if len(files) > 1:
            yield sorted(files, key=lambda path: (path.suffix.lower() == ".stl", path))


def compare(exact: CadDocument, other: CadDocument, path: Path) -> Twin | None:
    """Compare two documents; None where one has no volume."""
    if not (
        exact.mass and other.mass and exact.mass.volume and other.mass.volume and exact.area and other.area
    ):
        return None
    quality = other.facet_quality
    floor = ROUNDING if quality else EXACT_ERROR
    return Twin(
        path,
        other.format,
        exact.mass.reliable and other.mass.reliable,
        abs(other.mass.volume / exact.mass.volume - 1.0),
        floor + (quality.volume_error if quality else 0.0),
        abs(other.area / exact.area - 1.0),
        floor + (quality.area_error if quality else 0.0),
    )


def table(twins: list[Twin]) -> Iterator[str]:
    """Yield a table by format."""
    yield "| format | twins | volume within | area within | both | bound of volume: median | p95 | largest |"
    yield "|---" * 8 + "|"
    for name in sorted({twin.format for twin in twins}):
        group = [twin for twin in twins if twin.format == name]
        bounds = sorted(twin.volume_bound for twin in group)
        cells = [
            name,
            str(len(group)),
            str(sum(twin.volume <= twin.volume_bound for twin in group)),
            str(sum(twin.area <= twin.area_bound for twin in group)),
            f"{sum(twin.agrees for twin in group) / len(group):.1%}",
            f"{statistics.median(bounds):.2g}",
            f"{bounds[int(0.95 * (len(bounds) - 1))]:.2g}",
            f"{bounds[-1]:.2g}",
        ]
        yield "| " + " | ".join(cells) + " |"


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    folders = parser.parse_args().folders
    settings = load_settings()
    registry = load_plugins(settings).registry
    groups = [group for folder in folders for group in parts(folder)]
    with ReaderPool(registry.formats, registry.features, limits=read_limits(settings), workers=2) as pool:

        def read(path: Path) -> CadDocument | None:
            try:
                return pool.read(path, []).document
            except CadmlError:
                return None

        paths = sorted({path for group in groups for path in group})
        with ThreadPoolExecutor(2) as threads:
            documents = dict(zip(paths, threads.map(read, paths), strict=True))
    twins = []
    for group in groups:
        readable = [(path, found) for path in group if (found := documents[path]) is not None]
        if not readable or readable[0][1].format not in EXACT:
            continue
        exact = readable[0][1]
        twins += [twin for path, document in readable[1:] if (twin := compare(exact, document, path))]
    trusted = [twin for twin in twins if twin.reliable]
    if not trusted:
        print("there are no twins")
        return 0
    print(*table(trusted), sep="\n")
    print(f"\n{len(twins) - len(trusted)} further twins have a volume that is marked as not reliable")
    print("\nbeyond the bound:")
    for twin in trusted:
        if not twin.agrees:
            print(
                f"  {twin.path}: volume {twin.volume:.2g} of {twin.volume_bound:.2g},"
                f" area {twin.area:.2g} of {twin.area_bound:.2g}"
            )
    return int(sum(twin.agrees for twin in trusted) < 0.99 * len(trusted))


if __name__ == "__main__":
    sys.exit(main())
