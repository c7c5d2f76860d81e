"""The STL adapter: what is read, measured, vouched for and refused."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cadml_core import CadDocument, CadmlError, LimitExceeded, MalformedFile, ReadLimits
from cadml_core.contracts.formats import MeshRequest
from cadml_core.documents.document import decode_summary, encode_summary
from cadml_core.errors import UnreadableInput
from cadml_plugins.formats.mesh import _topology, _welding
from cadml_plugins.formats.stl import _ascii, _document
from cadml_plugins.formats.stl.adapter import StlAdapter

Facets = NDArray[np.float64]
"""(n, 3, 3): facet, corner, coordinate."""

FACET = "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 4 0 0\nvertex 0 3 0\nendloop\nendfacet\n"
TEXT = f"solid part\n{FACET}endsolid part\n"


def cube(side: float = 1.0, corner: tuple[float, float, float] = (0, 0, 0)) -> Facets:
    """Return the twelve facets of a cube, facing outwards."""
    points = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return np.asarray(points[np.array(triangles)] * side + np.array(corner))


def sphere(rings: int = 24, radius: float = 10.0) -> Facets:
    """Return a closed sphere of facets."""
    polar = np.linspace(0, np.pi, rings + 1)[:, None]
    turn = 2 * np.pi * np.arange(2 * rings) / (2 * rings)
    grid = radius * np.stack(
        [np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar) * np.ones_like(turn)], -1
    )
    grid[0], grid[-1] = (0, 0, radius), (0, 0, -radius)
    a, b = grid[:-1], grid[1:]
    c, d = np.roll(b, -1, 1), np.roll(a, -1, 1)
    return np.concatenate(
        [np.stack([a, b, c], 2)[:-1].reshape(-1, 3, 3), np.stack([a, c, d], 2)[1:].reshape(-1, 3, 3)]
    )


def binary(facets: Facets, *, header: bytes = b"test", attribute: int = 0) -> bytes:
    """Return a binary STL of the facets."""
    records = np.zeros(
        len(facets), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("colour", "<u2")]
    )
    records["corners"] = facets
    records["colour"] = attribute
    return header.ljust(80, b"\0") + struct.pack("<I", len(facets)) + records.tobytes()


def ascii_text(facets: Facets, number: Callable[[float], str] = repr, name: str = "part") -> str:
    """Return an ASCII STL of the facets."""
    lines = [f"solid {name}"]
    for facet in facets.tolist():
        lines += ["facet normal 0 0 0", "outer loop"]
        lines += ["vertex " + " ".join(map(number, corner)) for corner in facet]
        lines += ["endloop", "endfacet"]
    return "\n".join([*lines, f"endsolid {name}", ""])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file of a test goes."""
    return tmp_path / "part.stl"


def read(path: Path, content: bytes | str | None = None, **limits: object) -> CadDocument:
    """Write the content, if given, and read it with limits that differ in the fields given."""
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return StlAdapter().read(path, ReadLimits(**limits))  # type: ignore[arg-type]


class TestMeasures:
    """Measures come from the facets, exactly as far as facets can tell."""

    @pytest.mark.parametrize("write", [binary, ascii_text])
    def test_a_cube(self, path: Path, write: Callable[[Facets], bytes | str]) -> None:
        """Volume, area, centroid, moments, extents and topology of a cube are those of a cube."""
        document = read(path, write(cube(20, (10, 20, 30))))
        assert document.mass is not None
        assert document.mass.volume == pytest.approx(8000)
        assert document.mass.centroid == pytest.approx((20, 30, 40))
        assert document.mass.principal_moments == pytest.approx([8000 * (400 + 400) / 12] * 3)
        assert document.mass.reliable
        assert document.area == pytest.approx(2400)
        assert document.bounding_box is not None
        assert document.bounding_box.minimum == (10.0, 20.0, 30.0)
        assert document.bounding_box.maximum == (30.0, 40.0, 50.0)
        assert document.facet_quality is not None
        assert document.facet_quality.vertices == 8
        assert document.facet_quality.watertight
        assert (document.solid_count, document.shell_count, document.facet_count) == (1, 1, 12)
        assert document.surface_count == document.entity_count == 12
        assert document.unit is None
        assert document.warnings == ("STL states no unit; millimetres are assumed",)

    def test_a_box_has_its_moments(self, path: Path) -> None:
        """The principal moments are those of the textbook, ascending, wherever the box lies."""
        box = cube() * np.array([2.0, 3.0, 5.0]) + 100
        mass = read(path, binary(box)).mass
        assert mass is not None
        assert mass.principal_moments == pytest.approx(
            [30 * (4 + 9) / 12, 30 * (4 + 25) / 12, 30 * (9 + 25) / 12], rel=1e-9
        )

    def test_a_sphere_approaches_a_sphere(self, path: Path) -> None:
        """A fine sphere has nearly a sphere's volume and area."""
        document = read(path, binary(sphere(120)))
        assert document.mass is not None
        assert document.mass.reliable
        assert document.mass.volume == pytest.approx(4 / 3 * math.pi * 1000, rel=1e-3)
        assert document.area == pytest.approx(4 * math.pi * 100, rel=1e-3)

    def test_measures_survive_distance(self, path: Path) -> None:
        """A part far from the origin keeps its volume and moments."""
        near = read(path, ascii_text(sphere())).mass
        far = read(path, ascii_text(sphere() + 1e6)).mass
        assert near is not None
        assert far is not None
        assert far.volume == pytest.approx(near.volume, rel=1e-8)
        assert far.principal_moments == pytest.approx(near.principal_moments, rel=1e-8)

    def test_facets_are_counted_by_orientation(self, path: Path) -> None:
        """The classes tell faces along the axes, walls along an axis, oblique and degenerate facets."""
        wall = np.array([[(1, 0, 0), (0, 1, 0), (1, 0, 5)]], dtype=float)
        slope = np.array([[(1, 0, 0), (0, 1, 0), (0, 0, 1)]], dtype=float)
        needle = np.array([[(0, 0, 0), (1, 1, 1), (3, 3, 3)]], dtype=float)
        document = read(path, binary(np.concatenate([cube(), wall, slope, needle])))
        assert document.entity_counts == {
            **{"+x": 2, "-x": 2, "+y": 2, "-y": 2, "+z": 2, "-z": 2},
            **{"along z": 1, "oblique": 1, "degenerate": 1},
        }

    def test_a_quarter_turn_permutes_the_classes(self, path: Path) -> None:
        """Frequencies of the orientation classes do not depend on which way up the part was saved."""
        one = read(path, binary(sphere() * np.array([1, 2, 3]))).entity_counts
        other = read(path, binary((sphere() * np.array([1, 2, 3]))[:, :, [1, 2, 0]])).entity_counts
        assert sorted(one.values()) == sorted(other.values())

    @pytest.mark.parametrize("facets", [11_999, 12_000, 12_001])
    def test_steps_do_not_show(self, path: Path, facets: int) -> None:
        """Sums over many facets are the same wherever a step of the reading ends."""
        square = np.array([[(0, 0, 0), (1, 0, 0), (0, 1, 0)]], dtype=float)
        document = read(path, binary(np.repeat(square, facets, axis=0)))
        assert document.area == pytest.approx(facets / 2)
        assert document.entity_counts == {"+z": facets}


class TestTrust:
    """The document says whether its volume means anything."""

    def test_an_open_mesh(self, path: Path) -> None:
        """A missing facet leaves three open edges, no solid, and a volume that is only formal."""
        document = read(path, binary(cube()[1:]))
        assert document.mass is not None
        assert not document.mass.reliable
        assert document.facet_quality is not None
        assert document.facet_quality.boundary_edges == 3
        assert not document.facet_quality.watertight
        assert (document.solid_count, document.shell_count) == (0, 1)
        assert any("only formal" in warning for warning in document.warnings)

    def test_a_turned_facet(self, path: Path) -> None:
        """One facet wound the wrong way makes the mesh inconsistent, though every edge has two facets."""
        facets = cube()
        facets[0] = facets[0][::-1]
        document = read(path, binary(facets))
        assert document.facet_quality is not None
        assert document.facet_quality.boundary_edges == 0
        assert not document.facet_quality.watertight
        assert document.mass is not None
        assert not document.mass.reliable

    def test_inside_out(self, path: Path) -> None:
        """A mesh that faces inwards throughout has the same measures, and a warning."""
        document = read(path, binary(cube(2)[:, ::-1]))
        assert document.mass is not None
        assert document.mass.volume == pytest.approx(8)
        assert document.mass.centroid == pytest.approx((1, 1, 1))
        assert document.mass.reliable
        assert document.solid_count == 1
        assert any("inwards" in warning for warning in document.warnings)

    def test_a_cavity_is_no_solid(self, path: Path) -> None:
        """A closed shell that faces into a body is a hole of it: two shells, one solid."""
        hollow = np.concatenate([cube(10), cube(2, (4, 4, 4))[:, ::-1]])
        document = read(path, binary(hollow))
        assert (document.shell_count, document.solid_count) == (2, 1)
        assert document.mass is not None
        assert document.mass.volume == pytest.approx(1000 - 8)

    def test_a_sheet_has_no_volume(self, path: Path) -> None:
        """A flat sheet has an area and no mass."""
        document = read(path, TEXT)
        assert document.mass is None
        assert document.area == pytest.approx(6)

    def test_repeated_facets(self, path: Path) -> None:
        """Every facet twice counts double: the duplicates are a warning, and the volume is not reliable."""
        document = read(path, binary(np.concatenate([cube(), cube()])))
        assert document.facet_quality is not None
        assert document.facet_quality.duplicate == 12
        assert document.facet_quality.non_manifold_edges == 18
        assert document.mass is not None
        assert not document.mass.reliable

    def test_two_bodies(self, path: Path) -> None:
        """Bodies apart are components of their own; one that is open does not spoil the other."""
        document = read(path, binary(np.concatenate([cube(), cube(1, (5, 5, 5))[1:]])))
        assert (document.shell_count, document.solid_count) == (2, 1)

    def test_touching_bodies(self, path: Path) -> None:
        """Two cubes that share an edge are one component with a shared edge; the volume still adds up."""
        document = read(path, binary(np.concatenate([cube(), cube(1, (1, 1, 0))])))
        assert document.facet_quality is not None
        assert document.facet_quality.non_manifold_edges == 1
        assert not document.facet_quality.watertight
        assert document.mass is not None
        assert document.mass.reliable
        assert document.mass.volume == pytest.approx(2)

    def test_collapsed_facets_do_not_spoil(self, path: Path) -> None:
        """Facets without area on a closed mesh are counted and do not open it."""
        collapsed = np.array([[(0, 0, 0), (0, 0, 0), (1, 0, 0)]], dtype=float)
        document = read(path, binary(np.concatenate([cube(), collapsed])))
        assert document.facet_quality is not None
        assert document.facet_quality.degenerate == 1
        assert document.facet_quality.watertight
        assert document.mass is not None
        assert document.mass.reliable

    def test_negative_zero_is_zero(self, path: Path) -> None:
        """A corner written with -0 is the corner written with 0."""
        facets = cube()
        facets[::2] = np.where(facets[::2] == 0, -0.0, facets[::2])
        document = read(path, binary(facets))
        assert document.facet_quality is not None
        assert document.facet_quality.watertight
        assert document.mass is not None
        assert document.mass.reliable

    @pytest.mark.parametrize("write", [binary, ascii_text])
    def test_large_meshes_are_checked_in_passing(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Facets], bytes | str]
    ) -> None:
        """Beyond the size whose edges are examined, closed is still told from open, and it says so."""
        monkeypatch.setattr(_document, "MOST_FACETS", 11)
        closed = read(path, write(cube(2)))
        assert closed.facet_quality is None
        assert closed.mass is not None
        assert closed.mass.reliable
        assert (closed.solid_count, closed.shell_count) == (1, 1)
        assert any("more than the" in warning for warning in closed.warnings)
        opened = read(path, write(np.concatenate([cube(2), cube(2, (9, 9, 9))[3:]])))
        assert opened.mass is not None
        assert not opened.mass.reliable
        assert opened.solid_count == 0

    def test_the_passing_check_agrees_with_the_edges(self, path: Path) -> None:
        """Whatever is left out or turned, the check without edges finds what the edges show."""
        noise = np.random.default_rng(5)
        for trial in range(40):
            facets = np.concatenate([sphere(6), cube(3, (50, 0, 0))])
            if trial % 2:
                chosen = noise.choice(len(facets), noise.integers(1, 9), replace=False)
                facets = np.delete(facets, chosen, axis=0) if trial % 4 == 1 else facets
                facets[chosen[0] % len(facets)] = facets[chosen[0] % len(facets)][::-1]
            document = read(path, binary(noise.permutation(facets)))
            assert document.mass is not None
            assert document.facet_quality is not None
            assert document.mass.reliable is document.facet_quality.watertight is (trial % 2 == 0)


class TestBinary:
    """Binary files: header, count, records."""

    def test_begins_with_solid(self, path: Path) -> None:
        """A binary file whose header says 'solid' is binary all the same."""
        document = read(path, binary(cube(), header=b"solid made by a careless exporter"))
        assert document.properties["encoding"] == "binary"
        assert document.facet_count == 12

    def test_trailing_bytes(self, path: Path) -> None:
        """Bytes after the last facet are ignored with a warning, also behind 'solid'."""
        document = read(path, binary(cube(), header=b"solid x") + b"rubbish")
        assert document.facet_count == 12
        assert any("7 bytes after the last facet" in warning for warning in document.warnings)

    @pytest.mark.parametrize(
        ("header", "style"), [(b"COLOR=\xff\x80\x00\xff", "Magics"), (b"made by", "VisCAM")]
    )
    def test_colours(self, path: Path, header: bytes, style: str) -> None:
        """Colours in the attributes are noted and hinder nothing."""
        document = read(path, binary(cube(), header=header, attribute=0x8123))
        assert document.properties["coloured_facets"] == 12
        assert document.properties["colour_style"] == style

    def test_title(self, path: Path) -> None:
        """What the header says is kept where it is text."""
        assert read(path, binary(cube(), header=b"Bracket 7")).properties["title"] == "Bracket 7"
        assert "title" not in read(path, binary(cube(), header=b"\x01\x02")).properties

    @pytest.mark.parametrize(
        ("change", "words", "position"),
        [
            (lambda data: data[:-1], "states 12 facets", 683),
            (lambda data: data[:83], "binary header alone takes 84", 83),
            (lambda data: data[:80] + b"\xff\xff\xff\xff" + data[84:], "states 4,294,967,295", 684),
            (lambda data: data[:80] + bytes(4) + data[84:], "12 more follow", 80),
            (lambda data: data + bytes(50), "1 more follow", 80),
            (lambda data: data[:96] + struct.pack("<f", math.nan) + data[100:], "facet 1, at byte 96", 96),
            (
                lambda data: data[:662] + struct.pack("<f", math.inf) + data[666:],
                "facet 12, at byte 662",
                662,
            ),
            (lambda data: b"", "empty", 0),
            (
                lambda data: b"version https://git-lfs.github.com/spec/v1\n" * 3,
                "truncated or not an STL",
                129,
            ),
        ],
    )
    def test_refused_with_position(
        self, path: Path, change: Callable[[bytes], bytes], words: str, position: int
    ) -> None:
        """Wrong counts, truncation and impossible numbers are refused with the place."""
        with pytest.raises(MalformedFile, match=words) as refusal:
            read(path, change(binary(cube())))
        assert refusal.value.context["position"] == position

    def test_huge_and_tiny(self, path: Path) -> None:
        """Coordinates at the ends of single precision are measured without overflow."""
        for scale in (1e-30, 1e30):
            document = read(path, binary(cube(scale)))
            assert document.mass is not None
            assert document.mass.volume == pytest.approx(scale**3, rel=1e-5)
            assert document.mass.reliable
            assert document.solid_count == 1


class TestAscii:
    """ASCII files: any case and white space, nothing else."""

    @pytest.mark.parametrize(
        "change",
        [
            str.upper,
            str.title,
            lambda text: text.replace("\n", "\r\n"),
            lambda text: text.replace("\n", "\r"),
            lambda text: text.replace("\n", "\n\n  \t"),
            lambda text: text.replace(" ", "\t \v\f"),
            lambda text: text.replace("solid part\n", "solid\n").replace("endsolid part", "endsolid"),
            lambda text: "\ufeff" + text,
            lambda text: "\n \n" + text,
            lambda text: text.replace("\n", " "),
            lambda text: text.replace("solid part", "solid a solid facet, with endsolid in its name"),
            lambda text: text.removesuffix("\n"),
        ],
    )
    def test_any_dress(self, path: Path, change: Callable[[str], str]) -> None:
        """Case, line ends, blanks, marks and names do not change the part."""
        content = change(ascii_text(cube()))
        assert StlAdapter().sniff(content.encode()[:4096])
        document = read(path, content)
        assert document.facet_count == 12
        assert document.mass is not None
        assert document.mass.reliable
        assert document.properties["encoding"] == "ascii"

    @pytest.mark.parametrize(
        ("change", "oddity"),
        [
            (lambda text: text.replace("endsolid part\n", ""), "not closed by 'endsolid'"),
            (lambda text: text.replace("facet normal 0 0 1", "facet"), "no normal"),
            (lambda text: "# made by hand\n" + text.replace("loop\n", "loop # here\n"), "comments"),
            (lambda text: text + FACET, "outside of"),
            (lambda text: text.replace("endsolid part\n", "") + text, "do not alternate"),
            (lambda text: text.replace("normal 0 0 1", "normal nan nan nan"), ""),
            (lambda text: text.replace("endsolid part", "end solid part"), "two words"),
            (lambda text: text.replace("endsolid part", "END \t SOLID"), "two words"),
            (lambda text: text.replace("endsolid part", "end solid").replace("\n", " "), "two words"),
            (lambda text: text.replace("endsolid", "end solid") * 3, "two words"),
        ],
    )
    def test_variations_are_warnings(self, path: Path, change: Callable[[str], str], oddity: str) -> None:
        """Harmless departures from the format are accepted and named."""
        document = read(path, change(TEXT))
        assert document.facet_count >= 1
        assert any(oddity in warning for warning in document.warnings)

    def test_several_solids(self, path: Path) -> None:
        """Every solid of a file is read; their names are the layers."""
        text = ascii_text(cube(), name="Lid") + ascii_text(cube(1, (5, 0, 0)), name="Körper 2")
        document = read(path, text + ascii_text(cube(1, (9, 0, 0)), name="Lid"))
        assert document.facet_count == 36
        assert document.layers == ("Lid", "Körper 2")
        assert document.properties["named_solids"] == 3
        assert document.solid_count == 3

    @pytest.mark.parametrize("piece_bytes", [64, 100, 5000])
    def test_an_end_in_two_words(self, path: Path, monkeypatch: pytest.MonkeyPatch, piece_bytes: int) -> None:
        """Solids that are closed by ``end solid`` are the same solids, wherever the pieces of a file end."""
        monkeypatch.setattr(_ascii, "PIECE_BYTES", piece_bytes)
        text = ascii_text(cube(10), name="one") + ascii_text(cube(10, (50, 0, 0)), name="friend solid two")
        usual = read(path, text)
        document = read(path, text.replace("endsolid", "end solid"))
        assert document.layers == usual.layers == ("one", "friend solid two")
        assert document.entity_counts == usual.entity_counts
        assert len(document.warnings) == len(usual.warnings) + 1

    def test_a_name_in_any_encoding(self, path: Path) -> None:
        """A name that is no UTF-8 is read somehow, and the summary can be stored."""
        document = read(path, TEXT.encode().replace(b"part", b"Teil \xfc\xff"))
        assert decode_summary(encode_summary(document)) == document

    @pytest.mark.parametrize(
        ("change", "words", "line"),
        [
            (lambda text: text.replace("4 0 0", "4,0 0,0 0,0"), "decimals are written with a point", 5),
            (lambda text: text.replace("4 0 0", "nan 0 0"), "repair the mesh", 5),
            (lambda text: text.replace("4 0 0", "-inf 0 0"), "repair the mesh", 5),
            (lambda text: text.replace("4 0 0", "1e39 0 0"), "single precision", 5),
            (lambda text: text.replace("4 0 0", "1_0 0 0"), "not a number", 5),
            (lambda text: text.replace("4 0 0", "0x10 0 0"), "not a number", 5),
            (lambda text: text.replace("4 0 0", "4 0"), "not a number", 6),
            (lambda text: text.replace("4 0 0", "4 0 0 0"), "expected 'vertex'", 5),
            (lambda text: text.replace("vertex 0 3 0\n", ""), "expected 'vertex'", 6),
            (lambda text: text.replace("endloop", "vertex 1 1 1\nendloop"), "exactly three vertices", 7),
            (lambda text: text.replace("endfacet", "endfact"), "expected 'endfacet'", 8),
            (lambda text: text.replace("outer loop", "outer"), "expected 'loop'", 4),
            (lambda text: text.replace("4 0 0", "1" * 500_000 + "x 0 0"), "not a number", 5),
            (lambda text: text[:60], "truncated", 5),
            (lambda text: "solid x\n" + "rubbish " * 200_000, "no 'endfacet'", 1),
        ],
    )
    def test_refused_with_line(self, path: Path, change: Callable[[str], str], words: str, line: int) -> None:
        """Every fault is refused with its line, what was found and what was expected."""
        with pytest.raises(MalformedFile, match=words) as refusal:
            read(path, change(TEXT))
        assert refusal.value.context["line"] == line
        assert f"line {line}:" in refusal.value.message

    def test_a_fault_deep_in_the_file(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Lines are counted through all the pieces that the file is read in."""
        monkeypatch.setattr(_ascii, "PIECE_BYTES", 700)
        text = ascii_text(np.concatenate([cube()] * 20))
        lines = text.split("\n")
        lines[1235] = lines[1235].replace("vertex", "vortex")
        assert "vortex" in lines[1235]
        with pytest.raises(MalformedFile) as refusal:
            read(path, "\n".join(lines))
        assert refusal.value.context["line"] == 1236
        assert refusal.value.context["position"] == "\n".join(lines).index("vortex")

    @pytest.mark.parametrize("piece_bytes", [64, 333, 5000])
    def test_any_piece_size(self, path: Path, monkeypatch: pytest.MonkeyPatch, piece_bytes: int) -> None:
        """Where the pieces of the file happen to end changes nothing."""
        text = ascii_text(sphere(5), name="one") + ascii_text(cube(), name="two")
        whole = read(path, text)
        monkeypatch.setattr(_ascii, "PIECE_BYTES", piece_bytes)
        parts = read(path, text)
        assert parts.entity_counts == whole.entity_counts
        assert parts.layers == whole.layers
        assert parts.area == pytest.approx(whole.area)
        assert parts.warnings == whole.warnings


class TestFiles:
    """Files that are empty, absent or too large."""

    @pytest.mark.parametrize("content", [b"solid Empty\nendsolid Empty", b"solid", binary(cube()[:0])])
    def test_without_facets(self, path: Path, content: bytes) -> None:
        """A readable file without facets is an empty document that says so."""
        document = read(path, content)
        assert document.empty
        assert document.entity_count == 0
        assert any("no facets" in warning for warning in document.warnings)

    def test_not_there(self, path: Path) -> None:
        """A file that cannot be opened is not called malformed."""
        with pytest.raises(UnreadableInput):
            read(path)

    @pytest.mark.parametrize("content", [binary(cube()), ascii_text(cube()).encode()])
    def test_limits_hold_at_their_edge(self, path: Path, content: bytes) -> None:
        """Exactly the allowed triangles are read, one more is refused with both numbers."""
        assert read(path, content, max_triangles=12).facet_count == 12
        with pytest.raises(LimitExceeded) as refusal:
            read(path, max_triangles=11)
        assert refusal.value.context == {"limit": "max_triangles", "found": 12, "allowed": 11}

    @pytest.mark.parametrize(
        "head",
        [
            b"",
            b"solidarity",
            b"ISO-10303-21;\nHEADER;\n" + b"FILE_DESCRIPTION((''),'2;1');\n" * 50,
            b" " * 72 + b"S      1\n" + b"1H,,1H;,4HSLOT,37H$1$DUA2:[IGESLIB.BDRAFT.B2I]SLOT" * 30,
            b"  0\nSECTION\n  2\nHEADER\n" * 60,
            b"AutoCAD Binary DXF\r\n\x1a\x00" + bytes(2000),
            b"AC1015" + bytes(4000),
            b"\x7fELF" + bytes(range(256)) * 10,
            random.Random(1).randbytes(4096),
        ],
    )
    def test_does_not_claim_others(self, head: bytes) -> None:
        """Text of other formats, programs and noise are no STL."""
        assert StlAdapter().sniff(head) is False

    def test_survives_mutation(self, path: Path) -> None:
        """Whatever bytes change or are missing, there is a document or a refusal with a message."""
        noise = random.Random(7)
        samples = [binary(cube()), ascii_text(cube()).encode(), (TEXT * 3).encode()]
        for _ in range(600):
            data = bytearray(noise.choice(samples))
            for _ in range(noise.randint(0, 6)):
                data[noise.randrange(len(data))] = noise.choice(b"0123456789.-eEnN \n\r\x00\xffsolid")
            path.write_bytes(data[: noise.randint(0, len(data))] if noise.random() < 0.3 else data)
            try:
                document = read(path)
            except CadmlError as refusal:
                assert refusal.code == "PARSE_FAILED"  # noqa: PT017
            else:
                assert decode_summary(encode_summary(document)) == document


class TestMesh:
    """The mesh on demand."""

    def test_is_welded(self, path: Path) -> None:
        """Equal corners are one vertex, and the triangles are the facets in order."""
        mesh = read(path, binary(cube(3)), mesh=MeshRequest()).mesh
        assert mesh is not None
        assert mesh.vertices.shape == (8, 3)
        assert mesh.vertices.dtype == np.float64
        assert mesh.triangles.dtype == np.int64
        assert np.array_equal(mesh.vertices[mesh.triangles], cube(3))

    def test_comes_also_from_large_files(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A mesh whose edges are too many to examine is still welded."""
        monkeypatch.setattr(_document, "MOST_FACETS", 5)
        mesh = read(path, binary(cube(3)), mesh=MeshRequest()).mesh
        assert mesh is not None
        assert mesh.vertices.shape == (8, 3)

    def test_survives_colliding_hashes(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Welding stays exact where different corners share a hash."""
        monkeypatch.setattr(_welding, "_hash", lambda points: np.zeros(len(points), dtype=np.uint64))
        document = read(path, binary(cube(3)))
        assert document.facet_quality is not None
        assert document.facet_quality.vertices == 8
        assert document.facet_quality.watertight

    def test_repetitions_are_found_in_any_number_of_vertices(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where vertex numbers are too large to be packed, duplicates are found all the same."""
        content = binary(np.concatenate([cube(), cube()[3:8, [1, 2, 0]], sphere(8)]))
        packed = read(path, content).facet_quality
        monkeypatch.setattr(_topology, "_PACKED", 1)
        assert read(path, content).facet_quality == packed
        assert packed is not None
        assert packed.duplicate == 5

    @pytest.mark.parametrize("most", [20, 100, 500])
    def test_is_coarsened_to_the_bound(self, path: Path, most: int) -> None:
        """More triangles than wanted are merged to at most that many, moving vertices as little as stated."""
        facets = sphere(24)
        document = read(path, binary(facets), mesh=MeshRequest(max_triangles=most))
        assert document.mesh is not None
        assert most / 4 < len(document.mesh.triangles) <= most
        assert np.linalg.norm(document.mesh.vertices, axis=1).max() <= 10.001
        assert any("coarsened" in warning for warning in document.warnings)
        assert document.facet_count == len(facets)

    def test_at_the_bound_nothing_is_lost(self, path: Path) -> None:
        """Exactly the wanted number of triangles stays as it is."""
        document = read(path, binary(cube()), mesh=MeshRequest(max_triangles=12))
        assert document.mesh is not None
        assert len(document.mesh.triangles) == 12
        assert not any("coarsened" in warning for warning in document.warnings)
