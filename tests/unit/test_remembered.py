"""The intake remembers readings, and never takes from memory what the catalogue or the file contradicts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cadml_core.catalog.records import NewPart
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.formats import FormatAdapter
from cadml_core.errors import CadmlError, FormatMismatch
from cadml_core.intake.intake import SourceFile, source_file
from cadml_core.intake.remembered import Known
from cadml_core.reading.reading import Reading
from cadml_plugins.features.v1 import V1
from cadml_plugins.formats.dxf.adapter import DxfAdapter
from tests.integration.http.server import tetrahedron
from tests.services import intake_over
from tests.unit.feature_cache_cases import FEATURES, STL, Process, content


@pytest.fixture
def catalog(sqlite_url: str) -> Iterator[Catalog]:
    """An empty catalogue."""
    with Catalog.open(sqlite_url) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> SourceFile:
    """A file."""
    path = tmp_path / "part.stl"
    path.write_bytes(tetrahedron())
    return source_file(path)


def reading_of(file: SourceFile, features: bytes = b"a feature list") -> Reading:
    """What a reader process might have sent for a file."""
    document = content(1).document
    return Reading(
        sha256=file.identity.sha256,
        size=file.identity.size,
        format="stl",
        adapter_version=STL.version,
        document=document,
        features=features,
        vectors={"v1": V1.extract(document).tolist()},
        seconds=0.0,
        read_seconds=0.0,
        extract_seconds={"v1": 0.0},
    )


def recognised(process: Process, file: SourceFile, version: str = "v1") -> Known | CadmlError | None:
    """What the intake knows of a file."""
    return process.intake.recognise([file], [[version]])[0]


def test_a_reading_is_remembered_whole(catalog: Catalog, file: SourceFile) -> None:
    """With its feature list, though nothing is stored; other versions must be read for."""
    process = Process(catalog)
    process.intake.known(reading_of(file))
    found = recognised(process, file)
    assert isinstance(found, Known)
    assert found.content.features == b"a feature list"
    assert found.vectors["v1"].values.tolist() == V1.extract(content(1).document).tolist()
    assert found.reading is None
    assert recognised(process, file, "v4") is None


def test_what_came_from_the_catalogue_goes_with_it(catalog: Catalog, file: SourceFile) -> None:
    """The catalogue leaves the feature list out; a part stored from such an entry would lack it."""
    stored = Process(catalog).intake.known(reading_of(file))
    catalog.add([NewPart(id="a", content=stored.content, vectors=stored.vectors)])
    process = Process(catalog)
    assert isinstance(recognised(process, file), Known)
    assert isinstance(recognised(process, file), Known)
    assert (process.cache.statistics().hits, process.cache.statistics().misses) == (1, 1)
    catalog.remove("a")
    assert recognised(process, file) is None


def test_a_long_feature_list_is_not_kept_in_memory(catalog: Catalog, file: SourceFile) -> None:
    """So that the cache stays small: its content is read again unless the catalogue has it."""
    process = Process(catalog)
    known = process.intake.known(reading_of(file, bytes(600 * 1024)))
    assert recognised(process, file) is None
    catalog.add([NewPart(id="a", content=known.content, vectors=known.vectors)])
    found = recognised(process, file)
    assert isinstance(found, Known)
    assert found.content.features == b""


def test_a_content_that_was_read_in_another_unit_since_is_not_taken_from_memory(
    catalog: Catalog, file: SourceFile
) -> None:
    """What another process stored holds, not what this one remembers."""
    process = Process(catalog)
    known = process.intake.known(reading_of(file))
    inches = msgspec.structs.replace(known.content, unit="in", document=content(5).document)
    catalog.add([NewPart(id="a", content=inches)])
    found = recognised(process, file)
    assert isinstance(found, Known)
    assert found.content.unit == "in"
    assert found.content.document == content(5).document


def test_a_new_content_is_one_miss(catalog: Catalog, file: SourceFile) -> None:
    """Whether it is asked for beforehand, as uploads are, or not."""
    process = Process(catalog)
    assert process.intake.surely_new(file)
    assert process.cache.statistics().lookups == 1
    process.intake.known(reading_of(file))
    assert not process.intake.surely_new(file)
    assert process.cache.statistics().lookups == 1


def test_a_name_that_claims_another_format_is_refused(catalog: Catalog, tmp_path: Path) -> None:
    """Though its content is in memory; the reader says so."""
    path = tmp_path / "part.dxf"
    path.write_bytes(tetrahedron())
    file = source_file(path)
    formats: dict[str, FormatAdapter] = {"stl": STL, "dxf": DxfAdapter()}
    intake = intake_over(catalog, FEATURES, formats)
    known = intake.known(reading_of(file))
    assert intake.recognise([file], [["v1"]]) == [None]
    catalog.add([NewPart(id="a", content=known.content, vectors=known.vectors)])
    [refused] = intake.recognise([file], [["v1"]])
    assert isinstance(refused, FormatMismatch)
