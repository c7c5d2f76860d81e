"""A feature version that needs a mesh works everywhere, with no change in the product."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from litestar.testing import TestClient

from cadml_core.catalog import tables
from cadml_core.catalog.records import Part
from cadml_core.intake import transfer
from cadml_core.intake.ingest import ingest
from cadml_core.intake.ingest_report import IngestOptions, IngestSummary
from cadml_core.intake.values import values_of
from cadml_core.migration.rehearsal import rehearse
from cadml_core.plugins.loader import load_plugins
from cadml_core.runtime import Runtime, build_runtime
from cadml_hostapp.app import create_app
from tests.integration.http.server import HEADERS, settings_for, tetrahedron, wait_until_ready

PLUGIN = importlib.metadata.EntryPoint("mesh2", "tests.integration.mesh_plugin", "cadml.v1")


def open_runtime(folder: Path, version: str = "mesh2") -> Runtime:
    """A runtime with the plugin, over the catalogue of this folder."""
    settings = settings_for(folder, feature_version=version, parse_workers=1)
    installed = importlib.metadata.entry_points(group="cadml.v1")
    return build_runtime(settings, plugins=load_plugins(settings, [*installed, PLUGIN]))


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    """A runtime whose parts get mesh2."""
    with open_runtime(tmp_path / "data") as found:
        yield found


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A folder of three parts."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for size in (1, 2, 3):
        (folder / f"{size}.stl").write_bytes(tetrahedron(size))
    return folder


def run(runtime: Runtime, folder: Path, *versions: str) -> IngestSummary:
    """Ingest a folder with these versions."""
    return ingest([folder], intake=runtime.intake, options=IngestOptions(versions=versions))


def reach(runtime: Runtime, part: Part) -> float:
    """The second slot of a part's stored vector."""
    return float(runtime.catalog.vector(part.id, "mesh2").values[1])


def test_an_unchanged_file_is_not_read_again(runtime: Runtime, parts: Path) -> None:
    """Nor is another file with the same content: the stored vector is theirs too."""
    assert run(runtime, parts, "mesh2").added == 3
    (parts / "copy.stl").write_bytes(tetrahedron(2))
    summary = run(runtime, parts, "mesh2")
    assert (summary.unchanged, summary.added) == (3, 1)
    assert runtime.readers.statistics.read == 3
    assert sorted(reach(runtime, part) for part in runtime.catalog.parts()) == [1, 2, 2, 3]


def test_another_label_needs_no_reading(runtime: Runtime, parts: Path) -> None:
    """A fact that changes is written; the vector stays."""
    run(runtime, parts, "mesh2")
    options = IngestOptions(versions=("mesh2",), label_from="parent")
    assert ingest([parts], intake=runtime.intake, options=options).updated == 3
    assert runtime.readers.statistics.read == 3


def test_a_part_of_another_version_is_read_for_it(runtime: Runtime, parts: Path) -> None:
    """A summary has no mesh, so the file is read, once."""
    run(runtime, parts, "v3")
    assert run(runtime, parts, "mesh2").updated == 3
    assert run(runtime, parts, "mesh2").unchanged == 3
    assert runtime.readers.statistics.read == 6


def test_an_upload_gets_it_and_is_recognised(tmp_path: Path) -> None:
    """The second upload of a content is answered from what is stored."""
    with TestClient(create_app(open_runtime(tmp_path / "data"))) as client:
        wait_until_ready(client)
        for name, known in (("a.stl", False), ("b.stl", True)):
            answer = client.post(
                "/api/v1/analyze", headers=HEADERS, files={"file": (name, tetrahedron(5))}
            ).json()
            assert answer["features"]["values"] == [4, 5]
            assert answer["cache_hit"] is known


def test_a_single_file_is_taken_without_storing_it(runtime: Runtime, parts: Path) -> None:
    """As ``cadml extract`` and ``cadml search FILE`` do, known or not."""
    file = parts / "3.stl"
    assert runtime.intake.take(file, ["mesh2"]).vectors["mesh2"].values.tolist() == [4, 3]
    assert runtime.catalog.parts() == []
    run(runtime, parts, "mesh2")
    assert runtime.intake.take(file, ["mesh2"]).reading is None


def test_a_new_reader_leaves_no_value_of_the_old_one(runtime: Runtime, parts: Path) -> None:
    """Where another file makes a content be read anew, every version that any part has of it is too."""
    run(runtime, parts, "mesh2")
    [part] = [part for part in runtime.catalog.parts() if part.name == "2.stl"]
    with runtime.catalog.database.write() as connection:
        connection.execute(tables.contents.update().values(adapter_version="an older one", checksum=None))
        connection.execute(tables.vectors.update().values(raw=np.zeros(2).tobytes()))
    copy = parts.parent / "copy.stl"
    copy.write_bytes(tetrahedron(2))
    assert run(runtime, copy, "v3").added == 1
    assert reach(runtime, part) == 2


def test_values_of_stored_parts_come_from_their_files(runtime: Runtime, parts: Path) -> None:
    """Export and evaluate read again what they need, and name the parts whose file is gone or changed."""
    run(runtime, parts, "v3")
    runtime.catalog.register_vector("bare", "v3", [1.0] * 22)  # type: ignore[arg-type]
    (parts / "1.stl").unlink()
    (parts / "2.stl").write_bytes(tetrahedron(20))
    found = values_of(runtime.intake, runtime.feature, runtime.catalog.parts())
    assert found.values[:, 1].tolist() == [3]
    reasons = {part.name: reason for part, reason in found.missing}
    assert "1.stl is gone" in reasons["1.stl"]
    assert "has changed" in reasons["2.stl"]
    assert "without a file" in reasons["bare"]
    table, missing = transfer.collect(runtime.intake, runtime.feature)
    assert (len(table), len(missing)) == (1, 3)


def test_migration_reads_the_kept_upload_or_the_file(tmp_path: Path, parts: Path) -> None:
    """Whichever is there; a part whose file is gone fails by name and keeps nobody else from it."""
    with TestClient(create_app(open_runtime(tmp_path / "data", "v3"))) as client:
        wait_until_ready(client)
        uploaded = client.post(
            "/api/v1/analyze", headers=HEADERS, files={"file": ("up.stl", tetrahedron(9))}
        ).json()["id"]
    with open_runtime(tmp_path / "data", "v3") as runtime:
        run(runtime, parts, "v3")
        (parts / "1.stl").unlink()
        [gone] = [part.id for part in runtime.catalog.parts() if part.name == "1.stl"]
        preview = runtime.migrator.preview("mesh2")
        assert [item.id for item in preview.preview_items if item.method == "failed"] == [gone]
        assert runtime.migrator.run("mesh2", dry_run=True).recomputed == 3
        report = runtime.migrator.run("mesh2")
        assert (report.recomputed, report.failed) == (3, 1)
        assert [failure.id for failure in report.failures] == [gone]
        assert "is gone" in report.failures[0].reason
        assert runtime.catalog.vector(uploaded, "mesh2").values.tolist() == [4, 9]
        assert runtime.migrator.run("mesh2").total == 1
        assert rehearse(runtime.intake, "v3", "mesh2", k=1).population == 3
