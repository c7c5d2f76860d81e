"""Compare searching through the catalogue's services with raw Faiss and with a numpy loop.

``python tests/benchmarks/bench_search.py``. Each row is a ratio of the fastest of several rounds;
the rounds of what is compared alternate, so that a busy machine slows down both. Single queries are
measured in CPU time; batches, where threads are the point, by the clock.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from rich.console import Console
from rich.table import Table

from cadml_core import IndexKey
from cadml_core.catalog.records import NewPart, PartFilter, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.search.batch import BatchPolicy, BatchSimilarity
from cadml_core.search.similarity import SimilaritySearch
from cadml_core.testing.faults import FaultPlan, FaultyBackend
from cadml_plugins.features.v4 import V4
from cadml_plugins.vectors.faiss import FaissBackend, FaissConfig
from cadml_plugins.vectors.memory import MemoryBackend, MemoryConfig

KEY = IndexKey("test", "v4", "scaled")
K = 10
Job = Callable[[], Any]


def fastest(
    jobs: Sequence[Job], *, rounds: int, repeat: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Seconds of one call of each job, the least of the rounds."""
    best = [float("inf")] * len(jobs)
    for _ in range(rounds):
        for index, job in enumerate(jobs):
            start = clock()
            for _ in range(repeat):
                job()
            best[index] = min(best[index], (clock() - start) / repeat)
    return best


def raw_values(count: int) -> np.ndarray[Any, Any]:
    """Raw values of made-up parts: magnitudes over several decades, ratios in [0, 1]."""
    generator = np.random.default_rng(0)
    magnitudes = np.exp(generator.normal(3.0, 1.5, size=(count, len(V4.slots))))
    ratios = generator.random(size=(count, len(V4.slots)))
    return np.where([slot.unit == "1" for slot in V4.slots], ratios, magnitudes)


def filled(folder: str, values: np.ndarray[Any, Any]) -> Catalog:
    """A catalogue of these parts, every tenth of steel."""
    catalog = Catalog.open(f"sqlite:///{Path(folder) / f'{len(values)}.sqlite3'}")
    for start in range(0, len(values), 10_000):
        catalog.add(
            [
                NewPart(
                    id=f"p{i}",
                    material="steel" if i % 10 == 0 else "brass",
                    vectors={V4.name: Vector(values[i])},
                )
                for i in range(start, min(start + 10_000, len(values)))
            ]
        )
    return catalog


def flat(values: np.ndarray[Any, Any]) -> Any:
    """Raw Faiss over the embeddings, on one thread like ours."""
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatL2(len(V4.slots))
    index.add(np.ascontiguousarray(V4.embed(values), dtype=np.float32))
    return index


def single(catalog: Catalog, values: np.ndarray[Any, Any]) -> Table:
    """One query at a time, each a part of its own."""
    index, embedded = flat(values), np.ascontiguousarray(V4.embed(values[:1000]), dtype=np.float32)
    chosen, forgetful = (SimilaritySearch(catalog, V4, FaissBackend()) for _ in range(2))
    alone = FaissBackend().open(FaissConfig(), key=KEY, dimension=len(V4.slots), metric="l2")
    alone.upsert(np.arange(len(values)), V4.embed(values))
    plan = FaultPlan()
    degraded = SimilaritySearch(
        catalog, V4, FaultyBackend(FaissBackend(), plan), fallback=MemoryBackend(), probing=False
    )
    plan.fail("search")
    turn = iter(range(10**9))
    steel = PartFilter(material="steel")

    def next_one() -> int:
        return next(turn) % 1000

    def raw() -> None:
        line = next_one()
        index.search(embedded[line : line + 1], K)

    def ours() -> None:
        line = next_one()
        alone.search(embedded[line : line + 1], K)

    jobs: dict[str, Job] = {
        "the index alone": ours,
        "search by vector": lambda: chosen.by_values(values[next_one()], k=K),
        "search by id": lambda: chosen.by_id(f"p{next_one()}", k=K),
        "search by id, explained": lambda: chosen.by_id(f"p{next_one()}", k=K, explain=True),
        "search among one part in ten": lambda: chosen.by_values(values[next_one()], k=K, which=steel),
        "degraded: memory stands in": lambda: degraded.by_values(values[next_one()], k=K),
    }
    for job in jobs.values():
        for _ in range(1_000):  # by then the parts that they find are at hand
            job()
    jobs["search by vector, parts not at hand"] = lambda: forgetful.by_values(values[next_one()], k=K)
    assert degraded.by_values(values[0]).degraded
    table = Table(
        "one query",
        "CPU µs",
        "raw Flat",
        "ratio",
        title=f"{len(values):,} parts x {len(V4.slots)} slots, k = {K}",
    )
    for name, job in jobs.items():
        # In turns with its peer, so that each finds the caches as the other left them. The stand-in
        # is given the time of all its threads, for it computes with several.
        clock = time.process_time if "memory" in name else time.thread_time
        peer, each = fastest([raw, job], rounds=150, repeat=1, clock=clock)
        table.add_row(name, f"{each * 1e6:,.0f}", f"{peer * 1e6:,.0f}", f"{each / peer:.2f}")
    return table


def sizes_alone(sizes: Sequence[int]) -> Table:
    """One query to the index alone, at several sizes: what exactness and order cost beside Faiss."""
    table = Table("parts", "raw Flat µs", "our index", "our memory", title="one query, as ratios to raw Flat")
    for size in sizes:
        values = raw_values(size)
        index, embedded = flat(values), np.ascontiguousarray(V4.embed(values), dtype=np.float32)
        ours = FaissBackend().open(FaissConfig(), key=KEY, dimension=embedded.shape[1], metric="l2")
        memory = MemoryBackend().open(MemoryConfig(), key=KEY, dimension=embedded.shape[1], metric="l2")
        for one in (ours, memory):
            one.upsert(np.arange(1, size + 1), embedded)
        query = embedded[:1]
        jobs: list[Job] = [
            partial(index.search, query, K),
            partial(ours.search, query, K),
            partial(memory.search, query, K),
        ]
        raw, *others = fastest(jobs, rounds=50, repeat=max(1, 20_000 // size))
        table.add_row(f"{size:,}", f"{raw * 1e6:,.0f}", *(f"{each / raw:.2f}" for each in others))
    return table


def naive_loop(vectors: np.ndarray[Any, Any], queries: np.ndarray[Any, Any]) -> None:
    """What a first version would do: numpy, one query after the other."""
    for query in queries:
        np.argsort(np.linalg.norm(vectors - query, axis=1))[:K]


def careful_loop(vectors: np.ndarray[Any, Any], queries: np.ndarray[Any, Any]) -> None:
    """The same by one who knows that not all has to be sorted."""
    for query in queries:
        distances = np.linalg.norm(vectors - query, axis=1)
        nearest = np.argpartition(distances, K)[:K]
        nearest[np.argsort(distances[nearest])]


def one_by_one(index: Any, queries: np.ndarray[Any, Any]) -> None:
    """Ask raw Faiss for one query after the other."""
    for line in range(len(queries)):
        index.search(queries[line : line + 1], K)


def in_threads(index: Any, pieces: Sequence[np.ndarray[Any, Any]], threads: ThreadPoolExecutor) -> None:
    """Ask raw Faiss from several threads."""
    list(threads.map(lambda piece: index.search(piece, K), pieces))


def batches(folder: str, sizes: Sequence[int], lengths: Sequence[int]) -> Table:
    """Many queries at once; ratios to the loop over raw Faiss."""
    names = (
        "naive loop",
        "careful loop",
        "Flat loop",
        "Flat, 2 threads",
        "Flat, one call",
        "our index",
        "our memory",
        "service",
    )
    table = Table("parts", "batch", *names, title="a batch, as ratios to the Flat loop (less is faster)")
    threads = ThreadPoolExecutor(2)
    for size in sizes:
        values = raw_values(size)
        catalog = filled(folder, values)
        index = flat(values)
        embedded = np.ascontiguousarray(V4.embed(values), dtype=np.float32)
        ours = FaissBackend().open(FaissConfig(), key=KEY, dimension=embedded.shape[1], metric="l2")
        memory = MemoryBackend().open(MemoryConfig(), key=KEY, dimension=embedded.shape[1], metric="l2")
        for one in (ours, memory):
            one.upsert(np.arange(1, size + 1), embedded)
        service = BatchSimilarity(SimilaritySearch(catalog, V4, FaissBackend()), BatchPolicy(max_ids=10**6))
        for length in lengths:
            if length > size or length * size > 20_000_000:
                continue
            queries = embedded[:length]
            ids = [f"p{i}" for i in range(length)]
            halves = np.array_split(queries, 2)
            jobs: list[Job] = [
                partial(naive_loop, embedded, queries),
                partial(careful_loop, embedded, queries),
                partial(one_by_one, index, queries),
                partial(in_threads, index, halves, threads),
                partial(index.search, queries, K),
                partial(ours.search, queries, K),
                partial(memory.search, queries, K),
                partial(service.similar, ids, k=K),
            ]
            for job in jobs:
                job()
            heavy = length * size > 2_000_000
            seconds = fastest(jobs, rounds=3 if heavy else 7, repeat=1 if heavy else 3)
            table.add_row(f"{size:,}", f"{length:,}", *(f"{each / seconds[2]:.2f}" for each in seconds))
        catalog.close()
    return table


def main() -> None:
    """Print the tables."""
    console = Console(width=140)
    quick = "--quick" in sys.argv
    with tempfile.TemporaryDirectory() as folder:
        values = raw_values(10_000 if quick else 100_000)
        with filled(folder, values) as catalog:
            console.print(single(catalog, values))
    console.print(sizes_alone((1_000, 10_000) if quick else (1_000, 5_000, 20_000, 100_000, 300_000)))
    with tempfile.TemporaryDirectory() as folder:
        sizes = (1_000, 10_000) if quick else (1_000, 10_000, 100_000)
        console.print(batches(folder, sizes, (10, 100, 1_000)))


if __name__ == "__main__":
    main()
