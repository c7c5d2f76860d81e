"""What the STEP adapter promises about bad and odd files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cadml_core.contracts.formats import ReadLimits
from cadml_core.documents.document import CadDocument
from cadml_core.errors import MalformedFile
from cadml_plugins.formats.kernel import _part21, step
from tests.unit.formats import kernel_parts as parts

ADAPTER = step.StepAdapter()


@pytest.fixture(scope="module")
def block(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A good STEP file of one block."""
    return parts.write_step(parts.box(), tmp_path_factory.mktemp("good") / "block.step").read_bytes()


def read(content: bytes, folder: Path) -> CadDocument:
    """Read content as a file."""
    path = folder / "part.step"
    path.write_bytes(content)
    return ADAPTER.read(path, ReadLimits())


def refusal(content: bytes, folder: Path) -> MalformedFile:
    """Return the error that the content is refused with."""
    with pytest.raises(MalformedFile) as caught:
        read(content, folder)
    assert caught.value.code == "PARSE_FAILED"
    return caught.value


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98])
def test_a_file_that_is_cut_off_is_refused(block: bytes, share: float, tmp_path: Path) -> None:
    """However much of it is there, part of a file is never read as a whole one."""
    assert refusal(block[: int(len(block) * share)], tmp_path).context["reason"] in ("truncated", "no marker")


def test_a_cut_names_its_line(block: bytes, tmp_path: Path) -> None:
    """The message says where the file ends and what is missing."""
    half = b"\n".join(block.splitlines()[:40]) + b"\n"
    error = refusal(half, tmp_path)
    assert error.context["line"] == 40
    assert "ENDSEC" in error.message


def test_the_end_marker_must_be_there(block: bytes, tmp_path: Path) -> None:
    """A file without its last line is truncated as well."""
    assert "END-ISO-10303-21" in refusal(block.replace(b"END-ISO-10303-21;", b""), tmp_path).message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b" \r\n \n", "empty"),
        (b"hello, this is no CAD file\n", "no marker"),
        (b"ISO-10303-21;\nHEADER;\n", "truncated"),
        (b"\x00" * 100, "no marker"),
    ],
)
def test_what_is_not_step_is_refused_with_the_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    """Empty, text, header-only and zeroed files each have their reason."""
    assert refusal(content, tmp_path).context["reason"] == reason


def test_a_nul_byte_is_refused_with_its_line(block: bytes, tmp_path: Path) -> None:
    """Zeroed bytes in the middle, as a failing disk leaves them, are found."""
    lines = block.splitlines(keepends=True)
    lines[30] = b"\0" * len(lines[30])
    error = refusal(b"".join(lines), tmp_path)
    assert error.context == {"line": 31, "reason": "NUL byte"}


def test_records_that_break_the_syntax_are_refused(block: bytes, tmp_path: Path) -> None:
    """Unbalanced records between intact markers are refused by the kernel, in our words."""
    start = block.index(b"DATA;") + 5
    error = refusal(block[:start] + b"\n#1=CIRCLE((((;\n#2=,,,);\nENDSEC;\nEND-ISO-10303-21;\n", tmp_path)
    assert error.context["reason"] == "syntax"


def test_a_missing_face_is_a_warning(block: bytes, tmp_path: Path) -> None:
    """With one face record gone the rest is read, and the warning quotes the kernel."""
    record = re.search(rb"#\d+ = ADVANCED_FACE\([^;]*\);", block)
    assert record is not None
    document = read(block.replace(record[0], b""), tmp_path)
    assert document.surface_count == 5
    assert document.mass is None or not document.mass.reliable
    assert any("could not be interpreted" in warning for warning in document.warnings)


def test_a_file_without_its_faces_geometry_is_refused(block: bytes, tmp_path: Path) -> None:
    """Where most faces cannot be built, the file is refused: not described by the rest."""
    error = refusal(re.sub(rb"#\d+ = PLANE\([^;]*\);", b"", block), tmp_path)
    assert error.context["reason"] in ("incomplete", "no shape")


def test_no_records_are_an_empty_document(block: bytes, tmp_path: Path) -> None:
    """A sound file without geometry is readable and says that it is empty."""
    start = block.index(b"DATA;") + 5
    document = read(block[:start] + b"\nENDSEC;\nEND-ISO-10303-21;\n", tmp_path)
    assert document.empty
    assert any("no geometry" in warning for warning in document.warnings)


def test_an_assembly_that_contains_itself_is_refused(tmp_path: Path) -> None:
    """A closed chain of components is found before the kernel follows it for ever."""
    part = parts.box()
    pair = parts.compound([parts.placed(part), parts.placed(part, x=30)])
    content = parts.write_step(pair, tmp_path / "good.step").read_bytes()
    usage = re.compile(rb"(NEXT_ASSEMBLY_USAGE_OCCURRENCE\([^#]*)(#\d+),(#\d+)")
    looped = usage.sub(rb"\1\3,\2", content, count=1)
    assert looped != content
    assert refusal(looped, tmp_path).context["reason"] == "assembly cycle"


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: b"\r\n /* a comment */\n" + content,
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content.replace(b"\n", b"\r"),
        lambda content: content.replace(b"\n", b""),
        lambda content: content + b"\n\x1a",
    ],
    ids=["byte order mark", "comment", "CRLF", "CR", "one line", "control-Z"],
)
def test_harmless_oddities_are_read(block: bytes, change, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Line ends, a byte order mark, a comment at the start or a byte at the end change nothing."""
    content = change(block)
    assert ADAPTER.sniff(content[:4096])
    assert read(content, tmp_path).mass == read(block, tmp_path).mass


@pytest.mark.parametrize(
    "head", [b"", b"ISO-10303-22;", b"solid", b"\x89PNG", b"  " * 2048, b"/* unfinished"]
)
def test_other_heads_are_not_sniffed_as_step(head: bytes) -> None:
    """Only the marker, after blanks and comments, makes a file STEP."""
    assert not ADAPTER.sniff(head)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        (b"it''s", "it's"),
        (rb"\X2\87BA4E1D\X0\ M8", "螺丝 M8"),
        (rb"\X\E9t\X\E9", "été"),
        (rb"\S\i", "é"),
        (rb"a\\b", r"a\b"),
        (rb"\X4\0001F529\X0\!", "\N{NUT AND BOLT}!"),
        ("螺丝".encode(), "螺丝"),
        (b"\xe9t\xe9", "été"),
    ],
)
def test_names_are_decoded(raw: bytes, text: str) -> None:
    """Every escape of part 21 is understood, and so are the bytes that writers use in their place."""
    assert _part21.decode_string(raw) == text


def test_component_names_become_layers(tmp_path: Path) -> None:
    """The names of products, each once, are the layers."""
    part = parts.box()
    pair = parts.compound([parts.placed(part), parts.placed(part, x=30)])
    content = parts.write_step(pair, tmp_path / "good.step").read_bytes()
    names = iter([b"pair", rb"\X2\87BA4E1D\X0\ M8"])
    renamed = re.sub(
        rb"(= PRODUCT\()'[^']*',\s*'[^']*'", lambda match: match[1] + b"'','" + next(names) + b"'", content
    )
    assert read(renamed, tmp_path).layers == ("pair", "螺丝 M8")


def test_components_in_other_files_are_a_warning(block: bytes, tmp_path: Path) -> None:
    """An assembly whose parts are in files of their own names them."""
    record = b"#9999 = DOCUMENT_FILE('wheel.stp','','',#1,'',$);\nENDSEC;\nEND-ISO"
    document = read(block.replace(b"ENDSEC;\nEND-ISO", record), tmp_path)
    assert any("wheel.stp" in warning for warning in document.warnings)
