"""The DXF adapter: what is counted, measured, repaired and refused."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import ezdxf
import pytest
from ezdxf.acis import api as acis
from ezdxf.render import forms

from cadml_core import CadDocument, LimitExceeded, MalformedFile, ReadLimits, UnsupportedContent
from cadml_core.contracts.formats import MeshRequest
from cadml_core.documents.document import decode_summary, encode_summary
from cadml_core.errors import UnreadableInput
from cadml_plugins.formats.dxf.adapter import DxfAdapter

Draw = Callable[[object], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the drawing of a test goes."""
    return tmp_path / "part.dxf"


def drawing(path: Path, draw: Callable[..., object], *, version: str = "R2010", units: int = 4) -> Path:
    """Write a drawing: ``draw`` gets the document and its model space."""
    document = ezdxf.new(version, units=units)
    draw(document, document.modelspace())
    document.saveas(path)
    return path


def read(path: Path, **limits: object) -> CadDocument:
    """Read with limits that differ from the usual ones in the fields given."""
    return DxfAdapter().read(path, ReadLimits(**limits))  # type: ignore[arg-type]


def text_drawing(*entities: str) -> str:
    """Return an R12 drawing in text: each entity a line of words, code and value in turn."""
    words = ["0 SECTION 2 ENTITIES", *entities, "0 ENDSEC 0 EOF"]
    return "\n".join(" ".join(words).split()) + "\n"


LINE = "0 LINE 8 0 10 0.0 20 0.0 11 4.0 21 3.0"


def box(document: CadDocument) -> tuple[float, ...]:
    """Return minimum and maximum as six numbers."""
    assert document.bounding_box is not None
    return (*document.bounding_box.minimum, *document.bounding_box.maximum)


DIAGONAL = math.sqrt(0.5)
SQUARE = [(0, 0), (0, 6), (6, 6), (6, 0)]
"""Three of whose sides control a cubic spline."""


def edge_path(model: ezdxf.layouts.Modelspace) -> ezdxf.entities.EdgePath:
    """Return the boundary of a new hatch, to be made of edges."""
    return model.add_hatch().paths.add_edge_path()


def bent_edge(model: ezdxf.layouts.Modelspace) -> None:
    """Bound a hatch by one cubic arc: three quarters as high as its control points, and a line."""
    path = edge_path(model)
    knots = [0, 0, 0, 0, 1, 1, 1, 1]
    path.add_spline(control_points=[(0, 0), (0, 2), (4, 2), (4, 0)], degree=3, knot_values=knots)
    path.add_line((4, 0), (0, 0))


class TestCounting:
    """Entities are counted by kind, with the content of blocks in place of references."""

    def test_counts_kinds_and_geometry(self, path: Path) -> None:
        """Every model entity counts by its kind; texts and dimensions are no geometry."""

        def draw(_: object, model: ezdxf.layouts.Modelspace) -> None:
            model.add_line((0, 0), (1, 1))
            model.add_line((0, 0), (2, 1))
            model.add_circle((0, 0), 1)
            model.add_text("note")
            model.add_linear_dim((0, 3), (0, 0), (1, 0)).render()

        document = read(drawing(path, draw))
        assert document.entity_counts == {"CIRCLE": 1, "DIMENSION": 1, "LINE": 2, "TEXT": 1}
        assert document.surface_count == 3

    def test_blocks_count_as_often_as_they_are_placed(self, path: Path) -> None:
        """A reference stands for the content of its block, nested blocks included, with their layers."""

        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            inner = document.blocks.new("INNER")
            inner.add_circle((0, 0), 1, {"layer": "HOLES"})
            outer = document.blocks.new("OUTER")
            outer.add_blockref("INNER", (5, 0))
            outer.add_blockref("inner", (10, 0))
            outer.add_line((0, 0), (10, 0), {"layer": "EDGES"})
            outer.add_attdef("TAG", (0, 0))
            model.add_blockref("OUTER", (0, 0))
            model.add_blockref("OUTER", (100, 0), {"column_count": 2, "column_spacing": 7})

        document = read(drawing(path, draw))
        assert document.entity_counts == {"CIRCLE": 6, "LINE": 3}
        assert {"HOLES", "EDGES"} <= set(document.layers)
        assert document.properties["block_depth"] == 2

    def test_attributes_of_a_reference_count(self, path: Path) -> None:
        """What is written into a reference is counted as the annotation that it is."""

        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            document.blocks.new("B").add_point((0, 0))
            model.add_blockref("B", (0, 0)).add_attrib("TAG", "value")

        document = read(drawing(path, draw))
        assert document.entity_counts == {"ATTRIB": 1, "POINT": 1}
        assert document.surface_count == 1

    def test_a_reference_without_content_counts_itself(self, path: Path) -> None:
        """Empty and missing blocks lose nothing: the INSERT is counted, and a missing block named."""

        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            document.blocks.new("EMPTY")
            model.add_blockref("EMPTY", (1, 2))
            model.add_blockref("NOWHERE", (3, 4))

        document = read(drawing(path, draw))
        assert document.entity_counts == {"INSERT": 2}
        assert any("'NOWHERE' is placed but not defined" in warning for warning in document.warnings)

    def test_a_block_in_itself_is_cut(self, path: Path) -> None:
        """A block that contains itself ends where it would begin again, with a warning."""

        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            block = document.blocks.new("LOOP")
            block.add_line((0, 0), (1, 1))
            block.add_blockref("LOOP", (1, 1))
            model.add_blockref("LOOP", (0, 0))

        document = read(drawing(path, draw))
        assert document.entity_counts == {"INSERT": 1, "LINE": 1}
        assert any("contains itself" in warning for warning in document.warnings)

    def test_paper_space_is_a_warning_and_not_counted(self, path: Path) -> None:
        """Sheets are no part of the model; a drawing with nothing else is empty, and says why."""

        def draw(document: ezdxf.document.Drawing, _: object) -> None:
            document.layout("Layout1").add_line((0, 0), (1, 1))

        document = read(drawing(path, draw))
        assert document.empty
        assert document.entity_count == 0
        assert any("1 entities in paper space" in warning for warning in document.warnings)
        assert any("no geometry" in warning for warning in document.warnings)

    def test_facets_of_meshes(self, path: Path) -> None:
        """3DFACE, MESH, polyface and polygon meshes add their faces to the facets."""

        def draw(_: object, model: ezdxf.layouts.Modelspace) -> None:
            model.add_3dface([(0, 0, 0), (1, 0, 0), (1, 1, 1)])
            cube = forms.cube()
            cube.render_mesh(model)
            cube.render_polyface(model)
            model.add_polymesh((3, 4))

        document = read(drawing(path, draw))
        assert document.facet_count == 1 + 6 + 6 + 2 * 3
        assert document.entity_counts == {"3DFACE": 1, "MESH": 1, "POLYLINE": 2}

    def test_bodies_are_counted_as_what_they_are(self, path: Path) -> None:
        """A 3DSOLID is a solid, a REGION a sheet; faces and extents come from their ACIS data."""

        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            body = acis.body_from_mesh(forms.cube().scale(2, 3, 4))
            acis.export_dxf(model.add_3dsolid(), [body])
            acis.export_dxf(model.add_region(), [body])

        document = read(drawing(path, draw, version="R2010"))
        assert document.entity_counts == {"3DSOLID": 1, "REGION": 1}
        assert (document.solid_count, document.shell_count) == (1, 1)
        assert document.properties["acis_faces"] == 12
        assert box(document) == pytest.approx((-1, -1.5, -2, 1, 1.5, 2))

    def test_a_mesh_on_demand(self, path: Path) -> None:
        """The faces of the model come as triangles in millimetres, placed blocks included."""

        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            forms.cube().render_mesh(document.blocks.new("CUBE"))
            model.add_blockref("CUBE", (10, 0))
            model.add_line((0, 0), (1, 1))

        drawing(path, draw, units=1)
        mesh = read(path, mesh=MeshRequest()).mesh
        assert mesh is not None
        assert (len(mesh.vertices), len(mesh.triangles)) == (8, 12)
        assert mesh.vertices.max(axis=0) == pytest.approx([10.5 * 25.4, 12.7, 12.7])
        with pytest.raises(LimitExceeded, match="max_triangles"):
            read(path, mesh=MeshRequest(max_triangles=11))
        path.write_text(text_drawing(LINE))
        assert read(path, mesh=MeshRequest()).mesh is None


class TestExtents:
    """The bounding box is that of the geometry, in millimetres, and strays cannot decide it."""

    @pytest.mark.parametrize(
        ("draw", "expected"),
        [
            (lambda m: m.add_circle((1, 2, 3), 4), (-3, -2, 3, 5, 6, 3)),
            (lambda m: m.add_arc((0, 0), 1, 45, 135), (-DIAGONAL, DIAGONAL, 0, DIAGONAL, 1, 0)),
            (lambda m: m.add_arc((0, 0), 1, 315, 405), (DIAGONAL, -DIAGONAL, 0, 1, DIAGONAL, 0)),
            (lambda m: m.add_ellipse((0, 0), (4, 0), 0.5), (-4, -2, 0, 4, 2, 0)),
            (lambda m: m.add_lwpolyline([(0, 0, 1), (2, 0, 0)], format="xyb"), (0, -1, 0, 2, 0, 0)),
            (lambda m: m.add_lwpolyline([(0, 0, -1), (2, 0, 0)], format="xyb"), (0, 0, 0, 2, 1, 0)),
            (lambda m: m.add_lwpolyline([(0, 0, 0), (2, 0, 1)], "xyb", close=True), (0, 0, 0, 2, 1, 0)),
            (lambda m: m.add_polyline2d([(0, 0, 1), (2, 0, 0)], format="xyb"), (0, -1, 0, 2, 0, 0)),
            (lambda m: m.add_polyline3d([(0, 0, 1), (2, 0, 5)]), (0, 0, 1, 2, 0, 5)),
            (lambda m: m.add_circle((0, 0, 7), 2, {"extrusion": (1, 0, 0)}), (7, -2, -2, 7, 2, 2)),
            (lambda m: m.add_solid([(0, 0), (3, 0), (0, 2)], {"extrusion": (0, 0, -1)}), (-3, 0, 0, 0, 2, 0)),
            (lambda m: m.add_spline([(0, 0), (1, 1), (2, 0)]), (0, 0, 0, 2, 1, 0)),
            (lambda m: m.add_hatch().paths.add_polyline_path([(0, 0, 1), (2, 0, 1)]), (0, -1, 0, 2, 1, 0)),
            (lambda m: edge_path(m).add_arc((0, 0), 2, 0, 90), (0, 0, 0, 2, 2, 0)),
            (lambda m: edge_path(m).add_ellipse((0, 0), (3, 0), 0.5, 0, 360), (-3, -1.5, 0, 3, 1.5, 0)),
            (lambda m: edge_path(m).add_line((0, 0), (3, 1)), (0, 0, 0, 3, 1, 0)),
            (bent_edge, (0, 0, 0, 4, 1.5, 0)),
            (lambda m: m.add_spline().set_uniform(SQUARE), (1, 5, 0, 5, 5.75, 0)),  # knots not repeated
            # Two lines, 1 apart, on one side of the way.
            (lambda m: m.add_mline([(0, 0), (5, 5)]), (0, -DIAGONAL, 0, 5 + DIAGONAL, 5, 0)),
            (lambda m: m.add_xline((1, 1), (1, 0)), (1, 1, 0, 1, 1, 0)),
        ],
    )
    def test_of_each_kind(self, path: Path, draw: Callable[..., object], expected: tuple[float, ...]) -> None:
        """Curves reach exactly as far as they do, in any plane; endless lines give their base point."""
        document = read(drawing(path, lambda _, model: draw(model)))
        assert box(document) == pytest.approx(expected, abs=2e-3)

    def test_infinite_lines_have_none(self, path: Path) -> None:
        """A construction line is counted, but where its base point lies is no part of the part."""

        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            model.add_line((0, 0), (2, 1))
            model.add_xline((50, 60), (1, 0))
            document.blocks.new("B").add_ray((70, 80), (1, 0))
            model.add_blockref("B", (0, 0))

        document = read(drawing(path, draw))
        assert box(document) == (0, 0, 0, 2, 1, 0)
        assert document.surface_count == 3

    def test_of_a_placed_block(self, path: Path) -> None:
        """Scale, rotation, base point, plane and grid of a reference move the content's extents."""

        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            block = document.blocks.new("B", base_point=(1, 0))
            block.add_circle((1, 0), 1)
            block.add_line((1, 0), (4, 0))
            model.add_blockref("B", (10, 0), {"xscale": 2, "yscale": 2, "zscale": 2, "rotation": 90})
            model.add_blockref("B", (0, 0), {"row_count": 3, "row_spacing": 20})

        assert box(read(drawing(path, draw))) == pytest.approx((-1, -2, 0, 12, 41, 0), abs=1e-9)

    def test_of_a_block_placed_askew(self, path: Path) -> None:
        """Curves in blocks keep their extents at any angle, within a fiftieth of a percent."""

        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            document.blocks.new("B").add_circle((0, 0), 100)
            model.add_blockref("B", (0, 0), {"rotation": 31})

        assert box(read(drawing(path, draw))) == pytest.approx((-100, -100, 0, 100, 100, 0), rel=2e-4)

    def test_a_spatial_block(self, path: Path) -> None:
        """Blocks of spatial content are placed as exactly as flat ones."""

        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            forms.sphere(12, 8, 5).render_3dfaces(document.blocks.new("B"))
            model.add_blockref("B", (0, 0, 1), {"rotation": 90})

        assert box(read(drawing(path, draw))) == pytest.approx((-5, -5, -4, 5, 5, 6))

    @pytest.mark.parametrize("far", [1e20, -1e20, 1e9])
    def test_a_stray_does_not_decide(self, path: Path, far: float) -> None:
        """One entity extremely far away is counted, left out of the box, and named in a warning."""

        def draw(_: object, model: ezdxf.layouts.Modelspace) -> None:
            for x in range(20):
                model.add_line((x, 0), (x + 1, 10))
            model.add_point((far, far))

        document = read(drawing(path, draw))
        assert box(document) == (0, 0, 0, 20, 10, 0)
        assert document.entity_counts["POINT"] == 1
        assert any("extremely far" in warning for warning in document.warnings)

    def test_a_stray_in_a_block_does_not_decide(self, path: Path) -> None:
        """What is far off within a block does not carry the block away."""

        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            block = document.blocks.new("B")
            block.add_line((0, 0), (2, 1))
            block.add_line((0, 0), (1e20, 0))
            model.add_blockref("B", (0, 0))

        document = read(drawing(path, draw))
        assert box(document) == (0, 0, 0, 2, 1, 0)
        assert any("extremely far" in warning for warning in document.warnings)

    def test_a_frame_is_no_stray(self, path: Path) -> None:
        """A large border around many small details decides the box, as it should."""

        def draw(_: object, model: ezdxf.layouts.Modelspace) -> None:
            for x in range(300):
                model.add_circle((x / 100, 0), 0.5)
            model.add_lwpolyline([(-1000, -1000), (2000, -1000), (2000, 2000), (-1000, 2000)], close=True)

        assert box(read(drawing(path, draw))) == (-1000, -1000, 0, 2000, 2000, 0)

    def test_annotations_do_not_stretch_the_part(self, path: Path) -> None:
        """Texts beside the part are no part of its extents."""

        def draw(_: object, model: ezdxf.layouts.Modelspace) -> None:
            model.add_line((0, 0), (1, 1))
            model.add_text("far away").set_placement((500, 500))

        assert box(read(drawing(path, draw))) == (0, 0, 0, 1, 1, 0)

    def test_annotations_alone_have_their_positions(self, path: Path) -> None:
        """A drawing of texts only is not empty; its box is that of their positions, and says so."""

        def draw(_: object, model: ezdxf.layouts.Modelspace) -> None:
            model.add_text("a").set_placement((1, 2))
            model.add_mtext("b", {"insert": (5, 6)})

        document = read(drawing(path, draw))
        assert box(document) == (1, 2, 0, 5, 6, 0)
        assert any("only annotations" in warning for warning in document.warnings)

    @pytest.mark.parametrize(("units", "name", "factor"), [(1, "inch", 25.4), (4, "mm", 1), (6, "m", 1000)])
    def test_lengths_are_millimetres(self, path: Path, units: int, name: str, factor: float) -> None:
        """The unit of $INSUNITS is in the document, and lengths are converted."""
        drawing(path, lambda _, model: model.add_line((0, 0), (2, 1)), units=units)
        document = read(path)
        assert document.unit == name
        assert box(document) == pytest.approx((0, 0, 0, 2 * factor, factor, 0))
        assert not any("unit" in warning for warning in document.warnings)

    def test_without_unit(self, path: Path) -> None:
        """Where no unit is stated, millimetres are assumed, with a warning."""
        path.write_text(text_drawing(LINE))
        document = read(path)
        assert document.unit is None
        assert box(document) == (0, 0, 0, 4, 3, 0)
        assert any("states no unit" in warning for warning in document.warnings)


class TestNames:
    """Names come out readable, whatever code page the file declares."""

    @pytest.mark.parametrize(
        ("encoding", "name"),
        [
            ("gbk", "轮廓线层"),
            ("gbk", "中心线"),
            ("cp932", "外形線レイヤー"),
            ("cp932", "寸法"),
            ("cp1251", "Осевые линии"),
            ("cp1251", "КОНТУР"),
            ("big5", "輪廓線圖層"),
            ("utf-8", "轮廓"),
            ("cp1252", "Maßlinie"),
            ("cp1252", "Übergröße"),
            ("cp1252", "Cotes extérieures"),
            ("cp1252", "Bohrung Ø12"),
        ],
    )
    def test_behind_a_false_code_page(self, path: Path, encoding: str, name: str) -> None:
        """Bytes of another encoding behind ANSI_1252 are recognised; Western ones stay Western."""
        drawing(path, lambda _, m: m.add_line((0, 0), (1, 1), {"layer": "PLACEHOLDER"}), version="R2000")
        path.write_bytes(path.read_bytes().replace(b"PLACEHOLDER", name.encode(encoding)))
        document = read(path)
        assert name in document.layers
        assert document.properties["encoding"] == encoding
        assert any("though the file declares" in w for w in document.warnings) is (encoding != "cp1252")

    def test_behind_a_correct_code_page(self, path: Path) -> None:
        """A declared code page that fits the text is used."""

        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            document.encoding = "cp1251"
            model.add_line((0, 0), (1, 1), {"layer": "Ось"})

        document = read(drawing(path, draw, version="R2000"))
        assert "Ось" in document.layers
        assert document.properties["encoding"] == "cp1251"

    def test_in_unicode(self, path: Path) -> None:
        """From R2007 on files are UTF-8, and are read so."""
        document = read(drawing(path, lambda _, m: m.add_line((0, 0), (1, 1), {"layer": "Ωß轮"})))
        assert "Ωß轮" in document.layers

    def test_beyond_repair(self, path: Path) -> None:
        """Bytes that no encoding explains still give a summary that can be stored."""
        drawing(path, lambda _, m: m.add_line((0, 0), (1, 1), {"layer": "PLACEHOLDER"}))
        path.write_bytes(path.read_bytes().replace(b"PLACEHOLDER", b"\x81\xfe\xff\x9d"))
        document = read(path)
        assert decode_summary(encode_summary(document)) == document


class TestFiles:
    """What kinds of files are read, repaired and refused."""

    @pytest.mark.parametrize("version", ["R12", "R2000", "R2004", "R2007", "R2010", "R2013", "R2018"])
    @pytest.mark.parametrize("binary", [False, True])
    def test_every_version(self, path: Path, version: str, binary: bool) -> None:
        """ASCII and binary files of every version from R12 to 2018 give the same document."""
        document = ezdxf.new(version, units=4)
        document.modelspace().add_circle((0, 0), 2, {"layer": "HOLES"})
        document.saveas(path, fmt="bin" if binary else "asc")
        assert DxfAdapter().sniff(path.read_bytes()[:4096])
        found = read(path)
        assert found.entity_counts == {"CIRCLE": 1}
        assert box(found) == (-2, -2, 0, 2, 2, 0)
        assert "HOLES" in found.layers
        assert found.properties["dxf_version"] == document.dxfversion

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: text.replace(b"\n", b"\r\n"),
            lambda text: text.replace(b"\n", b"\r"),
            lambda text: b"\xef\xbb\xbf" + text,
            lambda text: b"\n\n" + text,
            lambda text: b"999\ncomment\n" + text,
            lambda text: text.replace(b"0\nEOF\n", b""),
            lambda text: text + b"\x1a",
            lambda text: text + b"anything\nat all\n",
        ],
    )
    def test_oddities_are_tolerated(self, path: Path, change: Callable[[bytes], bytes]) -> None:
        """Any line ends, marks and comments in front, a missing EOF, and rubbish behind are read."""
        path.write_bytes(change(text_drawing(LINE).encode()))
        assert read(path).entity_counts == {"LINE": 1}

    def test_a_repair_is_a_warning(self, path: Path) -> None:
        """A file that breaks the rules is repaired where possible; what was wrong is in the warnings."""
        path.write_text(text_drawing(LINE).replace("0\nEOF\n", ""))
        document = read(path)
        assert document.properties["repaired"] is True
        assert any("missing EOF" in warning for warning in document.warnings)

    def test_an_entity_beyond_repair_is_tolerated(self, path: Path) -> None:
        """One entity that cannot be interpreted does not hide the others; it is placed by its points."""

        def draw(_: object, model: ezdxf.layouts.Modelspace) -> None:
            model.add_line((0, 0), (1, 1))
            model.add_open_spline([(0, 0), (5, 7), (20, 0), (3, 3)])

        drawing(path, draw)
        path.write_text(path.read_text().replace("100\nAcDbSpline\n", ""))
        document = read(path)
        assert document.entity_counts == {"LINE": 1, "SPLINE": 1}
        assert box(document) == (0, 0, 0, 20, 7, 0)
        assert any("SPLINE cannot be interpreted" in warning for warning in document.warnings)

    def test_audit_findings_are_warnings(self, path: Path) -> None:
        """What ezdxf's auditor objects to appears among the warnings, in bounded number."""

        def draw(_: object, model: ezdxf.layouts.Modelspace) -> None:
            for index in range(200):
                model.add_blockref(f"MISSING_{index}", (index, 0))

        document = read(drawing(path, draw))
        assert any("without required BLOCK" in warning for warning in document.warnings)
        assert len(document.warnings) < 120

    @pytest.mark.parametrize(
        ("content", "error", "words"),
        [
            (b"", MalformedFile, "empty"),
            (b"AC1015\x00\x00\x00" + bytes(500), UnsupportedContent, "DWG"),
            (b"version https://git-lfs.github.com/spec/v1\n", MalformedFile, "not a DXF"),
            (b"AutoCAD Binary DXF\n\x1a\x00\x00SECTION\x00", MalformedFile, "line ends"),
            (b"AutoCAD Binary DXF\r\n\x1a\x00\x00SECTION\x00\x02ENT", MalformedFile, "binary DXF"),
            (text_drawing(LINE)[:60].encode(), MalformedFile, "truncated"),
            (text_drawing(LINE).replace("\n11\n", "\nxx\n").encode(), MalformedFile, "line"),
            (text_drawing(LINE).replace("4.0", "nan").encode(), MalformedFile, "finite"),
            (text_drawing(LINE).replace("4.0", "inf").encode(), MalformedFile, "finite"),
        ],
    )
    def test_refused_in_words(self, path: Path, content: bytes, error: type[Exception], words: str) -> None:
        """What is no DXF, half of one, or holds impossible numbers is refused with the reason."""
        path.write_bytes(content)
        with pytest.raises(error, match=words) as refusal:
            read(path)
        assert "0x" not in str(refusal.value)

    def test_a_dwg_is_claimed_to_be_explained(self, path: Path) -> None:
        """The sniff takes a DWG, so that its reader gets an answer better than 'unknown'."""
        head = b"AC1032\x00\x00\x00\x00\x00\x00" + bytes(200)
        assert DxfAdapter().sniff(head)
        assert not DxfAdapter().sniff(b"AC1 is no drawing")
        path.write_bytes(head)
        with pytest.raises(UnsupportedContent, match="save or convert it as DXF"):
            read(path)

    def test_truncation_is_located(self, path: Path) -> None:
        """Half a file is refused with the line at which it ends."""
        path.write_text(text_drawing(LINE, LINE)[:80])
        with pytest.raises(MalformedFile) as refusal:
            read(path)
        assert refusal.value.context["line"] == path.read_text().count("\n") + 1

    def test_not_there(self, path: Path) -> None:
        """A file that cannot be opened is not called malformed."""
        with pytest.raises(UnreadableInput):
            read(path)

    def test_the_host_does_not_load_the_library(self) -> None:
        """Importing the plugin does not import ezdxf: the host process never reads a file."""
        code = "import sys, cadml_plugins.formats.dxf.adapter; sys.exit('ezdxf' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestLimits:
    """Bounds hold at their edge, and bombs end without going off."""

    def test_entities(self, path: Path) -> None:
        """Exactly the allowed number of entities is read, one more is refused."""
        drawing(path, lambda _, model: [model.add_point((x, 0)) for x in range(5)])
        assert read(path, max_entities=5).entity_count == 5
        with pytest.raises(LimitExceeded) as refusal:
            read(path, max_entities=4)
        assert refusal.value.context == {"limit": "max_entities", "found": 5, "allowed": 4}

    def test_placed_entities(self, path: Path) -> None:
        """Block content counts against the limit as often as it is placed."""

        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            document.blocks.new("B").add_point((0, 0))
            grid = {"row_count": 100, "column_count": 100, "row_spacing": 1, "column_spacing": 1}
            model.add_blockref("B", (0, 0), grid)

        drawing(path, draw)
        assert read(path, max_entities=10_000).entity_counts == {"POINT": 10_000}
        with pytest.raises(LimitExceeded):
            read(path, max_entities=9_999)

    def test_facets(self, path: Path) -> None:
        """Faces of meshes count as triangles, as often as they are placed."""

        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            forms.cube().render_mesh(document.blocks.new("CUBE"))
            model.add_blockref("CUBE", (0, 0))
            model.add_blockref("CUBE", (5, 0))

        drawing(path, draw)
        assert read(path, max_triangles=12).facet_count == 12
        with pytest.raises(LimitExceeded) as refusal:
            read(path, max_triangles=11)
        assert refusal.value.context == {"limit": "max_triangles", "found": 12, "allowed": 11}

    @staticmethod
    def nested(levels: int, copies: int) -> Callable[..., None]:
        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            document.blocks.new("B0").add_circle((0, 0), 1)
            for level in range(1, levels):
                block = document.blocks.new(f"B{level}")
                for copy in range(copies):
                    block.add_blockref(f"B{level - 1}", (copy, level), {"rotation": 10 * copy})
            model.add_blockref(f"B{levels - 1}", (0, 0))

        return draw

    def test_depth(self, path: Path) -> None:
        """Blocks nested as deeply as allowed are read, one level more is refused."""
        drawing(path, self.nested(4, 1))
        assert read(path, max_block_depth=4).entity_counts == {"CIRCLE": 1}
        with pytest.raises(LimitExceeded, match="max_block_depth"):
            read(path, max_block_depth=3)

    def test_a_bomb_of_blocks(self, path: Path) -> None:
        """Ten levels of ten copies would be a thousand million entities; they are refused by counting."""
        with pytest.raises(LimitExceeded, match="max_entities"):
            read(drawing(path, self.nested(10, 10)))

    def test_a_large_expansion_within_the_limit(self, path: Path) -> None:
        """A million placed entities are counted and bounded without being made."""
        document = read(drawing(path, self.nested(7, 10)))
        assert document.entity_counts == {"CIRCLE": 1_000_000}

    def test_a_grid_bomb(self, path: Path) -> None:
        """One reference in a grid of a thousand million places is refused."""

        def draw(document: ezdxf.document.Drawing, model: ezdxf.layouts.Modelspace) -> None:
            document.blocks.new("B").add_point((0, 0))
            grid = {"row_count": 32767, "column_count": 32767, "row_spacing": 1, "column_spacing": 1}
            model.add_blockref("B", (0, 0), grid)

        with pytest.raises(LimitExceeded, match="max_entities"):
            read(drawing(path, draw))
