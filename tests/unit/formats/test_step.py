"""What the STEP adapter promises about good files."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cadml_core.contracts.formats import FormatAdapter, MeshRequest, ReadLimits
from cadml_core.documents.document import CadDocument
from cadml_core.errors import LimitExceeded, UnreadableInput
from cadml_plugins.formats.kernel import _extents, step
from tests.unit.formats import kernel_parts as parts

ADAPTER = step.StepAdapter()


def read(shape: parts.Shape, folder: Path, limits: ReadLimits | None = None, **options: str) -> CadDocument:
    """Write a shape and read it back."""
    path = parts.write_step(shape, folder / "part.step", **options)
    return ADAPTER.read(path, limits or ReadLimits())


def test_the_plugin_registers_one_format_adapter() -> None:
    """The hook returns an object that keeps the contract."""
    (adapter,) = step.cadml_format_adapters()
    assert isinstance(adapter, FormatAdapter)


@pytest.mark.parametrize("module", ["step", "iges"])
def test_the_host_never_loads_the_kernel(module: str) -> None:
    """Importing the plugin costs the host no kernel; what the workers preload does load it."""
    code = (
        "import sys, importlib\n"
        f"plugin = importlib.import_module('cadml_plugins.formats.kernel.{module}')\n"
        "assert not {'OCP', 'OCC'} & set(sys.modules)\n"
        "(adapter,) = plugin.cadml_format_adapters()\n"
        "[importlib.import_module(name) for name in adapter.preload]\n"
        "assert {'OCP', 'OCC'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_block_is_measured_exactly(tmp_path: Path) -> None:
    """Counts, extents, area, volume and moments of a block are those of the formulas."""
    document = read(parts.box(10, 20, 30, at=(1, 2, 3)), tmp_path)
    assert document.format == "step"
    assert document.entity_counts == {"plane": 6}
    assert document.edge_counts == {"line": 12}
    assert (document.surface_count, document.solid_count, document.shell_count) == (6, 1, 1)
    assert document.area == pytest.approx(2200)
    assert document.surface_areas == {"plane": pytest.approx(2200)}
    assert document.bounding_box is not None
    assert document.bounding_box.minimum == pytest.approx((1, 2, 3), abs=1e-6)
    assert document.bounding_box.maximum == pytest.approx((11, 22, 33), abs=1e-6)
    assert document.mass is not None
    assert document.mass.reliable
    assert document.mass.volume == pytest.approx(6000)
    assert document.mass.centroid == pytest.approx((6, 12, 18))
    expected = sorted(6000 / 12 * (a * a + b * b) for a, b in ((10, 20), (10, 30), (20, 30)))
    assert document.mass.principal_moments == pytest.approx(expected)
    assert document.unit == "mm"
    assert document.properties["schema"] == "AUTOMOTIVE_DESIGN"
    assert len(document.layers) == 1
    assert document.warnings == ()
    assert document.mesh is None


@pytest.mark.parametrize(
    ("shape", "kinds", "volume"),
    [
        (parts.cylinder(5, 12), {"cylinder": 1, "plane": 2}, math.pi * 25 * 12),
        (parts.cone(6, 2, 9), {"cone": 1, "plane": 2}, math.pi * 9 * (36 + 12 + 4) / 3),
        (parts.sphere(7), {"sphere": 1}, 4 / 3 * math.pi * 343),
        (parts.torus(10, 3), {"torus": 1}, 2 * math.pi**2 * 10 * 9),
        (
            parts.drilled_cylinder(),
            {"cylinder": 6, "plane": 2},
            math.pi * (100 - 9 - 4 * 2.25) * 8,
        ),
        (parts.filleted_block(2.0), {"cylinder": 12, "plane": 6, "sphere": 8}, None),
    ],
    ids=["cylinder", "cone", "sphere", "torus", "drilled", "filleted"],
)
def test_curved_faces_are_named_and_measured(
    shape: parts.Shape, kinds: dict[str, int], volume: float | None, tmp_path: Path
) -> None:
    """Each elementary surface has its name, and volumes agree with the formulas to 1e-6."""
    document = read(shape, tmp_path)
    assert document.entity_counts == kinds
    assert document.mass is not None
    if volume is not None:
        assert document.mass.volume == pytest.approx(volume, rel=1e-6)


def test_points_that_close_a_face_are_no_edges(tmp_path: Path) -> None:
    """A ball has one edge, its seam; the two poles are not counted."""
    assert sum(read(parts.sphere(), tmp_path).edge_counts.values()) == 1


def test_a_cavity_is_not_volume(tmp_path: Path) -> None:
    """A block with an enclosed hollow is one solid of two shells, and the hollow is subtracted."""
    document = read(parts.cut(parts.box(20, 20, 20), parts.box(10, 10, 10, at=(5, 5, 5))), tmp_path)
    assert (document.solid_count, document.shell_count) == (1, 2)
    assert document.mass is not None
    assert document.mass.volume == pytest.approx(7000)


def test_other_units_become_millimetres(tmp_path: Path) -> None:
    """A file in inches says so, and its numbers are converted."""
    document = read(parts.box(25.4, 50.8, 25.4), tmp_path, unit="INCH")
    assert document.unit == "inch"
    assert document.bounding_box is not None
    assert document.bounding_box.extents == pytest.approx((25.4, 50.8, 25.4), abs=1e-5)


def test_the_box_of_a_part_ring_is_tight(tmp_path: Path) -> None:
    """A quarter of a torus reaches as far as it reaches, not as far as its control points."""
    document = read(parts.torus(10, 3, math.pi / 2), tmp_path)
    assert document.bounding_box is not None
    assert document.bounding_box.minimum == pytest.approx((0, 0, -3), abs=1e-4)
    assert document.bounding_box.maximum == pytest.approx((13, 13, 3), abs=1e-4)


def test_disguised_surfaces_are_named_for_what_they_are(tmp_path: Path) -> None:
    """A part written as B-splines throughout counts the same faces, areas and volume."""
    plain = read(parts.bracket(), tmp_path)
    disguised = read(parts.as_nurbs(parts.bracket()), tmp_path)
    assert disguised.entity_counts == plain.entity_counts
    assert disguised.surface_areas == pytest.approx(plain.surface_areas, rel=1e-4)
    assert disguised.mass is not None
    assert plain.mass is not None
    assert disguised.mass.volume == pytest.approx(plain.mass.volume, rel=1e-4)


def test_every_use_of_a_component_counts(tmp_path: Path) -> None:
    """Four placed copies have four times the faces, area and volume, and moments about the whole."""
    bolt = parts.fuse(parts.cylinder(3, 20), parts.cylinder(6, 4, z=20))
    spots = [
        parts.placed(bolt, x, y, 0.0, turn) for x, y, turn in ((0, 0, 0), (40, 0, 1), (0, 30, 2), (40, 30, 3))
    ]
    one = read(bolt, tmp_path)
    four = read(parts.compound(spots), tmp_path)
    assert one.mass is not None
    assert four.mass is not None
    assert four.entity_counts == {kind: 4 * count for kind, count in one.entity_counts.items()}
    assert four.edge_counts == {kind: 4 * count for kind, count in one.edge_counts.items()}
    assert four.solid_count == 4
    assert four.area == pytest.approx(4 * (one.area or 0))
    assert four.mass.volume == pytest.approx(4 * one.mass.volume)
    assert four.mass.centroid == pytest.approx((20, 15, one.mass.centroid[2]))
    spread = np.array([15**2, 20**2, 15**2 + 20**2]) * four.mass.volume
    along, *across = one.mass.principal_moments
    expected = sorted(4 * np.array([*across, along]) + spread)
    assert four.mass.principal_moments == pytest.approx(expected)
    assert four.properties["assembly_depth"] == 1
    assert len(four.layers) == 2


def test_an_open_shell_has_no_reliable_volume(tmp_path: Path) -> None:
    """Five sides of a block are a shell without a solid; its volume is marked as formal."""
    document = read(parts.compound(parts.faces(parts.box())[:5]), tmp_path)
    assert document.solid_count == 0
    assert document.surface_count == 5
    assert document.mass is None or not document.mass.reliable


def test_curves_alone_are_entities(tmp_path: Path) -> None:
    """A file of curves is described by them, and says that there is nothing else."""
    document = read(parts.compound(parts.edges(parts.cylinder(5, 12))), tmp_path)
    assert document.entity_counts == {"circle": 2, "line": 1}
    assert document.surface_count == 0
    assert document.bounding_box is not None
    assert document.bounding_box.extents == pytest.approx((10, 10, 12), abs=1e-5)
    assert any("curves but no faces" in warning for warning in document.warnings)


def test_a_tessellated_model_is_described_by_its_facets(tmp_path: Path) -> None:
    """An AP242 file without exact surfaces gives facets, orientation classes and a closed volume."""
    document = read(parts.faceted(parts.box(), tmp_path), tmp_path, schema="AP242DIS")
    assert document.facet_count == 12
    assert document.surface_count == document.entity_count == 12
    assert document.mass is not None
    assert document.mass.reliable
    assert document.mass.volume == pytest.approx(6000)
    assert document.facet_quality is not None
    assert document.facet_quality.watertight


def test_a_mesh_comes_on_demand(tmp_path: Path) -> None:
    """The facets asked for close, face outwards and stay within the deflection."""
    document = read(parts.sphere(7), tmp_path, ReadLimits(mesh=MeshRequest(relative_deflection=0.001)))
    assert document.mesh is not None
    corners = document.mesh.vertices[document.mesh.triangles]
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(4 / 3 * math.pi * 343, rel=0.01)
    assert np.linalg.norm(corners.mean(axis=1), axis=1).min() > 7 - 3 * 0.001 * 7 * 2 * 3**0.5
    _, uses = np.unique(
        np.sort(document.mesh.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1),
        axis=0,
        return_counts=True,
    )
    assert set(uses) == {2}


def test_the_mesh_keeps_its_number_of_triangles(tmp_path: Path) -> None:
    """Too many triangles are made fewer, with a warning; beyond the hard limit they are refused."""
    few = read(parts.sphere(), tmp_path, ReadLimits(mesh=MeshRequest(0.0001, max_triangles=200)))
    assert few.mesh is not None
    assert 0 < len(few.mesh.triangles) <= 200
    assert any("coarser" in warning for warning in few.warnings)
    hard = ReadLimits(mesh=MeshRequest(0.0001, max_triangles=5), max_triangles=5)
    with pytest.raises(LimitExceeded, match="max_triangles"):
        read(parts.sphere(), tmp_path, hard)


def test_the_entity_limit_counts_faces_at_its_edge(tmp_path: Path) -> None:
    """A block's six faces pass a limit of six and not one of five; placed copies count as well."""
    assert read(parts.box(), tmp_path, ReadLimits(max_entities=6)).surface_count == 6
    with pytest.raises(LimitExceeded, match="max_entities"):
        read(parts.box(), tmp_path, ReadLimits(max_entities=5))
    pair = parts.compound([parts.placed(parts.box()), parts.placed(parts.box(), x=50)])
    with pytest.raises(LimitExceeded, match="max_entities"):
        read(pair, tmp_path, ReadLimits(max_entities=11))


def doubled(shape: parts.Shape, times: int) -> parts.Shape:
    """Return an assembly of two assemblies of two ... so many levels deep."""
    for level in range(times):
        shape = parts.compound([parts.placed(shape), parts.placed(shape, x=20 * 2**level)])
    return shape


def test_an_assembly_bomb_is_refused_unexpanded(tmp_path: Path) -> None:
    """Two dozen records that stand for 24 thousand faces are refused for what they stand for."""
    with pytest.raises(LimitExceeded, match="max_entities") as refusal:
        read(doubled(parts.box(), 12), tmp_path, ReadLimits(max_entities=10_000))
    assert refusal.value.context["found"] == 6 * 2**12


def test_nested_assemblies_are_bounded_at_the_edge(tmp_path: Path) -> None:
    """Assemblies four deep pass a limit of four and not one of three."""
    assert read(doubled(parts.box(), 4), tmp_path, ReadLimits(max_block_depth=4)).solid_count == 16
    with pytest.raises(LimitExceeded, match="max_block_depth"):
        read(doubled(parts.box(), 4), tmp_path, ReadLimits(max_block_depth=3))


def test_any_file_name_will_do(tmp_path: Path) -> None:
    """A name that is not UTF-8 is read like any other."""
    path = parts.write_step(parts.box(), tmp_path / "part.step")
    odd = tmp_path / os.fsdecode(b"\xff\xfe.step")
    odd.write_bytes(path.read_bytes())
    assert ADAPTER.read(odd, ReadLimits()).solid_count == 1


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    """No file is INPUT_UNREADABLE, not a parse error."""
    with pytest.raises(UnreadableInput):
        ADAPTER.read(tmp_path / "nowhere.step", ReadLimits())


def test_the_kernel_keeps_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Standard output belongs to the host: the kernel writes nothing there."""
    read(parts.bracket(), tmp_path)
    assert capfd.readouterr() == ("", "")


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    """The same file gives the same document, to the last digit."""
    path = parts.write_step(parts.filleted_block(), tmp_path / "part.step")
    assert ADAPTER.read(path, ReadLimits()) == ADAPTER.read(path, ReadLimits())


def test_a_box_that_stays_loose_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the closer looks run out, the box is too wide rather than too narrow, with a warning."""
    exact = read(parts.torus(10, 3, math.pi / 2), tmp_path).bounding_box
    monkeypatch.setattr(_extents, "TIGHT_BOXES", 0)
    document = read(parts.torus(10, 3, math.pi / 2), tmp_path)
    assert document.bounding_box is not None
    assert exact is not None
    assert all(
        loose >= tight for loose, tight in zip(document.bounding_box.maximum, exact.maximum, strict=True)
    )
    assert any("too wide" in warning for warning in document.warnings)
