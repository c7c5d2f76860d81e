"""DXF and STL adapters over real files, where a corpus with a manifest is at hand."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from cadml_core import CadDocument, FormatAdapter, MalformedFile, ReadLimits, UnsupportedContent
from cadml_core.documents.document import decode_summary, encode_summary
from cadml_plugins.formats.dxf._document import read_in_memory, read_streamed
from cadml_plugins.formats.dxf._load import load
from cadml_plugins.formats.dxf.adapter import DxfAdapter
from cadml_plugins.formats.stl.adapter import StlAdapter

CORPUS = Path(os.environ.get("CADML_CORPUS", "does-not-exist"))
ADAPTERS: dict[str, FormatAdapter] = {"dxf": DxfAdapter(), "stl": StlAdapter()}

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not (CORPUS / "manifest.csv").is_file(), reason="CADML_CORPUS names no corpus"),
]


def rows(kind: str, *expected: str) -> list[Path]:
    """Return the files of a format of which the manifest expects this."""
    if not (CORPUS / "manifest.csv").is_file():
        return []
    with (CORPUS / "manifest.csv").open(newline="", encoding="utf-8") as file:
        entries = [row for row in csv.DictReader(file) if row["format"] == kind]
    return [CORPUS / row["path"] for row in entries if row["expect"] in expected]


def read(kind: str, path: Path) -> CadDocument:
    """Read a file, and check that its summary survives storage."""
    document = ADAPTERS[kind].read(path, ReadLimits())
    assert decode_summary(encode_summary(document)) == document
    return document


@pytest.mark.parametrize("kind", ["dxf", "stl"])
def test_good_files_are_recognised_and_read(kind: str) -> None:
    """Every file marked good has the format's mark, entities, and extents."""
    for path in rows(kind, "ok"):
        with path.open("rb") as file:
            assert ADAPTERS[kind].sniff(file.read(4096)), path
        document = read(kind, path)
        assert document.entity_count > 0, path
        assert not document.empty, path


@pytest.mark.parametrize("kind", ["dxf", "stl"])
def test_empty_files_say_so(kind: str) -> None:
    """Every file marked empty is read as empty, with a warning."""
    for path in rows(kind, "empty"):
        document = read(kind, path)
        assert document.empty, path
        assert document.warnings, path


@pytest.mark.parametrize("kind", ["dxf", "stl"])
def test_bad_files_are_refused(kind: str) -> None:
    """Every file marked bad is refused with a reason."""
    for path in rows(kind, "error"):
        with pytest.raises((MalformedFile, UnsupportedContent)) as refusal:
            read(kind, path)
        assert refusal.value.message, path


def test_streaming_agrees_with_memory() -> None:
    """Of every real drawing that can be streamed, the stream tells what the whole document tells."""
    streamed = 0
    for path in rows("dxf", "ok", "empty"):
        other = read_streamed(path, ReadLimits())
        if other is None:
            continue
        one = read_in_memory(load(path), ReadLimits())
        streamed += 1
        for field in ("entity_counts", "surface_count", "solid_count", "facet_count", "layers", "unit"):
            assert getattr(one, field) == getattr(other, field), path
        assert (one.bounding_box is None) == (other.bounding_box is None), path
        if one.bounding_box and other.bounding_box:
            assert one.bounding_box.minimum == pytest.approx(other.bounding_box.minimum, rel=1e-9), path
            assert one.bounding_box.maximum == pytest.approx(other.bounding_box.maximum, rel=1e-9), path
    assert streamed > 0
