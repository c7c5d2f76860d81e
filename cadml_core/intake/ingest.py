"""Bring files and folders into the catalogue: only what is new is read, and what was reported stays.

A part is known by its path. The same content at two paths is two parts that share one content, read
once. A file whose content changed replaces its part's content and vectors; the part keeps its id. A
file found at a new path, whose old path is gone, has moved: its part keeps its id too.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from cadml_core.catalog.paths import path_to_text, text_to_path
from cadml_core.catalog.records import Content, NewPart, Part, Status, Vector
from cadml_core.catalog.store import Catalog
from cadml_core.contracts.features import FeatureVersion
from cadml_core.contracts.formats import FormatAdapter
from cadml_core.errors import CadmlError, InvalidInput
from cadml_core.intake.folders import find_files
from cadml_core.isolation.pool import ReaderPool
from cadml_core.reading.detection import display
from cadml_core.reading.reading import Reading, extract_values, feature_version, fingerprint

LabelSource = Literal["parent"]

_CHUNK = 256
"""Files looked up in the catalogue at once."""
_GROUP = 64
"""Most parts of one transaction ..."""
_GROUP_SECONDS = 0.5
"""... and the longest that a part waits for its transaction. This much is read again after a crash."""


class IngestFailure(msgspec.Struct, frozen=True):
    """One file that is not in the catalogue, and why."""

    path: str
    code: str
    message: str


class IngestSummary(msgspec.Struct, frozen=True):
    """What a run did; the counts add up to ``total``."""

    total: int
    added: int
    replaced: int
    """Their content has changed."""
    updated: int
    """The same content with another label, path, reader version or feature version."""
    unchanged: int
    failed: int
    failures: tuple[IngestFailure, ...]


class IngestProgress(msgspec.Struct, frozen=True):
    """One file is done; durable where it did not fail."""

    done: int
    total: int
    path: str
    status: Status | Literal["failed"]


class IngestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of the files."""

    versions: tuple[str, ...]
    """Feature versions to compute; those that a part already has are kept up to date too."""
    label_from: LabelSource | None = None
    """``parent``: the name of a file's folder becomes its label."""
    material: str | None = None
    project: str | None = None


def ingest(
    paths: Sequence[Path | str],
    *,
    catalog: Catalog,
    pool: ReaderPool,
    formats: Mapping[str, FormatAdapter],
    features: Mapping[str, FeatureVersion],
    options: IngestOptions,
    progress: Callable[[IngestProgress], None] | None = None,
) -> IngestSummary:
    """Bring files and folders into the catalogue.

    Args:
        paths: As ``find_files`` takes them.
        catalog: Where they go.
        pool: Reads what is new, with the same formats and features.
        formats: The format adapters by name.
        features: The feature versions by name.
        options: What is wanted of the files.
        progress: Called once for each file, from this thread, after it was committed.

    Raises:
        PluginUnavailable: A wanted feature version is not installed.
        CatalogueUnavailable: The database cannot be used. What was reported before is in it.
    """
    for version in options.versions:
        feature_version(features, version)
    run = _Run(catalog, pool, formats, features, options, progress)
    return run.over(list(find_files(paths, {s for adapter in formats.values() for s in adapter.suffixes})))


class _Job(msgspec.Struct):
    """A file on its way."""

    path: Path
    text: str
    """The path as the catalogue writes it."""
    sha256: str
    part: Part | None
    """What the catalogue has at this path."""
    versions: tuple[str, ...]
    """Wanted, and those that the part has."""


class _Run:
    """One call of ``ingest``."""

    def __init__(
        self,
        catalog: Catalog,
        pool: ReaderPool,
        formats: Mapping[str, FormatAdapter],
        features: Mapping[str, FeatureVersion],
        options: IngestOptions,
        progress: Callable[[IngestProgress], None] | None,
    ) -> None:
        self._catalog = catalog
        self._pool = pool
        self._formats = formats
        self._features = features
        self._options = options
        self._progress = progress
        self._total = 0
        self._counts: Counter[str] = Counter()
        self._failures: list[IngestFailure] = []
        self._pending: dict[Future[Reading], _Job] = {}
        self._twins: dict[str, list[_Job]] = {}
        """Files that wait while another with the same content is read."""
        self._released: deque[tuple[_Job, Content | None]] = deque()
        """Those whose waiting is over, with the content where it could be read."""
        self._contents: dict[str, Content] = {}
        """What is known of the contents of the files being looked at."""
        self._group: list[tuple[Path, NewPart]] = []
        self._group_due = 0.0
        self._claimed: set[str] = set()
        """Ids of parts that have moved in this run."""

    def over(self, found: Sequence[tuple[Path, CadmlError | None]]) -> IngestSummary:
        self._total = len(found)
        try:
            for chunk in _chunks(found, _CHUNK):
                self._look(chunk)
            while self._pending or self._released:
                self._release()
                if self._pending:
                    self._collect()
            self._commit()
        finally:
            for future in self._pending:
                future.cancel()
        counts = {name: self._counts[name] for name in ("added", "replaced", "updated", "unchanged")}
        return IngestSummary(
            total=self._total, failed=len(self._failures), failures=tuple(self._failures), **counts
        )

    def _look(self, chunk: Sequence[tuple[Path, CadmlError | None]]) -> None:
        """Compare files with the catalogue, and send on those that differ."""
        hashes = self._fingerprints(chunk)
        texts = {path: path_to_text(path) for path in hashes}
        stored = self._catalog.parts_by_path(texts.values())
        versions = self._catalog.versions_of(part.row for part in stored.values())
        self._contents = self._catalog.contents(hashes.values())
        self._contents |= {new.content.sha256: new.content for _, new in self._group if new.content}
        for path, sha256 in hashes.items():
            part = stored.get(texts[path])
            has = versions.get(part.row, set()) if part else set()
            wanted = tuple(dict.fromkeys((*self._options.versions, *sorted(has & set(self._features)))))
            self._advance(_Job(path, texts[path], sha256, part, wanted), self._contents.get(sha256), has)
            self._release()

    def _release(self) -> None:
        """Go on with files that waited for another of the same content."""
        while self._released:
            job, content = self._released.popleft()
            self._advance(job, content, set())

    def _fingerprints(self, chunk: Sequence[tuple[Path, CadmlError | None]]) -> dict[Path, str]:
        hashes: dict[Path, str] = {}
        for path, error in chunk:
            try:
                if error is not None:
                    raise error
                hashes[path], _size = fingerprint(path)
            except CadmlError as reason:
                self._fail(path, reason)
        return hashes

    def _advance(self, job: _Job, content: Content | None, has: set[str]) -> None:
        """Settle a file without reading it where its content is known; else queue it."""
        if content is None or not self._serves(content, job):
            self._read(job)
        elif job.part is not None and job.part.sha256 == job.sha256 and has.issuperset(job.versions):
            self._settle(job, content, {})
        else:
            self._recompute(job, content)

    def _serves(self, content: Content, job: _Job) -> bool:
        """Whether reading the file would say what its stored content says already.

        Not under another suffix: it may claim another format, and then the same content is refused.
        """
        adapter = self._formats.get(content.format)
        return (
            adapter is not None
            and adapter.version == content.adapter_version
            and job.path.suffix.lower() in adapter.suffixes
            and not any(self._features[version].needs_mesh for version in job.versions)
        )

    def _recompute(self, job: _Job, content: Content) -> None:
        """Compute vectors from the stored summary, which is all they need."""
        try:
            vectors = {v: Vector(extract_values(self._features[v], content.document)) for v in job.versions}
        except CadmlError as error:
            self._fail(job.path, error)
        else:
            self._settle(job, content, vectors)

    def _read(self, job: _Job) -> None:
        if job.sha256 in self._twins:
            self._twins[job.sha256].append(job)
            return
        while len(self._pending) >= 2 * self._pool.workers + 2:
            self._collect()
        self._pending[self._pool.submit(job.path, job.versions)] = job
        self._twins[job.sha256] = []

    def _collect(self) -> None:
        """Wait for readings, but no longer than the group that waits for its transaction may."""
        patience = max(0.0, self._group_due - time.monotonic()) if self._group else None
        for future in wait(self._pending, timeout=patience, return_when=FIRST_COMPLETED).done:
            self._arrived(self._pending.pop(future), future)
        if self._group and time.monotonic() >= self._group_due:
            self._commit()

    def _arrived(self, job: _Job, future: Future[Reading]) -> None:
        content = None
        try:
            reading = future.result()
        except CadmlError as error:
            self._fail(job.path, error)
        else:
            content = self._contents[reading.sha256] = _content(reading)
            self._settle(job, content, {name: _vector(values) for name, values in reading.vectors.items()})
        same = content if content is not None and content.sha256 == job.sha256 else None
        self._released += [(twin, same) for twin in self._twins.pop(job.sha256)]

    def _settle(self, job: _Job, content: Content, vectors: Mapping[str, Vector]) -> None:
        """Hand a part to the next transaction, or count it where there is nothing to write."""
        new = self._new_part(job, content, vectors)
        if job.part is not None and not vectors and _agrees(job.part, new):
            self._done(job.path, "unchanged")
            return
        if not self._group:
            self._group_due = time.monotonic() + _GROUP_SECONDS
        self._group.append((job.path, new))
        if len(self._group) >= _GROUP:
            self._commit()

    def _new_part(self, job: _Job, content: Content, vectors: Mapping[str, Vector]) -> NewPart:
        label = display(job.path.parent.name) if self._options.label_from == "parent" else None
        return NewPart(
            id=None if job.part else self._moved_from(content.sha256),
            name=display(job.path.name),
            path=job.text,
            content=content,
            material=self._options.material,
            project=self._options.project,
            label=label or None,
            vectors=vectors,
        )

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
        try:
            outcomes = self._catalog.add([new for _, new in group])
        except InvalidInput as error:
            if len(group) == 1:
                self._fail(group[0][0], error)
                return
            for single in group:  # one of them does not fit; the others are not to blame
                self._group = [single]
                self._commit()
            return
        for (path, _), outcome in zip(group, outcomes, strict=True):
            self._done(path, outcome.status)

    def _fail(self, path: Path, error: CadmlError) -> None:
        self._failures.append(IngestFailure(display(path), error.code, error.message))
        self._done(path, "failed")

    def _done(self, path: Path, status: Status | Literal["failed"]) -> None:
        self._counts[status] += 1
        if self._progress is not None:
            self._progress(IngestProgress(self._counts.total(), self._total, display(path), status))


def _chunks(
    items: Iterable[tuple[Path, CadmlError | None]], size: int
) -> Iterator[list[tuple[Path, CadmlError | None]]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def _content(reading: Reading) -> Content:
    return Content(
        sha256=reading.sha256,
        size=reading.size,
        format=reading.format,
        adapter_version=reading.adapter_version,
        document=reading.document,
    )


def _vector(values: Sequence[float]) -> Vector:
    return Vector(np.array(values, dtype=np.float64))


def _agrees(part: Part, new: NewPart) -> bool:
    """Whether every fact given is the one that is stored."""
    facts = ("name", "material", "project", "label")
    return all(getattr(new, fact) in (None, getattr(part, fact)) for fact in facts)
