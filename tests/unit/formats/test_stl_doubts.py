"""Whose volume an STL document vouches for: closed but for rounding, inside out, overlapping, cancelling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cadml_core import CadDocument, ReadLimits
from cadml_core.contracts.formats import MeshRequest
from cadml_plugins.formats.mesh._hull import hull_volume
from cadml_plugins.formats.mesh._measures import CHUNK_FACETS, FacetMeasures
from cadml_plugins.formats.mesh._welding import merge_near
from cadml_plugins.formats.stl.adapter import StlAdapter
from tests.unit.formats.test_stl import Facets, ascii_text, binary, cube, sphere


def read(folder: Path, facets: Facets, *, text: bool = False, mesh: MeshRequest | None = None) -> CadDocument:
    """Write facets as an STL and read it."""
    path = folder / "part.stl"
    path.write_bytes(ascii_text(facets).encode() if text else binary(facets))
    return StlAdapter().read(path, ReadLimits(mesh=mesh))


def says(document: CadDocument, words: str) -> bool:
    """Whether a warning has these words."""
    return any(words in warning for warning in document.warnings)


def cracked(facets: Facets, by: float) -> Facets:
    """Move every corner of every facet by up to ``by`` along each axis."""
    return np.asarray(facets + np.random.default_rng(3).uniform(-by / 2, by / 2, facets.shape))


class TestRounding:
    """Corners that rounding has set apart are one where that matters: in a mesh that would be open."""

    @pytest.mark.parametrize("turned", [False, True])
    def test_closes_what_is_whole(self, tmp_path: Path, turned: bool) -> None:
        """A sphere whose facets miss one another by a part in ten million is closed, and says how."""
        ball = sphere()[:, ::-1] if turned else sphere()
        document = read(tmp_path, cracked(ball, 2e-6), text=True)
        assert document.mass is not None
        assert document.facet_quality is not None
        assert document.mass.reliable
        assert document.facet_quality.watertight
        assert (document.solid_count, document.shell_count) == (1, 1)
        assert document.mass.volume == pytest.approx(_volume(sphere()), rel=1e-6)
        assert document.properties["welding_tolerance_mm"] == pytest.approx(20 * 3**0.5 * 1e-6, rel=1e-3)
        assert says(document, "merging those within 3.46e-05 mm")
        assert says(document, "closes the mesh")

    def test_does_not_close_a_gap(self, tmp_path: Path) -> None:
        """Facets that miss one another by ten times the tolerance leave the mesh open."""
        document = read(tmp_path, cracked(sphere(), 3.5e-4), text=True)
        assert document.mass is not None
        assert not document.mass.reliable
        assert says(document, "only formal")

    def test_a_hole_stays_a_hole(self, tmp_path: Path) -> None:
        """A missing facet of a cracked sphere is still missing; the rest is one component."""
        document = read(tmp_path, cracked(sphere(), 2e-6)[1:], text=True)
        assert document.facet_quality is not None
        assert document.mass is not None
        assert document.facet_quality.boundary_edges == 3
        assert (document.shell_count, document.solid_count) == (1, 0)
        assert not document.mass.reliable
        assert says(document, "does not close the mesh")

    def test_a_closed_mesh_is_left_alone(self, tmp_path: Path) -> None:
        """Details below the tolerance survive where nothing is open."""
        document = read(tmp_path, np.concatenate([cube(1000), cube(1e-4, (5000, 0, 0))]), text=True)
        assert (document.shell_count, document.solid_count) == (2, 2)
        assert "welding_tolerance_mm" not in document.properties

    def test_the_mesh_is_welded_alike(self, tmp_path: Path) -> None:
        """A mesh that a feature version asks for has the merged corners."""
        document = read(tmp_path, cracked(cube(20), 2e-6), text=True, mesh=MeshRequest())
        assert document.mesh is not None
        assert len(document.mesh.vertices) == 8

    def test_points_in_a_chain_are_not_drawn_together(self) -> None:
        """A row of points, each near the next, is longer than the tolerance and stays as it is."""
        row = np.zeros((50, 3))
        row[:, 0] = np.arange(50) * 0.5
        pair = np.array([[100.0, 0, 0], [100.2, 0.1, 0]])
        points = np.concatenate([row, pair])
        merged = merge_near(points, np.array([[0, 1, 50]]), np.arange(len(points)), 1.0)
        assert merged is not None
        assert len(merged[0]) == 51

    def test_near_points_meet_wherever_they_lie(self) -> None:
        """No border of a grid keeps two points apart that are within the tolerance."""
        noise = np.random.default_rng(1)
        points = noise.uniform(0, 1000, (400, 3))
        both = np.concatenate([points, points + noise.uniform(-0.5, 0.5, points.shape)])
        merged = merge_near(both, np.array([[0, 400, 1]]), np.arange(800), 0.5)
        assert merged is not None
        assert len(merged[0]) == 400
        assert merged[1][0, 0] == merged[1][0, 1]


class TestShells:
    """Shells that face the wrong way, and solids that overlap, are found."""

    @pytest.mark.parametrize("first", [False, True])
    def test_opposite_bodies_do_not_cancel(self, tmp_path: Path, first: bool) -> None:
        """Of two equal bodies one is inside out: both count, in the middle between them, but not reliably."""
        right, wrong = cube(10), cube(10, (30, 0, 0))[:, ::-1]
        document = read(tmp_path, np.concatenate([wrong, right] if first else [right, wrong]))
        assert document.mass is not None
        assert not document.mass.reliable
        assert document.mass.volume == pytest.approx(2000)
        assert document.mass.centroid == pytest.approx((20, 5, 5))
        assert says(document, "1 of 2 shells face the other way")

    def test_opposite_bodies_in_a_large_mesh(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where edges are not examined the volume cancels: it is not reliable, the centroid no nonsense."""
        monkeypatch.setattr("cadml_plugins.formats.stl._document.MOST_FACETS", 5)
        ball = sphere(radius=7.3)
        document = read(tmp_path, np.concatenate([ball, ball[:, ::-1] + (50.1, 0, 0)]))
        assert document.bounding_box is not None
        if document.mass is not None:
            assert not document.mass.reliable
            middle = np.add(document.bounding_box.minimum, document.bounding_box.maximum) / 2
            assert document.mass.centroid == pytest.approx(middle)

    @pytest.mark.parametrize("part", [np.empty((0, 3, 3)), cube(5), sphere(8)], ids=["alone", "cube", "ball"])
    def test_a_facet_and_its_back(self, tmp_path: Path, part: Facets) -> None:
        """Two facets back to back are closed, enclose nothing and repeat each other, alone or not."""
        flat = np.array([[[90, 0, 0], [99, 0, 0], [90, 9, 0]]])
        document = read(tmp_path, np.concatenate([part, flat, flat[:, ::-1]]))
        assert document.facet_quality is not None
        assert document.facet_quality.watertight
        assert document.facet_quality.duplicate == 1
        assert document.solid_count == (1 if len(part) else 0)

    @pytest.mark.parametrize("open_at", [None, 0, -1])
    def test_a_mesh_that_outgrows_the_examination(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_at: int | None
    ) -> None:
        """A gap is found in the facets read before a mesh is known to be large, and in those after."""
        monkeypatch.setattr("cadml_plugins.formats.stl._document.MOST_FACETS", 7000)
        ball = sphere(80)
        assert len(ball) > 2 * CHUNK_FACETS
        document = read(tmp_path, ball if open_at is None else np.delete(ball, open_at, axis=0))
        assert document.facet_quality is None
        assert document.mass is not None
        assert document.mass.reliable == (open_at is None)

    def test_a_cavity_is_no_fault(self, tmp_path: Path) -> None:
        """The wall of a cavity faces the other way and lies in its body, whichever way that one faces."""
        hollow = np.concatenate([cube(10), cube(2, (4, 4, 4))[:, ::-1]])
        for facets in (hollow, hollow[:, ::-1]):
            document = read(tmp_path, facets)
            assert document.mass is not None
            assert document.mass.reliable
            assert document.mass.volume == pytest.approx(992)
            assert document.solid_count == 1

    def test_a_volume_beyond_the_box(self, tmp_path: Path) -> None:
        """Two bodies in one place have more volume than their box."""
        document = read(tmp_path, np.concatenate([cube(10), cube(9.9, (0.05, 0.05, 0.05))]))
        assert document.mass is not None
        assert not document.mass.reliable
        assert says(document, "larger than the bounding box")

    def test_a_volume_beyond_the_hull(self, tmp_path: Path) -> None:
        """A ball in a ball has less volume than the box but more than the hull."""
        document = read(tmp_path, np.concatenate([sphere(24, 10), sphere(25, 7)]))
        assert document.mass is not None
        assert not document.mass.reliable
        assert says(document, "larger than the convex hull")

    def test_touching_bodies_beyond_the_hull(self, tmp_path: Path) -> None:
        """Two bodies that share an edge are one component; that they share space too is found still."""
        axes = np.array([[10, 0, 0], [0, 10, 0], [0, 0, 10.0], [-10, 0, 0], [0, -10, 0], [0, 0, -10]])
        sides = np.array(
            [(0, 1, 2), (1, 3, 2), (3, 4, 2), (4, 0, 2), (1, 0, 5), (3, 1, 5), (4, 3, 5), (0, 4, 5)]
        )
        smaller = axes * np.array([1, 1, 0.97, 0.97, 0.97, 0.97])[:, None]
        document = read(tmp_path, np.concatenate([axes[sides], smaller[sides]]))
        assert document.facet_quality is not None
        assert document.facet_quality.non_manifold_edges == 1
        assert document.mass is not None
        assert not document.mass.reliable
        assert says(document, "larger than the convex hull")

    def test_bodies_side_by_side_are_no_fault(self, tmp_path: Path) -> None:
        """Bodies whose boxes overlap while they do not are vouched for."""
        document = read(tmp_path, np.concatenate([sphere(24, 10), sphere(12, 3) + np.array([9, 9, 0])]))
        assert document.mass is not None
        assert document.mass.reliable

    def test_a_body_around_itself(self, tmp_path: Path) -> None:
        """A single shell that winds round twice has more volume than its box."""
        turns = cube(10)
        double = np.concatenate([turns, turns * 0.999 + 0.005])
        measures = FacetMeasures()
        measures.add(double)
        assert measures.exceeds_box()


class TestHull:
    """The estimate of a hull's volume is an upper bound but for its sampling error."""

    @pytest.mark.parametrize(
        ("points", "volume", "most"),
        [
            (cube(3, (5, 6, 7)).reshape(-1, 3), 27.0, 1.0),
            (sphere(40, 10).reshape(-1, 3), 4 / 3 * np.pi * 1000, 1.05),
            (np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9.0]]), 121.5, 1.35),
        ],
    )
    def test_is_close(self, points: Facets, volume: float, most: float) -> None:
        """A cube, a ball and a corner: hardly too small, and not much too large."""
        assert 0.99 * volume < hull_volume(points) <= most * volume


def _volume(facets: Facets) -> float:
    measures = FacetMeasures()
    measures.add(facets)
    return measures.signed_volume
