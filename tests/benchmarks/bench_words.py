"""Measure filters by words and by size: the median search over a catalogue of made-up names.

``python tests/benchmarks/bench_words.py [PARTS]``, by default 100,000. Every search has another filter, so
that none is remembered.
"""

from __future__ import annotations

import hashlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from cadml_core import BoundingBox, CadDocument
from cadml_core.catalog.records import Content, NewPart, PartFilter, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.search.similarity import SimilaritySearch
from cadml_core.search.sizes import sized
from cadml_plugins.features.v4 import V4
from cadml_plugins.vectors.faiss import FaissBackend

WORDS = ["bolt", "nut", "flange", "washer", "bracket", "housing", "gear", "spring", "shaft", "plate"]
ROUNDS = 25
Filter = Callable[[int], PartFilter | None]


def parts(count: int, raw: np.ndarray[Any, Any]) -> Iterator[NewPart]:
    """Yield parts in folders of projects, each with a label, two layers and values."""
    draw = random.Random(0)
    for number in range(count):
        layers = (f"{draw.choice(WORDS)} {draw.randrange(1000)}", f"DIN{draw.randrange(10_000)}")
        extents = (float(raw[number, 1]), float(raw[number, 2]), float(raw[number, 3]))
        document = CadDocument(
            format="step",
            entity_counts={"plane": 6},
            bounding_box=BoundingBox((0.0, 0.0, 0.0), extents),
            layers=layers,
        )
        folder = f"/srv/cad/project-{draw.randrange(100)}/{draw.choice(WORDS)}"
        yield NewPart(
            path=f"{folder}/{draw.choice(WORDS)}-{number:06d}.step",
            label=draw.choice(WORDS),
            content=Content(
                sha256=hashlib.sha256(str(number).encode()).hexdigest(),
                size=1,
                format="step",
                adapter_version="1",
                document=document,
            ),
            vectors={"v4": Vector(raw[number])},
        )


def filled(catalog: Catalog, count: int, raw: np.ndarray[Any, Any]) -> float:
    """Fill a catalogue in groups as an ingest does; returns the seconds it took."""
    made = list(parts(count, raw))
    start = time.perf_counter()
    for first in range(0, count, 64):
        catalog.add(made[first : first + 64])
    return time.perf_counter() - start


def main(count: int) -> None:
    """Print a table."""
    raw = np.exp(np.random.default_rng(0).normal(3.0, 1.5, size=(count, len(V4.slots))))
    filters: dict[str, Filter] = {
        "none": lambda _: None,
        "a word of one part": lambda n: PartFilter(text=f"-{n * 37:06d}"),
        "a word of ten parts": lambda n: PartFilter(text=f"din{1000 + n}"),
        "two words": lambda n: PartFilter(text=f"project-{10 + n} {WORDS[n % len(WORDS)]}"),
        "a word of every third": lambda n: PartFilter(text=WORDS[n % 10][: 3 + n % 3]),
        "two characters": lambda n: PartFilter(text=f"{10 + n}"),
        "size within 5 %": lambda n: sized(None, raw[n, 1:4].tolist(), 5.0),
    }
    with tempfile.TemporaryDirectory() as folder, Catalog.open(f"sqlite:///{folder}/c.sqlite3") as catalog:
        seconds = filled(catalog, count, raw)
        search = SimilaritySearch(catalog, V4, FaissBackend())
        search.by_values(raw[0])
        table = Table("filter", "parts admitted", "p50, ms", "p95, ms", title=f"{count:,} parts")
        for name, wanted in filters.items():
            took = []
            for number in range(ROUNDS):
                which = wanted(number)
                start = time.perf_counter()
                search.by_values(raw[number], which=which)
                took.append((time.perf_counter() - start) * 1e3)
            which = wanted(0)
            admitted = count if which is None else len(catalog.rows(which))
            p95 = sorted(took)[int(0.95 * ROUNDS)]
            table.add_row(name, f"{admitted:,}", f"{statistics.median(took):.2f}", f"{p95:.2f}")
        search.close()
    console = Console()
    console.print(table)
    console.print(f"filled in {seconds:.1f} s, {seconds / count * 1e3:.2f} ms a part")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
