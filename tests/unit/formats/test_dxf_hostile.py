"""DXF files made to hurt: each ends in a document or a refusal, soon and in little memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import ezdxf
import pytest

from cadml_core import CadDocument, CadmlError, LimitExceeded, MalformedFile, ReadLimits
from cadml_core.contracts.formats import MeshRequest
from cadml_core.documents.document import decode_summary, encode_summary
from cadml_plugins.formats.dxf import _census as _dxf_census
from cadml_plugins.formats.dxf.adapter import DxfAdapter

LINE = "0 LINE 8 0 10 0.0 20 0.0 30 0.0 11 4.0 21 3.0 31 0.0"


def drawing(*entities: str, blocks: str = "") -> bytes:
    """Return an R12 drawing: each entity a line of words, code and value in turn."""
    words = f"0 SECTION 2 BLOCKS {blocks} 0 ENDSEC 0 SECTION 2 ENTITIES {' '.join(entities)} 0 ENDSEC 0 EOF"
    return "\n".join([*words.split(), ""]).encode()


def read(path: Path, content: bytes, **limits: object) -> CadDocument:
    """Read the content, and check that its summary can be stored."""
    path.write_bytes(content)
    document = DxfAdapter().read(path, ReadLimits(**limits))  # type: ignore[arg-type]
    assert decode_summary(encode_summary(document)) == document.without_mesh()
    return document


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the drawing of a test goes."""
    return tmp_path / "hostile.dxf"


@pytest.mark.parametrize("number", ["1e101", "-1e300", "1e308"])
def test_numbers_too_large_to_use(path: Path, number: str) -> None:
    """Coordinates whose products no number holds are refused where nothing else is there..."""
    with pytest.raises(MalformedFile, match="further than"):
        read(path, drawing(f"0 POINT 8 0 10 {number} 20 0.0"))


@pytest.mark.parametrize("number", ["1e101", "-1e300", "1e308"])
def test_numbers_too_large_beside_others(path: Path, number: str) -> None:
    """... and are strays among others."""
    document = read(path, drawing(LINE, f"0 POINT 8 0 10 {number} 20 0.0"))
    assert document.bounding_box is not None
    assert document.bounding_box.extents == (4, 3, 0)


@pytest.mark.parametrize(
    "entity",
    [
        "0 ARC 8 0 10 0 20 0 40 1 50 1e300 51 7",
        "0 ARC 8 0 10 0 20 0 40 1 50 inf 51 7",
        "0 ARC 8 0 10 0 20 0 40 1 50 nan 51 7",
        "0 CIRCLE 8 0 10 0 20 0 40 -1",
        "0 CIRCLE 8 0 10 0 20 0 40 0",
        "0 CIRCLE 8 0 10 0 20 0 40 1 210 0 220 0 230 0",
        "0 ELLIPSE 8 0 10 0 20 0 11 0 21 0 31 0 40 0 41 1e300 42 -1e300",
        "0 LWPOLYLINE 8 0 90 2 70 1 10 0 20 0 42 1e300 10 1 20 1 42 1e-300",
        "0 POLYLINE 8 0 66 1 70 16 71 2000000000 72 2000000000 0 VERTEX 8 0 10 0 20 0 0 SEQEND",
        "0 POLYLINE 8 0 66 1 70 64 71 -5 72 99999999999999999999999 0 SEQEND",
        "0 SPLINE 8 0 71 999 72 5 73 3 74 0 40 0 40 0 10 0 20 0 10 1 20 1 10 2 20 0",
        "0 SPLINE 8 0 71 3",
        "0 HATCH 8 0 91 1 92 1 93 5 72 2 10 0 20 0 40 1 50 0 51 1e300 73 1",
        "0 3DSOLID 8 0 1 xyz 3 abc",
        "0 INSERT 8 0 2 B 10 0 20 0 41 1e300 50 1e300",
        "0 INSERT 8 0 2 B 10 0 20 0 70 -5 71 -5 44 1e300",
        "0 INSERT 8 0",
        "0 VERTEX 8 0 10 0 20 0",
        "0 SEQEND 0 SEQEND",
        "0 DIMENSION 8 0 2 *D1 10 0 20 0",
        "0 ACAD_PROXY_ENTITY 8 0 90 -1",
    ],
)  # fmt: skip
def test_entities_that_make_no_sense(path: Path, entity: str) -> None:
    """Impossible parameters spoil neither the other entities nor the reader."""
    block = "0 BLOCK 8 0 2 B 70 0 10 0 20 0 0 LINE 8 0 10 0 20 0 11 1 21 1 0 ENDBLK 8 0"
    try:
        document = read(path, drawing(LINE, entity, LINE, blocks=block))
    except CadmlError as refusal:
        assert refusal.code == "PARSE_FAILED"  # noqa: PT017
    else:
        assert document.entity_counts["LINE"] >= 2
        assert document.facet_count < 100


def test_kinds_that_are_no_words(path: Path) -> None:
    """An unknown kind in bytes of no encoding can be stored."""
    document = read(path, drawing(LINE, LINE).replace(b"LINE", b"LI\xffN\xfe", 1))
    assert document.entity_counts == {"LI?N?": 1, "LINE": 1}


def test_a_block_of_many_references(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outlines are condensed on the way, so that a block of many blocks takes little memory; that
    neither moves the extents nor brings strays back."""

    def build(document: ezdxf.document.Drawing) -> None:
        block = document.blocks.new("ROUND")
        for radius in range(1, 20):
            block.add_circle((radius * 7, 0), radius)
        field = document.blocks.new("FIELD")
        for index in range(300):
            field.add_blockref("ROUND", (index % 20 * 50, index // 20 * 50), {"rotation": index})
        field.add_point((1e20, 0))
        document.modelspace().add_blockref("FIELD", (0, 0), {"rotation": 45})

    document = ezdxf.new("R2000", units=4)
    build(document)
    document.saveas(path)
    whole = DxfAdapter().read(path, ReadLimits())
    monkeypatch.setattr(_dxf_census, "_MOST_POINTS", 1000)
    condensed = DxfAdapter().read(path, ReadLimits())
    assert whole.entity_counts == condensed.entity_counts == {"CIRCLE": 5700, "POINT": 1}
    assert whole.bounding_box is not None
    assert condensed.bounding_box is not None
    assert condensed.bounding_box.extents == pytest.approx(whole.bounding_box.extents, rel=1e-12)
    assert condensed.bounding_box.extents[0] < 3000


def test_a_loop_of_blocks_with_a_mesh(path: Path) -> None:
    """Blocks that contain one another do not trap the making of a mesh."""
    document = ezdxf.new("R2000", units=4)
    one, other = document.blocks.new("ONE"), document.blocks.new("OTHER")
    one.add_3dface([(0, 0, 0), (1, 0, 0), (0, 1, 0)])
    one.add_blockref("OTHER", (1, 1))
    other.add_blockref("ONE", (1, 1))
    document.modelspace().add_blockref("ONE", (0, 0))
    document.saveas(path)
    try:
        found = DxfAdapter().read(path, ReadLimits(mesh=MeshRequest()))
    except CadmlError as refusal:
        assert refusal.code == "PARSE_FAILED"  # noqa: PT017
    else:
        assert found.facet_count == 1


def test_a_very_deep_tower_of_blocks(path: Path) -> None:
    """Blocks nested a thousand deep end at the limit, whatever the limit is."""
    document = ezdxf.new("R2000")
    document.blocks.new("B0").add_point((0, 0))
    for level in range(1, 1000):
        document.blocks.new(f"B{level}").add_blockref(f"B{level - 1}", (0, 0))
    document.modelspace().add_blockref("B999", (0, 0))
    document.saveas(path)
    for allowed in (32, 999, 10_000):
        try:
            found = DxfAdapter().read(path, ReadLimits(max_block_depth=allowed))
        except LimitExceeded as refusal:
            assert refusal.context["limit"] == "max_block_depth"  # noqa: PT017
            assert allowed < 1000
        except MalformedFile as refusal:
            assert "Recursion" in refusal.message  # noqa: PT017
        else:
            assert found.entity_counts == {"POINT": 1}


@pytest.mark.parametrize("version", ["R12", "R2018"])
@pytest.mark.parametrize("damage", ["bytes", "lines", "cut", "numbers"])
def test_survives_mutation(path: Path, version: str, damage: str) -> None:
    """Whatever bytes, lines or numbers change, there is a document or a refusal with a message."""
    document = ezdxf.new(version, units=4)
    model = document.modelspace()
    model.add_line((0, 0), (1, 1), {"layer": "Ä"})
    model.add_polyline2d([(0, 0, 1), (2, 0, 0)], format="xyb")
    document.blocks.new("B").add_arc((0, 0), 1, 0, 90)
    model.add_blockref("B", (1, 1), {"column_count": 2, "column_spacing": 5}).add_attrib("T", "x")
    document.saveas(path)
    noise, data = random.Random(f"{version} {damage}"), path.read_bytes()
    for _ in range(12):
        path.write_bytes(DAMAGES[damage](data, noise))
        try:
            found = DxfAdapter().read(path, ReadLimits())
        except CadmlError as refusal:
            assert refusal.code in ("PARSE_FAILED", "LIMIT_EXCEEDED")  # noqa: PT017
        else:
            assert decode_summary(encode_summary(found)) == found


def _bytes(data: bytes, noise: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(noise.randint(1, 40)):
        changed[noise.randrange(len(changed))] = noise.randrange(256)
    return bytes(changed)


def _lines(data: bytes, noise: random.Random) -> bytes:
    lines = data.split(b"\n")
    for _ in range(noise.randint(1, 10)):
        one, other = noise.randrange(len(lines)), noise.randrange(len(lines))
        lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _cut(data: bytes, noise: random.Random) -> bytes:
    start = noise.randrange(len(data))
    return data[:start] + data[start + noise.randint(1, len(data)) :]


def _numbers(data: bytes, noise: random.Random) -> bytes:
    lines = data.split(b"\n")
    for _ in range(noise.randint(1, 10)):
        lines[noise.randrange(len(lines))] = noise.choice(
            [b"-1", b"1e308", b"99999999999999999999", b"0", b"nan", b"", b"1,5"]
        )
    return b"\n".join(lines)


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bytes": _bytes,
    "lines": _lines,
    "cut": _cut,
    "numbers": _numbers,
}
