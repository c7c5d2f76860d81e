"""The meshes that the product makes, held against numpy-stl's reading of the same files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from stl import Mode
from stl.mesh import Mesh

from cadml_core import CadDocument, ReadLimits
from cadml_core.contracts.formats import MeshRequest
from cadml_hostapp.demo import families, solids
from cadml_plugins.formats.kernel import step
from cadml_plugins.formats.stl.adapter import StlAdapter

FEW_FACETS = 20_000
"""numpy-stl's mass properties take seconds for more."""


def read(path: Path) -> CadDocument:
    """Read with the adapter."""
    return StlAdapter().read(path, ReadLimits())


def assert_agreement(document: CadDocument, mesh: Mesh) -> None:
    """The adapter's facets, box, area, volume and centroid are those that numpy-stl finds."""
    assert document.mass is not None
    assert document.bounding_box is not None
    assert document.facet_count == len(mesh.vectors) < FEW_FACETS
    assert document.bounding_box.minimum == pytest.approx(mesh.min_.tolist(), rel=1e-6, abs=1e-6)
    assert document.bounding_box.maximum == pytest.approx(mesh.max_.tolist(), rel=1e-6, abs=1e-6)
    assert document.area == pytest.approx(float(mesh.areas.sum()), rel=1e-5)
    volume, centroid, _ = mesh.get_mass_properties()
    assert document.mass.volume == pytest.approx(float(volume), rel=1e-4)
    assert document.mass.centroid == pytest.approx(centroid.tolist(), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("family", sorted(families.FAMILIES.keys() - {"bearing"}))
def test_the_meshes_of_the_demo(tmp_path: Path, family: str) -> None:
    """Every kind of sample part of one body is written as a closed mesh, which both read alike."""
    path = tmp_path / "part.stl"
    solids.write(families.FAMILIES[family](1.0, 1), path)
    document = read(path)
    assert document.mass is not None
    assert document.facet_quality is not None
    assert document.mass.reliable
    assert document.facet_quality.watertight
    assert (document.solid_count, document.shell_count) == (1, 1)
    assert document.properties["encoding"] == "binary"
    assert_agreement(document, Mesh.from_file(str(path)))


@pytest.mark.parametrize("mode", [Mode.ASCII, Mode.BINARY])
def test_what_numpy_stl_writes(tmp_path: Path, mode: Mode) -> None:
    """A mesh of the demo that numpy-stl has read and written again, in either encoding, is the same mesh."""
    first, second = tmp_path / "first.stl", tmp_path / "second.stl"
    solids.write(families.FAMILIES["flange"](1.0, 2), first)
    mesh = Mesh.from_file(str(first))
    mesh.save(str(second), mode=mode)
    one, other = read(first), read(second)
    assert other.properties["encoding"] == mode.name.lower()
    assert one.facet_quality is not None
    assert other.facet_quality is not None
    before, after = map(msgspec.structs.asdict, (one.facet_quality, other.facet_quality))
    # Estimates change with the last digit of a corner, which text may lack.
    for name in ("area_error", "volume_error"):
        assert after.pop(name) == pytest.approx(before.pop(name), rel=1e-2)
    assert after == before
    assert other.entity_counts == one.entity_counts
    assert_agreement(other, mesh)


def test_the_mesh_of_a_part(tmp_path: Path) -> None:
    """The mesh that a feature version gets of a STEP part encloses the part's volume in numpy-stl too."""
    path, written = tmp_path / "part.step", tmp_path / "part.stl"
    solids.write(families.FAMILIES["housing"](1.0, 1), path)
    [adapter] = step.cadml_format_adapters()
    document = adapter.read(path, ReadLimits(mesh=MeshRequest(relative_deflection=1e-4)))
    assert document.mesh is not None
    assert document.mass is not None
    mesh = Mesh(np.zeros(len(document.mesh.triangles), Mesh.dtype))
    mesh.vectors[:] = document.mesh.vertices[document.mesh.triangles]
    mesh.save(str(written), mode=Mode.BINARY)
    volume, _, _ = mesh.get_mass_properties()
    assert float(volume) == pytest.approx(document.mass.volume, rel=1e-3)
    assert_agreement(read(written), Mesh.from_file(str(written)))
