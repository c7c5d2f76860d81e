"""What every feature version promises."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cadml_core.contracts.features import FeatureVersion, PlacedVersion, RefinedVersion
from cadml_core.documents.document import (
    BoundingBox,
    CadDocument,
    MassProperties,
    TriangleMesh,
    decode_summary,
    encode_summary,
)
from cadml_core.errors import CadmlError

TETRAHEDRON = ((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3))


def _mesh(scale: float = 1.0, triangles: Sequence[tuple[int, int, int]] = TETRAHEDRON) -> TriangleMesh:
    """Return triangles over four points; writing into its arrays fails."""
    points = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]) * scale
    corners = np.array(triangles, dtype=np.int64).reshape(-1, 3)
    points.flags.writeable = corners.flags.writeable = False
    return TriangleMesh(points, corners)


def sample_documents() -> list[CadDocument]:
    """Return documents from the ordinary to the extreme: empty, a plate, a speck, a giant, a poor mesh.

    All but the empty one have a mesh.
    """
    plate = CadDocument(
        format="step",
        entity_counts={"plane": 6, "cylinder": 4},
        surface_count=10,
        solid_count=1,
        shell_count=1,
        edge_counts={"line": 12, "circle": 8},
        surface_areas={"plane": 2200.0, "cylinder": 120.0},
        layers=("plate",),
        bounding_box=BoundingBox((0.0, 0.0, 0.0), (40.0, 20.0, 5.0)),
        unit="mm",
        area=2320.0,
        mass=MassProperties(3900.0, (20.0, 10.0, 2.5), (1.0e5, 5.0e5, 6.0e5)),
        mesh=_mesh(),
    )
    speck = CadDocument(
        format="stl",
        entity_counts={"oblique": 1},
        surface_count=1,
        facet_count=1,
        bounding_box=BoundingBox((0.0, 0.0, 0.0), (1e-30, 0.0, 0.0)),
        mesh=_mesh(1e-30),
    )
    giant = CadDocument(
        format="dxf",
        entity_counts={f"KIND{number}": 10**9 for number in range(30)},
        surface_count=30 * 10**9,
        layers=tuple(f"layer {number}" for number in range(1000)),
        bounding_box=BoundingBox((-1e150, -1e150, -1e150), (1e150, 1e150, 1e150)),
        mesh=_mesh(1e100),  # the furthest that a built-in reader lets pass
    )
    poor = [
        CadDocument(
            format="stl",
            entity_counts={"degenerate": 2},
            surface_count=2,
            facet_count=2,
            bounding_box=BoundingBox((0.0, 0.0, 0.0), (1.0, 1.0, 0.0)),
            mesh=_mesh(triangles=triangles),
        )
        for triangles in ([], [(0, 0, 0)], [(0, 1, 1), (0, 1, 1)], [(0, 1, 2)])
    ]
    return [CadDocument(format="stl"), plate, speck, giant, *poor]


def documents_for(version: FeatureVersion) -> list[CadDocument]:
    """Return the sample documents as the version gets them: with their meshes only where it needs one."""
    documents = sample_documents()
    return documents if version.needs_mesh else [document.without_mesh() for document in documents]


class FeatureVersionContract:
    """Inherit, and provide the fixture ``version``."""

    @pytest.fixture
    def version(self) -> FeatureVersion:
        """Return the feature version under test."""
        raise NotImplementedError("override the fixture `version`")

    def test_satisfies_the_protocol(self, version: FeatureVersion) -> None:
        """It has every member of the contract."""
        assert isinstance(version, FeatureVersion)
        assert version.metric in ("l2", "cosine")
        assert isinstance(version.needs_mesh, bool)

    def test_travels_to_the_readers(self, version: FeatureVersion) -> None:
        """It can be pickled: files are read and features extracted in other processes."""
        assert pickle.loads(pickle.dumps(version)).name == version.name

    def test_slots_are_named_once(self, version: FeatureVersion) -> None:
        """Slot names are identifiers and unique, so that values can move by name."""
        names = [slot.name for slot in version.slots]
        assert names, "a feature version has at least one slot"
        assert len(set(names)) == len(names)
        assert all(name.isidentifier() for name in names)

    def test_values_are_finite_float64_one_per_slot(self, version: FeatureVersion) -> None:
        """Whatever the document, the raw values are finite float64, one for each slot.

        A document without geometry has no mesh either, and values all the same.
        """
        for document in documents_for(version):
            values = version.extract(document)
            assert values.dtype == np.float64
            assert values.shape == (len(version.slots),)
            assert np.isfinite(values).all(), f"not finite for a {document.format} document: {values}"

    def test_values_follow_from_the_summary_or_need_a_mesh(self, version: FeatureVersion) -> None:
        """A version that needs a mesh refuses geometry without one: a zero would look like a value.

        Any other version ignores meshes: they are not stored, and its values are computed from the summary.
        """
        for document in sample_documents()[1:]:
            stored = decode_summary(encode_summary(document))
            if version.needs_mesh:
                with pytest.raises(CadmlError) as refusal:
                    version.extract(stored)
                assert refusal.value.message
            else:
                np.testing.assert_array_equal(version.extract(stored), version.extract(document))

    def test_extraction_is_deterministic_and_thread_safe(self, version: FeatureVersion) -> None:
        """The same document gives the same values, also from several threads at once."""
        documents = documents_for(version) * 4
        once = [version.extract(document) for document in documents]
        with ThreadPoolExecutor(4) as threads:
            again = list(threads.map(version.extract, documents))
        for first, second in zip(once, again, strict=True):
            np.testing.assert_array_equal(first, second)

    def test_embedding_is_finite_float32_row_by_row(self, version: FeatureVersion) -> None:
        """Each row is embedded by itself: a batch equals its rows, in float32, finite."""
        values = np.stack([version.extract(document) for document in documents_for(version)])
        together = version.embed(values)
        assert together.dtype == np.float32
        assert together.shape[0] == len(values)
        assert np.isfinite(together).all()
        alone = np.concatenate([version.embed(values[row : row + 1]) for row in range(len(values))])
        np.testing.assert_array_equal(together, alone)

    def test_refined_distances_are_finite_and_row_by_row(self, version: FeatureVersion) -> None:
        """Where a version ranks candidates itself: a distance of at least 0 for each, whatever the others.

        Its shares by block sum to 1, or are 0.
        """
        if not isinstance(version, RefinedVersion):
            return
        values = np.stack([version.extract(document) for document in documents_for(version)])
        for query in values:
            distances, shares = version.refine(query, values), version.block_shares(query, values)
            assert distances.shape == (len(values),)
            assert np.isfinite(distances).all()
            assert (distances >= 0.0).all()
            alone = [version.refine(query, values[row : row + 1])[0] for row in range(len(values))]
            np.testing.assert_allclose(distances, alone, rtol=1e-9, atol=1e-9)
            assert shares.shape == (len(values), len(version.blocks))
            assert (shares >= 0.0).all()
            sums = shares.sum(axis=1)
            np.testing.assert_allclose(sums, sums > 0.0, atol=1e-9)
            if isinstance(version, PlacedVersion):
                [own], places = version.place(query[np.newaxis]), version.place(values)
                assert places.dtype == np.float32
                np.testing.assert_array_equal(version.between(own, places), distances)
        assert version.refine(values[0], values[:0]).shape == (0,)

    def test_embedding_of_nothing(self, version: FeatureVersion) -> None:
        """No rows in, no rows out, with the same width as ever."""
        width = version.embed(np.zeros((1, len(version.slots)))).shape[1]
        assert version.embed(np.zeros((0, len(version.slots)))).shape == (0, width)

    def test_embedding_leaves_its_input_alone(self, version: FeatureVersion) -> None:
        """The raw values are what the catalogue keeps: embedding them must not change them."""
        values = np.stack([version.extract(document) for document in documents_for(version)])
        before = values.copy()
        version.embed(values)
        np.testing.assert_array_equal(values, before)

    def test_embedding_refuses_another_width(self, version: FeatureVersion) -> None:
        """Values of another version are refused: they would get a place, but one without meaning."""
        with pytest.raises(ValueError):
            version.embed(np.zeros((1, len(version.slots) + 1)))
