"""What v4 costs beside v3: extraction from a document, median and p95, as a ratio.

python tests/benchmarks/bench_features.py
"""

from __future__ import annotations

import random
import statistics
import time

from cadml_core import BoundingBox, CadDocument, FeatureVersion
from cadml_core.plugins.loader import load_plugins
from cadml_core.settings import Settings

ROUNDS = 20_000
KINDS = ("plane", "cylinder", "cone", "sphere", "torus", "bspline", "revolution", "extrusion")


def documents(count: int) -> list[CadDocument]:
    """Make documents of one to eight kinds, as parts have them."""
    generator = random.Random(4)
    made = []
    for _ in range(count):
        kinds = KINDS[: generator.randint(1, len(KINDS))]
        counts = {kind: generator.randint(1, 200) for kind in kinds}
        size = [generator.uniform(1, 500) for _ in range(3)]
        made.append(
            CadDocument(
                format="step",
                entity_counts=counts,
                surface_count=sum(counts.values()),
                solid_count=1,
                layers=("part",),
                bounding_box=BoundingBox((0.0, 0.0, 0.0), (size[0], size[1], size[2])),
            )
        )
    return made


def timings(versions: list[FeatureVersion], subjects: list[CadDocument]) -> dict[str, list[float]]:
    """Time the versions in turn, so that whatever else the machine does befalls each alike."""
    seconds: dict[str, list[float]] = {version.name: [] for version in versions}
    for index in range(ROUNDS):
        subject = subjects[index % len(subjects)]
        for version in versions:
            start = time.perf_counter()
            version.extract(subject)
            seconds[version.name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Print the table."""
    features = load_plugins(Settings(safe_mode=True)).registry.features
    seconds = timings([features[name] for name in ("v1", "v2", "v3", "v4")], documents(500))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    tails = {name: statistics.quantiles(values, n=20)[-1] for name, values in seconds.items()}
    print(f"{'version':8} {'median us':>10} {'p95 us':>8} {'p95 / v3':>9}   wanted")
    for name in seconds:
        wanted = "<= 1.25" if name == "v4" else ""
        ratio = tails[name] / tails["v3"]
        print(f"{name:8} {medians[name] * 1e6:10.1f} {tails[name] * 1e6:8.1f} {ratio:9.2f}   {wanted}")


if __name__ == "__main__":
    main()
