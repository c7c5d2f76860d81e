"""Pictures are made where files are read: a deed of a picture maker costs the picture alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from cadml_core import SVG, CadDocument, Picture, PictureRequest, ReadLimits
from cadml_core.catalog.pictures import makers_of, picture_of, store_picture
from cadml_core.catalog.store import Catalog
from cadml_core.documents.drawn import Drawn
from cadml_core.errors import NotFound
from cadml_core.intake.drawings import Drawings
from cadml_core.intake.ingest import ingest
from cadml_core.intake.ingest_report import IngestOptions
from cadml_core.intake.intake import source_file
from cadml_core.plugins.loader import load_plugins
from cadml_core.reading.pool import ReaderPool
from cadml_core.settings import Settings
from cadml_plugins.formats.stl.adapter import StlAdapter
from tests.integration.http.server import tetrahedron
from tests.services import intake_over

FEATURES = {"v3": load_plugins(Settings(safe_mode=True)).registry.features["v3"]}
FORMATS = {"stl": StlAdapter()}


class Deed:
    """A picture maker that does something else."""

    name = "stl"

    def __init__(self, deed: str, version: str = "1") -> None:
        self.deed = deed
        self.version = version

    def draw(self, document: CadDocument, request: PictureRequest) -> Picture:
        """Do it."""
        if self.deed == "abort":
            os.abort()
        if self.deed == "exit":
            os._exit(0)
        while self.deed == "loop":
            pass
        if self.deed == "script":
            return Picture(SVG, b"<svg><script>alert(1)</script></svg>")
        return Picture(SVG, f'<svg viewBox="0 0 4 3"><path d="M0 0h{self.version}"/></svg>'.encode())


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """A folder with one file."""
    path = tmp_path / "parts" / "part.stl"
    path.parent.mkdir()
    path.write_bytes(tetrahedron())
    return path


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """An empty catalogue."""
    with Catalog.open(f"sqlite:///{tmp_path}/catalogue.sqlite3") as found:
        yield found


def pool(deed: str, version: str = "1") -> ReaderPool:
    """Readers that draw every file."""
    return ReaderPool(
        FORMATS,
        FEATURES,
        limits=ReadLimits(),
        workers=1,
        pictures={"stl": Deed(deed, version)},
        draws=("own",),
    )


def counted(result: str) -> float:
    """How many pictures were made, or failed."""
    return REGISTRY.get_sample_value("pictures_total", {"kind": "own", "result": result}) or 0.0


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("abort", "died by SIGABRT"),
        ("exit", "exit code 0"),
        ("loop", "processor time"),
        ("script", "other elements"),
    ],
)
def test_a_deed_of_a_maker_costs_the_picture_alone(deed: str, said: str, part: Path) -> None:
    """The file is read, its vector is there, and what is kept says why there is no picture."""
    before = counted("failed")
    with pool(deed) as readers:
        reading = readers.read(part, ["v3"], draw=readers.draws)
        assert readers.statistics.read == 1
        assert readers.statistics.refused == 0
    assert reading.vectors["v3"]
    [drawn] = reading.drawn
    assert (drawn.data, drawn.maker) == (b"", "stl 1")
    assert said in drawn.failure
    assert counted("failed") == before + 1


def test_what_drawing_takes_is_measured(part: Path) -> None:
    """Once for each file that is drawn, by its format."""
    samples = ("picture_latency_seconds_count", {"format": "stl"})
    before = REGISTRY.get_sample_value(*samples) or 0.0
    with pool("draw") as readers:
        readers.read(part, draw=readers.draws)
        readers.read(part)
    assert REGISTRY.get_sample_value(*samples) == before + 1


def test_a_picture_is_stored_with_its_content_and_leaves_with_it(part: Path, catalog: Catalog) -> None:
    """One for each content; the last part with a content takes its picture along."""
    with pool("draw") as readers:
        intake = intake_over(catalog, FEATURES, FORMATS, readers=readers)
        (part.parent / "copy.stl").write_bytes(part.read_bytes())
        ingest([part.parent], intake=intake, options=IngestOptions(versions=("v3",)))
        parts = catalog.parts()
        sha256 = str(parts[0].sha256)
        kept = picture_of(catalog, sha256, "own")
        assert kept is not None
        assert kept.data.startswith(b"<svg")
        assert makers_of(catalog, [sha256], "own") == {sha256: "stl 1"}
        catalog.remove(parts[0].id)
        assert picture_of(catalog, sha256, "own") is not None
        catalog.remove(parts[1].id)
        assert picture_of(catalog, sha256, "own") is None
        store_picture(catalog, sha256, Drawn(kind="own", maker="stl 1", failure="late"))
        assert picture_of(catalog, sha256, "own") is None


def test_a_file_from_the_feature_cache_has_its_picture(part: Path, catalog: Catalog) -> None:
    """What was read before it was stored is not read again, and is stored with its picture."""
    with pool("draw") as readers:
        intake = intake_over(catalog, FEATURES, FORMATS, readers=readers)
        intake.known(intake.submit(source_file(part), ["v3"]).result())
        ingest([part.parent], intake=intake, options=IngestOptions(versions=("v3",)))
        assert readers.statistics.read == 1
        assert picture_of(catalog, str(catalog.parts()[0].sha256), "own") is not None


def test_parts_without_a_picture_are_drawn_later(part: Path, catalog: Catalog) -> None:
    """By ``complete`` or when the picture is wanted; another version of the maker draws again."""
    with ReaderPool(FORMATS, FEATURES, limits=ReadLimits(), workers=1) as readers:
        ingest(
            [part.parent],
            intake=intake_over(catalog, FEATURES, FORMATS, readers=readers),
            options=IngestOptions(versions=("v3",)),
        )
    [stored] = catalog.parts()
    assert picture_of(catalog, str(stored.sha256), "own") is None
    with pool("draw") as readers:
        drawings = Drawings(intake_over(catalog, FEATURES, FORMATS, readers=readers))
        assert drawings.complete(catalog.parts()).made == 1
        assert drawings.complete(catalog.parts()).current == 1
    with pool("draw", version="2") as readers:
        drawings = Drawings(intake_over(catalog, FEATURES, FORMATS, readers=readers))
        assert b"h2" in drawings.of_part(stored.id, "own").data
    part.unlink()
    with pool("draw", version="3") as readers:
        drawings = Drawings(intake_over(catalog, FEATURES, FORMATS, readers=readers))
        assert b"h2" in drawings.of_part(stored.id, "own").data  # older, but better than none
        with pytest.raises(NotFound, match="is gone"):
            drawings.of_part(stored.id, "file")
        summary = drawings.complete(catalog.parts())
        assert (summary.made, summary.failed) == (0, 1)
        assert "is gone" in summary.failures[0][1]


def test_a_file_that_has_changed_gives_no_picture_of_what_was_stored(part: Path, catalog: Catalog) -> None:
    """A picture is that of the content which was measured, or there is none."""
    with pool("draw") as readers:
        intake = intake_over(catalog, FEATURES, FORMATS, readers=readers)
        ingest([part.parent], intake=intake, options=IngestOptions(versions=("v3",)))
        part.write_bytes(tetrahedron(20.0))
        with pytest.raises(NotFound, match="has changed since"):
            Drawings(intake).of_part(catalog.parts()[0].id, "file")
