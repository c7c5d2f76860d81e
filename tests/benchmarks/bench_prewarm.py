"""How often the feature cache answers after a restart, with and without warming it.

    python tests/benchmarks/bench_prewarm.py [--contents 5000] [--capacity 500] [--lookups 40000]

Contents are looked up with Zipf's frequencies. A trace is played until the share of hits is steady, and the
process stores what a server stores when it ends. The trace then goes on in that process (steady), in a new
one on the same catalogue (cold), and in another that was warmed. Exit 1 where a warmed cache answers less
than 90 % of the steady share.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from cadml_core.catalog.store import Catalog
from cadml_core.feature_cache.entries import Key
from tests.unit.feature_cache_cases import STL, Process, add_parts, content

ENOUGH = 0.9


def trace(contents: int, lookups: int, exponent: float, seed: int) -> list[int]:
    """Return which content each lookup is for."""
    weights = 1 / np.arange(1, contents + 1) ** exponent
    drawn = np.random.default_rng(seed).choice(contents, size=lookups, p=weights / weights.sum())
    return [int(number) for number in drawn]


def share(process: Process, numbers: list[int]) -> float:
    """Look up one after the other, as an upload of that content does; return the share of hits."""
    before = process.cache.statistics()
    for number in numbers:
        key = Key(content(number).sha256, "stl", STL.version, None, "v1")
        if process.cache.get(key) is None:
            process.intake.warm(content(number), "v1")
    after = process.cache.statistics()
    return (after.hits - before.hits) / (after.lookups - before.lookups)


def main() -> int:
    """Print the table; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contents", type=int, default=5000)
    parser.add_argument("--capacity", type=int, default=500)
    parser.add_argument("--lookups", type=int, default=40_000)
    chosen = parser.parse_args()
    print(f"{chosen.contents:,} contents, {chosen.capacity:,} kept, {chosen.lookups:,} lookups")
    print("  exponent   steady   first pass, cold   first pass, warmed   warmed / steady")
    worst = 1.0
    for exponent in (0.8, 1.0, 1.2):
        with tempfile.TemporaryDirectory() as name, Catalog.open(f"sqlite:///{name}/c.sqlite3") as catalog:
            add_parts(catalog, chosen.contents)
            played = trace(chosen.contents, chosen.lookups + 4 * chosen.capacity, exponent, seed=1)
            before, after = played[: chosen.lookups], played[chosen.lookups :]
            running = Process(catalog, capacity=chosen.capacity)
            running.control.start_following()
            share(running, before)
            running.control.close()
            cold = share(Process(catalog, capacity=chosen.capacity), after)
            warmed = Process(catalog, capacity=chosen.capacity)
            warmed.control.prewarm()
            again = share(warmed, after)
            steady = share(running, after)
        worst = min(worst, again / steady)
        shown = f"{cold:18.3f} {again:20.3f} {again / steady:17.3f}"
        print(f"  {exponent:8.1f} {steady:8.3f} {shown}", flush=True)
    return 0 if worst >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
