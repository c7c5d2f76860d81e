"""Measure the catalogue: opening it ready to search, rebuilding an index, migrating it.

``python tests/benchmarks/bench_catalog.py [parts]``. The peer of each row is the least that any
program would have to do: read the rows with sqlite3 alone, extract the features and nothing else.
"""

from __future__ import annotations

import multiprocessing
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from cadml_core.catalog.records import Content, NewPart, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.documents.document import BoundingBox, CadDocument
from cadml_core.migration.migrator import Migrator
from cadml_core.search.similarity import SimilaritySearch
from cadml_plugins.features.v1 import V1
from cadml_plugins.features.v4 import V4
from cadml_plugins.vectors.faiss import FaissBackend

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.services import intake_over


def document(number: int) -> CadDocument:
    """A part as a STEP reader describes it."""
    kinds = {"plane": 6 + number % 7, "cylinder": 1 + number % 11, "cone": 1}
    return CadDocument(
        format="step",
        entity_counts=kinds,
        surface_count=sum(kinds.values()),
        solid_count=1,
        shell_count=1,
        edge_counts={"line": 24, "circle": 8},
        surface_areas={"plane": 10.5 + number, "cylinder": 3.25, "cone": 1.0},
        bounding_box=BoundingBox((0.0, 0.0, 0.0), (1.0 + number, 2.0, 3.0)),
        unit="mm",
        area=100.0 + number,
        properties={"schema": "AP214"},
    )


def part(number: int, *, with_document: bool) -> NewPart:
    """A part with a v1 vector."""
    described = document(number)
    content = Content(sha256=f"{number:064x}", size=1, format="step", adapter_version="1", document=described)
    return NewPart(
        id=f"p{number}",
        content=content if with_document else None,
        vectors={"v1": Vector(V1.extract(described))},
    )


def fill(url: str, count: int, *, with_document: bool) -> float:
    """Make the catalogue; returns the CPU seconds that adding took."""
    spent = 0.0
    with Catalog.open(url) as catalog:
        for start in range(0, count, 10_000):
            batch = [part(i, with_document=with_document) for i in range(start, min(start + 10_000, count))]
            spent += cpu(partial(catalog.add, batch))
    return spent


def cpu(job: Callable[[], Any]) -> float:
    """CPU seconds of this process."""
    start = time.process_time()
    job()
    return time.process_time() - start


def open_and_search(url: str) -> None:
    """From nothing to the first answer."""
    with Catalog.open(url) as catalog:
        search = SimilaritySearch(catalog, V1, FaissBackend())
        assert len(search.by_id("p7").hits) == 10
        search.close()


def read_rows(url: str) -> None:
    """The rows alone, as sqlite3 and numpy give them."""
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        rows = connection.execute("SELECT part, raw FROM vectors WHERE version = 'v1'").fetchall()
    np.frombuffer(b"".join(raw for _, raw in rows))


class Migration(NamedTuple):
    """What migrating everything cost."""

    cpu: float
    wall: float
    peak: float
    """Largest resident memory over that before."""
    after: float


def migrate(url: str) -> Migration:
    """Migrate everything from v1 to v4, watching the memory."""
    process = psutil.Process()
    with Catalog.open(url) as catalog:
        migrator = Migrator(intake_over(catalog, {"v1": V1, "v4": V4}))
        before = peak = process.memory_info().rss

        def watch(_done: int, _total: int) -> None:
            nonlocal peak
            peak = max(peak, process.memory_info().rss)

        start = time.perf_counter()
        spent = cpu(lambda: migrator.run("v4", progress=watch))
        wall = time.perf_counter() - start
        after = process.memory_info().rss
    return Migration(spent, wall, peak / before, after / before)


def add_migration(url: str, table: Table, name: str, count: int, peer: float) -> None:
    """Migrate in a new process, where no memory freed by other jobs hides what it takes."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as processes:
        cost = processes.submit(migrate, url).result()
    pace = f"{count / cost.cpu:,.0f} a CPU second, {count / cost.wall:,.0f} a second"
    memory = f"memory {cost.peak - 1:+.1%} at most, {cost.after - 1:+.1%} after"
    table.add_row(name, f"{cost.cpu:.2f}", f"{cost.cpu / peer:.1f}", f"{pace}; {memory}")


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    table = Table("job", "CPU s", "ratio to its peer", "notes", title=f"{count:,} parts")
    with tempfile.TemporaryDirectory() as folder:
        bare, full = (f"sqlite:///{Path(folder) / name}.sqlite3" for name in ("bare", "full"))
        for name, url, documents in (("without documents", bare, False), ("with documents", full, True)):
            table.add_row(f"adding, {name}", f"{fill(url, count, with_document=documents):.2f}", "", "")
        read_rows(full)
        peer = min(cpu(lambda: read_rows(full)) for _ in range(3))
        table.add_row("peer: reading the rows with sqlite3", f"{peer:.2f}", "1.0", "")
        opened = min(cpu(lambda: open_and_search(full)) for _ in range(3))
        table.add_row(
            "opening, ready to search", f"{opened:.2f}", f"{opened / peer:.1f}", "embedding included"
        )
        with Catalog.open(full) as catalog:
            search = SimilaritySearch(catalog, V1, FaissBackend())
            search.by_id("p7")
            rebuilt = min(cpu(search.indexes.recover) for _ in range(3))
            search.close()
        table.add_row("rebuilding and verifying", f"{rebuilt:.2f}", f"{rebuilt / peer:.1f}", "")
        described = document(5)
        extract = cpu(lambda: [V4.extract(described) for _ in range(2000)]) / 2000 * count
        table.add_row("peer: extracting v4 and nothing else", f"{extract:.2f}", "1.0", "")
        add_migration(full, table, "migrating v1 to v4, recomputed", count, extract)
        add_migration(bare, table, "migrating v1 to v4, by name", count, extract)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
