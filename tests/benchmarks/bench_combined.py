"""Compare the combined search with the search by v4, over a catalogue of made-up parts.

``python tests/benchmarks/bench_combined.py [PARTS]``, 100,000 by default. Parts are a few hundred designs in
many sizes; each has invariants, an exact feature list and vectors of v4 and shape. Both searches take turns
over the same parts; times are of single searches, of the processor: the very first, which builds the indexes,
then parts that were not asked about before, then the same again.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command sets it, before numpy is loaded

import numpy as np
from rich.console import Console
from rich.table import Table

from cadml_core import BoundingBox, CadDocument
from cadml_core.catalog.records import Content, NewPart, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.documents.feature_list import EDGE_CODES, FACE_CODES, VERTEX, FeatureList, encode_features
from cadml_core.documents.invariants import BodyInvariants, Invariants
from cadml_core.search.combined import CombinedSearch
from cadml_core.search.similarity import SimilaritySearch
from cadml_plugins.features.shape import version as shape
from cadml_plugins.features.v4 import V4
from cadml_plugins.vectors.faiss import FaissBackend

DESIGNS, FEATURES = 400, 150
K, WARM, SEARCHES, FIRST = 10, 200, 200, 10
SHAPE = shape.ShapeVersion()


def feature_list(design: int) -> FeatureList:
    """Made-up faces, edges and vertices of a part about 60 mm long."""
    generator = np.random.default_rng(design)
    codes = np.array([VERTEX, FACE_CODES["plane"], FACE_CODES["cylinder"], *EDGE_CODES.values()], np.uint8)
    kinds = generator.choice(codes, FEATURES)
    sizes = np.where(kinds == VERTEX, 0.0, generator.uniform(1.0, 20.0, FEATURES))
    curved = kinds == FACE_CODES["cylinder"]
    return FeatureList(
        kinds=kinds,
        bodies=np.zeros(FEATURES, np.int32),
        points=generator.normal(0.0, 10.0, (FEATURES, 3)),
        sizes=sizes,
        radii=np.where(curved, -sizes / 4.0, 0.0),
        spreads=np.where(curved, sizes / 3.0, 0.0),
        tensors=np.where(curved[:, None], [0.4, 0.3, 0.3, 0.0, 0.0, 0.0], 0.0),
        origin=(0.0, 0.0, 0.0),
        sources=np.zeros(1, np.int32),
        centres=np.zeros((1, 3)),
    )


class Made:
    """Makes parts: designs in many sizes, so that each has siblings and none of them is another."""

    def __init__(self, count: int) -> None:
        self._generator = np.random.default_rng(0)
        self._lists = [feature_list(design) for design in range(min(DESIGNS, count))]
        self._shapes = np.abs(self._generator.normal(0.0, 0.3, (len(self._lists), len(SHAPE.slots))))
        self._shapes[:, :2] = 1.0

    def part(self, number: int) -> NewPart:
        """Return one."""
        design = number % len(self._lists)
        size = float(np.exp(self._generator.normal(0.0, 0.5)))
        # Siblings differ in form as well, or each part would have hundreds of scaled copies to be proved.
        form = self._generator.normal(1.0, 0.05, 4)
        body = BodyInvariants(
            volume=float(1e4 * form[0] * size**3),
            area=4e3 * size**2,
            moments=tuple(sorted((np.array([50.0, 70.0, 90.0]) * form[1:] * size**2).tolist())),
            chirality=(0.0, 0.0, 0.0, 0.0),
            faces=50,
            edges=70,
            vertices=30,
        )
        document = CadDocument(
            format="step",
            entity_counts={"plane": 40, "cylinder": 10},
            surface_count=50,
            solid_count=1,
            bounding_box=BoundingBox((0.0, 0.0, 0.0), (60.0 * size, 30.0 * size, 10.0 * size)),
            invariants=Invariants(body, (body,)),
        )
        content = Content(
            sha256=f"{number:064x}",
            size=1,
            format="step",
            adapter_version="2",
            document=document,
            features=encode_features(self._lists[design].scaled(size)),
        )
        noise = self._generator.normal(1.0, 0.1, len(SHAPE.slots))
        described = (self._shapes[design] * noise).astype(np.float16).astype(np.float64)
        described[:2] = 1.0
        vectors = {V4.name: Vector(V4.extract(document)), SHAPE.name: Vector(described)}
        return NewPart(id=f"p{number}", name=f"part {number}", content=content, vectors=vectors)


def filled(folder: str, count: int) -> Catalog:
    """Return a catalogue of so many parts."""
    catalog, made = Catalog.open(f"sqlite:///{Path(folder) / 'parts.sqlite3'}"), Made(count)
    for start in range(0, count, 2_000):
        catalog.add([made.part(number) for number in range(start, min(start + 2_000, count))])
    return catalog


def timed(jobs: Sequence[Callable[[str], Any]], ids: Sequence[str]) -> list[list[float]]:
    """Seconds of each search by each job, which take turns."""
    seconds: list[list[float]] = [[] for _ in jobs]
    for part_id in ids:
        for job, found in zip(jobs, seconds, strict=True):
            start = time.thread_time()
            job(part_id)
            found.append(time.thread_time() - start)
    return seconds


def main(count: int) -> None:
    """Print the table, and where the time of combined searches goes."""
    with tempfile.TemporaryDirectory() as folder, filled(folder, count) as catalog:
        plain, by_shape = (SimilaritySearch(catalog, version, FaissBackend()) for version in (V4, SHAPE))
        combined = CombinedSearch([by_shape, plain])
        jobs = (lambda part_id: plain.by_id(part_id, k=K), lambda part_id: combined.by_id(part_id, k=K))
        generator = np.random.default_rng(1)
        ids = [f"p{number}" for number in generator.choice(count, WARM + SEARCHES + FIRST, replace=False)]
        [[built, *_], [built_combined, *_]] = timed(jobs, ids[:1])
        shown = Table("searches", "v4 ms", "combined ms", "ratio", title=f"{count:,} parts, k = {K}")
        shown.add_row("the very first", f"{built * 1e3:.0f}", f"{built_combined * 1e3:.0f}", "")
        timed(jobs, ids[:WARM])
        fresh = timed(jobs, ids[WARM : WARM + SEARCHES])
        again = timed(jobs, ids[WARM : WARM + SEARCHES])
        for name, pair in (("new ones", fresh), ("again", again)):
            for told, place in (("p50", 0.5), ("p95", 0.95)):
                one, other = (float(np.quantile(seconds, place)) for seconds in pair)
                shown.add_row(
                    f"{name}, {told}", f"{one * 1e3:.2f}", f"{other * 1e3:.2f}", f"{other / one:.1f}"
                )
        Console(width=100).print(shown)
        profile = cProfile.Profile()
        profile.runcall(timed, jobs[1:], ids[-50:])
        pstats.Stats(profile).sort_stats("cumulative").print_stats(40)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
