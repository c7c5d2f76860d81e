"""Bring files and folders into the catalogue: only what is new is read, and what was reported stays.

A part is known by its path. The same content at two paths is two parts that share one content, read
once. A file whose content changed replaces its part's content and vectors; the part keeps its id. A
file found at a new path, whose old path is gone, has moved: its part keeps its id too.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from cadml_core.catalog.paths import path_to_text, text_to_path
from cadml_core.catalog.records import NewPart, Part, ReadBy, Status
from cadml_core.catalog.unread import UnreadFiles
from cadml_core.errors import CadmlError, InvalidInput, PluginUnavailable
from cadml_core.intake.folders import count_skipped, find_files
from cadml_core.intake.ingest_report import IngestFailure, IngestOptions, IngestProgress, IngestSummary
from cadml_core.intake.intake import Intake, SourceFile, source_file
from cadml_core.intake.remembered import Known, allows_less
from cadml_core.intake.siblings import Size, size_of, unit_doubts
from cadml_core.reading.detection import display
from cadml_core.reading.reading import Reading

_Found = tuple[Path, CadmlError | None]

_CHUNK = 256
"""Files looked up in the catalogue at once."""
_GROUP = 64
"""Most parts of one transaction ..."""
_GROUP_SECONDS = 0.5
"""... and the longest that a part waits for its transaction. This much is read again after a crash."""


def ingest(
    paths: Sequence[Path | str],
    *,
    intake: Intake,
    options: IngestOptions,
    progress: Callable[[IngestProgress], None] | None = None,
) -> IngestSummary:
    """Bring files and folders into the catalogue.

    Args:
        paths: As ``find_files`` takes them.
        intake: Knows or reads them; its catalogue is where they go.
        options: What is wanted of the files.
        progress: Called once for each file, from this thread, after it was committed.

    Raises:
        NotFound: A wanted feature version is not installed.
        PluginUnavailable: There is no format adapter at all.
        CatalogueUnavailable: The database cannot be used. What was reported before is in it.
    """
    intake.require((*options.versions, *options.optional))
    if not intake.formats:
        raise PluginUnavailable(
            "no format adapter is usable, so no file can be read; `cadml plugins doctor` says why",
            kind="format adapter",
        )
    suffixes = {suffix for adapter in intake.formats.values() for suffix in adapter.suffixes}
    skipped: dict[Path, str] = {}
    found = list(find_files(intake.announced(paths), suffixes, skipped, follow_links=options.follow_links))
    summary = _Run(intake, options, progress).over(found)
    return msgspec.structs.replace(summary, skipped=count_skipped(skipped)) if skipped else summary


class _Job(msgspec.Struct):
    """A file on its way."""

    file: SourceFile
    text: str
    """Its path as the catalogue writes it."""
    part: Part | None
    """What the catalogue has at this path."""
    versions: tuple[str, ...]
    """Wanted, and those that the part has."""

    @property
    def sha256(self) -> str:
        return self.file.identity.sha256


class _Facts(NamedTuple):
    """What is said of a part; None leaves what it has."""

    name: str
    material: str | None
    project: str | None
    label: str | None


class _Run:
    """One call of ``ingest``."""

    def __init__(
        self, intake: Intake, options: IngestOptions, progress: Callable[[IngestProgress], None] | None
    ) -> None:
        self._intake = intake
        self._catalog = intake.catalog
        self._options = options
        self._progress = progress
        self._total = 0
        self._counts: Counter[str] = Counter()
        self._failures: list[IngestFailure] = []
        self._refused: list[tuple[str, str, str]] = []
        """As ``UnreadFiles.note`` takes them, as ``_settled``."""
        self._settled: set[str] = set()
        self._pending: dict[Future[Reading], _Job] = {}
        self._twins: dict[str, list[_Job]] = {}
        """By content: files that wait while another with the same content is read."""
        self._released: list[_Job] = []
        """Those whose waiting is over."""
        self._arrivals: set[str] = set()
        """Contents that were read since the catalogue was last asked."""
        self._group: list[tuple[Path, NewPart]] = []
        self._group_due = 0.0
        self._claimed: set[str] = set()
        """Ids of parts that have moved in this run."""
        self._sizes: list[Size] = []
        self._retried: set[str] = set()
        """Contents that are read again in this run although they could not be read before."""

    def over(self, found: Sequence[_Found]) -> IngestSummary:
        self._total = len(found)
        try:
            for chunk in _chunks(found, _CHUNK):
                self._look(chunk)
                self._release()
            while self._pending or self._released:
                self._release()
                if self._pending:
                    self._collect()
            self._commit()
        finally:
            for future in self._pending:
                future.cancel()
            UnreadFiles(self._catalog).note(self._refused, self._settled)
        counts: dict[str, Any] = {
            name: self._counts[name] for name in ("added", "replaced", "updated", "unchanged")
        }
        return IngestSummary(
            total=self._total,
            failed=len(self._failures),
            failures=tuple(self._failures),
            doubts=tuple(unit_doubts(self._sizes)) if self._sizes else (),
            **counts,
        )

    def _look(self, chunk: Sequence[_Found]) -> None:
        """Compare files with the catalogue, and send on those that differ."""
        files = self._hashed(chunk)
        texts = [path_to_text(file.path) for file in files]
        stored = self._catalog.parts_by_path(texts)
        versions = self._catalog.versions_of(part.row for part in stored.values())
        readers = self._catalog.readers_of({file.identity.sha256 for file in files})
        new = []
        for file, text in zip(files, texts, strict=True):
            part = stored.get(text)
            has = versions.get(part.row, set()) if part else set()
            kept = sorted(has & self._intake.features.keys())
            wanted = tuple(dict.fromkeys((*self._options.versions, *self._options.optional, *kept)))
            job = _Job(file, text, part, wanted)
            if has.issuperset(wanted) and self._is_unchanged(job, readers.get(job.sha256)):
                self._done(file.path, "unchanged")
            else:
                new.append(job)
        if self._options.retry:
            self._intake.retry([job.file for job in new if job.sha256 not in self._retried])
            self._retried |= {job.sha256 for job in new}
        self._admit(new)

    def _hashed(self, chunk: Sequence[_Found]) -> list[SourceFile]:
        files = []
        for path, error in chunk:
            try:
                if error is not None:
                    raise error
                files.append(source_file(path, self._options.unit))
            except CadmlError as reason:
                self._fail(path, reason)
        return files

    def _is_unchanged(self, job: _Job, reader: ReadBy | None) -> bool:
        """Whether reading this file again would change nothing of the part at its path but its vectors."""
        if job.part is None or job.part.sha256 != job.sha256 or reader is None:
            return False
        if not self._intake.is_current(reader, self._intake.formats.get(reader.format), job.file.unit):
            return False
        facts = self._facts(job.file.path)._asdict()
        return all(value in (None, getattr(job.part, fact)) for fact, value in facts.items())

    def _release(self) -> None:
        """Go on with files that waited for another of the same content."""
        released, self._released = self._released, []
        self._admit(released)

    def _admit(self, jobs: Sequence[_Job]) -> None:
        """Settle files whose content is known; have the others read."""
        if not jobs:
            return
        self._commit()  # so that the catalogue knows what was read in the meantime
        self._arrivals.clear()
        answers = self._intake.recognise([job.file for job in jobs], [job.versions for job in jobs])
        for job, known in zip(jobs, answers, strict=True):
            if isinstance(known, CadmlError):
                if self._wants_less(job, known):
                    self._admit([job])
                else:
                    self._fail(job.file.path, known)
            elif known is not None:
                self._settle(job, known)
            else:
                self._read(job)

    def _read(self, job: _Job) -> None:
        if job.sha256 in self._twins:
            self._twins[job.sha256].append(job)
            return
        if job.sha256 in self._arrivals:  # read while the others of its chunk were being looked at
            self._released.append(job)
            return
        while len(self._pending) >= 2 * self._intake.readers.workers + 2:
            self._collect()
        self._pending[self._intake.submit(job.file, job.versions)] = job
        self._twins[job.sha256] = []

    def _collect(self) -> None:
        """Wait for readings, but no longer than the group that waits for its transaction may."""
        patience = max(0.0, self._group_due - time.monotonic()) if self._group else None
        for future in wait(self._pending, timeout=patience, return_when=FIRST_COMPLETED).done:
            self._arrived(self._pending.pop(future), future)
        if self._group and time.monotonic() >= self._group_due:
            self._commit()

    def _arrived(self, job: _Job, future: Future[Reading]) -> None:
        try:
            self._settle(job, self._intake.known(future.result()))
            self._arrivals.add(job.sha256)
        except CadmlError as error:
            self._intake.refused(job.file, job.versions, error)
            if self._wants_less(job, error):
                self._released.append(job)
            else:
                self._fail(job.file.path, error)
        self._released += self._twins.pop(job.sha256)

    def _wants_less(self, job: _Job, error: CadmlError) -> bool:
        """Leave out the optional versions where a file does not allow them: it holds no surface, say."""
        optional = set(self._options.optional).difference(self._options.versions)
        least = tuple(version for version in job.versions if version not in optional)
        less = len(least) < len(job.versions) and allows_less(error)
        if less:
            job.versions = least
        return less

    def _settle(self, job: _Job, known: Known) -> None:
        """Hand a part to the next transaction."""
        self._sizes.append(size_of(job.file.path, known.content.document))
        new = NewPart(
            id=None if job.part else self._moved_from(known.content.sha256),
            path=job.text,
            content=known.content,
            vectors=known.vectors,
            **self._facts(job.file.path)._asdict(),
        )
        if not self._group:
            self._group_due = time.monotonic() + _GROUP_SECONDS
        self._group.append((job.file.path, new))
        if len(self._group) >= _GROUP:
            self._commit()

    def _facts(self, path: Path) -> _Facts:
        """Return what a part at this path is to be called and labelled."""
        options = self._options
        label = display(path.parent.name) or None if options.label_from == "parent" else None
        return _Facts(display(path.name), options.material, options.project, label)

    def _moved_from(self, sha256: str) -> str | None:
        """The id of a part with this content whose file is gone, each claimed once."""
        for part in self._catalog.parts_by_sha256(sha256):
            if part.path is None or part.id in self._claimed:
                continue
            if not os.path.lexists(text_to_path(part.path)):
                self._claimed.add(part.id)
                return part.id
        return None

    def _commit(self) -> None:
        group, self._group = self._group, []
        if not group:
            return
        try:
            outcomes = self._catalog.add([new for _, new in group])
        except InvalidInput as error:
            if len(group) == 1:
                self._fail(group[0][0], error)
                return
            for single in group:  # one of them does not fit; the others can be added without it
                self._group = [single]
                self._commit()
            return
        for (path, _), outcome in zip(group, outcomes, strict=True):
            self._done(path, outcome.status)

    def _fail(self, path: Path, error: CadmlError) -> None:
        self._failures.append(IngestFailure(display(path), error.code, error.message))
        self._refused.append((path_to_text(path), error.code, error.message))
        self._done(path, "failed")

    def _done(self, path: Path, status: Status | Literal["failed"]) -> None:
        self._counts[status] += 1
        if status != "failed":
            self._settled |= {path_to_text(path), path_to_text(path.parent)}
        if self._progress is not None:
            self._progress(IngestProgress(self._counts.total(), self._total, display(path), status))


def _chunks(items: Iterable[_Found], size: int) -> Iterator[list[_Found]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
