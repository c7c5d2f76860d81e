"""A content that cannot be read costs its attempt once, until something changes or a retry is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cadml_core.catalog.refusals import Refusals
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.formats import ReadLimits
from cadml_core.errors import CadmlError, MalformedFile, ReaderCrashed, ReaderTimeout
from cadml_core.intake.ingest import ingest
from cadml_core.intake.ingest_report import IngestOptions, IngestSummary
from cadml_core.intake.intake import Intake, source_file
from cadml_core.intake.refusals import depends_on_content
from cadml_core.reading.pool import ReaderPool
from tests.integration.evil_readers import FEATURES, FORMATS, Evil, good
from tests.services import intake_over

LIMITS = ReadLimits(max_seconds=0.5, max_memory_mb=200)


@pytest.fixture(scope="module")
def readers() -> Iterator[ReaderPool]:
    """A pool in which a file that hangs costs half a second."""
    with ReaderPool(FORMATS, FEATURES, limits=LIMITS, workers=1) as pool:
        yield pool


@pytest.fixture
def catalog(sqlite_url: str) -> Iterator[Catalog]:
    """An empty catalogue."""
    with Catalog.open(sqlite_url) as opened:
        yield opened


@pytest.fixture
def intake(catalog: Catalog, readers: ReaderPool) -> Intake:
    """The intake over both."""
    return intake_over(catalog, FEATURES, FORMATS, readers=readers)


def write(folder: Path, name: str, stem: str = "part") -> Path:
    """Make a file for the adapter of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.{name}"
    path.write_text(f"{name}\n")
    return path


def run(intake: Intake, *paths: Path, retry: bool = False, version: str = "flat") -> IngestSummary:
    """Ingest files."""
    return ingest(paths, intake=intake, options=IngestOptions(versions=(version,), retry=retry))


def attempts(intake: Intake) -> int:
    """How many files the readers have been given."""
    statistics = intake.readers.statistics
    return statistics.read + statistics.refused


def test_a_file_that_hangs_costs_its_limit_once(intake: Intake, tmp_path: Path) -> None:
    """The second run refuses it at once, with the same code, and says what would read it again."""
    path = write(tmp_path, "hangs")
    first, before = run(intake, path), attempts(intake)
    again = run(intake, path)
    assert attempts(intake) == before
    assert (first.failed, again.failed) == (1, 1)
    assert [failure.code for failure in again.failures] == ["PARSE_TIMEOUT"]
    assert first.failures[0].message in again.failures[0].message
    assert "only where a retry is asked for" in again.failures[0].message


def test_files_with_one_content_are_tried_once(intake: Intake, tmp_path: Path) -> None:
    """Of three copies in one run one is tried, with a retry too; each is told by its own name."""
    folder = tmp_path / "copies"
    for stem in "abc":
        write(folder, "segfault", stem)
    for retry in (False, True):
        before = attempts(intake)
        summary = run(intake, folder, retry=retry)
        assert attempts(intake) == before + 1
        assert summary.failed == 3
        assert all(failure.path in failure.message for failure in summary.failures)


@pytest.mark.parametrize("name", ["segfault", "refuses", "leaves"])
def test_a_retry_tries_again(intake: Intake, tmp_path: Path, name: str) -> None:
    """With a retry the file is read again, and its failure remembered anew."""
    path = write(tmp_path, name)
    code = run(intake, path).failures[0].code
    for retry, read in ((False, 0), (True, 1), (False, 0)):
        before = attempts(intake)
        assert run(intake, path, retry=retry).failures[0].code == code
        assert attempts(intake) == before + read


@pytest.mark.parametrize("name", ["killed", "stubborn"])
def test_what_the_machine_or_the_plugin_is_to_blame_for_is_tried_again(
    intake: Intake, tmp_path: Path, name: str
) -> None:
    """A reader that the machine killed and an adapter that raised what it must not are no file's fault."""
    path = write(tmp_path, name)
    run(intake, path)
    before = attempts(intake)
    run(intake, path)
    assert attempts(intake) == before + 1


def test_a_single_file_is_remembered_too(intake: Intake, tmp_path: Path) -> None:
    """``extract`` and ``search FILE`` use the same memory as ``ingest``, under the name of their own file."""
    path, other = write(tmp_path, "hangs"), write(tmp_path / "other", "hangs")
    with pytest.raises(ReaderTimeout):
        intake.take(path, ["flat"])
    before = attempts(intake)
    with pytest.raises(ReaderTimeout) as caught:
        intake.take(other, ["flat"])
    assert attempts(intake) == before
    assert str(other) in caught.value.message
    assert str(path) not in caught.value.message
    assert caught.value.context["remembered"]
    with pytest.raises(ReaderTimeout) as caught:
        intake.take(other, ["flat"], retry=True)
    assert "remembered" not in caught.value.context


def test_another_limit_version_or_wish_is_another_attempt(intake: Intake, tmp_path: Path) -> None:
    """A higher limit, a newer adapter, a stated unit, or a mesh may end differently, so they are tried."""
    path = write(tmp_path, "refuses")
    run(intake, path)
    before = attempts(intake)
    intake.readers.limits = msgspec.structs.replace(LIMITS, max_entities=3_000_000)
    try:
        run(intake, path)
        assert attempts(intake) == before + 1
    finally:
        intake.readers.limits = LIMITS
    run(intake, path, version="meshed")
    assert attempts(intake) == before + 2
    ingest([path], intake=intake, options=IngestOptions(versions=("flat",), unit="in"))
    assert attempts(intake) == before + 3
    newer = Evil("refuses", FORMATS["refuses"].deed)  # type: ignore[attr-defined]
    newer.version = "2"
    intake.formats["refuses"] = newer
    run(intake, path)
    assert attempts(intake) == before + 4
    run(intake, path)
    assert attempts(intake) == before + 4


def test_success_is_the_end_of_it(catalog: Catalog, tmp_path: Path) -> None:
    """Once a content is stored nothing is remembered against it, even after its part is removed."""
    path = write(tmp_path, "good")
    with ReaderPool({"good": Evil("good", good)}, FEATURES, limits=LIMITS, workers=1) as pool:
        intake = intake_over(catalog, FEATURES, {"good": Evil("good", good)}, readers=pool)
        intake.refused(source_file(path), ["flat"], MalformedFile("by a reader with a fault"))
        assert run(intake, path).failed == 1
        assert run(intake, path, retry=True).added == 1
        catalog.remove(catalog.parts()[0].id)
        assert run(intake, path).added == 1


def test_a_catalogue_that_cannot_be_written_hides_no_error(
    intake: Intake, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller is told why the file cannot be read, not why that cannot be remembered."""

    def fail(*_: object) -> None:
        raise CadmlError("the disk is full", code="CATALOGUE_UNAVAILABLE")

    monkeypatch.setattr(Refusals, "remember", fail)
    with pytest.raises(MalformedFile):
        intake.take(write(tmp_path, "refuses"), ["flat"])


@pytest.mark.parametrize(
    ("error", "remembered"),
    [
        (MalformedFile("no"), True),
        (MalformedFile("no", exception="KeyError"), False),
        (ReaderTimeout("slow"), True),
        (ReaderCrashed("dead", signal="SIGSEGV"), True),
        (ReaderCrashed("dead", signal="SIGKILL"), False),
        (CadmlError("gone", code="INPUT_UNREADABLE"), False),
        (CadmlError("bug"), False),
        (CadmlError("none", code="PLUGIN_UNAVAILABLE"), False),
    ],
)
def test_only_what_the_content_causes_is_remembered(error: CadmlError, remembered: bool) -> None:
    """Errors of the machine, of the installation and of the file system may be gone the next time."""
    assert depends_on_content(error) is remembered
