"""A unit that a user states: through ingest, extract, search and upload, and kept with the content."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cadml_core.catalog.store import Catalog
from cadml_core.contracts.formats import UnitName
from cadml_core.intake.ingest import ingest
from cadml_core.intake.ingest_report import IngestOptions, IngestSummary
from cadml_core.intake.intake import Intake
from cadml_core.intake.originals import Original
from cadml_core.intake.siblings import Size, unit_doubts
from cadml_core.plugins.loader import load_plugins
from cadml_core.reading.limits import read_limits
from cadml_core.reading.pool import ReaderPool
from cadml_core.settings import Settings
from tests.integration.command import Run, in_process
from tests.integration.evil_readers import Version
from tests.integration.http.server import tetrahedron
from tests.services import intake_over

SETTINGS = Settings(safe_mode=True, parse_workers=1, plugins_disable=("step", "iges", "dxf"))


class Width(Version):
    """A feature version whose values are the width of the mesh, or of the document."""

    def extract(self, document):  # type: ignore[no-untyped-def]
        """Return the width twice."""
        if document.mesh is not None:
            return np.repeat(np.ptp(document.mesh.vertices[:, 0]), 2)
        return np.repeat(document.bounding_box.extents[0], 2)


FEATURES = {"plain": Width("plain", []), "meshed": Width("meshed", [], needs_mesh=True)}


@pytest.fixture(scope="module")
def readers() -> Iterator[ReaderPool]:
    """One reader of STL for all tests."""
    formats = load_plugins(SETTINGS).registry.formats
    with ReaderPool(formats, FEATURES, limits=read_limits(SETTINGS), workers=1) as pool:
        yield pool


@pytest.fixture
def intake(sqlite_url: str, readers: ReaderPool) -> Iterator[Intake]:
    """An intake over an empty catalogue."""
    formats = load_plugins(SETTINGS).registry.formats
    with Catalog.open(sqlite_url) as catalog:
        yield intake_over(catalog, FEATURES, formats, readers=readers)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A tetrahedron with legs of 2, in no unit."""
    path = tmp_path / "part.stl"
    path.write_bytes(tetrahedron(2.0))
    return path


def run(
    intake: Intake, path: Path, unit: UnitName | None = None, versions: tuple[str, ...] = ("plain",)
) -> IngestSummary:
    """Ingest one path."""
    return ingest([path], intake=intake, options=IngestOptions(versions=versions, unit=unit))


def width(intake: Intake, version: str = "plain") -> float:
    """The stored width of the only part."""
    [part] = intake.catalog.parts()
    return float(intake.catalog.vector(part.id, version).values[0])


def test_another_unit_is_another_reading(intake: Intake, part: Path) -> None:
    """An unchanged file is read again where another unit is stated, and only then."""
    steps: list[tuple[UnitName | None, str, float]] = [
        (None, "added", 2.0),
        ("in", "updated", 50.8),
        ("in", "unchanged", 50.8),
        (None, "unchanged", 50.8),
        ("mm", "updated", 2.0),
        (None, "unchanged", 2.0),
    ]
    for unit, status, expected in steps:
        summary = run(intake, part, unit)
        assert getattr(summary, status) == 1, (unit, summary)
        assert width(intake) == pytest.approx(expected)


def test_what_was_said_outlives_the_reader(intake: Intake, part: Path) -> None:
    """A newer adapter reads the file again in the unit that was stated before."""
    run(intake, part, "m")
    adapter = intake.formats["stl"]
    with intake.catalog.database.write() as connection:
        connection.exec_driver_sql("UPDATE contents SET adapter_version = 'older', checksum = NULL")
    assert run(intake, part).updated == 1
    assert width(intake) == pytest.approx(2000)
    [content] = intake.catalog.contents([intake.catalog.parts()[0].sha256 or ""]).values()
    assert (content.unit, content.adapter_version) == ("m", adapter.version)
    assert content.document.unit == "m"


def test_a_unit_holds_for_every_part_with_the_content(intake: Intake, part: Path) -> None:
    """Two files with one content have one unit: the one stated last."""
    run(intake, part)
    twin = part.with_name("twin.stl")
    twin.write_bytes(part.read_bytes())
    assert run(intake, twin, "cm").added == 1
    parts = intake.catalog.parts()
    assert [float(intake.catalog.vector(p.id, "plain").values[0]) for p in parts] == [20.0, 20.0]


def test_values_from_the_mesh_are_in_the_unit(intake: Intake, part: Path) -> None:
    """A version that needs the file again reads it in the stored unit; another unit renews its values."""
    run(intake, part, "in")
    [stored] = intake.catalog.parts()
    original = Original(stored.sha256 or "", "stl", stored.path)
    [values] = intake.values_from_files([original], "meshed").values()
    assert values[0] == pytest.approx(50.8)
    run(intake, part, versions=("plain", "meshed"))
    assert width(intake, "meshed") == pytest.approx(50.8)
    run(intake, part, "ft")
    assert width(intake, "meshed") == pytest.approx(609.6)


def test_a_single_file_takes_its_unit(intake: Intake, part: Path) -> None:
    """A file that is not stored is read in the unit given; of a stored one the stored unit counts."""
    assert intake.take(part, ["plain"], unit="in").vectors["plain"].values[0] == pytest.approx(50.8)
    run(intake, part, "m")
    assert intake.take(part, ["plain"]).vectors["plain"].values[0] == pytest.approx(2000)
    assert intake.take(part, ["plain"], unit="mm").vectors["plain"].values[0] == pytest.approx(2)


@pytest.fixture
def cadml(tmp_path: Path) -> Run:
    """Run ``cadml`` in this process."""
    environ = {
        "CADML_DATA_DIR": str(tmp_path / "data"),
        "CADML_PLUGINS_DISABLE": "step,iges,dxf",
        "PARSE_WORKERS": "1",
    }

    def call(*arguments: object, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = in_process(*map(str, arguments), environ=environ | more)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


def test_the_command_takes_units(cadml: Run, part: Path) -> None:
    """``extract``, ``ingest`` and ``search FILE`` convert; the unit is shown and no warning is left."""
    shown = cadml("extract", part, "--unit", "in").stdout
    assert "50.8 × 50.8 × 50.8 mm" in shown
    assert "unit of the file: inch" in shown
    assert "states no unit" not in shown
    assert "In inches it would be 50.8 mm" in cadml("extract", part).stdout
    cadml("ingest", part, "--unit", "in")
    assert '"score": 1.0' in cadml("search", part, "--json").stdout
    assert '"score": 1.0' not in cadml("search", part, "--unit", "m", "--json").stdout
    assert "'furlong'" in cadml("extract", part, "--unit", "furlong", code=2).stderr


def test_the_command_retries(cadml: Run, part: Path) -> None:
    """A file that was refused is refused from memory, and read again with ``--retry``."""
    part.write_bytes(part.read_bytes()[:200])
    cadml("ingest", part, "--strict", code=1)
    for command in (("ingest", part, "--strict"), ("extract", part), ("search", part)):
        assert "a retry is asked for" in cadml(*command, code=1).stderr
        assert "a retry is asked for" not in cadml(*command, "--retry", code=1).stderr


@pytest.mark.parametrize(
    ("stated", "doubt"),
    [(50.8, "in inch it has the size of a.step"), (2000.0, "--unit m"), (2.0, None), (700.0, None)],
)
def test_a_sibling_tells_the_unit(stated: float, doubt: str | None) -> None:
    """A file that has its sibling's size in inches or metres is named; one that has another is not."""
    folder = Path("/parts")
    sizes = [
        Size(folder / "a.stl", False, [1.0, 1.5, 2.0]),
        Size(folder / "a.step", True, [0.504 * stated, 0.75 * stated, stated]),
        Size(folder / "b.step", True, [25.4, 38.1, 50.8]),
        Size(folder / "elsewhere" / "a.step", True, [25.4, 38.1, 50.8]),
        Size(folder / "a.dxf", True, []),
    ]
    found = list(unit_doubts(sizes))
    assert [one.path for one in found] == (["/parts/a.stl"] if doubt else [])
    assert all(doubt and doubt in one.message for one in found)


def test_doubts_are_in_the_summary(tmp_path: Path, intake: Intake) -> None:
    """A run names the files whose sibling says another unit; with the unit stated there is no doubt."""
    (tmp_path / "one.stl").write_bytes(tetrahedron(2.0))
    (tmp_path / "one.stlb").write_bytes(tetrahedron(50.8))
    run(intake, tmp_path / "one.stlb", "mm")
    summary = run(intake, tmp_path, versions=("plain", "meshed"))
    assert [Path(doubt.path).name for doubt in summary.doubts] == ["one.stl"]
    assert run(intake, tmp_path / "one.stl", "in").doubts == ()


def test_a_header_is_no_unit(tmp_path: Path, intake: Intake) -> None:
    """Nothing in the text of a header changes a number: the unit is stated by people only."""
    path = tmp_path / "inches.stl"
    content = tetrahedron(3.0)
    path.write_bytes(b"UNITS=INCHES".ljust(80) + struct.pack("<I", 4) + content[84:])
    run(intake, path)
    assert width(intake) == pytest.approx(3)
