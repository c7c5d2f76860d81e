"""Reading in this process: what a ``Reading`` holds, and who is blamed for what."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from cadml_core.contracts.formats import FormatAdapter, ReadLimits
from cadml_core.documents.document import CadDocument
from cadml_core.errors import (
    CadmlError,
    EmptyDocument,
    LimitExceeded,
    MalformedFile,
    NotFound,
    UnreadableInput,
)
from cadml_core.reading.identity import identify_file
from cadml_core.reading.reading import EMPTY_WARNING, Reading, read_file
from tests.integration.evil_readers import BOX, FEATURES, FORMATS, Evil, document


def sample(folder: Path, name: str) -> Path:
    """Make a file for the adapter of that name."""
    path = folder / f"part.{name}"
    path.write_text(f"{name}\n")
    return path


def read(
    path: Path, *versions: str, formats: Mapping[str, FormatAdapter] = FORMATS, **limits: Any
) -> Reading:
    """Read a file here."""
    return read_file(path, formats=formats, features=FEATURES, versions=versions, limits=ReadLimits(**limits))


def test_a_reading_tells_everything_about_one_file(tmp_path: Path) -> None:
    """Hash, size, format, document and vectors come together."""
    path = sample(tmp_path, "good")
    reading = read(path, "flat")
    assert reading.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (reading.size, reading.format, reading.adapter_version) == (5, "good", "1")
    assert reading.document.entity_count == 4
    assert reading.vectors == {"flat": [1.0, 2.0]}
    assert np.array_equal(reading.vector("flat").values, [1.0, 2.0])
    identity, head = identify_file(path)
    assert (identity.sha256, identity.size, head) == (reading.sha256, 5, b"good\n")


def test_a_mesh_is_made_only_where_a_version_needs_it(tmp_path: Path) -> None:
    """Tessellating costs; nobody pays who did not ask."""
    path = sample(tmp_path, "good")
    assert read(path, "flat").document.properties["mesh"] is False
    assert read(path, "flat", "meshed").document.properties["mesh"] is True


def test_size_is_checked_before_an_adapter_is_called(tmp_path: Path) -> None:
    """A file of exactly the limit is read; one byte more is refused, and no adapter has seen the file."""
    calls: list[Path] = []

    def remember(path: Path, _limits: Any) -> CadDocument:
        calls.append(path)
        return document("good")

    path, formats = sample(tmp_path, "good"), {"good": Evil("good", remember)}
    assert read(path, formats=formats, max_bytes=5).size == 5
    with pytest.raises(LimitExceeded) as caught:
        read(path, formats=formats, max_bytes=4)
    assert caught.value.context == {"limit": "max_bytes", "found": 5, "allowed": 4}
    assert calls == [path]


def test_an_unknown_feature_version_is_refused_before_reading(tmp_path: Path) -> None:
    """The message lists what is installed; the file need not even exist."""
    with pytest.raises(NotFound, match=r"'v9'; installed: flat"):
        read(tmp_path / "none", "v9")


@pytest.mark.parametrize(
    ("version", "fault"),
    [
        ("nan", "returned values that are not finite: height"),
        ("short", r"returned shape \(1,\), expected \(2,\)"),
        ("raising", "raised ZeroDivisionError: by zero"),
    ],
)
def test_a_broken_feature_version_is_blamed_not_the_file(tmp_path: Path, version: str, fault: str) -> None:
    """It is an internal error that names the version and what it did."""
    with pytest.raises(CadmlError, match=rf"feature version {version} \(\w+\): extract {fault}") as caught:
        read(sample(tmp_path, "good"), version)
    assert (caught.value.code, caught.value.stage) == ("INTERNAL_ERROR", "features")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("stubborn", "the stubborn adapter could not read .*: Stubborn: no"),
        ("exits", "SystemExit: goodbye"),
        ("nothing", "returned NoneType, expected a CadDocument"),
        ("infinite", "bad document: document.area is inf"),
        ("countless", "bad document: document.surface_count is an integer of 70 bits"),
        ("refuses", "line 7: no such entity"),
    ],
)
def test_whatever_an_adapter_does_the_file_is_refused_with_its_name(
    tmp_path: Path, name: str, fault: str
) -> None:
    """Foreign exceptions and impossible documents become PARSE_FAILED."""
    with pytest.raises(MalformedFile, match=fault) as caught:
        read(sample(tmp_path, name))
    assert caught.value.context["format"] == name


def test_badly_decoded_text_is_made_encodable(tmp_path: Path) -> None:
    """A lone surrogate in a layer name must not stop the document from being stored."""
    assert read(sample(tmp_path, "surrogate")).document.layers == ("caf?",)


def test_an_empty_document_says_so(tmp_path: Path) -> None:
    """It is read with a warning, and refused where geometry is required."""
    empty = Evil("void", lambda path, limits: document("void", bounding_box=None, entity_counts={}))
    reading = read(sample(tmp_path, "void"), formats={"void": empty})
    assert reading.document.warnings == (EMPTY_WARNING,)
    with pytest.raises(EmptyDocument):
        reading.require_geometry()
    full = read(sample(tmp_path, "good"))
    assert full.require_geometry() is full


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """What was hashed and what was read would not be the same content."""
    with pytest.raises(UnreadableInput, match="changed while it was being read"):
        read(sample(tmp_path, "touches"))


def test_a_file_that_vanishes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """The same, where it is gone afterwards."""

    def vanish(path: Path, limits: ReadLimits) -> CadDocument:
        path.unlink()
        return document("vanish")

    with pytest.raises(UnreadableInput, match="No such file"):
        read(sample(tmp_path, "vanish"), formats={"vanish": Evil("vanish", vanish)})


def test_reading_changes_no_descriptor(tmp_path: Path) -> None:
    """Neither success nor refusal leaves a file open."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    read(sample(tmp_path, "good"))
    for name in ("nothing", "refuses"):
        with pytest.raises(MalformedFile):
            read(sample(tmp_path, name))
    with pytest.raises(NotFound):
        read(tmp_path / "none.good")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_reading_survives_the_wire(tmp_path: Path) -> None:
    """It is equal after msgpack, as it comes from a worker."""
    reading = read(sample(tmp_path, "good"), "flat")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(reading), type=Reading) == reading
    assert reading.document.bounding_box == BOX
