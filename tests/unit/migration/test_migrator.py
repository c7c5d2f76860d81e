"""Migration computes what reading would have computed, once, and can be interrupted anywhere."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from prometheus_client import REGISTRY

from cadml_core.catalog.counts import count_vectors
from cadml_core.catalog.records import Content, NewPart, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.catalog.tables import contents
from cadml_core.documents.document import BoundingBox, CadDocument
from cadml_core.documents.features import convert_by_name
from cadml_core.errors import CadmlError, InvalidInput, NotFound
from cadml_core.migration.migrator import BATCH, Migrator
from cadml_core.migration.rehearsal import rehearse
from cadml_core.search.similarity import SimilaritySearch
from cadml_plugins.features.v1 import V1
from cadml_plugins.features.v2 import V2
from cadml_plugins.features.v4 import V4
from cadml_plugins.vectors.memory import MemoryBackend
from tests.services import intake_over

ROOT = Path(__file__).parents[3]
FEATURES: dict[str, Any] = {"v1": V1, "v4": V4}


def document(number: int) -> CadDocument:
    """A box of that width, with some faces."""
    return CadDocument(
        format="step",
        entity_counts={"plane": 6, "cylinder": number},
        surface_count=6 + number,
        solid_count=1,
        bounding_box=BoundingBox((0.0, 0.0, 0.0), (1.0 + number, 2.0, 3.0)),
    )


def part(number: int) -> NewPart:
    """A part that was read from a file when v1 was in use."""
    content = Content(
        sha256=f"{number:064x}", size=1, format="step", adapter_version="1", document=document(number)
    )
    return NewPart(id=f"p{number}", content=content, vectors={"v1": Vector(V1.extract(document(number)))})


@pytest.fixture
def catalog(database_url: str) -> Iterator[Catalog]:
    """An empty catalogue of each kind."""
    with Catalog.open(database_url) as opened:
        yield opened


def value(name: str, **labels: str) -> float:
    """A metric as it stands."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_recomputed_values_are_exact(catalog: Catalog) -> None:
    """From the stored summary comes, bit for bit, what reading the file with v4 would have given."""
    catalog.add([part(number) for number in range(20)])
    report = Migrator(intake_over(catalog, FEATURES)).run("v4")
    assert (report.total, report.recomputed, report.by_name, report.failed) == (20, 20, 0, 0)
    for number in range(20):
        found = catalog.vector(f"p{number}", "v4")
        assert found.source == "extracted"
        assert found.values.tobytes() == V4.extract(document(number)).tobytes()
        assert catalog.vector(f"p{number}", "v1").values[1] == 1.0 + number


def test_without_a_document_slots_move_by_name(catalog: Catalog) -> None:
    """A registered vector keeps what both versions know, and says that it was not recomputed."""
    raw = np.arange(7.0) + 1.0
    catalog.register_vector("r", "v1", raw)
    before = (
        value("vector_migrate_total", status="by_name"),
        value("vector_migrate_dimension_delta_bucket", le="20.0"),
    )
    assert Migrator(intake_over(catalog, FEATURES)).run("v4").by_name == 1
    found = catalog.vector("r", "v4")
    assert found.source == "migrated"
    assert found.values.tolist() == convert_by_name(raw[np.newaxis], V1.slots, V4.slots)[0].tolist()
    after = (
        value("vector_migrate_total", status="by_name"),
        value("vector_migrate_dimension_delta_bucket", le="20.0"),
    )
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)


def test_what_cannot_be_migrated_is_named(catalog: Catalog) -> None:
    """One part that cannot does not keep the others from it."""
    catalog.add([part(1), NewPart(id="alien", vectors={"x9": Vector(np.ones(3), "registered")})])
    report = Migrator(intake_over(catalog, FEATURES)).run("v4")
    assert (report.recomputed, report.failed) == (1, 1)
    assert report.failures[0].id == "alien"
    assert "x9" in report.failures[0].reason


def test_a_damaged_summary_stops_no_other_part(catalog: Catalog) -> None:
    """Its part is named with what is wrong; the others get their vectors."""
    catalog.add([part(1), part(2)])
    with catalog.database.write() as connection:
        connection.execute(
            contents.update().where(contents.c.sha256 == f"{1:064x}").values(summary='{"format": 3}')
        )
    report = Migrator(intake_over(catalog, FEATURES)).run("v4")
    assert (report.recomputed, report.failed) == (1, 1)
    assert report.failures[0].id == "p1"
    assert "ingest the file again" in report.failures[0].reason


def test_the_longest_of_several_versions_moves(catalog: Catalog) -> None:
    """A part with vectors of many versions is migrated once: from its document, or from the longest."""
    many = {"v1": Vector(np.ones(7)), "v2": Vector(np.full(12, 2.0))}
    catalog.add([msgspec.structs.replace(part(1), vectors=many), NewPart(id="bare", vectors=many)])
    report = Migrator(intake_over(catalog, {**FEATURES, "v2": V2})).run("v4")
    assert (report.total, report.recomputed, report.by_name) == (2, 1, 1)
    assert catalog.vector("p1", "v4").values.tobytes() == V4.extract(document(1)).tobytes()
    assert catalog.vector("bare", "v4").values.tolist() == [2.0] * 12 + [0.0] * 12


def test_a_second_run_has_nothing_to_do(catalog: Catalog) -> None:
    """Nothing is computed or written twice."""
    catalog.add([part(1)])
    migrator = Migrator(intake_over(catalog, FEATURES))
    migrator.run("v4")
    change = catalog.last_change()
    assert migrator.run("v4").total == 0
    assert catalog.last_change() == change


def test_a_dry_run_computes_and_writes_nothing(catalog: Catalog) -> None:
    """Its report is that of the real run; the catalogue, the journal and the metrics stay as they were."""
    catalog.add([part(number) for number in range(3)])
    catalog.register_vector("r", "v1", np.ones(7))
    migrator, change = Migrator(intake_over(catalog, FEATURES)), catalog.last_change()
    counted = migrations_counted()
    dry = migrator.run("v4", dry_run=True)
    assert migrations_counted() == counted
    assert (dry.dry_run, dry.total, dry.recomputed, dry.by_name) == (True, 4, 3, 1)
    assert catalog.last_change() == change
    assert count_vectors(catalog) == {"v1": 4}
    assert migrator.status().history == ()
    migrator.run("v4")
    assert migrations_counted() == (counted[0] + 3, counted[1] + 1, counted[2] + 4)


def migrations_counted() -> tuple[float, float, float]:
    """How many vectors were recomputed and moved by name, and how many changes of length were seen."""
    by_method = [
        REGISTRY.get_sample_value("vector_migrate_total", {"status": status}) or 0.0
        for status in ("recomputed", "by_name")
    ]
    changes = REGISTRY.get_sample_value("vector_migrate_dimension_delta_count") or 0.0
    return by_method[0], by_method[1], changes


def test_only_the_parts_that_were_named(catalog: Catalog) -> None:
    """Other parts are left alone; an unknown id stops before anything is done."""
    catalog.add([part(number) for number in range(5)])
    migrator = Migrator(intake_over(catalog, FEATURES))
    with pytest.raises(NotFound, match="'nobody'"):
        migrator.run("v4", ids=["p1", "nobody"])
    assert migrator.run("v4", ids=["p1", "p3"]).recomputed == 2
    rows, _ = catalog.vectors("v4")
    assert {catalog.parts_by_row([row])[row].id for row in rows.tolist()} == {"p1", "p3"}


def test_named_parts_beyond_one_batch(catalog: Catalog) -> None:
    """Those that have the vector already, however many come first, are passed over."""
    catalog.add([part(number) for number in range(2 * BATCH + 5)])
    ids = [f"p{number}" for number in range(2 * BATCH + 5)]
    migrator = Migrator(intake_over(catalog, FEATURES))
    assert migrator.run("v4", ids=ids[:BATCH]).recomputed == BATCH
    report = migrator.run("v4", ids=ids[::-1])
    assert (report.total, report.recomputed) == (BATCH + 5, BATCH + 5)
    assert count_vectors(catalog)["v4"] == len(ids)


def test_an_unknown_version_is_refused(catalog: Catalog) -> None:
    """With the code for a name that is not there."""
    with pytest.raises(NotFound) as caught:
        Migrator(intake_over(catalog, FEATURES)).run("v9")
    assert caught.value.code == "DATA_NOT_FOUND"


def test_the_old_version_is_searchable_all_along(catalog: Catalog) -> None:
    """Between any two batches, and afterwards, searches over v1 give what they gave."""
    catalog.add([part(number) for number in range(BATCH + 10)])
    search = SimilaritySearch(catalog, V1, MemoryBackend())
    expected = search.by_id("p5").hits
    answers: list[Any] = []
    Migrator(intake_over(catalog, FEATURES)).run(
        "v4", progress=lambda done, total: answers.append((done, total, search.by_id("p5").hits))
    )
    assert [(done, total) for done, total, _ in answers] == [(BATCH, BATCH + 10), (BATCH + 10, BATCH + 10)]
    assert all([hit.id for hit in hits] == [hit.id for hit in expected] for *_, hits in answers)
    assert SimilaritySearch(catalog, V4, MemoryBackend()).by_id("p5").hits


def test_two_at_once_conflict(catalog: Catalog) -> None:
    """The second is told; the status shows the first while it runs."""
    catalog.add([part(1)])
    migrator = Migrator(intake_over(catalog, FEATURES))
    inside, go_on = threading.Event(), threading.Event()

    def wait(done: int, total: int) -> None:
        inside.set()
        go_on.wait(20)

    thread = threading.Thread(target=lambda: migrator.run("v4", progress=wait))
    thread.start()
    assert inside.wait(20)
    with pytest.raises(CadmlError) as caught:
        Migrator(intake_over(catalog, FEATURES)).run("v4")
    assert (caught.value.code, caught.value.status) == ("MIGRATION_CONFLICT", 409)
    running = migrator.status().running
    assert running is not None
    assert (running.to_version, running.status, running.recomputed) == ("v4", "running", 1)
    go_on.set()
    thread.join()
    status = migrator.status()
    assert status.running is None
    assert [run.status for run in status.history] == ["completed"]


def test_the_history_keeps_the_last_ten(catalog: Catalog) -> None:
    """Newest first."""
    migrator = Migrator(intake_over(catalog, FEATURES))
    for _ in range(12):
        migrator.run("v4")
    assert [run.id for run in migrator.status().history] == list(range(12, 2, -1))


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from cadml_core.catalog.store import Catalog
    from cadml_core.migration.migrator import Migrator
    from cadml_plugins.features.v1 import V1
    from cadml_plugins.features.v4 import V4
    from tests.services import intake_over

    def progress(done, total):
        if done >= total // 2:
            os.kill(os.getpid(), signal.SIGKILL)

    with Catalog.open(sys.argv[1]) as catalog:
        Migrator(intake_over(catalog, {"v1": V1, "v4": V4})).run("v4", progress=progress)
    """
)


def test_killed_and_run_again_nothing_is_lost(catalog: Catalog, database_url: str, tmp_path: Path) -> None:
    """What was committed before kill -9 stays, the run shows as interrupted, and the next completes it."""
    count = 3 * BATCH
    catalog.add([part(number) for number in range(count)])
    killed = subprocess.run([sys.executable, "-c", KILLED, database_url], check=False, timeout=60, cwd=ROOT)
    assert killed.returncode == -9
    migrator = Migrator(intake_over(catalog, FEATURES))
    status = migrator.status()
    assert status.running is None
    assert [run.status for run in status.history] == ["interrupted"]
    assert status.history[0].recomputed == status.versions["v4"] == 2 * BATCH
    report = migrator.run("v4")
    assert (report.total, report.recomputed) == (BATCH, BATCH)
    rows, values = catalog.vectors("v4")
    assert len(rows) == count
    assert values[:, 1].tolist() == [1.0 + number for number in range(count)]
    assert [run.status for run in migrator.status().history] == ["completed", "interrupted"]


class TestRehearsal:
    """How many neighbours would change."""

    def test_the_same_version_changes_nothing(self, catalog: Catalog) -> None:
        """Against itself, every neighbour stays."""
        catalog.add([part(number) for number in range(30)])
        rehearsal = rehearse(intake_over(catalog, FEATURES), "v1", "v1")
        assert (rehearsal.sampled, rehearsal.population, rehearsal.k) == (30, 30, 10)
        assert (rehearsal.mean_changed, rehearsal.unchanged_share) == (0.0, 1.0)

    def test_counts_the_neighbours_that_change(self, catalog: Catalog) -> None:
        """What it says agrees with searching both versions after a real migration; it stores nothing."""
        catalog.add([part(number * number % 37) for number in range(25)])
        rehearsal = rehearse(intake_over(catalog, FEATURES), "v1", "v4", k=4)
        assert count_vectors(catalog).keys() == {"v1"}
        Migrator(intake_over(catalog, FEATURES)).run("v4")
        before, after = (SimilaritySearch(catalog, version, MemoryBackend()) for version in (V1, V4))
        changed = [
            4
            - len(
                {hit.id for hit in before.by_id(one.id, k=4).hits}
                & {hit.id for hit in after.by_id(one.id, k=4).hits}
            )
            for one in catalog.parts()
        ]
        assert rehearsal.mean_changed == pytest.approx(np.mean(changed))
        assert rehearsal.most_changed[0].changed == max(changed)

    def test_needs_something_to_compare(self, catalog: Catalog) -> None:
        """An empty catalogue, an unknown version or no neighbours are told apart."""
        with pytest.raises(NotFound, match="only 0 parts"):
            rehearse(intake_over(catalog, FEATURES), "v1", "v4")
        with pytest.raises(NotFound, match="'v9'"):
            rehearse(intake_over(catalog, FEATURES), "v1", "v9")
        with pytest.raises(InvalidInput, match="1 or more"):
            rehearse(intake_over(catalog, FEATURES), "v1", "v4", k=0)
