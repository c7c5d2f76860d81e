"""The feature version ``mesh8`` keeps the contract of every feature version, and measures what it says."""

import numpy as np
import pytest
from cadml_mesh_features import MeshFeatures

from cadml_core import BoundingBox, CadDocument, TriangleMesh, UnsupportedContent
from cadml_core.testing import FeatureVersionContract

QUADS = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


def box(width: float, height: float, depth: float, *, turn: np.ndarray | None = None) -> CadDocument:
    """A box whose triangles face outwards, away from the origin."""
    corners = np.array([(x, y, z) for x in (0, width) for y in (0, height) for z in (0, depth)], float) + 7.0
    corners = corners if turn is None else corners @ turn.T
    triangles = np.array([t for a, b, c, d in QUADS for t in ((a, b, c), (a, c, d))])
    extents = BoundingBox(tuple(corners.min(axis=0).tolist()), tuple(corners.max(axis=0).tolist()))
    return CadDocument(format="stl", bounding_box=extents, mesh=TriangleMesh(corners, triangles))


class TestMeshFeatures(FeatureVersionContract):
    """Everything that the conformance kit asks."""

    @pytest.fixture
    def version(self) -> MeshFeatures:
        """The version under test."""
        return MeshFeatures()

    def test_measures_a_box(self, version: MeshFeatures) -> None:
        """Area, volume and the share of each direction are those of the box."""
        values = version.extract(box(4, 3, 2))
        assert values[:2] == pytest.approx([52, 24])
        assert values[5:] == pytest.approx([12 / 52, 16 / 52, 24 / 52])

    def test_spread_of_a_cube(self, version: MeshFeatures) -> None:
        """Two sides stand one away from the middle, on four the square averages a third: (2 + 4/3) / 6."""
        assert version.extract(box(2, 2, 2))[2:5] == pytest.approx([np.sqrt(5 / 9)] * 3)

    def test_all_but_the_directions_stay_when_a_part_is_turned(self, version: MeshFeatures) -> None:
        """A quarter turn permutes the directions; a slanted one keeps their sum."""
        straight = version.extract(box(4, 3, 2))
        c, s = np.cos(0.3), np.sin(0.3)
        for turn in (
            np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
            np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
        ):
            turned = version.extract(box(4, 3, 2, turn=turn))
            assert turned[:5] == pytest.approx(straight[:5])
            assert turned[5:].sum() == pytest.approx(1.0)

    def test_twice_the_size_is_the_same_step_in_every_magnitude(self, version: MeshFeatures) -> None:
        """In the embedding each magnitude moves by ln 2, and the shares stay."""
        small, large = (version.extract(box(4 * n, 3 * n, 2 * n)) for n in (1000, 2000))
        step = version.embed(np.stack([large])) - version.embed(np.stack([small]))
        assert step[0, :5] == pytest.approx(np.log(2), abs=1e-3)
        assert step[0, 5:] == pytest.approx(0, abs=1e-6)

    def test_no_geometry_is_zeros(self, version: MeshFeatures) -> None:
        """An empty document has no mesh, and that is no error."""
        assert version.extract(CadDocument(format="stl")).tolist() == [0.0] * 8

    def test_a_drawing_is_refused(self, version: MeshFeatures) -> None:
        """Geometry without a surface has no values; the message says what is missing."""
        drawing = CadDocument(format="dxf", bounding_box=BoundingBox((0, 0, 0), (1, 1, 0)))
        with pytest.raises(
            UnsupportedContent, match="mesh8 needs a triangle mesh, and this dxf document has none"
        ):
            version.extract(drawing)
