"""Read labelled parts and write what fit_shape.py and bench_retrieval.py work on.

    python contrib/scripts/describe_parts.py parts.npz FOLDER [FOLDER ...]

Each folder has a ``manifest.csv`` with the columns ``path`` and ``family`` or ``label``; ``relation`` and
``base`` (the path of the part that a variant was made from), where they are there, say which files are the
same part. Without them, files of one name in several formats are. The files are read in this process, so only
files that are trusted should be.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cadml_core import CadmlError, FormatAdapter, MeshRequest, ReadLimits
from cadml_plugins.features.shape.version import ShapeVersion
from cadml_plugins.features.v4 import V4
from cadml_plugins.formats.dxf.adapter import DxfAdapter
from cadml_plugins.formats.kernel.iges import IgesAdapter
from cadml_plugins.formats.kernel.step import StepAdapter
from cadml_plugins.formats.stl.adapter import StlAdapter

ADAPTERS: dict[str, FormatAdapter] = {
    suffix: adapter
    for adapter in (StepAdapter(), IgesAdapter(), StlAdapter(), DxfAdapter())
    for suffix in adapter.suffixes
}
TWINS = ("rotated", "stl_fine", "stl_coarse", "iges", "pair_stl")
"""Relations of files that show the same part in another place or format."""
MEMBERS = ("", "aligned", "turned")
"""Relations of files that are parts of a family in their own right."""


def rows_of(folder: Path) -> Iterator[dict[str, str]]:
    """Yield what the manifest says of each file that can be read: name, path, family, relation and base."""
    with (folder / "manifest.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            path = folder / row["path"]
            if path.suffix.lower() not in ADAPTERS or not path.is_file():
                continue
            family = row.get("family", row.get("label", "")) or ""
            base = f"{folder.name}/{row['base']}" if row.get("base") else ""
            yield {
                "name": f"{folder.name}/{row['path']}",
                "path": str(path),
                "family": f"{folder.name}/{family}" if family else "",
                "relation": row.get("relation", "") or "",
                "base": base,
                "stem": "" if "relation" in row else f"{folder.name}/{path.stem}",
            }


def describe(rows: list[dict[str, str]]) -> dict[str, np.ndarray]:
    """Read the files and return the columns of the table; files that cannot be read are left out."""
    shape, limits = ShapeVersion.__new__(ShapeVersion), ReadLimits(mesh=MeshRequest(), view=True)
    kept, values, plain = [], [], []
    for row in rows:
        path = Path(row["path"])
        try:
            document = ADAPTERS[path.suffix.lower()].read(path, limits)
            values.append(shape.extract(document).astype(np.float16))
        except CadmlError as error:
            print(f"left out: {row['name']}: {error.message}")
            continue
        plain.append(V4.extract(document))
        kept.append(row)
    numbers = {row["name"]: number for number, row in enumerate(kept)}
    stems: dict[str, int] = {}
    for number, row in enumerate(kept):
        if row["stem"] and row["relation"] in MEMBERS and row["path"].lower().endswith((".step", ".stp")):
            stems.setdefault(row["stem"], number)
    bases = [numbers.get(row["base"], stems.get(row["stem"], -1)) for row in kept]
    bases = [base if base != number else -1 for number, base in enumerate(bases)]
    twin = [row["relation"] in TWINS or bool(row["stem"]) for row in kept]
    groups = [base if base >= 0 and same else -1 for base, same in zip(bases, twin, strict=True)]
    for base in [group for group in groups if group >= 0]:
        groups[base] = base
    member = [row["relation"] in MEMBERS and base < 0 for row, base in zip(kept, bases, strict=True)]
    return {
        "names": np.array([row["name"] for row in kept]),
        "families": np.array([row["family"] if own else "" for row, own in zip(kept, member, strict=True)]),
        "relations": np.array(
            [row["relation"] or ("twin" if base >= 0 else "") for row, base in zip(kept, bases, strict=True)]
        ),
        "bases": np.array(bases),
        "groups": np.array(groups),
        "values": np.array(values),
        "v4": np.array(plain),
    }


def main() -> None:
    """Read all folders and write one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--under", action="append", default=[], help="only paths that begin so; repeatable")
    arguments = parser.parse_args()
    rows = [
        row
        for folder in arguments.folders
        for row in rows_of(folder)
        if not arguments.under or row["name"].startswith(tuple(arguments.under))
    ]
    np.savez_compressed(arguments.out, **describe(rows))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
