"""What the IGES adapter promises about good, odd and bad files."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from cadml_core.contracts.formats import FormatAdapter, MeshRequest, ReadLimits
from cadml_core.documents.document import CadDocument
from cadml_core.errors import LimitExceeded, MalformedFile, UnsupportedContent
from cadml_plugins.formats.kernel import _iges_sections, iges
from tests.unit.formats import kernel_parts as parts

ADAPTER = iges.IgesAdapter()


def read(
    shape: parts.Shape, folder: Path, limits: ReadLimits | None = None, **options: object
) -> CadDocument:
    """Write a shape and read it back."""
    path = parts.write_iges(shape, folder / "part.igs", **options)  # type: ignore[arg-type]
    return ADAPTER.read(path, limits or ReadLimits())


@pytest.fixture(scope="module")
def block(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A good IGES file of one block."""
    return parts.write_iges(parts.box(), tmp_path_factory.mktemp("good") / "block.igs").read_bytes()


def read_bytes(content: bytes, folder: Path) -> CadDocument:
    """Read content as a file."""
    path = folder / "part.igs"
    path.write_bytes(content)
    return ADAPTER.read(path, ReadLimits())


def refusal(content: bytes, folder: Path) -> MalformedFile:
    """Return the error that the content is refused with."""
    with pytest.raises(MalformedFile) as caught:
        read_bytes(content, folder)
    return caught.value


def test_the_plugin_registers_one_format_adapter() -> None:
    """The hook returns an object that keeps the contract."""
    (adapter,) = iges.cadml_format_adapters()
    assert isinstance(adapter, FormatAdapter)


@pytest.mark.parametrize("solids", [False, True], ids=["surfaces", "solids"])
@pytest.mark.parametrize(
    ("shape", "kinds", "volume"),
    [
        (parts.box(10, 20, 30), {"plane": 6}, 6000),
        (parts.cylinder(5, 12), {"cylinder": 1, "plane": 2}, math.pi * 300),
        (parts.cone(6, 2, 9), {"cone": 1, "plane": 2}, math.pi * 156),
        (parts.torus(10, 3), {"torus": 1}, 2 * math.pi**2 * 90),
        (parts.drilled_cylinder(), {"cylinder": 6, "plane": 2}, math.pi * 82 * 8),
    ],
    ids=["block", "cylinder", "cone", "torus", "drilled"],
)
def test_surfaces_become_named_faces_of_a_solid(
    shape: parts.Shape, kinds: dict[str, int], volume: float, solids: bool, tmp_path: Path
) -> None:
    """Loose trimmed surfaces and manifold solids give the same: one solid, elementary faces, its volume."""
    document = read(shape, tmp_path, solids=solids)
    assert document.entity_counts == kinds
    assert (document.solid_count, document.shell_count) == (1, 1)
    assert document.mass is not None
    assert document.mass.reliable
    assert document.mass.volume == pytest.approx(volume, rel=1e-5)
    assert document.unit == "mm"


def test_two_bodies_are_two_solids(tmp_path: Path) -> None:
    """Faces that do not touch are sewn into solids of their own."""
    pair = parts.compound([parts.box(), parts.box(5, 5, 5, at=(50, 0, 0))])
    document = read(pair, tmp_path)
    assert document.solid_count == 2
    assert document.mass is not None
    assert document.mass.volume == pytest.approx(6125)


def test_what_does_not_close_is_no_solid(tmp_path: Path) -> None:
    """Five sides of a block stay an open shell, and the volume is formal."""
    document = read(parts.compound(parts.faces(parts.box())[:5]), tmp_path)
    assert document.solid_count == 0
    assert document.surface_count == 5
    assert document.mass is None or not document.mass.reliable


def test_curves_alone_are_entities(tmp_path: Path) -> None:
    """A wireframe is described by its curves, and says that there is nothing else."""
    document = read(parts.compound(parts.edges(parts.cylinder(5, 12))), tmp_path)
    assert document.entity_counts == {"circle": 2, "line": 1}
    assert document.surface_count == 0
    assert document.bounding_box is not None
    assert document.bounding_box.extents == pytest.approx((10, 10, 12), abs=1e-5)
    assert any("curves but no faces" in warning for warning in document.warnings)


def test_other_units_become_millimetres(tmp_path: Path) -> None:
    """A file in inches says so, and its numbers are converted."""
    document = read(parts.box(25.4, 50.8, 25.4), tmp_path, unit="INCH")
    assert document.unit == "inch"
    assert document.bounding_box is not None
    assert document.bounding_box.extents == pytest.approx((25.4, 50.8, 25.4), abs=1e-5)


@pytest.mark.parametrize(
    ("stated", "unit", "millimetres"),
    [
        (b",3,2HIN,", "inch", 25.4),
        (b",3,2Hcm,", "cm", 10.0),
        (b", ,2HMM,", "mm", 1.0),
        (b",6,2HMM,", "m", 1000.0),  # the number counts
        (b",3,2HXY,", None, 1.0),
    ],
)
def test_units_have_clean_names(
    block: bytes, stated: bytes, unit: str | None, millimetres: float, tmp_path: Path
) -> None:
    """A unit that is named is converted and called by its short name, whichever letters spell it."""
    assert b",2,2HMM," in block
    whole = read_bytes(block, tmp_path).bounding_box
    document = read_bytes(block.replace(b",2,2HMM,", stated), tmp_path)
    assert document.unit == unit
    assert whole is not None
    assert document.bounding_box is not None
    assert document.bounding_box.extents == pytest.approx([millimetres * size for size in whole.extents])
    assert any("'XY', which is no known one" in text for text in document.warnings) == (unit is None)


def test_a_mesh_comes_on_demand(tmp_path: Path) -> None:
    """Sewn faces are tessellated as one body; without a request there is no mesh."""
    assert read(parts.box(), tmp_path).mesh is None
    document = read(parts.box(), tmp_path, ReadLimits(mesh=MeshRequest()))
    assert document.mesh is not None
    assert (len(document.mesh.vertices), len(document.mesh.triangles)) == (8, 12)


def test_the_entity_limit_counts_faces_at_its_edge(tmp_path: Path) -> None:
    """A block's six faces pass a limit of six and not one of five."""
    assert read(parts.box(), tmp_path, ReadLimits(max_entities=6)).surface_count == 6
    with pytest.raises(LimitExceeded, match="max_entities"):
        read(parts.box(), tmp_path, ReadLimits(max_entities=5))


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98])
def test_a_file_that_is_cut_off_is_refused(block: bytes, share: float, tmp_path: Path) -> None:
    """However much of it is there, part of a file is never read as a whole one."""
    refusal(block[: int(len(block) * share)], tmp_path)


def test_a_cut_between_lines_names_its_section(block: bytes, tmp_path: Path) -> None:
    """A file that ends with a whole line lacks its Terminate line; the message says where."""
    lines = block.splitlines(keepends=True)
    error = refusal(b"".join(lines[: len(lines) // 2]), tmp_path)
    assert error.context["reason"] == "truncated"
    assert "Terminate" in error.message


def test_lines_lost_in_the_middle_are_missed(block: bytes, tmp_path: Path) -> None:
    """The Terminate line counts the others: with two of them gone the file is refused."""
    lines = block.splitlines(keepends=True)
    error = refusal(b"".join(lines[:20] + lines[22:]), tmp_path)
    assert error.context["expected"] - error.context["found"] == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"not iges\n" * 5, "no marker"),
        (b"ISO-10303-21;\n", "no marker"),
        (b" " * 72 + b"S      1\n" + b"\0" * 80 + b"\n", "NUL byte"),
        (b" " * 72 + b"S      1\n" + b"x" * 80 + b"\n", "truncated"),
    ],
)
def test_what_is_not_iges_is_refused_with_the_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    """Empty, other, zeroed and section-less files each have their reason."""
    assert refusal(content, tmp_path).context["reason"] == reason


def test_sections_out_of_order_are_refused(block: bytes, tmp_path: Path) -> None:
    """A directory line after the parameters has begun is damage, and the line is named."""
    lines = block.splitlines(keepends=True)
    directory = next(index for index, line in enumerate(lines) if line[72:73] == b"D")
    moved = [*lines[:directory], *lines[directory + 1 : -1], lines[directory], lines[-1]]
    assert refusal(b"".join(moved), tmp_path).context == {"line": len(lines) - 1, "reason": "section order"}


@pytest.mark.parametrize("mark", [b"B", b"C"])
def test_binary_and_compressed_forms_are_unsupported(mark: bytes, tmp_path: Path) -> None:
    """The two rare forms are recognised, and the message says what to do."""
    with pytest.raises(UnsupportedContent, match="ASCII"):
        read_bytes(b" " * 72 + mark + b"      1\n" * 3, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content.replace(b"\n", b"  \n"),
        lambda content: content + b"\n\n",
    ],
    ids=["byte order mark", "CRLF", "82 columns", "blank lines"],
)
def test_harmless_oddities_are_read(block: bytes, change, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Line ends, a byte order mark, blanks beyond column 80 and empty lines at the end change nothing."""
    content = change(block)
    assert ADAPTER.sniff(content[:4096])
    assert read_bytes(content, tmp_path).mass == read_bytes(block, tmp_path).mass


def test_any_file_name_will_do(block: bytes, tmp_path: Path) -> None:
    """A name that is not UTF-8 is read like any other."""
    odd = tmp_path / os.fsdecode(b"\xff\xfe.igs")
    odd.write_bytes(block)
    assert ADAPTER.read(odd, ReadLimits()).solid_count == 1


@pytest.mark.parametrize(
    "head",
    [b"", b"solid x\n", b"ISO-10303-21;", b" " * 4096, b" " * 72 + b"G      1\n", b" " * 72 + b"S      2\n"],
)
def test_other_heads_are_not_sniffed_as_iges(head: bytes) -> None:
    """Only a first line that is line 1 of the Start section makes a file IGES."""
    assert not ADAPTER.sniff(head)


def test_a_start_of_blanks_is_iges() -> None:
    """The Start section may be empty: 72 blanks and the mark."""
    assert ADAPTER.sniff(b" " * 72 + b"S0000001\n")


def test_the_global_section_is_read_at_its_own_delimiters() -> None:
    """Delimiters may be changed, and strings may hold them."""
    lines = ["1H//1H?/7Hbolt,M8/", "8Hbolt.igs/3HCAD?"]
    text = "".join(f"{line:72}G{number:7}\n" for number, line in enumerate(lines, 1))
    content = f"{'':72}S      1\n{text}{'S      1G      2D      0P      0':72}T      1\n"
    sections = _iges_sections.read_sections(content.encode())
    assert sections.globals == ("/", "?", "bolt,M8", "bolt.igs", "CAD")
    assert sections.text(3) == "bolt,M8"


def test_levels_become_layers(block: bytes, tmp_path: Path) -> None:
    """The distinct levels of the directory are the layers, in numerical order."""
    lines = block.decode().splitlines()
    directory = [index for index, line in enumerate(lines) if line[72] == "D"][::2]
    for index, level in zip(directory, (10, 2), strict=False):
        lines[index] = lines[index][:32] + f"{level:8}" + lines[index][40:]
    assert read_bytes("\n".join([*lines, ""]).encode(), tmp_path).layers == ("0", "2", "10")


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        (parts.revolved(parts.segment((5, 0, 0), (5, 0, 9))), "cylinder"),
        (parts.revolved(parts.segment((5, 0, 0), (2, 0, 9))), "cone"),
        (parts.revolved(parts.segment((2, 0, 4), (7, 0, 4))), "plane"),
        (parts.revolved(parts.segment((5, -4, 0), (5, 4, 9))), "revolution"),
        (parts.extruded(parts.segment((0, 0, 0), (7, 2, 0))), "plane"),
        (parts.extruded(parts.ellipse()), "extrusion"),
    ],
    ids=["cylinder", "cone", "ring", "hyperboloid", "strip", "elliptic tube"],
)
def test_swept_surfaces_are_named_for_what_they_are_and_no_more(
    shape: parts.Shape, kind: str, tmp_path: Path
) -> None:
    """A line turned about an axis makes an elementary surface or none; a hyperboloid is no cone."""
    assert read(shape, tmp_path).entity_counts == {kind: 1}


def test_points_alone_are_entities(tmp_path: Path) -> None:
    """A file of points is described by their number and extents."""
    document = read(parts.compound([parts.vertex(0, 0, 0), parts.vertex(1, 2, 3)]), tmp_path)
    assert document.entity_counts == {"point": 2}
    assert document.bounding_box is not None
    assert document.bounding_box.extents == pytest.approx((1, 2, 3), abs=1e-5)
