"""What the feature version shape promises: turned, re-meshed and damaged surfaces, and its weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from cadml_core import Boundary, BoundingBox, CadDocument, CadmlError, TriangleMesh, UnsupportedContent
from cadml_plugins.features.shape._description import BLOCKS, PLACES, WIDTH
from cadml_plugins.features.shape._metric import WEIGHTS, Metric
from cadml_plugins.features.shape._surface import prepare
from cadml_plugins.features.shape.version import ShapeVersion

SHAPE = ShapeVersion()
SCRIPT = Path(__file__).parents[2] / "contrib" / "scripts" / "fit_shape.py"
Floats = NDArray[np.float64]


def prism(
    outline: list[tuple[float, float]], height: float, cuts: int = 1, eye: tuple[float, float] | None = None
) -> TriangleMesh:
    """Return an outline that is seen whole from an eye extruded along z, each wall in so many strips."""
    ring = np.array(outline, float)
    count = len(ring)
    levels = np.linspace(0.0, height, cuts + 1)
    vertices = [np.column_stack([ring, np.full(count, level)]) for level in levels]
    middle = ring.mean(axis=0) if eye is None else np.array(eye)
    vertices.append(np.array([[*middle, 0.0], [*middle, height]]))
    triangles = []
    for one in range(count):
        two = (one + 1) % count
        for level in range(cuts):
            a, b = level * count + one, level * count + two
            triangles += [(a, b, b + count), (a, b + count, a + count)]
        triangles.append(((cuts + 1) * count, two, one))
        triangles.append(((cuts + 1) * count + 1, cuts * count + one, cuts * count + two))
    return TriangleMesh(np.concatenate(vertices), np.array(triangles, np.int64))


def disc(radius: float, height: float, sides: int = 48) -> TriangleMesh:
    """Return a cylinder."""
    turns = np.linspace(0.0, 2 * np.pi, sides, endpoint=False)
    return prism(list(zip(radius * np.cos(turns), radius * np.sin(turns), strict=True)), height)


def angle_bar(thickness: float = 4.0, cuts: int = 1) -> TriangleMesh:
    """Return an L profile, seen from its inner corner as a star."""
    t = thickness
    return prism([(0, 0), (40, 0), (40, t), (t, t), (t, 30), (0, 30)], 90.0, cuts, (t / 2, t / 2))


def document(mesh: TriangleMesh | None, boundary: Boundary | None = None) -> CadDocument:
    """Return a document with a mesh."""
    return CadDocument(
        format="stl", bounding_box=BoundingBox((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), mesh=mesh, boundary=boundary
    )


def values(mesh: TriangleMesh, boundary: Boundary | None = None) -> Floats:
    """Return the raw values of a mesh."""
    return SHAPE.extract(document(mesh, boundary))


def moved(mesh: TriangleMesh, seed: int, scale: float = 1.0) -> TriangleMesh:
    """Return the mesh turned and shifted at random."""
    random = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    turn = turn * np.sign(np.linalg.det(turn))
    return TriangleMesh(scale * mesh.vertices @ turn.T + random.normal(size=3) * 100, mesh.triangles)


def some_boundary(kind: int = 0) -> Boundary:
    """Return the six faces and twelve edges of a box, its faces all of one kind."""
    pairs = [(a, b) for a in range(6) for b in range(a + 1, 6) if a // 2 != b // 2]
    return Boundary(
        face_kinds=np.full(6, kind),
        face_areas=np.full(6, 100.0),
        face_radii=np.zeros(6),
        face_concave=np.zeros(6, bool),
        face_wires=np.ones(6, int),
        edge_kinds=np.zeros(12, int),
        edge_lengths=np.full(12, 10.0),
        edge_angles=np.full(12, np.pi / 2),
        edge_faces=np.array(pairs),
        vertices=8,
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["bar", "disc", "block"]))
def test_a_turned_part_is_nearer_than_a_sibling(seed: int, which: str) -> None:
    """Whatever the motion, a part of the same form lies nearer than one that is half as thick again."""
    block = [(0.0, 0.0), (30.0, 0.0), (30.0, 20.0), (0.0, 20.0)]

    def make(factor: float) -> TriangleMesh:
        if which == "block":
            return prism(block, 8.0 * factor)
        return angle_bar(4.0 * factor) if which == "bar" else disc(20.0, 6.0 * factor)

    part = values(make(1.0))
    turned, sibling = SHAPE.refine(part, np.stack([values(moved(make(1.0), seed)), values(make(1.5))]))
    assert turned < 0.2 * sibling


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_figures_without_a_frame_do_not_change_with_motion(seed: int) -> None:
    """Sizes, distances and moments of a turned part agree to the precision of sampling."""
    one, two = values(angle_bar()), values(moved(angle_bar(), seed))
    for block, tolerance in (("size", 0.01), ("d1", 0.01), ("plane", 0.02), ("edge", 0.02)):
        np.testing.assert_allclose(two[PLACES[block]], one[PLACES[block]], atol=tolerance, err_msg=block)


def test_facets_do_not_matter() -> None:
    """The same surface in many small facets, or in soup that shares no vertices, lies by the first."""
    plain, fine = angle_bar(), angle_bar(cuts=40)
    soup = TriangleMesh(
        fine.vertices[fine.triangles].reshape(-1, 3), np.arange(3 * len(fine.triangles)).reshape(-1, 3)
    )
    part, others = values(plain), [values(mesh) for mesh in (fine, soup, angle_bar(5.0))]
    finer, scattered, thicker = SHAPE.refine(part, np.stack(others))
    assert max(finer, scattered) < thicker


def test_orientation_does_not_matter() -> None:
    """A mesh that faces inwards throughout has the values of the one that faces outwards."""
    bar = angle_bar()
    inwards = TriangleMesh(bar.vertices, bar.triangles[:, ::-1])
    apart = SHAPE.refine(values(bar), np.stack([values(inwards), values(angle_bar(5.0))]))
    assert apart[0] < apart[1]
    np.testing.assert_allclose(values(inwards)[PLACES["edge"]], values(bar)[PLACES["edge"]], atol=1e-3)


def test_the_same_mesh_has_the_same_values_to_the_bit() -> None:
    """Values, embedding and distances are equal at every call, wherever a row stands."""
    rows = np.stack([values(moved(angle_bar(), seed)) for seed in range(5)])
    np.testing.assert_array_equal(rows, np.stack([values(moved(angle_bar(), seed)) for seed in range(5)]))
    np.testing.assert_array_equal(SHAPE.embed(rows)[3], SHAPE.embed(rows[3:4])[0])
    np.testing.assert_array_equal(SHAPE.refine(rows[0], rows), SHAPE.refine(rows[0], rows))


def test_values_fit_half_precision() -> None:
    """Every raw value is one that two bytes hold exactly, so that the catalogue keeps a part in 3.4 kB."""
    row = values(moved(angle_bar(), 1), some_boundary())
    np.testing.assert_array_equal(row, row.astype(np.float16).astype(float))


NEEDLE = prism([(0, 0), (1e-4, 0), (1e-4, 1e-4), (0, 1e-4)], 1e3)
SHEET = TriangleMesh(
    np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float), np.array([[0, 1, 2], [0, 2, 3]])
)


@pytest.mark.parametrize(
    "mesh",
    [
        NEEDLE,
        SHEET,
        prism([(0, 0), (1, 0), (1, 1), (0, 1)], 1e-7),
        TriangleMesh(angle_bar().vertices, angle_bar().triangles[::2]),
        TriangleMesh(angle_bar().vertices, np.tile(angle_bar().triangles, (2, 1))),
        TriangleMesh(angle_bar().vertices * 1e-30, angle_bar().triangles),
        TriangleMesh(angle_bar().vertices * 1e100, angle_bar().triangles),
        TriangleMesh(angle_bar().vertices + 1e7, angle_bar().triangles),
    ],
    ids=["needle", "one triangle pair", "plate", "open", "doubled", "speck", "giant", "far away"],
)
def test_bad_surfaces_have_finite_values(mesh: TriangleMesh) -> None:
    """Degenerate, open, doubled, tiny, huge and distant meshes: finite, the same twice, embedded finitely."""
    row = values(mesh)
    assert row[0] == 1.0
    assert np.isfinite(row).all()
    np.testing.assert_array_equal(row, values(mesh))
    assert np.isfinite(SHAPE.embed(row[None])).all()
    assert np.isfinite(SHAPE.refine(row, np.stack([row, values(angle_bar())]))).all()


def test_facets_without_area_are_left_out() -> None:
    """They change nothing; alone they make no surface, which the first slot says."""
    bar = angle_bar()
    more = TriangleMesh(bar.vertices, np.vstack([bar.triangles, [[0, 0, 1], [2, 2, 2]]]))
    np.testing.assert_array_equal(values(more), values(bar))
    assert not values(TriangleMesh(bar.vertices, np.array([[0, 0, 1]]))).any()


def test_a_wireframe_is_refused() -> None:
    """Geometry without a surface has no values: zeros would look like a shape."""
    with pytest.raises(UnsupportedContent, match="v1 to v4"):
        SHAPE.extract(document(None))
    assert not SHAPE.extract(CadDocument(format="stl")).any()


def test_lengths_are_in_millimetres_and_everything_else_is_relative() -> None:
    """A part twice as large differs in its sizes, by log10 2, and in the absolute thicknesses only."""
    one, two = values(angle_bar()), values(moved(angle_bar(), 3, scale=2.0))
    np.testing.assert_allclose(two[PLACES["size"]][:6] - one[PLACES["size"]][:6], np.log10(2.0), atol=0.01)
    np.testing.assert_allclose(two[PLACES["plane"]], one[PLACES["plane"]], atol=0.02)


def test_thickness_is_measured_by_rays() -> None:
    """The median thickness of a thin plate is its thickness."""
    plate = prism([(0, 0), (80, 0), (80, 60), (0, 60)], 3.0)
    surface = prepare(plate)
    assert surface is not None
    median = values(plate)[PLACES["rays"]][42]
    assert 10**median * surface.unit == pytest.approx(3.0, rel=0.01)


def test_exact_faces_count_only_where_both_parts_have_them() -> None:
    """A part with other faces on the same surface is further away; without, the usual distance stands in."""
    plain, planes, tori = (
        values(angle_bar()),
        values(angle_bar(), some_boundary()),
        values(angle_bar(), some_boundary(4)),
    )
    same, bare = SHAPE.refine(planes, np.stack([planes, plain]))
    assert same == 0.0
    assert bare == pytest.approx(0.0, abs=1e-6)
    others = np.stack([values(disc(9.0, 70.0), some_boundary(kind)) for kind in (0, 4)])
    alike, unlike = SHAPE.refine(planes, others)
    assert alike < unlike
    assert tori[1] == 1.0


def test_explanations_name_the_block_that_differs() -> None:
    """Between parts that differ in size alone, the sizes and thicknesses in mm have the shares."""
    one, two = values(angle_bar()), values(angle_bar())
    two[PLACES["size"]] += 0.3
    [shares] = SHAPE.block_shares(one, two[None])
    assert list(BLOCKS)[int(shares.argmax())] == "size"
    assert shares.sum() == pytest.approx(1.0)


def test_weights_that_are_missing_or_not_finite_are_refused(tmp_path: Path) -> None:
    """The error names the file and says what to do."""
    with pytest.raises(CadmlError, match=r"none\.npz.*install cadml again"):
        Metric(tmp_path / "none.npz")
    with np.load(WEIGHTS) as file:
        weights = {name: file[name] for name in file.files}
    broken = weights | {"mesh_matrix": np.full_like(weights["mesh_matrix"], np.nan)}
    np.savez(tmp_path / "nan.npz", **broken)
    with pytest.raises(CadmlError, match="not finite in mesh_matrix"):
        Metric(tmp_path / "nan.npz")
    weights.pop("brep_mean")
    np.savez(tmp_path / "part.npz", **weights)
    with pytest.raises(CadmlError, match="nothing as brep_mean"):
        Metric(tmp_path / "part.npz")


def test_the_weights_are_small() -> None:
    """They travel in the package: less than a megabyte."""
    assert WEIGHTS.stat().st_size < 1_000_000
    assert len(SHAPE.slots) == WIDTH


def test_fitting_is_deterministic_and_its_weights_work(tmp_path: Path) -> None:
    """The script writes the same file twice from the same parts, and the metric takes it."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(6, WIDTH))
    rows = (np.repeat(centres, 5, axis=0) + 0.1 * random.normal(size=(30, WIDTH))).astype(np.float16)
    rows[:, :2] = 1.0
    families = np.repeat([f"family {number}" for number in range(6)], 5)
    np.savez(tmp_path / "parts.npz", values=rows, families=families, groups=np.repeat(np.arange(15), 2))
    for name in ("one.npz", "two.npz"):
        subprocess.run([sys.executable, SCRIPT, tmp_path / "parts.npz", "--out", tmp_path / name], check=True)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    metric = Metric(tmp_path / "one.npz")
    distances = metric.distances(metric.place(rows.astype(float)))
    assert distances[1:5].max() < distances[5:].min()
