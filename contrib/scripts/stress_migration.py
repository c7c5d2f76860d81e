"""Migrate a catalogue of made-up vectors of several versions, and watch time, outcome and memory.

    python contrib/scripts/stress_migration.py --vectors 1000     # a report in JSON; exit 1 where it failed

Two thirds of the parts have the summary of a document, from which the new vector is computed; the others have
been registered as numbers and are moved by slot name. A dry run must say what the real one then does, and a
third run must find nothing left to do. With STRESS_STRICT=1 too much memory is a failure too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cadml_core.catalog.records import Content, NewPart, Vector
from cadml_core.documents.document import BoundingBox, CadDocument
from cadml_core.migration.migrator import MigrationReport
from cadml_core.runtime import Runtime, build_runtime
from cadml_core.settings import load_settings
from cadml_core.testing.stress import StressReport, main, watched

TARGET = "v4"
VERSIONS = ("v1", "v2", "v3")
BATCH = 500


def document(number: int) -> CadDocument:
    """Return a box with faces, another for each number."""
    return CadDocument(
        format="step",
        entity_counts={"plane": 6, "cylinder": number % 40, "cone": number % 7},
        surface_count=6 + number % 40 + number % 7,
        solid_count=1,
        bounding_box=BoundingBox((0.0, 0.0, 0.0), (1.0 + number % 500, 2.0 + number % 30, 3.0)),
    )


def made_up(runtime: Runtime, count: int) -> Iterator[NewPart]:
    """Yield parts of all versions in turn, every third without a document."""
    for number in range(count):
        version = VERSIONS[number % len(VERSIONS)]
        summary = document(number)
        values = np.asarray(runtime.registry.features[version].extract(summary), dtype=np.float64)
        if number % 3 == 2:
            yield NewPart(id=f"part-{number}", vectors={version: Vector(values, "registered")})
            continue
        content = Content(
            sha256=f"{number:064x}", size=1, format="step", adapter_version="1", document=summary
        )
        yield NewPart(id=f"part-{number}", content=content, vectors={version: Vector(values)})


def migrate(runtime: Runtime, report: StressReport, name: str, *, dry_run: bool = False) -> MigrationReport:
    """Run one migration and note how long it took."""
    start = time.perf_counter()
    done = runtime.migrator.run(TARGET, dry_run=dry_run)
    report.found[f"{name}_seconds"] = round(time.perf_counter() - start, 3)
    return done


def check(arguments: argparse.Namespace, report: StressReport) -> None:
    """Fill a catalogue, migrate it, and compare what was said with what is there."""
    count = arguments.vectors
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            {"data_dir": folder, "safe_mode": True, "model_dir": str(Path(folder) / "m")}
        )
        with build_runtime(settings) as runtime:
            parts = list(made_up(runtime, count))
            for start in range(0, count, BATCH):
                runtime.catalog.add(parts[start : start + BATCH])
            del parts
            runtime.migrator.preview(TARGET)
            with watched(report):
                tried = migrate(runtime, report, "dry_run", dry_run=True)
                done = migrate(runtime, report, "migration")
                again = migrate(runtime, report, "repetition")
            rows, values = runtime.catalog.vectors(TARGET)
    moved = done.recomputed + done.by_name
    report.found |= {
        "recomputed": done.recomputed,
        "by_name": done.by_name,
        "failed": done.failed,
        "success_rate": moved / count if count else 1.0,
        "vectors_per_second": round(moved / max(report.found["migration_seconds"], 1e-9)),
    }
    same = (tried.total, tried.recomputed, tried.by_name) == (done.total, done.recomputed, done.by_name)
    report.require(same, f"the dry run said {tried}, and the migration did {done}")
    report.require(moved == count, f"{moved} of {count} vectors were migrated: {done.failures[:3]}")
    report.require(len(rows) == count, f"the catalogue has {len(rows)} vectors of {TARGET}, not {count}")
    report.require(bool(np.isfinite(values).all()), "a migrated value is not a number")
    report.require(again.total == 0, f"a second migration found {again.total} vectors to migrate")


def parser() -> argparse.ArgumentParser:
    """Return what the command line may say."""
    made = argparse.ArgumentParser(prog=Path(__file__).name, description=__doc__)
    made.add_argument("--vectors", type=int, default=1000)
    return made


if __name__ == "__main__":
    sys.exit(main(check, parser()))
