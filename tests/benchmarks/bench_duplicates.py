"""Measure the search for duplicates on made-up parts with planted copies, and families on labelled parts.

``python tests/benchmarks/bench_duplicates.py [PARTS]`` makes a library in which one part in twenty is a copy,
moved, mirrored, scaled, several times in one file or inside an assembly; runs, checks every pair that was
planted, adds more and runs again. Prints what was found, missed and wrong, seconds and memory.

``... --families DATA_DIR TEXT`` prints how well the families of a catalogue with ``shape`` and ``v4`` vectors
agree with the labels of those of its parts that have TEXT in their path, beside k-means on both.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, v_measure_score

from cadml_core.catalog.store import Catalog
from cadml_core.duplicates.finder import DuplicateFinder
from cadml_core.duplicates.report import Reporter
from cadml_core.duplicates.scope import Scope
from cadml_core.families.clusters import CUT
from cadml_core.families.families import Space
from cadml_plugins.features.shape.version import ShapeVersion
from cadml_plugins.features.v4 import V4

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.services import intake_over
from tests.unit.duplicates.planted import library

SHARE = 0.05
Planted = dict[frozenset[str], str]


def fill(catalog: Catalog, count: int, seed: int) -> Planted:
    """Add a library; returns its planted pairs."""
    planted: Planted = {}
    batch = []
    for part, of in library(count, SHARE, seed):
        batch.append(part)
        if of is not None:
            planted[frozenset((part.id or "", of[0]))] = of[1]
        if len(batch) == 5_000:
            catalog.add(batch)
            batch.clear()
    if batch:
        catalog.add(batch)
    return planted


def duplicates(count: int) -> Table:
    """Run over a library, then over a hundredth more."""
    shown = Table("", "parts", "seconds", "of CPU", "pairs compared", "planted", "missed", "false")
    with tempfile.TemporaryDirectory() as folder, Catalog.open(f"sqlite:///{folder}/c.sqlite3") as catalog:
        finder, planted = DuplicateFinder(intake_over(catalog, {})), Planted()
        for name, more, seed in (("full run", count, 0), ("more", max(count // 100, 100), 1)):
            planted |= fill(catalog, more, seed)
            start, used = time.perf_counter(), time.process_time()
            run = finder.run(meshes=False)
            took = time.perf_counter() - start, time.process_time() - used
            found = certified(catalog)
            missed = sum(found.get(pair) != kind for pair, kind in planted.items())
            row = (
                name,
                run.done,
                *(f"{seconds:.1f}" for seconds in took),
                run.pairs,
                len(planted),
                missed,
                len(found.keys() - planted.keys()),
            )
            shown.add_row(*map(str, row))
        start = time.perf_counter()
        groups = sum(1 for _ in Reporter(catalog, Scope()).groups())
        shown.add_row("report", str(groups), f"{time.perf_counter() - start:.1f}", *[""] * 5)
    shown.caption = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB at most"
    return shown


def certified(catalog: Catalog) -> Planted:
    """Every certified pair of the kind of its group."""
    return {
        frozenset((edge.a, edge.b)): edge.kind
        for one in Reporter(catalog, Scope()).groups()
        for edge in one.edges
        if edge.kind == one.kind and edge.certified
    }


def families(data: str, text: str) -> Table:
    """Compare clusters with labels."""
    shown = Table("", "parts", "clusters", "V-measure", "adjusted Rand index")
    with Catalog.open(f"sqlite:///{data}/catalogue.sqlite3") as catalog:
        for feature, method in ((ShapeVersion(), "families"), (ShapeVersion(), "k-means"), (V4, "k-means")):
            space = Space.of(catalog, feature)
            named = [(part.label, part.path or "") for part in space.parts]
            chosen = [place for place, (label, path) in enumerate(named) if label and text in path]
            labels = np.array([named[place][0] for place in chosen])
            true = len(set(labels))
            if method == "families":
                found = space.cut_at(CUT)[chosen]
            else:
                found = KMeans(true, n_init=10, random_state=0).fit_predict(space.vectors[chosen])
            measures = v_measure_score(labels, found), adjusted_rand_score(labels, found)
            how = "true number" if method == "k-means" else f"cut {CUT}"
            name = f"{method} on {feature.name}, {how}"
            counts = (len(chosen), f"{len(set(found.tolist()))} of {true}")
            shown.add_row(name, *map(str, counts), *(f"{measure:.3f}" for measure in measures))
    return shown


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--families"]:
        Console().print(families(*arguments[1:3]))
    else:
        Console().print(duplicates(int(arguments[0]) if arguments else 10_000))
