"""The OFF adapter keeps the contract of every format adapter."""

from pathlib import Path

import pytest
from cadml_off import OffAdapter

from cadml_core import LimitExceeded, MalformedFile, ReadLimits
from cadml_core.testing import FormatAdapterContract

CUBE = """OFF
8 6 12
0 0 0
1 0 0
1 1 0
0 1 0
0 0 1
1 0 1
1 1 1
0 1 1
4 0 3 2 1
4 4 5 6 7
4 0 1 5 4  # a comment
4 1 2 6 5
4 2 3 7 6
4 3 0 4 7
"""


class TestOff(FormatAdapterContract):
    """Everything that the conformance kit asks."""

    @pytest.fixture
    def adapter(self) -> OffAdapter:
        """The adapter under test."""
        return OffAdapter()

    @pytest.fixture
    def sample(self, tmp_path: Path) -> Path:
        """A unit cube."""
        path = tmp_path / "cube.off"
        path.write_text(CUBE)
        return path

    def test_measures_the_cube(self, adapter: OffAdapter, sample: Path) -> None:
        """A cube has six quadrilaterals and unit extents."""
        document = adapter.read(sample, ReadLimits())
        assert document.entity_counts == {"4-gon": 6}
        assert document.bounding_box is not None
        assert document.bounding_box.extents == (1.0, 1.0, 1.0)

    def test_refuses_a_face_that_is_cut_short(self, adapter: OffAdapter, sample: Path) -> None:
        """Half a face is an error, not a smaller face."""
        sample.write_text(CUBE[: CUBE.rindex("7")])
        with pytest.raises(MalformedFile, match="face 5"):
            adapter.read(sample, ReadLimits())

    def test_refuses_more_faces_than_allowed(self, adapter: OffAdapter, sample: Path) -> None:
        """Six faces are read where six are allowed; where five are, both numbers are named."""
        assert adapter.read(sample, ReadLimits(max_triangles=6)).facet_count == 6
        with pytest.raises(LimitExceeded) as refusal:
            adapter.read(sample, ReadLimits(max_triangles=5))
        assert refusal.value.context == {"limit": "max_triangles", "found": 6, "allowed": 5}
