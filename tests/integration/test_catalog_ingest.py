"""Folders go into the catalogue: only what is new is read, and what was reported stays."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from cadml_core.catalog.counts import count_vectors
from cadml_core.catalog.paths import text_to_path
from cadml_core.catalog.records import NewPart
from cadml_core.catalog.store import Catalog
from cadml_core.errors import CadmlError, NotFound, PluginUnavailable
from cadml_core.intake.folders import find_files
from cadml_core.intake.ingest import ingest
from cadml_core.intake.ingest_report import IngestOptions, IngestProgress, IngestSummary
from cadml_core.intake.intake import Intake
from cadml_core.plugins.loader import load_plugins
from cadml_core.plugins.registry import Registry
from cadml_core.reading.limits import read_limits
from cadml_core.reading.pool import ReaderPool
from cadml_core.settings import Settings
from tests.services import intake_over

SUFFIXES = frozenset({".stl", ".dxf"})


def stl(size: float) -> bytes:
    """A tetrahedron of this size as binary STL."""
    corners = [(0.0, 0.0, 0.0), (size, 0.0, 0.0), (0.0, size, 0.0), (0.0, 0.0, size)]
    facets = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
    body = b"".join(
        struct.pack("<12fH", 0, 0, 0, *corners[a], *corners[b], *corners[c], 0) for a, b, c in facets
    )
    return b"made by a test".ljust(80) + struct.pack("<I", 4) + body


class Services(NamedTuple):
    """What ingest needs, and how many files the pool had been given before the test."""

    catalog: Catalog
    readers: ReaderPool
    registry: Registry
    read_before: int
    good_before: int = 0


# The kernels of STEP and IGES take seconds to load and are not needed here.
SETTINGS = Settings(safe_mode=True, parse_workers=1, plugins_disable=("step", "iges"))


@pytest.fixture(scope="module")
def readers() -> Iterator[ReaderPool]:
    """One reader process for all tests of this file."""
    registry = load_plugins(SETTINGS).registry
    with ReaderPool(registry.formats, registry.features, limits=read_limits(SETTINGS), workers=1) as pool:
        yield pool


@pytest.fixture
def runtime(sqlite_url: str, readers: ReaderPool) -> Iterator[Services]:
    """The shared readers with a catalogue of the test's own."""
    statistics = readers.statistics
    before = statistics.read + statistics.refused
    with Catalog.open(sqlite_url) as catalog:
        yield Services(catalog, readers, load_plugins(SETTINGS).registry, before, statistics.read)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three parts, one broken file and one that is none of ours."""
    root = tmp_path / "parts"
    (root / "bolts").mkdir(parents=True)
    (root / "nuts").mkdir()
    (root / "bolts" / "a.stl").write_bytes(stl(1))
    (root / "bolts" / "b.STL").write_bytes(stl(2))
    (root / "nuts" / "c.stl").write_bytes(stl(3))
    (root / "nuts" / "broken.stl").write_bytes(stl(4)[:100])
    (root / "nuts" / "notes.txt").write_text("not a part")
    return root


def intake_of(services: Services) -> Intake:
    """The intake over the services of a test."""
    registry = services.registry
    return intake_over(services.catalog, registry.features, registry.formats, readers=services.readers)


def run(
    runtime: Services, *paths: Path, label: bool = False, versions: tuple[str, ...] = ("v1",)
) -> IngestSummary:
    """Ingest with the runtime's services."""
    return ingest(
        paths,
        intake=intake_of(runtime),
        options=IngestOptions(versions=versions, label_from="parent" if label else None),
    )


def counts(summary: IngestSummary) -> tuple[int, ...]:
    """Total, added, replaced, updated, unchanged and failed, which must add up."""
    parts = (summary.added, summary.replaced, summary.updated, summary.unchanged, summary.failed)
    assert sum(parts) == summary.total
    assert len(summary.failures) == summary.failed
    return (summary.total, *parts)


def files_read(runtime: Services) -> int:
    """How many files the reader processes were given in this test."""
    return runtime.readers.statistics.read + runtime.readers.statistics.refused - runtime.read_before


def test_reads_what_is_new_and_only_that(runtime: Services, folder: Path) -> None:
    """A second run reads nothing but the file that failed; every failure has a code both times."""
    first = run(runtime, folder, label=True)
    assert counts(first) == (4, 3, 0, 0, 0, 1)
    assert first.failures[0].path == str(folder / "nuts" / "broken.stl")
    assert first.failures[0].code in ("PARSE_FAILED", "INPUT_FORMAT_INVALID")
    labels = {part.name: (part.label, part.format) for part in runtime.catalog.parts()}
    assert labels == {"a.stl": ("bolts", "stl"), "b.STL": ("bolts", "stl"), "c.stl": ("nuts", "stl")}
    before, change = files_read(runtime), runtime.catalog.last_change()
    second = run(runtime, folder, label=True)
    assert counts(second) == (4, 0, 0, 0, 3, 1)
    assert second.failures == first.failures
    assert files_read(runtime) == before + 1
    assert runtime.catalog.last_change() == change


def test_a_changed_file_replaces_and_keeps_the_id(runtime: Services, folder: Path) -> None:
    """The part at the path stays the same part, with the new content and its vectors."""
    run(runtime, folder)
    path = folder / "bolts" / "a.stl"
    before = runtime.catalog.parts_by_path([str(path)])[str(path)]
    path.write_bytes(stl(50))
    assert counts(run(runtime, folder)) == (4, 0, 1, 0, 2, 1)
    after = runtime.catalog.parts_by_path([str(path)])[str(path)]
    assert (after.id, after.row) == (before.id, before.row)
    assert after.sha256 != before.sha256
    assert runtime.catalog.vector(after.id, "v1").values[1] == 50.0


def test_the_same_content_at_two_paths_is_read_once(runtime: Services, folder: Path) -> None:
    """Copies are parts of their own that share one content, within one run and later."""
    for number in range(5):
        shutil.copy(folder / "bolts" / "a.stl", folder / f"copy{number}.stl")
    summary = run(runtime, folder / "bolts", folder / "copy0.stl", folder / "copy1.stl")
    assert counts(summary) == (4, 4, 0, 0, 0, 0)
    assert files_read(runtime) == 2
    assert counts(run(runtime, folder / "copy2.stl")) == (1, 1, 0, 0, 0, 0)
    assert files_read(runtime) == 2
    sha256 = runtime.catalog.parts()[0].sha256
    assert sha256 is not None
    assert len(runtime.catalog.parts_by_sha256(sha256)) == 4


def test_the_same_content_under_another_suffix_is_judged_by_itself(runtime: Services, folder: Path) -> None:
    """Content known as STL does not pass under a name that claims DXF."""
    run(runtime, folder)
    shutil.copy(folder / "bolts" / "a.stl", folder / "liar.dxf")
    summary = run(runtime, folder / "liar.dxf")
    assert [failure.code for failure in summary.failures] == ["INPUT_FORMAT_INVALID"]


def test_a_moved_file_keeps_its_part(runtime: Services, folder: Path) -> None:
    """A renamed folder does not double the catalogue: ids stay, paths and labels follow."""
    run(runtime, folder, label=True)
    ids = {part.name: part.id for part in runtime.catalog.parts()}
    (folder / "bolts").rename(folder / "screws")
    assert counts(run(runtime, folder, label=True)) == (4, 0, 0, 2, 1, 1)
    assert {part.name: part.id for part in runtime.catalog.parts()} == ids
    assert {part.label for part in runtime.catalog.parts()} == {"screws", "nuts"}
    assert files_read(runtime) == 5


def test_another_feature_version_needs_no_reading(runtime: Services, folder: Path) -> None:
    """Vectors of a version asked for later come from the stored summaries."""
    run(runtime, folder / "bolts")
    assert counts(run(runtime, folder / "bolts", versions=("v4",))) == (2, 0, 0, 2, 0, 0)
    assert files_read(runtime) == 2
    assert count_vectors(runtime.catalog) == {"v1": 2, "v4": 2}


def test_a_newer_reader_reads_again(runtime: Services, folder: Path) -> None:
    """A content read by an older adapter version is read anew, and all versions it had are renewed."""
    run(runtime, folder / "bolts", versions=("v1", "v2"))
    for part in runtime.catalog.parts():
        assert part.sha256 is not None
        old = msgspec.structs.replace(
            runtime.catalog.contents([part.sha256])[part.sha256], adapter_version="0.0"
        )
        runtime.catalog.add([NewPart(id=part.id, content=old)])
    assert counts(run(runtime, folder / "bolts")) == (2, 0, 0, 2, 0, 0)
    assert files_read(runtime) == 4
    assert count_vectors(runtime.catalog) == {"v1": 2, "v2": 2}
    assert counts(run(runtime, folder / "bolts")) == (2, 0, 0, 0, 2, 0)


def test_names_that_are_not_utf8(runtime: Services, folder: Path) -> None:
    """Such a file is stored, found again, and shown readably."""
    name = os.fsdecode(b"gr\xf6\xdfe.stl")
    try:
        (folder / name).write_bytes(stl(7))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    seen: list[IngestProgress] = []
    summary = ingest(
        [folder / name],
        intake=intake_of(runtime),
        options=IngestOptions(versions=("v1",)),
        progress=seen.append,
    )
    assert counts(summary) == (1, 1, 0, 0, 0, 0)
    assert seen[0].path.endswith(r"gr\xf6\xdfe.stl")
    [part] = runtime.catalog.parts()
    assert part.path is not None
    assert text_to_path(part.path).read_bytes() == stl(7)
    assert msgspec.json.encode(part)
    assert counts(run(runtime, folder / name)) == (1, 0, 0, 0, 1, 0)


def test_an_unknown_feature_version_stops_before_anything_is_read(runtime: Services, folder: Path) -> None:
    """The mistake is reported once, not once for each file."""
    with pytest.raises(NotFound, match="v9"):
        run(runtime, folder, versions=("v9",))
    assert files_read(runtime) == 0


def test_many_copies_of_good_and_bad_files(runtime: Services, tmp_path: Path) -> None:
    """Each good content is read once; each copy of a bad one fails by its own name."""
    folder = tmp_path / "copies"
    folder.mkdir()
    for number in range(20):
        for copy in range(4):
            (folder / f"good-{number}-{copy}.stl").write_bytes(stl(1 + number))
            (folder / f"bad-{number}-{copy}.stl").write_bytes(stl(1 + number)[: 90 + number])
    summary = run(runtime, folder)
    assert counts(summary) == (160, 80, 0, 0, 0, 80)
    assert len({failure.path for failure in summary.failures}) == 80
    assert len(runtime.catalog.readers_of(part.sha256 or "" for part in runtime.catalog.parts())) == 20
    assert runtime.readers.statistics.read - runtime.good_before == 20


def test_without_any_format_adapter_it_stops(runtime: Services, folder: Path) -> None:
    """Nothing to read with is an error, not an empty folder."""
    intake = intake_over(runtime.catalog, runtime.registry.features, readers=runtime.readers)
    with pytest.raises(PluginUnavailable, match="plugins doctor"):
        ingest([folder], intake=intake, options=IngestOptions(versions=("v1",)))


def test_what_was_reported_survives_a_kill(tmp_path: Path, readers: ReaderPool) -> None:
    """Killed in the middle and run again: everything reported is there, nothing lost, nothing twice."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number}.stl").write_bytes(stl(1 + number))
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            from cadml_core.intake.ingest import ingest
            from cadml_core.intake.ingest_report import IngestOptions
            from cadml_core.runtime import build_runtime
            from cadml_core.settings import Settings

            if __name__ == "__main__":
                settings = Settings(
                    data_dir=sys.argv[1], parse_workers=1, safe_mode=True, plugins_disable=("step", "iges")
                )
                with build_runtime(settings) as runtime:
                    ingest(
                        [sys.argv[2]], intake=runtime.intake,
                        options=IngestOptions(versions=("v1",)),
                        progress=lambda p: print(p.path, p.status, flush=True),
                    )
            """
        )
    )
    command = [sys.executable, str(script), str(tmp_path / "data"), str(folder)]
    reported: set[str] = set()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            reported.add(line.split()[0])
            if len(reported) == 100:
                process.send_signal(signal.SIGKILL)
                break
        reported |= {line.split()[0] for line in process.stdout if line.endswith(" added\n")}
    with Catalog.open(f"sqlite:///{tmp_path / 'data' / 'catalogue.sqlite3'}") as catalog:
        stored = {part.path for part in catalog.parts()}
        assert 100 <= len(reported) < 300
        assert reported <= stored
        assert len(catalog.vectors("v1")[0]) == len(stored)
        summary = run(Services(catalog, readers, load_plugins(SETTINGS).registry, 0), folder)
        assert counts(summary) == (300, 300 - len(stored), 0, 0, len(stored), 0)
        assert len(catalog.parts()) == 300


class TestFindingFiles:
    """Which files a list of paths means."""

    def found(self, *paths: Path) -> list[str]:
        """Names, errors in capitals."""
        return [path.name.upper() if error else path.name for path, error in find_files(paths, SUFFIXES)]

    def test_suffixes_decide_in_folders_only(self, folder: Path) -> None:
        """A named file is meant whatever it is called; each is meant once."""
        assert self.found(folder) == ["a.stl", "b.STL", "broken.stl", "c.stl"]
        assert self.found(folder / "nuts" / "notes.txt", folder / "nuts" / "notes.txt") == ["notes.txt"]

    def test_hidden_files_are_passed_over(self, folder: Path) -> None:
        """Neither hidden files nor what is in hidden folders, unless named."""
        (folder / ".git").mkdir()
        (folder / ".git" / "x.stl").write_bytes(stl(1))
        (folder / ".x.stl").write_bytes(stl(1))
        assert "x.stl" not in self.found(folder)
        assert self.found(folder / ".x.stl") == [".x.stl"]

    def test_loops_end(self, folder: Path) -> None:
        """Links to a folder above, to themselves or to one another enter nothing twice."""
        (folder / "bolts" / "up").symlink_to(folder)
        (folder / "self").symlink_to(folder / "self")
        (folder / "one").symlink_to(folder / "two")
        (folder / "two").symlink_to(folder / "one")
        assert self.found(folder) == ["a.stl", "b.STL", "broken.stl", "c.stl"]

    def test_linked_folders_are_followed_after_real_ones(self, tmp_path: Path, folder: Path) -> None:
        """A folder is known by its own name where both it and a link to it are found."""
        (folder / "aaa").symlink_to(folder / "bolts")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "far.stl").write_bytes(stl(9))
        (folder / "link").symlink_to(tmp_path / "elsewhere")
        paths = [path for path, _ in find_files([folder], SUFFIXES, follow_links=True)]
        assert folder / "bolts" / "a.stl" in paths
        assert folder / "link" / "far.stl" in paths
        assert not any("aaa" in path.parts for path in paths)

    def test_no_link_leads_out(self, tmp_path: Path, folder: Path) -> None:
        """Links to files and folders elsewhere, by whatever detour, are named and not followed; those to
        what is in the folder are, also where the folder itself is reached by a link."""
        elsewhere = tmp_path / "in-beside"
        elsewhere.mkdir()
        (elsewhere / "far.stl").write_bytes(stl(9))
        (folder / "file.stl").symlink_to(elsewhere / "far.stl")
        (folder / "relative.stl").symlink_to("../in-beside/far.stl")
        (folder / "detour.stl").symlink_to(folder / "file.stl")
        (folder / "nowhere.stl").symlink_to(tmp_path / "nothing.stl")
        (folder / "other.txt").symlink_to(elsewhere / "far.stl")
        (folder / "linked").symlink_to(elsewhere)
        (folder / "again.stl").symlink_to(folder / "bolts" / "a.stl")
        out = ["DETOUR.STL", "FILE.STL", "LINKED", "NOWHERE.STL", "RELATIVE.STL"]
        (tmp_path / "root").symlink_to(folder)
        for root in (folder, tmp_path / "root", f"{folder}/nuts/.."):
            found = self.found(Path(root))
            assert [name for name in found if name.isupper()] == out
            assert {"again.stl", "a.stl"} < set(found)
            assert "far.stl" not in found
        [error] = {
            error.message for path, error in find_files([folder], SUFFIXES) if error and path.name == "linked"
        }
        assert "--follow-links" in error
        followed = [
            path.name for path, error in find_files([folder], SUFFIXES, follow_links=True) if not error
        ]
        assert {"file.stl", "far.stl", "detour.stl", "relative.stl"} < set(followed)

    def test_broken_links_and_special_files(self, runtime: Services, folder: Path) -> None:
        """A broken link is a failure that somebody hears about; a pipe is passed over, never waited for."""
        (folder / "gone.stl").symlink_to(folder / "nowhere.stl")
        os.mkfifo(folder / "pipe.stl")
        assert "pipe.stl" not in self.found(folder)
        summary = run(runtime, folder, folder / "pipe.stl")
        codes = {Path(failure.path).name: failure.code for failure in summary.failures}
        assert codes.pop("broken.stl")
        assert codes == {"gone.stl": "DATA_NOT_FOUND", "pipe.stl": "INPUT_UNREADABLE"}

    def test_what_is_not_there_is_a_failure(self, runtime: Services, tmp_path: Path) -> None:
        """One wrong name does not stop the others."""
        (tmp_path / "a.stl").write_bytes(stl(1))
        summary = run(runtime, tmp_path / "missing", tmp_path / "a.stl")
        assert counts(summary) == (2, 1, 0, 0, 0, 1)
        assert summary.failures[0].code == NotFound.code

    def test_folders_that_cannot_be_listed(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A locked folder is one failure; its neighbours are found."""
        real = os.scandir

        def scandir(path: Path) -> object:
            if Path(path).name == "bolts":
                raise PermissionError(13, "Permission denied")
            return real(path)

        monkeypatch.setattr(os, "scandir", scandir)
        found = dict(find_files([folder], SUFFIXES))
        error = found[folder / "bolts"]
        assert isinstance(error, CadmlError)
        assert error.code == "INPUT_UNREADABLE"
        assert folder / "nuts" / "c.stl" in found
