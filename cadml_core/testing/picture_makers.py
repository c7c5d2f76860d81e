"""What every picture maker promises."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from cadml_core.contracts.pictures import PictureMaker, PictureRequest
from cadml_core.documents.arrays import FloatMatrix
from cadml_core.documents.document import BoundingBox, CadDocument, TriangleMesh
from cadml_core.documents.drawn import Drawn, Picture, refusal
from cadml_core.errors import UnsupportedContent

_CORNERS = np.array([[0.0, 0, 0], [40, 0, 0], [0, 20, 0], [0, 0, 10]])
_FACETS = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
_BOX = BoundingBox((0.0, 0.0, 0.0), (40.0, 20.0, 10.0))


class _Shown:
    """A view of a tetrahedron, or of its edges alone."""

    upright = False

    def __init__(self, *, solid: bool, flat: bool) -> None:
        self._solid = solid
        self.flat = flat

    def mesh(self) -> TriangleMesh | None:
        return TriangleMesh(_CORNERS, _FACETS) if self._solid else None

    def lines(self, axes: FloatMatrix) -> Sequence[FloatMatrix] | None:
        if not self._solid:
            return None
        return [_CORNERS[[a, b]] @ axes[:2].T for a in range(4) for b in range(a)]

    def curves(self) -> Sequence[FloatMatrix]:
        edges = [_CORNERS[[a, b]] for a in range(4) for b in range(a)]
        return [edge * [1.0, 1.0, 0.0] for edge in edges] if self.flat else edges


def sample_views(format_name: str) -> list[CadDocument]:
    """Return documents of a format that can be drawn: a solid, edges in space, a plane drawing."""
    views = (_Shown(solid=True, flat=False), _Shown(solid=False, flat=False), _Shown(solid=False, flat=True))
    return [CadDocument(format=format_name, bounding_box=_BOX, view=view) for view in views]


class PictureMakerContract:
    """Inherit, and provide the fixture ``maker``. One that needs more than a view overrides ``documents``."""

    @pytest.fixture
    def maker(self) -> PictureMaker:
        """Return the picture maker under test."""
        raise NotImplementedError("override the fixture `maker`")

    @pytest.fixture
    def documents(self, maker: PictureMaker) -> list[CadDocument]:
        """Return documents that the maker can draw."""
        return sample_views("step" if maker.name == "any" else maker.name)

    def test_satisfies_the_protocol(self, maker: PictureMaker) -> None:
        """It has every member of the contract, and a version that tells one look from another."""
        assert isinstance(maker, PictureMaker)
        assert isinstance(maker.version, str)
        assert maker.version

    def test_travels_to_the_readers(self, maker: PictureMaker) -> None:
        """It can be pickled: files are drawn in other processes."""
        assert pickle.loads(pickle.dumps(maker)).name == maker.name

    def test_draws_what_is_safe_to_show(self, maker: PictureMaker, documents: list[CadDocument]) -> None:
        """Each picture is a PNG, or an SVG of shapes and paint alone, and small enough to be kept."""
        for document in documents:
            picture = maker.draw(document, PictureRequest())
            assert isinstance(picture, Picture)
            drawn = Drawn(kind="own", maker=maker.name, media_type=picture.media_type, data=picture.data)
            assert refusal(drawn) is None

    def test_draws_the_same_each_time(self, maker: PictureMaker, documents: list[CadDocument]) -> None:
        """The same document and request give the same bytes, along either axes."""
        for document in documents:
            for request in (PictureRequest(), PictureRequest(axes="file")):
                assert maker.draw(document, request) == maker.draw(document, request)

    def test_says_that_there_is_nothing_to_draw(self, maker: PictureMaker) -> None:
        """A document without geometry is refused in words, and does not become an empty picture."""
        with pytest.raises(UnsupportedContent):
            maker.draw(CadDocument(format=maker.name), PictureRequest())

    def test_leaves_the_document_alone(self, maker: PictureMaker, documents: list[CadDocument]) -> None:
        """Drawing changes nothing of the summary, which is stored afterwards."""
        for document in documents:
            before = msgspec.json.encode(document.without_mesh())
            maker.draw(document, PictureRequest())
            assert msgspec.json.encode(document.without_mesh()) == before
