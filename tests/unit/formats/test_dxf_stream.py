"""Streaming of large DXF files: it agrees with reading in memory, or steps aside."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import ezdxf
import pytest
from ezdxf.render import forms

from cadml_core import CadDocument, CadmlError, LimitExceeded, MalformedFile, ReadLimits
from cadml_plugins.formats.dxf import _ascii as _dxf_ascii
from cadml_plugins.formats.dxf import _document as _dxf_document
from cadml_plugins.formats.dxf import _tags as _dxf_tags
from cadml_plugins.formats.dxf._document import read_in_memory, read_streamed
from cadml_plugins.formats.dxf._load import load
from cadml_plugins.formats.dxf.adapter import DxfAdapter


def model_of_everything(document: ezdxf.document.Drawing) -> None:
    """Draw every kind that the stream measures itself, some that it does not, and what may mislead."""
    model = document.modelspace()
    block = document.blocks.new("BOLT")
    block.add_circle((0, 0), 4, {"layer": "NESTED"})
    block.add_line((0, 0), (5, 0))
    model.add_line((1 / 3, -2, 5), (7, 1e-3, -1), {"layer": "ÄÖ"})
    model.add_point((3, 3, 3))
    model.add_circle((100, 2, 3), 4)
    model.add_circle((0, 0, 7), 2, {"extrusion": (1, 0, 0)})
    model.add_circle((0, 0, 7), 2, {"extrusion": (0, 0, 1)})
    for start in range(0, 360, 30):
        model.add_arc((start * 10, 200), 5, start, start + 77)
    model.add_polyline2d([(0, 300, 1), (2, 300, -0.3), (5, 301, 0)], format="xyb", close=True)
    model.add_polyline2d([(0, 300), (2, 300)], dxfattribs={"elevation": (0, 0, 9)})
    model.add_polyline2d([(0, 1), (2, 3)], dxfattribs={"extrusion": (0, 1, 0)})
    model.add_polyline3d([(0, 0, 1), (2, 0, 55)])
    model.add_polymesh((3, 4))
    forms.cube().render_polyface(model)
    model.add_3dface([(0, 0, 0), (1, 0, 0), (1, 1, 1), (0, 2, 1)])
    model.add_solid([(0, 0), (3, 0), (0, 2)])
    model.add_text("Maß").set_placement((-900, 0))
    model.add_blockref("BOLT", (40, 50), {"rotation": 45}).add_attrib("TAG", "x", (1, 1))
    model.add_blockref("MISSING", (1, 1))
    document.layout("Layout1").add_line((0, 0), (999, 999))
    document.layout("Layout1").add_polyline2d([(0, 0), (5, 5)])
    document.layout("Layout1").add_blockref("BOLT", (0, 0)).add_attrib("TAG", "y")


def newer_kinds(document: ezdxf.document.Drawing) -> None:
    """Draw what R12 does not know."""
    model = document.modelspace()
    model.add_lwpolyline([(0, 0, 0.5), (10, 0, 0), (10, 20, -1)], format="xyb", close=True)
    model.add_lwpolyline([(0, 0), (1, 1)], dxfattribs={"elevation": 4, "extrusion": (0, 0, -1)})
    model.add_lwpolyline([(0, 0), (1, 1)], dxfattribs={"elevation": 4})
    model.add_mtext("text", {"insert": (5, 5000)})
    model.add_spline([(0, 0), (4, 9), (8, 0)])
    model.add_ellipse((0, 0), (4, 1), 0.3)
    forms.cube().render_mesh(model)
    model.add_hatch().paths.add_polyline_path([(0, 0, 1), (2, 0, 1)])
    model.add_linear_dim((0, 3), (0, 0), (1, 0)).render()
    model.add_mline([(0, 0), (5, 5)])


def drawing(path: Path, version: str = "R2018", *, binary: bool = False) -> Path:
    """Write a drawing of everything that the version knows."""
    document = ezdxf.new(version, units=1)
    model_of_everything(document)
    if version != "R12":
        newer_kinds(document)
    document.saveas(path, fmt="bin" if binary else "asc")
    return path


def assert_agree(one: CadDocument | None, other: CadDocument | None) -> None:
    """Compare everything but how the documents were read and what the audit found."""
    assert one is not None
    assert other is not None
    for field in ("entity_counts", "surface_count", "facet_count", "layers", "unit"):
        assert getattr(one, field) == getattr(other, field)
    assert one.bounding_box is not None
    assert other.bounding_box is not None
    assert one.bounding_box.minimum == pytest.approx(other.bounding_box.minimum, rel=1e-12, abs=1e-12)
    assert one.bounding_box.maximum == pytest.approx(other.bounding_box.maximum, rel=1e-12, abs=1e-12)
    assert reported(one) == reported(other)


def reported(document: CadDocument) -> set[str]:
    """Return the warnings that do not depend on the audit."""
    return {warning for warning in document.warnings if "paper" in warning or "'MISSING'" in warning}


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("version", ["R12", "R2000", "R2004", "R2007", "R2010", "R2013", "R2018"])
def test_agrees_with_memory(tmp_path: Path, version: str, binary: bool) -> None:
    """Counts, extents, layers, unit and warnings are those of the whole document, in every version,
    ASCII and binary."""
    path = drawing(tmp_path / "part.dxf", version, binary=binary)
    whole = read_in_memory(load(path), ReadLimits())
    assert_agree(read_streamed(path, ReadLimits()), whole)
    assert len(reported(whole)) == 2


@pytest.mark.parametrize("block_bytes", [64, 100, 1001])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_any_block_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, line_end: bytes
) -> None:
    """Where the blocks of the file happen to end changes nothing."""
    path = drawing(tmp_path / "part.dxf", "R2000")
    whole = read_streamed(path, ReadLimits())
    path.write_bytes(path.read_bytes().replace(b"\n", line_end))
    monkeypatch.setattr(_dxf_tags, "_BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(_dxf_ascii, "_BLOCK_BYTES", block_bytes)
    assert_agree(read_streamed(path, ReadLimits()), whole)


def test_large_files_are_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapter streams from a size on, and the document says so."""
    path = drawing(tmp_path / "part.dxf")
    assert "streamed" not in DxfAdapter().read(path, ReadLimits()).properties
    monkeypatch.setattr(_dxf_document, "STREAM_BYTES", path.stat().st_size)
    assert DxfAdapter().read(path, ReadLimits()).properties["streamed"] is True


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace(b"\n", b"\r"),
        lambda text: text.replace(b"ENDSEC", b"ENDSEX", 1),
        lambda text: text.replace(b"ENTITIES", b"ENTITIEX"),
        lambda text: text.replace(b"\nAcDbLine\n 10\n", b"\nAcDbLine\n xx\n"),
        lambda text: text.replace(b"100\nAcDbSpline\n", b""),
        lambda text: b"AutoCAD Binary DXF\r\n\x1a\x00" + text,
    ],
)
def test_steps_aside(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """What is irregular is left to the reading in memory, which can repair or name it."""
    path = drawing(tmp_path / "part.dxf")
    before = path.read_bytes()
    path.write_bytes(change(before))
    assert path.read_bytes() != before
    assert read_streamed(path, ReadLimits()) is None


def test_limits_hold(tmp_path: Path) -> None:
    """The stream refuses what is too much or impossible itself, without a second reading."""
    path = drawing(tmp_path / "part.dxf")
    document = read_streamed(path, ReadLimits())
    assert document is not None
    entities = document.entity_count
    assert read_streamed(path, ReadLimits(max_entities=entities)) == document
    with pytest.raises(LimitExceeded):
        read_streamed(path, ReadLimits(max_entities=entities - 1))
    path.write_bytes(path.read_bytes().replace(b"\n7.0\n", b"\nnan\n", 1))
    with pytest.raises(MalformedFile, match="finite"):
        read_streamed(path, ReadLimits())


@pytest.mark.parametrize("binary", [False, True])
def test_survives_mutation(tmp_path: Path, binary: bool) -> None:
    """Whatever bytes change, there is a document, a refusal with a message, or None."""
    path = drawing(tmp_path / "part.dxf", "R12", binary=binary)
    data, noise = path.read_bytes(), random.Random(3)
    answers: set[type] = set()
    for _ in range(60):
        mutated = bytearray(data)
        for _ in range(noise.randint(1, 10)):
            mutated[noise.randrange(len(mutated))] = noise.choice(b"0123456789.-eE \n\r\x00\xffABC")
        path.write_bytes(mutated)
        try:
            answers.add(type(read_streamed(path, ReadLimits())))
        except CadmlError as refusal:
            answers.add(type(refusal))
    assert CadDocument in answers
