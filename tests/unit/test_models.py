"""Models in three dimensions: what a reader of binary glTF 2.0 finds in them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from cadml_core import CadDocument, MeshRequest, ReadLimits, TriangleMesh
from cadml_core.errors import UnsupportedContent
from cadml_core.reading.glb import feature_edges, model_of, write_glb
from cadml_core.relations.deviation import deviation
from cadml_plugins.formats.kernel.iges import IgesAdapter
from cadml_plugins.formats.kernel.step import StepAdapter
from tests.unit.formats import kernel_parts as parts

TYPES = {5120: "<i1", 5121: "<u1", 5123: "<u2", 5125: "<u4"}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}


class Model:
    """A GLB, read by the standard alone."""

    def __init__(self, data: bytes) -> None:
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        size, kind = struct.unpack_from("<I4s", data, 12)
        assert (kind, size % 4) == (b"JSON", 0)
        self.content: dict[str, Any] = msgspec.json.decode(data[20 : 20 + size])
        rest, kind = struct.unpack_from("<I4s", data, 20 + size)
        assert (kind, rest % 4) == (b"BIN\0", 0)
        self.binary = data[28 + size :]
        assert len(self.binary) == rest == self.content["buffers"][0]["byteLength"]
        [node] = self.content["nodes"]
        self.scale, self.shift = np.array(node["scale"]), np.array(node["translation"])
        [mesh] = self.content["meshes"]
        self.primitives = {primitive["mode"]: primitive for primitive in mesh["primitives"]}

    def accessor(self, number: int) -> NDArray[Any]:
        """The rows of an accessor; checks what the standard says of alignment and bounds."""
        found = self.content["accessors"][number]
        view = self.content["bufferViews"][found["bufferView"]]
        kind, width = np.dtype(TYPES[found["componentType"]]), WIDTHS[found["type"]]
        stride = view.get("byteStride", kind.itemsize * width)
        assert view["byteOffset"] % 4 == 0
        assert width == 1 or stride % 4 == 0
        assert view["byteOffset"] + view["byteLength"] <= len(self.binary)
        rows = np.ndarray(
            (found["count"], width), kind, self.binary, view["byteOffset"], (stride, kind.itemsize)
        )
        if "min" in found:
            assert rows.min(axis=0).tolist() == found["min"]
            assert rows.max(axis=0).tolist() == found["max"]
        return rows.copy()

    def places(self, mode: int) -> NDArray[np.float64]:
        """The corners in millimetres of each facet (mode 4) or line (mode 1)."""
        primitive = self.primitives[mode]
        positions = self.accessor(primitive["attributes"]["POSITION"]) * self.scale + self.shift
        indices = self.accessor(primitive["indices"]).ravel()
        found: NDArray[np.float64] = positions[indices].reshape(-1, 3 if mode == 4 else 2, 3)
        return found


def document(shape: parts.Shape, folder: Path) -> CadDocument:
    """A shape, written and read."""
    return StepAdapter().read(parts.write_step(shape, folder / "part.step"), ReadLimits(view=True))


def test_a_block_has_its_facets_and_its_twelve_edges(tmp_path: Path) -> None:
    """Places are right to the quantum, facets face outwards, and edges are lines."""
    model = Model(model_of(document(parts.box(), tmp_path)))
    facets = model.places(4)
    assert len(facets) == 12
    quantum = 30.0 / 65_535
    assert np.abs(facets.reshape(-1, 3).min(axis=0)).max() <= quantum
    assert np.abs(facets.reshape(-1, 3).max(axis=0) - [10, 20, 30]).max() <= quantum
    volume = np.einsum("ij,ij->", facets[:, 0], np.cross(facets[:, 1], facets[:, 2])) / 6.0
    assert volume == pytest.approx(6000.0, rel=1e-3)
    lengths = np.sort(np.linalg.norm(np.diff(model.places(1), axis=1)[:, 0], axis=1))
    assert lengths == pytest.approx([10] * 4 + [20] * 4 + [30] * 4, abs=2 * quantum)


def test_normals_are_those_of_sharp_facets_or_of_smooth_surfaces(tmp_path: Path) -> None:
    """On a block they are along the axes; on a ball they point away from its centre."""
    model = Model(model_of(document(parts.box(), tmp_path)))
    normals = model.accessor(model.primitives[4]["attributes"]["NORMAL"])[:, :3]
    assert sorted(map(tuple, np.unique(np.abs(normals), axis=0).tolist())) == [
        (0, 0, 127),
        (0, 127, 0),
        (127, 0, 0),
    ]
    model = Model(model_of(document(parts.sphere(), tmp_path)))
    attributes = model.primitives[4]["attributes"]
    normals = model.accessor(attributes["NORMAL"])[:, :3].astype(float)
    places = model.accessor(attributes["POSITION"])[:, :3] * model.scale + model.shift
    cosines = np.einsum("ij,ij->i", normals, places) / 127.0 / 7.0
    assert cosines.min() > 0.95
    assert 1 not in model.primitives or len(model.places(1)) < 10  # a ball has no edges


def test_the_same_mesh_gives_the_same_bytes(tmp_path: Path) -> None:
    """So that what is cached by content stays true."""
    assert model_of(document(parts.bracket(), tmp_path)) == model_of(document(parts.bracket(), tmp_path))


def test_curves_alone_are_lines(tmp_path: Path) -> None:
    """A file without faces is shown by its curves."""
    path = parts.write_iges(parts.segment((0, 0, 0), (30, 20, 10)), tmp_path / "line.igs")
    model = Model(model_of(IgesAdapter().read(path, ReadLimits(view=True))))
    assert list(model.primitives) == [1]
    assert model.places(1)[0] == pytest.approx(np.array([[0, 0, 0], [30, 20, 10]]), abs=1e-3)


def test_nothing_has_no_model() -> None:
    """A document without geometry is refused in words."""
    with pytest.raises(UnsupportedContent, match="no surface"):
        model_of(CadDocument(format="stl"))


def test_an_open_border_is_an_edge() -> None:
    """Of two facets in one plane the four outer sides are lines, and the diagonal is not."""
    square = TriangleMesh(
        np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]), np.array([[0, 1, 2], [0, 2, 3]])
    )
    assert sorted(map(tuple, feature_edges(square).tolist())) == [(0, 1), (0, 3), (1, 2), (2, 3)]


def test_colours_belong_to_vertices() -> None:
    """Each corner that is written has the colour of its vertex; extras are in the asset."""
    mesh = TriangleMesh(np.eye(3) * 10.0, np.array([[0, 1, 2]]))
    colours = np.array([[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255]], np.uint8)
    model = Model(write_glb(mesh, colours=colours, extras={"largest_mm": 1.5}))
    assert model.content["asset"]["extras"] == {"largest_mm": 1.5}
    assert model.accessor(model.primitives[4]["attributes"]["COLOR_0"]).tolist() == colours.tolist()


def plate(folder: Path, hole: float, *, turn: float = 0.0) -> TriangleMesh:
    """A plate with a hole at one end, away from the middle."""
    shape = parts.box(40.0, 20.0, 4.0)
    drilled = parts.cut(shape, parts.cylinder(hole, 20.0, x=8.0, y=7.0, z=-5.0)) if hole else shape
    mesh = StepAdapter().read(
        parts.write_step(parts.placed(drilled, 5.0, turn=turn), folder / "plate.step"),
        ReadLimits(mesh=MeshRequest(relative_deflection=1e-3)),
    )
    assert mesh.mesh is not None
    return mesh.mesh


def test_the_distance_is_where_the_difference_is(tmp_path: Path) -> None:
    """Of two plates, one of them turned, the hole alone is far: half a millimetre for its wider rim."""
    found = deviation(plate(tmp_path, 3.0), plate(tmp_path, 3.5, turn=50.0), None)
    assert found.largest == pytest.approx(0.5, abs=0.1)
    far = found.mesh.vertices[found.distances > 0.4]
    radii = np.linalg.norm(far[:, :2] - [13.0, 7.0], axis=1)
    assert 2.9 < radii.min() <= radii.max() < 3.2


def test_a_hole_that_one_part_lacks_is_seen_on_both(tmp_path: Path) -> None:
    """On the part without it, where no facet has a corner, too."""
    whole, drilled = plate(tmp_path, 0.0), plate(tmp_path, 4.0)
    forth, back = deviation(whole, drilled, np.eye(4)), deviation(drilled, whole, np.eye(4))
    assert forth.largest == pytest.approx(back.largest, abs=0.3)
    assert forth.distances.max() > 1.5
    assert back.distances.max() > 1.5


def test_equal_parts_are_no_distance_apart(tmp_path: Path) -> None:
    """But for what facets are off the surface."""
    assert deviation(plate(tmp_path, 3.0), plate(tmp_path, 3.0, turn=50.0), None).largest < 0.05
