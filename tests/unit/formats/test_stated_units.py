"""Files that state no unit: what is said of them, and what their sender may say."""

from __future__ import annotations

from pathlib import Path

import ezdxf
import numpy as np
import pytest

from cadml_core import CadDocument, FormatAdapter, ReadLimits
from cadml_core.contracts.formats import LENGTH_UNITS, MeshRequest, UnitName
from cadml_core.reading.reading import read_file
from cadml_hostapp.cli.console import UNITS
from cadml_plugins.formats.dxf import adapter as dxf
from cadml_plugins.formats.stl import adapter as stl
from tests.integration.evil_readers import FORMATS
from tests.unit.formats.test_stl import binary, cube, sphere

STANDING = "STL states no unit; millimetres are assumed"
ADAPTERS: dict[str, FormatAdapter] = {
    adapter.name: adapter for module in (stl, dxf) for adapter in module.cadml_format_adapters()
}


def read(path: Path, unit: UnitName | None = None, **limits: object) -> CadDocument:
    """Read with the adapter of the suffix."""
    stated = LENGTH_UNITS[unit] if unit else None
    return ADAPTERS[path.suffix[1:]].read(path, ReadLimits(unit=stated, **limits))  # type: ignore[arg-type]


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A cube of side 2 in no unit."""
    path = tmp_path / "part.stl"
    path.write_bytes(binary(cube(2, (1, 1, 1))))
    return path


def test_the_options_are_the_units() -> None:
    """The command offers what the contract knows."""
    assert tuple(LENGTH_UNITS) == UNITS


@pytest.mark.parametrize("unit", list(LENGTH_UNITS))
def test_a_stated_unit_converts_an_stl(part: Path, unit: UnitName) -> None:
    """Every length, area, volume and moment is in millimetres; the unit is named, and no warning is left."""
    factor = LENGTH_UNITS[unit].millimetres
    document, plain = read(part, unit), read(part)
    assert document.unit == LENGTH_UNITS[unit].name
    assert document.bounding_box is not None
    assert document.mass is not None
    assert plain.mass is not None
    assert document.bounding_box.minimum == pytest.approx([factor] * 3)
    assert document.bounding_box.extents == pytest.approx([2 * factor] * 3)
    assert document.area == pytest.approx(24 * factor**2)
    assert document.mass.volume == pytest.approx(8 * factor**3)
    assert document.mass.centroid == pytest.approx([2 * factor] * 3)
    assert document.mass.principal_moments == pytest.approx(
        np.array(plain.mass.principal_moments) * factor**5
    )
    assert document.entity_counts == plain.entity_counts
    assert document.warnings == ()


def test_a_mesh_is_converted_too(part: Path) -> None:
    """Vertices are millimetres, and so is the distance in the warning of a coarser mesh."""
    mesh = read(part, "in", mesh=MeshRequest()).mesh
    assert mesh is not None
    assert mesh.vertices.max() == pytest.approx(3 * 25.4)
    part.write_bytes(binary(sphere()))
    [plain] = [w for w in read(part, mesh=MeshRequest(max_triangles=100)).warnings if "coarsened" in w]
    [metres] = [w for w in read(part, "m", mesh=MeshRequest(max_triangles=100)).warnings if "coarsened" in w]
    moved = [float(warning.split(" by up to ")[1].split()[0]) for warning in (plain, metres)]
    assert moved[1] == pytest.approx(1000 * moved[0])


@pytest.mark.parametrize(("size", "inches", "metres"), [(0.05, "1.27", "50"), (2, "50.8", "2000")])
def test_a_small_stl_may_be_in_another_unit(part: Path, size: float, inches: str, metres: str) -> None:
    """Extents below ten are told in inches and metres: nobody can see which it is, but all can see it."""
    part.write_bytes(binary(cube(size)))
    [warning] = read(part).warnings
    assert warning.startswith(STANDING)
    assert f"In inches it would be {inches} mm, in metres {metres} mm" in warning


def test_a_usual_stl_has_the_usual_warning(part: Path) -> None:
    """From ten millimetres on there is no reason to doubt them."""
    part.write_bytes(binary(cube(10)))
    assert read(part).warnings == (STANDING,)


def test_a_stated_unit_converts_a_drawing_without_one(tmp_path: Path) -> None:
    """A drawing that states no unit is converted; one that states its own is not."""
    for units, expected in ((0, 25.4), (4, 1.0), (6, 1000.0)):
        path = tmp_path / f"{units}.dxf"
        drawing = ezdxf.new("R2010", units=units)
        drawing.modelspace().add_line((0, 0), (3, 4))
        drawing.saveas(path)
        document = read(path, "in")
        assert document.bounding_box is not None
        assert document.bounding_box.maximum == pytest.approx((3 * expected, 4 * expected, 0))
        assert document.unit == {0: "inch", 4: "mm", 6: "m"}[units]
        assert not any("states no unit" in warning for warning in document.warnings)


def test_a_large_drawing_is_converted_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drawing that is read as a stream takes the stated unit too."""
    monkeypatch.setattr("cadml_plugins.formats.dxf._document.STREAM_BYTES", 0)
    path = tmp_path / "large.dxf"
    drawing = ezdxf.new("R2010", units=0)
    drawing.modelspace().add_line((0, 0), (3, 4))
    drawing.saveas(path)
    document = read(path, "ft")
    assert document.properties["streamed"]
    assert document.unit == "foot"
    assert document.bounding_box is not None
    assert document.bounding_box.maximum == pytest.approx((914.4, 1219.2, 0))


def test_a_unit_that_was_not_used_is_told(tmp_path: Path) -> None:
    """Where the file states its own unit, or the adapter does not convert, a warning says so."""
    path = tmp_path / "own.dxf"
    drawing = ezdxf.new("R2010", units=4)
    drawing.modelspace().add_line((0, 0), (3, 4))
    drawing.saveas(path)
    reading = read_file(path, formats=ADAPTERS, features={}, versions=(), limits=ReadLimits(), unit="in")
    assert reading.unit == "in"
    assert "the unit given, inch, was not used: the file itself states mm" in reading.document.warnings
    other = tmp_path / "part.good"
    other.write_text("good\n")
    reading = read_file(other, formats=FORMATS, features={}, versions=(), limits=ReadLimits(), unit="in")
    assert "the good adapter does not convert by it" in reading.document.warnings[-1]


def test_a_scaled_document_has_scaled_measures() -> None:
    """Areas by kind are squared; what has no length stays."""
    document = CadDocument(format="x", surface_areas={"plane": 4.0}, warnings=("as before",), solid_count=2)
    assert document.scaled(10) == CadDocument(
        format="x", surface_areas={"plane": 400.0}, warnings=("as before",), solid_count=2
    )
