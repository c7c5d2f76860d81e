"""Pictures: a part looks alike however it is turned, its mirror image does not, and every picture is safe."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cadml_core import PNG, SVG, CadDocument, PictureRequest, ReadLimits, TriangleMesh
from cadml_core.contracts.pictures import PictureMaker
from cadml_core.documents.drawn import Drawn, Picture, refusal
from cadml_core.errors import CadmlError, UnsupportedContent
from cadml_core.reading.drawing import draw_all, maker_text
from cadml_plugins.formats.dxf.adapter import DxfAdapter
from cadml_plugins.formats.kernel.iges import IgesAdapter
from cadml_plugins.formats.kernel.step import StepAdapter
from cadml_plugins.formats.mesh._view import MeshView
from cadml_plugins.formats.stl.adapter import StlAdapter
from cadml_plugins.pictures._frame import own_axes
from cadml_plugins.pictures._shapes import ShapePictures
from cadml_plugins.pictures._svg import line_picture
from cadml_plugins.pictures.dxf import DrawingPictures
from tests.unit.formats import kernel_parts as parts

SEEN = ReadLimits(view=True)
OWN, FILE = PictureRequest(), PictureRequest(axes="file")


def pixels(png: bytes) -> NDArray[np.uint8]:
    """The palette positions of a picture without filters, read by the standard alone."""
    stream, data, width, height = io.BytesIO(png[8:]), b"", 0, 0
    while head := stream.read(8):
        length, kind = struct.unpack(">I4s", head)
        body = stream.read(length)
        assert struct.unpack(">I", stream.read(4))[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            width, height = struct.unpack(">II", body[:8])
        data += body if kind == b"IDAT" else b""
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:]


def step_of(shape: parts.Shape, folder: Path) -> CadDocument:
    """A shape, written and read."""
    return StepAdapter().read(parts.write_step(shape, folder / "part.step"), SEEN)


def chiral() -> TriangleMesh:
    """A tetrahedron of four different sides, which no turn takes to its mirror image."""
    points = np.array([[0.0, 0, 0], [30, 0, 0], [4, 17, 0], [9, 5, 11]])
    return TriangleMesh(points, np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))


def moved(mesh: TriangleMesh, seed: int, *, mirror: bool = False) -> TriangleMesh:
    """A mesh turned at random and shifted, its facets in another order; or its mirror image, so too."""
    generator = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn)) * (-1.0 if mirror else 1.0)
    facets = generator.permutation(mesh.triangles)
    return TriangleMesh(
        mesh.vertices @ turn.T + generator.normal(size=3), facets[:, ::-1] if mirror else facets
    )


def shaded(mesh: TriangleMesh, request: PictureRequest = OWN) -> NDArray[np.uint8]:
    """The picture of a mesh."""
    document = CadDocument(format="stl", view=MeshView(lambda: mesh))
    return pixels(ShapePictures("stl").draw(document, request).data)


@pytest.mark.parametrize("seed", range(6))
def test_a_turned_copy_looks_like_its_original(seed: int) -> None:
    """Along its own axes the picture hardly differs; along the file's axes it does."""
    first, second = chiral(), moved(chiral(), seed)
    assert (shaded(first) != shaded(second)).mean() < 0.01
    assert (shaded(first, FILE) != shaded(second, FILE)).mean() > 0.05


@pytest.mark.parametrize("seed", range(6))
def test_a_mirror_image_does_not_look_the_same(seed: int) -> None:
    """However it is turned, its picture is another."""
    assert (shaded(chiral()) != shaded(moved(chiral(), seed, mirror=True))).mean() > 0.02


@pytest.mark.parametrize("seed", range(3))
def test_own_axes_are_a_rotation_by_descending_extent(seed: int) -> None:
    """Whatever the part: rows of length one, square to each other, right-handed, the longest first."""
    mesh = moved(chiral(), seed)
    axes = own_axes(mesh)
    assert np.allclose(axes @ axes.T, np.eye(3))
    assert np.linalg.det(axes) > 0.0
    extents = np.ptp(mesh.vertices @ axes.T, axis=0)
    assert (np.diff(extents) <= 0.005 * extents.max()).all()


def test_facets_without_area_have_the_axes_of_their_file() -> None:
    """Nothing is divided by an area of zero."""
    assert own_axes(TriangleMesh(np.zeros((3, 3)), np.array([[0, 1, 2]]))).tolist() == np.eye(3).tolist()


def test_exact_shapes_are_drawn_by_their_visible_lines(tmp_path: Path) -> None:
    """Of a block the nine edges in front are drawn, as three lines or more, and none of the hidden three."""
    picture = ShapePictures("step").draw(step_of(parts.box(), tmp_path), OWN)
    assert picture.media_type == SVG
    path = picture.data.decode().partition(' d="')[2].partition('"')[0]
    corners = {tuple(map(int, start.split("l")[0].split())) for start in path.split("M")[1:]}
    assert 1 <= len(corners) <= 7
    steps = sum(len(part.replace("-", " -").split()) // 2 for part in path.replace("M", "l").split("l"))
    assert 9 <= steps - len(path.split("M")[1:]) <= 12


def test_a_turned_step_gives_nearly_the_same_lines(tmp_path: Path) -> None:
    """The bracket, turned in the plane by 37 degrees, is drawn within two pixels of where it was."""
    documents = [
        step_of(shape, tmp_path) for shape in (parts.bracket(), parts.placed(parts.bracket(), turn=37.0))
    ]
    seen = []
    for document in documents:
        assert document.view is not None
        mesh = document.view.mesh()
        assert mesh is not None
        places = mesh.vertices @ own_axes(mesh).T
        seen.append(places - (places.min(axis=0) + places.max(axis=0)) / 2.0)
    gaps = np.linalg.norm(seen[0][:, None] - seen[1], axis=2).min(axis=1)
    assert gaps.max() < 0.01 * np.ptp(seen[0])


def test_iges_of_curves_alone_is_drawn_by_its_curves(tmp_path: Path) -> None:
    """Without faces nothing hides a line."""
    path = parts.write_iges(parts.segment((0, 0, 0), (30, 20, 10)), tmp_path / "line.igs")
    picture = ShapePictures("iges").draw(IgesAdapter().read(path, SEEN), OWN)
    assert picture.media_type == SVG
    assert picture.data.count(b"M") == 1


def test_facets_are_shaded(tmp_path: Path) -> None:
    """A ball has outline, many shades, and nothing in the corners of its picture."""
    document = StlAdapter().read(parts.write_stl(parts.sphere(), tmp_path / "ball.stl"), SEEN)
    picture = ShapePictures("stl").draw(document, OWN)
    assert picture.media_type == PNG
    found = pixels(picture.data)
    assert len(np.unique(found)) > 15
    assert len(np.unique(found)) <= 64
    assert not found[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert len(picture.data) < 12_000


def dxf_of(folder: Path, turn: float = 0.0, text: str = "") -> CadDocument:
    """A plate with a corner cut off, turned about the origin; with a word on it."""
    import ezdxf

    document = ezdxf.new(units=4)
    outline = np.array([[0.0, 0], [40, 0], [40, 15], [30, 20], [0, 20], [0, 0]])
    cosine, sine = np.cos(turn), np.sin(turn)
    document.modelspace().add_lwpolyline((outline @ np.array([[cosine, sine], [-sine, cosine]])).tolist())
    if text:
        document.modelspace().add_text(text)
    path = folder / "plate.dxf"
    document.saveas(path)
    return DxfAdapter().read(path, SEEN)


def ends(picture: Picture) -> NDArray[np.int64]:
    """The corners of the first path."""
    path = picture.data.decode().partition(' d="M')[2].partition('"')[0].partition("M")[0]
    start, _, steps = path.partition("l")
    rows = [np.array(part.replace("-", " -").split(), dtype=np.int64) for part in (start, steps)]
    return np.cumsum(np.concatenate(rows).reshape(-1, 2), axis=0)


@pytest.mark.parametrize("turn", [0.4, 1.9, 3.1, 5.0])
def test_a_turned_plate_is_drawn_as_before(turn: float, tmp_path: Path) -> None:
    """A drawing without words is drawn along its own lines, within a pixel."""
    straight, turned = (ends(DrawingPictures().draw(dxf_of(tmp_path, angle), OWN)) for angle in (0.0, turn))
    assert np.abs(np.sort(straight, axis=0) - np.sort(turned, axis=0)).max() <= 20


def test_a_drawing_with_words_stays_as_it_is_read(tmp_path: Path) -> None:
    """Its own axes are those of its file."""
    document = dxf_of(tmp_path, 0.4, "scale 1:2")
    assert DrawingPictures().draw(document, OWN) == DrawingPictures().draw(document, FILE)
    document = dxf_of(tmp_path, 0.4)
    assert DrawingPictures().draw(document, OWN) != DrawingPictures().draw(document, FILE)


def test_a_word_of_a_drawing_is_nowhere_in_its_picture(tmp_path: Path) -> None:
    """Texts are not drawn, so that no file can put a word on somebody's page."""
    picture = DrawingPictures().draw(dxf_of(tmp_path, 0.0, "<script>alert(1)</script>"), OWN)
    assert b"script" not in picture.data


def test_lines_stay_within_their_bytes() -> None:
    """A thicket is simplified, then thinned out, until it fits; the longest lines stay."""
    generator = np.random.default_rng(1)
    thicket = [generator.random((2, 2)) * 100.0 for _ in range(3000)]
    picture = line_picture(thicket, PictureRequest(max_bytes=5_000))
    assert 2_000 < len(picture.data) <= 5_000
    assert refusal(Drawn(kind="own", maker="x", media_type=picture.media_type, data=picture.data)) is None


def test_lines_are_drawn_once_and_joined() -> None:
    """Twice the same line, in both directions, and its continuation are one path."""
    line = [
        np.array([[0.0, 0.0], [1.0, 0.0]]),
        np.array([[1.0, 0.0], [0.0, 0.0]]),
        np.array([[1.0, 0], [1, 1]]),
    ]
    assert line_picture(line, OWN).data.count(b"M") == 1


SAFE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 3"><g opacity="0.5"><path d="M0 0l1 1"/></g>'
    b"</svg>"
)


def test_shapes_and_their_paint_are_safe() -> None:
    """What a maker may draw with is accepted."""
    assert refusal(Drawn(kind="own", maker="m 1", media_type=SVG, data=SAFE)) is None


@pytest.mark.parametrize(
    "hostile",
    [
        SAFE.replace(b"<g", b"<script>alert(1)</script><g"),
        SAFE.replace(b"<g", b'<g onload="alert(1)"'),
        SAFE.replace(b"<path", b'<image href="http://example.org/x.png"/><path'),
        SAFE.replace(b"<path", b"<text>word</text><path"),
        SAFE.replace(b"<path", b"<style>@import url(x)</style><path"),
        SAFE.replace(b'opacity="0.5"', b'fill="url(#a)" style="x"'),
        SAFE.replace(b"<path", b"<!-- x --><path"),
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "b">]>' + SAFE,
        b"\x89PNG\r\n\x1a\n",
        SAFE * 1000,
    ],
)
def test_anything_else_in_an_svg_is_refused(hostile: bytes) -> None:
    """Scripts, handlers, addresses, words, styles, comments, entities, another type, too many bytes."""
    assert refusal(Drawn(kind="own", maker="m 1", media_type=SVG, data=hostile)) is not None


class Faulty:
    """A maker with a fault of your choice."""

    name, version = "stl", "7"

    def __init__(self, fault: object) -> None:
        self.fault = fault

    def draw(self, document: CadDocument, request: PictureRequest) -> Picture:
        """Raise the fault, or return it."""
        if isinstance(self.fault, BaseException):
            raise self.fault
        return self.fault  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (UnsupportedContent("there is nothing here"), "there is nothing here"),
        (RuntimeError("broken\x1b[31m"), "RuntimeError: broken"),
        (MemoryError(), "more memory"),
        (SystemExit(3), "SystemExit"),
        ("text", "returned str"),
        (Picture("text/html", b"<html>"), "text/html"),
        (Picture(SVG, b""), "empty"),
    ],
)
def test_a_fault_of_a_maker_costs_the_picture_alone(fault: object, said: str) -> None:
    """What is kept says why there is none, in characters that can be shown."""
    makers: dict[str, PictureMaker] = {"stl": Faulty(fault)}
    [drawn], _ = draw_all(CadDocument(format="stl"), ["own"], makers, lambda _step: None)
    assert (drawn.data, drawn.maker) == (b"", "stl 7")
    assert said in drawn.failure
    assert "\x1b" not in drawn.failure


def test_a_format_without_a_maker_has_that_of_any() -> None:
    """And none where there is none either."""
    makers: dict[str, PictureMaker] = {"any": ShapePictures("any"), "stl": ShapePictures("stl")}
    assert maker_text(makers, "stl", "own") == "stl 1"
    assert maker_text(makers, "off", "own") == "any 1"
    assert maker_text({}, "off", "own") == ""
    [drawn], _ = draw_all(CadDocument(format="off"), ["own"], {}, lambda _step: None)
    assert "no picture maker" in drawn.failure


def lines_of(points: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Points as a polyline."""
    return np.array(points, dtype=np.float64)


def test_a_single_point_is_refused_in_words() -> None:
    """Nothing has no picture."""
    with pytest.raises(CadmlError, match="no lines"):
        line_picture([lines_of([[1.0, 2.0]])], OWN)
